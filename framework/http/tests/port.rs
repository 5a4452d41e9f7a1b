//! The port against servers on loopback that behave and misbehave.

mod server;

use bothways_connector::{CallRate, Limits, PathSegment, Throttling, UsedHeader, UsedPart};
use bothways_engine::{Http, Purpose, SendError};
use bothways_http::{Forbidden, HttpPort, Settings};
use bothways_model::{ConnectionName, Method, Request, Response, Secret, Segment, SingularPath};
use futures::future::join_all;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use server::{Answer, Server, answer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket};
use tokio_rustls::rustls::crypto::aws_lc_rs;

const SECOND: Duration = Duration::from_secs(1);

fn limits(origin: impl Into<String>) -> Limits {
    Limits {
        origin: origin.into(),
        origin_from_operator: true,
        token_origin: None,
        requests: 100_000,
        per: SECOND,
        burst: 100_000,
        concurrent: 64,
        timeout: SECOND * 10,
        throttling: Throttling::default(),
        retry_header: None,
        calls: Vec::new(),
        daily: None,
        used: None,
    }
}

fn origin(address: SocketAddr) -> String {
    format!("http://{address}")
}

fn port(limits: &Limits) -> HttpPort {
    port_with(limits, Settings::default())
}

fn port_with(limits: &Limits, settings: Settings) -> HttpPort {
    HttpPort::new([(name(), limits)], settings).unwrap()
}

fn name() -> ConnectionName {
    "stripe".into()
}

fn get(address: SocketAddr, path: &str) -> Request {
    Request::new(Method::Get, format!("http://{address}{path}"))
}

async fn send(port: &HttpPort, request: Request) -> Result<Response, SendError> {
    port.send(&name(), Purpose::Live, request, SECOND * 10).await
}

fn ok(_: usize, _: &str) -> Answer {
    answer("200 OK", "content-type: application/json\r\n", b"{}")
}

