//! The two tables the catalog itself is stored in.
//!
//! | storage | key | columns |
//! |---|---|---|
//! | [`StorageId::CATALOG`] | kind int4, oid int8 | body text: the object as JSON |
//! | [`StorageId::SEQUENCES`] | id int8 | last int8, called bool |

use bytes::Bytes;
use terrane_client::ids::{ColumnId, LocalityGroupId, StorageId};
use terrane_client::key::{self, KeyError};
use terrane_client::schema::{
    Column, HISTORY_DEFAULT_MICROS, KeyColumn, LocalityGroup, TableSchema,
};
use terrane_client::types::DataType;
use terrane_client::value::Value;

/// Columns of the catalog table.
pub(crate) mod catalog_column {
    use terrane_client::ids::ColumnId;

    /// What kind of row it is.
    pub const KIND: ColumnId = ColumnId(1);
    /// Which object.
    pub const OID: ColumnId = ColumnId(2);
    /// The object as JSON.
    pub const BODY: ColumnId = ColumnId(3);
}

/// Columns of the counters table.
pub(crate) mod counter_column {
    use terrane_client::ids::ColumnId;

    /// Which counter.
    pub const ID: ColumnId = ColumnId(1);
    /// The last value taken, or the first to be taken where `CALLED` is false.
    pub const LAST: ColumnId = ColumnId(2);
    /// False until the first value is taken.
    pub const CALLED: ColumnId = ColumnId(3);
}

/// The version every system table's schema has.
pub(crate) const SCHEMA_VERSION: u32 = 1;

fn column(id: ColumnId, name: &str, data_type: DataType) -> Column {
    let name = name.to_owned();
    let group = LocalityGroupId::default();
    Column {
        id,
        name,
        data_type,
        not_null: true,
        group,
        missing: Value::Null,
        gc: Default::default(),
    }
}

fn table(storage: StorageId, name: &str, columns: Vec<Column>, key: &[ColumnId]) -> TableSchema {
    TableSchema {
        storage,
        version: SCHEMA_VERSION,
        name: name.to_owned(),
        columns,
        key: key.iter().map(|id| KeyColumn { column: *id, descending: false }).collect(),
        groups: vec![LocalityGroup::default_group()],
        checks: Vec::new(),
        history_micros: HISTORY_DEFAULT_MICROS,
        is_settled: true,
        tablet_bytes_max: None,
        purge_within_micros: None,
        dropped: Vec::new(),
    }
}

/// The catalog table's schema.
pub fn catalog_schema() -> TableSchema {
    let columns = vec![
        column(catalog_column::KIND, "kind", DataType::Int4),
        column(catalog_column::OID, "oid", DataType::Int8),
        column(catalog_column::BODY, "body", DataType::Text),
    ];
    let key = [catalog_column::KIND, catalog_column::OID];
    table(StorageId::CATALOG, "catalog", columns, &key)
}

/// The counters table's schema.
pub fn counters_schema() -> TableSchema {
    let columns = vec![
        column(counter_column::ID, "id", DataType::Int8),
        column(counter_column::LAST, "last", DataType::Int8),
        column(counter_column::CALLED, "called", DataType::Bool),
    ];
    table(StorageId::SEQUENCES, "counters", columns, &[counter_column::ID])
}

/// A row key of the catalog table.
pub(crate) fn catalog_key(kind: i32, oid: u32) -> Result<Bytes, KeyError> {
    let values = [Value::Int4(kind), Value::Int8(i64::from(oid))];
    key::encode(&values, &catalog_schema().key_shape())
}

/// A row key of the counters table.
pub(crate) fn counter_key(id: StorageId) -> Result<Bytes, KeyError> {
    let id = i64::try_from(id.0).map_err(|_| KeyError::OutOfRange(DataType::Int8))?;
    key::encode(&[Value::Int8(id)], &counters_schema().key_shape())
}
