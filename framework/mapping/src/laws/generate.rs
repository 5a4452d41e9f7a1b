//! Values to try laws on: mostly ordinary ones, often the awkward ones, always the same ones for the same seed.

use crate::lens::{Codec, Currency, Kind, Minor};
use crate::mapping::Field;
use bothways_model::{FieldType, Record, Value};
use chrono::{Duration, NaiveDate, TimeZone, Utc};
use rust_decimal::Decimal;
use serde_json::{Value as Json, json};
use uuid::Uuid;

/// A small generator of numbers (SplitMix64): reproducible anywhere, good for nothing but tests.
pub struct Random(u64);

impl Random {
    /// The generator for `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 where `end` is.
    fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.next() % end }
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let index = self.below(u64::try_from(items.len()).unwrap_or(0));
        items.get(usize::try_from(index).unwrap_or(0))
    }

    fn signed(&mut self, magnitude: u64) -> i64 {
        let n = i64::try_from(self.below(magnitude)).unwrap_or(0);
        if self.one_in(2) { n } else { -n }
    }
}

/// One value in the surroundings it needs.
pub(super) struct Scene {
    pub(super) value: Value,
    /// The row, by local name.
    pub(super) row: Record,
    /// A remote record with whatever else the lens reads.
    pub(super) body: Json,
}

const CURRENCIES: [&str; 8] = ["usd", "eur", "jpy", "bhd", "GBP", "clf", "krw", "kwd"];

impl Scene {
    pub(super) fn new(field: &Field, random: &mut Random) -> Self {
        let mut row = Record::new();
        let mut body = Json::Object(serde_json::Map::new());
        let mut scale = None;
        for codec in field.lens.codecs() {
            match codec {
                Codec::Minor(Minor::Scale(digits)) => scale = Some(*digits),
                Codec::Minor(Minor::Currency(currency)) => {
                    scale = Some(place_currency(currency, &mut row, &mut body, random))
                }
                Codec::Part(part) => {
                    let other = if part.is_last { &part.first } else { &part.last };
                    let word = if random.one_in(4) { Value::Null } else { Value::Text(text(random)) };
                    row.set(other, word);
                }
                _ => {}
            }
        }
        let value = value(field, scale, random);
        row.set(field.local_name(), value.clone());
        Self { value, row, body }
    }
}

/// Puts a currency into row and body; how many minor digits it has.
fn place_currency(currency: &Currency, row: &mut Record, body: &mut Json, random: &mut Random) -> u32 {
    let words: Vec<String> = match currency.lens.local_type() {
        FieldType::Enum(words) => words.clone(),
        _ => CURRENCIES.iter().map(|c| (*c).to_owned()).collect(),
    };
    let word = random.pick(&words).cloned().unwrap_or_default();
    let value = currency.normalize.apply(&Value::Text(word.clone()));
    if let (Ok(wire), Some(path)) = (currency.lens.out(&value, row), currency.read.singular()) {
        // The path was checked to be writable from nothing, or the currency stays absent and the value is refused.
        let _ = path.set(body, wire);
    }
    row.set(&currency.local, value);
    iso_currency::Currency::from_code(&word.to_uppercase()).and_then(|c| c.exponent()).map_or(2, u32::from)
}

fn value(field: &Field, scale: Option<u32>, random: &mut Random) -> Value {
    if random.one_in(16) {
        return Value::Null;
    }
    if let Some(Codec::Values(words)) = field.lens.codecs().next()
        && let Some(word) = random.pick(words)
    {
        return Value::from_text(field.ty(), &word.local).unwrap_or(Value::Null);
    }
    if let Kind::Id { number: true } = field.lens.wire_kind() {
        return Value::Text(random.signed(1 << 40).to_string());
    }
    let resolution = match field.lens.codecs().next() {
        Some(Codec::Unix) => Resolution::Seconds,
        Some(Codec::UnixMs) => Resolution::Millis,
        _ => Resolution::Micros,
    };
    typed(field.ty(), scale, resolution, random)
}

#[derive(Clone, Copy)]
enum Resolution {
    Seconds,
    Millis,
    Micros,
}

fn typed(ty: &FieldType, scale: Option<u32>, resolution: Resolution, random: &mut Random) -> Value {
    match ty {
        FieldType::Text => Value::Text(text(random)),
        FieldType::Enum(words) => random.pick(words).map_or(Value::Null, |w| Value::Text(w.clone())),
        FieldType::Int => Value::Int(match random.below(8) {
            0 => i64::MAX,
            1 => i64::MIN,
            2 => 0,
            3 => 9_007_199_254_740_993,
            _ => random.signed(1_000_000),
        }),
        FieldType::Bool => Value::Bool(random.one_in(2)),
        FieldType::Decimal { scale: most } => {
            let digits = scale.map_or(*most, |s| s.min(*most)).min(12);
            let digits = u32::try_from(random.below(u64::from(digits) + 1)).unwrap_or(0);
            let mantissa =
                if random.one_in(10) { random.signed(1 << 62) } else { random.signed(1_000_000_000) };
            Value::Decimal(Decimal::new(mantissa, digits))
        }
        FieldType::Timestamp => {
            let seconds = Utc.timestamp_opt(random.signed(4_000_000_000), 0).single().unwrap_or_default();
            let micros = i64::try_from(random.below(1_000_000)).unwrap_or(0);
            let part = match resolution {
                // Now and then a value that must be refused.
                _ if random.one_in(12) => micros,
                Resolution::Seconds => 0,
                Resolution::Millis => micros / 1000 * 1000,
                Resolution::Micros => micros * i64::from(random.one_in(2)),
            };
            Value::Timestamp(seconds + Duration::microseconds(part))
        }
        FieldType::Date => {
            let day = NaiveDate::default() + Duration::days(random.signed(60_000));
            Value::Date(day)
        }
        FieldType::Uuid => Value::Uuid(Uuid::from_u64_pair(random.next(), random.next())),
        FieldType::Json => Value::Json(json_value(random, 3)),
        FieldType::List(item) => {
            let len = random.below(4);
            Value::List((0..len).map(|_| typed(item, scale, resolution, random)).collect())
        }
    }
}

const PIECES: [&str; 22] = [
    "a", "B", "ann", "X.IO", "@", " ", "  ", "\t", "ä", "é", "e\u{301}", "ß", "İ", "Σ", "名", "🎂", "0",
    "42", "+49", "'", "\"", "\u{a0}",
];

fn text(random: &mut Random) -> String {
    let len = random.below(7);
    (0..len).filter_map(|_| random.pick(&PIECES).copied()).collect()
}

fn json_value(random: &mut Random, depth: u32) -> Json {
    match random.below(if depth == 0 { 4 } else { 6 }) {
        0 => Json::Bool(random.one_in(2)),
        1 => json!(random.signed(100_000)),
        2 => json!(f64::from(u32::try_from(random.below(1000)).unwrap_or(0)) / 8.0),
        3 => Json::String(text(random)),
        4 => Json::Array((0..random.below(3)).map(|_| json_value(random, depth - 1)).collect()),
        _ => {
            let members = random.below(3);
            Json::Object((0..members).map(|n| (format!("k{n}"), json_value(random, depth - 1))).collect())
        }
    }
}
