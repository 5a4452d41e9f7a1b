//! M309: a looked-up value inside a longer text is written in that text's language.

use crate::build::{Cx, sub};
use crate::connector::Escape;
use crate::finding::Code;
use crate::template::{Part, Slot, Template};

/// `placed` holds each text of the call and where it is written, the path first.
pub(crate) fn check(cx: &mut Cx<'_>, pointer: &str, placed: &[(String, Template)], escape: Option<Escape>) {
    let beyond_path = || placed.iter().skip(1).filter(|(_, text)| text.slots().any(|s| *s == Slot::Value));
    let Some(escape) = escape else {
        for (at, _) in beyond_path().filter(|(_, text)| text.only_slot().is_none()) {
            cx.error(
                Code::M309,
                at,
                "`{value}` stands inside a longer text, which its own quotes and words could change",
            )
            .within("{value}")
            .help("say which query language this is: `escape: soql`, `sql` or `lucene`");
        }
        return;
    };
    let at_escape = sub(pointer, "escape");
    if beyond_path().next().is_none() {
        cx.error(Code::M309, &at_escape, "`{value}` stands in the path, which is no query language")
            .help("remove `escape`: what stands in a path is encoded anyhow");
    }
    for (at, text) in beyond_path() {
        let (quoted, liked) = around(text);
        if quoted {
            cx.error(Code::M309, at, format!("`escape: {}` writes the quotes itself", escape.as_str()))
                .within("{value}")
                .help("remove the quotes around `{value}`");
        }
        if liked && escape != Escape::Lucene {
            cx.error(Code::M309, at, "`LIKE` would read `%` and `_` in the value as wildcards")
                .within("{value}")
                .help("compare with `=`");
        }
    }
}

/// Whether `{value}` has a quote beside it, and whether `LIKE` stands before it.
fn around(text: &Template) -> (bool, bool) {
    let (mut quoted, mut liked) = (false, false);
    for (index, part) in text.0.iter().enumerate() {
        if *part != Part::Slot(Slot::Value) {
            continue;
        }
        let piece = |at: Option<usize>| match at.and_then(|at| text.0.get(at)) {
            Some(Part::Text(piece)) => piece.as_str(),
            _ => "",
        };
        let (before, after) = (piece(index.checked_sub(1)), piece(Some(index + 1)));
        quoted |= before.ends_with(['\'', '"']) || after.starts_with(['\'', '"']);
        liked |= before.split_whitespace().next_back().is_some_and(|word| word.eq_ignore_ascii_case("like"));
    }
    (quoted, liked)
}
