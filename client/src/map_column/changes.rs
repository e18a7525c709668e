//! What a mutation of a row does to the entries of its map columns.
//!
//! ```text
//! changes := count varint, change*                                    ascending by column
//! change  := column varint, clear u8, count varint, entry*           ascending by map key
//! entry   := size varint, map key, size varint, bytes                size 0: NULL; 1: removed; else bytes + 2
//! clear   := 0 the other entries stay | 1 they are gone | 2 the same, as a range tombstone;
//!            + 4: older versions of the entries that are put stay among their versions
//! ```
//!
//! A clear applies first, so the entries that come with it are there after it (rule 6). Before it is logged it is made
//! exact: of a small map each key that goes is named (a clear of 0 with removals), of a large one the range is
//! (2). So replay needs nothing but the log.

use crate::cell::map::MapWriter;
use crate::cell::{CellError, MapCell};
use crate::ids::ColumnId;
use crate::row::{MalformedCells, read_varint, write_varint};
use crate::types::{DataType, MapType};
use bytes::Bytes;
use std::collections::BTreeMap;

/// What happens to the entries of a map that a change does not name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clear {
    /// They stay.
    #[default]
    Nothing,
    /// They go.
    Rest,
    /// They go, by a range tombstone.
    Range,
}

/// Beside a [`Clear`]: [`MapChange::keeps_older`].
const KEEPS_OLDER: u8 = 4;

/// What happens to one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryChange {
    /// It is there, with this value.
    Put(Option<Bytes>),
    /// It is not there.
    Remove,
}

/// What happens to one map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapChange {
    /// What is not named.
    pub clear: Clear,
    /// An entry that is put is one more version of itself, not the only one. The tablet says so, by the family's policy at
    /// the time of the commit, and the log remembers: whatever the policy is later, replay does what the commit did.
    pub keeps_older: bool,
    /// By encoded map key.
    pub entries: BTreeMap<Bytes, EntryChange>,
}

/// What happens to the maps of a row, by column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapChanges(pub BTreeMap<ColumnId, MapChange>);

impl MapChange {
    /// Does `next` after this.
    pub fn then(&mut self, next: &MapChange) {
        if next.clear != Clear::Nothing {
            *self = next.clone();
            return;
        }
        self.entries.extend(next.entries.iter().map(|(key, entry)| (key.clone(), entry.clone())));
    }

    /// The cell of a map after this; one without a cell has no entries. Of part of a map it gives that part, and what is
    /// changed.
    pub fn applied_to(&self, cell: Option<&[u8]>, of: &MapType) -> Result<Vec<u8>, CellError> {
        let malformed =
            |size| CellError::Malformed { data_type: DataType::Map(Box::new(of.clone())), size };
        let map = |cell| MapCell::new(cell, of).ok_or_else(|| malformed(cell.len()));
        let map = cell.map(map).transpose()?.filter(|_| self.clear == Clear::Nothing);
        let stay = map.iter().flat_map(MapCell::entries);
        let mut entries: BTreeMap<&[u8], Option<&[u8]>> = stay.collect();
        for (key, change) in &self.entries {
            match change {
                EntryChange::Put(value) => entries.insert(key, value.as_deref()),
                EntryChange::Remove => entries.remove(&key[..]),
            };
        }
        MapWriter::cell_of(of, entries)
    }
}

impl MapChanges {
    /// True where nothing happens.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Does `next` after this. `hides`: what comes next puts another row, or none, in the row's place.
    pub fn then(&mut self, next: &MapChanges, hides: bool) {
        if hides {
            *self = next.clone();
            return;
        }
        for (column, change) in &next.0 {
            self.0.entry(*column).or_default().then(change);
        }
    }

    /// Bytes of keys and values, about.
    pub fn bytes(&self) -> usize {
        let entry = |(key, change): (&Bytes, &EntryChange)| match change {
            EntryChange::Put(Some(value)) => key.len() + value.len() + 8,
            EntryChange::Put(None) | EntryChange::Remove => key.len() + 8,
        };
        self.0.values().flat_map(|change| &change.entries).map(entry).sum()
    }

    /// Appends the bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let count = |out: &mut Vec<u8>, count: usize| {
            write_varint(out, u32::try_from(count).expect("sizes are checked to be under 1 GiB"));
        };
        count(out, self.0.len());
        for (column, change) in &self.0 {
            write_varint(out, column.0);
            out.push(change.clear as u8 | if change.keeps_older { KEEPS_OLDER } else { 0 });
            count(out, change.entries.len());
            for (key, entry) in &change.entries {
                count(out, key.len());
                out.extend_from_slice(key);
                match entry {
                    EntryChange::Put(None) => out.push(0),
                    EntryChange::Remove => out.push(1),
                    EntryChange::Put(Some(value)) => {
                        count(out, value.len() + 2);
                        out.extend_from_slice(value);
                    }
                }
            }
        }
    }

    /// Reads the bytes.
    pub fn decode(bytes: &Bytes) -> Result<Self, MalformedCells> {
        let mut reader = Reader { bytes, offset: 0 };
        let changes = reader.changes();
        match changes {
            Some(changes) if reader.offset == bytes.len() => Ok(changes),
            _ => Err(MalformedCells { offset: reader.offset }),
        }
    }
}

