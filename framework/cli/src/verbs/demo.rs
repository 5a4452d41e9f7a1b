//! `demo`: everything in one process, with a sandbox Stripe and Salesforce, an SQLite file and documents of its own. It reads no `.env`, no variable and
//! no setting of a real installation; only what was typed as a flag counts.

mod sandbox;
mod seed;

use super::Context;
use super::run::bind;
use crate::connections::Connections;
use crate::database::{Database, State};
use crate::documents::check_files;
use crate::opened::Opened;
use crate::output::{Ended, talk};
use crate::private_folder::PrivateFolder;
use crate::signals::Signals;
use anyhow::{Context as _, bail};
use bothways_connector_sandbox::{Config, Running as SandboxRunning, Sandbox, Stripe, salesforce, serve};
use bothways_engine::{PlanAccount, PlanItem, PlanSink};
use bothways_mapping::{Mapping, Project, SourceFile};
use bothways_server::Server;
use sandbox::BesideSandbox;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// A shipped document, and what the demo has otherwise.
struct Shipped {
    name: &'static str,
    text: &'static str,
    /// Lines, and what stands for them. Each is there.
    otherwise: &'static [(&'static str, &'static str)],
}

impl Shipped {
    const fn as_it_is(name: &'static str, text: &'static str) -> Self {
        Self { name, text, otherwise: &[] }
    }

    fn file(&self) -> SourceFile {
        let text =
            self.otherwise.iter().fold(self.text.to_owned(), |text, (line, other)| text.replace(line, other));
        SourceFile::new(self.name, text)
    }
}

/// Nobody gets hurt here, so that deletes need nobody's leave; and nobody waits a minute for a demo.
const DOCUMENTS: [Shipped; 8] = [
    Shipped::as_it_is("mappings/customers.yaml", include_str!("../../../../mappings/customers.yaml")),
    Shipped {
        name: "mappings/stripe-customers.yaml",
        text: include_str!("../../../../mappings/stripe-customers.yaml"),
        otherwise: &[
            (
                "deletes: { from_remote: manual, from_local: manual }",
                "deletes: { from_remote: delete, from_local: delete, confirm: irreversible }",
            ),
            ("sync: { feed: 10s, reconcile: 24h }", "sync: { feed: 5s, reconcile: 1h }"),
        ],
    },
    Shipped::as_it_is("mappings/invoices.yaml", include_str!("../../../../mappings/invoices.yaml")),
    Shipped::as_it_is(
        "mappings/stripe-invoices.yaml",
        include_str!("../../../../mappings/stripe-invoices.yaml"),
    ),
    Shipped::as_it_is("mappings/accounts.yaml", include_str!("../../../../mappings/accounts.yaml")),
    Shipped {
        name: "mappings/salesforce-accounts.yaml",
        text: include_str!("../../../../mappings/salesforce-accounts.yaml"),
        otherwise: &SOONER,
    },
    Shipped::as_it_is("mappings/contacts.yaml", include_str!("../../../../mappings/contacts.yaml")),
    Shipped {
        name: "mappings/salesforce-contacts.yaml",
        text: include_str!("../../../../mappings/salesforce-contacts.yaml"),
        otherwise: &SOONER,
    },
];
/// Salesforce is asked for changes.
const SOONER: [(&str, &str); 1] = [("poll: 60s", "poll: 3s")];
/// The page's usual address; another port if it is taken.
const PAGE: &str = "127.0.0.1:7171";
/// Any free port.
const ANYWHERE: &str = "127.0.0.1:0";
const QUEUE: &str = "zeromq://127.0.0.1";

pub(super) async fn run(context: &Context) -> anyhow::Result<Ended> {
    let signals = Signals::listen()?;
    let project = documents()?;
    let place = Place::new(context.database_flag.as_deref())?;
    let database = Database::parse(&place.url)?;
    if !matches!(database.state().await?, State::Missing | State::Empty) {
        bail!(
            "{} holds something already: the demo wants a database of its own, so name a new file or none",
            database.shown()
        );
    }
    let main = match context.listen_flag {
        Some(address) => bind("--listen", address).await?,
        None => match TcpListener::bind(PAGE).await {
            Ok(listener) => listener,
            Err(_) => bind("the page", ANYWHERE.parse()?).await?,
        },
    };
    if !main.local_addr()?.ip().is_loopback() {
        bail!("the demo asks nobody for a password, so it listens on loopback only");
    }
    let hooks = bind("webhooks", ANYWHERE.parse()?).await?;
    let services = start_sandbox(hooks.local_addr()?).await?;
    let shown = in_order(&project);
    let opened = open(project, &database, &services).await?;
    seed::customers(&*opened.store, services.running.sandbox()).await?;
    seed::accounts(&*opened.store, services.running.sandbox()).await?;
    for pair in opened.engine().pairs() {
        let name = Some(pair.mapping.name.as_str());
        if pair.held().is_some() {
            // A demo of another version left this database.
            let totals = opened.operations.plan(name, &mut Unseen).await?;
            opened.operations.approve_plan(name, &totals.digest, "demo").await?;
        } else {
            opened.operations.approve(name, "demo").await?;
        }
    }
    let beside = Arc::new(BesideSandbox::new(services.running.sandbox().clone(), &shown));
    let serving =
        bothways_server::Settings { open: true, ..bothways_server::Settings::new(main.local_addr()?) };
    serving.check().map_err(anyhow::Error::msg)?;
    let server = Server::with(opened.engine().clone(), serving, None, Some(beside));
    let running = opened.start();
    banner(&database, &services.running, &server, &opened);
    server.serve(main, Some(hooks), signals.end()).await;
    running.stop().await;
    services.running.stop().await;
    Ok(Ended::Well)
}

