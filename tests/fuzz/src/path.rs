//! A path, a filter and a JSON document: what is written at a path is read there and nothing else has changed; a path means the same after
//! it was printed; our own walker finds what the query engine finds.

use super::{parts, text};
use bothways_mapping::path::parse_singular;
use bothways_mapping::{Filter, Query};
use bothways_model::{Segment, SingularPath};
use serde_json::{Value as Json, json};

pub fn run(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let [path, document, filter] = parts(text);
    let document: Json = serde_json::from_str(document).unwrap_or(Json::Null);
    if let Ok(query) = Query::parse(path) {
        let selected = query.select(&document);
        assert_eq!(query.first(&document), selected.first().copied());
        assert!(query.is_plural() || selected.len() <= 1);
    }
    if let Ok(path) = parse_singular(path) {
        set(&path, &document);
        printed(&path);
    }
    if let Ok(filter) = Filter::parse(filter) {
        assert_eq!(filter.matches(&document), filter.matches(&document.clone()));
    }
}

fn set(path: &SingularPath, document: &Json) {
    let written = json!({ "written": [1, null] });
    let mut changed = document.clone();
    match path.set(&mut changed, written.clone()) {
        Ok(()) => {
            assert_eq!(path.get(&changed), Some(&written), "{path}");
            // Where there was something, putting it back gives the document as it was.
            if let Some(before) = path.get(document) {
                path.set(&mut changed, before.clone()).expect("it could be written a moment ago");
                assert_eq!(&changed, document, "{path} changed something else");
            }
        }
        Err(_) => {
            assert!(path.get(document).is_none(), "{path} is there and cannot be written");
        }
    }
}

fn printed(path: &SingularPath) {
    let text = path.to_string();
    let again =
        parse_singular(&text).unwrap_or_else(|error| panic!("{path:?} is printed as {text}: {error}"));
    assert_eq!(&again, path, "printed as {text}");
    // An object that holds exactly this path.
    let holder = path.0.iter().rev().try_fold(json!("found"), |inner, segment| match segment {
        Segment::Name(name) => Some(json!({ name.as_str(): inner })),
        Segment::Index(index) if *index < 8 => {
            let mut items = vec![Json::Null; *index];
            items.push(inner);
            Some(Json::Array(items))
        }
        Segment::Index(_) | Segment::Element { .. } => None,
    });
    if let Some(holder) = holder {
        assert_eq!(path.get(&holder), Some(&json!("found")), "{text}");
    }
}
