//! Three-valued logic, comparisons, CASE, COALESCE, IN, and what is evaluated at all.

use super::*;
use BinaryOp::*;

const T: Option<bool> = Some(true);
const F: Option<bool> = Some(false);
const N: Option<bool> = None;

fn failing() -> Expr {
    let quotient = Expr::Binary {
        op: Divide,
        left: Box::new(int4(1)),
        right: Box::new(int4(0)),
        result: DataType::Int4,
    };
    Expr::Binary {
        op: Eq,
        left: Box::new(quotient),
        right: Box::new(int4(1)),
        result: DataType::Bool,
    }
}

fn ok(value: Option<bool>) -> Result<Value, ExprError> {
    eval(&truth(value))
}

#[test]
fn and_or_not() {
    for (a, b, and, or) in
        [(T, T, T, T), (T, F, F, T), (T, N, N, T), (F, F, F, F), (F, N, F, N), (N, N, N, N)]
    {
        for (a, b) in [(a, b), (b, a)] {
            assert_eq!(eval(&Expr::And(vec![truth(a), truth(b)])), ok(and), "{a:?} AND {b:?}");
            assert_eq!(eval(&Expr::Or(vec![truth(a), truth(b)])), ok(or), "{a:?} OR {b:?}");
        }
    }
    for (a, not) in [(T, F), (F, T), (N, N)] {
        assert_eq!(eval(&Expr::Not(Box::new(truth(a)))), ok(not));
    }
    assert_eq!(eval(&Expr::And(vec![])), ok(T));
    assert_eq!(eval(&Expr::Or(vec![])), ok(F));
}

#[test]
fn what_is_decided_is_not_evaluated_further() {
    assert_eq!(eval(&Expr::And(vec![truth(F), failing()])), ok(F));
    assert_eq!(eval(&Expr::Or(vec![truth(T), failing()])), ok(T));
    assert_eq!(eval(&Expr::And(vec![truth(N), failing()])), Err(ExprError::DivisionByZero));
    let case = Expr::Case {
        branches: vec![(truth(N), failing()), (truth(T), truth(F)), (failing(), failing())],
        otherwise: Some(Box::new(failing())),
        result: DataType::Bool,
    };
    assert_eq!(eval(&case), ok(F));
    let coalesce = Expr::Coalesce(vec![truth(N), truth(T), failing()], DataType::Bool);
    assert_eq!(eval(&coalesce), ok(T));
    let in_list = Expr::InList(Box::new(truth(T)), vec![truth(T), failing()]);
    assert_eq!(eval(&in_list), ok(T));
}

#[test]
fn case_and_coalesce_may_find_nothing() {
    let case =
        Expr::Case { branches: vec![(truth(F), int4(1))], otherwise: None, result: DataType::Int4 };
    assert_eq!(eval(&case), Ok(Value::Null));
    let nulls = vec![null(DataType::Int4), null(DataType::Int4)];
    assert_eq!(eval(&Expr::Coalesce(nulls, DataType::Int4)), Ok(Value::Null));
}

#[test]
fn in_lists_with_nulls() {
    let in_list = |e: Expr, list: Vec<Expr>| eval(&Expr::InList(Box::new(e), list));
    let nothing = || null(DataType::Int4);
    assert_eq!(in_list(int4(1), vec![nothing(), int4(1)]), ok(T));
    assert_eq!(in_list(int4(1), vec![nothing(), int4(2)]), ok(N));
    assert_eq!(in_list(int4(1), vec![int4(2)]), ok(F));
    assert_eq!(in_list(nothing(), vec![int4(2)]), ok(N));
    assert_eq!(in_list(nothing(), vec![]), ok(F));
    let chars = |t: &str| lit(string(t), DataType::Char(4));
    assert_eq!(in_list(chars("ab  "), vec![chars("ab")]), ok(T));
}

