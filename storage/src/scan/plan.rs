//! What a scan is to do, worked out once: columns by place, predicates compiled.

use super::error::{Result, ScanError};
use super::group_gc::{GroupGc, may_have_expired};
use super::group_scan::RowSet;
use super::predicate::Predicate;
use super::prune::Window;
use crate::sstable::BlockInfo;
use arrow::datatypes::SchemaRef;
use std::sync::Arc;
use terrane_client::columns::arrow_schema;
use terrane_client::error::TabletError;
use terrane_client::ids::{ColumnId, CommitTs, LocalityGroupId};
use terrane_client::read::{Projected, ScanRequest};
use terrane_client::schema::{Column, TableSchema};
use terrane_client::types::DataType;

/// A scan's request, worked out.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) schema: Arc<TableSchema>,
    /// Of the batches.
    pub(super) arrow: SchemaRef,
    /// The timestamp read at.
    pub(super) at: CommitTs,
    pub(super) projection: Vec<Projected>,
    /// What can be evaluated here of the request's predicates.
    pub(super) predicate: Predicate,
    /// The value columns that are read, ascending: the projection's and the predicate's.
    pub(super) values: Vec<ColumnId>,
    /// The key's columns up to the last that is read: column, type, direction, whether it is read.
    pub(super) key: Vec<KeyPart>,
    pub(super) reverse: bool,
    pub(super) batch_rows_max: usize,
    pub(super) rows: RowSet,
    /// The policies of the group.
    pub(super) gc: GroupGc,
    /// The shortest time after which this scan may see less than is stored.
    pub(super) shortest_ttl: Option<i64>,
    /// Pass over blocks by their values.
    pub(super) pruning: bool,
}

/// A column of the row key.
#[derive(Clone, Debug)]
pub(super) struct KeyPart {
    pub(super) column: ColumnId,
    pub(super) data_type: DataType,
    pub(super) descending: bool,
}

impl Plan {
    pub(super) fn new(
        request: &ScanRequest,
        schema: Arc<TableSchema>,
        group: LocalityGroupId,
        at: CommitTs,
        rows: RowSet,
        pruning: bool,
    ) -> Result<Self, TabletError> {
        let arrow = arrow_schema(&schema, &request.projection)?;
        let predicate = Predicate::compile(&request.predicates, &schema);
        let projected = request.projection.iter().filter_map(|projected| match projected {
            Projected::Column(id) => Some(*id),
            _ => None,
        });
        let mut read: Vec<ColumnId> =
            projected.chain(predicate.columns().iter().copied()).collect();
        read.sort_unstable();
        read.dedup();
        let mut key: Vec<KeyPart> = schema
            .key
            .iter()
            .zip(schema.key_shape())
            .map(|(key, (data_type, descending))| KeyPart {
                column: key.column,
                data_type,
                descending,
            })
            .collect();
        let last = key.iter().rposition(|part| read.contains(&part.column));
        key.truncate(last.map_or(0, |last| last + 1));
        let is_key = |id: &ColumnId| schema.key_position(*id).is_some();
        let values: Vec<ColumnId> = read.into_iter().filter(|id| !is_key(id)).collect();
        let gc = GroupGc::new(&schema, group);
        Ok(Self {
            shortest_ttl: gc.shortest_ttl(&values, rows == RowSet::Living),
            gc,
            values,
            projection: request.projection.clone(),
            reverse: request.reverse,
            batch_rows_max: request.batch_rows_max.max(1),
            schema,
            arrow,
            at,
            predicate,
            key,
            rows,
            pruning,
        })
    }

    /// The value columns, where nothing else of a version counts than their cells and its flags.
    pub(super) fn columns_that_decide(&self) -> Option<&[ColumnId]> {
        let is_of_columns =
            |projected: &Projected| matches!(projected, Projected::Column(_) | Projected::Key);
        self.projection.iter().all(is_of_columns).then_some(&self.values[..])
    }

    /// A column that is read.
    pub(super) fn column(&self, id: ColumnId) -> Result<&Column> {
        self.schema.column(id).ok_or(ScanError::NoColumn(id))
    }

    /// True where every row of a block in a window is an answer as it lies, and there are no others.
    pub(super) fn is_direct(&self, window: Window, block: &BlockInfo) -> bool {
        window.is_direct(block, self.at) && !may_have_expired(block, self.shortest_ttl, self.at)
    }

    /// Where a column stands in the key, if it does.
    pub(super) fn key_place(&self, id: ColumnId) -> Option<usize> {
        self.key.iter().position(|part| part.column == id)
    }

    /// True where only the number of rows is asked for.
    pub(super) fn only_counts(&self) -> bool {
        self.projection.is_empty() && self.predicate.is_empty()
    }
}
