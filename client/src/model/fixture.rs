//! A table `t (k int4 PRIMARY KEY, n int8 CHECK (n >= 0), name text NOT NULL, note text)`.

#![allow(clippy::unwrap_used)]

use crate::cell;
use crate::columns::value_at;
use crate::error::TabletError;
use crate::expr::{BinaryOp, Expr};
use crate::ids::{ColumnId, CommitTs, LocalityGroupId, RequestId, StorageId};
use crate::key;
use crate::master::MasterService;
use crate::model::{Model, ModelTablets};
use crate::program::{
    Action, Atomicity, Guard, ModifyRequest, ModifyResponse, Returning, RowProgram,
};
use crate::read::{GetRequest, KeyRange, Projected, ScanRequest};
use crate::row::{CellsBuilder, PackedCells, Row};
use crate::schema::{Check, Column, KeyColumn, LocalityGroup, TableSchema};
use crate::service::TabletService;
use crate::types::DataType;
use crate::value::Value;
use bytes::Bytes;
use futures::StreamExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub const TABLE: StorageId = StorageId(1000);
pub const K: ColumnId = ColumnId(1);
pub const N: ColumnId = ColumnId(2);
pub const NAME: ColumnId = ColumnId(3);
pub const NOTE: ColumnId = ColumnId(4);

pub fn schema() -> TableSchema {
    let column = |id, name: &str, data_type, not_null| Column {
        id,
        name: name.to_owned(),
        data_type,
        not_null,
        group: LocalityGroupId::default(),
        missing: Value::Null,
        gc: Default::default(),
    };
    TableSchema {
        storage: TABLE,
        version: 1,
        name: "t".to_owned(),
        columns: vec![
            column(K, "k", DataType::Int4, true),
            column(N, "n", DataType::Int8, false),
            column(NAME, "name", DataType::Text, true),
            column(NOTE, "note", DataType::Text, false),
        ],
        key: vec![KeyColumn { column: K, descending: false }],
        groups: vec![LocalityGroup::default_group()],
        checks: vec![Check {
            name: "n_positive".to_owned(),
            expr: binary(BinaryOp::GtEq, n(), int8(0), DataType::Bool),
        }],
        history_micros: 3_600_000_000,
        is_settled: true,
        tablet_bytes_max: None,
        purge_within_micros: None,
        dropped: Vec::new(),
    }
}

pub fn n() -> Expr {
    Expr::Column(N, DataType::Int8)
}

pub fn int8(value: i64) -> Expr {
    Expr::Literal(Value::Int8(value), DataType::Int8)
}

pub fn text(value: &str) -> Expr {
    Expr::Literal(Value::Text(value.to_owned()), DataType::Text)
}

pub fn binary(op: BinaryOp, left: Expr, right: Expr, result: DataType) -> Expr {
    Expr::Binary { op, left: Box::new(left), right: Box::new(right), result }
}

pub fn row_key(k: i32) -> Bytes {
    key::encode(&[Value::Int4(k)], &schema().key_shape()).unwrap()
}

pub fn cells(n: Option<i64>, name: Option<&str>) -> PackedCells {
    let mut cells = CellsBuilder::default();
    let n = n.map(|n| n.to_le_bytes());
    cells.push(N, n.as_ref().map(|n| &n[..]));
    cells.push(NAME, name.map(str::as_bytes));
    cells.finish()
}

pub fn program(k: i32, guard: Guard, action: Action) -> RowProgram {
    RowProgram {
        table: TABLE,
        schema_version: 1,
        key: row_key(k),
        guard,
        condition: None,
        action,
        returning: Returning::Nothing,
    }
}

pub fn insert(k: i32, n: i64, name: &str) -> RowProgram {
    program(k, Guard::Absent, Action::Put { cells: cells(Some(n), Some(name)) })
}

/// UPDATE t SET n = n + by
pub fn add(k: i32, by: i64) -> RowProgram {
    let sum = binary(BinaryOp::Add, n(), int8(by), DataType::Int8);
    program(k, Guard::Any, Action::Update { assignments: vec![(N, sum)] })
}

pub fn delete(k: i32) -> RowProgram {
    program(k, Guard::Any, Action::Delete)
}

pub fn request(atomicity: Atomicity, programs: Vec<RowProgram>) -> ModifyRequest {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    ModifyRequest {
        request: RequestId { client: 1, number },
        programs: Arc::new(programs),
        atomicity,
    }
}

pub struct Fixture {
    pub model: Model,
    pub tablets: Arc<ModelTablets>,
}

impl Fixture {
    pub async fn new() -> Self {
        Self::split_at(&[]).await
    }

    pub async fn split_at(split_keys: &[i32]) -> Self {
        let model = Model::default();
        let split_keys = split_keys.iter().map(|k| row_key(*k)).collect();
        model.master().create_table(schema(), split_keys).await.unwrap();
        Self { tablets: model.tablets(), model }
    }

    pub async fn all(&self, programs: Vec<RowProgram>) -> ModifyResponse {
        self.tablets.modify_rows(request(Atomicity::AllOrNone, programs)).await.unwrap()
    }

    pub async fn each(&self, programs: Vec<RowProgram>) -> ModifyResponse {
        self.tablets.modify_rows(request(Atomicity::EachRow, programs)).await.unwrap()
    }

    pub async fn get(&self, k: i32) -> Option<Row> {
        let request = GetRequest {
            table: TABLE,
            schema_version: 1,
            read_ts: None,
            keys: vec![row_key(k)],
            columns: None,
            map_parts: Default::default(),
        };
        self.tablets.get(request).await.unwrap().rows.remove(0)
    }

    pub async fn n_of(&self, k: i32) -> Option<Value> {
        let row = self.get(k).await?;
        Some(cell::decode_cell(row.cells.get(N), &DataType::Int8, &Value::Null).unwrap())
    }

    /// (k, n) of every row a scan returns.
    pub async fn scan(&self, request: ScanRequest) -> Result<Vec<(i32, Value)>, TabletError> {
        let mut response = self.tablets.read(request).await?;
        let mut rows = Vec::new();
        while let Some(batch) = response.batches.next().await {
            let batch = batch?;
            for row in 0..batch.num_rows() {
                let Value::Int4(k) = value_at(batch.column(0), row, &DataType::Int4).unwrap()
                else {
                    panic!("k is never NULL")
                };
                rows.push((k, value_at(batch.column(1), row, &DataType::Int8).unwrap()));
            }
        }
        Ok(rows)
    }
}

pub fn scan_all(read_ts: Option<CommitTs>) -> ScanRequest {
    ScanRequest {
        versions: Default::default(),
        table: TABLE,
        schema_version: 1,
        read_ts,
        ranges: vec![KeyRange::all()],
        projection: vec![Projected::Column(K), Projected::Column(N)],
        map_parts: Default::default(),
        predicates: Vec::new(),
        limit: None,
        reverse: false,
        batch_rows_max: 3,
    }
}
