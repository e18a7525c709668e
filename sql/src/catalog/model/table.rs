//! Tables.

use crate::catalog::model::{Families, FamilyId, History, HistoryStart, Index};
use crate::catalog::oid::Oid;
use crate::catalog::stored_sql::StoredSql;
use crate::functions::cast::convert::to_digits;
use crate::session::response::WireType;
use crate::types::oid;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use terrane_client::ids::{ColumnId, CommitTs, StorageId};
use terrane_client::schema::{
    CellGc, Check as TabletCheck, Column as TabletColumn, KeyColumn, LocalityGroup, TableSchema,
    kept_micros,
};
use terrane_client::types::DataType;
use terrane_client::value::Value;

/// A table.
///
/// Invariants: columns ascend by id, and dropped ones stay; key, constraints and indexes name live
/// columns only; a key column is NOT NULL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Its identifier, for life.
    pub oid: Oid,
    /// The identifier of its row type.
    pub row_type: Oid,
    /// The identifier of the array of its row type.
    pub row_array_type: Oid,
    /// The schema it is in.
    pub schema: Oid,
    /// Its name.
    pub name: Arc<str>,
    /// The role that owns it.
    pub owner: Oid,
    /// Permanent, or of one session.
    pub persistence: Persistence,
    /// Its data; TRUNCATE and ADD PRIMARY KEY give it another (rule 34).
    pub storage: StorageId,
    /// The version of the schema its tablets hold.
    pub schema_version: u32,
    /// All columns ever, ascending by id.
    pub columns: Vec<Column>,
    /// The primary key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary_key: Option<PrimaryKey>,
    /// Indexes, those of UNIQUE constraints among them, ascending by identifier.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<Index>,
    /// CHECK constraints, ascending by name: the order PostgreSQL evaluates them in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckConstraint>,
    /// Its families and locality groups.
    #[serde(default, skip_serializing_if = "Families::is_empty")]
    pub families: Families,
    /// How far back it can be read, in microseconds.
    pub history_micros: i64,
    /// The first time its storage can be read at.
    #[serde(default, skip_serializing_if = "HistoryStart::is_default")]
    pub history_start: HistoryStart,
    /// What is deleted or has expired is in no file any more so long after, in microseconds; `None`: nobody says when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purge_within_micros: Option<i64>,
    /// Bytes of files above which one of its tablets is split; `None`: as the server says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tablet_bytes_max: Option<u64>,
    /// The keys that tablets begin with where it gets a new storage, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub split_keys: Vec<Vec<u8>>,
    /// Options of WITH that are kept, as `name=value`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// COMMENT ON TABLE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// How long a relation lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Persistence {
    /// Until dropped.
    #[default]
    Permanent,
    /// Until its session ends.
    Temporary(OnCommit),
}

/// What COMMIT does to a temporary table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnCommit {
    /// Nothing.
    #[default]
    PreserveRows,
    /// Empties it.
    DeleteRows,
    /// Drops it.
    Drop,
}

/// A column: pg_attribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its attnum: never reused.
    pub id: ColumnId,
    /// Its name; of a dropped column, as PostgreSQL shows it (`........pg.dropped.2........`).
    pub name: Arc<str>,
    /// Its type.
    pub data_type: DataType,
    /// Fractional digits of a second, where fewer than six were declared: values are rounded to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<u8>,
    /// NULL is refused.
    pub not_null: bool,
    /// DEFAULT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<ColumnDefault>,
    /// GENERATED … AS IDENTITY.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// What a cell never written reads as (rule 35).
    pub missing: Value,
    /// DROP COLUMN was here.
    #[serde(default)]
    pub dropped: bool,
    /// `COLLATE "C"` or `"POSIX"`; all collations order alike (rule 39).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation: Option<String>,
    /// COMMENT ON COLUMN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The family it is in.
    #[serde(default, skip_serializing_if = "FamilyId::is_default")]
    pub family: FamilyId,
}

/// A DEFAULT: pg_attrdef.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnDefault {
    /// Its identifier.
    pub oid: Oid,
    /// The expression, as PostgreSQL would show it. Of an IDENTITY column: none is stored; the
    /// column's sequence gives its values.
    pub sql: StoredSql,
}

/// GENERATED … AS IDENTITY. Its sequence is the one owned by the column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Identity {
    /// ALWAYS: an explicit value is refused unless OVERRIDING SYSTEM VALUE.
    Always,
    /// BY DEFAULT.
    ByDefault,
}

