//! Programs: guards, conditions, actions, constraints, and what a batch's rows see of each other.

use crate::error::TabletError;
use crate::expr::{BinaryOp, Expr, ExprError};
use crate::ids::{ColumnId, CommitTs};
use crate::master::MasterService;
use crate::model::fixture::*;
use crate::program::{
    Action, Atomicity, Guard, OnConflict, Returning, RowError, RowOutcome, RowProgram,
};
use crate::row::Row;
use crate::service::TabletService;
use crate::types::DataType;
use crate::value::Value;

const UPDATED: Result<RowOutcome, RowError> =
    Ok(RowOutcome::Applied { inserted: false, row: None });
const INSERTED: Result<RowOutcome, RowError> =
    Ok(RowOutcome::Applied { inserted: true, row: None });
const UNMATCHED: Result<RowOutcome, RowError> = Ok(RowOutcome::Unmatched);

fn condition(program: RowProgram, condition: Expr) -> RowProgram {
    RowProgram { condition: Some(Box::new(condition)), ..program }
}

fn returning(program: RowProgram) -> RowProgram {
    RowProgram { returning: Returning::Row, ..program }
}

fn upsert(k: i32, n_value: i64, conflict: OnConflict) -> RowProgram {
    let insert = cells(Some(n_value), Some("new"));
    program(k, Guard::Any, Action::Upsert { insert, conflict })
}

#[tokio::test]
async fn insert_update_delete() {
    let t = Fixture::new().await;
    assert_eq!(t.all(vec![insert(1, 10, "a")]).await.results, [INSERTED]);
    assert_eq!(t.all(vec![add(1, 5)]).await.results, [UPDATED]);
    assert_eq!(t.n_of(1).await, Some(Value::Int8(15)));
    assert_eq!(t.all(vec![add(2, 5), delete(2)]).await.results, [UNMATCHED, UNMATCHED]);
    assert_eq!(t.all(vec![delete(1)]).await.results, [UPDATED]);
    assert_eq!(t.get(1).await, None);
}

#[tokio::test]
async fn insert_of_an_existing_key_fails_and_writes_nothing_of_its_batch() {
    let t = Fixture::new().await;
    t.all(vec![insert(1, 10, "a")]).await;
    let answer = t.all(vec![insert(2, 20, "b"), insert(1, 11, "c"), insert(3, 1, "d")]).await;
    assert_eq!(answer.commit_ts, CommitTs::ABSENT);
    assert_eq!(answer.results, [INSERTED, Err(RowError::AlreadyExists), INSERTED]);
    assert_eq!(t.scan(scan_all(None)).await.unwrap(), [(1, Value::Int8(10))]);
    let answer = t.each(vec![insert(2, 20, "b"), insert(1, 11, "c")]).await;
    assert_eq!(answer.results, [INSERTED, Err(RowError::AlreadyExists)]);
    assert_eq!(t.n_of(2).await, Some(Value::Int8(20)));
}

/// Rule 6's test: DELETE + INSERT of a key in one COMMIT.
#[tokio::test]
async fn delete_and_insert_of_one_key_in_one_commit_leaves_the_new_row() {
    let t = Fixture::new().await;
    t.all(vec![insert(1, 10, "a")]).await;
    let note = vec![(NOTE, text("kept?"))];
    t.all(vec![program(1, Guard::Any, Action::Update { assignments: note })]).await;
    let answer = t.all(vec![delete(1), insert(1, 77, "b"), add(1, 1)]).await;
    assert_eq!(answer.results, [UPDATED, INSERTED, UPDATED]);
    let row = t.get(1).await.unwrap();
    assert_eq!(row.version, answer.commit_ts);
    assert_eq!(row.cells, cells(Some(78), Some("b")), "nothing of the old row is left");
}

#[tokio::test]
async fn a_row_inserted_and_deleted_in_one_commit_is_absent() {
    let t = Fixture::new().await;
    let answer = t.all(vec![insert(4, 1, "a"), delete(4)]).await;
    assert_eq!(answer.results, [INSERTED, UPDATED]);
    assert_eq!(t.get(4).await, None);
    let answer = t.all(vec![insert(4, 1, "a"), insert(4, 2, "b")]).await;
    assert_eq!(answer.results, [INSERTED, Err(RowError::AlreadyExists)]);
    assert_eq!(t.get(4).await, None, "INSERT VALUES (4),(4) leaves none");
}

