//! Numbers inside a field, read as C's strtol and strtod read them.

use super::Fault;
use super::calendar::SECOND;

/// Digits up to the end, or up to what is not one: C's strtol in an i32.
pub fn leading_int(text: &str) -> Result<(i32, &str), Fault> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return Err(Fault::Format);
    }
    let value = text[..digits].parse().map_err(|_| Fault::Field)?;
    Ok((value, &text[digits..]))
}

/// `.25` in microseconds, rounded to nearest even as C's rint does.
pub fn fraction_micros(text: &str) -> Result<i64, Fault> {
    match text {
        "." => Ok(0),
        digits if digits.starts_with('.') => {
            let value: f64 = digits.parse().map_err(|_| Fault::Format)?;
            Ok((value * 1e6).round_ties_even() as i64)
        }
        _ => Err(Fault::Format),
    }
}

/// `+hh`, `+hhmm`, `+hh:mm:ss` in seconds east.
pub fn displacement(text: &str) -> Result<i32, Fault> {
    let (sign, rest) = match text.as_bytes().first() {
        Some(b'+') => (1, &text[1..]),
        Some(b'-') => (-1, &text[1..]),
        _ => return Err(Fault::Format),
    };
    let too_large = |_| Fault::Displacement;
    let read = |text| match leading_int(text) {
        Err(Fault::Field) => Err(Fault::Displacement),
        Err(_) => Ok((0, text)),
        good => good,
    };
    let (mut hours, mut rest) = read(rest)?;
    let (mut minutes, mut seconds) = (0, 0);
    if let Some(after) = rest.strip_prefix(':') {
        (minutes, rest) = read(after)?;
        if let Some(after) = rest.strip_prefix(':') {
            (seconds, rest) = read(after)?;
        }
    } else if rest.is_empty() && text.len() > 3 {
        minutes = hours % 100;
        hours /= 100;
    }
    let good = hours <= 15 && minutes < 60 && seconds < 60;
    good.then_some(()).ok_or(()).map_err(too_large)?;
    if !rest.is_empty() {
        return Err(Fault::Format);
    }
    Ok(sign * (hours * 3600 + minutes * 60 + seconds))
}

/// Hour, minute, second and microseconds of a field with colons.
pub fn clock(text: &str) -> Result<(i64, i32, i32, i64), Fault> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let hour: i64 = match &text[..digits] {
        "" => 0,
        number => number.parse().map_err(|_| Fault::Field)?,
    };
    let rest = text[digits..].strip_prefix(':').ok_or(Fault::Format)?;
    let number = |text| match leading_int(text) {
        // C reads no digits as zero.
        Err(Fault::Format) => Ok((0, text)),
        other => other,
    };
    let (minute, rest) = number(rest)?;
    let (hour, minute, second, fraction) = match rest.as_bytes().first() {
        None => (hour, minute, 0, 0),
        Some(b'.') => {
            let minutes = i32::try_from(hour).map_err(|_| Fault::Field)?;
            (0, minutes, minute, fraction_micros(rest)?)
        }
        Some(b':') => {
            let (second, rest) = number(&rest[1..])?;
            match rest {
                "" => (hour, minute, second, 0),
                rest => (hour, minute, second, fraction_micros(rest)?),
            }
        }
        _ => return Err(Fault::Format),
    };
    let good = (0..60).contains(&minute) && (0..=60).contains(&second) && fraction <= SECOND;
    if good { Ok((hour, minute, second, fraction)) } else { Err(Fault::Field) }
}
