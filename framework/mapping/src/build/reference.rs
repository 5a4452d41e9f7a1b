//! Fields that refer to rows of a catalog: what of it travels, and what cannot be said of such a field.

use super::field::Written;
use super::mapping::Known;
use super::{Cx, sub};
use crate::doc::{CodecDoc, RowLookupDoc};
use crate::finding::Code;
use crate::lens::Lens;
use bothways_model::{CatalogField, FieldType};

/// The lens of a reference by links. Its value is the links' business, so nothing else can be said about it.
pub(super) fn link(cx: &mut Cx<'_>, written: &Written<'_>, target: &str) -> Option<Lens> {
    let long = written.long;
    if !written.normalize().0.is_empty() {
        let message = format!("`{}` refers to `{target}`, and ids are not made alike", written.label);
        cx.error(Code::M203, &written.at("normalize"), message).help("remove `normalize`");
    }
    if long.is_some_and(|long| long.default.is_some()) {
        let message = format!("`{}` refers to `{target}`, and has no default", written.label);
        cx.error(Code::M203, &written.at("default"), message).help("remove `default`");
    }
    let number = match long.and_then(|long| long.codec.as_ref()).map(|codecs| codecs.chain.as_slice()) {
        None | Some([CodecDoc::String]) => false,
        Some([CodecDoc::Number]) => true,
        Some(_) => {
            let message =
                format!("`{}` refers to `{target}`, and travels as the id of a record", written.label);
            cx.error(Code::M203, &written.at("as"), message)
                .help("remove `as`; `as: number` where the service wants the id as a number");
            return None;
        }
    };
    Some(Lens::reference(number))
}

/// The field of another catalog that stands for its rows, if it can. What travels is its value, and nothing else can be said of the key
/// that the local field holds.
pub(super) fn lookup<'k>(
    cx: &mut Cx<'_>,
    written: &Written<'_>,
    doc: &RowLookupDoc,
    local: &CatalogField,
    known: &'k Known,
) -> Option<&'k CatalogField> {
    let at = sub(&written.codec_at(0), "lookup");
    let (label, target) = (written.label, doc.catalog.as_str());
    if !written.normalize().0.is_empty() {
        let message = format!("`{label}` is looked up in `{target}`, which compares exactly");
        cx.error(Code::M203, &written.at("normalize"), message).help("remove `normalize`");
    }
    if written.long.is_some_and(|long| long.default.is_some()) {
        let message = format!("`{label}` is looked up in `{target}`, and has no default");
        cx.error(Code::M203, &written.at("default"), message).help("remove `default`");
    }
    let Some(catalog) = known.catalogs.get(target) else {
        if !known.may_hold(target) {
            cx.error(Code::M101, &sub(&at, "catalog"), format!("there is no catalog `{target}`"))
                .did_you_mean(target, known.catalogs.keys().map(String::as_str));
        }
        return None;
    };
    let mut fits = true;
    let keys: Vec<&CatalogField> = catalog.key_fields().collect();
    let [key] = keys[..] else {
        let message = format!("the key of `{target}` is {}, and `{}` holds one", catalog.key, local.name);
        cx.error(Code::M203, &sub(&at, "catalog"), message)
            .help("look rows up in a catalog whose key is one field");
        return None;
    };
    if let Some(other) = local.reference.as_ref().filter(|other| *other != target) {
        let message = format!("`{}` refers to rows of `{other}`, not of `{target}`", local.name);
        cx.error(Code::M203, &sub(&at, "catalog"), message).help(format!("write `catalog: {other}`"));
        fits = false;
    } else if local.ty != key.ty {
        let message = format!(
            "the type of `{}` is `{}`, and the key of `{target}` is `{}`",
            local.name, local.ty, key.ty
        );
        cx.error(Code::M203, &sub(&at, "catalog"), message)
            .help("the local field holds the key of a row of that catalog");
        fits = false;
    }
    let Some(by) = catalog.field(doc.by.as_str()) else {
        let names = catalog.fields.iter().map(|field| field.name.as_str());
        let message = format!("the catalog `{target}` has no field `{}`", doc.by.as_str());
        cx.error(Code::M101, &sub(&at, "by"), message).did_you_mean(doc.by.as_str(), names);
        return None;
    };
    if !matches!(by.ty, FieldType::Text | FieldType::Int) {
        let message =
            format!("the type of `{}` is `{}`, and a row is looked up by a text or an int", by.name, by.ty);
        cx.error(Code::M203, &sub(&at, "by"), message).help("name a field of another type");
        fits = false;
    }
    fits.then_some(by)
}
