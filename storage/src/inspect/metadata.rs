//! METADATA's rows in a stopped directory: the root's from the lock service, those of METADATA's other tablets from the root, the
//! others from those: each from the tablet's files and the records of METADATA's log above its redo point, merged by the rule
//! that every read follows. A root that is whole ([`terrane_client::metadata::root`]) has all of them.

use super::InspectError;
use crate::cache::{BlockCache, CacheOptions};
use crate::fragments::Fragments;
use crate::log::Record;
use crate::log::inspect::LogView;
use crate::server::DataDirectory;
use crate::server::delete_range;
use crate::server::line::{RECORD_MUTATION, RECORD_RANGE_DELETE};
use crate::sstable::{RangeTombstone, ReadOptions, Sstable};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use terrane_client::error::TabletError;
use terrane_client::ids::{CommitTs, StorageId};
use terrane_client::metadata::{FileRow, TabletRow, codec, merge, root, split};
use terrane_client::read::KeyRange;
use terrane_client::row::{PackedCells, RowMerge, RowMutation};
use terrane_env::Env;

/// A tablet's METADATA row and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTablet {
    /// Its key in METADATA; `None` is the root, in the lock service.
    pub key: Option<Bytes>,
    /// What stands there.
    pub row: TabletRow,
}

/// Tablets as a start would find them: one whose split was begun counts as its children, and one whose merge was begun
/// only where its neighbour does not have its rows (rule 19).
pub(super) fn settled(stored: Vec<StoredTablet>) -> Vec<StoredTablet> {
    let name = |row: &TabletRow| (row.table, row.end.clone());
    let starts: BTreeMap<_, _> =
        stored.iter().map(|tablet| (name(&tablet.row), tablet.row.start.clone())).collect();
    let mut settled = Vec::with_capacity(stored.len());
    for StoredTablet { key, mut row } in stored {
        if let Some(intent) = row.merge.take() {
            let right = starts.get(&(row.table, intent.right_end));
            if right.is_some_and(|start| merge::reaches(&row, start)) {
                continue;
            }
        }
        match split::children(&row) {
            None => settled.push(StoredTablet { key, row }),
            Some((left, right)) => {
                if !starts.contains_key(&name(&left)) {
                    let key = codec::row_key(left.table, left.end.as_deref()).ok();
                    settled.push(StoredTablet { key, row: left });
                }
                settled.push(StoredTablet { key, row: right });
            }
        }
    }
    settled
}

/// One version of a METADATA row.
struct StoredVersion {
    commit_ts: CommitTs,
    flags: u8,
    cells: PackedCells,
}

/// METADATA as it lies there.
#[derive(Default)]
struct Versions {
    rows: BTreeMap<Bytes, Vec<StoredVersion>>,
    tombstones: Fragments,
}

/// METADATA's own tablets, the root first.
pub fn own_tablets(
    env: &Env,
    directory: &DataDirectory,
    root: &TabletRow,
) -> Result<Vec<StoredTablet>, InspectError> {
    let mut own = vec![StoredTablet { key: None, row: root.clone() }];
    if !root::is_whole(root) {
        own.extend(stored(env, directory, &own, |row| root::heeds(root, row))?);
    }
    Ok(own)
}

/// Every tablet, METADATA's own first, then in METADATA's order.
pub fn tablets(
    env: &Env,
    directory: &DataDirectory,
    root: &TabletRow,
) -> Result<Vec<StoredTablet>, InspectError> {
    let mut tablets = own_tablets(env, directory, root)?;
    let others = tablets.get(1..).filter(|others| !others.is_empty()).unwrap_or(&tablets[..]);
    let others = stored(env, directory, others, |row| row.table != StorageId::METADATA)?;
    tablets.extend(others);
    Ok(tablets)
}

/// What stands in some of METADATA's tablets, as a start would find it.
fn stored(
    env: &Env,
    directory: &DataDirectory,
    tablets: &[StoredTablet],
    is_wanted: impl Fn(&TabletRow) -> bool,
) -> Result<Vec<StoredTablet>, InspectError> {
    let mut versions = Versions::default();
    versions.read_logs(env, directory, tablets)?;
    let cache = BlockCache::new(CacheOptions {
        data_bytes: 1 << 20,
        meta_bytes: 1 << 20,
        ..CacheOptions::default()
    });
    let mut number = 0;
    for StoredTablet { row, .. } in tablets {
        for file in row.files() {
            let path = directory.table(StorageId::METADATA).join(&file.name);
            let table = Sstable::open(env, &path, number, &cache)?;
            versions.read_file(&table, row, file)?;
            number += 1;
        }
    }
    let mut live = versions.live()?;
    live.retain(|tablet| is_wanted(&tablet.row));
    Ok(settled(live))
}

fn place_of(record: &Record) -> String {
    format!("METADATA's log, record {}", record.seq.0)
}

