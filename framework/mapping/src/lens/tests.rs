//! The laws of every codec, on values that proptest chooses; and what each codec refuses.

use super::*;
use crate::path::Query;
use bothways_model::{FieldType, Segment, SingularPath};
use chrono::{NaiveDate, TimeZone, Utc};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::json;
use uuid::Uuid;

/// So many of each law, or `PROPTEST_CASES`.
const CASES: u32 = 4096;

fn cases() -> ProptestConfig {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    if asked { ProptestConfig::default() } else { ProptestConfig::with_cases(CASES) }
}

fn lens(ty: FieldType, codecs: Vec<Codec>) -> Lens {
    Lens::new(&ty, Some(codecs)).unwrap()
}

fn dec(text: &str) -> Value {
    Value::Decimal(text.parse().unwrap())
}

/// PutGet and GetPut for a value that must pass.
fn bijective(lens: &Lens, value: &Value, row: &Record, body: &Json) -> Result<(), TestCaseError> {
    let wire = lens.out(value, row).map_err(|r| TestCaseError::fail(format!("refused: {r}")))?;
    let back =
        lens.inward(Some(&wire), body).map_err(|r| TestCaseError::fail(format!("refused back: {r}")))?;
    prop_assert_eq!(back.as_ref(), Some(value));
    prop_assert_eq!(lens.out(&back.unwrap(), row).unwrap(), wire);
    Ok(())
}

fn exact(lens: &Lens, value: &Value) -> Result<(), TestCaseError> {
    bijective(lens, value, &Record::new(), &Json::Null)
}

fn any_decimal(scale: u32) -> impl Strategy<Value = Decimal> {
    (any::<i64>(), 0..=scale).prop_map(|(mantissa, scale)| Decimal::new(mantissa, scale).normalize())
}

