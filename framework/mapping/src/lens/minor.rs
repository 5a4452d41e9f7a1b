//! Money in minor units: `12.30` is `1230`, by a fixed scale or by the currency in a field beside it.

use super::{Lens, Normalize, Refusal, RefusalKind};
use crate::path::Query;
use bothways_model::{Record, Value};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::Value as Json;

/// How many digits are minor.
#[derive(Clone, Debug, PartialEq)]
pub enum Minor {
    /// So many.
    Scale(u32),
    /// As many as the ISO 4217 currency in another field has.
    Currency(Box<Currency>),
}

/// The field that holds the currency.
#[derive(Clone, Debug, PartialEq)]
pub struct Currency {
    /// Its label in the mapping.
    pub label: String,
    /// Its local field.
    pub local: String,
    /// Where it is in the remote record.
    pub read: Query,
    /// How it travels.
    pub lens: Lens,
    /// What is made alike.
    pub normalize: Normalize,
}

impl Minor {
    fn scale_out(&self, row: &Record) -> Result<u32, Refusal> {
        match self {
            Minor::Scale(scale) => Ok(*scale),
            Minor::Currency(currency) => currency.scale_of(row.get(&currency.local)),
        }
    }

    fn scale_in(&self, record: &Json) -> Result<u32, Refusal> {
        match self {
            Minor::Scale(scale) => Ok(*scale),
            Minor::Currency(currency) => {
                let value = currency.lens.inward(currency.read.first(record), record)?;
                currency.scale_of(value.as_ref())
            }
        }
    }

    pub(super) fn out(&self, decimal: &Decimal, row: &Record) -> Result<Value, Refusal> {
        let scale = self.scale_out(row)?;
        let plain = decimal.normalize();
        if plain.scale() > scale {
            return Err(Refusal::new(
                RefusalKind::Range,
                format!("more than {scale} digits after the point"),
            ));
        }
        let factor = 10_i128.checked_pow(scale - plain.scale());
        let units = factor.and_then(|f| plain.mantissa().checked_mul(f)).and_then(|u| u.to_i64());
        units.map(Value::Int).ok_or_else(too_large)
    }

    pub(super) fn inward(&self, units: i64, record: &Json) -> Result<Value, Refusal> {
        let scale = self.scale_in(record)?;
        Decimal::try_from_i128_with_scale(i128::from(units), scale)
            .map(|d| Value::Decimal(d.normalize()))
            .map_err(|_| too_large())
    }
}

impl Currency {
    fn scale_of(&self, value: Option<&Value>) -> Result<u32, Refusal> {
        let code = match value.map(|v| self.normalize.apply(v)) {
            Some(Value::Text(code)) => code.trim().to_uppercase(),
            _ => {
                return Err(Refusal::new(
                    RefusalKind::Currency,
                    format!("`{}` holds no currency", self.label),
                ));
            }
        };
        iso_currency::Currency::from_code(&code).and_then(|c| c.exponent()).map(u32::from).ok_or_else(|| {
            Refusal::new(
                RefusalKind::Currency,
                format!("`{}` is not an ISO 4217 currency with minor units", self.label),
            )
        })
    }
}

fn too_large() -> Refusal {
    Refusal::new(RefusalKind::Range, "too large for minor units")
}
