//! Numbers as settings: with units, within their range, shown in the largest unit that divides.

use super::{Known, shown_default};
use crate::error::{SqlError, SqlState};

/// Units of memory and of time, each in the smallest one: bytes and microseconds.
const MEMORY: &[(&str, i64)] =
    &[("B", 1), ("kB", 1 << 10), ("MB", 1 << 20), ("GB", 1 << 30), ("TB", 1 << 40)];
const TIME: &[(&str, i64)] = &[
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("min", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];

/// A number as SHOW shows it; 22023 for what is none or out of range.
pub fn checked(known: &Known, value: &str) -> Result<String, SqlError> {
    let invalid = || {
        SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid value for parameter \"{}\": \"{value}\"", known.name),
        )
    };
    let text = value.trim();
    let end = text
        .char_indices()
        .find(|(at, c)| {
            let in_number = c.is_ascii_digit() || *c == '.' || (*at == 0 && "+-".contains(*c));
            !in_number
        })
        .map_or(text.len(), |(at, _)| at);
    let number: f64 = text[..end].parse().map_err(|_| invalid())?;
    let unit = text[end..].trim();
    let number = if unit.is_empty() {
        number
    } else {
        let (base, units) = base_of(&known.unit).ok_or_else(invalid)?;
        let scale = units.iter().find(|(name, _)| *name == unit).ok_or_else(invalid)?.1;
        number * scale as f64 / base as f64
    };
    let bound = |bound: &str| bound.parse::<f64>().ok();
    let below = bound(&known.min).is_some_and(|min| number < min);
    let above = bound(&known.max).is_some_and(|max| number > max);
    if below || above {
        let suffix = if known.unit.is_empty() { String::new() } else { format!(" {}", known.unit) };
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!(
                "{number}{suffix} is outside the valid range for parameter \"{}\" ({} .. {})",
                known.name, known.min, known.max
            ),
        ));
    }
    match known.kind.as_str() {
        "integer" => Ok(shown_default(&format!("{:.0}", number.round()), &known.unit, &known.kind)),
        _ => Ok(format!("{number}")),
    }
}

/// Bytes, with a unit or without: `16kB`, `65536`.
pub fn parse_bytes(text: &str) -> Option<i64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = (text[..end].parse::<i64>().ok()?, text[end..].trim());
    let scale = match unit {
        "" => 1,
        unit => MEMORY.iter().find(|(name, _)| *name == unit)?.1,
    };
    number.checked_mul(scale)
}

/// A setting's own unit in the smallest one of its kind, and the units its values may have.
fn base_of(unit: &str) -> Option<(i64, &'static [(&'static str, i64)])> {
    if unit == "8kB" {
        return Some((8 << 10, MEMORY));
    }
    [MEMORY, TIME].into_iter().find_map(|units| {
        let (_, base) = units.iter().find(|(name, _)| *name == unit)?;
        Some((*base, units))
    })
}
