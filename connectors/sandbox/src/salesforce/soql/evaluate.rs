//! Which rows a query finds, in which order.

use super::lex::ESCAPE;
use super::{Condition, Literal, Name, Operator, Order, Query, fault};
use crate::salesforce::access::Access;
use crate::salesforce::errors::ApiError;
use crate::salesforce::objects::{Field, Kind, Object};
use crate::salesforce::record_id::to_18;
use crate::salesforce::records::Record;
use crate::salesforce::store::Store;
use crate::salesforce::time;
use serde_json::Value;
use std::cmp::Ordering;
use std::sync::Arc;

/// What a query found.
pub(crate) struct Found {
    pub(crate) object: Arc<Object>,
    /// The fields to show, under their right names.
    pub(crate) fields: Vec<String>,
    pub(crate) ids: Vec<String>,
}

/// Finds the rows of a query; those in the recycle bin only if `all`.
pub(crate) fn run(
    store: &Store,
    text: &str,
    query: &Query,
    all: bool,
    access: &Access<'_>,
) -> Result<Found, ApiError> {
    let table = store.table(&query.object.text).map_err(|_| {
        let what = format!(
            "sObject type '{0}' is not supported. If you are attempting to use a custom object, be sure to append the \
             '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate names.",
            query.object.text
        );
        fault("INVALID_TYPE", text, query.object.at, &what)
    })?;
    let seeing = Seeing { text, object: &table.object, access, user: &store.user };
    let fields = query.fields.iter().map(|name| Ok(seeing.field(name)?.name.clone()));
    let fields: Vec<String> = fields.collect::<Result<_, ApiError>>()?;
    let order = query.order.iter().map(|order| Ok((seeing.filter_field(&order.field)?, order)));
    let order: Vec<(&Field, &Order)> = order.collect::<Result<_, ApiError>>()?;
    if let Some(condition) = &query.condition {
        seeing.check(condition)?;
    }
    let rows = table.all().filter(|_| access.shows_records(&table.object));
    let rows = rows
        .filter_map(|record| record.seen(access.now))
        .filter(|record| all || record.deleted.is_none())
        .filter(|record| query.condition.as_ref().is_none_or(|condition| seeing.holds(condition, record)));
    let keys =
        |record: &Record| order.iter().map(|(field, _)| record.value(&field.name, &store.user)).collect();
    let mut rows: Vec<(Vec<Value>, &Record)> = rows.map(|record| (keys(record), record)).collect();
    rows.sort_by(|(a, _), (b, _)| {
        let parts = order.iter().zip(a.iter().zip(b));
        parts.fold(Ordering::Equal, |so_far, ((field, order), (a, b))| {
            so_far.then_with(|| order_by(&field.kind, order, a, b))
        })
    });
    let ids = rows.into_iter().skip(query.offset).take(query.limit.unwrap_or(usize::MAX));
    let ids = ids.map(|(_, record)| record.id.clone()).collect();
    Ok(Found { object: table.object.clone(), fields, ids })
}

/// The object as the one who asks sees it.
struct Seeing<'a, 'f> {
    text: &'a str,
    object: &'a Object,
    access: &'a Access<'f>,
    user: &'a str,
}

