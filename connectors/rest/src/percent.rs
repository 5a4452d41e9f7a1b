//! Percent-encoding of values that go into paths, queries and form bodies.
//!
//! Everything but the unreserved characters of RFC 3986 is encoded, so a value can never end its segment, start a query or smuggle
//! in another parameter, whatever an id contains.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but letters, digits and `- . _ ~`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The same, but brackets stay readable: they are structure in the names of form fields and query parameters.
const NAME: &AsciiSet = &RESERVED.remove(b'[').remove(b']');

/// Appends `value`, encoded for a path segment, a query value or a form value.
pub(crate) fn push_value(out: &mut String, value: &str) {
    out.extend(utf8_percent_encode(value, RESERVED));
}

/// Appends the name of a query parameter or a form field, whose brackets are structure.
fn push_name(out: &mut String, name: &str) {
    out.extend(utf8_percent_encode(name, NAME));
}

/// Appends a field to a form.
pub(crate) fn push_field(form: &mut String, name: &str, value: &str) {
    if !form.is_empty() {
        form.push('&');
    }
    push_pair(form, name, value);
}

/// Appends a parameter to a URL, which may have some.
pub(crate) fn push_query(url: &mut String, name: &str, value: &str) {
    url.push(if url.contains('?') { '&' } else { '?' });
    push_pair(url, name, value);
}

fn push_pair(out: &mut String, name: &str, value: &str) {
    push_name(out, name);
    out.push('=');
    push_value(out, value);
}

/// Whether a path segment made from a value leads where it says. An empty one would address the collection, and URL parsers
/// resolve `.` and `..` even when they are encoded.
pub(crate) fn is_plain_segment(segment: &str) -> bool {
    let dots = segment.to_ascii_lowercase().replace("%2e", ".");
    !dots.is_empty() && dots != "." && dots != ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> String {
        let mut out = String::new();
        push_value(&mut out, text);
        out
    }

    #[test]
    fn a_value_cannot_leave_its_place() {
        assert_eq!(value("a/b?c=d&e#f g+h%i"), "a%2Fb%3Fc%3Dd%26e%23f%20g%2Bh%25i");
        assert_eq!(value("ü@x.io"), "%C3%BC%40x.io");
        assert_eq!(value("cus_A-b.c~1"), "cus_A-b.c~1");
        assert_eq!(value("[0]"), "%5B0%5D");
    }

    #[test]
    fn names_keep_their_brackets() {
        let mut out = String::new();
        push_name(&mut out, "created[gte]&x");
        assert_eq!(out, "created[gte]%26x");
    }

    #[test]
    fn pairs_are_joined() {
        let (mut form, mut url) = (String::new(), "https://x.io/a".to_owned());
        for (name, value) in [("a[b]", "1&2"), ("c", "")] {
            push_field(&mut form, name, value);
            push_query(&mut url, name, value);
        }
        assert_eq!(form, "a[b]=1%262&c=");
        assert_eq!(url, format!("https://x.io/a?{form}"));
    }

    #[test]
    fn segments_that_lead_elsewhere_are_told() {
        for bad in ["", ".", "..", "%2e", "%2E.", "%2e%2E"] {
            assert!(!is_plain_segment(bad), "{bad}");
        }
        for good in ["a", "...", "a.b", "%20"] {
            assert!(is_plain_segment(good), "{good}");
        }
    }
}
