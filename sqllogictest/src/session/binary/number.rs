//! float4, float8 and numeric.

use std::fmt::Write as _;

use super::{Failure, take};

/// The shortest text that reads back as the same float4.
pub(super) fn float4(value: f32) -> String {
    if value.is_finite() { shortest(&format!("{value:e}"), 6) } else { special(value.into()) }
}

/// The shortest text that reads back as the same float8.
pub(super) fn float8(value: f64) -> String {
    if value.is_finite() { shortest(&format!("{value:e}"), 15) } else { special(value) }
}

fn special(value: f64) -> String {
    match value {
        v if v.is_nan() => "NaN",
        v if v > 0.0 => "Infinity",
        _ => "-Infinity",
    }
    .to_owned()
}

/// Lays out `[-]d[.ddd]e[-]x` as PostgreSQL does: positional while the exponent is at least -4 and less
/// than `digits_max`, else with an exponent of at least two digits.
fn shortest(scientific: &str, digits_max: i32) -> String {
    let (sign, rest) = match scientific.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", scientific),
    };
    let (mantissa, exponent) = rest.split_once('e').unwrap_or((rest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let mut text = sign.to_owned();
    if !(-4..digits_max).contains(&exponent) {
        let _ = write!(text, "{mantissa}e{exponent:+03}");
    } else if exponent < 0 {
        let zeros = usize::try_from(-exponent - 1).unwrap_or(0);
        let _ = write!(text, "0.{}{digits}", "0".repeat(zeros));
    } else {
        let whole = usize::try_from(exponent).unwrap_or(0) + 1;
        if digits.len() <= whole {
            let _ = write!(text, "{digits}{}", "0".repeat(whole - digits.len()));
        } else {
            let _ = write!(text, "{}.{}", &digits[..whole], &digits[whole..]);
        }
    }
    text
}

/// numeric: groups of four decimal digits, the weight of the first, a sign and a display scale.
pub(super) fn numeric(mut raw: &[u8]) -> Result<String, Failure> {
    let groups = i16::from_be_bytes(take(&mut raw)?);
    let weight = i32::from(i16::from_be_bytes(take(&mut raw)?));
    let sign = u16::from_be_bytes(take(&mut raw)?);
    let scale = usize::from(u16::from_be_bytes(take(&mut raw)?));
    let mut text = match sign {
        0x0000 => String::new(),
        0x4000 => "-".to_owned(),
        0xC000 => return Ok("NaN".to_owned()),
        0xD000 => return Ok("Infinity".to_owned()),
        0xF000 => return Ok("-Infinity".to_owned()),
        other => return Err(format!("a numeric of sign {other:#x}").into()),
    };
    let mut digits = Vec::new();
    for _ in 0..groups {
        let group = i16::from_be_bytes(take(&mut raw)?);
        if !(0..10_000).contains(&group) {
            return Err(format!("a numeric with a group of {group}").into());
        }
        digits.push(group);
    }
    if !raw.is_empty() {
        return Err("a numeric longer than it says".into());
    }
    let group = |position: i32| {
        usize::try_from(weight - position).ok().and_then(|i| digits.get(i)).copied().unwrap_or(0)
    };
    let mut whole = String::new();
    for position in (0..=weight.max(0)).rev() {
        let _ = write!(whole, "{:04}", group(position));
    }
    let whole = whole.trim_start_matches('0');
    text.push_str(if whole.is_empty() { "0" } else { whole });
    if scale > 0 {
        let mut fraction = String::new();
        let mut position = -1;
        while fraction.len() < scale {
            let _ = write!(fraction, "{:04}", group(position));
            position -= 1;
        }
        fraction.truncate(scale);
        text.push('.');
        text.push_str(&fraction);
    }
    Ok(text)
}
