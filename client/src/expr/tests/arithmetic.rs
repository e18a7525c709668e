//! `+ - * / % ||` and unary minus, of every type that has them. Expected values are PostgreSQL 15's.

use super::*;
use BinaryOp::{Add, Concat, Divide, Modulo, Multiply, Subtract};

#[test]
fn integers() {
    let int2 = |op, a, b| {
        apply(op, lit(Value::Int2(a), DataType::Int2), lit(Value::Int2(b), DataType::Int2))
    };
    let int8 = |op, a, b| {
        apply(op, lit(Value::Int8(a), DataType::Int8), lit(Value::Int8(b), DataType::Int8))
    };
    assert_eq!(apply(Add, int4(2), int4(3)), Ok(Value::Int4(5)));
    assert_eq!(apply(Subtract, int4(2), int4(3)), Ok(Value::Int4(-1)));
    assert_eq!(apply(Multiply, int4(-2), int4(3)), Ok(Value::Int4(-6)));
    assert_eq!(apply(Divide, int4(-7), int4(2)), Ok(Value::Int4(-3)), "division truncates");
    assert_eq!(apply(Modulo, int4(-7), int4(2)), Ok(Value::Int4(-1)));
    assert_eq!(apply(Modulo, int4(7), int4(-2)), Ok(Value::Int4(1)));
    assert_eq!(int2(Modulo, i16::MIN, -1), Ok(Value::Int2(0)));
    assert_eq!(int2(Add, i16::MAX, 1), out_of_range("smallint"));
    assert_eq!(int2(Divide, i16::MIN, -1), out_of_range("smallint"));
    assert_eq!(apply(Multiply, int4(65_536), int4(32_768)), out_of_range("integer"));
    assert_eq!(int8(Multiply, i64::MIN, -1), out_of_range("bigint"));
    assert_eq!(int8(Multiply, i64::MIN, i64::MIN), out_of_range("bigint"));
    assert_eq!(int8(Subtract, i64::MIN, 1), out_of_range("bigint"));
    assert_eq!(int8(Modulo, i64::MIN, -1), Ok(Value::Int8(0)));
    for op in [Divide, Modulo] {
        assert_eq!(apply(op, int4(1), int4(0)), Err(ExprError::DivisionByZero));
    }
    assert_eq!(apply(Add, int4(1), null(DataType::Int4)), Ok(Value::Null));
    assert_eq!(apply(Divide, null(DataType::Int4), int4(0)), Ok(Value::Null));
}

#[test]
fn floats() {
    let number = |op, a, b| match apply(op, float8(a), float8(b)).unwrap() {
        Value::Float8(value) => value,
        other => panic!("{other:?}"),
    };
    assert_eq!(number(Divide, f64::INFINITY, 2.0), f64::INFINITY);
    assert_eq!(number(Divide, 1.0, f64::INFINITY), 0.0);
    assert!(number(Divide, f64::NAN, 0.0).is_nan());
    assert!(number(Multiply, f64::INFINITY, 0.0).is_nan());
    assert!(number(Subtract, f64::INFINITY, f64::INFINITY).is_nan());
    assert_eq!(number(Multiply, 0.0, 1e-300), 0.0);
    assert_eq!(apply(Multiply, float8(1e300), float8(1e300)), out_of_range("value"));
    assert_eq!(apply(Add, float8(f64::MAX), float8(f64::MAX)), out_of_range("value"));
    assert_eq!(apply(Multiply, float8(1e-300), float8(1e-300)), out_of_range("value"));
    assert_eq!(apply(Divide, float8(1e-300), float8(1e300)), out_of_range("value"));
    assert_eq!(apply(Divide, float8(0.0), float8(0.0)), Err(ExprError::DivisionByZero));
    let float4 = |value| lit(Value::Float4(value), DataType::Float4);
    assert_eq!(apply(Add, float4(1.5), float4(0.25)), Ok(Value::Float4(1.75)));
    assert_eq!(apply(Multiply, float4(1e30), float4(1e30)), out_of_range("value"));
    assert_eq!(binary_result(Modulo, &DataType::Float8, &DataType::Float8), None);
}

