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
        let (quoted, liked) = around(text, escape);
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

/// Whether `{value}` has a quote beside it or is inside of some, and whether `LIKE` stands before it.
fn around(text: &Template, escape: Escape) -> (bool, bool) {
    let (mut quoted, mut liked) = (false, false);
    let mut before = String::new();
    for (index, part) in text.0.iter().enumerate() {
        match part {
            Part::Text(piece) => before.push_str(piece),
            Part::Slot(Slot::Value) => {
                let after = match text.0.get(index + 1) {
                    Some(Part::Text(piece)) => piece.as_str(),
                    _ => "",
                };
                let opened = open_quote(&before, escape);
                quoted |= opened.is_some() || before.ends_with(QUOTES) || after.starts_with(QUOTES);
                let operator = opened.and_then(|at| before.get(..at)).unwrap_or(&before);
                // Wildcards, brackets and quotes may stand between the word and the value.
                let operator = operator.trim_end_matches(|c: char| !c.is_alphanumeric());
                let word = operator.rsplit(|c: char| !c.is_alphanumeric()).next();
                liked |= word.is_some_and(|word| word.eq_ignore_ascii_case("like"));
                before.push('x');
            }
            Part::Slot(_) | Part::Var(_) => before.push('x'),
        }
    }
    (quoted, liked)
}

const QUOTES: [char; 2] = ['\'', '"'];

/// Where the quotes begin that are not closed yet at the end of `text`.
fn open_quote(text: &str, escape: Escape) -> Option<usize> {
    let (quotes, backslashes): (&[char], bool) = match escape {
        Escape::Soql => (&['\''], true),
        Escape::Sql => (&QUOTES, false),
        Escape::Lucene => (&['"'], true),
    };
    let mut open: Option<(usize, char)> = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match open {
            _ if c == '\\' && backslashes => {
                chars.next();
            }
            Some((_, quote)) if c == quote => open = None,
            None if quotes.contains(&c) => open = Some((at, c)),
            _ => {}
        }
    }
    open.map(|(at, _)| at)
}