#[test]
fn comparisons() {
    for (op, less, equal, greater) in [
        (Eq, F, T, F),
        (NotEq, T, F, T),
        (Lt, T, F, F),
        (LtEq, T, T, F),
        (Gt, F, F, T),
        (GtEq, F, T, T),
        (DistinctFrom, T, F, T),
        (NotDistinctFrom, F, T, F),
    ] {
        assert_eq!(apply(op, int4(1), int4(2)), ok(less), "{op:?}");
        assert_eq!(apply(op, int4(2), int4(2)), ok(equal), "{op:?}");
        assert_eq!(apply(op, int4(3), int4(2)), ok(greater), "{op:?}");
        let with_null = match op {
            DistinctFrom => T,
            NotDistinctFrom => F,
            _ => N,
        };
        assert_eq!(apply(op, int4(3), null(DataType::Int4)), ok(with_null), "{op:?}");
        assert_eq!(apply(op, null(DataType::Int4), int4(3)), ok(with_null), "{op:?}");
    }
    let nulls = |op| apply(op, null(DataType::Int4), null(DataType::Int4));
    assert_eq!(nulls(Eq), ok(N));
    assert_eq!(nulls(DistinctFrom), ok(F));
    assert_eq!(nulls(NotDistinctFrom), ok(T));
}

#[test]
fn comparisons_by_type() {
    assert_eq!(apply(Eq, float8(f64::NAN), float8(f64::NAN)), ok(T));
    assert_eq!(apply(Gt, float8(f64::NAN), float8(f64::INFINITY)), ok(T));
    assert_eq!(apply(Eq, float8(0.0), float8(-0.0)), ok(T));
    let text = |t: &str| lit(string(t), DataType::Text);
    let chars = |t: &str| lit(string(t), DataType::Char(5));
    assert_eq!(apply(Eq, text("a "), text("a")), ok(F));
    assert_eq!(apply(Eq, chars("a "), chars("a")), ok(T));
    assert_eq!(apply(Lt, text("Z"), text("a")), ok(T), "by byte");
    let bare = |t: &str| lit(numeric(t), DataType::Numeric(None));
    assert_eq!(apply(Eq, bare("1.0"), bare("1.00")), ok(T));
    let ints =
        |values: Vec<Value>| lit(Value::Array(values), DataType::Array(Box::new(DataType::Int4)));
    let (one, two) = (Value::Int4(1), Value::Int4(2));
    let with_null = ints(vec![one.clone(), Value::Null]);
    assert_eq!(apply(Eq, with_null.clone(), with_null.clone()), ok(T), "NULL elements are equal");
    assert_eq!(apply(Lt, ints(vec![one.clone(), two]), with_null), ok(T), "and greatest");
    assert_eq!(apply(Lt, ints(vec![one.clone()]), ints(vec![one.clone(), one])), ok(T));
    for json in [DataType::Json, DataType::Jsonb] {
        assert_eq!(binary_result(Eq, &json, &json), None);
    }
}

#[test]
fn ill_typed_expressions_are_errors() {
    let ill = |expr: Expr| matches!(eval(&expr), Err(ExprError::IllTyped(_)));
    let compare = |left: Expr, right: Expr| Expr::Binary {
        op: Eq,
        left: Box::new(left),
        right: Box::new(right),
        result: DataType::Bool,
    };
    assert!(ill(compare(int4(1), lit(Value::Int8(1), DataType::Int8))));
    assert!(ill(Expr::Not(Box::new(int4(1)))));
    assert!(ill(Expr::Column(ColumnId(7), DataType::Int4)));
    assert!(ill(Expr::Excluded(ColumnId(7), DataType::Int4)));
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| (0..depth).fold(truth(T), |inner, _| Expr::Not(Box::new(inner)));
    assert_eq!(eval(&nested(EXPR_DEPTH_MAX)), ok(T));
    assert_eq!(eval(&nested(EXPR_DEPTH_MAX + 1)), Err(ExprError::TooDeep));
    let sum = (0..2 * EXPR_DEPTH_MAX).fold(int4(0), |sum, _| Expr::Binary {
        op: Add,
        left: Box::new(sum),
        right: Box::new(int4(1)),
        result: DataType::Int4,
    });
    assert_eq!(eval(&sum), Err(ExprError::TooDeep));
}
