//! The rows that a statement changes, as the block sees them.
//!
//! Of maps only that part is read that the statement's programs look at; what is known of the rest is what the block has
//! done to it ([`crate::scan::unread_maps`]).

use super::target::Target;
use super::violations::lost;
use crate::error::SqlError;
use crate::plan::errors;
use crate::scan::unread_maps::{Incomplete, UnreadMaps};
use crate::session::client::ClientSession;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;
use terrane_client::ids::{ColumnId, CommitTs, StorageId};
use terrane_client::map_column::{MapChange, MapChanges, MapPart, MapParts};
use terrane_client::read::GetRequest;
use terrane_client::row::{ROW_COMPLETE, ROW_DELETE, Row, RowChange};
use terrane_client::schema::TableSchema;

/// Rows as the statement finds and leaves them.
#[derive(Default)]
pub struct Rows {
    current: HashMap<(StorageId, Bytes), Known>,
}

/// A row, and the version committed behind it.
#[derive(Clone)]
struct Known {
    row: Option<Row>,
    committed: CommitTs,
    /// Another commit has changed it since REPEATABLE READ's snapshot.
    newer: bool,
    /// What the block has done to maps of which only part was read.
    unread: MapChanges,
}

impl ClientSession {
    /// The rows of some keys, as the block sees them.
    pub(in crate::session) async fn rows_of(
        &mut self,
        target: &Target,
        keys: Vec<Bytes>,
    ) -> Result<Rows, SqlError> {
        let mut rows = Rows::default();
        self.read_into(&mut rows, &target.schema, keys, &MapParts::default()).await?;
        Ok(rows)
    }

    /// Reads rows that are not among these yet, and of their maps these parts.
    pub(super) async fn read_into(
        &mut self,
        rows: &mut Rows,
        schema: &TableSchema,
        keys: Vec<Bytes>,
        parts: &MapParts,
    ) -> Result<(), SqlError> {
        let table = schema.storage;
        let (mut missing, mut incomplete) = (Vec::new(), Vec::new());
        for key in keys {
            if rows.current.contains_key(&(table, key.clone())) {
                continue;
            }
            match self.block().overlay.row(table, &key).cloned() {
                Some(row) => {
                    let overlay = &self.block().overlay;
                    let committed = overlay.committed(table, &key);
                    let unread = overlay.unread(table, &key).cloned().unwrap_or_default();
                    if let Some(row) = row.as_ref().filter(|_| !unread.is_empty()) {
                        let (key, row, unread) = (key.clone(), row.clone(), unread.clone());
                        incomplete.push(Incomplete { key, row, unread });
                    }
                    let known = Known { row, committed, newer: false, unread };
                    rows.current.insert((table, key), known);
                }
                None => missing.push(key),
            }
        }
        let pinned = self.block().pinned.as_ref().map(|(pinned, _)| *pinned);
        let tablets = &*self.server.tablets;
        let maps = UnreadMaps { tablets, schema, read_ts: pinned, columns: None, parts };
        for (key, row) in maps.complete(incomplete).await.map_err(errors::of_tablet)? {
            if let Some(known) = rows.current.get_mut(&(table, key)) {
                known.row = Some(row);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        // Not whatever the tablet holds: cells of a column that was dropped could not be written again.
        let columns = schema.value_columns().map(|column| column.id).collect();
        let request = GetRequest {
            table,
            schema_version: schema.version,
            read_ts: None,
            keys: missing.clone(),
            columns: Some(columns),
            map_parts: Arc::new(parts.clone()),
        };
        let snapshot = pinned.map(|at| GetRequest { read_ts: Some(at), ..request.clone() });
        let response = self.server.tablets.get(request).await.map_err(errors::of_tablet)?;
        let before = match snapshot {
            None => None,
            Some(request) => {
                let tablets = &self.server.tablets;
                Some(tablets.get(request).await.map_err(errors::of_tablet)?.rows)
            }
        };
        for (at, (key, row)) in missing.into_iter().zip(response.rows).enumerate() {
            let committed = version_of(row.as_ref());
            let before = before.as_ref().and_then(|rows| rows.get(at));
            let newer = before.is_some_and(|before| version_of(before.as_ref()) != committed);
            let partly = |(id, part): (&ColumnId, &MapPart)| {
                (*part != MapPart::Whole).then(|| (*id, MapChange::default()))
            };
            let unread = match &row {
                Some(_) => MapChanges(parts.0.iter().filter_map(partly).collect()),
                None => MapChanges::default(),
            };
            rows.current.insert((table, key), Known { row, committed, newer, unread });
        }
        Ok(())
    }
}

impl Rows {
    /// One row, which must have been read.
    pub fn get(&self, table: StorageId, key: &Bytes) -> Option<Row> {
        self.current.get(&(table, key.clone()))?.row.clone()
    }

    /// The version committed behind a row: of one the block deleted, too.
    pub(super) fn committed(&self, table: StorageId, key: &Bytes) -> CommitTs {
        let known = self.current.get(&(table, key.clone()));
        known.map_or(CommitTs::ABSENT, |known| known.committed)
    }

    /// True where only part of a map of a row was read.
    pub(super) fn is_partly_read(&self, table: StorageId, key: &Bytes) -> bool {
        let known = self.current.get(&(table, key.clone()));
        known.is_some_and(|known| !known.unread.is_empty())
    }

    /// What the block has done to the maps of a row that were not read whole, after one more change.
    pub(super) fn unread_after(
        &self,
        table: StorageId,
        key: &Bytes,
        change: Option<&RowChange>,
    ) -> MapChanges {
        let Some(known) = self.current.get(&(table, key.clone())) else {
            return MapChanges::default();
        };
        let Some(change) = change else { return known.unread.clone() };
        if change.row.flags & (ROW_COMPLETE | ROW_DELETE) != 0 {
            return MapChanges::default();
        }
        let mut unread = known.unread.clone();
        for (column, done) in &mut unread.0 {
            if let Some(next) = change.maps.0.get(column) {
                done.then(next);
            }
        }
        unread
    }

    pub(super) fn set(
        &mut self,
        table: StorageId,
        key: Bytes,
        row: Option<Row>,
        unread: MapChanges,
    ) {
        let known = self.current.get(&(table, key.clone()));
        let (committed, newer) =
            known.map_or((CommitTs::ABSENT, false), |known| (known.committed, known.newer));
        self.current.insert((table, key), Known { row, committed, newer, unread });
    }

    /// 40001 where REPEATABLE READ's snapshot has another version of a row.
    pub(super) fn check_snapshot(&self, table: StorageId, key: &Bytes) -> Result<(), SqlError> {
        let known = self.current.get(&(table, key.clone()));
        match known.is_some_and(|known| known.newer) {
            true => Err(lost(table, key)),
            false => Ok(()),
        }
    }
}

/// A row's version.
pub fn version_of(row: Option<&Row>) -> CommitTs {
    row.map_or(CommitTs::ABSENT, |row| row.version)
}
