//! How fast, and how much in a day, a service may be called.

use super::connector::header_name;
use super::{Cx, sub};
use crate::check::vars::{Uses, Where};
use crate::connector::{RateSpec, Setting, UsedPart, UsedSpec};
use crate::doc::{CountText, RateDoc, RateText, UsedDoc};
use crate::finding::Code;
use crate::template::{Part, Template};
use crate::units::RateLimit;

/// A rate that is given, or left to a variable.
pub(super) fn limit(cx: &mut Cx<'_>, pointer: &str, limit: &RateText, uses: &mut Uses) -> Setting<RateLimit> {
    let template = Template::parse(limit.as_str());
    uses.note(&template, pointer, Where::Plain);
    match template.only_var() {
        Some(var) => Setting::Var(var.to_owned()),
        None => Setting::Fixed(RateLimit::parse(limit.as_str()).unwrap_or_else(|expected| {
            cx.error(Code::Y108, pointer, format!("`{}` is not a rate", limit.as_str()))
                .help(format!("write {expected}, or `\"${{var}}\"`"));
            RateSpec::DEFAULT_LIMIT
        })),
    }
}

pub(super) fn rate(cx: &mut Cx<'_>, doc: Option<&RateDoc>, uses: &mut Uses) -> RateSpec {
    let given = doc.and_then(|d| d.limit.as_ref());
    let limit = given
        .map_or(Setting::Fixed(RateSpec::DEFAULT_LIMIT), |rate| limit(cx, "/http/rate/limit", rate, uses));
    let mut count = |key: &str, text: Option<&CountText>| {
        let text = text?;
        let pointer = sub("/http/rate", key);
        let template = Template::parse(text.as_str());
        uses.note(&template, &pointer, Where::Plain);
        Some(match (template.only_var(), text.as_str().parse::<u32>()) {
            (Some(var), _) => Setting::Var(var.to_owned()),
            (None, Ok(n)) if n > 0 => Setting::Fixed(n),
            _ => {
                cx.error(Code::Y108, &pointer, format!("`{}` is not a count", text.as_str()))
                    .help("write a whole number above 0, or `\"${var}\"`");
                Setting::Fixed(1)
            }
        })
    };
    let concurrent = count("concurrent", doc.and_then(|d| d.concurrent.as_ref()));
    let burst = count("burst", doc.and_then(|d| d.burst.as_ref()));
    let daily = count("daily", doc.and_then(|d| d.daily.as_ref()));
    RateSpec {
        limit,
        concurrent: concurrent.unwrap_or(Setting::Fixed(RateSpec::DEFAULT_CONCURRENT)),
        burst,
        used: doc.and_then(|d| d.used.as_ref()).map(|doc| used(cx, doc, daily.is_some())),
        daily,
    }
}

/// Where answers say how much of a day's calls is used.
fn used(cx: &mut Cx<'_>, doc: &UsedDoc, daily: bool) -> UsedSpec {
    let pointer = "/http/rate/used/format";
    header_name(cx, "/http/rate/used/header", &doc.header.0, false);
    let mut format = Vec::new();
    for part in Template::parse(doc.format.as_ref().map_or("{used}", |f| f.0.as_str())).0 {
        format.push(match &part {
            Part::Text(text) => UsedPart::Text(text.clone()),
            Part::Var(name) => UsedPart::Text(format!("${{{name}}}")),
            Part::Slot(slot) => match slot.name() {
                "used" => UsedPart::Used,
                "left" => UsedPart::Left,
                "limit" => UsedPart::Limit,
                other => {
                    cx.error(Code::M304, pointer, format!("`{{{other}}}` is not known in this header"))
                        .within(&format!("{{{other}}}"))
                        .did_you_mean(other, ["used", "left", "limit"]);
                    continue;
                }
            },
        });
    }
    let counts = format.iter().filter(|part| matches!(part, UsedPart::Used | UsedPart::Left)).count();
    if counts != 1 {
        cx.error(Code::Y107, pointer, "the header says either how many calls are used or how many are left")
            .help("for example `format: \"{used}/{limit}\"`");
    }
    if !daily && !format.contains(&UsedPart::Limit) {
        cx.error(Code::Y107, "/http/rate/used", "nothing says how many calls a day has")
            .help("add `daily` beside it, or `{limit}` to `format`");
    }
    UsedSpec { header: doc.header.0.to_ascii_lowercase(), format }
}
