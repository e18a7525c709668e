#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

fn n(text: &str) -> Numeric {
    text.parse().unwrap()
}

/// a, b, a + b, a - b, a * b, a / b, a % b, as PostgreSQL 15 prints them.
const POSTGRES: &str = "
10 ; 3 ; 13 ; 7 ; 30 ; 3.3333333333333333 ; 1
1 ; 3000000 ; 3000001 ; -2999999 ; 3000000 ; 0.000000333333333333333333 ; 1
-7.5 ; 2 ; -5.5 ; -9.5 ; -15.0 ; -3.7500000000000000 ; -1.5
7 ; -2.5 ; 4.5 ; 9.5 ; -17.5 ; -2.8000000000000000 ; 2.0
1.50 ; 2.00 ; 3.50 ; -0.50 ; 3.0000 ; 0.75000000000000000000 ; 1.50
99999999999999999999 ; 0.0001 ; 99999999999999999999.0001 ; 99999999999999999998.9999 ; 9999999999999999.9999 ; 999999999999999999990000.0000 ; 0.0000
0 ; 5 ; 5 ; -5 ; 0 ; 0.00000000000000000000 ; 0
2 ; 3 ; 5 ; -1 ; 6 ; 0.66666666666666666667 ; 2
-2 ; 3 ; 1 ; -5 ; -6 ; -0.66666666666666666667 ; -2
123456789.123456789 ; 987.654321 ; 123457776.777777789 ; 123455801.469135789 ; 121932631234.567900112635269 ; 124999.998985937499 ; 986.652777789
0.00001 ; 3 ; 3.00001 ; -2.99999 ; 0.00003 ; 0.000003333333333333333333 ; 0.00001
10000 ; 3 ; 10003 ; 9997 ; 30000 ; 3333.3333333333333333 ; 1
9999 ; 10000 ; 19999 ; -1 ; 99990000 ; 0.99990000000000000000 ; 9999
10001 ; 9999 ; 20000 ; 2 ; 99999999 ; 1.0002000200020002 ; 2
0.5 ; 7777.77 ; 7778.27 ; -7777.27 ; 3888.885 ; 0.000064285778571492857207 ; 0.50
1000000000000000000000000000000 ; 7 ; 1000000000000000000000000000007 ; 999999999999999999999999999993 ; 7000000000000000000000000000000 ; 142857142857142857142857142857 ; 1
12345678901234567890123456789012345678 ; 98765432109876543210.5 ; 12345678901234567988888888898888888888.5 ; 12345678901234567791358024679135802467.5 ; 1219326311370217952255829903675582990278547477506729919219.0 ; 124999998860937500.0 ; 1467206789722501928.0
0.3 ; 0.1 ; 0.4 ; 0.2 ; 0.03 ; 3.0000000000000000 ; 0.0
5 ; 0.0000003 ; 5.0000003 ; 4.9999997 ; 0.0000015 ; 16666666.666666666667 ; 0.0000002
-0.1 ; 100000000 ; 99999999.9 ; -100000000.1 ; -10000000.0 ; -0.0000000010000000000000000000 ; -0.1
";

#[test]
fn arithmetic_is_postgresqls() {
    let rows: Vec<_> = POSTGRES.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(rows.len(), 20);
    for row in rows {
        let [a, b, sum, difference, product, quotient, rest] =
            row.split(" ; ").collect::<Vec<_>>().try_into().unwrap();
        let (a, b) = (n(a), n(b));
        assert_eq!(a.plus(b).unwrap().to_string(), sum, "{row}");
        assert_eq!(a.minus(b).unwrap().to_string(), difference, "{row}");
        assert_eq!(a.times(b).unwrap().to_string(), product, "{row}");
        assert_eq!(a.modulo(b).unwrap().to_string(), rest, "{row}");
        // Here a quotient has at most the scale that a bare column can hold.
        let scale = n(quotient).scale.min(20.max(a.scale).max(b.scale));
        let rounded = n(quotient).round(scale).unwrap();
        assert_eq!(a.divided_by(b).unwrap(), rounded, "{row}");
    }
}

