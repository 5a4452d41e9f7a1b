//! How one page leads to the next.

use crate::answer::malformed;
use crate::place::{Place, Step};
use crate::request::Draft;
use bothways_mapping::connector::{Call, CursorPlace, Pages};
use bothways_model::planted::{self, Bug};
use bothways_model::{ErrorClass, Failure, Response};
use serde_json::Value as Json;
use url::Url;

/// The service: where a URL that it names may lead, and what is never kept of one.
#[derive(Debug)]
pub(crate) struct Site {
    /// Scheme, host and port of the base URL.
    pub(crate) origin: url::Origin,
    /// The query parameter that holds the credentials, where one does. Services repeat it in the URLs they name; it is added to each
    /// request as it is sent.
    pub(crate) credential: Option<String>,
}

impl Site {
    /// A URL without its credentials.
    fn bare(&self, mut url: Url) -> String {
        if let (Some(name), Some(query)) = (&self.credential, url.query()) {
            let named = |pair: &&str| {
                let mut parsed = url::form_urlencoded::parse(pair.as_bytes());
                parsed.next().is_some_and(|(given, _)| given == name.as_str())
            };
            let rest: Vec<&str> = query.split('&').filter(|pair| !named(pair)).collect();
            let rest = rest.join("&");
            url.set_query(Some(rest.as_str()).filter(|rest| !rest.is_empty()));
        }
        url.into()
    }
}

/// Makes a draft ask for the page at `place`, the first one if there is none.
///
/// # Errors
/// Class `expired` if the position is of another kind of paging, or at another origin: positions come from a store, and the document or the
/// base URL may have changed since.
pub(crate) fn ask(
    draft: &mut Draft<'_>,
    call: &Call,
    site: &Site,
    place: Option<&Place>,
) -> Result<(), Failure> {
    if let Some((name, size)) = &call.page_size {
        draft.query(name, size.to_string());
    }
    match (&call.pages, place.map(|p| &p.step)) {
        (Pages::NextUrl { .. } | Pages::LinkHeader, Some(Step::Url(url)))
            if follow(url, url, site).is_ok() =>
        {
            // One that was stored by an earlier version may hold credentials.
            draft.go_to(follow(url, url, site)?);
        }
        (Pages::Cursor { send, .. }, Some(Step::After(value))) => draft.cursor(send, value)?,
        (Pages::Page { send, .. } | Pages::Offset { send, .. }, Some(Step::Number(number))) => {
            draft.cursor(send, &Json::from(*number))?;
        }
        (pages, None | Some(Step::Again)) => {
            if let Some((send, first)) = first_number(pages) {
                draft.cursor(send, &Json::from(first))?;
            }
        }
        // The document has changed since the cursor was stored.
        _ => {
            return Err(Failure::new(
                ErrorClass::Expired,
                "the stored page cursor is of another kind of paging",
            ));
        }
    }
    Ok(())
}

/// What a page was, for the question where the next one is.
pub(crate) struct Seen<'a> {
    pub(crate) answer: &'a Response,
    pub(crate) body: &'a Json,
    /// The URL that was asked.
    pub(crate) asked: &'a str,
    /// The position that was asked for.
    pub(crate) place: Option<&'a Place>,
    /// How many records the page has.
    pub(crate) count: usize,
    /// The id of its first record.
    pub(crate) first: Option<&'a str>,
}

/// Where the page after `seen` is; `None` at the end.
///
/// # Errors
/// Class `malformed` if the service says that there is more but not where, leads back to the same page, or to another origin: such a
/// list is not known to be complete (rule 54).
pub(crate) fn next(call: &Call, site: &Site, seen: &Seen<'_>) -> Result<Option<Place>, Failure> {
    let step = match &call.pages {
        _ if planted::is(Bug::OnlyFirstPage) => None,
        Pages::None => None,
        Pages::Cursor { value, more, .. } => {
            let value = value.first(seen.body).filter(|v| is_position(v));
            match (more, value) {
                (Some(more), _) if !more.matches(seen.body) => None,
                (Some(_), None) => {
                    return Err(malformed("the service has more records but names no next page"));
                }
                (_, value) => value.cloned().map(Step::After),
            }
        }
        Pages::NextUrl { more: Some(more), .. } if !more.matches(seen.body) => None,
        Pages::NextUrl { path, .. } => match path.first(seen.body).and_then(Json::as_str) {
            Some(text) if !text.is_empty() => Some(Step::Url(follow(text, seen.asked, site)?)),
            _ => None,
        },
        Pages::LinkHeader => match next_link(seen.answer) {
            Some(text) => Some(Step::Url(follow(text, seen.asked, site)?)),
            None => None,
        },
        Pages::Page { .. } | Pages::Offset { .. } if seen.count == 0 => None,
        Pages::Page { more: Some(more), .. } | Pages::Offset { more: Some(more), .. }
            if !more.matches(seen.body) =>
        {
            None
        }
        Pages::Page { first, .. } => {
            Some(Step::Number(number(seen.place, u64::from(*first)).saturating_add(1)))
        }
        Pages::Offset { first, .. } => {
            let count = u64::try_from(seen.count).unwrap_or(u64::MAX);
            Some(Step::Number(number(seen.place, u64::from(*first)).saturating_add(count)))
        }
    };
    let Some(step) = step else { return Ok(None) };

    let repeated = match &step {
        // The number grows by itself, so whether the service heeds it shows in what it sends.
        Step::Number(_) => seen.first.is_some() && seen.place.and_then(|p| p.first.as_deref()) == seen.first,
        Step::Url(url) => url == seen.asked,
        step => seen.place.is_some_and(|p| p.step == *step),
    };
    if repeated {
        return Err(malformed("the next page is the same page again"));
    }
    let first = seen.first.filter(|_| matches!(step, Step::Number(_))).map(str::to_owned);
    Ok(Some(Place { first, ..Place::from(step) }))
}

