//! What everything of one connection shares: the resolved document, what a vendor's crate adds, and credentials.

use crate::credentials::Credentials;
use crate::limits::limits;
use crate::lookup::Tables;
use crate::paging::Site;
use bothways_connector::Limits;
use bothways_mapping::connector::{ConnectorSpec, HeaderValue, ResolvedConnector};
use bothways_model::{Failure, Mode, Request, Response, Secret};
use url::Url;

/// What a vendor's crate adds to its document: things that data cannot say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vendor {
    /// Whether the credentials mean real customers, where their form tells.
    pub mode: Mode,
    /// Corrects how an error answer was classified, from headers or codes that the document has no key for.
    pub refine: Option<fn(&Response, &mut Failure)>,
}

/// A connection's base URL cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the base URL of connection `{connection}` is not an absolute http or https URL")]
pub struct BadBaseUrl {
    /// Which connection.
    pub connection: String,
}

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) resolved: ResolvedConnector,
    pub(crate) vendor: Vendor,
    pub(crate) limits: Limits,
    /// Where URLs that the service names may lead.
    pub(crate) site: Site,
    pub(crate) credentials: Credentials,
    /// The lists that names come from, as they were read last.
    pub(crate) tables: Tables,
    /// Headers of every request, secret ones apart.
    plain_headers: Vec<(String, String)>,
    secret_headers: Vec<(String, Secret)>,
}

impl Core {
    pub(crate) fn new(resolved: ResolvedConnector, vendor: Vendor) -> Result<Self, BadBaseUrl> {
        let bad = || BadBaseUrl { connection: resolved.connection.to_string() };
        let base = Url::parse(&resolved.base_url).map_err(|_| bad())?;
        let origin = base.origin();
        if !origin.is_tuple() || !matches!(base.scheme(), "http" | "https") {
            return Err(bad());
        }
        let mut plain_headers = vec![("accept".to_owned(), "application/json".to_owned())];
        let mut secret_headers = Vec::new();
        for (name, value) in &resolved.headers {
            match value {
                HeaderValue::Plain(text) => {
                    plain_headers.retain(|(known, _)| known != name);
                    plain_headers.push((name.clone(), text.clone()));
                }
                HeaderValue::Secret(secret) => secret_headers.push((name.clone(), secret.clone())),
            }
        }
        let limits = limits(&resolved, &base);
        let credentials = Credentials::new(&resolved);
        let tables = Tables::default();
        let site = Site { origin, credential: credentials.parameter().map(str::to_owned) };
        Ok(Self { resolved, vendor, limits, site, credentials, tables, plain_headers, secret_headers })
    }

    pub(crate) fn spec(&self) -> &ConnectorSpec {
        &self.resolved.spec
    }

    /// The headers that every request carries, without credentials.
    pub(crate) fn plain_headers(&self) -> &[(String, String)] {
        &self.plain_headers
    }

    /// Adds today's credentials to a request.
    pub(crate) fn authorise(&self, request: &mut Request) {
        request.secret_headers.extend(self.secret_headers.iter().cloned());
        self.credentials.authorise(request);
    }
}
