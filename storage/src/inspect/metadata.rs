//! METADATA's rows in a stopped directory: the root from the lock service, the others from METADATA's files
//! and the records of its log above the redo point, merged by the rule that every read follows.

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
use std::collections::BTreeMap;
use terrane_client::error::TabletError;
use terrane_client::ids::{CommitTs, Seq, StorageId};
use terrane_client::metadata::{FileRow, TabletRow, codec, merge, split};
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

/// Every tablet, the root first, then in METADATA's order.
pub fn tablets(
    env: &Env,
    directory: &DataDirectory,
    root: &TabletRow,
) -> Result<Vec<StoredTablet>, InspectError> {
    let mut versions = Versions::default();
    versions.read_log(env, directory, root)?;
    let cache = BlockCache::new(CacheOptions {
        data_bytes: 1 << 20,
        meta_bytes: 1 << 20,
        ..CacheOptions::default()
    });
    let runs = root.groups.iter().flat_map(|group| &group.runs);
    for (number, file) in runs.flat_map(|run| &run.files).enumerate() {
        let path = directory.table(StorageId::METADATA).join(&file.name);
        let table = Sstable::open(env, &path, number as u64, &cache)?;
        versions.read_file(&table, root, file)?;
    }
    let mut tablets = vec![StoredTablet { key: None, row: root.clone() }];
    tablets.extend(versions.live()?);
    Ok(tablets)
}

fn place_of(record: &Record) -> String {
    format!("METADATA's log, record {}", record.seq.0)
}

impl Versions {
    fn add(&mut self, key: Bytes, commit_ts: CommitTs, flags: u8, cells: PackedCells) {
        self.rows.entry(key).or_default().push(StoredVersion { commit_ts, flags, cells });
    }

    fn read_log(
        &mut self,
        env: &Env,
        directory: &DataDirectory,
        root: &TabletRow,
    ) -> Result<(), InspectError> {
        let redo_point = root.groups.iter().map(|group| group.redo_point).min();
        let redo_point = redo_point.unwrap_or(Seq(0));
        let view = LogView::of_directory(env, &directory.metadata_log(&root.server))?;
        let mut records = view.records(view.chain()?);
        records.skip_through(redo_point);
        for record in records {
            let record = record?;
            if record.table != StorageId::METADATA || record.seq <= redo_point {
                continue;
            }
            match record.kind {
                RECORD_MUTATION if root.contains(&record.key) => self.add_record(record)?,
                RECORD_MUTATION => {}
                RECORD_RANGE_DELETE => {
                    let range = delete_range::range_of(&record)
                        .map_err(|error| InspectError::Value { place: place_of(&record), error })?;
                    self.tombstones.insert(&range.intersect(&root.key_range()), record.commit_ts);
                }
                kind => return Err(InspectError::UnknownRecord(kind)),
            }
        }
        // Newest first, also where several have one timestamp.
        self.rows.values_mut().for_each(|versions| versions.reverse());
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
        root: &TabletRow,
        file: &FileRow,
    ) -> Result<(), InspectError> {
        let inside = |key: &[u8]| {
            let in_bounds =
                key >= &file.start[..] && file.end.as_ref().is_none_or(|end| key < &end[..]);
            in_bounds && root.contains(key)
        };
        let options = ReadOptions { fill_cache: false };
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
        Ok(settled(live))
    }
}
