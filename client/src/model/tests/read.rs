//! Reads: scans in both directions, limits, predicates, old timestamps, missing values.

use crate::error::TabletError;
use crate::expr::BinaryOp;
use crate::ids::{ColumnId, CommitTs, LocalityGroupId};
use crate::key;
use crate::master::MasterService;
use crate::model::fixture::*;
use crate::read::{GetRequest, KeyRange, Projected, ScanRequest};
use crate::schema::Column;
use crate::service::TabletService;
use crate::types::DataType;
use crate::value::Value;
use futures::StreamExt;

async fn ten_rows() -> Fixture {
    let t = Fixture::new().await;
    t.all((0..10).map(|k| insert(k, i64::from(k) * 10, "a")).collect()).await;
    t
}

fn keys(rows: &[(i32, Value)]) -> Vec<i32> {
    rows.iter().map(|(k, _)| *k).collect()
}

#[tokio::test]
async fn scans_are_in_key_order_and_cut_by_range_and_limit() {
    let t = ten_rows().await;
    let range = |from, to| KeyRange { start: row_key(from), end: Some(row_key(to)) };
    let ranges = vec![range(1, 3), key::single_range(row_key(5)), range(7, 20)];
    let request = ScanRequest { ranges, ..scan_all(None) };
    let rows = t.scan(request.clone()).await.unwrap();
    assert_eq!(keys(&rows), [1, 2, 5, 7, 8, 9]);
    let reversed = ScanRequest { reverse: true, limit: Some(4), ..request.clone() };
    assert_eq!(keys(&t.scan(reversed).await.unwrap()), [9, 8, 7, 5]);
    let limited = ScanRequest { limit: Some(0), ..request.clone() };
    assert_eq!(t.scan(limited).await.unwrap(), []);
    let nothing = ScanRequest { ranges: Vec::new(), ..request };
    assert_eq!(t.scan(nothing).await.unwrap(), []);
}

#[tokio::test]
async fn predicates_leave_rows_out() {
    let t = ten_rows().await;
    let over_65 = binary(BinaryOp::Gt, n(), int8(65), DataType::Bool);
    let request = ScanRequest { predicates: vec![over_65], ..scan_all(None) };
    assert_eq!(keys(&t.scan(request).await.unwrap()), [7, 8, 9]);
    let failing = binary(BinaryOp::Divide, n(), int8(0), DataType::Int8);
    let failing = binary(BinaryOp::Eq, failing, int8(0), DataType::Bool);
    let request = ScanRequest { predicates: vec![failing], ..scan_all(None) };
    assert!(matches!(t.scan(request).await, Err(TabletError::Row(_))));
}

#[tokio::test]
async fn a_read_sees_the_rows_of_its_timestamp() {
    let t = ten_rows().await;
    let before = t.tablets.read_timestamp().await.unwrap();
    t.all(vec![add(1, 1), delete(2), insert(20, 1, "b")]).await;
    let then = t.scan(scan_all(Some(before))).await.unwrap();
    assert_eq!(then[1], (1, Value::Int8(10)));
    assert_eq!(keys(&then), Vec::from_iter(0..10));
    let now = t.scan(scan_all(None)).await.unwrap();
    assert_eq!(now[1], (1, Value::Int8(11)));
    assert_eq!(keys(&now), [0, 1, 3, 4, 5, 6, 7, 8, 9, 20]);
}

#[tokio::test]
async fn history_ends_unless_it_is_pinned() {
    let t = ten_rows().await;
    let before = t.tablets.read_timestamp().await.unwrap();
    let mut short = schema();
    short.version = 2;
    short.history_micros = 0;
    t.model.master().alter_table(short).await.unwrap();
    let pin = t.tablets.pin_timestamp(before).await.unwrap();
    t.all(vec![delete(2)]).await;
    assert_eq!(t.scan(scan_all(Some(before))).await.unwrap().len(), 10);
    drop(pin);
    let gone = t.scan(scan_all(Some(before))).await;
    assert!(matches!(gone, Err(TabletError::HistoryGone { .. })), "{gone:?}");
    let future = t.scan(scan_all(Some(CommitTs::MAX))).await;
    assert!(matches!(future, Err(TabletError::Unavailable(_))));
}

#[tokio::test]
async fn columns_never_written_read_as_their_missing_value() {
    let t = ten_rows().await;
    let mut wider = schema();
    wider.version = 2;
    let added = ColumnId(5);
    wider.columns.push(Column {
        id: added,
        name: "added".to_owned(),
        data_type: DataType::Text,
        not_null: true,
        group: LocalityGroupId::default(),
        missing: Value::Text("default".to_owned()),
        gc: Default::default(),
    });
    t.model.master().alter_table(wider).await.unwrap();
    assert_eq!(t.all(vec![add(1, 1)]).await.results.len(), 1);
    let request = ScanRequest {
        schema_version: 2,
        projection: vec![Projected::Column(added), Projected::Key, Projected::Version],
        limit: Some(1),
        ..scan_all(None)
    };
    let mut response = t.tablets.read(request).await.unwrap();
    let batch = response.batches.next().await.unwrap().unwrap();
    let value = crate::columns::value_at(batch.column(0), 0, &DataType::Text).unwrap();
    assert_eq!(value, Value::Text("default".to_owned()));
    let key = crate::columns::value_at(batch.column(1), 0, &DataType::Bytea).unwrap();
    assert_eq!(key, Value::Bytea(row_key(0)));
}

#[tokio::test]
async fn batches_without_columns_count_rows() {
    let t = ten_rows().await;
    let request = ScanRequest { projection: Vec::new(), ..scan_all(None) };
    let response = t.tablets.read(request).await.unwrap();
    let counts: Vec<usize> =
        response.batches.map(|batch| batch.unwrap().num_rows()).collect().await;
    assert_eq!(counts, [3, 3, 3, 1]);
}

#[tokio::test]
async fn gets_answer_in_the_order_asked() {
    let t = ten_rows().await;
    let request = GetRequest {
        table: TABLE,
        schema_version: 1,
        read_ts: None,
        keys: vec![row_key(7), row_key(70), row_key(1)],
        columns: Some([N].into()),
        map_parts: Default::default(),
    };
    let rows = t.tablets.get(request).await.unwrap().rows;
    let ns: Vec<_> = rows.iter().map(|row| row.as_ref().map(|row| row.cells.get(N))).collect();
    let (seventy, ten) = (70i64.to_le_bytes(), 10i64.to_le_bytes());
    assert_eq!(ns, [Some(Some(Some(&seventy[..]))), None, Some(Some(Some(&ten[..])))]);
    assert_eq!(rows[0].as_ref().unwrap().cells.get(NAME), None, "not asked for");
}
