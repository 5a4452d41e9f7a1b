//! What a server has to be told: where it listens and by which names it may be called.

use std::net::SocketAddr;

/// How the server is reached.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address of the main listener (API, operations, page), as it was really bound.
    pub listen: SocketAddr,
    /// The address that people outside use, such as `https://sync.example.com`. Never taken from a request.
    pub public_url: Option<String>,
    /// Whether something in front of both listeners ends TLS.
    pub behind_proxy: bool,
    /// Whether a caller on loopback needs no login: for the demo alone. `Host` and `Origin` are checked all the same.
    pub open: bool,
}

impl Settings {
    /// A server on `listen` and nothing else.
    pub fn new(listen: SocketAddr) -> Self {
        Self { listen, public_url: None, behind_proxy: false, open: false }
    }

    /// Whether it is safe to start (`RULES.md` S6): off loopback only behind something that ends TLS, open only on loopback.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn check(&self) -> Result<(), String> {
        let loopback = self.listen.ip().is_loopback();
        if self.open && !loopback {
            return Err(format!("an open server may listen on loopback only, not on {}", self.listen));
        }
        if !loopback && !self.behind_proxy {
            return Err(format!(
                "{} can be reached from other machines, and tokens would travel in the clear: put something that ends TLS in front \
                 and say `--behind-proxy`, or listen on 127.0.0.1",
                self.listen
            ));
        }
        if let Some(url) = &self.public_url
            && crate::access::origin_of(url).is_none()
        {
            return Err(format!("`{url}` is no address such as https://sync.example.com"));
        }
        if let Some(url) = self.public_url.as_deref().filter(|_| self.behind_proxy && !self.is_https()) {
            return Err(format!(
                "`{url}` is the address that people use behind a proxy that ends TLS, so it begins with https://; without it the \
                 cookies of the page would travel in the clear"
            ));
        }
        Ok(())
    }

    /// Whether browsers reach the page by TLS, so that cookies may demand it.
    pub(crate) fn is_https(&self) -> bool {
        self.public_url.as_deref().is_some_and(|url| url.starts_with("https://"))
    }

    /// The address to print for people on this machine, without a slash at the end.
    pub fn local_url(&self) -> String {
        let ip = self.listen.ip();
        let host = match ip {
            ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
            std::net::IpAddr::V6(v6) => format!("[{v6}]"),
            std::net::IpAddr::V4(v4) => v4.to_string(),
        };
        format!("http://{host}:{}", self.listen.port())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(listen: &str) -> Settings {
        Settings::new(listen.parse().unwrap())
    }

    #[test]
    fn off_loopback_needs_tls_in_front() {
        assert!(on("127.0.0.1:7171").check().is_ok());
        assert!(on("[::1]:7171").check().is_ok());
        assert!(on("0.0.0.0:7171").check().is_err());
        assert!(on("192.168.1.5:7171").check().is_err());
        assert!(Settings { behind_proxy: true, ..on("0.0.0.0:7171") }.check().is_ok());
    }

    #[test]
    fn what_is_behind_a_proxy_is_reached_by_tls() {
        let at = |url: &str, behind_proxy| Settings {
            behind_proxy,
            public_url: Some(url.into()),
            ..on("127.0.0.1:7171")
        };
        assert!(at("http://sync.example.com", true).check().is_err());
        assert!(at("https://sync.example.com", true).check().is_ok());
        assert!(at("http://sync.internal:7171", false).check().is_ok());
    }

    #[test]
    fn an_open_server_stays_on_loopback() {
        assert!(Settings { open: true, ..on("127.0.0.1:7171") }.check().is_ok());
        assert!(Settings { open: true, behind_proxy: true, ..on("0.0.0.0:7171") }.check().is_err());
    }

    #[test]
    fn a_public_url_is_an_origin() {
        assert!(
            Settings { public_url: Some("sync.example.com".into()), ..on("127.0.0.1:1") }.check().is_err()
        );
        let https = Settings { public_url: Some("https://sync.example.com/".into()), ..on("127.0.0.1:1") };
        assert!(https.check().is_ok());
        assert!(https.is_https());
    }
}
