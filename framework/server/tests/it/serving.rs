//! The real listeners: what belongs to which, whom they count as local, and how they stop.

use crate::world::{SECRET, World};
use axum::http::StatusCode;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Sends one request by hand and returns all that comes back.
async fn ask(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost:{}\r\nAuthorization: Bearer {SECRET}\r\nConnection: close\r\n\r\n",
        address.port()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn each_listener_has_its_own_routes_and_both_stop() {
    let world = World::new().await;
    let ((main, main_at), (hooks, hooks_at)) = (listen().await, listen().await);
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(world.server.clone().serve(main, Some(hooks), async {
        let _ = stopped.await;
    }));
    assert!(ask(main_at, "/api/catalogs").await.starts_with("HTTP/1.1 200"));
    assert!(ask(main_at, "/hooks/stripe").await.starts_with("HTTP/1.1 404"));
    assert!(ask(hooks_at, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(ask(hooks_at, "/api/catalogs").await.starts_with("HTTP/1.1 404"));
    // A stream that would never end by itself must not hold the stop up.
    let mut stream = TcpStream::connect(main_at).await.unwrap();
    let request =
        format!("GET /api/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {SECRET}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("event: changed") {
        assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0);
    }
    stop.send(()).unwrap();
    stream.read_to_end(&mut seen).await.unwrap();
    serving.await.unwrap();
    assert!(TcpStream::connect(main_at).await.is_err());
    assert!(TcpStream::connect(hooks_at).await.is_err());
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let world = World::new().await;
    let (main, address) = listen().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(world.server.clone().serve(main, None, async {
        let _ = stopped.await;
    }));
    let answer = ask(address, &format!("/?{}", "x".repeat(100 * 1024))).await;
    let status: u16 = answer[9..12].parse().unwrap();
    assert!(StatusCode::from_u16(status).unwrap().is_client_error(), "{answer}");
    stop.send(()).unwrap();
    serving.await.unwrap();
}
