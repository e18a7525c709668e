#![allow(clippy::unwrap_used)]

use super::*;
use crate::expr::{BinaryOp, is_true};
use crate::ids::{ColumnId, LocalityGroupId, StorageId};
use crate::key;
use crate::program::RowReader;
use crate::row::PackedCells;
use crate::schema::{Column, KeyColumn, LocalityGroup};
use crate::types::DataType;
use proptest::prelude::*;

const TYPES: [DataType; 4] = [DataType::Int2, DataType::Text, DataType::Bool, DataType::Int4];

/// Key columns 1 to 4 of small domains; column 5 is not in the key.
fn schema(descending: [bool; 4], columns: usize) -> TableSchema {
    let column = |i: usize| Column {
        id: ColumnId(i as u32 + 1),
        name: format!("c{i}"),
        data_type: TYPES.get(i).cloned().unwrap_or(DataType::Int8),
        not_null: i < 4,
        group: LocalityGroupId::default(),
        missing: Value::Null,
        gc: Default::default(),
    };
    TableSchema {
        storage: StorageId(1000),
        version: 1,
        name: "t".to_owned(),
        columns: (0..5).map(column).collect(),
        key: (0..columns)
            .map(|i| KeyColumn { column: ColumnId(i as u32 + 1), descending: descending[i] })
            .collect(),
        groups: vec![LocalityGroup::default_group()],
        checks: Vec::new(),
        history_micros: 0,
        is_settled: true,
        tablet_bytes_max: None,
        purge_within_micros: None,
        dropped: Vec::new(),
    }
}

fn domain(i: usize) -> Vec<Value> {
    match TYPES[i] {
        DataType::Int2 => [i16::MIN, -1, 0, 1, i16::MAX].map(Value::Int2).to_vec(),
        DataType::Text => ["", "a", "a\u{1}", "b"].map(|t| Value::Text(t.to_owned())).to_vec(),
        DataType::Bool => vec![Value::Bool(false), Value::Bool(true)],
        _ => [-1, 0, 7].map(Value::Int4).to_vec(),
    }
}

fn all_keys(columns: usize) -> Vec<Vec<Value>> {
    (0..columns).fold(vec![Vec::new()], |keys, i| {
        let extended = |key: Vec<Value>| {
            domain(i).into_iter().map(move |value| [key.clone(), vec![value]].concat())
        };
        keys.into_iter().flat_map(extended).collect()
    })
}

fn column(i: usize) -> Expr {
    Expr::Column(ColumnId(i as u32 + 1), TYPES[i].clone())
}

fn lit(value: Value, data_type: DataType) -> Expr {
    Expr::Literal(value, data_type)
}

fn compare(op: BinaryOp, left: Expr, right: Expr) -> Expr {
    Expr::Binary { op, left: Box::new(left), right: Box::new(right), result: DataType::Bool }
}

fn int2(op: BinaryOp, value: i16) -> Expr {
    compare(op, column(0), lit(Value::Int2(value), DataType::Int2))
}

fn text(op: BinaryOp, value: &str) -> Expr {
    compare(op, column(1), lit(Value::Text(value.to_owned()), DataType::Text))
}

