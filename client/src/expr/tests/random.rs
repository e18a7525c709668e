//! Expressions of no sense at all: evaluation ends with a value or an error, and well-typed operators
//! yield values of the type they say.

use super::*;
use crate::arbitrary::{any_type, nullable};
use crate::cell;
use proptest::prelude::*;

fn op() -> impl Strategy<Value = BinaryOp> {
    use BinaryOp::*;
    prop::sample::select(vec![
        Add,
        Subtract,
        Multiply,
        Divide,
        Modulo,
        Concat,
        Eq,
        NotEq,
        Lt,
        LtEq,
        Gt,
        GtEq,
        DistinctFrom,
        NotDistinctFrom,
    ])
}

fn literal() -> impl Strategy<Value = Expr> {
    any_type().prop_flat_map(|data_type| {
        nullable(&data_type).prop_map(move |value| Expr::Literal(value, data_type.clone()))
    })
}

fn nonsense() -> impl Strategy<Value = Expr> {
    literal().prop_recursive(5, 40, 4, |inner| {
        let many = prop::collection::vec(inner.clone(), 0..4);
        let boxed = inner.clone().prop_map(Box::new);
        let branches = prop::collection::vec((inner.clone(), inner.clone()), 0..3);
        prop_oneof![
            4 => (op(), boxed.clone(), boxed.clone(), any_type())
                .prop_map(|(op, left, right, result)| Expr::Binary { op, left, right, result }),
            1 => many.clone().prop_map(Expr::And),
            1 => many.clone().prop_map(Expr::Or),
            1 => boxed.clone().prop_map(Expr::Not),
            1 => (boxed.clone(), any_type()).prop_map(|(e, t)| Expr::Negate(e, t)),
            1 => boxed.clone().prop_map(Expr::IsNull),
            1 => (many.clone(), any_type()).prop_map(|(all, t)| Expr::Coalesce(all, t)),
            1 => (branches, prop::option::of(boxed.clone()), any_type()).prop_map(
                |(branches, otherwise, result)| Expr::Case { branches, otherwise, result }
            ),
            1 => (boxed.clone(), many).prop_map(|(e, list)| Expr::InList(e, list)),
            2 => (boxed, any_type()).prop_map(|(e, t)| Expr::Cast(e, t)),
        ]
    })
}

/// Two types that often have operators between them.
fn two_types() -> impl Strategy<Value = (DataType, DataType)> {
    let dates = prop::sample::select(vec![
        DataType::Date,
        DataType::Time,
        DataType::Timestamp,
        DataType::Interval,
        DataType::Int4,
    ]);
    prop_oneof![
        any_type().prop_map(|t| (t.clone(), t)),
        (dates.clone(), dates),
        (any_type(), any_type()),
    ]
}

/// True where the result holds the type's range too: it can be stored.
fn belongs(value: &Value, data_type: &DataType) -> bool {
    let storable = match cell::encoded(value, data_type) {
        // An intermediate bare numeric may have more scale than a column; storing it is refused.
        Err(cell::CellError::OutOfRange(DataType::Numeric(None))) => true,
        stored => stored.is_ok(),
    };
    value.is_of(data_type) && storable
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn evaluation_never_panics(expr in nonsense()) {
        let _ = eval(&expr);
        let _ = is_true(&expr, &Nothing);
        let json = serde_json::to_string(&expr).unwrap();
        let _ = serde_json::from_str::<Expr>(&json);
    }

    #[test]
    fn operators_yield_the_type_they_say(
        op in op(),
        (a, b) in two_types().prop_flat_map(|(a, b)| {
            let values = (nullable(&a), nullable(&b));
            values.prop_map(move |(x, y)| (lit(x, a.clone()), lit(y, b.clone())))
        }),
    ) {
        if let Some(result) = binary_result(op, a.data_type(), b.data_type()) {
            match apply(op, a, b) {
                Ok(value) => prop_assert!(belongs(&value, &result), "{:?} of {}", value, result),
                Err(error) => prop_assert!(!matches!(error, ExprError::IllTyped(_)), "{}", error),
            }
        }
    }

    #[test]
    fn casts_yield_the_type_they_say(
        (value, from) in any_type().prop_flat_map(|t| {
            let value = nullable(&t);
            (value, Just(t))
        }),
        to in any_type(),
    ) {
        if can_cast(&from, &to) {
            match cast(value, from, to.clone()) {
                Ok(value) => prop_assert!(belongs(&value, &to), "{:?} of {}", value, to),
                Err(error) => prop_assert!(!matches!(error, ExprError::IllTyped(_)), "{}", error),
            }
        }
    }
}