fn any_time() -> impl Strategy<Value = bothways_model::Timestamp> {
    (-60_000_000_000_i64..250_000_000_000, 0_u32..1_000_000)
        .prop_map(|(s, us)| Utc.timestamp_opt(s, us * 1000).unwrap())
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Json::Bool),
        any::<i64>().prop_map(Json::from),
        "\\PC{0,8}".prop_map(Json::String),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            proptest::collection::btree_map("[a-z]{1,3}", inner, 0..4)
                .prop_map(|m| Json::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn plain_types_are_exact(text in "\\PC{0,20}", n in any::<i64>(), b in any::<bool>(), j in any_json()) {
        exact(&Lens::new(&FieldType::Text, None).unwrap(), &Value::Text(text))?;
        exact(&Lens::new(&FieldType::Int, None).unwrap(), &Value::Int(n))?;
        exact(&Lens::new(&FieldType::Bool, None).unwrap(), &Value::Bool(b))?;
        exact(&Lens::new(&FieldType::Json, None).unwrap(), &Value::Json(j))?;
    }

    #[test]
    fn string_is_exact(n in any::<i64>(), b in any::<bool>(), d in any_decimal(12), u in any::<u128>()) {
        exact(&lens(FieldType::Int, vec![Codec::String]), &Value::Int(n))?;
        exact(&lens(FieldType::Bool, vec![Codec::String]), &Value::Bool(b))?;
        exact(&lens(FieldType::Decimal { scale: 12 }, vec![Codec::String]), &Value::Decimal(d))?;
        exact(&lens(FieldType::Uuid, vec![Codec::String]), &Value::Uuid(Uuid::from_u128(u)))?;
    }

    #[test]
    fn number_is_exact_within_15_digits(mantissa in -999_999_999_999_999_i64..=999_999_999_999_999, scale in 0_u32..=20) {
        let value = Value::Decimal(Decimal::new(mantissa, scale).normalize());
        exact(&lens(FieldType::Decimal { scale: 20 }, vec![Codec::Number]), &value)?;
    }

    #[test]
    fn number_never_rounds(mantissa in any::<i64>(), scale in 0_u32..=10) {
        let lens = lens(FieldType::Decimal { scale: 10 }, vec![Codec::Number]);
        let value = Value::Decimal(Decimal::new(mantissa, scale));
        if let Ok(wire) = lens.out(&value, &Record::new()) {
            let text = wire.to_string();
            let back: Json = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(lens.inward(Some(&back), &Json::Null).unwrap(), Some(value));
        }
    }

    #[test]
    fn unix_is_exact_on_its_grain(time in any_time()) {
        let seconds = Value::Timestamp(Utc.timestamp_opt(time.timestamp(), 0).unwrap());
        exact(&lens(FieldType::Timestamp, vec![Codec::Unix]), &seconds)?;
        let millis = Value::Timestamp(Utc.timestamp_millis_opt(time.timestamp_millis()).unwrap());
        exact(&lens(FieldType::Timestamp, vec![Codec::UnixMs]), &millis)?;
        let unix = lens(FieldType::Timestamp, vec![Codec::Unix]);
        let passes = unix.out(&Value::Timestamp(time), &Record::new()).is_ok();
        prop_assert_eq!(passes, time.timestamp_subsec_nanos() == 0);
    }

    #[test]
    fn iso8601_is_exact_and_forgets_the_offset(time in any_time(), hours in -12_i32..=14) {
        let lens = lens(FieldType::Timestamp, vec![Codec::Iso8601]);
        exact(&lens, &Value::Timestamp(time))?;
        let offset = chrono::FixedOffset::east_opt(hours * 3600).unwrap();
        for format in ["%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%d %H:%M:%S%.f%z"] {
            let other = json!(time.with_timezone(&offset).format(format).to_string());
            prop_assert_eq!(lens.inward(Some(&other), &Json::Null).unwrap(), Some(Value::Timestamp(time)));
        }
    }

    #[test]
    fn utc_is_exact_and_says_no_offset(time in any_time()) {
        let lens = lens(FieldType::Timestamp, vec![Codec::Utc]);
        exact(&lens, &Value::Timestamp(time))?;
        let text = lens.out(&Value::Timestamp(time), &Record::new()).unwrap();
        prop_assert!(!text.as_str().unwrap().ends_with('Z'));
        let spaced = json!(text.as_str().unwrap().replace('T', " "));
        prop_assert_eq!(lens.inward(Some(&spaced), &Json::Null).unwrap(), Some(Value::Timestamp(time)));
    }

    #[test]
    fn date_is_exact(days in -700_000_i64..2_000_000) {
        let day = NaiveDate::default() + chrono::Duration::days(days);
        exact(&lens(FieldType::Date, vec![Codec::Date]), &Value::Date(day))?;
    }

    #[test]
    fn minor_by_scale_is_exact_where_it_fits(mantissa in -1_000_000_000_000_i64..1_000_000_000_000, digits in 0_u32..=6, scale in 0_u32..=4) {
        let lens = lens(FieldType::Decimal { scale: 6 }, vec![Codec::Minor(Minor::Scale(scale))]);
        let decimal = Decimal::new(mantissa, digits).normalize();
        if decimal.scale() <= scale {
            exact(&lens, &Value::Decimal(decimal))?;
        } else {
            prop_assert_eq!(lens.out(&Value::Decimal(decimal), &Record::new()).unwrap_err().kind, RefusalKind::Range);
        }
    }

    #[test]
    fn minor_by_currency_is_exact(units in -1_000_000_000_000_i64..1_000_000_000_000, code in proptest::sample::select(vec!["usd", "JPY", "bhd", "clf"])) {
        let lens = minor_by_currency();
        let row: Record = [("currency", Value::Text(code.into()))].into_iter().collect();
        let body = json!({"currency": code});
        let value = lens.inward(Some(&json!(units)), &body).unwrap().unwrap();
        prop_assert_eq!(lens.out(&value, &row).unwrap(), json!(units));
        bijective(&lens, &value, &row, &body)?;
    }

    #[test]
    fn values_are_exact(index in 0_usize..3) {
        let words: Vec<String> = ["open", "paid", "void"].map(String::from).to_vec();
        let tables = [vec![json!("o"), json!("p"), json!("v")], vec![json!(1), json!(2), json!(3)], vec![json!(true), json!("p"), json!(3)]];
        for remote in tables {
            let table = words.iter().zip(remote).map(|(l, r)| Word { local: l.clone(), remote: r }).collect();
            let lens = lens(FieldType::Enum(words.clone()), vec![Codec::Values(table)]);
            exact(&lens, &Value::Text(words[index].clone()))?;
        }
    }

    #[test]
    fn affixes_are_exact(text in "\\PC{0,12}", affix in "\\PC{1,4}") {
        let value = Value::Text(text);
        exact(&lens(FieldType::Text, vec![Codec::Prefix(affix.clone())]), &value)?;
        exact(&lens(FieldType::Text, vec![Codec::Suffix(affix.clone())]), &value)?;
        exact(&lens(FieldType::Text, vec![Codec::Prefix(affix.clone()), Codec::Suffix(affix)]), &value)?;
    }

    #[test]
    fn split_is_exact_or_refuses(items in proptest::collection::vec("[a,b ;]{0,4}", 0..5), separator in "[,;a]{1,2}") {
        let lens = lens(FieldType::List(Box::new(FieldType::Text)), vec![Codec::Split(separator)]);
        let value = Value::List(items.into_iter().map(Value::Text).collect());
        if lens.out(&value, &Record::new()).is_ok() {
            exact(&lens, &value)?;
        }
    }

    #[test]
    fn split_reads_everything_back_as_it_was(text in "[a-c;]{0,12}") {
        let lens = lens(FieldType::List(Box::new(FieldType::Text)), vec![Codec::Split(";".into())]);
        let value = lens.inward(Some(&json!(text)), &Json::Null).unwrap().unwrap();
        prop_assert_eq!(lens.out(&value, &Record::new()).unwrap(), json!(text));
    }

    #[test]
    fn json_and_base64_forget_formatting_only(j in any_json(), text in "\\PC{0,20}") {
        let as_text = lens(FieldType::Json, vec![Codec::Json]);
        exact(&as_text, &Value::Json(j.clone()))?;
        let pretty = json!(serde_json::to_string_pretty(&j).unwrap());
        prop_assert_eq!(as_text.inward(Some(&pretty), &Json::Null).unwrap(), Some(Value::Json(j)));
        let base64 = lens(FieldType::Text, vec![Codec::Base64]);
        exact(&base64, &Value::Text(text.clone()))?;
        let wire = base64.out(&Value::Text(text.clone()), &Record::new()).unwrap();
        let loose = json!(wire.as_str().unwrap().trim_end_matches('=').replace('+', "-").replace('/', "_"));
        prop_assert_eq!(base64.inward(Some(&loose), &Json::Null).unwrap(), Some(Value::Text(text)));
    }

    #[test]
    fn not_is_exact(b in any::<bool>()) {
        exact(&lens(FieldType::Bool, vec![Codec::Not]), &Value::Bool(b))?;
        exact(&lens(FieldType::Bool, vec![Codec::Not, Codec::String]), &Value::Bool(b))?;
    }

    #[test]
    fn chains_and_lists_are_exact(ds in proptest::collection::vec(any_decimal(6), 0..4), n in any::<i64>()) {
        let list = Lens::new(&FieldType::List(Box::new(FieldType::Decimal { scale: 6 })), None).unwrap();
        exact(&list, &Value::List(ds.into_iter().map(Value::Decimal).collect()))?;
        let chain = lens(FieldType::Int, vec![Codec::String, Codec::Prefix("id-".into()), Codec::Base64]);
        exact(&chain, &Value::Int(n))?;
    }

    #[test]
    fn nothing_panics_on_any_remote_value(wire in any_json(), other in "\\PC{0,12}") {
        for (ty, codecs) in every_lens() {
            let lens = Lens::new(&ty, Some(codecs)).unwrap();
            for wire in [&wire, &json!(other)] {
                if let Ok(Some(value)) = lens.inward(Some(wire), wire) {
                    // What is read can be sent, or is refused; and once it was sent it stays.
                    if let Ok(sent) = lens.out(&value, &Record::new()) {
                        prop_assert_eq!(lens.inward(Some(&sent), wire).unwrap(), Some(value));
                    }
                }
            }
        }
    }
}