/// Comparisons, IN lists, connectives and things no range can be made of.
fn predicate() -> impl Strategy<Value = Expr> {
    use BinaryOp::*;
    let op =
        prop::sample::select(vec![Eq, NotEq, Lt, LtEq, Gt, GtEq, DistinctFrom, NotDistinctFrom]);
    let operand = (0usize..4).prop_flat_map(|i| {
        let mut values = domain(i);
        values.push(Value::Null);
        (Just(i), prop::sample::select(values))
    });
    let comparison = (op.clone(), operand, any::<bool>()).prop_map(|(op, (i, value), swap)| {
        let constant = lit(value, TYPES[i].clone());
        if swap { compare(op, constant, column(i)) } else { compare(op, column(i), constant) }
    });
    let widened = (op, -40_000i64..40_000).prop_map(|(op, value)| {
        let wide = Expr::Cast(Box::new(column(0)), DataType::Int8);
        compare(op, wide, lit(Value::Int8(value), DataType::Int8))
    });
    let in_list = (0usize..2).prop_flat_map(|i| {
        let mut values = domain(i);
        values.push(Value::Null);
        prop::collection::vec(prop::sample::select(values), 0..4).prop_map(move |list| {
            let list = list.into_iter().map(|value| lit(value, TYPES[i].clone())).collect();
            Expr::InList(Box::new(column(i)), list)
        })
    });
    let other = prop_oneof![
        Just(column(2)),
        Just(Expr::Not(Box::new(column(2)))),
        Just(Expr::IsNull(Box::new(column(1)))),
        Just(Expr::Not(Box::new(Expr::IsNull(Box::new(column(1)))))),
        Just(Expr::IsNull(Box::new(Expr::Column(ColumnId(5), DataType::Int8)))),
        Just(lit(Value::Bool(true), DataType::Bool)),
        Just(lit(Value::Null, DataType::Bool)),
    ];
    let leaf = prop_oneof![5 => comparison, 1 => widened, 2 => in_list, 1 => other];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 1..4).prop_map(Expr::And),
            3 => prop::collection::vec(inner.clone(), 1..4).prop_map(Expr::Or),
            1 => inner.prop_map(|e| Expr::Not(Box::new(e))),
        ]
    })
}

