//! What is said when a person names something that is not there: the nearest name, or all of them.

use bothways_engine::EngineError;
use bothways_mapping::nearest;

/// There is no `what` called `name`, but these.
pub(crate) fn unknown_name<'a>(
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'a String> + Clone,
) -> anyhow::Error {
    let near = nearest(name, known.clone().map(String::as_str));
    let all: Vec<&str> = known.map(String::as_str).collect();
    let hint =
        near.map_or_else(|| format!("there is {}", all.join(", ")), |n| format!("did you mean `{n}`?"));
    EngineError::NotFound(format!("{what} `{name}` ({hint})")).into()
}
