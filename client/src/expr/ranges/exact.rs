//! Conditions that say no more and no less than which key ranges.

use super::ranges_of;
use crate::expr::{BinaryOp, Expr, NoRow, evaluate};
use crate::read::KeyRange;
use crate::schema::TableSchema;
use crate::types::DataType;
use crate::value::Value;

/// The ranges that hold the rows for which every conjunct is true, and no others: disjoint, ascending. `None` where that
/// cannot be told: a conjunct that is no comparison of a key column with a constant, or key columns that leave gaps
/// in key order.
pub fn exact_ranges_of(schema: &TableSchema, conjuncts: &[Expr]) -> Option<Vec<KeyRange>> {
    let mut flat = Vec::new();
    flatten(conjuncts, &mut flat);
    if flat.is_empty() {
        return Some(vec![KeyRange::all()]);
    }
    // Of each key column: constrained at all, to one value.
    let mut known = vec![(false, false); schema.key.len()];
    let mut comparisons = Vec::with_capacity(flat.len());
    for conjunct in flat {
        let (position, op, comparison) = comparison(schema, conjunct)?;
        known[position].0 = true;
        known[position].1 |= op == BinaryOp::Eq;
        comparisons.push(comparison);
    }
    let last = known.iter().rposition(|(is_constrained, _)| *is_constrained)?;
    let leading_are_points = known[..last].iter().all(|(_, is_point)| *is_point);
    leading_are_points.then(|| ranges_of(schema, &comparisons))
}

fn flatten<'e>(conjuncts: &'e [Expr], flat: &mut Vec<&'e Expr>) {
    for conjunct in conjuncts {
        match conjunct {
            Expr::And(all) => flatten(all, flat),
            // What a frontend makes of no condition at all.
            Expr::Literal(Value::Bool(true), _) => {}
            other => flat.push(other),
        }
    }
}

/// A comparison of a key column with a constant, in this order: the column's place in the key, the operator, and the
/// whole.
fn comparison(schema: &TableSchema, conjunct: &Expr) -> Option<(usize, BinaryOp, Expr)> {
    let Expr::Binary { op, left, right, .. } = conjunct else { return None };
    let (column, op, constant) = match (&**left, &**right) {
        (Expr::Column(id, data_type), constant) => ((*id, data_type), *op, constant),
        (constant, Expr::Column(id, data_type)) => ((*id, data_type), op.mirrored(), constant),
        _ => return None,
    };
    let (id, data_type) = column;
    let position = schema.key_position(id)?;
    let is_range =
        matches!(op, BinaryOp::Eq | BinaryOp::Lt | BinaryOp::LtEq | BinaryOp::Gt | BinaryOp::GtEq);
    let is_same = schema.column(id)?.data_type == *data_type && constant.data_type() == data_type;
    if !is_range || !is_same || !has_exact_keys(data_type) {
        return None;
    }
    let value = evaluate(constant, &NoRow).ok().filter(|value| !value.is_null())?;
    let comparison = Expr::Binary {
        op,
        left: Box::new(Expr::Column(id, data_type.clone())),
        right: Box::new(Expr::Literal(value, data_type.clone())),
        result: DataType::Bool,
    };
    Some((position, op, comparison))
}

