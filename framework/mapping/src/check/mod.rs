//! What documents mean, beyond their form. Each file holds the checks of one subject; codes are in [`crate::Code`].

pub(crate) mod calls;
pub(crate) mod database;
pub(crate) mod environment;
pub(crate) mod escape;
pub(crate) mod names;
pub(crate) mod paths;
pub(crate) mod rates;
pub(crate) mod references;
pub(crate) mod resources;
pub(crate) mod secrets;
pub(crate) mod vars;
pub(crate) mod writers;

use crate::doc::{MappingDoc, MappingFieldDoc};
use crate::mapping::Field;

/// The label that the document has for a field: one of two local fields that are one text outside goes by its own name.
pub(crate) fn label_of<'a>(doc: &'a MappingDoc, field: &'a Field) -> &'a str {
    let names = |long: &crate::doc::MappingFieldLong| {
        long.local
            .as_ref()
            .is_some_and(|l| l.names.len() == 2 && l.names.iter().any(|n| n.as_str() == field.label))
    };
    let both = field.lens.part().and_then(|_| {
        doc.fields.iter().find(|(_, written)| matches!(written, MappingFieldDoc::Long(long) if names(long)))
    });
    both.map_or(field.label.as_str(), |(label, _)| label)
}
