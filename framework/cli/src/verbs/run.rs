//! `run`: the engine, the API, the page and the webhook port, until the process is asked to end.

use crate::cli::Run;
use crate::connections::Connections;
use crate::environment::Variables;
use crate::opened::Opened;
use crate::output::{Ended, talk};
use crate::settings::Settings;
use crate::signals::Signals;
use crate::tokens;
use anyhow::{Context, bail};
use bothways_model::Mode;
use bothways_server::{Metrics, Server};
use chrono::Utc;
use metrics_exporter_prometheus::PrometheusBuilder;
use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

pub(super) async fn run(settings: &Settings, args: &Run) -> anyhow::Result<Ended> {
    settings.check_addresses().map_err(anyhow::Error::msg)?;
    let signals = Signals::listen()?;
    let metrics = metrics()?;
    let pace = bothways_engine::Settings::default();
    let check = |connections: &Connections| check_signed(settings, connections).and(check_paths(connections));
    let opened = Opened::open_to_work(settings, pace, check).await?;
    if args.approve {
        approve_new(&opened).await?;
    }
    // What lets anybody in is for the person at the terminal alone: whatever else reads this keeps it, a journal for long.
    let watched = std::io::stderr().is_terminal();
    let token = first_token(&opened, watched).await?;
    let main = bind("--listen", settings.listen).await?;
    let hooks = bind("--hooks-listen", settings.hooks_listen).await?;
    let serving = bothways_server::Settings {
        listen: main.local_addr()?,
        public_url: settings.public_url.clone(),
        behind_proxy: settings.behind_proxy,
        open: false,
    };
    serving.check().map_err(anyhow::Error::msg)?;
    let server = Server::with(opened.engine().clone(), serving, Some(metrics), None);
    banner(settings, &opened, hooks.local_addr()?).await?;
    match watched {
        true => talk(format!("page        {}", server.login_url())),
        false => talk(format!(
            "page        {}\n            takes tokens: `bothways token new NAME --scope admin` prints one, BOTHWAYS_TOKEN may be one",
            server.login_page()
        )),
    }
    if let Some(token) = token {
        talk(format!(
            "token       {}\n            of the API; stored hashed, shown this once",
            token.expose()
        ));
    }
    let running = opened.start();
    talk("ready");
    server.serve(main, Some(hooks), signals.end()).await;
    talk("stopping");
    running.stop().await;
    Ok(Ended::Well)
}

/// What `/metrics` shows.
fn metrics() -> anyhow::Result<Metrics> {
    let handle = PrometheusBuilder::new().install_recorder().context("metrics")?;
    Ok(Arc::new(move || {
        handle.run_upkeep();
        handle.render()
    }))
}

pub(super) async fn bind(flag: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("{flag} {address}"))
}

/// Webhooks that prove nothing are refused unless somebody said otherwise (`RULES.md` S1).
fn check_signed(settings: &Settings, connections: &Connections) -> anyhow::Result<()> {
    for (name, connection) in &connections.open {
        if connection.unsigned && !settings.allow_unsigned {
            bail!(
                "connection `{name}` takes webhooks from anybody (`verify: none`): say --allow-unsigned if that is meant, or sign them"
            );
        }
    }
    Ok(())
}

/// Each connection's webhooks have a path of their own: whose a delivery is is told by nothing else.
fn check_paths(connections: &Connections) -> anyhow::Result<()> {
    let mut taken = BTreeMap::from([("/healthz", "the server itself".to_owned())]);
    for (name, connection) in &connections.open {
        let Some(webhook) = connection.connector.webhook() else { continue };
        if let Some(other) = taken.insert(webhook.path(), format!("connection `{name}`")) {
            bail!(
                "the webhooks of connection `{name}` come to {}, and that is the path of {other}: give one of them another \
                 `events.webhook.path`, for example with a variable in it",
                webhook.path()
            );
        }
    }
    Ok(())
}

async fn approve_new(opened: &Opened) -> anyhow::Result<()> {
    for pair in opened.engine().pairs() {
        if !pair.is_approved() {
            opened.operations.approve(Some(&pair.mapping.name), "run --approve").await?;
            talk(format!("approved: {}", pair.mapping.name));
        }
    }
    Ok(())
}

async fn first_token(opened: &Opened, watched: bool) -> anyhow::Result<Option<bothways_model::Secret>> {
    let variables = Variables::default();
    let token = tokens::ensure(&*opened.store, &variables, Utc::now(), watched).await?;
    let problems = variables.problems();
    anyhow::ensure!(problems.is_empty(), "{}", problems.join("; "));
    Ok(token)
}

/// What runs, where, and what a person should know before anything moves.
async fn banner(settings: &Settings, opened: &Opened, hooks: SocketAddr) -> anyhow::Result<()> {
    talk(format!("bothways {}", env!("CARGO_PKG_VERSION")));
    talk(format!("database    {}", crate::database::Database::parse(&settings.database)?.shown()));
    talk(format!("queue       {}", opened.engine().queue_address()));
    for status in opened.operations.status().await? {
        talk(format!(
            "mapping     {}: {} <-> {}/{}",
            status.mapping, status.catalog, status.connection, status.resource
        ));
    }
    for (name, connection) in &opened.connections.open {
        if connection.mode == Mode::Live {
            talk(format!(
                "LIVE        connection `{name}` has a live-mode key: real customers are written to"
            ));
        }
        for missing in &connection.webhook_off {
            talk(format!("webhooks    of `{name}` are off: {missing}"));
        }
        if let Some(webhook) = connection.connector.webhook().filter(|_| connection.webhook_off.is_empty()) {
            talk(format!("webhooks    http://{hooks}{}", webhook.path()));
        }
    }
    for reason in opened.operations.unready().await? {
        talk(format!("NOT READY   {reason}"));
    }
    for pair in opened.engine().pairs().filter(|pair| !pair.is_approved()) {
        let name = &pair.mapping.name;
        talk(format!(
            "observing   {name} writes nothing yet: `bothways plan {name}` shows what it would do, `bothways approve {name}` (or \
             run --approve) lets it"
        ));
    }
    for pair in opened.engine().pairs() {
        let (name, Some(change)) = (&pair.mapping.name, pair.held()) else { continue };
        let going = if change.stopped.is_some() { "stands still" } else { "goes on as it was approved" };
        talk(format!(
            "held        {name} has changed and {going}: `bothways plan {name}` shows what the change would do, `bothways approve {name} \
             --digest DIGEST` lets it"
        ));
    }
    Ok(())
}
