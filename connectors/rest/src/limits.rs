//! What the HTTP port holds a connection to, out of its document.

use bothways_connector::{CallRate, Limits, PathSegment, Throttling, UsedHeader, UsedPart};
use bothways_mapping::connector::{
    self as spec, Auth, Call, ConnectorSpec, Errors, ResolvedConnector, Setting,
};
use bothways_mapping::template::{Part, Template};
use bothways_model::ErrorClass;
use url::Url;

pub(crate) fn limits(resolved: &ResolvedConnector, base: &Url) -> Limits {
    let origin = base.origin();
    let token_origin = match &resolved.auth {
        Auth::Oauth2(oauth2) => Url::parse(&oauth2.token_url).ok().map(|url| url.origin()),
        _ => None,
    };
    let errors = &resolved.spec.http.errors;
    Limits {
        origin: origin.ascii_serialization(),
        origin_from_operator: resolved.base_url_from_operator,
        token_origin: token_origin
            .filter(|tokens| *tokens != origin)
            .map(|tokens| tokens.ascii_serialization()),
        requests: resolved.rate.limit.count,
        per: resolved.rate.limit.per,
        burst: resolved.rate.burst,
        concurrent: usize::try_from(resolved.rate.concurrent).unwrap_or(usize::MAX),
        timeout: resolved.spec.http.timeout,
        throttling: throttling(errors),
        retry_header: errors.retry_header.clone(),
        calls: calls(&resolved.spec, base.path()),
        daily: resolved.rate.daily.map(u64::from),
        used: resolved.spec.http.rate.used.as_ref().map(used),
    }
}

/// What the document says of its codes and statuses. A 429 it may class as it likes: without a code it slows the connection down.
fn throttling(errors: &Errors) -> Throttling {
    let is_throttle = |class: &ErrorClass| *class == ErrorClass::Throttle;
    let code = errors.code.as_ref().and_then(|query| query.singular());
    let codes = errors.codes.iter().filter(|_| code.is_some());
    Throttling {
        code: code.cloned().unwrap_or_default(),
        codes: codes.map(|(code, class)| (code.clone(), is_throttle(class))).collect(),
        statuses: errors.statuses.iter().filter(|(_, class)| is_throttle(class)).map(|(s, _)| *s).collect(),
    }
}

/// The calls that have a rate of their own.
fn calls(spec: &ConnectorSpec, base: &str) -> Vec<CallRate> {
    let mut rates: Vec<CallRate> =
        spec.resources.values().flat_map(|r| r.calls()).filter_map(|call| rate(call, base)).collect();
    rates.sort_by_key(CallRate::holes);
    rates
}

fn rate(call: &Call, base: &str) -> Option<CallRate> {
    let Some(Setting::Fixed(limit)) = &call.rate else { return None };
    let mut path = segments(&Template(vec![Part::Text(base.trim_end_matches('/').to_owned())]));
    path.extend(segments(&call.path).into_iter().skip(1));
    Some(CallRate { method: call.method, path, requests: limit.count, per: limit.per })
}

fn segments(path: &Template) -> Vec<PathSegment> {
    let mut segments = vec![PathSegment::Text(String::new())];
    for part in &path.0 {
        match part {
            Part::Text(text) | Part::Var(text) => {
                for (at, piece) in text.split('/').enumerate() {
                    if at > 0 {
                        segments.push(PathSegment::Text(String::new()));
                    }
                    match segments.last_mut() {
                        Some(PathSegment::Text(fixed)) => fixed.push_str(piece),
                        Some(PathSegment::Hole { after, .. }) => after.push_str(piece),
                        None => {}
                    }
                }
            }
            Part::Slot(_) => {
                if let Some(segment) = segments.last_mut() {
                    let before = match segment {
                        PathSegment::Text(text) | PathSegment::Hole { before: text, .. } => {
                            std::mem::take(text)
                        }
                    };
                    *segment = PathSegment::Hole { before, after: String::new() };
                }
            }
        }
    }
    segments
}

fn used(used: &spec::UsedSpec) -> UsedHeader {
    let part = |part: &spec::UsedPart| match part {
        spec::UsedPart::Text(text) => UsedPart::Text(text.clone()),
        spec::UsedPart::Used => UsedPart::Used,
        spec::UsedPart::Left => UsedPart::Left,
        spec::UsedPart::Limit => UsedPart::Limit,
    };
    UsedHeader { header: used.header.clone(), format: used.format.iter().map(part).collect() }
}
