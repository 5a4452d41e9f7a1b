//! A query as words, signs and literals.

use super::{Literal, fault};
use crate::salesforce::errors::ApiError;
use crate::salesforce::time;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Word(String),
    Sign(&'static str),
    Literal(Literal),
}

/// The tokens and where each begins.
pub(super) fn tokens(query: &str) -> Result<Vec<(usize, Token)>, ApiError> {
    const SIGNS: [&str; 10] = ["!=", "<>", ">=", "<=", "=", ">", "<", "(", ")", ","];
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = query.get(at..)
        && let Some(first) = rest.chars().next()
    {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let begin = at;
        let token = if first == '\'' {
            let (text, length) = quoted(query, begin)?;
            at += length;
            Token::Literal(Literal::Text(text))
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            at += sign.len();
            Token::Sign(sign)
        } else if first.is_ascii_digit() || matches!(first, '-' | '+') {
            let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-:.".contains(c)));
            let word = &rest[..length.unwrap_or(rest.len())];
            at += word.len();
            let wrong = || fault("MALFORMED_QUERY", query, begin, &format!("unexpected token: '{word}'"));
            Token::Literal(number_or_date(word).ok_or_else(wrong)?)
        } else if first.is_ascii_alphabetic() || first == '_' {
            let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_.".contains(c)));
            let word = &rest[..length.unwrap_or(rest.len())];
            at += word.len();
            Token::Word(word.to_owned())
        } else {
            return Err(fault("MALFORMED_QUERY", query, begin, &format!("unexpected token: '{first}'")));
        };
        tokens.push((begin, token));
    }
    Ok(tokens)
}

fn number_or_date(word: &str) -> Option<Literal> {
    if let Some(at) = time::read(word) {
        return Some(Literal::DateTime(at));
    }
    if let Some(date) = time::read_date(word) {
        return Some(Literal::Date(date));
    }
    word.parse().ok().filter(|n: &f64| n.is_finite()).map(Literal::Number)
}

/// The text of a quoted literal and how long the literal is, quotes included.
fn quoted(query: &str, begin: usize) -> Result<(String, usize), ApiError> {
    let mut text = String::new();
    let mut chars = query[begin + 1..].char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' => return Ok((text, at + 2)),
            '\\' => {
                let escaped = chars.next().map(|(_, c)| c);
                match escaped {
                    Some('n' | 'N') => text.push('\n'),
                    Some('r' | 'R') => text.push('\r'),
                    Some('t' | 'T') => text.push('\t'),
                    Some('b' | 'B') => text.push('\u{8}'),
                    Some('f' | 'F') => text.push('\u{c}'),
                    Some(c @ ('\'' | '"' | '\\')) => {
                        // A pattern needs to tell this backslash from one that escapes a wildcard.
                        text.push(c);
                    }
                    Some(c @ ('%' | '_')) => {
                        text.push(ESCAPE);
                        text.push(c);
                    }
                    Some('u') => {
                        let hex: String = chars.by_ref().take(4).map(|(_, c)| c).collect();
                        let code = u32::from_str_radix(&hex, 16).ok().filter(|_| hex.len() == 4);
                        let c = code.and_then(char::from_u32).ok_or_else(|| illegal(query, begin))?;
                        text.push(c);
                    }
                    _ => return Err(illegal(query, begin)),
                }
            }
            '\n' | '\r' => break,
            c => text.push(c),
        }
    }
    Err(fault("MALFORMED_QUERY", query, begin, "line break or end of query in a string literal"))
}

/// Stands before a wildcard that is meant as it is; no text of a request contains it.
pub(super) const ESCAPE: char = '\u{10FFFF}';

fn illegal(query: &str, at: usize) -> ApiError {
    fault(
        "MALFORMED_QUERY",
        query,
        at,
        "invalid string literal. Illegal character sequence in string literal.",
    )
}
