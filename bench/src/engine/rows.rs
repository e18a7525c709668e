//! The table, `(id int8 primary key, k int4, v int8, x float8, note text)`, and its rows in either engine's
//! form.
//!
//! RocksDB's form is what a careful user would write by hand: the key's bytes are Terrane's, and the value is
//! `k | v | x | note`, little-endian, without names, lengths or NULLs. Nothing is cheaper to decode.

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use terrane_client::ids::{ColumnId, LocalityGroupId, StorageId};
use terrane_client::key::KeyWriter;
use terrane_client::row::{CellsBuilder, PackedCells};
use terrane_client::schema::{Column as SchemaColumn, KeyColumn, LocalityGroup, TableSchema};
use terrane_client::types::DataType;
use terrane_client::value::Value;

/// The table's storage.
pub const TABLE: StorageId = StorageId::FIRST_USER;
/// Values of column k.
const GROUPS: i32 = 1_000;
/// Rows that are made from one seed.
const PIECE_ROWS: u64 = 8_192;

const ID: ColumnId = ColumnId(1);

/// A column that is not the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// int4, one of a thousand values.
    K,
    /// int8, 32 random bits.
    V,
    /// float8, an amount of money.
    X,
    /// text, 21 bytes, each another.
    Note,
}

impl Column {
    /// All, as they lie in a row.
    pub const ALL: [Column; 4] = [Column::K, Column::V, Column::X, Column::Note];

    /// In Terrane.
    pub fn id(self) -> ColumnId {
        ColumnId(self as u32 + 2)
    }
}

/// A row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The key.
    pub id: i64,
    /// See [`Column`].
    pub k: i32,
    /// See [`Column`].
    pub v: i64,
    /// See [`Column`].
    pub x: f64,
    /// See [`Column`].
    pub note: String,
}

impl Row {
    /// A row with random values.
    pub fn random(id: i64, random: &mut StdRng) -> Self {
        let (k, v) = (random.random_range(0..GROUPS), random.random::<u32>());
        let cents = random.random_range(0..10_000_000_u32);
        Self {
            id,
            k,
            v: i64::from(v),
            x: f64::from(cents) / 100.0,
            note: format!("row {id:010} of big"),
        }
    }
}

/// So many rows, ascending by key, the same in every run.
pub fn make(count: u64) -> Vec<Row> {
    let piece = |from: u64| {
        let mut random = StdRng::seed_from_u64(from);
        let ids = from..(from + PIECE_ROWS).min(count);
        ids.map(move |id| Row::random(id.cast_signed(), &mut random))
    };
    (0..count).step_by(PIECE_ROWS as usize).flat_map(piece).collect()
}

/// The table, as Terrane knows it. No history is kept: RocksDB keeps none.
pub fn schema() -> TableSchema {
    let column = |id, name: &str, data_type| SchemaColumn {
        id,
        name: name.to_owned(),
        data_type,
        not_null: true,
        group: LocalityGroupId::default(),
        missing: Value::Null,
        gc: Default::default(),
    };
    TableSchema {
        storage: TABLE,
        version: 1,
        name: "big".to_owned(),
        columns: vec![
            column(ID, "id", DataType::Int8),
            column(Column::K.id(), "k", DataType::Int4),
            column(Column::V.id(), "v", DataType::Int8),
            column(Column::X.id(), "x", DataType::Float8),
            column(Column::Note.id(), "note", DataType::Text),
        ],
        key: vec![KeyColumn { column: ID, descending: false }],
        groups: vec![LocalityGroup::default_group()],
        checks: Vec::new(),
        history_micros: 0,
        is_settled: true,
    }
}

/// A row's key, in both engines.
pub fn key(id: i64) -> [u8; 8] {
    (id.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

/// The key as a frontend makes it for Terrane.
pub fn terrane_key(id: i64) -> Bytes {
    let mut writer = KeyWriter::default();
    writer.push_i64(id, false);
    writer.finish().expect("eight bytes are no long key")
}

/// The other columns as Terrane takes them.
pub fn terrane_cells(row: &Row, builder: &mut CellsBuilder) -> PackedCells {
    builder.push(Column::K.id(), Some(&row.k.to_le_bytes()));
    builder.push(Column::V.id(), Some(&row.v.to_le_bytes()));
    builder.push(Column::X.id(), Some(&row.x.to_le_bytes()));
    builder.push(Column::Note.id(), Some(row.note.as_bytes()));
    builder.finish()
}

/// Column v of Terrane's cells.
pub fn terrane_v(cells: &PackedCells) -> Option<i64> {
    let cell = cells.get(Column::V.id())??;
    Some(i64::from_le_bytes(cell.try_into().ok()?))
}

/// The other columns as RocksDB gets them, into a buffer that is emptied first.
pub fn rocks_value(row: &Row, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&row.k.to_le_bytes());
    out.extend_from_slice(&row.v.to_le_bytes());
    out.extend_from_slice(&row.x.to_le_bytes());
    out.extend_from_slice(row.note.as_bytes());
}

/// A RocksDB value, taken apart. `None` where the bytes are not one.
pub struct RocksRow<'a> {
    /// See [`Column`].
    pub k: i32,
    /// See [`Column`].
    pub v: i64,
    /// See [`Column`].
    pub x: f64,
    note: &'a [u8],
}

impl<'a> RocksRow<'a> {
    /// Takes it apart.
    pub fn decode(value: &'a [u8]) -> Option<Self> {
        let (k, rest) = value.split_first_chunk()?;
        let (v, rest) = rest.split_first_chunk()?;
        let (x, note) = rest.split_first_chunk()?;
        let (k, v) = (i32::from_le_bytes(*k), i64::from_le_bytes(*v));
        Some(Self { k, v, x: f64::from_le_bytes(*x), note })
    }

    /// The note, if it is text.
    pub fn note(&self) -> Option<&'a str> {
        std::str::from_utf8(self.note).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_from_either_form() {
        let rows = make(PIECE_ROWS + 3);
        assert_eq!(rows.len() as u64, PIECE_ROWS + 3);
        assert_eq!(rows, make(PIECE_ROWS + 3));
        let row = &rows[PIECE_ROWS as usize + 1];
        let mut value = Vec::new();
        rocks_value(row, &mut value);
        let found = RocksRow::decode(&value).unwrap();
        assert_eq!((found.k, found.v, found.x), (row.k, row.v, row.x));
        assert_eq!(found.note(), Some(row.note.as_str()));
        assert!(RocksRow::decode(&value[..19]).is_none());
        assert_eq!(terrane_v(&terrane_cells(row, &mut CellsBuilder::default())), Some(row.v));
        for id in [-1, 0, 1, i64::MAX] {
            assert_eq!(terrane_key(id), key(id)[..]);
        }
    }
}