impl<'a> Seeing<'a, '_> {
    fn field(&self, name: &Name) -> Result<&'a Field, ApiError> {
        let own = name.text.strip_prefix(self.object.name).and_then(|rest| rest.strip_prefix('.'));
        self.access.field(self.object, own.unwrap_or(&name.text)).ok_or_else(|| {
            let what = format!(
                "No such column '{}' on entity '{}'. If you are attempting to use a custom field, be sure to append the \
                 '__c' after the custom field name. Please reference your WSDL or the describe call for the appropriate \
                 names.",
                name.text, self.object.name
            );
            fault("INVALID_FIELD", self.text, name.at, &what)
        })
    }

    /// A field that may stand in WHERE and ORDER BY.
    fn filter_field(&self, name: &Name) -> Result<&'a Field, ApiError> {
        let field = self.field(name)?;
        if field.is_filterable() {
            return Ok(field);
        }
        let what = format!("field '{}' can not be filtered in a query call", field.name);
        Err(fault("INVALID_FIELD", self.text, name.at, &what))
    }

    /// Refuses comparisons of a field with what it cannot hold.
    fn check(&self, condition: &Condition) -> Result<(), ApiError> {
        match condition {
            Condition::And(all) | Condition::Or(all) => all.iter().try_for_each(|one| self.check(one)),
            Condition::Not(one) => self.check(one),
            Condition::Compare { field, operator, value } => {
                let found = self.filter_field(field)?;
                self.check_value(field, found, value)?;
                let is_text = matches!(found.kind, Kind::Text(_) | Kind::Email);
                if *operator == Operator::Like && !(is_text && matches!(value, Literal::Text(_))) {
                    let what = format!("invalid operator on {} field", kind_name(&found.kind));
                    return Err(fault("INVALID_QUERY_FILTER_OPERATOR", self.text, field.at, &what));
                }
                Ok(())
            }
            Condition::In { field, values, .. } => {
                let found = self.filter_field(field)?;
                values.iter().try_for_each(|value| self.check_value(field, found, value))
            }
        }
    }

    fn check_value(&self, name: &Name, field: &Field, value: &Literal) -> Result<(), ApiError> {
        let fits = match (&field.kind, value) {
            (_, Literal::Null) => true,
            (Kind::Id | Kind::Reference(_), Literal::Text(id)) => {
                if to_18(id).is_none() {
                    let what = format!("invalid ID field: {id}");
                    return Err(fault("INVALID_QUERY_FILTER_OPERATOR", self.text, name.at, &what));
                }
                true
            }
            (Kind::Text(_) | Kind::LongText(_) | Kind::Email, value) => matches!(value, Literal::Text(_)),
            (Kind::Boolean, value) => matches!(value, Literal::Boolean(_)),
            (Kind::Integer | Kind::Number, value) => matches!(value, Literal::Number(_)),
            (Kind::Date, value) => matches!(value, Literal::Date(_)),
            (Kind::DateTime, value) => matches!(value, Literal::DateTime(_)),
            _ => false,
        };
        if fits {
            return Ok(());
        }
        let kind = kind_name(&field.kind);
        let quotes = if kind == "string" {
            "should be enclosed in quotes"
        } else {
            "should not be enclosed in quotes"
        };
        let what = format!(
            "value of filter criterion for field '{}' must be of type {kind} and {quotes}",
            field.name
        );
        Err(fault("INVALID_FIELD", self.text, name.at, &what))
    }

    fn holds(&self, condition: &Condition, record: &Record) -> bool {
        match condition {
            Condition::And(all) => all.iter().all(|one| self.holds(one, record)),
            Condition::Or(all) => all.iter().any(|one| self.holds(one, record)),
            Condition::Not(one) => !self.holds(one, record),
            Condition::Compare { field, operator, value } => self.compares(field, *operator, value, record),
            Condition::In { field, negated, values } => self.is_in(field, values, record) != *negated,
        }
    }

    /// Whether a record holds one of many values. The usual ones are texts, most of which differ at once.
    fn is_in(&self, name: &Name, values: &[Literal], record: &Record) -> bool {
        let Ok(field) = self.field(name) else { return false };
        let value = match field.kind {
            Kind::Text(_) | Kind::LongText(_) | Kind::Email => record.text(&field.name),
            _ => None,
        };
        values.iter().any(|literal| match (value, literal) {
            (Some(value), Literal::Text(text)) => {
                let text = text.chars().filter(|c| *c != ESCAPE).flat_map(char::to_lowercase);
                value.chars().flat_map(char::to_lowercase).eq(text)
            }
            _ => self.compares(name, Operator::Equal, literal, record),
        })
    }

    fn compares(&self, name: &Name, operator: Operator, literal: &Literal, record: &Record) -> bool {
        let Ok(field) = self.field(name) else { return false };
        if let (Literal::DateTime(at), Some(moment)) = (literal, record.moment(&field.name)) {
            return operator.holds(Some(moment.cmp(at)));
        }
        let value = record.value(&field.name, self.user);
        if operator == Operator::Like {
            let Literal::Text(pattern) = literal else { return false };
            return value.as_str().is_some_and(|text| is_like(&text.to_lowercase(), &pattern.to_lowercase()));
        }
        let ordering = match (value.is_null(), literal) {
            (true, Literal::Null) => Some(Ordering::Equal),
            (true, _) | (_, Literal::Null) => None,
            _ => compare(&field.kind, &value, literal),
        };
        operator.holds(ordering)
    }
}