impl Versions {
    fn add(&mut self, key: Bytes, commit_ts: CommitTs, flags: u8, cells: PackedCells) {
        self.rows.entry(key).or_default().push(StoredVersion { commit_ts, flags, cells });
    }

    /// Reads the log of each server that has one of the tablets.
    fn read_logs(
        &mut self,
        env: &Env,
        directory: &DataDirectory,
        tablets: &[StoredTablet],
    ) -> Result<(), InspectError> {
        let servers: BTreeSet<&str> =
            tablets.iter().map(|tablet| tablet.row.server.as_str()).collect();
        for server in servers {
            let rows = tablets.iter().map(|tablet| &tablet.row);
            let rows: Vec<&TabletRow> = rows.filter(|row| row.server == server).collect();
            self.read_log(env, &directory.metadata_log(server), &rows)?;
        }
        // Newest first, also where several have one timestamp.
        self.rows.values_mut().for_each(|versions| versions.reverse());
        Ok(())
    }

    fn read_log(
        &mut self,
        env: &Env,
        path: &Path,
        tablets: &[&TabletRow],
    ) -> Result<(), InspectError> {
        let redo_point = |row: &TabletRow| {
            row.groups.iter().map(|group| group.redo_point).min().unwrap_or_default()
        };
        let view = LogView::of_directory(env, path)?;
        let mut records = view.records(view.chain()?);
        let smallest = tablets.iter().map(|row| redo_point(row)).min();
        records.skip_through(smallest.unwrap_or_default());
        for record in records {
            let record = record?;
            let needed = tablets.iter().filter(|row| record.seq > redo_point(row));
            match record.kind {
                _ if record.table != StorageId::METADATA => {}
                RECORD_MUTATION => {
                    if needed.into_iter().any(|row| row.contains(&record.key)) {
                        self.add_record(record)?;
                    }
                }
                RECORD_RANGE_DELETE => {
                    let range = delete_range::range_of(&record)
                        .map_err(|error| InspectError::Value { place: place_of(&record), error })?;
                    for row in needed {
                        let range = range.intersect(&row.key_range());
                        self.tombstones.insert(&range, record.commit_ts);
                    }
                }
                kind => return Err(InspectError::UnknownRecord(kind)),
            }
        }
        Ok(())
    }

    fn add_record(&mut self, record: Record) -> Result<(), InspectError> {
        let mutation = RowMutation::decode(&record.payload).map_err(|error| {
            let error = TabletError::Internal(error.to_string());
            InspectError::Value { place: place_of(&record), error }
        })?;
        self.add(record.key, record.commit_ts, mutation.flags, mutation.cells);
        Ok(())
    }

    fn read_file(
        &mut self,
        table: &Sstable,
        tablet: &TabletRow,
        file: &FileRow,
    ) -> Result<(), InspectError> {
        let inside = |key: &[u8]| {
            let in_bounds =
                key >= &file.start[..] && file.end.as_ref().is_none_or(|end| key < &end[..]);
            in_bounds && tablet.contains(key)
        };
        let options = ReadOptions { fill_cache: false };
        // Data blocks only: what these hide in the history part is older than the newest state.
        for number in 0..table.block_count() {
            let block = table.block(number, true, options)?;
            let rows = block.rows()?;
            for row in 0..rows.len() {
                let key = rows.key(row);
                if inside(&key) {
                    let cells = block.row_cells(row, None)?;
                    self.add(key.into(), rows.commit_ts(row), rows.flags(row), cells);
                }
            }
        }
        let bounds =
            KeyRange { start: file.start.clone().into(), end: file.end.clone().map(Into::into) };
        let bounds = bounds.intersect(&tablet.key_range());
        for RangeTombstone { start, end, commit_ts } in table.range_tombstones() {
            let range = KeyRange { start: start.clone(), end: end.clone() };
            self.tombstones.insert(&range.intersect(&bounds), *commit_ts);
        }
        Ok(())
    }

    /// The newest state of every row that lives.
    fn live(self) -> Result<Vec<StoredTablet>, InspectError> {
        let mut live = Vec::new();
        for (key, mut versions) in self.rows {
            // Stable: the log's come before the files', a run's before an older one's.
            versions.sort_by_key(|version| std::cmp::Reverse(version.commit_ts));
            let deleted_before = self.tombstones.covering(&key, CommitTs::MAX);
            let mut merge = RowMerge::default();
            for StoredVersion { commit_ts, flags, cells } in versions {
                if commit_ts < deleted_before || merge.push(commit_ts, flags, &cells).is_break() {
                    break;
                }
            }
            let Some(row) = merge.finish() else { continue };
            let row = codec::tablet_row(&row).map_err(|error| {
                let place = format!("METADATA row {}", super::finding::KeyHex(&key));
                InspectError::Value { place, error }
            })?;
            live.push(StoredTablet { key: Some(key), row });
        }
        Ok(live)
    }
}
