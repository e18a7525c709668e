//! Numbers with any count of digits behind the point, and their exponential and logarithm.

use super::ten_to;
use num_bigint::{BigInt, Sign};
use terrane_client::numeric::Numeric;

/// `unscaled / 10^scale`. What two of one scale give has that scale, cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed {
    unscaled: BigInt,
    scale: i64,
}

impl Fixed {
    /// A numeric, with so many digits behind the point.
    pub fn of(value: &Numeric, scale: i64) -> Self {
        let unscaled = value.unscaled.to_string().parse().unwrap_or_default();
        Self { unscaled, scale: value.scale.into() }.to_scale(scale)
    }

    /// `unscaled / 10^scale`
    pub fn new(unscaled: BigInt, scale: i64) -> Self {
        Self { unscaled, scale }
    }

    /// The digits, without sign, and how many of them are behind the point.
    pub fn digits(&self) -> (String, i64) {
        (self.unscaled.magnitude().to_string(), self.scale)
    }

    /// `self / other` with so many digits behind the point, rounded.
    pub fn quotient(&self, other: &Self, scale: i64) -> Self {
        let working = scale.max(self.scale).max(other.scale) + 2;
        self.to_scale(working).divided_by(&other.to_scale(working)).to_scale(scale)
    }

    /// The square root with so many digits behind the point, rounded.
    pub fn root(&self, scale: i64) -> Self {
        self.to_scale(scale.max(self.scale) + 2).sqrt().to_scale(scale)
    }

    fn of_int(value: i64, scale: i64) -> Self {
        Self { unscaled: BigInt::from(value) * ten_to(scale), scale }
    }

    /// All of its digits.
    pub fn unscaled(&self) -> &BigInt {
        &self.unscaled
    }

    /// True for zero.
    pub fn is_zero(&self) -> bool {
        self.unscaled.sign() == Sign::NoSign
    }

    /// With another count of digits behind the point, rounded half away from zero.
    pub fn to_scale(&self, scale: i64) -> Self {
        if scale >= self.scale {
            let unscaled = &self.unscaled * ten_to(scale - self.scale);
            return Self { unscaled, scale };
        }
        let unit = ten_to(self.scale - scale);
        let half = &unit / 2;
        let unscaled = match self.unscaled.sign() {
            Sign::Minus => (&self.unscaled - half) / unit,
            _ => (&self.unscaled + half) / unit,
        };
        Self { unscaled, scale }
    }

    /// `-self`
    pub fn negated(&self) -> Self {
        Self { unscaled: -&self.unscaled, scale: self.scale }
    }

    /// `self * other`, of one scale.
    pub fn times(&self, other: &Self) -> Self {
        debug_assert_eq!(self.scale, other.scale);
        Self { unscaled: &self.unscaled * &other.unscaled / ten_to(self.scale), scale: self.scale }
    }

    /// `self / other`, of one scale; other is not zero.
    pub fn divided_by(&self, other: &Self) -> Self {
        debug_assert_eq!(self.scale, other.scale);
        Self { unscaled: &self.unscaled * ten_to(self.scale) / &other.unscaled, scale: self.scale }
    }

    /// The square root of what is not negative.
    pub fn sqrt(&self) -> Self {
        Self { unscaled: (&self.unscaled * ten_to(self.scale)).sqrt(), scale: self.scale }
    }

    /// e to this power: Taylor's series of a small part of it, squared as often as it was halved.
    pub fn exp(&self) -> Self {
        let bits = self.unscaled.bits().saturating_sub(ten_to(self.scale).bits());
        let halvings = bits + 12;
        // Each squaring doubles the error.
        let scale = self.scale + halvings as i64;
        let small = Self { unscaled: self.to_scale(scale).unscaled >> halvings, scale };
        let mut sum = Self::of_int(1, scale);
        let mut term = sum.clone();
        let mut count = 1;
        while !term.is_zero() && term.unscaled != BigInt::from(-1) {
            term = term.times(&small);
            term.unscaled /= count;
            sum.unscaled += &term.unscaled;
            count += 1;
        }
        for _ in 0..halvings {
            sum = sum.times(&sum);
        }
        sum.to_scale(self.scale)
    }

    /// The natural logarithm of what is positive: of a root of it, by the series of
    /// ln(x) = 2 artanh((x - 1) / (x + 1)).
    pub fn ln(&self) -> Self {
        // Of a small number the zeros behind the point tell nothing.
        let (digits, scale) = self.digits();
        let scale = scale + 12 + (scale - digits.len() as i64).max(0);
        let mut root = self.to_scale(scale);
        let one = Self::of_int(1, scale);
        let mut doublings = 0;
        let near = Self { unscaled: &one.unscaled / 8, scale };
        loop {
            let away = &root.unscaled - &one.unscaled;
            if away.magnitude() <= near.unscaled.magnitude() {
                break;
            }
            root = root.sqrt();
            doublings += 1;
        }
        let (below, above) = (&root.unscaled - &one.unscaled, &root.unscaled + &one.unscaled);
        let ratio = Self { unscaled: below * ten_to(scale) / above, scale };
        let square = ratio.times(&ratio);
        let mut power = ratio.clone();
        let mut sum = ratio;
        let mut odd = 3;
        while !power.is_zero() && power.unscaled != BigInt::from(-1) {
            power = power.times(&square);
            sum.unscaled += &power.unscaled / odd;
            odd += 2;
        }
        sum.unscaled <<= doublings + 1;
        sum.to_scale(self.scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, scale: i64) -> Fixed {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let unscaled = format!("{whole}{fraction}").parse().unwrap();
        Fixed { unscaled, scale: fraction.len() as i64 }.to_scale(scale)
    }

    #[test]
    fn exponentials_and_logarithms() {
        let e = "2.7182818284590452353602874713526624977572";
        assert_eq!(of("1", 52).exp().to_scale(40), of(e, 40));
        assert_eq!(of("-1", 52).exp().to_scale(20), of("0.36787944117144232160", 20));
        let ln_10 = "2.3025850929940456840179914546843642076011";
        assert_eq!(of("10", 52).ln().to_scale(40), of(ln_10, 40));
        assert_eq!(of("0.5", 40).ln().to_scale(20), of("-0.69314718055994530942", 20));
        assert!(of("1", 40).ln().is_zero());
        assert_eq!(of("2", 40).sqrt().to_scale(20), of("1.41421356237309504880", 20));
    }

    #[test]
    fn rounds_half_away_from_zero() {
        assert_eq!(of("-1.5", 1).to_scale(0), of("-2", 0));
        assert_eq!(of("1.45", 2).to_scale(1), of("1.5", 1));
    }
}
