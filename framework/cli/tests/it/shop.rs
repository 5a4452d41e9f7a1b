//! A small installation in a folder of its own: documents, a database, a sandbox Stripe; and the binary run in it.

use bothways_connector_sandbox::{Config, Running, Sandbox, Stripe, serve};
use serde_json::Value as Json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Executor, Row};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// Customers who are the people of a service called `desk`, which each test describes for itself.
pub(crate) const DESK_MAPPING: &str = "mapping: desk-people
local: customers
remote: desk/people
identity: { match: [email] }
fields: { email: $.email, name: $.name }
creates: { from_local: ignore }
";

/// Longer than anything takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) const CATALOG: &str = "catalog: customers
table: customers
key: id
fields: { id: int, name: text?, email: text, phone: text? }
";

pub(crate) const MAPPING: &str = "mapping: stripe-customers
local: customers
remote: stripe/customers
identity: { match: [email], stamp: $.metadata.bothways }
fields:
  email: { remote: $.email, normalize: [trim, lower], required: true }
  name: $.name
  phone: $.phone
sync: { feed: 1s, reconcile: 24h }
";

/// A table as somebody's product would have it.
pub(crate) const TABLE: &str = "CREATE TABLE customers (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, email TEXT NOT NULL UNIQUE, phone TEXT)";

/// What a run of the binary gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    fn new(output: Output, secrets: &Secrets) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("text");
        let code = output.status.code().unwrap_or(-1);
        let ran = Self { code, out: text(output.stdout), err: text(output.stderr) };
        secrets.are_kept_by(&ran.err);
        ran
    }

    /// The output as one JSON document.
    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The output as one JSON document on each line.
    pub(crate) fn json_lines(&self) -> Vec<Json> {
        let read =
            |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        self.out.lines().map(read).collect()
    }

    /// Fails unless it ended with this code.
    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}

/// What no run may say, neither to a person at the terminal nor in its log (`RULES.md` S25): what the variables of the tests hold that
/// are secrets, and whatever else a test names.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    /// A shorter one may be a word of ours.
    const SHORTEST: usize = 12;

    fn of(env: &[(String, String)], named: &[String]) -> Self {
        let is_secret = |name: &str| {
            !name.ends_with("_FILE") && ["KEY", "SECRET", "TOKEN"].iter().any(|word| name.contains(word))
        };
        let variables = env.iter().filter(|(name, _)| is_secret(name)).flat_map(|(_, text)| text.split(','));
        let all = variables.chain(named.iter().map(String::as_str));
        Self(all.filter(|text| text.len() >= Self::SHORTEST).map(str::to_owned).collect())
    }

    /// Fails if one of them was said.
    #[track_caller]
    fn are_kept_by(&self, said: &str) {
        for secret in &self.0 {
            assert!(!said.contains(secret), "the secret that begins with {}… was said: {said}", &secret[..4]);
        }
    }
}