struct Reader<'a> {
    bytes: &'a Bytes,
    offset: usize,
}

impl Reader<'_> {
    fn changes(&mut self) -> Option<MapChanges> {
        let mut changes = MapChanges::default();
        for _ in 0..self.varint()? {
            let column = ColumnId(self.varint()?);
            let byte = self.byte()?;
            let keeps_older = byte & KEEPS_OLDER != 0;
            let clear = match byte & !KEEPS_OLDER {
                0 => Clear::Nothing,
                1 => Clear::Rest,
                2 => Clear::Range,
                _ => return None,
            };
            let mut change = MapChange { clear, keeps_older, entries: BTreeMap::new() };
            for _ in 0..self.varint()? {
                let size = self.varint()?;
                let key = self.take(size)?;
                let entry = match self.varint()? {
                    0 => EntryChange::Put(None),
                    1 => EntryChange::Remove,
                    size => EntryChange::Put(Some(self.take(size - 2)?)),
                };
                let ascends = change.entries.last_key_value().is_none_or(|(last, _)| *last < key);
                if !ascends {
                    return None;
                }
                change.entries.insert(key, entry);
            }
            let ascends = changes.0.last_key_value().is_none_or(|(last, _)| *last < column);
            if !ascends {
                return None;
            }
            changes.0.insert(column, change);
        }
        Some(changes)
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.offset)?;
        self.offset += 1;
        Some(byte)
    }

    fn varint(&mut self) -> Option<u32> {
        read_varint(self.bytes, &mut self.offset)
    }

    fn take(&mut self, size: u32) -> Option<Bytes> {
        let end = self.offset.checked_add(size as usize).filter(|end| *end <= self.bytes.len())?;
        let taken = self.bytes.slice(self.offset..end);
        self.offset = end;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(value: &'static str) -> EntryChange {
        EntryChange::Put(Some(value.into()))
    }

    fn change(clear: Clear, entries: &[(&'static str, EntryChange)]) -> MapChange {
        let entries = entries.iter().map(|(key, entry)| ((*key).into(), entry.clone())).collect();
        MapChange { clear, keeps_older: false, entries }
    }

    #[test]
    fn changes_round_trip_and_no_byte_string_panics() {
        let all = [("a", put("")), ("b", EntryChange::Put(None)), ("c", EntryChange::Remove)];
        let changes = MapChanges(BTreeMap::from([
            (ColumnId(2), change(Clear::Nothing, &all)),
            (ColumnId(300), change(Clear::Range, &[("k", put("value"))])),
            (ColumnId(301), change(Clear::Rest, &[])),
            (ColumnId(302), MapChange { keeps_older: true, ..change(Clear::Nothing, &all) }),
        ]));
        let mut bytes = Vec::new();
        changes.encode(&mut bytes);
        assert_eq!(MapChanges::decode(&bytes.clone().into()), Ok(changes));
        for at in 0..bytes.len() {
            assert!(MapChanges::decode(&bytes[..at].to_vec().into()).is_err());
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xff;
            let _ = MapChanges::decode(&damaged.into());
        }
    }

    #[test]
    fn a_change_applies_to_a_map_or_to_part_of_it() {
        let of = MapType::hstore();
        let cell = |entries: &[(&'static str, Option<&'static str>)]| {
            let bytes = |(key, value): &(&'static str, Option<&'static str>)| {
                (key.as_bytes(), value.map(str::as_bytes))
            };
            MapWriter::cell_of(&of, entries.iter().map(bytes)).unwrap()
        };
        let applied =
            |change: &MapChange, cell: Option<&[u8]>| change.applied_to(cell, &of).unwrap();
        let all = [("a", put("1")), ("b", EntryChange::Remove), ("c", EntryChange::Put(None))];
        let some = change(Clear::Nothing, &all);
        let before = cell(&[("b", Some("2")), ("d", Some("4"))]);
        let after = cell(&[("a", Some("1")), ("c", None), ("d", Some("4"))]);
        assert_eq!(applied(&some, Some(&before)), after);
        let only = cell(&[("a", Some("1")), ("c", None)]);
        assert_eq!(applied(&some, None), only);
        assert_eq!(applied(&change(Clear::Rest, &all), Some(&before)), only);
        assert_eq!(applied(&MapChange::default(), Some(&before)), before);
        let malformed = some.applied_to(Some(b"no map"), &of);
        assert!(matches!(malformed, Err(CellError::Malformed { size: 6, .. })), "{malformed:?}");
    }

    #[test]
    fn what_comes_next_counts_and_a_clear_forgets_what_was_before() {
        let mut first = change(Clear::Nothing, &[("a", put("1")), ("b", put("2"))]);
        first.then(&change(Clear::Nothing, &[("b", EntryChange::Remove), ("c", put("3"))]));
        let both = [("a", put("1")), ("b", EntryChange::Remove), ("c", put("3"))];
        assert_eq!(first, change(Clear::Nothing, &both));
        first.then(&change(Clear::Rest, &[("z", put("9"))]));
        first.then(&change(Clear::Nothing, &[("y", put("8"))]));
        assert_eq!(first, change(Clear::Rest, &[("y", put("8")), ("z", put("9"))]));
    }
}
