//! Logging in: a call of the service's own that gives a session token.

use super::Fact;
use crate::template::{JsonTemplate, Slot, Template};
use bothways_model::{Method, Secret};

/// A login call as its document has it. Its body may hold secret variables.
#[derive(Clone, Debug, PartialEq)]
pub struct LoginSpec {
    /// The method.
    pub method: Method,
    /// The path, appended to the base URL.
    pub path: Template,
    /// Query parameters.
    pub query: Vec<(String, Template)>,
    /// What it says.
    pub says: LoginBody<JsonTemplate, Template>,
    /// Where the token is in the answer.
    pub token: Fact,
    /// The header that carries the token, in lower case.
    pub header: String,
    /// The header's value, with `{token}`.
    pub value: Template,
}

/// What a login call says, and how.
#[derive(Clone, Debug, PartialEq)]
pub enum LoginBody<J, T> {
    /// A JSON body.
    Json(J),
    /// Form fields.
    Form(Vec<(String, T)>),
    /// User and password, by HTTP Basic.
    Basic {
        /// The user.
        user: T,
        /// The password.
        password: T,
    },
}

/// A login call of one connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Login {
    /// The method.
    pub method: Method,
    /// The path, appended to the base URL.
    pub path: String,
    /// Query parameters.
    pub query: Vec<(String, String)>,
    /// What it says; a JSON body is already text.
    pub says: LoginBody<Secret, Secret>,
    /// Where the token is in the answer.
    pub token: Fact,
    /// The header that carries the token, in lower case.
    pub header: String,
    /// The header's value, with `{token}`.
    pub value: Template,
}

impl Login {
    /// The header's value for `token`.
    pub fn header_value(&self, token: &str) -> Secret {
        let filled = self.value.render(|slot| match slot {
            Slot::Token => Ok(token.to_owned()),
            _ => Err(()),
        });
        Secret::new(filled.unwrap_or_default())
    }
}
