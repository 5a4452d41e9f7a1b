//! The names this server answers to. Loopback is not a boundary: any web page can make a browser send requests here, and a rebound
//! DNS name makes them look local. So `Host` is checked on every request, and `Origin` wherever there is one (`RULES.md` S7).

use crate::app::App;
use crate::problem::Problem;
use crate::settings::Settings;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

/// Hosts and origins that are ours.
pub(crate) struct Names {
    /// Host names without port, lower case, IPv6 in brackets.
    hosts: Vec<String>,
    /// The public address as an origin.
    public: Option<String>,
}

impl Names {
    pub(crate) fn new(settings: &Settings) -> Self {
        let mut hosts = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "[::1]".to_owned()];
        let ip = settings.listen.ip();
        if !ip.is_unspecified() {
            hosts.push(if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() });
        }
        let public = settings.public_url.as_deref().and_then(origin_of);
        if let Some(host) = public.as_deref().and_then(|p| host_of(p.split_once("://")?.1)) {
            hosts.push(host);
        }
        Self { hosts, public }
    }

    fn is_host(&self, authority: &str) -> bool {
        host_of(authority).is_some_and(|host| self.hosts.contains(&host))
    }

    /// Whether a page of this origin is our own: the public address, or exactly the host and port that the request names.
    fn is_origin(&self, origin: &str, authority: &str) -> bool {
        let Some(origin) = origin_of(origin) else { return false };
        if self.public.as_ref() == Some(&origin) {
            return true;
        }
        let (scheme, named) = origin.split_once("://").unwrap_or_default();
        let requested = origin_of(&format!("{scheme}://{authority}"));
        requested.as_deref() == Some(&origin) && self.is_host(named)
    }
}

/// `scheme://host[:port]` of an address, in lower case and without the scheme's own port; `None` if it is no http(s) address.
pub(crate) fn origin_of(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let default = match scheme.as_str() {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority: Authority = authority.parse().ok()?;
    let host = authority.host().to_ascii_lowercase();
    if host.is_empty() || authority.as_str().contains('@') {
        return None;
    }
    Some(match authority.port_u16() {
        Some(port) if port != default => format!("{scheme}://{host}:{port}"),
        _ => format!("{scheme}://{host}"),
    })
}

fn host_of(authority: &str) -> Option<String> {
    let authority: Authority = authority.parse().ok()?;
    if authority.as_str().contains('@') {
        return None;
    }
    Some(authority.host().to_ascii_lowercase())
}

/// The middleware that turns away what is not addressed to us, or comes from a page that is not ours.
pub(crate) async fn check_names(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    check(&app.names, &request)?;
    Ok(next.run(request).await)
}

fn check(names: &Names, request: &Request) -> Result<(), Problem> {
    let headers = request.headers();
    let authority = match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => single(headers, header::HOST),
    };
    let Some(authority) = authority.filter(|a| names.is_host(a)) else {
        return Err(Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "unknown_host",
            "this server does not answer to that host name; set `--public-url` to the address people use",
        ));
    };
    let site = single(headers, "sec-fetch-site".parse().unwrap_or(header::REFERER));
    let own = match headers.get(header::ORIGIN).map(|o| o.to_str().unwrap_or("unreadable")) {
        // Browsers hide the origin of a plain form under `Referrer-Policy: no-referrer`; what no script can set tells it then.
        Some("null") => site == Some("same-origin"),
        Some(origin) => names.is_origin(origin, authority),
        None => is_safe(request.method()) || !matches!(site, Some("cross-site" | "same-site")),
    };
    if own {
        Ok(())
    } else {
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "foreign_origin",
            "the request comes from a page of another site",
        ))
    }
}

/// A header that is there exactly once.
fn single(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// Whether a method changes nothing.
pub(crate) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn names() -> Names {
        Names::new(&Settings {
            public_url: Some("https://Sync.Example.com/".into()),
            ..Settings::new("127.0.0.1:7171".parse().unwrap())
        })
    }

    fn passes(method: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().method(method).uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&names(), &request.body(Body::empty()).unwrap()).is_ok()
    }

    #[test]
    fn only_our_names_are_answered() {
        for host in ["127.0.0.1:7171", "localhost:9000", "LOCALHOST", "[::1]:7171", "sync.example.com"] {
            assert!(passes("GET", &[("host", host)]), "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example:7171",
            "user@localhost",
            "",
            "10.0.0.1",
        ] {
            assert!(!passes("GET", &[("host", host)]), "{host}");
        }
        assert!(!passes("GET", &[]));
        assert!(!passes("GET", &[("host", "localhost"), ("host", "evil.example")]));
    }

    #[test]
    fn only_our_pages_may_ask() {
        let host = ("host", "localhost:7171");
        for origin in ["http://localhost:7171", "https://sync.example.com", "https://sync.example.com:443"] {
            assert!(passes("POST", &[host, ("origin", origin)]), "{origin}");
        }
        for origin in [
            "http://localhost:3000",
            "http://127.0.0.1:7171",
            "http://evil.example",
            "https://sync.example.com.evil.example",
            "http://sync.example.com",
            "null",
            "",
        ] {
            assert!(!passes("POST", &[host, ("origin", origin)]), "{origin}");
            assert!(!passes("GET", &[host, ("origin", origin)]), "GET {origin}");
        }
    }

    #[test]
    fn what_no_script_can_set_tells_where_a_form_comes_from() {
        let host = ("host", "localhost:7171");
        assert!(passes("POST", &[host, ("origin", "null"), ("sec-fetch-site", "same-origin")]));
        assert!(!passes("POST", &[host, ("origin", "null"), ("sec-fetch-site", "cross-site")]));
        assert!(!passes("POST", &[host, ("sec-fetch-site", "cross-site")]));
        assert!(!passes("POST", &[host, ("sec-fetch-site", "same-site")]));
        assert!(passes("POST", &[host]), "a program, not a browser");
        assert!(passes("GET", &[host, ("sec-fetch-site", "cross-site")]), "following a link");
    }
}