#[test]
fn text_is_read_as_postgresql_reads_it() {
    for (text, shown) in [
        ("1", "1"),
        (" +1.50 ", "1.50"),
        ("-.5", "-0.5"),
        ("5.", "5"),
        ("1e3", "1000"),
        ("1.5e-3", "0.0015"),
        ("-1.25E+1", "-12.5"),
        ("0.000", "0.000"),
        ("-0", "0"),
        ("0e-5", "0.00000"),
        ("000012", "12"),
        ("1e-76", &format!("0.{}1", "0".repeat(75))),
        (&format!("1.{}", "0".repeat(90)), &format!("1.{}", "0".repeat(75))),
    ] {
        assert_eq!(n(text).to_string(), shown, "{text}");
    }
    for text in ["", " ", ".", "-", "1e", "e1", "1e+", "1.2.3", "1x", "--1", "1 2", "0x10", "1_0"] {
        let parsed = text.parse::<Numeric>();
        assert_eq!(parsed, Err(NumericError::Invalid(text.to_owned())), "{text}");
    }
    for text in ["NaN", "Infinity", "-inf"] {
        assert!(matches!(text.parse::<Numeric>(), Err(NumericError::Invalid(_))), "{text}");
    }
    for text in ["1e76", "1e-77", "1e99999999999999999999", "1e-99999999999999999999"] {
        assert_eq!(text.parse::<Numeric>(), Err(NumericError::OutOfRange), "{text}");
    }
    assert_eq!("9".repeat(76).parse::<Numeric>().unwrap().digits(), 76);
    assert_eq!("9".repeat(77).parse::<Numeric>(), Err(NumericError::OutOfRange));
}

#[test]
fn rounding_is_half_away_from_zero() {
    let round = |text: &str, scale| n(text).round(scale).unwrap().to_string();
    assert_eq!(round("2.5", 0), "3");
    assert_eq!(round("-2.5", 0), "-3");
    assert_eq!(round("2.4999", 0), "2");
    assert_eq!(round("1.005", 2), "1.01");
    assert_eq!(round("1", 3), "1.000");
    assert_eq!(n("999.994").to_declared(5, 2).unwrap().to_string(), "999.99");
    assert_eq!(n("999.995").to_declared(5, 2), Err(NumericError::OutOfRange));
    let widest = n(&"9".repeat(76));
    assert_eq!(widest.round(1), Err(NumericError::OutOfRange));
    let half = n(&format!("0.{}", "5".repeat(76)));
    assert_eq!(half.round(0).unwrap(), n("1"));
}

#[test]
fn limits() {
    let widest = n(&"9".repeat(76));
    assert_eq!(widest.plus(n("1")), Err(NumericError::OutOfRange));
    assert_eq!(widest.times(n("10")), Err(NumericError::OutOfRange));
    assert_eq!(widest.times(n("1.000")).unwrap(), widest, "padding zeros do not overflow");
    assert_eq!(n("1e75").plus(n("1.00000")).unwrap().minus(n("1e75")).unwrap(), n("1"));
    assert_eq!(widest.plus(n("0.1")), Err(NumericError::OutOfRange));
    assert_eq!(n("1").divided_by(n("0.00")), Err(NumericError::DivisionByZero));
    assert_eq!(n("1").modulo(n("0")), Err(NumericError::DivisionByZero));
    assert_eq!(widest.divided_by(n("1")).unwrap(), widest);
    assert_eq!(widest.divided_by(widest).unwrap().trimmed(), n("1"));
    let third = n("1").divided_by(widest).unwrap();
    assert!(third.is_zero(), "{third}");
    // The slow path of long division: ten times the remainder overflows 256 bits.
    let near = n(&format!("8{}", "9".repeat(75)));
    let quotient = near.divided_by(widest).unwrap();
    assert_eq!(quotient.to_string(), "0.90000000000000000000");
}