fn holds(schema: &TableSchema, conjuncts: &[Expr], key: &[u8]) -> bool {
    let cells = PackedCells::default();
    let row = RowReader { schema, key, cells: Some(&cells), excluded: None };
    conjuncts.iter().all(|conjunct| is_true(conjunct, &row).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn no_row_that_meets_the_conjuncts_is_outside(
        conjuncts in prop::collection::vec(predicate(), 0..4),
        descending in any::<[bool; 4]>(),
    ) {
        let schema = schema(descending, 4);
        let ranges = ranges_of(&schema, &conjuncts);
        prop_assert!(ranges.iter().all(|range| !range.is_empty()));
        let ascend = ranges.is_sorted_by(|a, b| a.end.as_ref().is_some_and(|end| *end <= b.start));
        prop_assert!(ascend, "{ranges:?}");
        for values in all_keys(4) {
            let key = key::encode(&values, &schema.key_shape()).unwrap();
            if holds(&schema, &conjuncts, &key) {
                prop_assert!(ranges.iter().any(|range| range.contains(&key)), "{values:?}");
            }
        }
    }

    #[test]
    fn conjuncts_on_one_column_give_exactly_its_rows(
        bounds in prop::collection::vec((prop::sample::select(vec![
            BinaryOp::Eq, BinaryOp::NotEq, BinaryOp::Lt, BinaryOp::LtEq, BinaryOp::Gt, BinaryOp::GtEq,
        ]), prop::sample::select(domain(0))), 1..4),
        descending in any::<[bool; 4]>(),
    ) {
        let schema = schema(descending, 1);
        let conjuncts: Vec<Expr> = bounds
            .into_iter()
            .map(|(op, value)| compare(op, column(0), lit(value, DataType::Int2)))
            .collect();
        let ranges = ranges_of(&schema, &conjuncts);
        for values in all_keys(1) {
            let key = key::encode(&values, &schema.key_shape()).unwrap();
            let inside = ranges.iter().any(|range| range.contains(&key));
            prop_assert_eq!(inside, holds(&schema, &conjuncts, &key), "{:?}", values);
        }
    }
}

/// The rows of the domain inside the ranges.
fn rows_inside(schema: &TableSchema, ranges: &[KeyRange]) -> usize {
    let inside = |values: &Vec<Value>| {
        let key = key::encode(values, &schema.key_shape()).unwrap();
        ranges.iter().any(|range| range.contains(&key))
    };
    all_keys(schema.key.len()).iter().filter(|values| inside(values)).count()
}

#[test]
fn equality_on_the_whole_key_is_one_key() {
    for descending in [false, true] {
        let schema = schema([descending; 4], 2);
        let ranges = ranges_of(&schema, &[text(BinaryOp::Eq, "a"), int2(BinaryOp::Eq, 1)]);
        let values = [Value::Int2(1), Value::Text("a".to_owned())];
        let key = key::encode(&values, &schema.key_shape()).unwrap();
        assert_eq!(ranges, [key::single_range(key)]);
    }
}

#[test]
fn lists_multiply_out() {
    let schema = schema([false, true, false, false], 3);
    let ones = Expr::InList(
        Box::new(column(0)),
        [1, -1, 1].map(|v| lit(Value::Int2(v), DataType::Int2)).to_vec(),
    );
    let texts = Expr::Or(vec![text(BinaryOp::Eq, "a"), text(BinaryOp::Eq, "b")]);
    let ranges = ranges_of(&schema, &[ones, texts]);
    assert_eq!(ranges.len(), 4);
    assert_eq!(rows_inside(&schema, &ranges), 4 * 2);
}

#[test]
fn a_range_ends_the_prefix() {
    let schema = schema([false; 4], 3);
    let between = [int2(BinaryOp::GtEq, 0), int2(BinaryOp::Lt, i16::MAX), text(BinaryOp::Eq, "a")];
    let ranges = ranges_of(&schema, &between);
    assert_eq!(ranges.len(), 1);
    assert_eq!(rows_inside(&schema, &ranges), 2 * 4 * 2, "the text is not used");
    let within = [int2(BinaryOp::Eq, 0), text(BinaryOp::Gt, "a")];
    assert_eq!(rows_inside(&schema, &ranges_of(&schema, &within)), 2 * 2);
}

/// `(c0, c1) > (0, 'a')` as planners write it out.
#[test]
fn keyset_paging_is_one_range() {
    for descending in [false, true] {
        let schema = schema([descending; 4], 2);
        let after = Expr::Or(vec![
            int2(BinaryOp::Gt, 0),
            Expr::And(vec![int2(BinaryOp::Eq, 0), text(BinaryOp::Gt, "a")]),
        ]);
        let ranges = ranges_of(&schema, std::slice::from_ref(&after));
        assert_eq!(rows_inside(&schema, &ranges), 2 * 4 + 2);
        assert_eq!(ranges.len(), 1, "{ranges:?}");
        let tenant = [after, int2(BinaryOp::LtEq, 0)];
        assert_eq!(rows_inside(&schema, &ranges_of(&schema, &tenant)), 2);
    }
}

#[test]
fn what_can_never_be_true_reads_nothing() {
    let schema = schema([false; 4], 2);
    let null = lit(Value::Null, DataType::Bool);
    assert_eq!(ranges_of(&schema, &[null]), []);
    assert_eq!(rows_inside(&schema, &ranges_of(&schema, &[int2(BinaryOp::Lt, i16::MIN)])), 0);
    assert_eq!(ranges_of(&schema, &[int2(BinaryOp::Eq, 1), int2(BinaryOp::Eq, 2)]), []);
    assert_eq!(ranges_of(&schema, &[Expr::InList(Box::new(column(0)), Vec::new())]), []);
    let hidden = self::schema([false; 4], 0);
    assert_eq!(ranges_of(&hidden, &[lit(Value::Bool(false), DataType::Bool)]), []);
}

#[test]
fn without_a_constraint_on_the_first_column_everything_is_read() {
    let schema = schema([false; 4], 2);
    assert_eq!(ranges_of(&schema, &[]), [KeyRange::all()]);
    assert_eq!(ranges_of(&schema, &[text(BinaryOp::Eq, "a")]), [KeyRange::all()]);
    let hidden = self::schema([false; 4], 0);
    assert_eq!(ranges_of(&hidden, &[int2(BinaryOp::Eq, 1)]), [KeyRange::all()]);
}

#[test]
fn long_lists_are_widened_and_not_multiplied_for_ever() {
    let schema = schema([false; 4], 4);
    let list = |i: usize, values: Vec<Value>| {
        let list = values.into_iter().map(|value| lit(value, TYPES[i].clone())).collect();
        Expr::InList(Box::new(column(i)), list)
    };
    let shorts = list(0, (0..5_000).map(Value::Int2).collect());
    let texts = list(1, (0..5).map(|i| Value::Text(i.to_string())).collect());
    let ranges = ranges_of(&schema, &[shorts, texts]);
    assert_eq!(
        ranges.len(),
        5_000,
        "the second list is one interval under each value of the first"
    );
}
