//! `demo`: everything in one process, with a sandbox Stripe, an SQLite file and documents of its own. It reads no `.env`, no variable and
//! no setting of a real installation; only what was typed as a flag counts.

mod sandbox;

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
use bothways_connector_sandbox::{Config, Running as SandboxRunning, Sandbox, Stripe, serve};
use bothways_engine::{PlanAccount, PlanItem, PlanSink};
use bothways_mapping::{Project, SourceFile};
use bothways_model::{Record, Value};
use bothways_server::Server;
use bothways_store::Store;
use chrono::SubsecRound;
use sandbox::BesideSandbox;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// The demo's own documents, and the shipped ones of invoices.
const DOCUMENTS: [(&str, &str); 4] = [
    ("demo/customers.yaml", include_str!("../../demo/customers.yaml")),
    ("demo/stripe-customers.yaml", include_str!("../../demo/stripe-customers.yaml")),
    ("mappings/invoices.yaml", include_str!("../../../../mappings/invoices.yaml")),
    ("mappings/stripe-invoices.yaml", include_str!("../../../../mappings/stripe-invoices.yaml")),
];
/// The page's usual address; another port if it is taken.
const PAGE: &str = "127.0.0.1:7171";
/// Any free port.
const ANYWHERE: &str = "127.0.0.1:0";
const QUEUE: &str = "zeromq://127.0.0.1";

/// Rows that are there before anything runs.
const ROWS: [(&str, &str, &str); 3] = [
    ("Ada Lovelace", "ada@example.com", "+44 20 7946 0101"),
    ("Grace Hopper", "grace@example.com", "+1 202 555 0134"),
    ("Alan Turing", "alan@example.com", "+44 161 496 0912"),
];
/// Records that are there in the sandbox; one is somebody of [`ROWS`], by e-mail.
const RECORDS: [(&str, &str, &str); 3] = [
    ("Grace Hopper", "Grace@Example.com", "+1 202 555 0134"),
    ("Katherine Johnson", "katherine@example.com", "+1 757 555 0162"),
    ("Edsger Dijkstra", "edsger@example.com", "+31 20 555 0177"),
];

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
    let stripe = start_sandbox(hooks.local_addr()?).await?;
    let opened = open(project, &database, &stripe).await?;
    seed(&*opened.store, &stripe.running).await?;
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
    let beside = Arc::new(BesideSandbox::new(stripe.running.sandbox().clone()));
    let serving =
        bothways_server::Settings { open: true, ..bothways_server::Settings::new(main.local_addr()?) };
    serving.check().map_err(anyhow::Error::msg)?;
    let server = Server::with(opened.engine().clone(), serving, None, Some(beside));
    let running = opened.start();
    banner(&database, &stripe.running, &server, &opened);
    server.serve(main, Some(hooks), signals.end()).await;
    running.stop().await;
    stripe.running.stop().await;
    Ok(Ended::Well)
}

/// A plan that nobody looks at.
struct Unseen;

impl PlanSink for Unseen {
    fn begin(&mut self, _: &PlanAccount) {}

    fn item(&mut self, _: PlanItem) {}
}

fn documents() -> anyhow::Result<Project> {
    let files: Vec<SourceFile> = DOCUMENTS.iter().map(|(name, text)| SourceFile::new(*name, *text)).collect();
    check_files(&files).project.context("the demo's own documents have errors")
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

/// The sandbox, and the secret it signs webhooks with.
struct SandboxStripe {
    running: SandboxRunning,
    secret: String,
}

async fn start_sandbox(hooks: SocketAddr) -> anyhow::Result<SandboxStripe> {
    let listener = TcpListener::bind(ANYWHERE).await?;
    let config = Config { seed: rand::random(), ..Config::default() };
    let running = serve(listener, Sandbox::new(Stripe::new(config))).await?;
    let url = format!("http://{hooks}/hooks/stripe");
    let (_, secret) = running.sandbox().with(|stripe, now| stripe.dashboard_endpoint(&url, &[], now))?;
    Ok(SandboxStripe { running, secret })
}

async fn open(project: Project, database: &Database, stripe: &SandboxStripe) -> anyhow::Result<Opened> {
    let url = stripe.running.url();
    let lookup = |name: &str| match name {
        "STRIPE_BASE_URL" => Some(url.clone()),
        "STRIPE_API_KEY" => Some("sk_test_demo".to_owned()),
        "STRIPE_WEBHOOK_SECRET" => Some(stripe.secret.clone()),
        "STRIPE_RATE" => Some("200/s".to_owned()),
        _ => None,
    };
    let connections = Connections::open(&project, &lookup)?;
    let checked = check_files(&[]);
    database.install(&project, &checked).await?;
    let store = database.open_to_work(&project, &checked).await?;
    let queue = bothways_brokers::open(QUEUE).await?;
    Opened::assemble(project, connections, (store, None), queue, bothways_engine::Settings::default()).await
}

/// Puts a few people on both sides, and an invoice for one of them on each.
async fn seed(store: &dyn Store, stripe: &SandboxRunning) -> anyhow::Result<()> {
    let mut debtor = None;
    for (name, email, phone) in ROWS {
        let mut row = Record::new();
        for (field, text) in [("name", name), ("email", email), ("phone", phone)] {
            row.set(field.to_owned(), Value::Text(text.to_owned()));
        }
        debtor = Some(store.insert_row("customers", &row).await?);
    }
    for (name, email, phone) in RECORDS {
        let fields = json!({ "name": name, "email": email, "phone": phone });
        let made = stripe.sandbox().with(|stripe, now| stripe.dashboard_create(&fields, now))?;
        if email.starts_with("katherine") {
            let invoice = json!({
                "customer": made["id"], "currency": "usd", "description": "Trajectories", "total": 4_200,
            });
            stripe.sandbox().with(|stripe, now| stripe.dashboard_invoice(&invoice, now))?;
        }
    }
    if let Some(debtor) = debtor.and_then(|row| row.fields.get("id").cloned()) {
        let due = chrono::Utc::now().trunc_subsecs(0) + chrono::TimeDelta::days(30);
        let text = |text: &str| Value::Text(text.to_owned());
        let invoice = Record::from_iter([
            ("customer_id", debtor),
            ("currency", text("gbp")),
            ("status", text("draft")),
            ("memo", text("Enigma, repaired")),
            ("due_at", Value::Timestamp(due)),
        ]);
        store.insert_row("invoices", &invoice).await?;
    }
    Ok(())
}

fn banner(database: &Database, stripe: &SandboxRunning, server: &Server, opened: &Opened) {
    let file = database.shown();
    talk(
        "bothways demo: your table on one side, a sandbox Stripe on the other, both editable in the browser",
    );
    talk(format!("open        {}", server.login_url()));
    talk(format!(
        "database    sqlite3 -cmd '.timeout 5000' {file} \"insert into customers(name, email) values ('You', 'you@example.com')\""
    ));
    talk(format!(
        "stripe      curl {}/v1/customers -u sk_test_demo: -d name=Me -d email=me@example.com",
        stripe.url()
    ));
    talk(format!(
        "invoices    sqlite3 -cmd '.timeout 5000' {file} \"select id, customer_id, number, status, total, currency, memo from invoices\""
    ));
    talk(format!(
        "            curl {}/v1/invoices -u sk_test_demo: (pay one: -X POST …/v1/invoices/ID/finalize, then …/pay)",
        stripe.url()
    ));
    talk(format!("queue       {}", opened.engine().queue_address()));
    talk("Ctrl-C ends it and removes everything it made");
}