fn minor_by_currency() -> Lens {
    let path = SingularPath(vec![Segment::Name("currency".into())]);
    let currency = Currency {
        label: "currency".into(),
        local: "currency".into(),
        read: Query::of(path),
        lens: Lens::new(&FieldType::Text, None).unwrap(),
        normalize: Normalize(vec![Normalizer::Lower]),
    };
    lens(FieldType::Decimal { scale: 4 }, vec![Codec::Minor(Minor::Currency(Box::new(currency)))])
}

fn every_lens() -> Vec<(FieldType, Vec<Codec>)> {
    let decimal = || FieldType::Decimal { scale: 4 };
    let word = |l: &str, r: Json| Word { local: l.into(), remote: r };
    vec![
        (FieldType::Text, vec![]),
        (FieldType::Int, vec![]),
        (FieldType::Bool, vec![]),
        (FieldType::Json, vec![]),
        (FieldType::Int, vec![Codec::String]),
        (decimal(), vec![Codec::String]),
        (FieldType::Bool, vec![Codec::String]),
        (FieldType::Uuid, vec![Codec::String]),
        (decimal(), vec![Codec::Number]),
        (FieldType::Timestamp, vec![Codec::Unix]),
        (FieldType::Timestamp, vec![Codec::UnixMs]),
        (FieldType::Timestamp, vec![Codec::Iso8601]),
        (FieldType::Timestamp, vec![Codec::Utc]),
        (FieldType::Date, vec![Codec::Date]),
        (decimal(), vec![Codec::Minor(Minor::Scale(2))]),
        (FieldType::Text, vec![Codec::Values(vec![word("a", json!("A")), word("b", json!(2))])]),
        (FieldType::Text, vec![Codec::Prefix("x".into())]),
        (FieldType::Text, vec![Codec::Suffix("x".into())]),
        (FieldType::List(Box::new(FieldType::Text)), vec![Codec::Split(",".into())]),
        (FieldType::Json, vec![Codec::Json]),
        (FieldType::Text, vec![Codec::Base64]),
        (FieldType::Bool, vec![Codec::Not]),
    ]
}

