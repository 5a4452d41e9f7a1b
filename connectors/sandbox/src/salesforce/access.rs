//! Who asks, and what of the organisation is shown to him.

use super::faults::Action;
use super::objects::{Field, Object};
use bothways_model::Timestamp;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Who acts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum By {
    /// A program.
    Api {
        /// Whether it saves what a duplicate rule only warns of.
        allow_save: bool,
    },
    /// A person in the browser, who sees everything and clicks warnings away.
    Person,
}

/// One act: who, when, and the faults that shape it.
#[derive(Debug)]
pub(crate) struct Access<'a> {
    pub(crate) by: By,
    pub(crate) now: Timestamp,
    shapes: &'a [Action],
    taken: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Access<'a> {
    pub(crate) fn new(by: By, shapes: &'a [Action], now: Timestamp) -> Self {
        Self { by, now, shapes, taken: RefCell::default() }
    }

    /// The faults that took effect.
    pub(crate) fn taken(self) -> BTreeSet<&'static str> {
        self.taken.into_inner()
    }

    /// The first fault that `pick` recognises; it counts as having taken effect.
    pub(crate) fn take<T>(&self, pick: impl Fn(&'a Action) -> Option<T>) -> Option<T> {
        self.shapes.iter().find_map(|action| {
            let picked = pick(action)?;
            self.taken.borrow_mut().insert(action.kind());
            Some(picked)
        })
    }

    /// All faults that `pick` recognises; they count as having taken effect.
    pub(crate) fn take_all<T>(&self, pick: impl Fn(&'a Action) -> Option<T>) -> Vec<T> {
        let mut all = Vec::new();
        for action in self.shapes {
            if let Some(picked) = pick(action) {
                self.taken.borrow_mut().insert(action.kind());
                all.push(picked);
            }
        }
        all
    }

    /// Whether this field is shown.
    pub(crate) fn shows(&self, field: &Field) -> bool {
        self.take(|action| match action {
            Action::HiddenField { field: hidden } if field.name.eq_ignore_ascii_case(hidden) => Some(()),
            _ => None,
        })
        .is_none()
    }

    /// A field that is there and shown, by its name in any case.
    pub(crate) fn field<'o>(&self, object: &'o Object, name: &str) -> Option<&'o Field> {
        object.field(name).filter(|field| self.shows(field))
    }

    /// Whether any record of this object is shown.
    pub(crate) fn shows_records(&self, object: &Object) -> bool {
        self.take(|action| match action {
            Action::HiddenRecords { object: hidden } if object.name.eq_ignore_ascii_case(hidden) => Some(()),
            _ => None,
        })
        .is_none()
    }
}