#[test]
fn secrets_are_known_by_their_variables() {
    let env = [
        ("STRIPE_WEBHOOK_SECRET", "whsec_the_first_one,whsec_the_second"),
        ("BOTHWAYS_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
        ("STRIPE_API_KEY_FILE", "/run/secrets/stripe"),
        ("CRM_TOKEN", "right"),
        ("CRM_BASE_URL", "https://crm.example"),
    ]
    .map(|(name, text)| (name.to_owned(), text.to_owned()));
    let secrets = Secrets::of(&env, &["given-by-the-service".to_owned()]);
    let known = ["whsec_the_first_one", "whsec_the_second", &env[1].1, "given-by-the-service"];
    assert_eq!(secrets.0, known);
    secrets.are_kept_by("right, https://crm.example, /run/secrets/stripe");
    let said = std::panic::catch_unwind(|| secrets.are_kept_by("sent with whsec_the_second"));
    assert!(said.is_err());
}

/// The installation.
pub(crate) struct Shop {
    folder: TempDir,
    pub(crate) stripe: Running,
    env: Vec<(String, String)>,
    secrets: Vec<String>,
}

impl Shop {
    /// With both documents, an empty sandbox and no database.
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let config = Config { seed: 7, ..Config::default() };
        let stripe = serve(listener, Sandbox::new(Stripe::new(config))).await.expect("a sandbox");
        let env = vec![
            ("STRIPE_API_KEY".to_owned(), "sk_test_shop".to_owned()),
            ("STRIPE_BASE_URL".to_owned(), stripe.url()),
            ("STRIPE_RATE".to_owned(), "1000/s".to_owned()),
        ];
        let folder = TempDir::new().expect("a folder");
        let shop = Self { folder, stripe, env, secrets: Vec::new() };
        shop.write("mappings/customers.yaml", CATALOG);
        shop.write("mappings/stripe-customers.yaml", MAPPING);
        shop
    }

    /// The same with a table that was there before.
    pub(crate) async fn with_table() -> Self {
        let shop = Self::new().await;
        shop.sql(TABLE).await;
        shop
    }

    /// Sets a variable for all runs from here on; nothing removes it.
    pub(crate) fn set(&mut self, name: &str, value: Option<&str>) {
        self.env.retain(|(known, _)| known != name);
        self.env.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    }

    /// No run from here on may say this either: what a service gives, and no variable holds.
    pub(crate) fn keeps(&mut self, secret: &str) {
        self.secrets.push(secret.to_owned());
    }

    fn secrets(&self) -> Secrets {
        Secrets::of(&self.env, &self.secrets)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    fn command(&self, args: &[&str]) -> Command {
        command(self.folder.path(), &self.env, args)
    }

    /// Runs the binary to its end.
    pub(crate) async fn run(&self, args: &[&str]) -> Ran {
        let output = self.command(args).stdin(Stdio::null()).output().await.expect("it starts");
        Ran::new(output, &self.secrets())
    }

    /// Starts the binary, which says on its first line what a person is to do.
    pub(crate) async fn ask(&self, args: &[&str]) -> Asking {
        let mut command = self.command(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("it starts");
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.as_mut().expect("output"));
        tokio::time::timeout(PATIENCE, out.read_line(&mut line)).await.expect("a line").expect("a line");
        Asking { child, line: line.trim().to_owned(), secrets: self.secrets() }
    }

    /// Starts the engine on free ports.
    pub(crate) fn start(&self, args: &[&str]) -> Engine {
        let mut all = vec!["run", "--listen", "127.0.0.1:0", "--hooks-listen", "127.0.0.1:0"];
        all.extend(args);
        Engine::start(self.command(&all), self.secrets())
    }

    /// The same with a terminal as its standard error.
    pub(crate) fn start_at_terminal(&self) -> Engine {
        let run = self.command(&["run", "--listen", "127.0.0.1:0", "--hooks-listen", "127.0.0.1:0"]);
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/terminal"));
        command.arg(run.as_std().get_program()).args(run.as_std().get_args());
        command.env_clear().envs(run.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("PATH", std::env::var_os("PATH").expect("a path to Python"));
        command.current_dir(run.as_std().get_current_dir().expect("a folder")).kill_on_drop(true);
        Engine::start(command, self.secrets())
    }

    /// Runs SQL as any program would, and returns the first column of the first row as text, if there is one.
    pub(crate) async fn sql(&self, text: &str) -> Option<String> {
        sql(&self.path("bothways.db"), text).await
    }

    /// Edits the sandbox as a person would at its dashboard; returns the record's id.
    pub(crate) fn customer(&self, name: &str, email: &str) -> String {
        let fields = serde_json::json!({ "name": name, "email": email });
        let made = self.stripe.sandbox().with(|stripe, now| stripe.dashboard_create(&fields, now));
        made.expect("created")["id"].as_str().expect("an id").to_owned()
    }

    pub(crate) fn rename(&self, id: &str, name: &str) {
        let fields = serde_json::json!({ "name": name });
        self.stripe.sandbox().with(|stripe, now| stripe.dashboard_update(id, &fields, now)).expect("updated");
    }

    /// Deletes a customer at the sandbox's dashboard.
    pub(crate) fn remove(&self, id: &str) {
        self.stripe.sandbox().with(|stripe, now| stripe.dashboard_delete(id, now)).expect("deleted");
    }

    /// Where the sandbox is.
    pub(crate) fn address(&self) -> String {
        self.stripe.url()
    }

    /// A field of the sandbox's customer with this e-mail address.
    pub(crate) fn remote(&self, email: &str, field: &str) -> Option<String> {
        let customers = self.stripe.sandbox().with(|stripe, _| stripe.customers());
        let customer = customers.into_iter().find(|customer| customer["email"] == email)?;
        customer[field].as_str().map(str::to_owned)
    }

    /// Requests that changed something at the sandbox.
    pub(crate) fn remote_writes(&self) -> u64 {
        self.stripe.sandbox().with(|stripe, _| stripe.counts().writes)
    }
}

/// The binary in a folder, with no variables but these.
pub(crate) fn command(folder: &Path, env: &[(String, String)], args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bothways"));
    command.args(args).current_dir(folder).env_clear().kill_on_drop(true);
    command.env("USER", "tester").envs(env.iter().map(|(name, value)| (name, value)));
    command
}

/// See [`Shop::sql`].
pub(crate) async fn sql(file: &Path, text: &str) -> Option<String> {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let mut connection: SqliteConnection =
        options.busy_timeout(PATIENCE).connect().await.expect("the database opens");
    let row = connection.fetch_optional(sqlx::raw_sql(sqlx::AssertSqlSafe(text))).await.expect("it runs");
    row.and_then(|row| row.try_get_unchecked::<Option<String>, _>(0).expect("text"))
}

/// Waits until `look` finds something.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited in vain: {what}");
}

/// A binary that waits for what it told a person to do.
pub(crate) struct Asking {
    child: Child,
    /// What it said.
    pub(crate) line: String,
    secrets: Secrets,
}

impl Asking {
    /// Waits for its end.
    pub(crate) async fn ends(self) -> Ran {
        Ran::new(self.child.wait_with_output().await.expect("it ends"), &self.secrets)
    }
}

/// A binary that runs on.
pub(crate) struct Engine {
    child: Child,
    err: watch::Receiver<String>,
    secrets: Secrets,
}

impl Drop for Engine {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.secrets.are_kept_by(&self.said());
        }
    }
}

