//! Casts. Expected values are PostgreSQL 15's.

use super::*;

const BARE: DataType = DataType::Numeric(None);

#[test]
fn floats_round_half_to_even_into_integers() {
    let to_int4 = |value| cast(Value::Float8(value), DataType::Float8, DataType::Int4);
    assert_eq!(to_int4(2.5), Ok(Value::Int4(2)));
    assert_eq!(to_int4(3.5), Ok(Value::Int4(4)));
    assert_eq!(to_int4(-2.5), Ok(Value::Int4(-2)));
    assert_eq!(to_int4(f64::NAN), out_of_range("integer"));
    assert_eq!(to_int4(2147483647.4), Ok(Value::Int4(i32::MAX)));
    assert_eq!(to_int4(2147483647.5), out_of_range("integer"));
    let to_int8 = |value| cast(Value::Float8(value), DataType::Float8, DataType::Int8);
    assert_eq!(to_int8(9223372036854775807.0), out_of_range("bigint"));
    assert_eq!(to_int8(-9223372036854775808.0), Ok(Value::Int8(i64::MIN)));
    assert_eq!(to_int8(f64::INFINITY), out_of_range("bigint"));
}

#[test]
fn numerics_round_half_away_from_zero_into_integers() {
    let to_int4 = |text: &str| cast(numeric(text), BARE, DataType::Int4);
    assert_eq!(to_int4("2.5"), Ok(Value::Int4(3)));
    assert_eq!(to_int4("-2.5"), Ok(Value::Int4(-3)));
    assert_eq!(to_int4("2147483647.5"), out_of_range("integer"));
    assert_eq!(cast(numeric("1e40"), BARE, DataType::Int8), out_of_range("bigint"));
}

#[test]
fn integers_among_themselves() {
    assert_eq!(cast(Value::Int2(-3), DataType::Int2, DataType::Int8), Ok(Value::Int8(-3)));
    let narrow = cast(Value::Int8(40_000), DataType::Int8, DataType::Int2);
    assert_eq!(narrow, out_of_range("smallint"));
    assert_eq!(cast(Value::Bool(true), DataType::Bool, DataType::Int4), Ok(Value::Int4(1)));
    assert_eq!(cast(Value::Int4(-1), DataType::Int4, DataType::Bool), Ok(Value::Bool(true)));
    assert!(!can_cast(&DataType::Bool, &DataType::Int8));
}

#[test]
fn floats_to_numeric_keep_fifteen_digits() {
    let of_float8 = |value| cast(Value::Float8(value), DataType::Float8, BARE);
    assert_eq!(of_float8(1e15), Ok(numeric("1000000000000000")));
    assert_eq!(of_float8(0.1), Ok(numeric("0.1")));
    assert_eq!(of_float8(123456789.12345679), Ok(numeric("123456789.123457")));
    assert_eq!(of_float8(12345678901234567890.0), Ok(numeric("12345678901234600000")));
    assert_eq!(of_float8(1e-7), Ok(numeric("0.0000001")));
    assert_eq!(of_float8(f64::NAN), out_of_range("numeric"));
    assert_eq!(of_float8(1e80), out_of_range("numeric"));
    let of_float4 = |value| cast(Value::Float4(value), DataType::Float4, BARE);
    assert_eq!(of_float4(0.1), Ok(numeric("0.1")));
    assert_eq!(of_float4(1234567.0), Ok(numeric("1234570")));
}

#[test]
fn to_floats() {
    assert_eq!(cast(numeric("0.1"), BARE, DataType::Float8), Ok(Value::Float8(0.1)));
    assert_eq!(cast(numeric("1e70"), BARE, DataType::Float4), out_of_range("value"));
    let to_float4 = |value| cast(Value::Float8(value), DataType::Float8, DataType::Float4);
    assert_eq!(to_float4(0.1), Ok(Value::Float4(0.1)));
    assert_eq!(to_float4(1e40), out_of_range("value"));
    assert_eq!(to_float4(1e-50), out_of_range("value"));
    assert_eq!(to_float4(f64::INFINITY), Ok(Value::Float4(f32::INFINITY)));
    let big = cast(Value::Int8(i64::MAX), DataType::Int8, DataType::Float8);
    assert_eq!(big, Ok(Value::Float8(9223372036854775807.0)));
}

#[test]
fn declared_numerics_round_and_are_limited() {
    let price = DataType::Numeric(Some((5, 2)));
    let to_price = |text: &str| cast(numeric(text), BARE, price.clone());
    assert_eq!(to_price("1.005"), Ok(numeric("1.01")));
    assert_eq!(to_price("-1.005"), Ok(numeric("-1.01")));
    assert_eq!(to_price("999.995"), out_of_range("numeric"));
    assert_eq!(cast(Value::Int4(7), DataType::Int4, price.clone()), Ok(numeric("7.00")));
    assert_eq!(cast(Value::Int4(1000), DataType::Int4, price), out_of_range("numeric"));
}

#[test]
fn lengths_are_enforced_as_on_assignment() {
    let to_varchar = |text: &str| cast(string(text), DataType::Text, DataType::Varchar(Some(3)));
    assert_eq!(to_varchar("abc"), Ok(string("abc")));
    assert_eq!(to_varchar("äöü"), Ok(string("äöü")), "characters count, not bytes");
    assert_eq!(to_varchar("ab    "), Ok(string("ab ")), "blanks are cut");
    let too_long = Err(ExprError::TooLong("character varying(3)".to_owned()));
    assert_eq!(to_varchar("abcd"), too_long);
    assert_eq!(to_varchar("abc x"), too_long);
    let to_char = |text: &str| cast(string(text), DataType::Text, DataType::Char(3));
    assert_eq!(to_char("ab     "), Ok(string("ab")), "stored without trailing blanks");
    assert_eq!(to_char("abcd"), Err(ExprError::TooLong("character(3)".to_owned())));
    let text = cast(string("ab "), DataType::Char(3), DataType::Text);
    assert_eq!(text, Ok(string("ab")));
}

#[test]
fn to_text() {
    assert_eq!(cast(Value::Int4(-5), DataType::Int4, DataType::Text), Ok(string("-5")));
    assert_eq!(cast(Value::Bool(false), DataType::Bool, DataType::Text), Ok(string("false")));
    assert_eq!(cast(numeric("1.500"), BARE, DataType::Text), Ok(string("1.5")));
    let price = DataType::Numeric(Some((5, 2)));
    assert_eq!(cast(numeric("1.50"), price, DataType::Text), Ok(string("1.50")));
    let short = cast(Value::Int4(12345), DataType::Int4, DataType::Varchar(Some(2)));
    assert!(matches!(short, Err(ExprError::TooLong(_))));
}

#[test]
fn null_casts_to_null_and_nonsense_is_refused() {
    assert_eq!(cast(Value::Null, DataType::Int4, DataType::Text), Ok(Value::Null));
    assert!(!can_cast(&DataType::Text, &DataType::Int4));
    let ill = eval(&Expr::Cast(Box::new(lit(string("1"), DataType::Text)), DataType::Uuid));
    assert!(matches!(ill, Err(ExprError::IllTyped(_))));
}
