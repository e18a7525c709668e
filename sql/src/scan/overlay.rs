//! The rows a transaction block has written, as its own reads see them (rule 29): the newest run.
//!
//! A scan of a table with overlaid rows reads without limit, drops every stored row whose key the
//! overlay has, and merges the overlay's rows in key order, so that an ordering the plan relies on holds.
//! Filters, limits and aggregates stand above that merge.

use super::unread_maps::without_unread;
use arrow::array::{Array, ArrayRef, BinaryViewArray, UInt32Array};
use arrow::compute::{interleave, take};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use bytes::Bytes;
use datafusion::error::Result;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use terrane_client::ids::{CommitTs, StorageId};
use terrane_client::map_column::MapChanges;
use terrane_client::row::Row;

/// The rows of one table that a block has written, by key; `None` where one is deleted.
pub type OverlaidRows = BTreeMap<Bytes, Option<Row>>;

/// What a block has done to maps that it has not read whole, by row; their cells are not in the rows
/// ([`super::unread_maps`]).
pub type UnreadOfTable = BTreeMap<Bytes, MapChanges>;

/// What a block has written: per table, per key, the row as it is now, or `None` where it is deleted.
///
/// A row in it carries the version that is committed behind it: the only one COMMIT can compare.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    tables: HashMap<StorageId, Arc<OverlaidRows>>,
    /// The committed versions behind deleted rows, which an INSERT of the same key goes on with.
    deleted: Arc<HashMap<(StorageId, Bytes), CommitTs>>,
    unread: HashMap<StorageId, Arc<UnreadOfTable>>,
    /// What the block's reads were answered; all copies share it.
    shown: Arc<Mutex<Shown>>,
}

/// Rows of an overlay that a read was answered: they must not become others at COMMIT (rule 3).
#[derive(Debug, Default)]
struct Shown {
    rows: HashSet<(StorageId, Bytes)>,
    /// How many rows of a table were there when all of them were noted.
    counts: HashMap<StorageId, usize>,
}

/// A row as a statement leaves it.
pub struct Written {
    /// Its table.
    pub table: StorageId,
    /// Its key.
    pub key: Bytes,
    /// It; `None` where it was deleted.
    pub row: Option<Row>,
    /// The version committed behind it.
    pub committed: CommitTs,
    /// What the block has done to maps of which the row has no cell, or only part.
    pub unread: MapChanges,
}

impl Overlay {
    /// The overlaid rows of a table, if there are any.
    pub fn table(&self, table: StorageId) -> Option<&Arc<OverlaidRows>> {
        self.tables.get(&table).filter(|rows| !rows.is_empty())
    }

    /// One row: `None` where the block has not written it, `Some(None)` where it deleted it.
    pub fn row(&self, table: StorageId, key: &[u8]) -> Option<&Option<Row>> {
        self.tables.get(&table)?.get(key)
    }

    /// The committed version behind a row the block has written.
    pub fn committed(&self, table: StorageId, key: &Bytes) -> CommitTs {
        match self.row(table, key) {
            Some(Some(row)) => row.version,
            _ => {
                let deleted = self.deleted.get(&(table, key.clone()));
                deleted.copied().unwrap_or(CommitTs::ABSENT)
            }
        }
    }

    /// What the block has done to a row's maps that are not in the row.
    pub fn unread(&self, table: StorageId, key: &[u8]) -> Option<&MapChanges> {
        self.unread.get(&table)?.get(key)
    }

    /// The same of all rows of a table, if there are such.
    pub fn unread_of_table(&self, table: StorageId) -> Option<&Arc<UnreadOfTable>> {
        self.unread.get(&table).filter(|rows| !rows.is_empty())
    }

    /// Notes that a read of a table has seen its overlaid rows.
    pub fn note_read(&self, table: StorageId) {
        let Some(rows) = self.table(table) else { return };
        let mut shown = self.shown.lock();
        if shown.counts.insert(table, rows.len()) != Some(rows.len()) {
            shown.rows.extend(rows.keys().map(|key| (table, key.clone())));
        }
    }

