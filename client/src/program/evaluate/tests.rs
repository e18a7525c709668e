//! What of a program's evaluation the model's tests do not see: the pure result.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::model::fixture::*;
use crate::types::DataType;

fn run(program: &RowProgram, current: Current<'_>) -> Result<Evaluated, RowError> {
    evaluate(program, &schema(), &schema(), current)
}

fn row(version: i64) -> Row {
    Row { version: CommitTs(version), cells: cells(Some(1), Some("a")), ..Row::default() }
}

#[test]
fn an_insert_is_a_whole_row_and_an_update_only_its_columns() {
    let inserted = run(&insert(1, 1, "a"), Current::committed(None)).unwrap();
    let mutation = inserted.mutation.unwrap().row;
    assert_eq!(mutation.flags, ROW_MARKER | ROW_COMPLETE);
    assert_eq!(mutation.cells, cells(Some(1), Some("a")));
    let found = row(5);
    let updated = run(&add(1, 1), Current::committed(Some(&found))).unwrap();
    let mutation = updated.mutation.unwrap().row;
    assert_eq!((mutation.flags, mutation.cells.iter().count()), (0, 1));
    assert_eq!(updated.after.unwrap().cells, cells(Some(2), Some("a")));
    let deleted = run(&delete(1), Current::committed(Some(&found))).unwrap();
    assert_eq!(deleted.mutation.unwrap().row.flags, ROW_DELETE);
    assert_eq!(deleted.after, None);
}

#[test]
fn answers_take_the_version_of_their_commit() {
    let found = row(5);
    let current = Current::committed(Some(&found));
    let version = |program: &RowProgram| {
        let returning = RowProgram { returning: Returning::Row, ..program.clone() };
        match run(&returning, current).unwrap().committed_at(CommitTs(9)) {
            RowOutcome::Applied { row: Some(row), .. } => row.version,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(version(&add(1, 1)), CommitTs(9));
    assert_eq!(version(&delete(1)), CommitTs(5), "what was deleted keeps its version");
    assert_eq!(version(&program(1, Guard::Any, Action::Check)), CommitTs(5));
}

#[test]
fn key_columns_can_be_read_and_not_written() {
    let found = row(5);
    let current = Current::committed(Some(&found));
    let key_is = |k: i32| {
        let wide = Expr::Cast(Box::new(Expr::Column(K, DataType::Int4)), DataType::Int8);
        let equal = binary(crate::expr::BinaryOp::Eq, wide, int8(i64::from(k)), DataType::Bool);
        RowProgram { condition: Some(Box::new(equal)), ..program(3, Guard::Any, Action::Check) }
    };
    assert!(matches!(run(&key_is(3), current).unwrap().outcome, RowOutcome::Applied { .. }));
    assert_eq!(run(&key_is(4), current).unwrap().outcome, RowOutcome::Unmatched);
    let malformed = RowProgram { key: bytes::Bytes::from_static(b"x"), ..key_is(3) };
    assert!(matches!(run(&malformed, current), Err(RowError::Expr(ExprError::IllTyped(_)))));
}

#[test]
fn cells_of_other_widths_are_refused_but_for_integers() {
    let put = |bytes: &[u8], id| {
        let mut cells = CellsBuilder::default();
        cells.push(id, Some(bytes));
        if id < NAME {
            cells.push(NAME, Some(b"a"));
        }
        program(1, Guard::Any, Action::Put { cells: cells.finish() })
    };
    assert!(run(&put(&[1, 0, 0, 0], N), Current::committed(None)).is_ok(), "narrow integers");
    let odd = run(&put(&[1, 0, 0], N), Current::committed(None));
    assert!(matches!(odd, Err(RowError::Expr(ExprError::IllTyped(_)))));
    let key = run(&put(&[1, 0, 0, 0], K), Current::committed(None));
    assert!(matches!(key, Err(RowError::Expr(ExprError::IllTyped(_)))));
}

#[test]
fn the_newest_schema_says_what_a_row_must_meet() {
    let mut newest = schema();
    newest.checks.clear();
    newest.columns[3].not_null = true;
    let program = insert(1, -1, "a");
    let old = evaluate(&program, &schema(), &schema(), Current::committed(None));
    assert!(matches!(old, Err(RowError::Check(_))));
    let new = evaluate(&program, &schema(), &newest, Current::committed(None));
    assert_eq!(new, Err(RowError::NotNull(NOTE)));
}
