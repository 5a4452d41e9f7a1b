//! An installation of Bothways in a folder of its own: documents, settings, a database; and the verbs, run as a person would.

use crate::real::canaries::assert_silent;
use crate::real::peer::{KEY, Peer};
use crate::real::program::{Process, bothways, free_port, root};
use crate::real::table::Table;
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;
use uuid::Uuid;

/// The shipped mapping's line about how often it looks.
const SHIPPED_SYNC: &str = "sync: { feed: 10s, reconcile: 24h }";
/// The shipped mapping's lines about fields, and the same with winners: an e-mail that both sides changed is decided for the local side, a
/// phone for the remote side, a name by a person.
const WINNERS: [(&str, &str); 2] = [
    (
        "normalize: [trim, lower], required: true }",
        "normalize: [trim, lower], required: true, winner: local }",
    ),
    ("phone: $.phone", "phone: { remote: $.phone, winner: remote }"),
];
/// Nothing looks by itself but the first walk: what happens then is due to webhooks alone.
pub(crate) const WEBHOOKS_ALONE: &str = "sync: { feed: never, reconcile: never }";
/// Full passes alone.
pub(crate) const PASSES_ALONE: &str = "sync: { feed: never, reconcile: 10s }";
/// The event feed alone.
pub(crate) const FEED_ALONE: &str = "sync: { feed: 5s, reconcile: never }";

/// What rotating tokens are encrypted with: 32 bytes in base64, and a canary as they are written.
const VAULT_KEY: &str = "kanarikanarikanarikanarikanarikanarikanariA=";

/// A folder with everything an installation needs.
pub(crate) struct Installation {
    folder: Arc<TempDir>,
    hooks: u16,
    settings: Vec<(&'static str, String)>,
}

/// What a verb that ended by itself left behind.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) talk: String,
}

impl Done {
    /// The document on stdout.
    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A shipped mapping that looks as often as `sync` says.
pub(crate) fn looking(text: &str, sync: &str) -> String {
    assert!(text.contains(SHIPPED_SYNC), "the shipped mapping has another line for `sync`");
    text.replace(SHIPPED_SYNC, sync)
}

impl Installation {
    /// An empty one with the shipped documents, which look as often as `sync` says.
    pub(crate) fn new(sync: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("bothways-real").tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("mappings")).expect("a folder");
        // Limits that keep a real Stripe happy would only make these tests long.
        let settings = vec![
            ("STRIPE_API_KEY", KEY.to_owned()),
            ("STRIPE_RATE", "100000/s".to_owned()),
            ("STRIPE_CONCURRENT", "32".to_owned()),
            ("BOTHWAYS_KEY", VAULT_KEY.to_owned()),
            // Everything that can be said of ours is said, and searched for what must not be.
            ("BOTHWAYS_LOG", "warn,bothways=trace".to_owned()),
        ];
        let installation = Self { folder: Arc::new(folder), hooks: free_port(), settings };
        installation.add("customers.yaml", |text| text);
        installation.add("stripe-customers.yaml", |text| looking(&text, sync));
        installation
    }

    /// The same with a winner for each field; see [`WINNERS`].
    pub(crate) fn with_winners(sync: &str) -> Self {
        let installation = Self::new(sync);
        let file = installation.folder().join("mappings/stripe-customers.yaml");
        let mut text = std::fs::read_to_string(&file).expect("the mapping");
        for (shipped, with_winner) in WINNERS {
            assert!(text.contains(shipped), "the shipped mapping has another line for `{shipped}`");
            text = text.replace(shipped, with_winner);
        }
        std::fs::write(file, text).expect("written");
        installation
    }

    /// One more of the shipped documents, as `edit` makes it.
    pub(crate) fn add(&self, document: &str, edit: impl FnOnce(String) -> String) {
        let text =
            std::fs::read_to_string(root().join("mappings").join(document)).expect("a shipped document");
        std::fs::write(self.folder().join("mappings").join(document), edit(text)).expect("written");
    }

    /// One more setting, or another value for one.
    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.settings.retain(|(known, _)| *known != name);
        self.settings.push((name, value.into()));
    }

    /// Where everything is.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The database's file.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder().join("bothways.db")
    }

    /// Where webhooks go.
    pub(crate) fn hooks_url(&self) -> String {
        format!("http://{}/hooks/stripe", self.hooks_address())
    }

    /// The host and port that they go to.
    pub(crate) fn hooks_address(&self) -> String {
        format!("127.0.0.1:{}", self.hooks)
    }

    /// Connects to this Stripe, without webhooks.
    pub(crate) fn connect(&mut self, peer: &Peer) {
        self.connect_to(peer.url());
    }

    /// Connects to a Stripe at this address.
    pub(crate) fn connect_to(&mut self, url: &str) {
        self.set("STRIPE_BASE_URL", url);
    }

    /// Connects to this Stripe, with webhooks.
    pub(crate) async fn connect_with_webhooks(&mut self, peer: &Peer) {
        self.connect(peer);
        let secret = peer.send_webhooks_to(&self.hooks_url()).await;
        self.set("STRIPE_WEBHOOK_SECRET", secret);
    }

    /// The same installation for a second process beside the first: only the port of its webhooks is another.
    pub(crate) fn with_other_ports(&self) -> Self {
        Self { folder: self.folder.clone(), hooks: free_port(), settings: self.settings.clone() }
    }

    /// Starts `run --approve` and waits until it works.
    pub(crate) async fn run(&self) -> Process {
        let mut running = self.start(&["run", "--approve"]);
        running.hear("that it is ready", |line| (line == "ready").then_some(())).await;
        running
    }

    /// Starts a verb.
    pub(crate) fn start(&self, words: &[&str]) -> Process {
        let log = self.folder().join(format!("{}-{}.log", words[0], Uuid::now_v7()));
        Process::start(&format!("bothways {}", words.join(" ")), &mut self.command(words), log)
    }

    /// Runs a verb to its end.
    pub(crate) fn verb(&self, words: &[&str]) -> Done {
        let output = self.command(words).output().expect("bothways runs");
        let talk = String::from_utf8(output.stderr).expect("UTF-8");
        assert_silent(&format!("what `bothways {}` says on stderr", words.join(" ")), &talk);
        Done { code: output.status.code(), out: String::from_utf8(output.stdout).expect("UTF-8"), talk }
    }

    /// The user's table, once the database is there.
    pub(crate) async fn table(&self) -> Table {
        Table::open(&self.file()).await
    }

    /// Everything that waits for a person.
    pub(crate) fn parked(&self) -> Vec<Json> {
        let done = self.verb(&["parked", "list", "--limit", "1000", "--format", "json"]);
        done.json().as_array().expect("a list").clone()
    }

    /// How the one mapping stands.
    pub(crate) fn status(&self) -> Json {
        let done = self.verb(&["status", "--format", "json"]);
        done.json()["mappings"][0].clone()
    }

    /// No variable of whoever runs the tests can get in: not a real key, not a real database.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(bothways());
        command.args(words).current_dir(self.folder()).env_clear().envs(self.settings.iter().cloned());
        command.env("BOTHWAYS_LISTEN", "127.0.0.1:0");
        command.env("BOTHWAYS_HOOKS_LISTEN", self.hooks_address());
        command.env("RUST_BACKTRACE", "1");
        command
    }
}