impl Operator {
    /// Whether it holds for how two values compare; none where one of them alone is null.
    fn holds(self, ordering: Option<Ordering>) -> bool {
        match self {
            Operator::Equal => ordering == Some(Ordering::Equal),
            // Null differs from every value.
            Operator::NotEqual => ordering != Some(Ordering::Equal),
            Operator::Greater => ordering == Some(Ordering::Greater),
            Operator::GreaterOrEqual => ordering.is_some_and(Ordering::is_ge),
            Operator::Less => ordering == Some(Ordering::Less),
            Operator::LessOrEqual => ordering.is_some_and(Ordering::is_le),
            Operator::Like => false,
        }
    }
}

/// Two values of a field in the order asked for.
fn order_by(kind: &Kind, order: &Order, a: &Value, b: &Value) -> Ordering {
    match (a.is_null(), b.is_null()) {
        (true, true) => Ordering::Equal,
        (false, false) => {
            let ordering = order_values(kind, a, b);
            if order.descending { ordering.reverse() } else { ordering }
        }
        (a_is_null, _) => {
            if a_is_null != order.nulls_last {
                Ordering::Less
            } else {
                Ordering::Greater
            }
        }
    }
}

fn kind_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Id | Kind::Reference(_) => "id",
        Kind::Text(_) | Kind::LongText(_) | Kind::Email => "string",
        Kind::Boolean => "boolean",
        Kind::Integer => "int",
        Kind::Number => "double",
        Kind::Date => "date",
        Kind::DateTime => "dateTime",
    }
}

/// A value against a literal that fits its kind. Texts are compared without regard to case, ids exactly.
fn compare(kind: &Kind, value: &Value, literal: &Literal) -> Option<Ordering> {
    match literal {
        Literal::Text(text) => match kind {
            Kind::Id | Kind::Reference(_) => Some(value.as_str()?.cmp(to_18(text)?.as_str())),
            _ => Some(value.as_str()?.to_lowercase().cmp(&plain(text).to_lowercase())),
        },
        Literal::Number(number) => value.as_f64()?.partial_cmp(number),
        Literal::Boolean(boolean) => Some(value.as_bool()?.cmp(boolean)),
        Literal::Date(date) => Some(time::read_date(value.as_str()?)?.cmp(date)),
        Literal::DateTime(at) => Some(time::read(value.as_str()?)?.cmp(at)),
        Literal::Null => None,
    }
}

fn order_values(kind: &Kind, a: &Value, b: &Value) -> Ordering {
    match (kind, a, b) {
        (Kind::Text(_) | Kind::Email, Value::String(a), Value::String(b)) => {
            a.to_lowercase().cmp(&b.to_lowercase())
        }
        // Ids and moments are written so that their texts sort as they do.
        (_, Value::String(a), Value::String(b)) => a.cmp(b),
        (_, Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        _ => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
    }
}

/// A literal outside a pattern, where a wildcard was escaped for nothing.
fn plain(text: &str) -> String {
    text.replace(ESCAPE, "")
}

/// Whether `text` is like `pattern`: `%` is any run of characters, `_` one character.
fn is_like(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    let (mut t, mut p) = (0, 0);
    // Where to go on after the last `%`: one character further each time.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        let (escaped, at) = if pattern.get(p) == Some(&ESCAPE) { (true, p + 1) } else { (false, p) };
        match pattern.get(at) {
            Some('%') if !escaped => {
                retry = Some((at + 1, t));
                p = at + 1;
            }
            Some(c) if *c == text[t] || (*c == '_' && !escaped) => {
                t += 1;
                p = at + 1;
            }
            _ => match retry {
                Some((after, from)) => {
                    retry = Some((after, from + 1));
                    (p, t) = (after, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let escaped = format!("50{ESCAPE}%");
        for (text, pattern, like) in [
            ("smith", "smi%", true),
            ("smith", "%th", true),
            ("smith", "s%t%", true),
            ("smith", "sm_th", true),
            ("smith", "sm_h", false),
            ("smith", "smith", true),
            ("smiths", "smith", false),
            ("", "%", true),
            ("", "_", false),
            ("aab", "%ab", true),
            ("50%", escaped.as_str(), true),
            ("50 percent", escaped.as_str(), false),
        ] {
            assert_eq!(is_like(text, pattern), like, "{text} like {pattern}");
        }
    }
}
