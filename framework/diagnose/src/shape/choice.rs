//! Which branch of an `anyOf` or `oneOf` was meant.

use super::{Teller, suggestion, text_of};
use bothways_mapping::Code;
use bothways_mapping::tree::join;
use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value as Json;

/// Tells what is wrong with the value at `pointer`, of which every branch in `context` says something else.
pub(super) fn tell(teller: &mut Teller<'_>, pointer: &str, context: &[Vec<ValidationError<'static>>]) {
    let branches: Vec<&Vec<ValidationError<'static>>> = context.iter().collect();
    let entered: Vec<_> = branches.iter().copied().filter(|errors| !refused_at(errors, pointer)).collect();
    match entered.as_slice() {
        [] => refused(teller, pointer, &branches),
        [only] => {
            if !choices(teller, pointer, &[only]) {
                only.iter().for_each(|error| teller.tell(error));
            }
        }
        several => {
            if choices(teller, pointer, several) {
                return;
            }
            let best = several.iter().min_by_key(|errors| (at_root(errors, pointer), errors.len()));
            best.iter().for_each(|errors| errors.iter().for_each(|error| teller.tell(error)));
        }
    }
}

/// The value is not even of this branch's kind: another type, or another word.
fn refused_at(errors: &[ValidationError<'_>], pointer: &str) -> bool {
    errors.iter().any(|error| {
        error.instance_path().as_str() == pointer
            && match error.kind() {
                Kind::Type { .. } | Kind::Constant { .. } | Kind::Enum { .. } => true,
                Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                    context.iter().all(|branch| refused_at(branch, pointer))
                }
                _ => false,
            }
    })
}

/// Missing and unknown keys of the value itself: a branch with few of them is nearer.
fn at_root(errors: &[ValidationError<'_>], pointer: &str) -> usize {
    errors.iter().filter(|e| e.instance_path().as_str() == pointer).count()
}

/// No branch takes the value: says which words and types would do.
fn refused(teller: &mut Teller<'_>, pointer: &str, branches: &[&Vec<ValidationError<'static>>]) {
    let (mut words, mut types) = (Vec::new(), Vec::new());
    for errors in branches {
        gather(teller, errors, pointer, &mut words, &mut types);
    }
    let is_text = teller.node.at(pointer).and_then(text_of).is_some();
    if is_text && !words.is_empty() {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        teller.wrong_word(pointer, &words);
        return;
    }
    if !words.is_empty() && !types.iter().any(|t| t == "text") {
        types.insert(0, "a word".to_owned());
    }
    types.dedup();
    let mut seen = std::collections::BTreeSet::new();
    types.retain(|t| seen.insert(t.clone()));
    teller.wrong_type(pointer, &types.join(" or "));
}

fn gather(
    teller: &Teller<'_>,
    errors: &[ValidationError<'_>],
    pointer: &str,
    words: &mut Vec<String>,
    types: &mut Vec<String>,
) {
    for error in errors.iter().filter(|e| e.instance_path().as_str() == pointer) {
        match error.kind() {
            Kind::Constant { expected_value } => words.extend(expected_value.as_str().map(str::to_owned)),
            Kind::Enum { options } => {
                words.extend(
                    options.as_array().into_iter().flatten().filter_map(Json::as_str).map(str::to_owned),
                );
            }
            Kind::Type { kind } => {
                // A choice that takes a value can be named where a word was written.
                let choice = teller.schema_of(error).and_then(only_key);
                match choice {
                    Some(key) if teller.node.at(pointer).and_then(text_of).is_some() => words.push(key),
                    Some(_) => types.push("a map".to_owned()),
                    None => types.push(super::expected(kind)),
                }
            }
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                for branch in context {
                    gather(teller, branch, pointer, words, types);
                }
            }
            _ => {}
        }
    }
}

/// The key of a schema that is one choice: a map of exactly that key.
fn only_key(schema: &Json) -> Option<String> {
    let properties = schema.get("properties")?.as_object()?;
    let required = schema.get("required")?.as_array()?;
    match (properties.len(), required.as_slice()) {
        (1, [Json::String(key)]) => Some(key.clone()),
        _ => None,
    }
}

/// All branches are choices of one key: tells about the key, unless it is right. False if they are something else.
fn choices(teller: &mut Teller<'_>, pointer: &str, branches: &[&Vec<ValidationError<'static>>]) -> bool {
    let mut keys = Vec::new();
    let mut meant = None;
    let node_keys: Vec<String> = teller
        .node
        .at(pointer)
        .map(|n| n.entries().iter().map(|e| e.key.clone()).collect())
        .unwrap_or_default();
    for errors in branches {
        let own = errors.iter().find_map(|error| branch_key(teller, error, pointer));
        let Some(key) = own else { return false };
        if node_keys.contains(&key) {
            meant = Some(*errors);
        }
        keys.push(key);
    }
    match (node_keys.as_slice(), meant) {
        ([_], Some(errors)) => errors.iter().for_each(|error| teller.tell(error)),
        ([key], None) => {
            let at = join(pointer, key);
            let help = suggestion(key, keys.iter().map(String::as_str));
            let span = teller.node.key_place(&at);
            teller.say(Code::Y105, span, &at, format!("`{key}` is not one of the choices here"), help);
        }
        (several, _) => {
            let span = several
                .get(1)
                .map_or_else(|| teller.span(pointer), |key| teller.node.key_place(&join(pointer, key)));
            let count =
                if several.is_empty() { "none is".to_owned() } else { format!("{} are", several.len()) };
            let message = format!("exactly one choice is expected, and {count} here");
            let help = if several.is_empty() {
                format!("choose one of: {}", keys.join(", "))
            } else {
                "keep one of the keys".into()
            };
            teller.say(Code::Y107, span, pointer, message, Some(help));
        }
    }
    true
}

/// The choice that an error's branch is: found in the schema around the error's keyword.
fn branch_key(teller: &Teller<'_>, error: &ValidationError<'_>, pointer: &str) -> Option<String> {
    if error.instance_path().as_str() == pointer {
        return teller.schema_of(error).and_then(only_key);
    }
    // Deeper errors are in a branch whose key leads to them.
    let below = error.instance_path().as_str().strip_prefix(pointer)?.strip_prefix('/')?;
    let key = below.split('/').next()?.replace("~1", "/").replace("~0", "~");
    let evaluated = error.evaluation_path().as_str().to_owned();
    evaluated.contains("/oneOf/").then_some(key)
}