    /// Notes that a read has seen an overlaid row.
    pub fn note_row_read(&self, table: StorageId, key: &Bytes) {
        self.shown.lock().rows.insert((table, key.clone()));
    }

    /// True for a row that a read has seen.
    pub fn is_read(&self, table: StorageId, key: &Bytes) -> bool {
        self.shown.lock().rows.contains(&(table, key.clone()))
    }

    /// Puts a row's new state in.
    pub fn write(&mut self, written: Written) {
        let Written { table, key, row, committed, unread } = written;
        if row.is_none() && committed != CommitTs::ABSENT {
            Arc::make_mut(&mut self.deleted).insert((table, key.clone()), committed);
        }
        if !unread.is_empty() && row.is_some() {
            let of_table = Arc::make_mut(self.unread.entry(table).or_default());
            of_table.insert(key.clone(), unread.clone());
        } else if let Some(of_table) = self.unread.get_mut(&table)
            && of_table.contains_key(&key)
        {
            Arc::make_mut(of_table).remove(&key);
        }
        let row = row.map(|row| without_unread(row, &unread));
        let rows = self.tables.entry(table).or_default();
        Arc::make_mut(rows).insert(key, row);
    }

    /// True where the block has written nothing.
    pub fn is_empty(&self) -> bool {
        self.tables.values().all(|rows| rows.is_empty())
    }
}

/// Merges overlaid rows into a scan's batches.
pub struct OverlayMerge {
    rows: Arc<OverlaidRows>,
    /// The live overlaid rows in key order, in the form of the scan's batches, and their keys.
    live: RecordBatch,
    keys: Vec<Bytes>,
    next: usize,
}

impl OverlayMerge {
    /// A merge of `rows`; `live` has the columns of those that exist, in key order.
    pub fn new(rows: Arc<OverlaidRows>, live: RecordBatch) -> Self {
        let keys: Vec<Bytes> =
            rows.iter().filter(|(_, row)| row.is_some()).map(|(key, _)| key.clone()).collect();
        assert_eq!(keys.len(), live.num_rows(), "one overlaid row a key");
        Self { rows, live, keys, next: 0 }
    }

    /// The stored batch with overwritten rows taken out and overlaid rows up to its last key put in.
    /// `keys` are the row keys of the batch.
    pub fn merge(&mut self, batch: &RecordBatch, keys: &BinaryViewArray) -> Result<RecordBatch> {
        const STORED: usize = 0;
        const OVERLAID: usize = 1;
        let mut order: Vec<(usize, usize)> = Vec::with_capacity(batch.num_rows());
        for at in 0..keys.len() {
            let key = keys.value(at);
            while self.keys.get(self.next).is_some_and(|overlaid| &overlaid[..] <= key) {
                order.push((OVERLAID, self.next));
                self.next += 1;
            }
            if !self.rows.contains_key(key) {
                order.push((STORED, at));
            }
        }
        let columns: Vec<ArrayRef> = batch
            .columns()
            .iter()
            .zip(self.live.columns())
            .map(|(stored, live)| interleave(&[stored.as_ref(), live.as_ref()], &order))
            .collect::<std::result::Result<_, _>>()?;
        // The plan's schema, whose metadata has PostgreSQL's types.
        assemble(self.live.schema(), columns, order.len())
    }

    /// The overlaid rows behind the last stored key.
    pub fn rest(&mut self) -> Result<RecordBatch> {
        let from = std::mem::replace(&mut self.next, self.keys.len());
        let rows: UInt32Array = (from as u32..self.keys.len() as u32).collect();
        let columns: Vec<ArrayRef> = self
            .live
            .columns()
            .iter()
            .map(|column| take(column.as_ref(), &rows, None))
            .collect::<std::result::Result<_, _>>()?;
        assemble(self.live.schema(), columns, rows.len())
    }
}

fn assemble(schema: SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
}