/// A URL from an answer, absolute and without credentials, if it stays with the connection's origin (S16).
pub(crate) fn follow(text: &str, asked: &str, site: &Site) -> Result<String, Failure> {
    let url = Url::parse(asked).and_then(|base| base.join(text));
    match url {
        Ok(url) if url.origin() == site.origin && url.username().is_empty() && url.password().is_none() => {
            Ok(site.bare(url))
        }
        _ => Err(malformed("the next page is said to be somewhere else than the service")),
    }
}

fn first_number(pages: &Pages) -> Option<(&CursorPlace, u64)> {
    match pages {
        Pages::Page { send, first, .. } | Pages::Offset { send, first, .. } => {
            Some((send, u64::from(*first)))
        }
        _ => None,
    }
}

/// What `{offset}` stands for in a call that asks for the page at `place`.
pub(crate) fn offset(call: &Call, place: Option<&Place>) -> Option<u64> {
    match &call.pages {
        Pages::Offset { send: CursorPlace::Text, first, .. } => Some(number(place, u64::from(*first))),
        _ => None,
    }
}

fn number(place: Option<&Place>, first: u64) -> u64 {
    match place.map(|p| &p.step) {
        Some(Step::Number(number)) => *number,
        _ => first,
    }
}

pub(crate) fn is_position(value: &Json) -> bool {
    match value {
        Json::String(text) => !text.is_empty(),
        Json::Number(_) => true,
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => false,
    }
}

/// The target of `rel="next"` in the `Link` headers (RFC 8288).
fn next_link(answer: &Response) -> Option<&str> {
    let links = answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("link"));
    links.flat_map(|(_, value)| split_links(value)).find_map(|(target, params)| {
        let is_next = params.split(';').filter_map(|p| p.trim().split_once('=')).any(|(name, value)| {
            let relations = value.trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("rel")
                && relations.split_ascii_whitespace().any(|r| r.eq_ignore_ascii_case("next"))
        });
        is_next.then_some(target)
    })
}

/// `<target>; params, <target>; params`: targets may hold commas and semicolons, so brackets lead the way.
fn split_links(value: &str) -> Vec<(&str, &str)> {
    let mut links = Vec::new();
    let mut rest = value;
    while let Some((_, from)) = rest.split_once('<') {
        let Some((target, after)) = from.split_once('>') else { break };
        let params = after.split_once('<').map_or(after, |(params, _)| params);
        links.push((target, params.trim_end_matches([' ', ','])));
        rest = after;
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn next_links_are_found_among_others() {
        let answer = |value: &str| Response::json(200, &json!([])).with_header("Link", value);
        let two = answer(r#"<https://x.io/a?q=1,2;3>; rel="prev", </b?p=2>; title="x"; rel="next last""#);
        assert_eq!(next_link(&two), Some("/b?p=2"));
        assert_eq!(next_link(&answer("<https://x.io/b>; rel=next")), Some("https://x.io/b"));
        assert_eq!(next_link(&answer("<https://x.io/b>; rel=\"nextish\"")), None);
        for bad in ["", "<", "<a", "rel=next", "<a>; rel", "><"] {
            assert_eq!(next_link(&answer(bad)), None, "{bad}");
        }
        let second_line = answer("<a>; rel=prev").with_header("link", "<c>; rel=next");
        assert_eq!(next_link(&second_line), Some("c"));
    }

    #[test]
    fn only_the_same_origin_is_followed() {
        let asked = "https://api.x.io/v1/a?p=1";
        let site = Site { origin: Url::parse(asked).unwrap().origin(), credential: None };
        let go = |text| follow(text, asked, &site);
        assert_eq!(go("/v1/a?p=2").unwrap(), "https://api.x.io/v1/a?p=2");
        assert_eq!(go("?p=2").unwrap(), "https://api.x.io/v1/a?p=2");
        assert_eq!(go("https://api.x.io:443/v2").unwrap(), "https://api.x.io/v2");
        let keyed = Site { origin: site.origin.clone(), credential: Some("api key".into()) };
        let bare = |text| follow(text, asked, &keyed).unwrap();
        assert_eq!(
            bare("?p=2&api+key=s3&q=a%20b&API+key=x&api%20key=4"),
            "https://api.x.io/v1/a?p=2&q=a%20b&API+key=x"
        );
        assert_eq!(bare("?api%20key=s3"), "https://api.x.io/v1/a");
        for elsewhere in [
            "https://evil.io/v1/a",
            "//evil.io/a",
            "http://api.x.io/v1/a",
            "https://api.x.io:8443/a",
            "https://api.x.io@evil.io/",
            "https://u:p@api.x.io/",
            "file:///etc/passwd",
            "https://api.x.io.evil.io/",
            "javascript:1",
            "https://[",
            r"\\evil.io\a",
        ] {
            assert!(go(elsewhere).is_err(), "{elsewhere}");
        }
    }
}