#[tokio::test]
async fn a_request_arrives_as_it_was_built() {
    let server = Server::start(ok).await;
    let mut request = Request::new(Method::Post, format!("http://{}/v1/c%2Fd?a[b]=1", server.address))
        .with_header("Idempotency-Key", "k1")
        .with_header("content-type", "application/x-www-form-urlencoded");
    request.body = b"name=x".to_vec();
    request.secret_headers.push(("authorization".into(), Secret::new("Bearer sk_test_1")));
    request.secret_query.push(("key".into(), Secret::new("s&1")));
    let answer = send(&port(&limits(origin(server.address))), request).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.body, b"{}");
    let seen = server.requests().remove(0);
    assert!(seen.starts_with("POST /v1/c%2Fd?a[b]=1&key=s%261 HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("\r\nidempotency-key: k1\r\n"), "{seen}");
    assert!(seen.contains("\r\nauthorization: Bearer sk_test_1\r\n"), "{seen}");
    assert!(seen.ends_with("\r\n\r\nname=x"), "{seen}");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Server::start(ok).await;
    let to = format!("location: http://{}/\r\n", elsewhere.address);
    let server = Server::start(move |_, _| answer("302 Found", &to, b"")).await;
    let answer = send(&port(&limits(origin(server.address))), get(server.address, "/")).await.unwrap();
    assert_eq!(answer.status, 302);
    assert_eq!((server.count(), elsewhere.count()), (1, 0));
}

#[tokio::test]
async fn other_origins_are_refused_before_anything_is_sent() {
    let (server, other) = (Server::start(ok).await, Server::start(ok).await);
    let port = port(&limits(origin(server.address)));
    for url in [
        origin(other.address),
        format!("https://{}/", server.address),
        format!("http://localhost:{}/", server.address.port()),
        format!("http://u:p@{}/", server.address),
        format!("http://{}@{}/", server.address, other.address),
        "not a url".into(),
        "file:///etc/passwd".into(),
    ] {
        let refused = send(&port, Request::new(Method::Get, &*url)).await.unwrap_err();
        assert!(matches!(refused, SendError::Forbidden(_)), "{url}: {refused}");
    }
    let unknown = port.send(&"other".into(), Purpose::Live, get(server.address, "/"), SECOND).await;
    assert!(matches!(unknown, Err(SendError::Forbidden(_))));
    assert_eq!((server.count(), other.count()), (0, 0));
}

#[tokio::test]
async fn private_addresses_are_refused() {
    for base in ["https://10.0.0.1", "https://[::1]", "http://example.com"] {
        let document = Limits { origin_from_operator: false, ..limits(base) };
        assert!(HttpPort::new([(name(), &document)], Settings::default()).is_err(), "{base}");
    }
    let metadata = HttpPort::new([(name(), &limits("https://169.254.169.254"))], Settings::default());
    assert_eq!(metadata.unwrap_err().reason, Forbidden::Metadata);

    // A name passes at first; it is refused when it turns out to lead inside.
    let server = Server::start(ok).await;
    let base = format!("https://localhost:{}", server.address.port());
    let document = Limits { origin_from_operator: false, ..limits(base.clone()) };
    let refused = send(&port(&document), Request::new(Method::Get, base)).await.unwrap_err();
    assert_eq!(refused, SendError::Forbidden(Forbidden::PrivateAddress.to_string()));
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn what_never_left_is_told_from_what_was_lost() {
    // Nobody listens on a port that is held and no more.
    let held = TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let gone = held.local_addr().unwrap();
    let error = send(&port(&limits(origin(gone))), get(gone, "/?secret=1")).await.unwrap_err();
    assert!(matches!(&error, SendError::NotSent(why) if !why.contains("secret")), "{error}");

    let nowhere = "https://host.invalid";
    let hasty = Limits { timeout: SECOND, ..limits(nowhere) };
    let error = send(&port(&hasty), Request::new(Method::Get, nowhere)).await.unwrap_err();
    assert!(matches!(error, SendError::NotSent(_)), "{error}");

    let unwritable = get(gone, "/").with_header("x", "a\nb");
    let error = send(&port(&limits(origin(gone))), unwritable).await.unwrap_err();
    assert!(matches!(&error, SendError::NotSent(why) if !why.contains("a\nb")), "{error}");

    let cut_before = Server::start(|_, _| Answer::Cut(Vec::new())).await;
    let cut_within =
        Server::start(|_, _| Answer::Cut(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"a\"".to_vec()))
            .await;
    let cut_in_head = Server::start(|_, _| Answer::Cut(b"HTTP/1.1 200 OK\r\ncont".to_vec())).await;
    let no_http = Server::start(|_, _| Answer::Cut(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec())).await;
    for server in [cut_before, cut_within, cut_in_head, no_http] {
        let error = send(&port(&limits(origin(server.address))), get(server.address, "/?secret=1"))
            .await
            .unwrap_err();
        assert!(matches!(&error, SendError::Lost(why) if !why.contains("secret")), "{error}");
        assert_eq!(server.count(), 1, "nothing is sent again");
    }
}

#[tokio::test]
async fn a_deadline_ends_the_call() {
    let silent = Server::start(|_, _| Answer::Silence).await;
    let begun =
        Server::start(|_, _| Answer::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec())).await;
    for server in [silent, begun] {
        let port = port(&limits(origin(server.address)));
        let before = Instant::now();
        let error =
            port.send(&name(), Purpose::Live, get(server.address, "/"), SECOND / 5).await.unwrap_err();
        assert_eq!(error, SendError::Lost("the deadline passed".into()));
        assert!(before.elapsed() >= SECOND / 5 && before.elapsed() < SECOND * 5);
    }
}

#[tokio::test]
async fn large_answers_are_cut_off() {
    let settings = Settings { largest_answer: 1000 };
    // As announced, as streamed, and as unfolded from 45 compressed bytes: gzip of 10,000 zero bytes.
    let bomb: &[u8] = &[
        0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0x02, 0x03, 0xed, 0xc1, 0x01, 0x0d, 0, 0, 0, 0xc2, 0xa0, 0xf7, 0x4f,
        0x6d, 0x0e, 0x37, 0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xe0, 0xdf, 0, 0x2e, 0xca, 0x3b, 0x4d, 0x10, 0x27,
        0, 0,
    ];
    let announced = Server::start(|_, _| answer("200 OK", "", &[b'x'; 1001])).await;
    let streamed = Server::start(|_, _| {
        let chunk = format!("3e8\r\n{}\r\n", "x".repeat(1000));
        Answer::Bytes(
            format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n").into(),
        )
    })
    .await;
    let folded = Server::start(|_, _| answer("200 OK", "content-encoding: gzip\r\n", bomb)).await;
    for server in [announced, streamed, folded] {
        let port = port_with(&limits(origin(server.address)), settings);
        let error = send(&port, get(server.address, "/")).await.unwrap_err();
        assert_eq!(error, SendError::Lost("the answer is larger than 1000 bytes".into()));
    }
    let exact = Server::start(|_, _| answer("200 OK", "", &[b'x'; 1000])).await;
    let port = port_with(&limits(origin(exact.address)), settings);
    assert_eq!(send(&port, get(exact.address, "/")).await.unwrap().body.len(), 1000);

    let talkative = Server::start(|_, _| {
        answer("200 OK", &format!("x-a: {}\r\nx-b: {}\r\n", "a".repeat(40_000), "b".repeat(40_000)), b"")
    })
    .await;
    let port = port_with(&limits(origin(talkative.address)), Settings::default());
    let error = send(&port, get(talkative.address, "/")).await.unwrap_err();
    assert!(matches!(&error, SendError::Lost(why) if why.contains("headers")), "{error}");
}

#[tokio::test]
async fn compressed_answers_are_unfolded() {
    // gzip of {"a":1}
    let body: &[u8] = &[
        0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0x02, 0x03, 0xab, 0x56, 0x4a, 0x54, 0xb2, 0x32, 0xac, 0x05, 0, 0xaf,
        0xac, 0x1b, 0x56, 0x07, 0, 0, 0,
    ];
    let server = Server::start(move |_, _| answer("200 OK", "content-encoding: gzip\r\n", body)).await;
    let port = port(&limits(origin(server.address)));
    let answer = send(&port, get(server.address, "/")).await;
    assert_eq!(answer.unwrap().body, br#"{"a":1}"#);
    assert!(server.requests()[0].contains("accept-encoding: gzip"));

    let broken =
        Server::start(|_, _| self::answer("200 OK", "content-encoding: gzip\r\n", b"nonsense")).await;
    let port = self::port(&limits(origin(broken.address)));
    assert!(matches!(send(&port, get(broken.address, "/")).await, Err(SendError::Lost(_))));
}

#[tokio::test]
async fn a_refusal_pauses_the_whole_connection() {
    let server = Server::start(|number, _| match number {
        0 => answer("429 Too Many Requests", "retry-after: 1\r\n", b"{}"),
        _ => answer("200 OK", "", b"{}"),
    })
    .await;
    let port = port(&limits(origin(server.address)));
    let before = Instant::now();
    assert_eq!(send(&port, get(server.address, "/")).await.unwrap().status, 429);
    // A call that cannot wait so long is told at once; nothing is sent for it.
    let hasty = port.send(&name(), Purpose::Live, get(server.address, "/"), SECOND / 10).await;
    assert_eq!(hasty, Err(SendError::Spent("the service asked for a pause".into())));
    assert!(before.elapsed() < SECOND);
    assert_eq!(server.count(), 1);
    let calls = (0..3).map(|_| send(&port, get(server.address, "/")));
    for answer in join_all(calls).await {
        assert_eq!(answer.unwrap().status, 200);
    }
    assert!(before.elapsed() >= SECOND, "{:?}", before.elapsed());
}

#[tokio::test]
async fn a_moment_that_every_answer_names_pauses_nothing() {
    let server = Server::start(|_, _| answer("503 Service Unavailable", "x-reset: 60\r\n", b"{}")).await;
    let retry_header = Some("x-reset".to_owned());
    let port = port(&Limits { retry_header, ..limits(origin(server.address)) });
    for _ in 0..2 {
        assert_eq!(send(&port, get(server.address, "/")).await.unwrap().status, 503);
    }
}

#[tokio::test]
async fn a_lock_on_one_record_slows_nothing_down() {
    let server = Server::start(|number, _| match number {
        0 => answer("429 Too Many Requests", "retry-after: 60\r\n", br#"{"error":{"code":"locked"}}"#),
        1 => answer("429 Too Many Requests", "retry-after: 60\r\n", br#"{"error":{"code":4291}}"#),
        2 => answer("429 Too Many Requests", "retry-after: 60\r\n", br#"{"error":{"code":"other"}}"#),
        _ => answer("200 OK", "", b"{}"),
    })
    .await;
    let code = SingularPath(["error", "code"].map(|name| Segment::Name(name.into())).to_vec());
    let codes = ["locked", "4291"].map(|code| (code.to_owned(), false)).into();
    let throttling = Throttling { code, codes, statuses: Vec::new() };
    let port = port(&Limits { throttling, ..limits(origin(server.address)) });
    for _ in 0..3 {
        assert_eq!(send(&port, get(server.address, "/")).await.unwrap().status, 429);
    }
    let paused = send(&port, get(server.address, "/")).await;
    assert_eq!(paused, Err(SendError::Spent("the service asked for a pause".into())));
}

#[tokio::test]
async fn a_refusal_for_the_rate_pauses_the_connection_whatever_its_status() {
    let paused = Err(SendError::Spent("the service asked for a pause".into()));
    for (status, body) in [("403 Forbidden", r#"{"code":3001}"#), ("509 Exceeded", "<html>")] {
        let server = Server::start(move |number, _| match number {
            0 => answer("403 Forbidden", "retry-after: 60\r\n", br#"{"code":"not yours"}"#),
            1 => answer(status, "retry-after: 60\r\n", body.as_bytes()),
            _ => answer("200 OK", "", b"{}"),
        })
        .await;
        let codes = [("3001".to_owned(), true)].into();
        let code = SingularPath(vec![Segment::Name("code".into())]);
        let throttling = Throttling { code, codes, statuses: vec![509] };
        let port = port(&Limits { throttling, ..limits(origin(server.address)) });
        for _ in 0..2 {
            assert!(send(&port, get(server.address, "/")).await.unwrap().status > 400);
        }
        assert_eq!(send(&port, get(server.address, "/")).await, paused, "{status}");
        assert_eq!(server.count(), 2);
    }
}

#[tokio::test]
async fn calls_keep_to_the_rate() {
    let server = Server::start(ok).await;
    let port = port(&Limits { requests: 50, burst: 5, ..limits(origin(server.address)) });
    let before = Instant::now();
    for answer in join_all((0..25).map(|_| send(&port, get(server.address, "/")))).await {
        answer.unwrap();
    }
    // 5 at once, 20 more at 20 ms each.
    assert!(before.elapsed() >= Duration::from_millis(400), "{:?}", before.elapsed());
}

#[tokio::test]
async fn a_call_that_does_not_get_its_turn_in_time_is_not_sent() {
    // Whether it waits for a slot or for the pace: whoever calls holds a lease.
    for concurrent in [1, 64] {
        let server = Server::start(ok).await;
        let slow =
            Limits { requests: 1, per: SECOND * 60, burst: 1, concurrent, ..limits(origin(server.address)) };
        let port = Arc::new(port(&slow));
        assert_eq!(send(&port, get(server.address, "/")).await.unwrap().status, 200);
        let patient = tokio::spawn({
            let (port, request) = (port.clone(), get(server.address, "/"));
            async move { port.send(&name(), Purpose::Live, request, SECOND * 90).await }
        });
        tokio::task::yield_now().await;
        let before = Instant::now();
        let third = port.send(&name(), Purpose::Live, get(server.address, "/"), SECOND / 5).await;
        assert!(matches!(third, Err(SendError::Spent(_))), "{third:?}");
        assert!(before.elapsed() < SECOND * 5, "{:?}", before.elapsed());
        patient.abort();
        assert_eq!(server.count(), 1);
    }
}

#[tokio::test]
async fn a_call_with_a_rate_of_its_own_waits_for_nobody_else() {
    let server = Server::start(ok).await;
    let path = ["", "search"].map(|text| PathSegment::Text(text.into())).to_vec();
    let searches = CallRate { method: Method::Get, path, requests: 1, per: SECOND * 3600 };
    let port = port(&Limits { calls: vec![searches], concurrent: 1, ..limits(origin(server.address)) });
    assert_eq!(send(&port, get(server.address, "/search?q=1")).await.unwrap().status, 200);
    // The next turn is in an hour, which is not waited for; other calls go on.
    let second = send(&port, get(server.address, "/search?q=2")).await;
    assert_eq!(second, Err(SendError::Spent("this call may not be made so often".into())));
    assert_eq!(send(&port, get(server.address, "/other")).await.unwrap().status, 200);
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn the_last_of_a_days_calls_are_kept_for_users() {
    // The service counts calls of others too.
    let server = Server::start(|_, _| answer("200 OK", "x-usage: calls=850/1000\r\n", b"{}")).await;
    let text = |text: &str| UsedPart::Text(text.into());
    let used = UsedHeader {
        header: "x-usage".into(),
        format: vec![text("calls="), UsedPart::Used, text("/"), UsedPart::Limit],
    };
    let port = port(&Limits { used: Some(used), ..limits(origin(server.address)) });
    let connection = name();
    let call = |purpose| port.send(&connection, purpose, get(server.address, "/"), SECOND * 10);
    assert_eq!(call(Purpose::Background).await.unwrap().status, 200, "nothing is known yet");
    let spent = Err(SendError::Spent("the day's calls are nearly used up".into()));
    assert_eq!(call(Purpose::Background).await, spent);
    assert_eq!(call(Purpose::Reconcile).await, spent);
    assert_eq!(call(Purpose::Live).await.unwrap().status, 200);
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn each_connection_has_its_own_budgets() {
    let server = Server::start(ok).await;
    let hourly = Limits { requests: 1, per: SECOND * 3600, burst: 1, ..limits(origin(server.address)) };
    let daily = Limits { daily: Some(10), ..limits(origin(server.address)) };
    let names = ["eu", "us", "day-eu", "day-us"].map(ConnectionName::from);
    let [eu, us, day_eu, day_us] = &names;
    let all =
        [(eu.clone(), &hourly), (us.clone(), &hourly), (day_eu.clone(), &daily), (day_us.clone(), &daily)];
    let port = HttpPort::new(all, Settings::default()).unwrap();
    let call = |name, purpose| port.send(name, purpose, get(server.address, "/"), SECOND / 5);
    assert_eq!(call(eu, Purpose::Live).await.unwrap().status, 200);
    assert!(matches!(call(eu, Purpose::Live).await, Err(SendError::Spent(_))), "its turn is in an hour");
    assert_eq!(call(us, Purpose::Live).await.unwrap().status, 200);

    while call(day_eu, Purpose::Background).await.is_ok() {}
    assert_eq!(call(day_us, Purpose::Background).await.unwrap().status, 200);
}

#[tokio::test]
async fn tokens_may_come_from_a_second_origin() {
    let server = Server::start(ok).await;
    let with = |token_origin: &str| Limits {
        token_origin: Some(token_origin.into()),
        ..limits(origin(server.address))
    };
    // The document's own choice, so the whole filter applies.
    let inside = HttpPort::new([(name(), &with("http://127.0.0.1:1"))], Settings::default());
    assert_eq!(inside.unwrap_err().reason, Forbidden::OwnMachine);
    let hasty = Limits { timeout: SECOND, ..with("https://login.invalid") };
    let port = port(&hasty);
    let error = send(&port, Request::new(Method::Post, "https://login.invalid/token")).await.unwrap_err();
    assert!(matches!(error, SendError::NotSent(_)), "{error}");
    assert_eq!(send(&port, get(server.address, "/")).await.unwrap().status, 200);
    let elsewhere = send(&port, Request::new(Method::Get, "https://other.invalid/")).await.unwrap_err();
    assert!(matches!(elsewhere, SendError::Forbidden(_)), "{elsewhere}");
}

#[tokio::test]
async fn calls_at_once_are_bounded_and_bulk_reads_leave_room() {
    let server = Server::start(
        |_, request| {
            if request.starts_with("GET /slow") { Answer::Silence } else { ok(0, "") }
        },
    )
    .await;
    let port = port(&Limits { concurrent: 4, ..limits(origin(server.address)) });
    let background = |n: usize| {
        let request = get(server.address, &format!("/slow{n}"));
        let port = &port;
        async move { port.send(&name(), Purpose::Background, request, SECOND * 60).await }
    };
    let walk = join_all((0..8).map(background));
    let live = async {
        // Three of four slots are taken by the walk, which never ends; the fourth is ours alone.
        while server.count() < 3 {
            tokio::task::yield_now().await;
        }
        for _ in 0..10 {
            assert_eq!(send(&port, get(server.address, "/live")).await.unwrap().status, 200);
        }
    };
    tokio::select! {
        _ = walk => panic!("the walk cannot end"),
        () = live => {}
    }
    assert_eq!(server.requests().iter().filter(|r| r.starts_with("GET /slow")).count(), 3);
}

#[tokio::test]
async fn comparing_what_is_known_leaves_room_for_what_is_new() {
    let server = Server::start(
        |_, request| {
            if request.starts_with("GET /slow") { Answer::Silence } else { ok(0, "") }
        },
    )
    .await;
    let port = port(&Limits { concurrent: 4, ..limits(origin(server.address)) });
    let reconcile = |n: usize| {
        let request = get(server.address, &format!("/slow{n}"));
        let port = &port;
        async move { port.send(&name(), Purpose::Reconcile, request, SECOND * 60).await }
    };
    let walk = join_all((0..8).map(reconcile));
    let others = async {
        // Two of four slots are taken by a walk that never ends; a feed still has its turn, and a record's change too.
        while server.count() < 2 {
            tokio::task::yield_now().await;
        }
        for n in 0..10 {
            let (name, request) = (name(), get(server.address, &format!("/feed{n}")));
            let feed = port.send(&name, Purpose::Background, request, SECOND * 60);
            assert_eq!(feed.await.unwrap().status, 200);
            assert_eq!(send(&port, get(server.address, "/live")).await.unwrap().status, 200);
        }
    };
    tokio::select! {
        _ = walk => panic!("the walk cannot end"),
        () = others => {}
    }
    assert_eq!(server.requests().iter().filter(|r| r.starts_with("GET /slow")).count(), 2);
}

#[tokio::test]
async fn connections_are_kept_and_used_again() {
    let server = Server::start(ok).await;
    let port = port(&limits(origin(server.address)));
    for _ in 0..3 {
        send(&port, get(server.address, "/")).await.unwrap();
    }
    assert!(server.requests().iter().all(|r| !r.to_ascii_lowercase().contains("connection: close")));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn an_untrusted_certificate_is_told_from_an_outage() {
    // A certificate of our own making, which no root vouches for.
    let certificate = CertificateDer::from_slice(include_bytes!("untrusted/certificate.der")).into_owned();
    let key = PrivateKeyDer::try_from(include_bytes!("untrusted/key.der").as_slice()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        acceptor.accept(stream).await.is_ok()
    });
    let base = format!("https://127.0.0.1:{}", address.port());
    let error = send(&port(&limits(base.clone())), Request::new(Method::Get, base)).await.unwrap_err();
    assert!(matches!(error, SendError::Untrusted(_)), "{error}");
    assert!(!served.await.unwrap(), "the handshake must not succeed");
}

#[tokio::test]
async fn a_server_without_tls_is_an_outage() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"220 mail.example ESMTP\r\n").await.unwrap();
        stream
    });
    let error = send(&port(&limits(base.clone())), Request::new(Method::Get, base)).await.unwrap_err();
    assert!(matches!(error, SendError::NotSent(_)), "{error}");
    drop(served.await.unwrap());
}
