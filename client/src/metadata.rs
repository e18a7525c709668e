//! METADATA's rows: for every tablet its range, owner and files.
//!
//! METADATA is an ordinary table keyed (table id, end key) whose first tablet, the [`root`], is described by a
//! value in the lock service ([`ROOT_KEY`]); the root has the rows of METADATA's other tablets, and those have the
//! rows of every other table's. An edit is conditional on the row's generation and version (rule 18).

pub mod codec;
pub mod edit;
pub mod events;
#[cfg(test)]
mod fixture;
pub mod merge;
pub mod root;
mod settled;
pub mod split;
pub mod tablet_rows;

pub use settled::settled;

use crate::ids::{ColumnId, CommitTs, Generation, LocalityGroupId, Seq, StorageId};
use crate::read::KeyRange;
use crate::schema::{Column, KeyColumn, LocalityGroup, TableSchema};
use crate::types::DataType;
use crate::value::Value;
use events::TabletEvent;
use merge::MergeIntent;
use serde::{Deserialize, Serialize};
use split::SplitIntent;

/// The lock-service key that holds the [`root`] tablet's [`TabletRow`], as JSON.
pub const ROOT_KEY: &str = "/terrane/root";
/// The lock-service prefix under which table schemas stand, by storage id, as JSON.
pub const SCHEMA_PREFIX: &str = "/terrane/schema/";

/// METADATA's columns.
pub mod column {
    use crate::ids::ColumnId;

    /// The tablet's table: first of the key.
    pub const TABLE: ColumnId = ColumnId(1);
    /// True where the tablet is its table's last: second of the key, so that it sorts last.
    pub const END_UNBOUNDED: ColumnId = ColumnId(2);
    /// First row key outside the tablet: third of the key.
    pub const END: ColumnId = ColumnId(3);
    /// The owner's generation.
    pub const GENERATION: ColumnId = ColumnId(4);
    /// Raised by every edit.
    pub const VERSION: ColumnId = ColumnId(5);
    /// The whole [`super::TabletRow`], as JSON.
    pub const STATE: ColumnId = ColumnId(6);
}

/// METADATA's schema.
pub fn schema() -> TableSchema {
    let column = |id: ColumnId, name: &str, data_type: DataType| Column {
        id,
        name: name.to_owned(),
        data_type,
        not_null: true,
        group: LocalityGroupId::default(),
        missing: Value::Null,
        gc: Default::default(),
    };
    let key = |column| KeyColumn { column, descending: false };
    // Every look for a tablet that no cache knows comes here (the paper, 6.9).
    let mut in_memory = LocalityGroup::default_group();
    in_memory.options.in_memory = true;
    TableSchema {
        storage: StorageId::METADATA,
        version: 1,
        name: "metadata".to_owned(),
        columns: vec![
            column(column::TABLE, "table_id", DataType::Int8),
            column(column::END_UNBOUNDED, "end_unbounded", DataType::Bool),
            column(column::END, "end_key", DataType::Bytea),
            column(column::GENERATION, "generation", DataType::Int8),
            column(column::VERSION, "version", DataType::Int8),
            column(column::STATE, "state", DataType::Jsonb),
        ],
        key: vec![key(column::TABLE), key(column::END_UNBOUNDED), key(column::END)],
        groups: vec![in_memory],
        checks: Vec::new(),
        // Nobody asks how tablets lay before: an hour of edits would be most of what it holds.
        history_micros: 0,
        is_settled: true,
        tablet_bytes_max: None,
        purge_within_micros: None,
        dropped: Vec::new(),
    }
}