/// Types whose keys are compared as their values are, bit for bit.
fn has_exact_keys(data_type: &DataType) -> bool {
    use DataType::*;
    matches!(
        data_type,
        Bool | Int2
            | Int4
            | Int8
            | Text
            | Varchar(_)
            | Bytea
            | Date
            | Time
            | Timestamp
            | TimestampTz
            | Uuid
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::{ExprError, RowView, is_true};
    use crate::ids::ColumnId;
    use crate::key;
    use crate::schema::{Column, KeyColumn, LocalityGroup};
    use proptest::prelude::*;

    /// (a int4, b text DESC, c int8), all of the key.
    fn schema() -> TableSchema {
        let column = |id, data_type| Column {
            id: ColumnId(id),
            name: format!("c{id}"),
            data_type,
            not_null: true,
            group: Default::default(),
            missing: Value::Null,
            gc: Default::default(),
        };
        let key = |id, descending| KeyColumn { column: ColumnId(id), descending };
        TableSchema {
            storage: crate::ids::StorageId::FIRST_USER,
            version: 1,
            name: "t".to_owned(),
            columns: vec![
                column(1, DataType::Int4),
                column(2, DataType::Text),
                column(3, DataType::Int8),
            ],
            key: vec![key(1, false), key(2, true), key(3, false)],
            groups: vec![LocalityGroup::default_group()],
            checks: Vec::new(),
            history_micros: 0,
            tablet_bytes_max: None,
            purge_within_micros: None,
            dropped: Vec::new(),
            is_settled: true,
        }
    }

    fn value(column: u32, draw: u8) -> (Value, DataType) {
        match column {
            1 => (Value::Int4(i32::from(draw) - 2), DataType::Int4),
            2 => (
                Value::Text(["", "a", "a\0", "ab", "b"][usize::from(draw)].to_owned()),
                DataType::Text,
            ),
            _ => (Value::Int8(i64::from(draw) * 1000), DataType::Int8),
        }
    }

    fn a_comparison() -> impl Strategy<Value = Expr> {
        let op = prop::sample::select(vec![
            BinaryOp::Eq,
            BinaryOp::Eq,
            BinaryOp::Lt,
            BinaryOp::LtEq,
            BinaryOp::Gt,
            BinaryOp::GtEq,
            BinaryOp::NotEq,
        ]);
        (1u32..4, op, 0u8..5, any::<bool>()).prop_map(|(column, op, draw, is_turned)| {
            let (value, data_type) = value(column, draw);
            let mut left = Box::new(Expr::Column(ColumnId(column), data_type.clone()));
            let mut right = Box::new(Expr::Literal(value, data_type));
            if is_turned {
                std::mem::swap(&mut left, &mut right);
            }
            Expr::Binary { op, left, right, result: DataType::Bool }
        })
    }

    struct Row(Vec<Value>);

    impl RowView for Row {
        fn column(&self, id: ColumnId) -> Result<Value, ExprError> {
            Ok(self.0[id.0 as usize - 1].clone())
        }
    }

    proptest! {
        /// A row is in the ranges exactly where all comparisons are true of it.
        #[test]
        fn ranges_hold_these_rows_and_no_others(
            conjuncts in prop::collection::vec(a_comparison(), 0..4),
            draws in prop::collection::vec((0u8..5, 0u8..5, 0u8..5), 20),
        ) {
            let schema = schema();
            let Some(ranges) = exact_ranges_of(&schema, &conjuncts) else { return Ok(()) };
            for (a, b, c) in draws {
                let row = Row(vec![value(1, a).0, value(2, b).0, value(3, c).0]);
                let key = key::encode(&row.0, &schema.key_shape()).unwrap();
                let is_in = ranges.iter().any(|range| range.contains(&key));
                let all = conjuncts.iter().all(|conjunct| is_true(conjunct, &row).unwrap());
                prop_assert_eq!(is_in, all, "{:?} {:?} {:?}", row.0, conjuncts, ranges);
            }
        }
    }

    #[test]
    fn a_range_of_a_leading_column_is_exact_and_one_behind_a_gap_is_not() {
        let over = |column, draw| {
            let (value, data_type) = value(column, draw);
            Expr::Binary {
                op: BinaryOp::Gt,
                left: Box::new(Expr::Column(ColumnId(column), data_type.clone())),
                right: Box::new(Expr::Literal(value, data_type)),
                result: DataType::Bool,
            }
        };
        assert!(exact_ranges_of(&schema(), &[over(1, 3)]).is_some());
        assert!(exact_ranges_of(&schema(), &[]).is_some());
        assert!(exact_ranges_of(&schema(), &[over(2, 3)]).is_none());
        assert!(exact_ranges_of(&schema(), &[over(1, 3), over(2, 3)]).is_none());
    }
}
