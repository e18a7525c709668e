//! Identifiers that are written as names, on their way to the client.
//!
//! `regclass` and its kin are numbers in plans and in the binary format. Their text needs the catalog,
//! which the wire does not know, so it is put in here.

use super::format::Format;
use super::response::RowsResponse;
use crate::catalog::system::Facts;
use crate::error::SqlError;
use crate::functions::system::reg;
use crate::types::oid;
use arrow::array::ArrayRef;
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use futures::{StreamExt, stream};
use std::sync::Arc;

/// The same rows, with names in place of identifiers where the client takes text.
pub(super) fn shown(mut rows: RowsResponse, facts: impl FnOnce() -> Facts) -> RowsResponse {
    let named: Vec<(usize, u32)> = rows
        .columns
        .iter()
        .enumerate()
        .map(|(at, column)| (at, column.wire_type.oid))
        .filter(|(at, type_oid)| {
            let element = oid::element_of(*type_oid).unwrap_or(*type_oid);
            reg::is_named(element) && rows.formats.of(*at) == Format::Text
        })
        .collect();
    if named.is_empty() {
        return rows;
    }
    let facts = facts();
    // The rows that were waited for come first.
    let batches = stream::iter(rows.pending.take().map(Ok)).chain(rows.batches);
    rows.batches = batches.map(move |batch| name_columns(&batch?, &named, &facts)).boxed();
    rows
}

fn name_columns(
    batch: &RecordBatch,
    named: &[(usize, u32)],
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
    for (at, type_oid) in named {
        if let Some(column) = columns.get_mut(*at) {
            *column = reg::texts(column, *type_oid, facts)?;
        }
    }
    let fields = batch
        .schema()
        .fields()
        .iter()
        .zip(&columns)
        .map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true))
        .collect::<Vec<_>>();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .map_err(|error| SqlError::internal(error.to_string()))
}