/// The primary key. Its index has its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrimaryKey {
    /// The constraint's identifier.
    pub oid: Oid,
    /// The constraint's and the index's name.
    pub name: Arc<str>,
    /// The identifier of the index that stands for the order of the table.
    pub index_oid: Oid,
    /// The columns, in key order.
    pub columns: Vec<KeyColumn>,
    /// COMMENT ON CONSTRAINT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// COMMENT ON INDEX.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_comment: Option<String>,
}

/// A CHECK constraint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckConstraint {
    /// Its identifier.
    pub oid: Oid,
    /// Its name, unique in its table.
    pub name: Arc<str>,
    /// The expression, columns referred to by identifier.
    pub sql: StoredSql,
    /// COMMENT ON CONSTRAINT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

impl Column {
    /// A column without anything but a name and a type; its attnum is still to be given.
    pub fn nullable(name: &str, data_type: DataType) -> Self {
        Self {
            id: ColumnId(0),
            name: name.into(),
            data_type,
            precision: None,
            not_null: false,
            default: None,
            identity: None,
            missing: Value::Null,
            dropped: false,
            collation: None,
            comment: None,
            family: FamilyId::default(),
        }
    }

    /// A value as it is stored: rounded to the precision.
    pub fn rounded(&self, value: Value) -> Value {
        let Some(digits) = self.precision else { return value };
        match value {
            Value::Time(at) => Value::Time(to_digits(at, digits.into())),
            Value::Timestamp(at) => Value::Timestamp(to_digits(at, digits.into())),
            Value::TimestampTz(at) => Value::TimestampTz(to_digits(at, digits.into())),
            other => other,
        }
    }

    /// Its type with its modifier.
    pub fn wire_type(&self) -> WireType {
        let plain = oid::of(&self.data_type);
        self.precision.map_or(plain, |digits| oid::wire(plain.oid, digits.into()))
    }
}

impl Persistence {
    /// True for a session's own.
    pub fn is_temporary(self) -> bool {
        matches!(self, Self::Temporary(_))
    }
}

