//! Exact numbers as digits, rounded half away from zero.

use terrane_client::numeric::Numeric;

/// `±digits / 10^scale`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digits {
    negative: bool,
    /// Without leading zeros; of zero there are none.
    digits: String,
    scale: i64,
}

impl Digits {
    /// Of a numeric.
    pub fn of_numeric(value: &Numeric) -> Self {
        Self::new(&value.unscaled.to_string(), value.scale.into())
    }

    /// Of an integer.
    pub fn of_int(value: i64) -> Self {
        Self::new(&value.to_string(), 0)
    }

    fn new(text: &str, scale: i64) -> Self {
        let digits = text.trim_start_matches('-').trim_start_matches('0').to_owned();
        Self { negative: text.starts_with('-'), digits, scale }
    }

    /// The number times 10^shift, with so many digits behind the point, and whether it is negative.
    pub fn rounded(&self, shift: usize, fraction: usize) -> (bool, String) {
        let digits = round(&self.digits, self.scale - shift as i64 - fraction as i64);
        let negative = self.negative && digits.bytes().any(|digit| digit != b'0');
        let width = fraction + 1;
        let mut text = format!("{digits:0>width$}");
        if fraction > 0 {
            text.insert(text.len() - fraction, '.');
        }
        (negative, text)
    }

    /// `1.23e+04`, with so many digits behind the point. As in PostgreSQL, what is rounded up to ten stays so.
    pub fn scientific(&self, fraction: usize) -> String {
        let exponent = match self.digits.len() as i64 {
            0 => 0,
            length => length - 1 - self.scale,
        };
        let shifted = Self { scale: self.scale + exponent, ..self.clone() };
        let (negative, text) = shifted.rounded(0, fraction);
        let sign = if negative { "-" } else { "" };
        let direction = if exponent < 0 { '-' } else { '+' };
        format!("{sign}{text}e{direction}{:02}", exponent.abs())
    }
}

/// Digits without the last `dropped`, rounded; with zeros behind them where that is negative.
fn round(digits: &str, dropped: i64) -> String {
    let Ok(dropped) = usize::try_from(dropped) else {
        return match digits.is_empty() {
            true => String::new(),
            false => digits.to_owned() + &"0".repeat(usize::try_from(-dropped).unwrap_or(0)),
        };
    };
    let Some(kept) = digits.len().checked_sub(dropped) else { return String::new() };
    let up = digits.as_bytes().get(kept).is_some_and(|digit| *digit >= b'5');
    let mut kept = digits.as_bytes()[..kept].to_vec();
    let mut carry = up;
    for digit in kept.iter_mut().rev().take_while(|_| up) {
        match (carry, *digit) {
            (true, b'9') => *digit = b'0',
            (true, _) => {
                *digit += 1;
                carry = false;
            }
            (false, _) => break,
        }
    }
    if carry {
        kept.insert(0, b'1');
    }
    String::from_utf8_lossy(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounded(digits: &str, scale: i64, shift: usize, fraction: usize) -> String {
        let (negative, text) = Digits::new(digits, scale).rounded(shift, fraction);
        if negative { format!("-{text}") } else { text }
    }

    #[test]
    fn rounds() {
        assert_eq!(rounded("-1258", 1, 0, 1), "-125.8");
        assert_eq!(rounded("125", 1, 0, 0), "13");
        assert_eq!(rounded("-9995", 3, 0, 2), "-10.00");
        assert_eq!(rounded("-4", 3, 0, 2), "0.00");
        assert_eq!(rounded("5", 3, 0, 2), "0.01");
        assert_eq!(rounded("0", 0, 2, 3), "0.000");
        assert_eq!(rounded("1234", 2, 3, 0), "12340");
        assert_eq!(rounded("12", 0, 0, 3), "12.000");
    }

    #[test]
    fn writes_exponents() {
        assert_eq!(Digits::new("1234567", 2).scientific(3), "1.235e+04");
        assert_eq!(Digits::new("-5", 4).scientific(0), "-5e-04");
        assert_eq!(Digits::new("0", 4).scientific(1), "0.0e+00");
    }
}
