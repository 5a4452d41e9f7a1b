//! Programs under test and beside it: where they are, and processes that end with the test that started them.

use crate::real::canaries::assert_silent;
use crate::real::patience::{SOON, until};
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use uuid::Uuid;

/// The program under test.
pub(crate) fn bothways() -> PathBuf {
    built("BOTHWAYS_BIN", "bothways")
}

/// The sandbox Stripe as a program.
pub(crate) fn sandbox() -> PathBuf {
    built("BOTHWAYS_SANDBOX_BIN", "bothways-sandbox")
}

/// A Python that has localstripe.
pub(crate) fn python() -> PathBuf {
    let usual = || root().join("tests/.cache/venv/bin/python");
    std::env::var_os("LOCALSTRIPE_PYTHON").map_or_else(usual, PathBuf::from)
}

/// The repository's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_owned()
}

/// What the variable names, else what cargo builds now, so that no stale program is tested.
fn built(variable: &str, name: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        return PathBuf::from(path);
    }
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(build).join(name)
}

fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--bins", "-p", "bothways-cli", "-p", "bothways-connector-sandbox"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo build: {}", String::from_utf8_lossy(&output.stderr));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    root().join(target).join("debug")
}

/// A port on loopback that is free now. It lies below the ports that systems give to outgoing connections, so it stays free while a
/// program is down between two starts.
pub(crate) fn free_port() -> u16 {
    for _ in 0..1_000 {
        let drawn = u16::try_from(Uuid::new_v4().as_u128() % 20_000).expect("below 20,000");
        let port = 11_000 + drawn;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port on loopback");
}

/// A process that is killed, by its own id, when this is dropped. What it said is shown if the test fails.
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it; all that it says goes to `log`.
    pub(crate) fn start(name: &str, command: &mut Command, log: PathBuf) -> Self {
        let file = File::create(&log).expect("a log file");
        let both = file.try_clone().expect("a log file");
        let child = command.stdin(Stdio::null()).stdout(file).stderr(both).spawn().unwrap_or_else(|error| {
            panic!("{name} cannot be started ({}): {error}", command.get_program().display())
        });
        Self { name: name.to_owned(), child, log }
    }

    /// What it said so far.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits for a line that `read` understands.
    pub(crate) async fn hear<T>(&mut self, what: &str, read: impl Fn(&str) -> Option<T>) -> T {
        let what = format!("{}: {what}", self.name);
        until(&what, SOON, async || {
            let said = self.said();
            // Only whole lines: the last one may still be under way.
            let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
            if let Some(found) = whole.lines().find_map(&read) {
                return Ok(found);
            }
            let ended = self.child.try_wait().expect("the state of a process");
            assert!(ended.is_none(), "{what}: it has ended, {ended:?}:\n{said}");
            Err("not said".into())
        })
        .await
    }

    /// Where `run` serves the API and the page.
    pub(crate) async fn page(&mut self) -> String {
        let address = |line: &str| {
            let url = line.strip_prefix("page")?.trim();
            url.split_once("/login").map(|(url, _)| url.to_owned())
        };
        self.hear("where its page is", address).await
    }

    /// SIGKILL, at once.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it has ended");
        self.search();
    }

    /// Searches what our program said for what it must not say.
    fn search(&self) {
        if self.name.starts_with("bothways") {
            assert_silent(&format!("the log of {}", self.name), &self.said());
        }
    }

    /// Waits until it ends by itself.
    pub(crate) async fn end(&mut self) -> ExitStatus {
        let name = self.name.clone();
        until(&format!("the end of {name}"), SOON * 3, async || {
            self.child.try_wait().expect("the state of a process").ok_or_else(|| "it runs".into())
        })
        .await
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the state of a process").is_none()
    }
}

impl Drop for Process {
    #[allow(clippy::print_stderr, reason = "shown with the failure of a test")]
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            self.search();
        } else {
            let said = self.said();
            let lines: Vec<&str> = said.lines().collect();
            let last = &lines[lines.len().saturating_sub(60)..];
            eprintln!("---- the last words of {}:\n{}", self.name, last.join("\n"));
        }
    }
}