#[test]
fn only_the_value_counts_in_comparisons() {
    assert_ne!(n("1.0"), n("1"));
    assert!(n("1.0").compare(&n("1")).is_eq());
    assert!(n("-1.01").compare(&n("-1")).is_lt());
    let widest = n(&"9".repeat(76));
    let smallest = n(&format!("0.{}1", "0".repeat(75)));
    assert!(smallest.compare(&widest).is_lt());
    assert!(smallest.compare(&n("0")).is_gt());
    assert!(n("0.10").compare(&n("0.1")).is_eq());
}

fn any_numeric() -> impl Strategy<Value = Numeric> {
    let unscaled = prop_oneof![
        any::<i64>().prop_map(i128::from),
        any::<i128>().prop_map(|v| v % 10i128.pow(25)),
        -100..100i128,
    ];
    (unscaled, 0i8..25)
        .prop_map(|(unscaled, scale)| Numeric::new(i256::from_i128(unscaled), scale).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn text_round_trips(value in any_numeric()) {
        prop_assert_eq!(n(&value.to_string()), value);
        let json = serde_json::to_string(&value).unwrap();
        prop_assert_eq!(serde_json::from_str::<Numeric>(&json).unwrap(), value);
    }

    #[test]
    fn garbage_is_refused_without_a_panic(text in "[-+0-9.eE \u{e4}]{0,90}") {
        let _ = text.parse::<Numeric>();
    }

    #[test]
    fn the_order_is_that_of_the_difference(a in any_numeric(), b in any_numeric()) {
        let difference = a.minus(b).unwrap().unscaled.signum();
        let expected = difference.cmp(&i256::ZERO);
        prop_assert_eq!(a.compare(&b), expected);
        prop_assert_eq!(b.compare(&a), expected.reverse());
    }

    #[test]
    fn equal_values_hash_alike(value in any_numeric(), more in 0i8..10) {
        let hash = |value: &Numeric| {
            let mut state = std::hash::DefaultHasher::new();
            value.hash_value(&mut state);
            state.finish()
        };
        let padded = value.rescale_exact(value.scale + more).unwrap();
        prop_assert_eq!(hash(&value), hash(&padded));
        prop_assert!(value.compare(&padded).is_eq());
        let trimmed = value.trimmed();
        prop_assert!(trimmed.compare(&value).is_eq());
        let again = trimmed.rescale_exact(trimmed.scale - 1);
        prop_assert!(trimmed.scale == 0 || again.is_none());
    }

    #[test]
    fn quotient_and_remainder_give_the_dividend_back(a in any_numeric(), b in any_numeric()) {
        prop_assume!(!b.is_zero());
        let rest = a.modulo(b).unwrap();
        let magnitude = |value: Numeric| if value.unscaled.is_negative() { value.negated() } else { value };
        prop_assert!(magnitude(rest).compare(&magnitude(b)).is_lt());
        prop_assert!(rest.is_zero() || rest.unscaled.is_negative() == a.unscaled.is_negative());
        // a - rest is a whole multiple of b.
        let multiple = a.minus(rest).unwrap();
        prop_assert!(multiple.modulo(b).unwrap().is_zero());
        // |quotient * b - a| <= |b| / 2 at the quotient's last digit.
        let quotient = a.divided_by(b).unwrap();
        if let Ok(product) = quotient.times(b).and_then(|product| product.minus(a)) {
            let unit = Numeric::new(i256::ONE, quotient.scale).unwrap();
            if let Ok(unit) = unit.times(b) {
                let twice = product.plus(product).unwrap();
                prop_assert!(magnitude(twice).compare(&magnitude(unit)).is_le(), "{} / {}", a, b);
            }
        }
    }
}
