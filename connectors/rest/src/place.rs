//! Where to go on in a list, as it is stored between pages.
//!
//! A cursor outlives the process, so it is checked when it is read back: one that cannot be read, or that leads to another origin, is
//! refused as `expired`, which makes the caller start again from the top.

use bothways_connector::PageCursor;
use bothways_model::{ErrorClass, Failure, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// A stored position.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The step to take.
    #[serde(flatten)]
    pub(crate) step: Step,
    /// Records seen since the search began, counted only where a search has a cap.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) seen: u64,
    /// The id of the first record of the page before, kept for numbered pages only: a service that ignores the number repeats it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) first: Option<String>,
    /// Where a capped search began again, in place of the caller's moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<Timestamp>,
}

/// How the next page is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Step {
    /// After the record or position that the service named.
    After(Json),
    /// At this URL.
    Url(String),
    /// The page or offset of this number.
    Number(u64),
    /// From the start, but at a later moment.
    Again,
}

impl From<Step> for Place {
    fn from(step: Step) -> Self {
        Self { step, seen: 0, first: None, since: None }
    }
}

impl Place {
    /// As the caller stores it.
    pub(crate) fn cursor(&self) -> Option<PageCursor> {
        serde_json::to_string(self).ok().map(PageCursor)
    }

    /// Reads what [`Place::cursor`] wrote.
    pub(crate) fn read(cursor: &PageCursor) -> Result<Self, Failure> {
        serde_json::from_str(&cursor.0).map_err(|_| {
            Failure::new(ErrorClass::Expired, "the stored page cursor is not one of this connector's")
        })
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn comes_back_as_it_was() {
        let since = chrono::DateTime::from_timestamp_millis(1_700_000_000_123);
        for place in [
            Step::After(json!("cus_1")).into(),
            Step::After(json!({"k": [1, null]})).into(),
            Step::Url("https://x.io/p?c=1".into()).into(),
            Place { seen: 200, first: Some("a".into()), ..Step::Number(3).into() },
            Place { since, ..Step::Again.into() },
        ] {
            assert_eq!(Place::read(&place.cursor().unwrap()).unwrap(), place);
        }
    }

    #[test]
    fn what_is_not_ours_is_expired() {
        for bad in ["", "cus_1", "{}", r#"{"number":-1}"#, r#"{"after":1,"url":"x"} x"#] {
            assert_eq!(Place::read(&PageCursor(bad.into())).unwrap_err().class, ErrorClass::Expired, "{bad}");
        }
    }
}
