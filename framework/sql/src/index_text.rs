//! The parts of a `CREATE INDEX` as SQLite keeps its text: what is indexed, and which rows.
//!
//! The database tells names and collations of an index by itself, but not its expressions and its condition; those are only in the text.

/// What an index says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IndexText {
    /// What is indexed, one by one, without directions.
    pub(crate) columns: Vec<String>,
    /// The condition of a partial index.
    pub(crate) filter: Option<String>,
}

/// Reads the text; `None` if it is not understood.
pub(crate) fn read(sql: &str) -> Option<IndexText> {
    let marks = marks(sql)?;
    let mut read = IndexText::default();
    let (mut depth, mut start, mut end) = (0_u32, None, None);
    for (at, mark) in marks {
        match mark {
            '(' => {
                depth += 1;
                if depth == 1 && end.is_none() {
                    start = Some(at + 1);
                }
            }
            ',' if depth == 1 && end.is_none() => {
                read.columns.push(column(sql.get(start?..at)?));
                start = Some(at + 1);
            }
            ')' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 && end.is_none() {
                    read.columns.push(column(sql.get(start?..at)?));
                    end = Some(at + 1);
                }
            }
            _ => {}
        }
    }
    let rest = sql.get(end?..)?.trim();
    if !rest.is_empty() {
        let (word, filter) = rest.split_at_checked("WHERE".len())?;
        if depth != 0 || !word.eq_ignore_ascii_case("WHERE") {
            return None;
        }
        read.filter = Some(filter.trim().to_owned());
    }
    Some(read)
}

/// Without its direction.
fn column(text: &str) -> String {
    let text = text.trim();
    for direction in ["ASC", "DESC"] {
        let Some(split) = text.len().checked_sub(direction.len()) else { continue };
        if let Some((before, last)) = text.split_at_checked(split)
            && last.eq_ignore_ascii_case(direction)
            && before.ends_with(|c: char| c.is_whitespace() || c == ')' || c == '"')
        {
            return before.trim().to_owned();
        }
    }
    text.to_owned()
}

/// Brackets and commas outside of quotes, with their places. `None` where there is a comment or a quote without an end.
fn marks(sql: &str) -> Option<Vec<(usize, char)>> {
    let mut all = Vec::new();
    let mut chars = sql.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let close = match c {
            '\'' | '"' | '`' => c,
            '[' => ']',
            '-' if chars.peek().is_some_and(|(_, next)| *next == '-') => return None,
            '/' if chars.peek().is_some_and(|(_, next)| *next == '*') => return None,
            '(' | ')' | ',' => {
                all.push((at, c));
                continue;
            }
            _ => continue,
        };
        // A doubled quote inside ends one text and begins the next, which comes to the same.
        chars.by_ref().find(|(_, inside)| *inside == close)?;
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(sql: &str) -> (Vec<String>, Option<String>) {
        let read = read(sql).unwrap();
        (read.columns, read.filter)
    }

    #[test]
    fn columns_and_conditions_are_found() {
        let one = |text: &str| vec![text.to_owned()];
        assert_eq!(parts("CREATE UNIQUE INDEX a ON t (email)"), (one("email"), None));
        assert_eq!(
            parts(
                "CREATE UNIQUE INDEX \"a(\" ON \"t(,\" (lower(email) COLLATE NOCASE DESC, coalesce(x, ')'))"
            ),
            (vec!["lower(email) COLLATE NOCASE".into(), "coalesce(x, ')')".into()], None)
        );
        assert_eq!(
            parts("create unique index a on t(email asc) where deleted_at is null and x in (1, 2)"),
            (one("email"), Some("deleted_at is null and x in (1, 2)".into()))
        );
        assert_eq!(parts("CREATE INDEX a ON t (\"it''s\", [a,b] , 'x''y')").0.len(), 3);
        assert_eq!(parts("CREATE INDEX a ON t (basc)"), (one("basc"), None));
    }

    #[test]
    fn what_is_not_understood_is_left_alone() {
        for sql in [
            "",
            "CREATE INDEX a ON t",
            "CREATE INDEX a ON t (x",
            "CREATE INDEX a ON t (x) USING y",
            "CREATE INDEX a ON t (x -- it\n)",
            "CREATE INDEX a ON t (/* */ x)",
            "CREATE INDEX a ON t ('x)",
            ")(",
        ] {
            assert_eq!(read(sql), None, "{sql}");
        }
    }
}