#[test]
fn numerics() {
    let bare = |text: &str| lit(numeric(text), DataType::Numeric(None));
    let price = |text: &str| lit(numeric(text), DataType::Numeric(Some((10, 2))));
    let shown = |value: Result<Value, ExprError>| match value.unwrap() {
        Value::Numeric(value) => value.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(shown(apply(Multiply, price("1.50"), price("2.00"))), "3.0000");
    assert_eq!(shown(apply(Divide, price("10.00"), price("3.00"))), "3.3333333333333333");
    // From its cell a bare numeric comes with twenty fractional digits that nobody wrote.
    let ten = bare("10.00000000000000000000");
    assert_eq!(shown(apply(Divide, ten.clone(), bare("3"))), "3.3333333333333333");
    let product = (0..5).fold(ten, |product, _| {
        let value = apply(Multiply, product, bare("1.00000000000000000000")).unwrap();
        lit(value, DataType::Numeric(None))
    });
    assert!(eval(&product).unwrap().same(&numeric("10")));
    assert_eq!(shown(apply(Modulo, price("-7.50"), price("2.00"))), "-1.50");
    assert_eq!(apply(Divide, bare("1"), bare("0")), Err(ExprError::DivisionByZero));
    let widest = bare(&"9".repeat(76));
    assert_eq!(apply(Add, widest, bare("1")), out_of_range("numeric"));
    let rounded = Expr::Binary {
        op: Divide,
        left: Box::new(price("10.00")),
        right: Box::new(price("3.00")),
        result: DataType::Numeric(Some((4, 1))),
    };
    assert_eq!(shown(eval(&rounded)), "3.3", "a declared result type rounds");
}

#[test]
fn concatenation() {
    let text = |t: &str| lit(string(t), DataType::Text);
    assert_eq!(apply(Concat, text("a"), text("ä")), Ok(string("aä")));
    assert_eq!(apply(Concat, text("a"), null(DataType::Text)), Ok(Value::Null));
    let bytes = |b: &'static [u8]| lit(Value::Bytea(b.into()), DataType::Bytea);
    assert_eq!(apply(Concat, bytes(&[0, 1]), bytes(&[255])), eval(&bytes(&[0, 1, 255])));
    let ints = DataType::Array(Box::new(DataType::Int4));
    let array = |values: Vec<Value>| lit(Value::Array(values), ints.clone());
    let one = array(vec![Value::Int4(1)]);
    let both = array(vec![Value::Int4(1), Value::Null]);
    assert_eq!(apply(Concat, one.clone(), array(vec![Value::Null])), eval(&both));
    assert_eq!(
        apply(Concat, one.clone(), null(ints.clone())),
        eval(&one),
        "array_cat is not strict"
    );
    assert_eq!(apply(Concat, null(ints.clone()), null(ints)), Ok(Value::Null));
}

#[test]
fn unary_minus() {
    let negate = |value, data_type: DataType| {
        eval(&Expr::Negate(Box::new(lit(value, data_type.clone())), data_type))
    };
    assert_eq!(negate(Value::Int4(5), DataType::Int4), Ok(Value::Int4(-5)));
    assert_eq!(negate(Value::Int2(i16::MIN), DataType::Int2), out_of_range("smallint"));
    assert_eq!(negate(Value::Int8(i64::MIN), DataType::Int8), out_of_range("bigint"));
    assert_eq!(negate(Value::Float8(1.0), DataType::Float8), Ok(Value::Float8(-1.0)));
    assert_eq!(negate(numeric("1.50"), DataType::Numeric(None)), Ok(numeric("-1.50")));
    assert_eq!(negate(Value::Null, DataType::Int4), Ok(Value::Null));
    assert!(matches!(negate(string("a"), DataType::Text), Err(ExprError::IllTyped(_))));
}
