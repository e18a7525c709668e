//! Reading tablets' rows: a scan of METADATA, and what its batches say.

use super::{TabletRow, codec, column, schema};
use crate::columns::value_at;
use crate::error::TabletError;
use crate::ids::StorageId;
use crate::read::{KeyRange, Projected, ScanRequest};
use crate::types::DataType;
use crate::value::Value;
use arrow::record_batch::RecordBatch;

/// The rows of a range of METADATA's keys.
pub fn request(range: KeyRange, limit: Option<u64>, batch_rows_max: usize) -> ScanRequest {
    ScanRequest {
        versions: Default::default(),
        table: StorageId::METADATA,
        schema_version: schema().version,
        read_ts: None,
        ranges: vec![range],
        projection: vec![Projected::Column(column::STATE)],
        map_parts: Default::default(),
        predicates: Vec::new(),
        limit,
        reverse: false,
        batch_rows_max,
    }
}

/// Adds the rows of a batch that such a scan gave.
pub fn add_rows(batch: &RecordBatch, rows: &mut Vec<TabletRow>) -> Result<(), TabletError> {
    for row in 0..batch.num_rows() {
        match value_at(batch.column(0), row, &DataType::Jsonb) {
            Ok(Value::Text(state)) => rows.push(codec::parse_state(state.as_bytes())?),
            other => {
                let text = format!("a METADATA row without state: {other:?}");
                return Err(TabletError::Internal(text));
            }
        }
    }
    Ok(())
}
