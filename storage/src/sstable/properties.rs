//! A file's properties: names and values, so that new ones need no new format.
//!
//! ```text
//! section := count u32 | per property, ascending by name: name length u16 | value length u32 | name | value
//! ```
//!
//! Numbers are 8 bytes. `history`, in files that have a history part, is: reference of its top index | blocks u32 | rows u64.
//! Names that a reader does not know are kept and ignored; those with the prefix
//! `user.` belong to the engine above.

use super::error::Malformed;
use super::format::PageRef;
use super::input::Input;
use bytes::Bytes;
use std::collections::BTreeMap;
use terrane_client::ids::{CommitTs, LocalityGroupId, Seq, StorageId};

/// What precedes the names given to [`super::SstableWriter::set_property`].
const USER_PREFIX: &str = "user.";

/// The name of [`Properties::history`].
pub(crate) const HISTORY: &str = "history";

/// The history part of a file: where its index is, and what is in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryPart {
    pub(crate) top_index: PageRef,
    /// Its blocks.
    pub blocks: u32,
    /// Row versions in them, which are among [`Properties::rows`].
    pub rows: u64,
}

impl HistoryPart {
    const BYTES: usize = PageRef::BYTES + 12;

    fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(Self::BYTES);
        self.top_index.encode(&mut out);
        out.extend_from_slice(&self.blocks.to_le_bytes());
        out.extend_from_slice(&self.rows.to_le_bytes());
        out.into()
    }

    fn decode(value: Bytes) -> Result<Self, Malformed> {
        let mut input = Input::new(value);
        let top_index = PageRef::decode(&mut input)?;
        let part = Self { top_index, blocks: input.u32()?, rows: input.u64()? };
        input.finish()?;
        Ok(part)
    }
}

/// What a file says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// The table.
    pub storage: u64,
    /// The locality group.
    pub group: u64,
    /// The table's schema version when the file was written.
    pub schema_version: u64,
    /// Row versions.
    pub rows: u64,
    /// Distinct row keys.
    pub keys: u64,
    /// Cells, explicit NULLs included, without those of key columns.
    pub cells: u64,
    /// Row versions that carry ROW_DELETE.
    pub deletes: u64,
    /// Bytes of keys and cells before encoding.
    pub raw_bytes: u64,
    /// Smallest sequence number.
    pub min_seq: u64,
    /// Largest sequence number.
    pub max_seq: u64,
    /// Smallest commit timestamp of a row.
    pub min_commit_ts: i64,
    /// Largest commit timestamp of a row or range tombstone.
    pub max_commit_ts: i64,
    /// Where the versions are that newer ones in the file hide, if it keeps them apart.
    pub history: Option<HistoryPart>,
    /// The engine's own: see [`super::SstableWriter::set_property`].
    pub user: BTreeMap<String, Bytes>,
}

impl Properties {
    /// The table.
    pub fn storage_id(&self) -> StorageId {
        StorageId(self.storage)
    }

    /// The locality group.
    pub fn locality_group(&self) -> LocalityGroupId {
        LocalityGroupId(u16::try_from(self.group).unwrap_or(u16::MAX))
    }

    /// Smallest and largest sequence number.
    pub fn seq_range(&self) -> (Seq, Seq) {
        (Seq(self.min_seq), Seq(self.max_seq))
    }

    /// Smallest and largest commit timestamp.
    pub fn commit_ts_range(&self) -> (CommitTs, CommitTs) {
        (CommitTs(self.min_commit_ts), CommitTs(self.max_commit_ts))
    }

    fn numbers(&mut self) -> [(&'static str, &mut u64); 10] {
        [
            ("cells", &mut self.cells),
            ("deletes", &mut self.deletes),
            ("group", &mut self.group),
            ("keys", &mut self.keys),
            ("max_seq", &mut self.max_seq),
            ("min_seq", &mut self.min_seq),
            ("raw_bytes", &mut self.raw_bytes),
            ("rows", &mut self.rows),
            ("schema_version", &mut self.schema_version),
            ("storage", &mut self.storage),
        ]
    }

    fn timestamps(&mut self) -> [(&'static str, &mut i64); 2] {
        [("max_commit_ts", &mut self.max_commit_ts), ("min_commit_ts", &mut self.min_commit_ts)]
    }

    /// Appends the section.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut copy = self.clone();
        let mut all: BTreeMap<String, Bytes> = BTreeMap::new();
        for (name, value) in copy.numbers() {
            all.insert(name.to_owned(), Bytes::copy_from_slice(&value.to_le_bytes()));
        }
        for (name, value) in copy.timestamps() {
            all.insert(name.to_owned(), Bytes::copy_from_slice(&value.to_le_bytes()));
        }
        if let Some(history) = &self.history {
            all.insert(HISTORY.to_owned(), history.encode());
        }
        for (name, value) in &self.user {
            all.insert(format!("{USER_PREFIX}{name}"), value.clone());
        }
        out.extend_from_slice(&(all.len() as u32).to_le_bytes());
        for (name, value) in all {
            out.extend_from_slice(&(name.len() as u16).to_le_bytes());
            out.extend_from_slice(&(value.len() as u32).to_le_bytes());
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(&value);
        }
    }

    /// Parses a section.
    pub(crate) fn decode(section: Bytes) -> Result<Self, Malformed> {
        let mut input = Input::new(section);
        let count = input.count(6)?;
        let mut all: BTreeMap<String, Bytes> = BTreeMap::new();
        for _ in 0..count {
            let (name_len, value_len) = (usize::from(input.u16()?), input.u32()? as usize);
            let name = String::from_utf8(input.take(name_len)?.to_vec())
                .map_err(|_| Malformed("property name is not text"))?;
            all.insert(name, input.take(value_len)?);
        }
        input.finish()?;
        let number = |name: &str| -> Result<[u8; 8], Malformed> {
            let value = all.get(name).ok_or(Malformed("a property is missing"))?;
            value[..].try_into().map_err(|_| Malformed("a property is no number"))
        };
        let mut properties = Self::default();
        for (name, value) in properties.numbers() {
            *value = u64::from_le_bytes(number(name)?);
        }
        for (name, value) in properties.timestamps() {
            *value = i64::from_le_bytes(number(name)?);
        }
        properties.history =
            all.get(HISTORY).map(|value| HistoryPart::decode(value.clone())).transpose()?;
        for (name, value) in all {
            if let Some(name) = name.strip_prefix(USER_PREFIX) {
                properties.user.insert(name.to_owned(), value);
            }
        }
        Ok(properties)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_round_trip_and_unknown_ones_are_ignored() {
        let mut properties = Properties { rows: 7, min_commit_ts: -3, ..Properties::default() };
        properties.user.insert("requests".to_owned(), Bytes::from_static(b"abc"));
        properties.history = Some(HistoryPart { blocks: 3, rows: 4, ..HistoryPart::default() });
        let mut section = Vec::new();
        properties.encode(&mut section);
        assert_eq!(Properties::decode(section.clone().into()).unwrap(), properties);

        let count = u32::from_le_bytes(section[..4].try_into().unwrap()) + 1;
        section[..4].copy_from_slice(&count.to_le_bytes());
        section.extend_from_slice(&[1, 0, 2, 0, 0, 0, b'z', 1, 2]);
        assert_eq!(Properties::decode(section.clone().into()).unwrap(), properties);
        section.pop();
        assert!(Properties::decode(section.into()).is_err());
    }
}
