//! One request, taken apart.

use super::errors::ApiError;
use crate::call::split_url;
use crate::form::{Param, Params};
use bothways_model::{Method, Request};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// A request as the API sees it.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) body: Vec<u8>,
    /// Scheme and authority that the request was sent to, such as `http://127.0.0.1:7171`.
    pub(crate) instance: String,
    headers: Vec<(String, String)>,
}

impl Call {
    pub(crate) fn read(request: &Request) -> Self {
        let (path, query) = split_url(&request.url);
        let secret =
            request.secret_headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned()));
        let headers = request.headers.iter().cloned().chain(secret).collect();
        let mut call = Self {
            method: request.method,
            path: path.to_owned(),
            query: query.to_owned(),
            body: request
                .secret_body
                .as_ref()
                .map_or_else(|| request.body.clone(), |body| body.expose().into()),
            instance: String::new(),
            headers,
        };
        call.instance = match request.url.split_once("://") {
            Some((scheme, rest)) => {
                format!("{scheme}://{}", rest.split(['/', '?', '#']).next().unwrap_or_default())
            }
            None => format!("http://{}", call.header("host").unwrap_or("localhost")),
        };
        call
    }

    /// The first header called `name`, credentials included.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        bothways_model::header(&self.headers, name)
    }

    /// The access token.
    pub(crate) fn token(&self) -> Option<&str> {
        let (scheme, token) = self.header("authorization")?.split_once(' ')?;
        // The SOAP-era name of the scheme still works.
        let is_known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("oauth");
        is_known.then(|| token.trim())
    }

    /// One parameter of the query string.
    pub(crate) fn param(&self, name: &str) -> Option<String> {
        text_of(Params::decode(&self.query).ok()?, name)
    }

    /// One parameter of a form body.
    pub(crate) fn form(&self, name: &str) -> Option<String> {
        text_of(Params::decode(std::str::from_utf8(&self.body).ok()?).ok()?, name)
    }

    /// The JSON object in the body.
    pub(crate) fn object(&self) -> Result<Map<String, Value>, ApiError> {
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(body)) => Ok(body),
            Ok(_) => Err(ApiError::unreadable("Cannot deserialize request body: an object is expected")),
            Err(error) => Err(ApiError::unreadable(&format!("Unexpected character: {error}"))),
        }
    }

    /// The path's parts after `/services/data/`, percent-encoding undone; nothing for a path elsewhere.
    pub(crate) fn parts(&self) -> Option<Vec<String>> {
        let rest = self.path.strip_prefix("/services/data/")?.trim_end_matches('/');
        let part = |part: &str| percent_decode_str(part).decode_utf8().ok().map(|text| text.into_owned());
        rest.split('/').map(part).collect()
    }
}

fn text_of(mut params: Params, name: &str) -> Option<String> {
    match params.take(name)? {
        Param::Text(text) => Some(text),
        Param::Map(_) => None,
    }
}