#[tokio::test]
async fn version_guards_compare_with_what_was_committed_before_the_batch() {
    let t = Fixture::new().await;
    let first = t.all(vec![insert(1, 10, "a")]).await.commit_ts;
    let guarded = |version| RowProgram { guard: Guard::Version(version), ..add(1, 1) };
    let answer = t.all(vec![guarded(first), guarded(first)]).await;
    assert_eq!(answer.results, [UPDATED, UPDATED]);
    let second = answer.commit_ts;
    let stale = t.all(vec![guarded(first)]).await;
    assert_eq!(stale.results, [Err(RowError::VersionChanged { current: second })]);
    let absent = RowProgram { guard: Guard::Version(CommitTs::ABSENT), ..insert(9, 1, "x") };
    assert_eq!(t.all(vec![absent.clone()]).await.results, [INSERTED]);
    assert!(matches!(t.all(vec![absent]).await.results[0], Err(RowError::VersionChanged { .. })));
    assert_eq!(t.n_of(1).await, Some(Value::Int8(12)));
}

#[tokio::test]
async fn conditions_that_are_false_or_null_leave_the_row_alone() {
    let t = Fixture::new().await;
    t.all(vec![insert(1, 10, "a")]).await;
    let more_than = |limit: Expr| binary(BinaryOp::Gt, n(), limit, DataType::Bool);
    let null = Expr::Literal(Value::Null, DataType::Int8);
    let answer = t
        .all(vec![
            condition(add(1, 1), more_than(int8(10))),
            condition(add(1, 1), more_than(null)),
            condition(add(1, 1), more_than(int8(9))),
            condition(delete(1), more_than(int8(11))),
        ])
        .await;
    assert_eq!(answer.results, [UNMATCHED, UNMATCHED, UPDATED, UNMATCHED]);
    assert_eq!(t.n_of(1).await, Some(Value::Int8(11)));
}

#[tokio::test]
async fn on_conflict() {
    let t = Fixture::new().await;
    let excluded = Expr::Excluded(N, DataType::Int8);
    let sum = binary(BinaryOp::Add, n(), excluded, DataType::Int8);
    let add_up = OnConflict::DoUpdate { assignments: vec![(N, sum)] };
    assert_eq!(t.all(vec![upsert(1, 5, add_up.clone())]).await.results, [INSERTED]);
    assert_eq!(t.all(vec![upsert(1, 6, add_up.clone())]).await.results, [UPDATED]);
    assert_eq!(t.n_of(1).await, Some(Value::Int8(11)));
    let nothing = upsert(1, 7, OnConflict::DoNothing);
    assert_eq!(t.all(vec![nothing]).await.results, [UNMATCHED]);
    let never = Expr::Literal(Value::Bool(false), DataType::Bool);
    let answer = t.all(vec![condition(upsert(1, 7, add_up.clone()), never.clone())]).await;
    assert_eq!(answer.results, [UNMATCHED]);
    let answer = t.all(vec![condition(upsert(2, 7, add_up), never)]).await;
    assert_eq!(answer.results, [INSERTED], "the condition is not asked of an absent row");
}

#[tokio::test]
async fn constraints_see_the_merged_row() {
    let t = Fixture::new().await;
    t.all(vec![insert(1, 10, "a")]).await;
    let answer = t.each(vec![add(1, -10), add(1, -1)]).await;
    assert_eq!(answer.results, [UPDATED, Err(RowError::Check("n_positive".to_owned()))]);
    assert_eq!(t.n_of(1).await, Some(Value::Int8(0)));
    let no_name = program(2, Guard::Absent, Action::Put { cells: cells(Some(1), None) });
    let null = vec![(NAME, Expr::Literal(Value::Null, DataType::Text))];
    let to_null = program(1, Guard::Any, Action::Update { assignments: null });
    let answer = t.each(vec![no_name, to_null]).await;
    assert_eq!(answer.results, [Err(RowError::NotNull(NAME)), Err(RowError::NotNull(NAME))]);
    let unknown = program(3, Guard::Absent, Action::Put { cells: cells(None, Some("a")) });
    assert_eq!(t.all(vec![unknown]).await.results, [INSERTED], "a NULL check passes");
}

#[tokio::test]
async fn returning_gives_the_row_with_its_version() {
    let t = Fixture::new().await;
    let row = |answer: &Result<RowOutcome, RowError>| match answer {
        Ok(RowOutcome::Applied { row: Some(row), .. }) => row.clone(),
        other => panic!("{other:?}"),
    };
    let first = t.all(vec![returning(insert(1, 10, "a"))]).await;
    let inserted =
        Row { version: first.commit_ts, cells: cells(Some(10), Some("a")), ..Row::default() };
    assert_eq!(row(&first.results[0]), inserted);
    let second = t.all(vec![returning(add(1, 1))]).await;
    let updated =
        Row { version: second.commit_ts, cells: cells(Some(11), Some("a")), ..Row::default() };
    assert_eq!(row(&second.results[0]), updated);
    let check = t.all(vec![returning(program(1, Guard::Any, Action::Check))]).await;
    assert_eq!(check.commit_ts, CommitTs::ABSENT);
    assert_eq!(row(&check.results[0]), updated);
    let third = t.all(vec![returning(delete(1))]).await;
    assert_eq!(row(&third.results[0]), updated, "DELETE returns what was there");
}