/// A plan that nobody looks at.
struct Unseen;

impl PlanSink for Unseen {
    fn begin(&mut self, _: &PlanAccount) {}

    fn item(&mut self, _: PlanItem) {}
}

fn documents() -> anyhow::Result<Project> {
    let files: Vec<SourceFile> = DOCUMENTS.iter().map(Shipped::file).collect();
    check_files(&files).project.context("the demo's own documents have errors")
}

/// The mappings in the order of the documents: what others refer to comes first.
fn in_order(project: &Project) -> Vec<Arc<Mapping>> {
    let mut mappings = project.mappings.clone();
    mappings
        .sort_by_key(|mapping| DOCUMENTS.iter().position(|document| *document.name == *mapping.source.file));
    mappings
}

/// Where the demo's database is. A folder of its own is removed at the end.
struct Place {
    url: String,
    _folder: Option<PrivateFolder>,
}

impl Place {
    fn new(url: Option<&str>) -> anyhow::Result<Self> {
        if let Some(url) = url {
            return Ok(Self { url: url.to_owned(), _folder: None });
        }
        let folder = PrivateFolder::new("bothways-demo").context("a folder for the demo's database")?;
        let url = format!("sqlite://{}", folder.path().join("demo.db").display());
        Ok(Self { url, _folder: Some(folder) })
    }
}

/// The sandbox, and the secret that its Stripe signs webhooks with.
struct Services {
    running: SandboxRunning,
    secret: String,
}

async fn start_sandbox(hooks: SocketAddr) -> anyhow::Result<Services> {
    let listener = TcpListener::bind(ANYWHERE).await?;
    let config = Config { seed: rand::random(), ..Config::default() };
    let running = serve(listener, Sandbox::new(Stripe::new(config))).await?;
    let url = format!("http://{hooks}/hooks/stripe");
    let (_, secret) = running.sandbox().with(|stripe, now| stripe.dashboard_endpoint(&url, &[], now))?;
    Ok(Services { running, secret })
}

async fn open(project: Project, database: &Database, services: &Services) -> anyhow::Result<Opened> {
    let url = services.running.url();
    let org = salesforce::Config::default();
    let lookup = |name: &str| match name {
        "STRIPE_BASE_URL" | "SALESFORCE_INSTANCE_URL" => Some(url.clone()),
        "STRIPE_API_KEY" => Some("sk_test_demo".to_owned()),
        "STRIPE_WEBHOOK_SECRET" => Some(services.secret.clone()),
        "SALESFORCE_CLIENT_ID" => Some(org.client_id.clone()),
        "SALESFORCE_CLIENT_SECRET" => Some(org.client_secret.clone()),
        "STRIPE_RATE" | "SALESFORCE_RATE" => Some("200/s".to_owned()),
        _ => None,
    };
    let connections = Connections::open(&project, &lookup)?;
    let checked = check_files(&[]);
    database.install(&project, &checked).await?;
    let store = database.open_to_work(&project, &checked).await?;
    let queue = bothways_brokers::open(QUEUE).await?;
    Opened::assemble(project, connections, (store, None), queue, bothways_engine::Settings::default()).await
}

fn banner(database: &Database, sandbox: &SandboxRunning, server: &Server, opened: &Opened) {
    let (file, url) = (database.shown(), sandbox.url());
    let sql = |statement: &str| format!("sqlite3 -cmd '.timeout 5000' {file} \"{statement}\"");
    talk("bothways demo: your tables on one side, a sandbox Stripe and a sandbox Salesforce on the other");
    talk(format!(
        "open        {}    both sides of each beside each other, both editable",
        server.login_url()
    ));
    talk(format!(
        "database    {}",
        sql("insert into customers(name, email) values ('You', 'you@example.com')")
    ));
    talk(format!("stripe      curl {url}/v1/customers -u sk_test_demo: -d name=Me -d email=me@example.com"));
    talk(format!(
        "invoices    {}",
        sql("select id, customer_id, number, status, total, currency, memo from invoices")
    ));
    talk(format!(
        "            curl {url}/v1/invoices -u sk_test_demo: (pay one: -X POST …/v1/invoices/ID/finalize, then …/pay)"
    ));
    talk(format!(
        "accounts    {}",
        sql("insert into accounts(name, website) values ('Yours', 'https://yours.example')")
    ));
    talk(format!("contacts    {}", sql("select id, account_id, first_name, last_name, email from contacts")));
    talk(format!(
        "salesforce  curl {url}/_sandbox/salesforce/records/Account (or Contact; what a person sees and does there:"
    ));
    talk("            add one: -d '{\"Name\":\"Theirs\"}', change one: …/Account/ID -d '{\"Phone\":\"1\"}')");
    talk(format!("queue       {}", opened.engine().queue_address()));
    talk("Ctrl-C ends it and removes everything it made");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_demo_has_otherwise_is_there_to_be_replaced() {
        for document in &DOCUMENTS {
            for (line, _) in document.otherwise {
                assert_eq!(document.text.matches(line).count(), 1, "{}: {line}", document.name);
            }
            assert!(!document.file().text.contains("poll: 60s"), "{} is asked too seldom", document.name);
        }
    }
}
