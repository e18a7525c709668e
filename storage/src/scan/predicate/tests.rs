//! What is selected here is what the row-by-row evaluator calls true.

use super::*;
use arrow::datatypes::i256;
use proptest::prelude::*;
use std::collections::HashMap;
use terrane_client::columns::value_at;
use terrane_client::expr::{ExprError, RowView, is_true};
use terrane_client::ids::{LocalityGroupId, StorageId};
use terrane_client::numeric::Numeric;
use terrane_client::schema::{Column, LocalityGroup};

fn types() -> Vec<DataType> {
    vec![
        DataType::Bool,
        DataType::Int2,
        DataType::Int8,
        DataType::Float4,
        DataType::Float8,
        DataType::Numeric(Some((6, 2))),
        DataType::Numeric(None),
        DataType::Text,
        DataType::Char(3),
        DataType::Bytea,
        DataType::TimestampTz,
        DataType::Date,
        DataType::Uuid,
        DataType::Json,
    ]
}

fn schema() -> TableSchema {
    let columns = types().into_iter().enumerate().map(|(i, data_type)| Column {
        id: ColumnId(i as u32 + 1),
        name: format!("c{i}"),
        data_type,
        not_null: false,
        group: LocalityGroupId::default(),
        missing: Value::Null,
        gc: Default::default(),
    });
    TableSchema {
        storage: StorageId(1000),
        version: 1,
        name: "t".to_owned(),
        columns: columns.collect(),
        key: Vec::new(),
        groups: vec![LocalityGroup::default_group()],
        checks: Vec::new(),
        history_micros: 0,
        is_settled: true,
        tablet_bytes_max: None,
        purge_within_micros: None,
        dropped: Vec::new(),
    }
}

/// One of a few values, so that comparisons meet equal ones.
fn value(data_type: &DataType, draw: u8) -> Value {
    let n = i64::from(draw % 7) - 3;
    let floats = [0.0, -0.0, 1.5, -1.5, f64::NAN, -f64::NAN, f64::INFINITY];
    let texts = ["", "a", "ab", "b", "a\u{1}", "ä", "Z"];
    match (draw, data_type) {
        (200.., _) => Value::Null,
        (_, DataType::Bool) => Value::Bool(n > 0),
        (_, DataType::Int2) => Value::Int2(n as i16),
        (_, DataType::Int8) => Value::Int8(n << 40),
        (_, DataType::Float4) => Value::Float4(floats[usize::from(draw % 7)] as f32),
        (_, DataType::Float8) => Value::Float8(floats[usize::from(draw % 7)]),
        (_, DataType::Numeric(m)) => {
            let scale = DataType::numeric_shape(*m).1;
            let unit = i256::from_i128(10).wrapping_pow(scale as u32 - 1);
            let unscaled = i256::from_i128(i128::from(n)).wrapping_mul(unit);
            Value::Numeric(Numeric::new(unscaled, scale).unwrap())
        }
        (_, DataType::Bytea) => Value::Bytea(texts[usize::from(draw % 7)].into()),
        (_, DataType::TimestampTz) => Value::TimestampTz(n),
        (_, DataType::Date) => Value::Date(n as i32),
        (_, DataType::Uuid) => Value::Uuid([draw % 7; 16]),
        _ => Value::Text(texts[usize::from(draw % 7)].to_owned()),
    }
}

struct Table {
    arrays: HashMap<ColumnId, ArrayRef>,
    rows: Vec<Vec<Value>>,
}

impl Columns for Table {
    fn column(&self, id: ColumnId) -> Result<&ArrayRef, ArrowError> {
        Ok(&self.arrays[&id])
    }
}

struct OneRow<'a>(&'a [Value]);

impl RowView for OneRow<'_> {
    fn column(&self, id: ColumnId) -> Result<Value, ExprError> {
        Ok(self.0[id.0 as usize - 1].clone())
    }
}

fn table(draws: &[Vec<u8>]) -> Table {
    let types = types();
    let rows: Vec<Vec<Value>> = draws
        .iter()
        .map(|row| types.iter().zip(row).map(|(t, draw)| value(t, *draw)).collect())
        .collect();
    let mut arrays = HashMap::new();
    for (i, data_type) in types.iter().enumerate() {
        let mut builder = ColumnBuilder::new(data_type, rows.len());
        rows.iter().for_each(|row| builder.append_value(&row[i]).unwrap());
        arrays.insert(ColumnId(i as u32 + 1), builder.finish());
    }
    // Read back, because char(n) loses blanks and floats keep their bits.
    let read = |row: usize| {
        types.iter().enumerate().map(move |(i, t)| (ColumnId(i as u32 + 1), row, t.clone()))
    };
    let rows = (0..rows.len())
        .map(|row| read(row).map(|(id, row, t)| value_at(&arrays[&id], row, &t).unwrap()).collect())
        .collect();
    Table { arrays, rows }
}

