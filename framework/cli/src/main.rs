//! The binary `bothways`: reads settings, puts the crates together, prints. No sync logic is here.

mod cli;
mod connections;
mod core_dumps;
mod database;
mod documents;
mod engine_lock;
mod environment;
mod moment;
mod opened;
mod output;
mod ports;
mod private_file;
mod private_folder;
mod progress;
mod recorded;
mod scratch;
mod settings;
mod signals;
mod tokens;
mod trouble;
mod unknown_name;
mod vault;
mod verbs;

use crate::cli::{Cli, Verb};
use crate::opened::FindingsShown;
use crate::output::{Ended, talk};
use crate::settings::{Format, Settings};
use bothways_engine::EngineError;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    frugal_malloc();
    core_dumps::refuse();
    let (cli, context) = match read_command_line() {
        Ok(read) => read,
        Err(error) => return exit_code(Err(error)),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit_code(Err(error.into())),
    };
    let ended = runtime.block_on(verbs::run(cli, context));
    // What still runs is repaired at the next start like after a crash; nobody waits for it.
    runtime.shutdown_background();
    exit_code(ended)
}

/// Starts this program again, in place, with a malloc that keeps less, unless somebody chose the number of its arenas: glibc makes one for
/// almost every thread, and what wanders between threads leaves holes in each of them (a fifth of all memory in a first full pass). It
/// also keeps seven freed pieces of every size for each thread, and the heap's end when a large piece is freed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn frugal_malloc() {
    use std::os::unix::process::CommandExt;
    const ARENAS: &str = "MALLOC_ARENA_MAX";
    if std::env::var_os(ARENAS).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    // Started through a loader (`ld.so bothways`), the running file is the loader.
    if program.file_name() != Some(std::ffi::OsStr::new(env!("CARGO_BIN_NAME"))) {
        return;
    }
    let mut words = std::env::args_os();
    let mut again = std::process::Command::new(program);
    if let Some(name) = words.next() {
        again.arg0(name);
    }
    again.args(words).env(ARENAS, "1");
    for (name, value) in [
        ("MALLOC_MMAP_THRESHOLD_", "65536"),
        ("MALLOC_TRIM_THRESHOLD_", "131072"),
        ("GLIBC_TUNABLES", "glibc.malloc.tcache_count=2"),
    ] {
        if std::env::var_os(name).is_none() {
            again.env(name, value);
        }
    }
    // Returns only if it failed; then it goes on as it is.
    let _ = again.exec();
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn frugal_malloc() {}

/// The command line, read after `.env` where settings matter. Starts the log. No thread runs yet.
fn read_command_line() -> anyhow::Result<(Cli, verbs::Context)> {
    let matches = parse();
    let cli = Cli::from_arg_matches(&matches)?;
    let needs_settings = !matches!(cli.verb, Verb::Demo | Verb::ExplainCode(_) | Verb::Completions(_));
    let (matches, cli) = if needs_settings && environment::read_dotenv(Path::new("."))? {
        talk("settings from .env in this folder");
        if environment::is_open_to_others(Path::new(".")) {
            talk("others can read .env; if it holds a secret, `chmod 600 .env`");
        }
        let matches = parse();
        let cli = Cli::from_arg_matches(&matches)?;
        (matches, cli)
    } else {
        (matches, cli)
    };
    start_log(&cli)?;
    let by_flag = |name: &str| matches.value_source(name) == Some(ValueSource::CommandLine);
    let context = verbs::Context {
        database_named: Settings::names_database(&matches),
        database_flag: by_flag("database").then(|| cli.settings.database.clone()),
        listen_flag: by_flag("listen").then_some(cli.settings.listen),
    };
    Ok((cli, context))
}

/// Ends the process with a message where there is nothing to be done: help, version, words that make no sense.
fn parse() -> ArgMatches {
    Cli::command().get_matches()
}

fn start_log(cli: &Cli) -> anyhow::Result<()> {
    let usual = match cli.verb {
        Verb::Run(_) => "warn,bothways=info",
        _ => "error,bothways=warn",
    };
    let words = cli.settings.log.as_deref().unwrap_or(usual);
    let filter = EnvFilter::try_new(words).map_err(|error| anyhow::anyhow!("--log {words}: {error}"))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if cli.settings.format == Format::Json {
        log.json().init();
    } else {
        log.with_ansi(std::io::stderr().is_terminal()).with_target(false).init();
    }
    Ok(())
}

fn exit_code(ended: anyhow::Result<Ended>) -> ExitCode {
    match ended {
        Ok(Ended::Well) => ExitCode::SUCCESS,
        Ok(Ended::Waiting) => ExitCode::from(1),
        Err(error) if error.is::<FindingsShown>() => ExitCode::from(1),
        Err(error) => {
            talk(format!("bothways: {error:#}"));
            match error.downcast_ref::<EngineError>() {
                Some(EngineError::Refused(_) | EngineError::Braked(_) | EngineError::NotFound(_)) => {
                    ExitCode::from(1)
                }
                _ => ExitCode::from(2),
            }
        }
    }
}
