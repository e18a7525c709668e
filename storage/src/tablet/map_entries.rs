//! What the changes of a row's maps are in the groups that store their entries.
//!
//! A put is a whole row of one cell, a removal a deleted row, a clear of a large map a range tombstone. Where the family keeps
//! several versions a put leaves what is older as it is, and a map that is assigned as a whole is written where it differs.
//! Changes are made exact before they are logged ([`exact`]): replay does to memtables what the commit did, and reads
//! nothing.

use super::layout::GroupLayout;
use super::version::Version;
use crate::memtable::{Memtable, RangeDelete};
use crate::scan::{MapColumn, ReadTime};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use terrane_client::error::TabletError;
use terrane_client::ids::{CommitTs, LocalityGroupId, Seq};
use terrane_client::map_column::entry_key::{entries_of, entry_key, entry_prefix};
use terrane_client::map_column::{Clear, EntryChange, MapChange, MapChanges};
use terrane_client::read::KeyRange;
use terrane_client::row::{CellsBuilder, ROW_COMPLETE, ROW_DELETE, ROW_MARKER, RowMutation};

/// Entries that are removed one by one where a map is cleared; of a map with more the range is.
pub const REMOVED_MAX: usize = 64;

/// What is written to one map's group.
#[derive(Debug)]
pub struct EntryWrites {
    /// The group.
    pub group: LocalityGroupId,
    /// Everything older in this range is gone.
    clear: Option<KeyRange>,
    /// Keys and mutations.
    entries: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What a row's changes are to the groups of its maps. Of columns that the layout does not know nothing is left.
pub fn entry_writes(
    layout: &GroupLayout,
    row_key: &[u8],
    changes: &MapChanges,
) -> Vec<EntryWrites> {
    let mut writes = Vec::with_capacity(changes.0.len());
    for (column, change) in &changes.0 {
        let Some(MapColumn { group, .. }) = layout.map(*column) else { continue };
        let clear = (change.clear != Clear::Nothing).then(|| entries_of(row_key, *column));
        let put = if change.keeps_older { ROW_MARKER } else { ROW_MARKER | ROW_COMPLETE };
        let entry = |(key, entry): (&Bytes, &EntryChange)| {
            let (flags, value) = match entry {
                EntryChange::Put(value) => (put, Some(value.as_deref())),
                EntryChange::Remove => (ROW_DELETE, None),
            };
            let mut cells = CellsBuilder::default();
            if let Some(value) = value {
                cells.push(*column, value);
            }
            let mut bytes = Vec::new();
            RowMutation { flags, cells: cells.finish() }.encode(&mut bytes);
            (entry_key(row_key, *column, key), bytes)
        };
        let entries = change.entries.iter().map(entry).collect();
        writes.push(EntryWrites { group: *group, clear, entries });
    }
    writes
}

impl EntryWrites {
    /// Bytes of the longest key.
    pub fn longest_key(&self) -> usize {
        self.entries.iter().map(|(key, _)| key.len()).max().unwrap_or_default()
    }

    /// Puts them into the group's memtable. The clear applies to what is older only.
    pub fn insert_into(&self, memtable: &Memtable, seq: Seq, commit_ts: CommitTs) {
        if let Some(range) = &self.clear {
            memtable.delete_range(RangeDelete { range: range.clone(), seq, commit_ts });
        }
        for (key, mutation) in &self.entries {
            memtable.insert(key, seq, commit_ts, mutation);
        }
    }
}

/// Makes changes exact: says of each map that is cleared which entries go, or that its range does. `is_replaced`: there
/// was a row whose place this takes, or which is deleted. Under the row's lock.
pub fn exact(
    mut changes: MapChanges,
    row_key: &[u8],
    version: &Version,
    layout: &GroupLayout,
    is_replaced: bool,
    time: ReadTime,
) -> Result<MapChanges, TabletError> {
    if is_replaced {
        for map in layout.maps() {
            changes.0.entry(map.column).or_default().clear = Clear::Rest;
        }
    }
    for (column, change) in &mut changes.0 {
        let Some(map) = layout.map(*column) else { continue };
        // A row that takes another's place has no versions from before.
        change.keeps_older = map.keeps_older() && !is_replaced;
        if change.clear != Clear::Rest {
            continue;
        }
        if change.keeps_older && !change.entries.is_empty() {
            differences(change, map, row_key, version, time)?;
            continue;
        }
        match few_keys(map, row_key, version, time)? {
            Some(keys) => {
                let removed = keys.into_iter().map(|key| (key, EntryChange::Remove));
                let mut entries: BTreeMap<Bytes, EntryChange> = removed.collect();
                entries.append(&mut change.entries);
                *change = MapChange { clear: Clear::Nothing, entries, ..*change };
            }
            None => change.clear = Clear::Range,
        }
    }
    changes.0.retain(|_, change| change.clear != Clear::Nothing || !change.entries.is_empty());
    Ok(changes)
}

/// Makes of a whole map what differs from the one that is there: an entry that stays as it is is no new version.
fn differences(
    change: &mut MapChange,
    map: &MapColumn,
    row_key: &[u8],
    version: &Version,
    time: ReadTime,
) -> Result<(), TabletError> {
    change.clear = Clear::Nothing;
    let Some(group) = version.group(map.group) else { return Ok(()) };
    let prefix = entry_prefix(row_key, map.column).len();
    let range = entries_of(row_key, map.column);
    map.each_entry(&group.sources, range, time, &mut |key, value| {
        let key = &key[prefix..];
        match change.entries.get(key) {
            Some(EntryChange::Put(wanted)) if wanted.as_deref() == value => {
                change.entries.remove(key);
            }
            Some(_) => {}
            None => {
                change.entries.insert(Bytes::copy_from_slice(key), EntryChange::Remove);
            }
        }
        Ok(ControlFlow::Continue(()))
    })
}

/// The keys of a row's map; `None` where they are many.
fn few_keys(
    map: &MapColumn,
    row_key: &[u8],
    version: &Version,
    time: ReadTime,
) -> Result<Option<Vec<Bytes>>, TabletError> {
    let Some(group) = version.group(map.group) else { return Ok(Some(Vec::new())) };
    let prefix = entry_prefix(row_key, map.column).len();
    let mut keys = Vec::new();
    let range = entries_of(row_key, map.column);
    map.each_entry(&group.sources, range, time, &mut |key, _| {
        keys.push(Bytes::copy_from_slice(&key[prefix..]));
        Ok(match keys.len() > REMOVED_MAX {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })
    })?;
    Ok((keys.len() <= REMOVED_MAX).then_some(keys))
}