fn column(index: usize) -> Expr {
    Expr::Column(ColumnId(index as u32 + 1), types()[index].clone())
}

fn literal(index: usize, draw: u8) -> Expr {
    Expr::Literal(value(&types()[index], draw), types()[index].clone())
}

const OPS: [BinaryOp; 8] = [
    BinaryOp::Eq,
    BinaryOp::NotEq,
    BinaryOp::Lt,
    BinaryOp::LtEq,
    BinaryOp::Gt,
    BinaryOp::GtEq,
    BinaryOp::DistinctFrom,
    BinaryOp::NotDistinctFrom,
];

fn compare_expr(op: BinaryOp, left: Expr, right: Expr) -> Expr {
    Expr::Binary { op, left: Box::new(left), right: Box::new(right), result: DataType::Bool }
}

/// Conditions over comparable columns: all of them can be evaluated here.
fn condition() -> impl Strategy<Value = Expr> {
    let comparable = 0..types().len() - 1;
    let leaf = prop_oneof![
        (comparable.clone(), 0..8usize, any::<u8>(), any::<bool>()).prop_map(
            |(c, op, draw, swap)| {
                match swap {
                    false => compare_expr(OPS[op], column(c), literal(c, draw)),
                    true => compare_expr(OPS[op], literal(c, draw), column(c)),
                }
            }
        ),
        (comparable, proptest::collection::vec(any::<u8>(), 1..4)).prop_map(|(c, draws)| {
            let list = draws.into_iter().map(|draw| literal(c, draw)).collect();
            Expr::InList(Box::new(column(c)), list)
        }),
        (0..types().len()).prop_map(|c| Expr::IsNull(Box::new(column(c)))),
        Just(column(0)),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..4).prop_map(Expr::And),
            proptest::collection::vec(inner.clone(), 1..4).prop_map(Expr::Or),
            inner.prop_map(|e| Expr::Not(Box::new(e))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn selects_what_the_row_evaluator_calls_true(
        rows in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), types().len()), 1..20),
        conjuncts in proptest::collection::vec(condition(), 1..4),
    ) {
        let table = table(&rows);
        let predicate = Predicate::compile(&conjuncts, &schema());
        prop_assert_eq!(predicate.conjuncts().is_empty(), false);
        let selected = predicate.select(&table).unwrap();
        for (i, row) in table.rows.iter().enumerate() {
            let expected = conjuncts.iter().all(|e| is_true(e, &OneRow(row)).unwrap());
            let is_selected = selected.as_ref().is_none_or(|selected| selected.value(i));
            prop_assert_eq!(is_selected, expected, "row {:?} of {:?}", row, &conjuncts);
        }
        prop_assert!(selected.is_none_or(|selected| selected.null_count() == 0));
    }
}

#[test]
fn what_is_not_understood_is_left_to_the_frontend() {
    let schema = schema();
    let none = |e: Expr| assert!(Predicate::compile(&[e], &schema).is_empty());
    let json = types().len() - 1;
    none(compare_expr(BinaryOp::Eq, column(json), literal(json, 1)));
    none(compare_expr(BinaryOp::Eq, column(1), column(1)));
    none(compare_expr(BinaryOp::Eq, column(1), literal(2, 1)));
    none(compare_expr(
        BinaryOp::Eq,
        column(8),
        Expr::Literal(value(&DataType::Text, 1), DataType::Text),
    ));
    // A hundredth is as fine as column 6 is; a thousandth equals none of its values.
    let fine = Value::Numeric(Numeric::new(i256::from_i128(1005), 3).unwrap());
    none(compare_expr(BinaryOp::Eq, column(5), Expr::Literal(fine, DataType::Numeric(None))));
    none(Expr::InList(Box::new(column(1)), vec![literal(1, 1); IN_LIST_MAX + 1]));
    none(Expr::Or(vec![Expr::IsNull(Box::new(column(1))), column(1)]));
    none(Expr::Column(ColumnId(99), DataType::Bool));
    // Of a conjunction the rest is kept.
    let parts = vec![column(0), compare_expr(BinaryOp::Eq, column(1), column(1))];
    let kept = Predicate::compile(&[Expr::And(parts)], &schema);
    assert_eq!(kept.columns(), [ColumnId(1)]);
}