impl Engine {
    /// Starts it; none of these secrets may be said before it is dropped.
    pub(crate) fn start(mut command: Command, secrets: Secrets) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let (sender, err) = watch::channel(String::new());
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                sender.send_modify(|all| {
                    all.push_str(&line);
                    all.push('\n');
                });
            }
        });
        Self { child, err, secrets }
    }

    /// Its process id.
    #[cfg(target_os = "linux")]
    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Everything it has said so far.
    pub(crate) fn said(&self) -> String {
        self.err.borrow().clone()
    }

    /// Waits until it has said this, and returns everything said so far.
    pub(crate) async fn says(&self, text: &str) -> String {
        let mut err = self.err.clone();
        let heard = err.wait_for(|all| all.contains(text));
        match tokio::time::timeout(PATIENCE, heard).await {
            Ok(Ok(all)) => all.clone(),
            _ => panic!("it never said {text:?}: {}", self.said()),
        }
    }

    /// The first word after `label` at the start of a line.
    pub(crate) fn word(&self, label: &str) -> String {
        let said = self.said();
        let line = said.lines().find_map(|line| line.strip_prefix(label));
        let word = line.and_then(|line| line.split_whitespace().next());
        word.unwrap_or_else(|| panic!("no line begins with {label:?}: {said}")).to_owned()
    }

    /// Scheme, host and port of the page.
    pub(crate) fn base(&self, label: &str) -> String {
        let url = self.word(label);
        let end = url.match_indices('/').nth(2).map_or(url.len(), |(at, _)| at);
        url[..end].to_owned()
    }

    /// Asks it to end, and returns how it did.
    pub(crate) async fn stop(mut self) -> i32 {
        let id = self.child.id().expect("it runs").to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status().await.expect("kill runs");
        assert!(asked.success());
        let status =
            tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends").expect("waited");
        self.ends_to_speak().await;
        status.code().unwrap_or(-1)
    }

    /// Kills it without asking.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("killed");
        self.ends_to_speak().await;
    }

    /// Waits until its last words are heard: whoever speaks for it drops the sender then.
    async fn ends_to_speak(&mut self) {
        let heard = async { while self.err.changed().await.is_ok() {} };
        tokio::time::timeout(PATIENCE, heard).await.expect("its standard error ends");
    }
}