impl Table {
    /// The columns that are not dropped.
    pub fn live_columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| !column.dropped)
    }

    /// The column with this attnum, unless dropped.
    pub fn column(&self, id: ColumnId) -> Option<&Column> {
        let place = self.columns.binary_search_by_key(&id, |column| column.id).ok()?;
        Some(&self.columns[place]).filter(|column| !column.dropped)
    }

    /// The column with this name.
    pub fn column_by_name(&self, name: &str) -> Option<&Column> {
        self.live_columns().find(|column| &*column.name == name)
    }

    /// The column to change.
    pub(crate) fn column_mut(&mut self, id: ColumnId) -> Option<&mut Column> {
        self.columns.iter_mut().find(|column| column.id == id && !column.dropped)
    }

    /// The attnum the next column gets.
    pub fn next_column_id(&self) -> ColumnId {
        ColumnId(self.columns.last().map_or(1, |column| column.id.0 + 1))
    }

    /// The key's columns; empty where rows have hidden keys.
    pub fn key(&self) -> &[KeyColumn] {
        self.primary_key.as_ref().map_or(&[], |key| &key.columns)
    }

    /// Where a column stands in the primary key, if it does.
    pub fn key_position(&self, id: ColumnId) -> Option<usize> {
        self.key().iter().position(|key| key.column == id)
    }

    /// The unique indexes besides the primary key: DML keeps their hidden tables (rule 44).
    pub fn unique_indexes(&self) -> impl Iterator<Item = (&Index, StorageId)> {
        self.indexes.iter().filter_map(|index| Some((index, index.unique?)))
    }

    /// The index with this identifier.
    pub fn index(&self, oid: Oid) -> Option<&Index> {
        self.indexes.iter().find(|index| index.oid == oid)
    }

    /// Every storage this table has: its own and those of its unique indexes.
    pub fn storages(&self) -> impl Iterator<Item = StorageId> {
        std::iter::once(self.storage).chain(self.unique_indexes().map(|(_, storage)| storage))
    }

    /// Its SQL texts: defaults, checks, expressions and predicates of indexes.
    pub fn stored_sql(&self) -> Vec<&StoredSql> {
        let defaults = self.live_columns().filter_map(|column| Some(&column.default.as_ref()?.sql));
        let checks = self.checks.iter().map(|check| &check.sql);
        let indexes = self.indexes.iter().flat_map(Index::stored_sql);
        defaults.chain(checks).chain(indexes).collect()
    }

    /// What of it can be read.
    pub fn history(&self) -> History {
        History { kept_micros: self.kept_micros(), start: self.history_start }
    }

    /// As it is once the commit that writes it has a timestamp.
    pub fn committed(&self, commit: CommitTs) -> Self {
        Self { history_start: self.history_start.committed(commit), ..self.clone() }
    }

    /// Makes it readable so far back, from the commit to come on.
    pub fn set_history(&mut self, history_micros: i64) {
        let before = self.kept_micros();
        self.history_micros = history_micros;
        self.note_kept(before);
    }

    /// Lets what is dead be gone in time, or when that suits.
    pub fn set_purge_within(&mut self, purge_within_micros: Option<i64>) {
        let before = self.kept_micros();
        self.purge_within_micros = purge_within_micros;
        self.note_kept(before);
    }

    fn kept_micros(&self) -> i64 {
        kept_micros(self.history_micros, self.purge_within_micros)
    }

    /// It was readable so far back before; where that is more now, nothing comes back.
    fn note_kept(&mut self, before: i64) {
        if self.kept_micros() > before {
            self.history_start = self.history_start.lengthened(before);
        }
    }

    /// Types and directions of the key's columns.
    pub fn key_shape(&self) -> Vec<(DataType, bool)> {
        let columns = self.key().iter().filter_map(|key| {
            self.column(key.column).map(|column| (column.data_type.clone(), key.descending))
        });
        columns.collect()
    }

    /// It has another key: where it was to be cut means nothing for that.
    pub fn forget_split_keys(&mut self) {
        self.split_keys.clear();
        self.options.retain(|option| !option.starts_with("split_at="));
    }

    /// True where a constraint of this name exists.
    pub fn has_constraint(&self, name: &str) -> bool {
        self.primary_key.as_ref().is_some_and(|key| &*key.name == name)
            || self.checks.iter().any(|check| &*check.name == name)
            || self.indexes.iter().any(|index| index.constraint.is_some() && &*index.name == name)
    }

    /// Of each column that is in no family `default` its family's name.
    pub fn family_names(&self) -> HashMap<ColumnId, String> {
        let declared = self.live_columns().filter(|column| !column.family.is_default());
        let name = |family: FamilyId| self.families.name_of(family).to_owned();
        declared.map(|column| (column.id, name(column.family))).collect()
    }

    /// Its locality groups, as tablets know them. The markers of a map's group are its entries': they end as the map's
    /// family says.
    fn tablet_groups(&self) -> Vec<LocalityGroup> {
        let mut groups = self.families.tablet_groups();
        let is_map = |column: &&Column| column.data_type.is_map();
        for column in self.live_columns().filter(is_map) {
            let id = self.families.group_of(column.family);
            if let Some(group) = groups.iter_mut().find(|group| group.id == id) {
                group.marker_gc = self.families.gc_of(column.family);
            }
        }
        groups
    }

    /// The hidden tables of its unique indexes, as their tablets know them.
    pub fn index_schemas(&self) -> Vec<TableSchema> {
        self.indexes.iter().filter_map(|index| index.tablet_schema(self)).collect()
    }

    /// The table as its tablets know it. `checks` are the constraints of [`Table::checks`] that tablets
    /// can evaluate, compiled by the expression binder.
    pub fn tablet_schema(&self, checks: Vec<TabletCheck>) -> TableSchema {
        let columns = self.live_columns().map(|column| TabletColumn {
            id: column.id,
            name: column.name.to_string(),
            data_type: column.data_type.clone(),
            not_null: column.not_null,
            group: self.families.group_of(column.family),
            // A map column is never NULL: without entries it is an empty map (rule 35).
            missing: match column.data_type {
                DataType::Map(_) => Value::Map(Vec::new()),
                _ => column.missing.clone(),
            },
            gc: match self.key_position(column.id) {
                Some(_) => CellGc::default(),
                None => self.families.gc_of(column.family),
            },
        });
        let dropped = self.columns.iter().filter(|column| column.dropped);
        TableSchema {
            storage: self.storage,
            version: self.schema_version,
            name: self.name.to_string(),
            columns: columns.collect(),
            key: self.key().to_vec(),
            groups: self.tablet_groups(),
            checks,
            history_micros: self.history_micros,
            is_settled: true,
            tablet_bytes_max: self.tablet_bytes_max,
            purge_within_micros: self.purge_within_micros,
            dropped: dropped.map(|column| column.id).collect(),
        }
    }
}
