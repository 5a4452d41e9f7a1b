//! Values of both sides. Whatever can be read as a value of a type can be stored and read back as the same value, shown and read back as
//! the same value, and written as text and read back; what a lens makes of a remote value it sends back as one that means the same.

use super::{parts, text};
use bothways_mapping::lens::Normalizer;
use bothways_mapping::lens::{Codec, Minor, Word};
use bothways_mapping::{Lens, Normalize};
use bothways_model::{FieldType, Record, Value};
use serde_json::{Value as Json, json};
use std::sync::LazyLock;

static TYPES: LazyLock<Vec<FieldType>> = LazyLock::new(|| {
    vec![
        FieldType::Text,
        FieldType::Int,
        FieldType::Bool,
        FieldType::Decimal { scale: 2 },
        FieldType::Decimal { scale: 9 },
        FieldType::Timestamp,
        FieldType::Date,
        FieldType::Uuid,
        FieldType::Json,
        FieldType::Enum(vec!["a".into(), "B".into(), "c d".into()]),
        FieldType::List(Box::new(FieldType::Text)),
        FieldType::List(Box::new(FieldType::Timestamp)),
    ]
});

static LENSES: LazyLock<Vec<Lens>> = LazyLock::new(|| {
    let word = |local: &str, remote: Json| Word { local: local.into(), remote };
    let lens = |ty: FieldType, codecs: Option<Vec<Codec>>| Lens::new(&ty, codecs).expect("the types meet");
    let decimal = || FieldType::Decimal { scale: 2 };
    let texts = || FieldType::List(Box::new(FieldType::Text));
    let mut lenses: Vec<Lens> = TYPES.iter().filter_map(|ty| Lens::new(ty, None).ok()).collect();
    lenses.extend([
        lens(FieldType::Int, Some(vec![Codec::String])),
        lens(FieldType::Bool, Some(vec![Codec::String])),
        lens(FieldType::Bool, Some(vec![Codec::Not])),
        lens(FieldType::Uuid, Some(vec![Codec::String])),
        lens(decimal(), Some(vec![Codec::String])),
        lens(decimal(), Some(vec![Codec::Number])),
        lens(decimal(), Some(vec![Codec::Minor(Minor::Scale(2))])),
        lens(FieldType::Timestamp, Some(vec![Codec::Unix])),
        lens(FieldType::Timestamp, Some(vec![Codec::UnixMs])),
        lens(FieldType::Timestamp, Some(vec![Codec::Iso8601])),
        lens(FieldType::Text, Some(vec![Codec::Prefix("a:".into()), Codec::Suffix(":z".into())])),
        lens(FieldType::Text, Some(vec![Codec::Base64])),
        lens(
            FieldType::Text,
            Some(vec![Codec::Values(vec![word("yes", json!(true)), word("no", json!(0))])]),
        ),
        lens(texts(), Some(vec![Codec::Split(",".into())])),
        lens(FieldType::Json, Some(vec![Codec::Json])),
    ]);
    lenses
});

pub fn run(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let [written, wire] = parts(text);
    let json: Option<Json> = serde_json::from_str(written).ok();
    for ty in TYPES.iter() {
        if let Ok(value) = Value::from_text(ty, written) {
            stays(ty, &value);
        }
        if let Some(Ok(value)) = json.as_ref().map(|json| Value::from_plain_json(ty, json)) {
            stays(ty, &value);
        }
    }
    if let Ok(stored) = serde_json::from_str::<Value>(written) {
        let again = serde_json::to_string(&stored).expect("a value can be stored");
        assert_eq!(serde_json::from_str::<Value>(&again).ok().as_ref(), Some(&stored), "{again}");
    }
    if let Ok(wire) = serde_json::from_str::<Json>(wire) {
        LENSES.iter().for_each(|lens| travels(lens, &wire));
    }
    normalized(written);
}

fn stays(ty: &FieldType, value: &Value) {
    let stored = serde_json::to_string(value).expect("a value can be stored");
    assert_eq!(serde_json::from_str::<Value>(&stored).ok().as_ref(), Some(value), "stored as {stored}");
    let shown = value.to_plain_json();
    // JSON's own null in a JSON field is shown as what it is.
    let null = *value == Value::Json(Json::Null);
    assert!(null || Value::from_plain_json(ty, &shown).as_ref() == Ok(value), "{ty} is shown as {shown}");
    // Text inside JSON is shown without quotes; cells and forms of JSON have a way of their own.
    if !value.is_null() && *ty != FieldType::Json {
        let text = value.to_text();
        assert_eq!(Value::from_text(ty, &text).as_ref(), Ok(value), "as text {text}");
    }
}

/// A refusal parks and breaks nothing; what is taken in must come out as something that is taken in as the same.
fn travels(lens: &Lens, wire: &Json) {
    let (row, record) = (Record::new(), json!({}));
    let Ok(Some(local)) = lens.inward(Some(wire), &record) else { return };
    stays(lens.local_type(), &local);
    let Ok(sent) = lens.out(&local, &row) else { return };
    let again = lens.inward(Some(&sent), &record);
    assert_eq!(
        again.as_ref(),
        Ok(&Some(local)),
        "{:?}: {wire} comes in, and {sent} goes out",
        lens.wire_kind()
    );
}

fn normalized(text: &str) {
    use Normalizer::{CollapseSpaces, Digits, Lower, Nfc, Trim, Upper};
    for chain in [
        vec![Trim, Lower],
        vec![Upper, Nfc],
        vec![Nfc, CollapseSpaces, Trim],
        vec![Digits],
        vec![Lower, Nfc, Trim],
    ] {
        let normalize = Normalize(chain);
        let once = normalize.apply(&Value::Text(text.to_owned()));
        assert_eq!(normalize.apply(&once), once, "{:?} twice is not once", normalize.0);
    }
}
