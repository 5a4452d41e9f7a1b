//! Logging in: the request that asks for a session token, and what its answer says.

use crate::{credentials, form, percent};
use bothways_mapping::connector::{Fact, Login, LoginBody, plain_text};
use bothways_model::{Request, Response, Secret};
use serde_json::Value as Json;

/// The request for a token. What is secret in it stays out of what may be printed or stored.
pub(crate) fn request(base_url: &str, login: &Login) -> Request {
    let mut url = format!("{base_url}{}", login.path);
    for (name, value) in &login.query {
        percent::push_query(&mut url, name, value);
    }
    let mut request = Request::new(login.method, url).with_header("accept", "application/json");
    match &login.says {
        LoginBody::Json(body) => {
            request = request.with_header("content-type", "application/json");
            request.secret_body = Some(body.clone());
        }
        LoginBody::Form(fields) => {
            let mut body = String::new();
            for (name, value) in fields {
                percent::push_field(&mut body, name, value.expose());
            }
            request = request.with_header("content-type", form::CONTENT_TYPE);
            request.secret_body = Some(Secret::new(body));
        }
        LoginBody::Basic { user, password } => {
            let basic = credentials::basic(user.expose(), password.expose());
            request.secret_headers.push(("authorization".into(), basic));
        }
    }
    request
}

/// The value of the header that carries the token of an answer to [`request`]; `None` if there is none in it, or one that no header can hold.
pub(crate) fn token(login: &Login, answer: &Response) -> Option<Secret> {
    let text = match &login.token {
        Fact::Header(name) => answer.header(name)?.trim().to_owned(),
        Fact::Body(query) => {
            let body: Json = serde_json::from_slice(&answer.body).ok()?;
            plain_text(query.first(&body)?)?
        }
    };
    let fits = !text.is_empty() && text.bytes().all(|b| (b' '..=b'~').contains(&b));
    fits.then(|| login.header_value(&text))
}
