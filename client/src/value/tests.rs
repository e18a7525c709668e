#![allow(clippy::unwrap_used)]

use super::*;
use crate::arbitrary::{any_type, nullable};
use proptest::prelude::*;

fn three_of_a_type() -> impl Strategy<Value = [Value; 3]> {
    any_type().prop_flat_map(|t| [nullable(&t), nullable(&t), nullable(&t)])
}

fn hash(value: &Value) -> u64 {
    let mut state = std::hash::DefaultHasher::new();
    value.hash_value(&mut state);
    state.finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_order_is_total([a, b, c] in three_of_a_type()) {
        prop_assert!(a.same(&a));
        prop_assert_eq!(a.compare(&b), b.compare(&a).reverse());
        if a.compare(&b).is_le() && b.compare(&c).is_le() {
            prop_assert!(a.compare(&c).is_le());
        }
        if a.same(&b) {
            prop_assert_eq!(hash(&a), hash(&b));
        }
    }

    #[test]
    fn values_are_of_their_type((data_type, value) in any_type().prop_flat_map(|t| {
        let value = nullable(&t);
        (Just(t), value)
    })) {
        prop_assert!(value.is_of(&data_type));
        let other = if data_type == DataType::Bool { DataType::Int2 } else { DataType::Bool };
        prop_assert!(value.is_null() || !value.is_of(&other));
    }
}

#[test]
fn floats_sort_as_postgresql_sorts_them() {
    let ascending = [f64::NEG_INFINITY, -1.0, -0.0, 1e-300, f64::INFINITY, f64::NAN];
    assert!(ascending.map(Value::Float8).is_sorted_by(|a, b| a.compare(b).is_lt()));
    assert!(Value::Float8(-0.0).same(&Value::Float8(0.0)));
    assert!(Value::Float4(-f32::NAN).same(&Value::Float4(f32::NAN)));
    assert_eq!(hash(&Value::Float8(-0.0)), hash(&Value::Float8(0.0)));
}

#[test]
fn nulls_sort_last_and_intervals_by_length() {
    assert!(Value::Null.compare(&Value::Int4(i32::MAX)).is_gt());
    assert!(Value::Null.same(&Value::Null));
    let interval = |months, days, hours: i64| {
        Value::Interval(Interval { months, days, micros: hours * 3_600_000_000 })
    };
    assert!(interval(1, 0, 0).same(&interval(0, 30, 0)));
    assert!(interval(0, 1, 0).same(&interval(0, 0, 24)));
    assert!(interval(1, 0, 0).compare(&interval(0, 29, 25)).is_lt());
    assert!(interval(-1, 0, 0).compare(&interval(0, -31, 0)).is_gt());
}
