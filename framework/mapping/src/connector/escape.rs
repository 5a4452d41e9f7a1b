//! Values inside query languages, written so that they stay values.

/// A query language that a looked-up value is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// `'…'`; `\`, quotes and line ends behind a backslash.
    Soql,
    /// `'…'`; a `'` is written twice.
    Sql,
    /// `"…"`; `\` and `"` behind a backslash.
    Lucene,
}

impl Escape {
    /// The word in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Escape::Soql => "soql",
            Escape::Sql => "sql",
            Escape::Lucene => "lucene",
        }
    }

    /// `value` as a literal of the language, with its quotes. `None` if the language has no sure way to write it: a control
    /// character, or in SQL a backslash, which some dialects read as an escape and others as itself.
    pub fn literal(self, value: &str) -> Option<String> {
        let quote = if self == Escape::Lucene { '"' } else { '\'' };
        let mut out = String::with_capacity(value.len() + 2);
        out.push(quote);
        for c in value.chars() {
            match (self, c) {
                (Escape::Soql, '\n') => out.push_str("\\n"),
                (Escape::Soql, '\r') => out.push_str("\\r"),
                (Escape::Soql, '\t') => out.push_str("\\t"),
                (_, c) if c.is_control() => return None,
                (Escape::Soql, '\'' | '"' | '\\') | (Escape::Lucene, '"' | '\\') => out.extend(['\\', c]),
                (Escape::Sql, '\\') => return None,
                (Escape::Sql, '\'') => out.push_str("''"),
                (_, c) => out.push(c),
            }
        }
        out.push(quote);
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a server of that language reads: the value of the literal at the start of `text`, and what comes after it.
    fn read(language: Escape, text: &str) -> Option<(String, &str)> {
        let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let mut value = String::new();
        let mut chars = text.char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' if language != Escape::Sql => match chars.next()?.1 {
                    'n' if language == Escape::Soql => value.push('\n'),
                    'r' if language == Escape::Soql => value.push('\r'),
                    't' if language == Escape::Soql => value.push('\t'),
                    other => value.push(other),
                },
                c if c == quote => match chars.next_if(|(_, c)| language == Escape::Sql && *c == quote) {
                    Some(_) => value.push(quote),
                    None => return Some((value, text.get(at + 1..)?)),
                },
                c => value.push(c),
            }
        }
        None
    }

    proptest! {
        #[test]
        fn a_value_stays_one_value(
            value in "[a-z'\"\\\\ \n\r\t%_()*?:é😀]{0,12}",
            rest in " OR [a-z'\"]{0,4}",
            language in proptest::sample::select(vec![Escape::Soql, Escape::Sql, Escape::Lucene]),
        ) {
            if let Some(literal) = language.literal(&value) {
                let text = format!("{literal}{rest}");
                prop_assert_eq!(read(language, &text), Some((value, rest.as_str())));
            }
        }
    }

    #[test]
    fn each_is_written_in_its_way() {
        let value = r#"O'Neil "\ x"#;
        assert_eq!(Escape::Soql.literal(value).unwrap(), r#"'O\'Neil \"\\ x'"#);
        assert_eq!(Escape::Lucene.literal(value).unwrap(), r#""O'Neil \"\\ x""#);
        assert_eq!(Escape::Sql.literal("O'Neil").unwrap(), "'O''Neil'");
        assert_eq!(Escape::Sql.literal(r"\' OR 1=1"), None);
        assert_eq!(Escape::Soql.literal("a\nb").unwrap(), r"'a\nb'");
        for language in [Escape::Soql, Escape::Sql, Escape::Lucene] {
            assert_eq!(language.literal("a\0b"), None);
        }
    }
}