#[test]
fn what_does_not_fit_is_refused_and_never_guessed() {
    let none = Record::new();
    let refused = |lens: &Lens, wire: Json| lens.inward(Some(&wire), &json!({})).unwrap_err().kind;
    assert_eq!(refused(&Lens::new(&FieldType::Text, None).unwrap(), json!(5)), RefusalKind::Type);
    assert_eq!(refused(&Lens::new(&FieldType::Int, None).unwrap(), json!(5.5)), RefusalKind::Type);
    assert_eq!(refused(&lens(FieldType::Bool, vec![Codec::String]), json!("1")), RefusalKind::Form);
    assert_eq!(
        refused(&lens(FieldType::Text, vec![Codec::Prefix("a".into())]), json!("b")),
        RefusalKind::Form
    );
    assert_eq!(refused(&lens(FieldType::Text, vec![Codec::Base64]), json!("*")), RefusalKind::Form);
    assert_eq!(
        refused(&lens(FieldType::Timestamp, vec![Codec::Iso8601]), json!("2026-01-01T00:00:00")),
        RefusalKind::Form
    );
    assert_eq!(refused(&lens(FieldType::Timestamp, vec![Codec::Unix]), json!(i64::MAX)), RefusalKind::Range);
    assert_eq!(
        refused(&Lens::new(&FieldType::Enum(vec!["a".into()]), None).unwrap(), json!("b")),
        RefusalKind::Word
    );
    let cents = lens(FieldType::Decimal { scale: 2 }, vec![Codec::String]);
    assert_eq!(refused(&cents, json!("1.005")), RefusalKind::Range);
    assert_eq!(cents.inward(Some(&json!("1.500")), &json!({})).unwrap(), Some(dec("1.5")));
    let table =
        lens(FieldType::Text, vec![Codec::Values(vec![Word { local: "a".into(), remote: json!("A") }])]);
    assert_eq!(refused(&table, json!("B")), RefusalKind::Word);
    assert_eq!(table.out(&Value::Text("b".into()), &none).unwrap_err().kind, RefusalKind::Word);
    assert_eq!(refused(&minor_by_currency(), json!(5)), RefusalKind::Currency);
    let too_long = dec("1234567890.1234567");
    let number = lens(FieldType::Decimal { scale: 7 }, vec![Codec::Number]);
    assert_eq!(number.out(&too_long, &none).unwrap_err().kind, RefusalKind::Range);
}

#[test]
fn absent_null_and_a_value_are_three_states() {
    for (ty, codecs) in every_lens() {
        let lens = Lens::new(&ty, Some(codecs)).unwrap();
        assert_eq!(lens.inward(None, &json!({})).unwrap(), None);
        assert_eq!(lens.inward(Some(&Json::Null), &json!({})).unwrap(), Some(Value::Null));
        assert_eq!(lens.out(&Value::Null, &Record::new()).unwrap(), Json::Null);
    }
}

#[test]
fn a_refusal_never_shows_the_value() {
    let secret = "hunter2-personal-data";
    for (ty, codecs) in every_lens() {
        let lens = Lens::new(&ty, Some(codecs)).unwrap();
        for wire in [json!(secret), json!([secret]), json!({ secret: secret })] {
            if let Err(refusal) = lens.inward(Some(&wire), &json!({})) {
                assert!(!refusal.to_string().contains("hunter2"), "{refusal}");
            }
        }
    }
}

#[test]
fn types_meet_or_say_where_they_do_not() {
    assert!(Lens::new(&FieldType::Timestamp, None).unwrap_err().message.contains("must be said"));
    let error = Lens::new(&FieldType::Decimal { scale: 2 }, Some(vec![])).unwrap_err();
    assert_eq!((error.index, error.message.as_str()), (None, "`decimal` cannot travel as it is"));
    let error = Lens::new(&FieldType::Int, Some(vec![Codec::String, Codec::Unix])).unwrap_err();
    assert_eq!(
        (error.index, error.message.as_str()),
        (Some(1), "`unix` takes a timestamp, and gets `text` here")
    );
    assert!(Lens::new(&FieldType::Date, None).is_ok());
    assert!(Lens::new(&FieldType::List(Box::new(FieldType::Timestamp)), None).is_err());
}
