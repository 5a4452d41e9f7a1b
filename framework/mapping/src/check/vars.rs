//! M102: each `${var}` is declared, and a secret appears only where secrets may.

use crate::build::{Cx, sub};
use crate::doc::{AuthDoc, ConnectorDoc};
use crate::finding::{Code, Severity};
use crate::template::{Part, Template};

/// What a place may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Where {
    /// Text that is shown and stored: no secret.
    Plain,
    /// A header of every call: secret or not.
    Header,
    /// Part of the credentials that may be plain: a user name.
    Auth,
    /// What a login call says: one of its texts must be a secret.
    Login,
    /// A password: a secret, or nothing at all.
    Password,
    /// A credential: must be a secret.
    Credential,
    /// A credential of the webhook alone.
    WebhookCredential,
}

/// Which variables are used where.
#[derive(Default)]
pub(crate) struct Uses(Vec<Use>);

struct Use {
    vars: Vec<String>,
    /// No text around variables, and at least one of them.
    empty: bool,
    pointer: String,
    place: Where,
}

impl Uses {
    /// Takes note of the variables in `template`.
    pub(crate) fn note(&mut self, template: &Template, pointer: &str, place: Where) {
        let vars: Vec<String> = template.vars().map(str::to_owned).collect();
        let must_be_secret = matches!(place, Where::Password | Where::Credential | Where::WebhookCredential);
        if !vars.is_empty() || must_be_secret {
            let empty = template.0.iter().all(|p| matches!(p, Part::Text(text) if text.is_empty()));
            self.0.push(Use { vars, empty, pointer: pointer.to_owned(), place });
        }
    }

    /// Whether `var` is used under `events.webhook` and nowhere else.
    pub(crate) fn only_in_webhook(&self, var: &str) -> bool {
        self.only_below(var, &["/events/webhook"])
    }

    /// Whether `var` is used by one of several ways to get a token and nowhere else.
    pub(crate) fn only_for_tokens(&self, var: &str) -> bool {
        let ways =
            ["/http/auth/oauth2/jwt/", "/http/auth/oauth2/refresh_token", "/http/auth/oauth2/client_secret"];
        self.only_below(var, &ways)
    }

    fn only_below(&self, var: &str, pointers: &[&str]) -> bool {
        let mut uses = self.0.iter().filter(|u| u.vars.iter().any(|v| v == var)).peekable();
        uses.peek().is_some() && uses.all(|u| pointers.iter().any(|below| u.pointer.starts_with(below)))
    }
}

/// Checks all uses against the declarations.
pub(crate) fn check(cx: &mut Cx<'_>, doc: &ConnectorDoc, uses: &Uses) {
    declarations(cx, doc, uses);
    login(cx, doc, uses);
    let is_secret = |name: &str| doc.vars.get(name).and_then(|v| v.secret).unwrap_or(false);
    for used in &uses.0 {
        let unknown = used.vars.iter().find(|v| doc.vars.get(v).is_none());
        if let Some(var) = unknown {
            cx.error(Code::M102, &used.pointer, format!("there is no variable `{var}`"))
                .within(&format!("${{{var}}}"))
                .did_you_mean(var, doc.vars.keys());
            continue;
        }
        let secret = used.vars.iter().find(|v| is_secret(v));
        match (used.place, secret) {
            (Where::Plain, Some(var)) => {
                cx.error(
                    Code::M102,
                    &used.pointer,
                    format!("the secret `{var}` would be shown and stored here"),
                )
                .within(&format!("${{{var}}}"))
                .help("a secret may only be used under `http.auth`, `http.headers` and `verify`");
            }
            (Where::Password, None) if used.empty => {}
            (Where::Password | Where::Credential | Where::WebhookCredential, None) => {
                let (message, masked) = match used.vars.first() {
                    Some(var) => {
                        (format!("`{var}` is used as a credential and is not declared `secret: true`"), false)
                    }
                    None => ("a credential has no literal form".to_owned(), true),
                };
                let mut report = cx.error(Code::M102, &used.pointer, message);
                report.help(
                    "declare a variable under `vars` with `secret: true`, and write `\"${name}\"` here",
                );
                if masked {
                    report.mask();
                }
            }
            _ => {}
        }
    }
}

/// A login that says no secret lets anybody in, or says one that stands in the document.
fn login(cx: &mut Cx<'_>, doc: &ConnectorDoc, uses: &Uses) {
    let Some(AuthDoc::Login(login)) = &doc.http.auth else { return };
    let is_secret = |name: &String| doc.vars.get(name).and_then(|v| v.secret).unwrap_or(false);
    let says = uses.0.iter().any(|u| u.place == Where::Login && u.vars.iter().any(is_secret));
    if !says && login.basic.is_none() {
        cx.error(Code::M102, "/http/auth/login", "this login says no secret").help(
            "declare the password under `vars` with `secret: true`, and write `\"${name}\"` in `json` or `form`",
        );
    }
}

fn declarations(cx: &mut Cx<'_>, doc: &ConnectorDoc, uses: &Uses) {
    for (name, var) in doc.vars.iter() {
        let pointer = sub("/vars", name);
        let fits = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !fits {
            cx.key_error(Code::Y108, &pointer, format!("`{name}` is not a variable's name")).help(
                "use lower case letters, digits and `_`; the environment variable is in upper case by itself",
            );
        }
        if var.secret == Some(true) && var.default.is_some() {
            cx.error(Code::M102, &sub(&pointer, "default"), "a secret has no default")
                .help("remove it: the user supplies the secret")
                .mask();
        }
        if var.list == Some(true)
            && !uses
                .0
                .iter()
                .all(|u| !u.vars.iter().any(|v| v == name) || u.place == Where::WebhookCredential)
        {
            cx.error(
                Code::M102,
                &sub(&pointer, "list"),
                "only what verifies a webhook may have several values",
            )
            .help("remove `list: true`");
        }
        if fits && !uses.0.iter().any(|u| u.vars.iter().any(|v| v == name)) {
            let message = format!("the variable `{name}` is never used, and must be supplied all the same");
            let span = cx.place.node.key_place(&pointer);
            cx.report_span(Code::M102, Severity::Warning, &pointer, span, message)
                .help(format!("remove it, or write `${{{name}}}` where it belongs"));
        }
    }
}
