//! The laws of lenses, tried on generated values: the same code proves our codecs at build and a user's fields in
//! `bothways test`.
//!
//! With n = normalize: *PutGet*, what is sent and read back is n of what was there; *GetPut*, what is read and sent again is
//! what was there, so that reading alone never causes a write; and n applied twice is n. A refusal breaks no law, it
//! parks; but a field that refuses everything is broken.

mod generate;

pub use generate::Random;

use crate::lens::Codec;
use crate::mapping::Field;
use bothways_model::Value;
use generate::Scene;
use serde_json::Value as Json;
use std::fmt;

/// A law.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// What is sent and read back is what was there, normalised.
    PutGet,
    /// What is read and sent again is what was there.
    GetPut,
    /// Another way of writing the same value reads as the same value.
    Quotient,
    /// Normalising twice is normalising once.
    Normalize,
    /// Some value passes.
    Passes,
}

impl Law {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Law::PutGet => "PutGet",
            Law::GetPut => "GetPut",
            Law::Quotient => "quotient",
            Law::Normalize => "normalize",
            Law::Passes => "passes",
        }
    }
}

/// A value for which a law does not hold. Its values are generated, and may be shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Counterexample {
    /// The field's label.
    pub field: String,
    /// The law.
    pub law: Law,
    /// The local value.
    pub local: Value,
    /// What was sent, if anything.
    pub wire: Option<Json>,
    /// What came instead of what the law demands.
    pub instead: String,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` breaks {}: {}", self.field, self.law.as_str(), self.local.to_plain_json())?;
        if let Some(wire) = &self.wire {
            write!(f, " is sent as {wire}")?;
        }
        write!(f, ", {}", self.instead)
    }
}

/// Tries `cases` values of `field`, the same ones for the same `seed`; the first counterexample, if there is one.
pub fn check_field(field: &Field, cases: u32, seed: u64) -> Option<Counterexample> {
    let mut random = Random::new(seed);
    let mut refusal = None;
    let mut passed = false;
    for _ in 0..cases {
        let scene = Scene::new(field, &mut random);
        match check_value(field, &scene) {
            Ok(Tried::Passed) => passed = true,
            Ok(Tried::Refused(why)) => refusal = Some((scene.value, why)),
            Err(counterexample) => return Some(*counterexample),
        }
    }
    let (value, why) = refusal.filter(|_| !passed)?;
    let instead = format!("is refused like every other value ({why})");
    Some(Counterexample { field: field.label.clone(), law: Law::Passes, local: value, wire: None, instead })
}

enum Tried {
    Passed,
    Refused(String),
}

fn check_value(field: &Field, scene: &Scene) -> Result<Tried, Box<Counterexample>> {
    let broken = |law, wire: Option<&Json>, instead: String| {
        let local = scene.value.clone();
        Box::new(Counterexample { field: field.label.clone(), law, local, wire: wire.cloned(), instead })
    };
    let normal = field.normalize.apply(&scene.value);
    let twice = field.normalize.apply(&normal);
    if twice != normal {
        return Err(broken(
            Law::Normalize,
            None,
            format!("normalises to {}, and again to {}", shown(&normal), shown(&twice)),
        ));
    }
    let wire = match field.lens.out(&normal, &scene.row) {
        Ok(wire) => wire,
        Err(refusal) => return Ok(Tried::Refused(refusal.to_string())),
    };
    let read = |wire: &Json| {
        let value = field.lens.inward(Some(wire), &scene.body);
        value.map(|value| field.normalize.apply(&value.unwrap_or(Value::Null)))
    };
    let back = read(&wire).map_err(|refusal| {
        broken(Law::PutGet, Some(&wire), format!("and refused when read back ({refusal})"))
    })?;
    // A field that only goes out may write one word for two values.
    if field.direction.comes_in() && back != normal {
        return Err(broken(Law::PutGet, Some(&wire), format!("and read back as {}", shown(&back))));
    }
    let again = field.lens.out(&back, &scene.row);
    if again.as_ref() != Ok(&wire) {
        let instead = again.map_or_else(
            |refusal| format!("and then refused ({refusal})"),
            |again| format!("and sent again as {again}"),
        );
        return Err(broken(Law::GetPut, Some(&wire), instead));
    }
    for other in other_forms(field, &wire) {
        match read(&other) {
            Ok(value) if value == back => {}
            Ok(value) => {
                return Err(broken(
                    Law::Quotient,
                    Some(&wire),
                    format!("and {other}, which means the same, reads as {}", shown(&value)),
                ));
            }
            Err(refusal) => {
                return Err(broken(
                    Law::Quotient,
                    Some(&wire),
                    format!("and {other}, which means the same, is refused ({refusal})"),
                ));
            }
        }
    }
    Ok(Tried::Passed)
}

fn shown(value: &Value) -> String {
    value.to_plain_json().to_string()
}

/// Other ways in which a service may write what `wire` says.
fn other_forms(field: &Field, wire: &Json) -> Vec<Json> {
    let (Some(last), Some(text)) = (field.lens.codecs().last(), wire.as_str()) else { return Vec::new() };
    match last {
        Codec::Iso8601 => {
            let Some(time) = crate::connector::parse_iso8601(text) else { return Vec::new() };
            let east = chrono::FixedOffset::east_opt(2 * 3600).map(|offset| time.with_timezone(&offset));
            let east = east.map(|t| t.format("%Y-%m-%d %H:%M:%S%.f%z").to_string());
            east.map(Json::String).into_iter().collect()
        }
        Codec::Utc => vec![Json::String(text.replace('T', " "))],
        Codec::Json => {
            let parsed: Option<Json> = serde_json::from_str(text).ok();
            parsed
                .and_then(|json| serde_json::to_string_pretty(&json).ok())
                .map(Json::String)
                .into_iter()
                .collect()
        }
        Codec::Base64 => vec![Json::String(text.trim_end_matches('=').replace('+', "-").replace('/', "_"))],
        _ => Vec::new(),
    }
}
