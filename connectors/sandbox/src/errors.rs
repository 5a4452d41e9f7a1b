//! Error answers with Stripe's statuses, types, codes and wording.

use serde_json::{Map, Value};

/// An error answer on its way out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) kind: &'static str,
    pub(crate) code: Option<&'static str>,
    pub(crate) message: String,
    pub(crate) param: Option<String>,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// Whether the endpoint had begun to execute, so that the answer is saved under the idempotency key. Refusals of
    /// the parameters, the credentials or the rate are not.
    pub(crate) began: bool,
}

impl ApiError {
    /// 400 for parameters that cannot be accepted.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self {
            status: 400,
            kind: "invalid_request_error",
            code: None,
            message: message.into(),
            param: None,
            headers: Vec::new(),
            began: false,
        }
    }

    /// The same error, naming a parameter.
    pub(crate) fn of(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    pub(crate) fn with_code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    fn with_kind(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The object that a path names does not exist (any more).
    pub(crate) fn missing(what: &str, id: &str) -> Self {
        let mut error = Self::missing_cursor(what, id, "id").with_status(404);
        error.began = true;
        error
    }

    /// The object that a parameter names does not exist (any more).
    pub(crate) fn missing_cursor(what: &str, id: &str, param: &str) -> Self {
        Self::invalid(format!("No such {what}: '{id}'")).with_code("resource_missing").of(param)
    }

    pub(crate) fn unknown(names: &[String]) -> Self {
        let plural = if names.len() == 1 { "" } else { "s" };
        let error = Self::invalid(format!("Received unknown parameter{plural}: {}", names.join(", ")))
            .with_code("parameter_unknown");
        match names.first() {
            Some(first) => error.of(first),
            None => error,
        }
    }

    pub(crate) fn required(param: &str) -> Self {
        Self::invalid(format!("Missing required param: {param}.")).with_code("parameter_missing").of(param)
    }

    pub(crate) fn cannot_be_empty(param: &str) -> Self {
        Self::invalid(format!(
            "You passed an empty string for '{param}'. We assume empty values are an attempt to unset a parameter; \
             however '{param}' cannot be unset. You should remove '{param}' from your request or supply a non-empty \
             value."
        ))
        .with_code("parameter_invalid_empty")
        .of(param)
    }

    pub(crate) fn unrecognized_url(method: &str, path: &str) -> Self {
        Self::invalid(format!(
            "Unrecognized request URL ({method}: {path}). If you are trying to list objects, remove the trailing \
             slash. If you are trying to retrieve an object, make sure you passed a valid (non-empty) identifier in \
             your code. Please see https://stripe.com/docs or we can help at https://support.stripe.com/."
        ))
        .with_status(404)
    }

    pub(crate) fn no_key() -> Self {
        Self::invalid(
            "You did not provide an API key. You need to provide your API key in the Authorization header, using \
             Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See \
             https://stripe.com/docs/api#authentication for details.",
        )
        .with_status(401)
        .with_header("www-authenticate", "Bearer realm=\"Stripe\"")
    }

    pub(crate) fn bad_key(shown: &str) -> Self {
        let mut error = Self::no_key();
        error.message = format!("Invalid API Key provided: {shown}");
        error
    }

    pub(crate) fn forbidden() -> Self {
        Self::invalid("The provided key does not have the required permissions for this endpoint.")
            .with_status(403)
            .with_code("more_permissions_required_for_application")
    }

    pub(crate) fn rate_limited(retry_after: u64) -> Self {
        Self::invalid(
            "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
        )
        .with_status(429)
        .with_code("rate_limit")
        .with_header("retry-after", retry_after.to_string())
        .with_header("stripe-rate-limited-reason", "global-rate")
    }

    pub(crate) fn lock_timeout() -> Self {
        Self::invalid(
            "This object cannot be accessed right now because another API request or Stripe process is currently \
             accessing it. If you see this error intermittently, retry the request. If you see this error frequently \
             and are making multiple concurrent requests to a single object, make your requests serially or at a \
             lower rate.",
        )
        .with_status(429)
        .with_code("lock_timeout")
        .with_header("stripe-should-retry", "true")
    }

    pub(crate) fn key_in_use(key: &str) -> Self {
        Self::invalid(format!(
            "There is currently another in-progress request using this Idempotency Key (that probably means you \
             submitted twice, and the other request is still going through): {key}. Please try again later."
        ))
        .with_status(409)
        .with_kind("idempotency_error")
        .with_code("idempotency_key_in_use")
    }

    pub(crate) fn key_mismatch(message: String) -> Self {
        Self::invalid(message).with_kind("idempotency_error")
    }

    /// 500. Saved under the key, since Stripe saves every answer once execution has begun.
    pub(crate) fn server_error() -> Self {
        let mut error = Self::invalid(
            "An unknown error occurred while processing the request. Please contact Stripe support with the request \
             id of this answer.",
        )
        .with_status(500)
        .with_kind("api_error");
        error.began = true;
        error
    }

    pub(crate) fn unavailable() -> Self {
        Self::server_error_without_trace("Stripe is temporarily unavailable.")
    }

    fn server_error_without_trace(message: &str) -> Self {
        Self::invalid(message).with_status(503).with_kind("api_error")
    }

    /// The body, in Stripe's envelope.
    pub(crate) fn body(&self) -> Vec<u8> {
        let mut error = Map::new();
        if let Some(code) = self.code {
            error.insert("code".into(), code.into());
            let page = code.replace('_', "-");
            error.insert("doc_url".into(), format!("https://stripe.com/docs/error-codes/{page}").into());
        }
        error.insert("message".into(), self.message.clone().into());
        if let Some(param) = &self.param {
            error.insert("param".into(), param.clone().into());
        }
        error.insert("type".into(), self.kind.into());
        Value::Object(Map::from_iter([("error".to_owned(), Value::Object(error))])).to_string().into_bytes()
    }
}
