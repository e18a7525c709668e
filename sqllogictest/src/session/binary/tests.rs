//! Each expectation is what psql 15 shows for the value.

use super::*;

#[test]
fn floats_are_shortest_and_change_layout_where_postgres_does() {
    let cases: [(f64, &str); 14] = [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (0.1, "0.1"),
        (-2.5, "-2.5"),
        (1e14, "100000000000000"),
        (1e15, "1e+15"),
        (123456789012345680.0, "1.2345678901234568e+17"),
        (0.0001, "0.0001"),
        (0.00001234, "1.234e-05"),
        (1e300, "1e+300"),
        (5e-324, "5e-324"),
        (f64::NAN, "NaN"),
        (f64::NEG_INFINITY, "-Infinity"),
    ];
    for (value, text) in cases {
        assert_eq!(to_text(&Type::FLOAT8, &value.to_be_bytes()).unwrap(), text);
    }
    for (value, text) in
        [(1e5f32, "100000"), (1e6, "1e+06"), (0.1, "0.1"), (3.4028235e38, "3.4028235e+38")]
    {
        assert_eq!(to_text(&Type::FLOAT4, &value.to_be_bytes()).unwrap(), text);
    }
}

fn numeric(weight: i16, sign: u16, scale: u16, groups: &[i16]) -> Vec<u8> {
    let mut raw = Vec::new();
    raw.extend((groups.len() as i16).to_be_bytes());
    raw.extend(weight.to_be_bytes());
    raw.extend(sign.to_be_bytes());
    raw.extend(scale.to_be_bytes());
    groups.iter().for_each(|g| raw.extend(g.to_be_bytes()));
    raw
}

#[test]
fn numerics_show_their_scale() {
    let cases = [
        (numeric(0, 0, 0, &[]), "0"),
        (numeric(0, 0, 2, &[]), "0.00"),
        (numeric(1, 0, 2, &[1, 2345, 6700]), "12345.67"),
        (numeric(-1, 0x4000, 4, &[50]), "-0.0050"),
        (numeric(-2, 0, 6, &[1200]), "0.000012"),
        (numeric(2, 0, 0, &[1]), "100000000"),
        (numeric(0, 0xC000, 0, &[]), "NaN"),
    ];
    for (raw, text) in cases {
        assert_eq!(to_text(&Type::NUMERIC, &raw).unwrap(), text);
    }
    assert!(to_text(&Type::NUMERIC, &numeric(0, 0, 0, &[10_000])).is_err());
    assert!(to_text(&Type::NUMERIC, &numeric(0, 0, 0, &[1])[..9]).is_err());
}

#[test]
fn dates_reach_before_christ_and_to_infinity() {
    let cases = [
        (0, "2000-01-01"),
        (-1, "1999-12-31"),
        (59, "2000-02-29"),
        (60, "2000-03-01"),
        (-10957, "1970-01-01"),
        (-730_119, "0001-01-01"),
        (-730_120, "0001-12-31 BC"),
        (2_921_940, "10000-01-01"),
        (i32::MAX, "infinity"),
        (i32::MIN, "-infinity"),
    ];
    for (days, text) in cases {
        assert_eq!(to_text(&Type::DATE, &days.to_be_bytes()).unwrap(), text, "{days}");
    }
}

#[test]
fn timestamps_drop_trailing_zeros() {
    let show = |ty: &Type, micros: i64| to_text(ty, &micros.to_be_bytes()).unwrap();
    assert_eq!(show(&Type::TIMESTAMP, 0), "2000-01-01 00:00:00");
    assert_eq!(show(&Type::TIMESTAMP, -1), "1999-12-31 23:59:59.999999");
    assert_eq!(show(&Type::TIMESTAMPTZ, 500_000), "2000-01-01 00:00:00.5+00");
    assert_eq!(show(&Type::TIMESTAMPTZ, i64::MAX), "infinity");
    assert_eq!(show(&Type::TIME, 86_400_000_000), "24:00:00");
}

#[test]
fn intervals_carry_a_sign_per_part() {
    let show = |months: i32, days: i32, micros: i64| {
        let mut raw = micros.to_be_bytes().to_vec();
        raw.extend(days.to_be_bytes());
        raw.extend(months.to_be_bytes());
        to_text(&Type::INTERVAL, &raw).unwrap()
    };
    assert_eq!(show(0, 0, 0), "00:00:00");
    assert_eq!(show(14, 3, 14_706_789_000), "1 year 2 mons 3 days 04:05:06.789");
    assert_eq!(show(-14, 3, -1_000_000), "-1 years -2 mons +3 days -00:00:01");
    assert_eq!(show(0, -1, 7_200_000_000), "-1 days +02:00:00");
    assert_eq!(show(12, 0, 0), "1 year");
}

#[test]
fn arrays_quote_what_would_be_misread() {
    let mut raw = Vec::new();
    for word in [1i32, 1, 25, 5, 1] {
        raw.extend(word.to_be_bytes());
    }
    for value in [Some("a"), Some(""), None, Some("null"), Some("x \"y\"")] {
        raw.extend(value.map_or(-1, |v| v.len() as i32).to_be_bytes());
        raw.extend(value.unwrap_or("").bytes());
    }
    assert_eq!(to_text(&Type::TEXT_ARRAY, &raw).unwrap(), r#"{a,"",NULL,"null","x \"y\""}"#);
    assert!(to_text(&Type::INT4_ARRAY, &raw).is_err(), "elements of another type");
    assert!(to_text(&Type::TEXT_ARRAY, &raw[..raw.len() - 1]).is_err(), "cut short");
}

#[test]
fn small_types() {
    assert_eq!(to_text(&Type::BYTEA, &[0, 255, 16]).unwrap(), "\\x00ff10");
    assert_eq!(to_text(&Type::JSONB, b"\x01{}").unwrap(), "{}");
    assert!(to_text(&Type::JSONB, b"{}").is_err());
    assert!(to_text(&Type::BOOL, &[2]).is_err());
    assert!(to_text(&Type::INT4, &[0; 8]).is_err());
    assert_eq!(to_text(&Type::UUID, &[0xab; 16]).unwrap(), "abababab-abab-abab-abab-abababababab");
}
