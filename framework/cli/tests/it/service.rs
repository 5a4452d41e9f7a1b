//! A service made of one function, for what the sandbox does not do.

use serde_json::Value as Json;
use std::net::Ipv4Addr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

/// What a service was asked.
pub(crate) struct Asked {
    head: String,
    pub(crate) body: String,
}

impl Asked {
    /// Path and query.
    pub(crate) fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    async fn read(stream: &mut TcpStream) -> Option<Self> {
        let mut read = Vec::new();
        loop {
            if stream.read_buf(&mut read).await.ok()? == 0 {
                return None;
            }
            let text = String::from_utf8_lossy(&read).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let asked = Self { head: head.to_owned(), body: body.to_owned() };
            let length = asked.header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
            if asked.body.len() >= length {
                return Some(asked);
            }
        }
    }
}

/// An address where nobody listens as long as this is kept: a port that is held, so that nothing else comes to listen there.
pub(crate) struct Nobody(TcpSocket);

impl Nobody {
    pub(crate) fn listens() -> Self {
        let held = TcpSocket::new_v4().expect("a socket");
        held.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
        Self(held)
    }

    /// Its base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().expect("bound"))
    }
}

/// A status, headers and a body.
pub(crate) type Answer = (u16, Vec<(&'static str, String)>, Json);

/// Serves on a port of its own until the task is aborted; returns its base URL.
pub(crate) async fn serve(
    answer: impl Fn(&Asked) -> Answer + Clone + Send + 'static,
) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(one(stream, answer.clone()));
        }
    });
    (address, serving)
}

async fn one(mut stream: TcpStream, answer: impl Fn(&Asked) -> Answer) -> Option<()> {
    let asked = Asked::read(&mut stream).await?;
    let (status, headers, body) = answer(&asked);
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let body = body.to_string();
    let text = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).await.ok()
}
