//! `login`: a person lets a connection in at its service (authorization code with PKCE), and the browser brings the answer to loopback.

use crate::cli::Login as Arguments;
use crate::opened::{Opened, person};
use crate::output::{Ended, Output, talk};
use crate::settings::Settings;
use anyhow::{Context, bail};
use bothways_connector::Login;
use bothways_model::Secret;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// How long a person may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long a browser may take to say what it wants, and how much it may say.
const ASKING: Duration = Duration::from_secs(10);
const LONGEST: usize = 16 * 1024;

pub(super) async fn run(settings: &Settings, args: &Arguments, out: Output) -> anyhow::Result<Ended> {
    let opened = Opened::open(settings).await?;
    let connection = opened.connection(&args.connection)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port.unwrap_or(0))).await;
    let listener = listener.context("the port that the browser is sent back to cannot be had")?;
    let login = Login {
        redirect: format!("http://127.0.0.1:{}/callback", listener.local_addr()?.port()),
        state: random(),
        verifier: Secret::new(random()),
    };
    let url = opened.operations.login_url(&connection, &login)?;
    talk("open this in your browser, and let Bothways in:");
    if out.is_json() {
        out.json(&json!({ "open": url }))?;
    } else {
        out.line(&url)?;
    }
    let answer = tokio::time::timeout(PATIENCE, wait(&listener, &login)).await;
    let (mut browser, code) = answer.context("nobody let it in within ten minutes")??;
    let done = opened.operations.log_in(&connection, &login, &code, &person()).await;
    let shown = match &done {
        Ok(()) => "Bothways is let in. You can close this window.",
        Err(_) => "That did not work. See what the terminal says.",
    };
    // The person sees the terminal as well.
    let _ = answer_with(&mut browser, "200 OK", shown).await;
    done?;
    talk(format!(
        "connection {connection} is let in; if it is paused: `bothways resume connection {connection}`"
    ));
    Ok(Ended::Well)
}

/// 256 bits that nobody can guess, in letters and digits.
fn random() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

/// Waits for the browser that brings a code for this login.
async fn wait(listener: &TcpListener, login: &Login) -> anyhow::Result<(TcpStream, Secret)> {
    loop {
        let (mut browser, _) = listener.accept().await?;
        let asked = tokio::time::timeout(ASKING, asked(&mut browser)).await.ok().flatten();
        let Some(url) = asked else { continue };
        let field =
            |name: &str| url.query_pairs().find(|(n, _)| n == name).map(|(_, value)| value.into_owned());
        let is_ours =
            field("state").is_some_and(|state| Sha256::digest(state) == Sha256::digest(&login.state));
        if url.path() != "/callback" || !is_ours {
            let _ =
                answer_with(&mut browser, "404 Not Found", "This is not the answer to a login under way.")
                    .await;
            continue;
        }
        match (field("code").filter(|code| !code.is_empty()), field("error")) {
            (Some(code), None) => return Ok((browser, Secret::new(code))),
            (_, error) => {
                let _ = answer_with(&mut browser, "200 OK", "Bothways was not let in.").await;
                let word: String =
                    error.unwrap_or_default().chars().filter(char::is_ascii_graphic).take(40).collect();
                bail!("the service did not let it in ({word})");
            }
        }
    }
}

/// The address that a browser asks for; `None` if it asks for nothing that can be read.
async fn asked(browser: &mut TcpStream) -> Option<Url> {
    let mut read = Vec::new();
    while !read.windows(4).any(|end| end == b"\r\n\r\n") {
        if read.len() > LONGEST || browser.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
    let text = String::from_utf8(read).ok()?;
    let target = text.lines().next()?.strip_prefix("GET ")?.split(' ').next()?;
    Url::parse("http://127.0.0.1").ok()?.join(target).ok()
}

async fn answer_with(browser: &mut TcpStream, status: &str, text: &str) -> std::io::Result<()> {
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\ncache-control: no-store\r\n\
         referrer-policy: no-referrer\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n{text}",
        text.len()
    );
    browser.write_all(answer.as_bytes()).await?;
    browser.shutdown().await
}
