//! One file per verb.

mod apply;
mod approve;
mod audit;
mod brakes;
mod completions;
mod demo;
mod describe;
mod explain;
mod explain_code;
mod history;
mod link;
mod login;
mod migrate;
mod new;
mod parked;
mod pause;
mod plan;
mod purge;
mod record;
mod resume;
mod revert;
mod run;
mod schema;
mod status;
mod sync;
mod test;
mod token;
mod unlink;
mod validate;

use crate::cli::{Cli, Verb};
use crate::output::{Ended, Output};

/// Does what was asked.
pub(crate) async fn run(cli: Cli, context: Context) -> anyhow::Result<Ended> {
    let Cli { settings, verb } = cli;
    let out = Output::new(settings.format);
    match verb {
        Verb::Demo => demo::run(&context).await,
        Verb::Run(args) => run::run(&settings, &args).await,
        Verb::Validate => validate::run(&settings, context.database_named, out).await,
        Verb::ExplainCode(args) => explain_code::run(&args, out),
        Verb::Schema(args) => schema::run(&settings, &args, out),
        Verb::Describe(args) => describe::run(&settings, &args, out),
        Verb::New(args) => new::run(&settings, &args, out).await,
        Verb::Plan(args) => plan::run(&settings, &args, out).await,
        Verb::Approve(args) => approve::run(&settings, &args, out).await,
        Verb::Apply(args) => apply::run(&settings, &args, out).await,
        Verb::Brakes(args) => brakes::run(&settings, &args, out).await,
        Verb::Sync(args) => sync::run(&settings, &args, out).await,
        Verb::Explain(args) => explain::run(&settings, &args, out).await,
        Verb::Status => status::run(&settings, out).await,
        Verb::Parked(args) => parked::run(&settings, &args, out).await,
        Verb::Pause(args) => pause::run(&settings, &args, out).await,
        Verb::Resume(args) => resume::run(&settings, &args, out).await,
        Verb::Link(args) => link::run(&settings, &args, out).await,
        Verb::Unlink(args) => unlink::run(&settings, &args, out).await,
        Verb::History(args) => history::run(&settings, &args, out).await,
        Verb::Audit(args) => audit::run(&settings, &args, out).await,
        Verb::Revert(args) => revert::run(&settings, &args, out).await,
        Verb::Test(args) => test::run(&settings, &args, out),
        Verb::Record(args) => record::run(&settings, &args, out).await,
        Verb::Migrate(args) => migrate::run(&settings, &args, out).await,
        Verb::Purge(args) => purge::run(&settings, &args, out).await,
        Verb::Login(args) => login::run(&settings, &args, out).await,
        Verb::Token(args) => token::run(&settings, &args, out).await,
        Verb::Completions(args) => completions::run(&args, out),
    }
}

/// What the command line said beyond the values of its settings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Context {
    /// A person named the database, by flag or variable.
    pub(crate) database_named: bool,
    /// The database, if it was named by flag.
    pub(crate) database_flag: Option<String>,
    /// The address of the page, if it was named by flag.
    pub(crate) listen_flag: Option<std::net::SocketAddr>,
}
