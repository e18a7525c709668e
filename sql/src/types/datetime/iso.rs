//! The fast readers: `2001-02-03`, `2001-02-03 04:05:06.789+01:30`, and nothing else. `None` means "ask
//! the slow reader", never "wrong".

use super::calendar::{DAY, HOUR, MINUTE, SECOND, days_from_civil, days_in_month};

#[inline]
fn two(bytes: &[u8]) -> Option<i32> {
    let [a, b] = bytes else { return None };
    (a.is_ascii_digit() && b.is_ascii_digit())
        .then(|| i32::from(a - b'0') * 10 + i32::from(b - b'0'))
}

/// `2001-02-03`, as days since 1970-01-01.
#[inline]
pub fn date(text: &[u8]) -> Option<i32> {
    if text.len() != 10 || text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    let year = two(&text[..2])? * 100 + two(&text[2..4])?;
    let month = two(&text[5..7])?;
    let day = two(&text[8..])?;
    let good = year > 0 && (1..=12).contains(&month) && day > 0;
    (good && day <= days_in_month(year, month)).then(|| days_from_civil(year, month, day))
}

/// `04:05:06` with up to six fraction digits, in microseconds, and what follows.
#[inline]
fn clock(text: &[u8]) -> Option<(i64, &[u8])> {
    let (head, mut rest) = text.split_at_checked(8)?;
    if head[2] != b':' || head[5] != b':' {
        return None;
    }
    let (hour, minute, second) = (two(&head[..2])?, two(&head[3..5])?, two(&head[6..])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut micros =
        i64::from(hour) * HOUR + i64::from(minute) * MINUTE + i64::from(second) * SECOND;
    if let [b'.', fraction @ ..] = rest {
        let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 || digits > 6 {
            return None;
        }
        let mut value = 0;
        for byte in &fraction[..digits] {
            value = value * 10 + i64::from(byte - b'0');
        }
        micros += value * 10_i64.pow(6 - digits as u32);
        rest = &fraction[digits..];
    }
    Some((micros, rest))
}

/// A time of day, in microseconds.
#[inline]
pub fn time(text: &[u8]) -> Option<i64> {
    clock(text).and_then(|(micros, rest)| rest.is_empty().then_some(micros))
}

/// `Z`, `+01`, `+0130`, `+01:30`, in seconds east.
fn offset(text: &[u8]) -> Option<i32> {
    let (sign, digits) = match text {
        [b'Z' | b'z'] => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match digits.len() {
        2 => (two(digits)?, 0),
        4 => (two(&digits[..2])?, two(&digits[2..])?),
        5 if digits[2] == b':' => (two(&digits[..2])?, two(&digits[3..])?),
        _ => return None,
    };
    (hours <= 15 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
}

/// A date and time: local microseconds, and the offset where one is given.
#[inline]
pub fn timestamp(text: &[u8]) -> Option<(i64, Option<i32>)> {
    let (head, rest) = text.split_at_checked(10)?;
    let days = date(head)?;
    let midnight = i64::from(days) * DAY;
    let [b' ' | b'T', rest @ ..] = rest else {
        return rest.is_empty().then_some((midnight, None));
    };
    let (micros, rest) = clock(rest)?;
    let offset = match rest {
        [] => None,
        zone => Some(offset(zone)?),
    };
    Some((midnight + micros, offset))
}