/// Everything METADATA knows of one tablet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TabletRow {
    /// The table.
    pub table: StorageId,
    /// First key inside.
    pub start: Vec<u8>,
    /// First key outside; `None` is the table's last tablet.
    pub end: Option<Vec<u8>>,
    /// The server that serves it.
    pub server: String,
    /// The owner's generation.
    pub generation: Generation,
    /// Raised by every edit.
    pub version: u64,
    /// No record of this tablet has a greater sequence number in a published file.
    pub max_seq: Seq,
    /// No row of this tablet has a greater commit timestamp in a published file (rule 6).
    pub max_commit_ts: CommitTs,
    /// Reads below this are refused (rule 7).
    pub gc_floor: CommitTs,
    /// Files and redo points, one entry a locality group.
    pub groups: Vec<GroupRow>,
    /// The tablet is being split: the row stands for its two children ([`split::children`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<SplitIntent>,
    /// The tablet is being merged into its right neighbour ([`merge::union`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge: Option<MergeIntent>,
    /// Someone chose its first key: it is not merged with its left neighbour unless someone asks for that, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_start_chosen: bool,
    /// How far it is purged, if its table promises that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purged: Option<PurgeMark>,
    /// What has happened to it lately, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<TabletEvent>,
}

impl TabletRow {
    /// A tablet without files.
    pub fn empty(
        table: &TableSchema,
        start: Vec<u8>,
        end: Option<Vec<u8>>,
        server: &str,
        generation: Generation,
    ) -> Self {
        Self {
            table: table.storage,
            start,
            end,
            server: server.to_owned(),
            generation,
            version: 1,
            max_seq: Seq::default(),
            max_commit_ts: CommitTs::ABSENT,
            gc_floor: CommitTs::ABSENT,
            groups: table.groups.iter().map(|group| GroupRow::empty(group.id)).collect(),
            split: None,
            merge: None,
            is_start_chosen: false,
            purged: None,
            events: Vec::new(),
        }
    }

    /// A locality group's files and redo point; a group that has none yet is added.
    pub fn group_mut(&mut self, group: LocalityGroupId) -> &mut GroupRow {
        let place = self.groups.iter().position(|known| known.group == group);
        let place = place.unwrap_or_else(|| {
            self.groups.push(GroupRow::empty(group));
            self.groups.len() - 1
        });
        &mut self.groups[place]
    }

    /// A locality group's runs, newest first.
    pub fn runs_of(&self, group: LocalityGroupId) -> &[RunRow] {
        let known = self.groups.iter().find(|known| known.group == group);
        known.map_or(&[], |known| &known.runs)
    }

    /// The files of all locality groups.
    pub fn files(&self) -> impl Iterator<Item = &FileRow> {
        self.groups.iter().flat_map(|group| &group.runs).flat_map(|run| &run.files)
    }

    /// The keys of its rows.
    pub fn key_range(&self) -> KeyRange {
        KeyRange { start: self.start.clone().into(), end: self.end.clone().map(Into::into) }
    }

    /// True where the row key is inside the tablet.
    pub fn contains(&self, key: &[u8]) -> bool {
        key >= &self.start[..] && self.end.as_ref().is_none_or(|end| key < &end[..])
    }
}

/// How far a tablet is purged (rule 13).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PurgeMark {
    /// What was dead by then is in no file.
    pub to: CommitTs,
    /// When that was so: microseconds since 1970-01-01 UTC.
    pub done_at_micros: i64,
}

/// A locality group of a tablet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRow {
    /// Which group.
    pub group: LocalityGroupId,
    /// Everything up to and including this sequence number is in the runs (rule 14).
    pub redo_point: Seq,
    /// Runs, newest first.
    pub runs: Vec<RunRow>,
}

impl GroupRow {
    /// A locality group without files.
    pub fn empty(group: LocalityGroupId) -> Self {
        Self { group, redo_point: Seq::default(), runs: Vec::new() }
    }
}

/// A run: files with disjoint key ranges, ascending, that share an age.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRow {
    /// The files.
    pub files: Vec<FileRow>,
}

/// A reference to an SSTable, with the key bounds that apply to it here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRow {
    /// The file's name inside the server's table directory: `<generation>-<number>.sst`.
    pub name: String,
    /// Stored bytes.
    pub size_bytes: u64,
    /// Row versions inside.
    pub rows: u64,
    /// First key that counts.
    pub start: Vec<u8>,
    /// First key that no longer counts; `None` is unbounded.
    pub end: Option<Vec<u8>>,
    /// Smallest sequence number inside.
    pub min_seq: Seq,
    /// Largest sequence number inside.
    pub max_seq: Seq,
    /// Largest commit timestamp inside.
    pub max_commit_ts: CommitTs,
}
