//! M102: no literal that looks like a secret, anywhere in a document.

use crate::build::{Cx, sub};
use crate::finding::Code;
use crate::tree::{Content, Node};
use std::borrow::Cow;

/// How well-known credentials begin.
const PREFIXES: [&str; 18] = [
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "rk_test_",
    "whsec_",
    "ghp_",
    "gho_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xapp-",
    "AKIA",
    "ASIA",
    "SG.",
    "shpat_",
    "pat-na1-",
    "-----BEGIN",
];

/// Reports every text that looks like a credential.
pub(crate) fn check(cx: &mut Cx<'_>) {
    let mut found = Vec::new();
    walk(cx.place.node, "", &mut found);
    for pointer in found {
        cx.error(Code::M102, &pointer, "this looks like a secret")
            .help("revoke it if it is real; then declare a variable with `secret: true` and write `\"${name}\"`")
            .mask();
    }
}

fn walk(node: &Node, pointer: &str, found: &mut Vec<String>) {
    match &node.content {
        Content::Scalar { text, .. } => {
            if looks_secret(text) {
                found.push(pointer.to_owned());
            }
        }
        Content::List(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, &sub(pointer, &index.to_string()), found);
            }
        }
        Content::Map(entries) => {
            for entry in entries {
                walk(&entry.value, &sub(pointer, &entry.key), found);
            }
        }
    }
}

fn looks_secret(text: &str) -> bool {
    let text = text.strip_prefix("Bearer ").or_else(|| text.strip_prefix("Basic ")).unwrap_or(text).trim();
    let known = PREFIXES
        .iter()
        .any(|p| text.strip_prefix(p).is_some_and(|rest| rest.len() >= 12 && !rest.contains('$')));
    let mut dots = text.split('.');
    // A JSON web token: three parts, the first of which is an object in Base64.
    let token = text.starts_with("eyJ") && text.len() > 40 && dots.by_ref().count() == 3;
    known || token
}

/// The text with everything that looks like a credential blacked out, byte for byte, so that places stay right: findings show
/// lines of documents, also of those that could not be read.
pub fn redact(text: &str) -> Cow<'_, str> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_token) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|c| !is_token(c)).unwrap_or(from.len());
        let (token, after) = from.split_at(end);
        if looks_secret(token) {
            out.push_str(before);
            out.push_str(&"*".repeat(token.len()));
        } else {
            out.push_str(before);
            out.push_str(token);
        }
        rest = after;
    }
    out.push_str(rest);
    if out == text { Cow::Borrowed(text) } else { Cow::Owned(out) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_credentials_look_like_some() {
        for bad in [
            "sk_live_51Habcdefghijkl",
            "Bearer sk_test_51Habcdefghijkl",
            "whsec_abcdefghijklmnop",
            "AKIAIOSFODNN7EXAMPLE",
        ] {
            assert!(looks_secret(bad), "{bad}");
        }
        for good in [
            "Bearer ${token}",
            "sk_live_",
            "SG.x",
            "GET /v1/customers",
            "whsec_${x}aaaaaaaaaaaa",
            "2025-09-30.clover",
        ] {
            assert!(!looks_secret(good), "{good}");
        }
    }

    #[test]
    fn redacting_keeps_every_byte_in_place() {
        let text = "auth: { bearer: sk_live_51Habcdefghijkl } # ä GET /v1 2025-09-30.clover";
        let shown = redact(text);
        assert_eq!(shown, "auth: { bearer: *********************** } # ä GET /v1 2025-09-30.clover");
        assert_eq!(shown.len(), text.len());
        assert!(matches!(redact("nothing here"), Cow::Borrowed(_)));
    }
}
