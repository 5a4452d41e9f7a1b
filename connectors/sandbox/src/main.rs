//! `bothways-sandbox`: the sandbox services in a process of their own, for test suites in other languages.

use bothways_connector_sandbox::{Config, Sandbox, Stripe, serve};
use std::error::Error;
use std::process::ExitCode;
use tokio::net::TcpListener;

const USAGE: &str = "usage: bothways-sandbox [--listen 127.0.0.1:PORT] [--seed NUMBER] [--account ID] [--log NUMBER]

Serves an empty sandbox Stripe and, below /services/, an empty sandbox Salesforce on a loopback address (default: a free
port) and prints its URL when it is ready. Without --seed, every start makes other ids. --log says how many requests are
remembered. --account is the Stripe account's id. Steer Stripe below /_sandbox/, Salesforce below /_sandbox/salesforce/.";

struct Options {
    listen: String,
    config: Config,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = match read_options(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => return say(USAGE),
        Err(error) => return complain(&format!("{error}\n{USAGE}")),
    };
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error.to_string()),
    }
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(&options.listen).await?;
    let running = serve(listener, Sandbox::new(Stripe::new(options.config))).await?;
    say(&running.url());
    wait_for_end().await?;
    running.stop().await;
    Ok(())
}

#[cfg(unix)]
async fn wait_for_end() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        ended = tokio::signal::ctrl_c() => ended,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn wait_for_end() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}

/// The options, none where help is wanted.
fn read_options(mut args: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    // Fresh ids each time: whoever is still linked to the records of an earlier start must not take these for them.
    let mut options = Options {
        listen: "127.0.0.1:0".into(),
        config: Config { seed: rand::random(), ..Config::default() },
    };
    while let Some(name) = args.next() {
        if name == "--help" || name == "-h" {
            return Ok(None);
        }
        let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--listen" => options.listen = value,
            "--account" => options.config.account = Some(value),
            "--seed" => {
                options.config.seed = value.parse().map_err(|_| "--seed needs a number".to_owned())?
            }
            "--log" => {
                options.config.log_limit = value.parse().map_err(|_| "--log needs a number".to_owned())?
            }
            _ => return Err(format!("unknown option {name}")),
        }
    }
    Ok(Some(options))
}

#[allow(clippy::print_stdout, reason = "the address is this program's output")]
fn say(text: &str) -> ExitCode {
    println!("{text}");
    ExitCode::SUCCESS
}

#[allow(clippy::print_stderr, reason = "a program without a log complains here")]
fn complain(text: &str) -> ExitCode {
    eprintln!("bothways-sandbox: {text}");
    ExitCode::from(2)
}
