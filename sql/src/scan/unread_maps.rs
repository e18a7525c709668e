//! Maps of rows that a block has written without reading them whole.
//!
//! A row in the [overlay](super::overlay) is what the block's reads see, but a map of a million keys of which one was set is not
//! fetched for that: the overlay has what the block did to the map. Who looks at such a map asks for it here: what is
//! committed of it, or the part that is looked at, with the block's changes applied.
//!
//! What another commits meanwhile to entries that the block has not touched is seen, as READ COMMITTED sees it in rows that
//! the block has not written. COMMIT asks whether a row that the block has shown is still the one it was.

use super::overlay::{OverlaidRows, UnreadOfTable};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::Arc;
use terrane_client::error::TabletError;
use terrane_client::expr::ExprError;
use terrane_client::ids::{ColumnId, CommitTs};
use terrane_client::map_column::{Clear, MapChange, MapChanges, MapPart, MapParts};
use terrane_client::program::RowError;
use terrane_client::read::{GetRequest, KeyRange};
use terrane_client::row::{CellsBuilder, Row, merge_cells};
use terrane_client::schema::{Column, TableSchema};
use terrane_client::service::TabletService;

/// A row of which some maps are still to be read, and what the block has done to them.
pub struct Incomplete {
    /// Its key.
    pub key: Bytes,
    /// It, without these maps.
    pub row: Row,
    /// By column; a change of nothing is one of a map that was not read.
    pub unread: MapChanges,
}

/// Where maps are read.
pub struct UnreadMaps<'a> {
    /// Where data is.
    pub tablets: &'a dyn TabletService,
    /// The table.
    pub schema: &'a TableSchema,
    /// `None` is the newest that is committed.
    pub read_ts: Option<CommitTs>,
    /// The map columns that are looked at; `None` is all.
    pub columns: Option<&'a [ColumnId]>,
    /// What is looked at of them.
    pub parts: &'a MapParts,
}

impl UnreadMaps<'_> {
    /// The rows with the maps that are looked at.
    pub async fn complete(&self, rows: Vec<Incomplete>) -> Result<Vec<(Bytes, Row)>, TabletError> {
        let looked_at = |id: &ColumnId| self.columns.is_none_or(|columns| columns.contains(id));
        let is_read = |(id, change): (&ColumnId, &MapChange)| {
            let is_read = change.clear == Clear::Nothing && *self.parts.of(*id) != MapPart::NOTHING;
            (is_read && looked_at(id)).then_some(*id)
        };
        let wanted: BTreeSet<ColumnId> =
            rows.iter().flat_map(|row| row.unread.0.iter().filter_map(is_read)).collect();
        let stored = match wanted.is_empty() {
            true => vec![None; rows.len()],
            false => {
                let request = GetRequest {
                    table: self.schema.storage,
                    schema_version: self.schema.version,
                    read_ts: self.read_ts,
                    keys: rows.iter().map(|row| row.key.clone()).collect(),
                    columns: Some(wanted.iter().copied().collect()),
                    map_parts: Arc::new(self.parts.clone()),
                };
                self.tablets.get(request).await?.rows
            }
        };
        let complete = |(incomplete, stored): (Incomplete, Option<Row>)| {
            let Incomplete { key, row, unread } = incomplete;
            let mut maps = CellsBuilder::default();
            for (id, change) in unread.0.iter().filter(|(id, _)| looked_at(id)) {
                let cell = stored.as_ref().and_then(|stored| stored.cells.get(*id)).flatten();
                maps.push(*id, Some(&self.changed(*id, change, cell)?));
            }
            let cells = merge_cells(&[maps.finish(), row.cells]);
            Ok((key, Row { cells, ..row }))
        };
        rows.into_iter().zip(stored).map(complete).collect()
    }

    fn changed(
        &self,
        column: ColumnId,
        change: &MapChange,
        cell: Option<&[u8]>,
    ) -> Result<Vec<u8>, TabletError> {
        let no_map = || TabletError::Internal(format!("column {} has no map", column.0));
        let of = self.schema.column(column).and_then(Column::map_type).ok_or_else(no_map)?;
        let changed = change.applied_to(cell, of);
        changed.map_err(|error| TabletError::Row(RowError::Expr(ExprError::from(error))))
    }

    /// A table's overlaid rows, complete where they are within the ranges.
    pub async fn completed(
        &self,
        rows: &OverlaidRows,
        unread: &UnreadOfTable,
        ranges: &[KeyRange],
    ) -> Result<OverlaidRows, TabletError> {
        let is_read = |key: &Bytes| ranges.iter().any(|range| range.contains(key));
        let incomplete =
            unread.iter().filter(|(key, _)| is_read(key)).filter_map(|(key, unread)| {
                let row = rows.get(key)?.clone()?;
                Some(Incomplete { key: key.clone(), row, unread: unread.clone() })
            });
        let complete = self.complete(incomplete.collect()).await?;
        let mut completed = rows.clone();
        completed.extend(complete.into_iter().map(|(key, row)| (key, Some(row))));
        Ok(completed)
    }
}

/// A row's cells without the maps that were not read whole.
pub fn without_unread(row: Row, unread: &MapChanges) -> Row {
    if unread.is_empty() {
        return row;
    }
    let mut cells = CellsBuilder::default();
    for (id, cell) in row.cells.iter().filter(|(id, _)| !unread.0.contains_key(id)) {
        cells.push(id, cell);
    }
    Row { cells: cells.finish(), ..row }
}