#[tokio::test]
async fn failing_expressions_fail_their_row() {
    let t = Fixture::new().await;
    t.all(vec![insert(1, i64::MAX, "a")]).await;
    let answer = t.all(vec![add(1, 1)]).await;
    let out_of_range = RowError::Expr(ExprError::OutOfRange("bigint".to_owned()));
    assert_eq!(answer.results, [Err(out_of_range)]);
}

#[tokio::test]
async fn ill_typed_programs_are_refused() {
    let t = Fixture::new().await;
    t.all(vec![insert(1, 1, "a")]).await;
    let assign = |id, value| Action::Update { assignments: vec![(id, value)] };
    let answer = t
        .each(vec![
            program(1, Guard::Any, assign(K, Expr::Literal(Value::Int4(2), DataType::Int4))),
            program(1, Guard::Any, assign(ColumnId(99), int8(1))),
            program(1, Guard::Any, assign(NAME, int8(1))),
        ])
        .await;
    for result in answer.results {
        assert!(matches!(result, Err(RowError::Expr(ExprError::IllTyped(_)))), "{result:?}");
    }
}

#[tokio::test]
async fn a_repeated_request_is_answered_and_not_repeated() {
    let t = Fixture::new().await;
    t.all(vec![insert(1, 1, "a")]).await;
    let once = request(Atomicity::AllOrNone, vec![returning(add(1, 1))]);
    let first = t.tablets.modify_rows(once.clone()).await.unwrap();
    t.all(vec![add(1, 10)]).await;
    assert_eq!(t.tablets.modify_rows(once).await.unwrap(), first);
    assert_eq!(t.n_of(1).await, Some(Value::Int8(12)));
}

#[tokio::test]
async fn schema_versions() {
    let t = Fixture::new().await;
    t.all(vec![insert(1, 1, "a")]).await;
    let mut newer = schema();
    newer.version = 2;
    newer.columns[3].not_null = true;
    t.model.master().alter_table(newer.clone()).await.unwrap();
    let old_plan = t.all(vec![insert(2, 1, "a")]).await;
    assert_eq!(old_plan.results, [Err(RowError::NotNull(NOTE))], "today's constraints count");
    newer.version = 3;
    t.model.master().alter_table(newer).await.unwrap();
    let stale = t.tablets.modify_rows(request(Atomicity::EachRow, vec![add(1, 1)])).await;
    assert!(matches!(stale, Err(TabletError::SchemaChanged { asked: 1, current: 3, .. })));
}

#[tokio::test]
async fn a_schemas_version_may_come_again_with_another_content() {
    let t = Fixture::new().await;
    let mut again = schema();
    again.columns[3].not_null = true;
    t.model.master().alter_table(again.clone()).await.unwrap();
    let answer = t.all(vec![insert(1, 1, "a")]).await;
    assert_eq!(answer.results, [Err(RowError::NotNull(NOTE))]);
    again.version = 0;
    let late = t.model.master().alter_table(again).await;
    assert!(matches!(late, Err(TabletError::SchemaChanged { asked: 0, current: 1, .. })));
}

#[tokio::test]
async fn a_program_that_must_match_fails_its_batch_where_it_does_not() {
    let t = Fixture::new().await;
    t.all(vec![insert(1, 10, "a")]).await;
    let must = |program: RowProgram| RowProgram { guard: Guard::Matched, ..program };
    let answer = t.all(vec![add(1, 1), must(add(2, 1))]).await;
    assert_eq!(answer.results, [UPDATED, Err(RowError::NotMatched)]);
    let never = Expr::Literal(Value::Bool(false), DataType::Bool);
    let answer = t.all(vec![add(1, 1), must(condition(delete(1), never))]).await;
    assert_eq!(answer.results, [UPDATED, Err(RowError::NotMatched)]);
    assert_eq!(t.n_of(1).await, Some(Value::Int8(10)), "nothing of either batch was applied");
    assert_eq!(t.all(vec![must(add(1, 1))]).await.results, [UPDATED]);
}
