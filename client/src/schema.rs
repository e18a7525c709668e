//! A table as its tablets know it: columns with ids and types, the key, locality groups, constraints.
//! Names are for messages only; everything refers to columns by id.

mod gc;
mod locality_group;
mod purge;

pub use gc::{CellGc, GcMode};
pub use locality_group::{
    BlockFilter, GROUPS_MAX, GroupOptions, LocalityGroup, PageCodec, Timestamps,
};
pub use purge::{kept_micros, reads_micros};

use crate::expr::Expr;
use crate::ids::{ColumnId, LocalityGroupId, StorageId};
use crate::types::{DataType, MapType};
use crate::value::Value;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Versions and time a table can be read back at unless it says otherwise: one hour (rule 7).
pub const HISTORY_DEFAULT_MICROS: i64 = 3_600_000_000;

/// A table's schema at one version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableSchema {
    /// Which data this describes.
    pub storage: StorageId,
    /// Raised by every change; a tablet accepts calls at its current and previous one (rule 10).
    pub version: u32,
    /// The table's name, for messages.
    pub name: String,
    /// Live columns, ascending by id. Key columns are here too.
    pub columns: Vec<Column>,
    /// The primary key, in order. Empty: rows have hidden 16-byte keys chosen by the frontend.
    pub key: Vec<KeyColumn>,
    /// Locality groups; the first is `default` and holds every row's marker.
    pub groups: Vec<LocalityGroup>,
    /// CHECK constraints that tablets evaluate on the merged row under its lock.
    pub checks: Vec<Check>,
    /// How far back a read may go, in microseconds.
    pub history_micros: i64,
    /// The catalog has committed to it: what it has dropped may go. Until then a ROLLBACK may bring columns and
    /// groups back that it does not have.
    #[serde(default)]
    pub is_settled: bool,
    /// A tablet whose files take more bytes than this is split; `None`: as its server says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tablet_bytes_max: Option<u64>,
    /// What is deleted, overwritten or expired is in no file any more this long after, in microseconds (rule 13); `None`:
    /// it goes when that suits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purge_within_micros: Option<i64>,
    /// Columns that were dropped: cells of theirs that are still stored are of no use. Ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<ColumnId>,
}

/// The schemas that a table's tablets hold (rule 10).
#[derive(Clone, Debug, PartialEq)]
pub struct TableSchemas {
    /// The newest.
    pub current: Arc<TableSchema>,
    /// The one it replaced, if it replaced one.
    pub previous: Option<Arc<TableSchema>>,
}

impl From<Arc<TableSchema>> for TableSchemas {
    fn from(current: Arc<TableSchema>) -> Self {
        Self { current, previous: None }
    }
}

/// One column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// PostgreSQL's attnum.
    pub id: ColumnId,
    /// For messages.
    pub name: String,
    /// What its cells hold.
    pub data_type: DataType,
    /// NULL is refused with 23502.
    pub not_null: bool,
    /// Where its cells are stored. Key columns are stored in the key.
    pub group: LocalityGroupId,
    /// What a cell that was never written reads as: the constant DEFAULT of ADD COLUMN (rule 35). One that has
    /// expired reads as never written.
    pub missing: Value,
    /// Which versions of its cells are kept: its family says.
    #[serde(default, skip_serializing_if = "CellGc::is_default")]
    pub gc: CellGc,
}

/// One column of the primary key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyColumn {
    /// Which column.
    pub column: ColumnId,
    /// True for DESC.
    pub descending: bool,
}

/// A CHECK constraint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Its name, for 23514.
    pub name: String,
    /// What must not be false. NULL passes, as in SQL.
    pub expr: Expr,
}

impl Column {
    /// The type of a map column.
    pub fn map_type(&self) -> Option<&MapType> {
        match &self.data_type {
            DataType::Map(of) => Some(of),
            _ => None,
        }
    }

    /// True for a map column, whose entries are the rows of its locality group.
    pub fn is_map(&self) -> bool {
        self.map_type().is_some()
    }
}

impl TableSchema {
    /// The map column whose entries a locality group stores.
    pub fn map_in(&self, group: LocalityGroupId) -> Option<&Column> {
        self.columns.iter().find(|column| column.group == group && column.is_map())
    }

    /// The entries of a map column as a table of their own, whose rows the column's locality group stores: keys that are
    /// not taken apart, and one column of the map's values.
    pub fn of_entries(&self, column: &Column) -> Option<TableSchema> {
        let values = Column {
            data_type: column.map_type()?.value().clone(),
            missing: Value::Null,
            ..column.clone()
        };
        let groups = self.groups.iter().filter(|group| group.id == column.group).cloned();
        Some(TableSchema {
            columns: vec![values],
            key: Vec::new(),
            groups: groups.collect(),
            checks: Vec::new(),
            name: self.name.clone(),
            dropped: Vec::new(),
            ..*self
        })
    }

    /// How far back it can be read, in microseconds.
    pub fn kept_micros(&self) -> i64 {
        kept_micros(self.history_micros, self.purge_within_micros)
    }

    /// The column with this id.
    pub fn column(&self, id: ColumnId) -> Option<&Column> {
        self.columns.binary_search_by_key(&id, |column| column.id).ok().map(|i| &self.columns[i])
    }

    /// Where a column stands in the key, if it does.
    pub fn key_position(&self, id: ColumnId) -> Option<usize> {
        self.key.iter().position(|key| key.column == id)
    }

    /// The columns that are stored as cells: all but the key's.
    pub fn value_columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| self.key_position(column.id).is_none())
    }

    /// The locality group of a value column; `None` for a key column, which every group has.
    pub fn group_of(&self, id: ColumnId) -> Option<LocalityGroupId> {
        match self.key_position(id) {
            Some(_) => None,
            None => self.column(id).map(|column| column.group),
        }
    }

    /// The locality group with this id.
    pub fn group(&self, id: LocalityGroupId) -> Option<&LocalityGroup> {
        self.groups.iter().find(|group| group.id == id)
    }

    /// True for a column whose cells have timestamps of the client's.
    pub fn is_dated(&self, id: ColumnId) -> bool {
        let group = self.group_of(id).and_then(|group| self.group(group));
        group.is_some_and(|group| !group.timestamps.is_server())
    }

    /// True where cells of some columns have timestamps of the client's.
    pub fn has_dated(&self) -> bool {
        self.groups.iter().any(|group| !group.timestamps.is_server())
    }

    /// The type and direction of each key column, in key order.
    pub fn key_shape(&self) -> Vec<(DataType, bool)> {
        self.key
            .iter()
            .filter_map(|key| {
                self.column(key.column).map(|column| (column.data_type.clone(), key.descending))
            })
            .collect()
    }
}
