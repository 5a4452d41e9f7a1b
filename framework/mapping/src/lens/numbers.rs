//! Numbers between decimal text and JSON, without a rounding that nobody asked for.

use super::{Refusal, RefusalKind};
use rust_decimal::Decimal;
use serde_json::{Number, Value as Json};

/// Digits that a JSON number, which most readers make a double, carries exactly.
const EXACT_DIGITS: usize = 15;

/// A decimal as a JSON number; refused beyond 15 significant digits.
pub(super) fn decimal_to_json(decimal: &Decimal) -> Result<Json, Refusal> {
    let refuse =
        || Refusal::new(RefusalKind::Range, "more than 15 digits cannot be carried exactly by a JSON number");
    let plain = decimal.normalize();
    if digits(&plain) > EXACT_DIGITS {
        return Err(refuse());
    }
    let text = plain.to_string();
    if let Ok(whole) = text.parse::<i64>() {
        return Ok(Json::from(whole));
    }
    let number = text.parse::<f64>().ok().and_then(Number::from_f64).ok_or_else(refuse)?;
    Ok(Json::Number(number))
}

/// A JSON number as a decimal; `None` beyond 15 significant digits.
pub(super) fn json_to_decimal(json: &Json) -> Option<Decimal> {
    let Json::Number(number) = json else { return None };
    let text = number.to_string();
    let decimal =
        Decimal::from_str_exact(&text).or_else(|_| Decimal::from_scientific(&text)).ok()?.normalize();
    (digits(&decimal) <= EXACT_DIGITS).then_some(decimal)
}

/// A whole JSON number; `5.0` is one.
pub(super) fn json_to_int(json: &Json) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    json.as_i64().or_else(|| {
        let float = json.as_f64().filter(|f| json.is_f64() && f.fract() == 0.0 && f.abs() <= EXACT)?;
        // In range and whole, as just checked.
        #[allow(clippy::cast_possible_truncation)]
        Some(float as i64)
    })
}

fn digits(decimal: &Decimal) -> usize {
    let mantissa = decimal.mantissa().unsigned_abs().to_string();
    mantissa.trim_end_matches('0').len().max(1)
}
