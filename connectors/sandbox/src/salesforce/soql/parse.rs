//! From text to [`Query`].

use super::lex::{Token, tokens};
use super::{Condition, Literal, Name, Operator, Order, Query, fault};
use crate::salesforce::errors::ApiError;

/// Deeper nesting than any real query has.
const MAX_DEPTH: usize = 40;
/// The platform's limit on the length of a query.
const MAX_LENGTH: usize = 100_000;

/// Reads a query. MALFORMED_QUERY where it is none.
pub(crate) fn parse(query: &str) -> Result<Query, ApiError> {
    if query.len() > MAX_LENGTH {
        return Err(ApiError::bad("QUERY_TOO_COMPLICATED", "the query has more than 100,000 characters"));
    }
    let mut parser = Parser { query, tokens: tokens(query)?, next: 0 };
    let parsed = parser.query()?;
    match parser.tokens.get(parser.next) {
        None => Ok(parsed),
        Some((at, token)) => Err(parser.unexpected(*at, token)),
    }
}

struct Parser<'a> {
    query: &'a str,
    tokens: Vec<(usize, Token)>,
    next: usize,
}

impl Parser<'_> {
    fn query(&mut self) -> Result<Query, ApiError> {
        self.expect("SELECT")?;
        let (counts, fields) = self.selected()?;
        self.expect("FROM")?;
        let object = self.name()?;
        let condition = if self.takes("WHERE") { Some(self.condition(0)?) } else { None };
        let mut order = Vec::new();
        if self.takes("ORDER") {
            self.expect("BY")?;
            order.push(self.order()?);
            while self.takes_sign(",") {
                order.push(self.order()?);
            }
        }
        let limit = if self.takes("LIMIT") { Some(self.count()?) } else { None };
        let offset = if self.takes("OFFSET") { self.count()? } else { 0 };
        Ok(Query { fields, counts, object, condition, order, limit, offset })
    }

    fn selected(&mut self) -> Result<(bool, Vec<Name>), ApiError> {
        let first = self.name()?;
        if first.text.eq_ignore_ascii_case("COUNT") && self.takes_sign("(") {
            self.expect_sign(")")?;
            return Ok((true, Vec::new()));
        }
        let mut fields = vec![first];
        while self.takes_sign(",") {
            fields.push(self.name()?);
        }
        Ok((false, fields))
    }

    fn order(&mut self) -> Result<Order, ApiError> {
        let field = self.name()?;
        let descending = self.takes("DESC");
        if !descending {
            self.takes("ASC");
        }
        let mut nulls_last = false;
        if self.takes("NULLS") {
            nulls_last = self.takes("LAST");
            if !nulls_last {
                self.expect("FIRST")?;
            }
        }
        Ok(Order { field, descending, nulls_last })
    }

    /// One level of conditions. SOQL wants parentheses where AND and OR meet.
    fn condition(&mut self, depth: usize) -> Result<Condition, ApiError> {
        let first = self.term(depth)?;
        for (word, other) in [("AND", "OR"), ("OR", "AND")] {
            if !self.sees(word) {
                continue;
            }
            let mut all = vec![first];
            while self.takes(word) {
                all.push(self.term(depth)?);
            }
            if self.sees(other) {
                return Err(self.here("unexpected token: conditions of AND and OR need parentheses"));
            }
            return Ok(if word == "AND" { Condition::And(all) } else { Condition::Or(all) });
        }
        Ok(first)
    }

    fn term(&mut self, depth: usize) -> Result<Condition, ApiError> {
        if depth > MAX_DEPTH {
            return Err(self.here("conditions are nested too deeply"));
        }
        if self.takes_sign("(") {
            let inner = self.condition(depth + 1)?;
            self.expect_sign(")")?;
            return Ok(inner);
        }
        if self.takes("NOT") {
            return Ok(Condition::Not(Box::new(self.term(depth + 1)?)));
        }
        let field = self.name()?;
        let negated = self.takes("NOT");
        if negated || self.sees("IN") {
            self.expect("IN")?;
            self.expect_sign("(")?;
            let mut values = vec![self.literal()?];
            while self.takes_sign(",") {
                values.push(self.literal()?);
            }
            self.expect_sign(")")?;
            return Ok(Condition::In { field, negated, values });
        }
        let operator = self.operator()?;
        let value = self.literal()?;
        Ok(Condition::Compare { field, operator, value })
    }

    fn operator(&mut self) -> Result<Operator, ApiError> {
        if self.takes("LIKE") {
            return Ok(Operator::Like);
        }
        let signs = [
            ("=", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("<>", Operator::NotEqual),
            (">=", Operator::GreaterOrEqual),
            ("<=", Operator::LessOrEqual),
            (">", Operator::Greater),
            ("<", Operator::Less),
        ];
        match signs.into_iter().find(|(sign, _)| self.takes_sign(sign)) {
            Some((_, operator)) => Ok(operator),
            None => Err(self.here("unexpected token: an operator is expected")),
        }
    }

    fn literal(&mut self) -> Result<Literal, ApiError> {
        let value = match self.tokens.get(self.next).map(|(_, token)| token) {
            Some(Token::Literal(literal)) => literal.clone(),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("true") => Literal::Boolean(true),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("false") => Literal::Boolean(false),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("null") => Literal::Null,
            _ => return Err(self.here("unexpected token: a value is expected")),
        };
        self.next += 1;
        Ok(value)
    }

    fn count(&mut self) -> Result<usize, ApiError> {
        match self.tokens.get(self.next) {
            Some((_, Token::Literal(Literal::Number(number)))) if *number >= 0.0 && number.fract() == 0.0 => {
                self.next += 1;
                Ok(*number as usize)
            }
            _ => Err(self.here("unexpected token: a whole number is expected")),
        }
    }

    fn name(&mut self) -> Result<Name, ApiError> {
        const RESERVED: [&str; 12] =
            ["SELECT", "FROM", "WHERE", "AND", "OR", "NOT", "IN", "LIKE", "ORDER", "BY", "LIMIT", "NULL"];
        match self.tokens.get(self.next) {
            Some((at, Token::Word(word))) if !RESERVED.iter().any(|r| word.eq_ignore_ascii_case(r)) => {
                self.next += 1;
                Ok(Name { text: word.clone(), at: *at })
            }
            _ => Err(self.here("unexpected token: a name is expected")),
        }
    }

    fn sees(&self, wanted: &str) -> bool {
        matches!(self.tokens.get(self.next), Some((_, Token::Word(word))) if word.eq_ignore_ascii_case(wanted))
    }

    fn takes(&mut self, wanted: &str) -> bool {
        let sees = self.sees(wanted);
        self.next += usize::from(sees);
        sees
    }

    fn expect(&mut self, wanted: &str) -> Result<(), ApiError> {
        if self.takes(wanted) {
            Ok(())
        } else {
            Err(self.here(&format!("unexpected token: expecting {wanted}")))
        }
    }

    fn takes_sign(&mut self, wanted: &str) -> bool {
        let sees = matches!(self.tokens.get(self.next), Some((_, Token::Sign(sign))) if *sign == wanted);
        self.next += usize::from(sees);
        sees
    }

    fn expect_sign(&mut self, wanted: &str) -> Result<(), ApiError> {
        if self.takes_sign(wanted) {
            return Ok(());
        }
        Err(self.here(&format!("unexpected token: expecting '{wanted}'")))
    }

    /// The error of the token that comes next.
    fn here(&self, what: &str) -> ApiError {
        let at = self.tokens.get(self.next).map_or(self.query.len(), |(at, _)| *at);
        let what = if at == self.query.len() { "unexpected token: <EOF>" } else { what };
        fault("MALFORMED_QUERY", self.query, at, what)
    }

    fn unexpected(&self, at: usize, token: &Token) -> ApiError {
        let shown = match token {
            Token::Word(word) => word.as_str(),
            Token::Sign(sign) => sign,
            Token::Literal(_) => "a value",
        };
        fault("MALFORMED_QUERY", self.query, at, &format!("unexpected token: {shown}"))
    }
}
