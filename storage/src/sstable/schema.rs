//! The columns of a file: what a writer is told of them, and the dictionary that a reader finds.
//!
//! ```text
//! section := count u32 | per column, ascending by id: id u32 | physical type u8 | flags u8 | zero u16
//!                                                     | zone map reference
//! flags      1 the column is part of the row key: its cells repeat what the key says
//! ```
//!
//! Key columns of fixed width are written as column pages too, decoded from the key by the writer
//! itself, so that scans need not decode keys. They are not among a row's cells.

use super::error::Malformed;
use super::format::PageRef;
use super::input::Input;
use bytes::Bytes;
use terrane_client::ids::{ColumnId, LocalityGroupId, StorageId};
use terrane_client::schema::TableSchema;
use terrane_client::types::{DataType, PhysicalType};

/// What a writer must know of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct WriterSchema {
    /// The table.
    pub storage: StorageId,
    /// The schema's version.
    pub version: u32,
    /// The locality group the file belongs to.
    pub group: LocalityGroupId,
    /// The columns that get pages, ascending by id. Cells of others go to the exceptions page.
    pub columns: Vec<(ColumnId, PhysicalType)>,
    /// The primary key, in key order, to decode keys by. Empty: keys are opaque.
    pub key: Vec<WriterKeyColumn>,
}

/// One column of the primary key.
#[derive(Clone, Debug, PartialEq)]
pub struct WriterKeyColumn {
    /// Which column.
    pub column: ColumnId,
    /// Its type.
    pub data_type: DataType,
    /// True for DESC.
    pub descending: bool,
}

impl WriterSchema {
    /// What the files of one locality group of a table hold: rows, or the entries of a map column.
    pub fn new(schema: &TableSchema, group: LocalityGroupId) -> Self {
        let entries = schema.map_in(group).and_then(|column| schema.of_entries(column));
        let schema = entries.as_ref().unwrap_or(schema);
        let columns = schema
            .value_columns()
            .filter(|column| column.group == group)
            .map(|column| (column.id, column.data_type.physical()))
            .collect();
        let key = schema
            .key
            .iter()
            .filter_map(|key| {
                Some(WriterKeyColumn {
                    column: key.column,
                    data_type: schema.column(key.column)?.data_type.clone(),
                    descending: key.descending,
                })
            })
            .collect();
        Self { storage: schema.storage, version: schema.version, group, columns, key }
    }

    /// The dictionary: value columns and the key columns that get pages.
    pub(crate) fn dictionary(&self) -> Vec<FileColumn> {
        let values = self.columns.iter().map(|(id, physical)| (*id, *physical, false));
        let keys = self.stored_key_columns().map(|key| {
            let physical = key.data_type.physical();
            (key.column, physical, true)
        });
        let mut columns: Vec<FileColumn> = values
            .chain(keys)
            .map(|(id, physical, is_key)| FileColumn {
                id,
                physical,
                is_key,
                zones: PageRef::default(),
            })
            .collect();
        columns.sort_by_key(|column| column.id);
        columns
    }

    /// The key columns that get pages.
    pub(crate) fn stored_key_columns(&self) -> impl Iterator<Item = &WriterKeyColumn> {
        self.key.iter().filter(|key| key.data_type.physical().width().is_some())
    }
}

/// A column of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileColumn {
    /// Its id.
    pub id: ColumnId,
    /// How its values are stored.
    pub physical: PhysicalType,
    /// True where it is part of the row key.
    pub is_key: bool,
    pub(crate) zones: PageRef,
}

const FLAG_KEY: u8 = 1;

/// Codes of physical types, never reused.
const PHYSICAL_CODES: [(PhysicalType, u8); 10] = [
    (PhysicalType::Bool, 1),
    (PhysicalType::Int2, 2),
    (PhysicalType::Int4, 3),
    (PhysicalType::Int8, 4),
    (PhysicalType::Int16, 5),
    (PhysicalType::Int32, 6),
    (PhysicalType::Float4, 7),
    (PhysicalType::Float8, 8),
    (PhysicalType::Fixed16, 9),
    (PhysicalType::Bytes, 10),
];

/// The physical type of a stored code.
pub(crate) fn physical_of(code: u8) -> Result<PhysicalType, Malformed> {
    let found = PHYSICAL_CODES.iter().find(|(_, known)| *known == code);
    found.map(|(physical, _)| *physical).ok_or(Malformed("unknown physical type"))
}

/// The stored code of a physical type.
pub(crate) fn code_of(physical: PhysicalType) -> u8 {
    let found = PHYSICAL_CODES.iter().find(|(known, _)| *known == physical);
    found.map(|(_, code)| *code).expect("every physical type has a code: a test says so")
}

/// Appends the dictionary.
pub(crate) fn encode(columns: &[FileColumn], out: &mut Vec<u8>) {
    out.extend_from_slice(&(columns.len() as u32).to_le_bytes());
    for column in columns {
        out.extend_from_slice(&column.id.0.to_le_bytes());
        out.extend_from_slice(&[
            code_of(column.physical),
            u8::from(column.is_key) * FLAG_KEY,
            0,
            0,
        ]);
        column.zones.encode(out);
    }
}

/// Parses a dictionary.
pub(crate) fn decode(section: Bytes) -> Result<Vec<FileColumn>, Malformed> {
    let mut input = Input::new(section);
    let count = input.count(8 + PageRef::BYTES)?;
    let mut columns: Vec<FileColumn> = Vec::with_capacity(count);
    for _ in 0..count {
        let id = ColumnId(input.u32()?);
        let physical = physical_of(input.u8()?)?;
        let flags = input.u8()?;
        let zero = input.u16()?;
        let ascends = columns.last().map_or(id.0 > 0, |last| last.id < id);
        if flags & !FLAG_KEY != 0 || zero != 0 || !ascends {
            return Err(Malformed("column dictionary is not of this format"));
        }
        let zones = PageRef::decode(&mut input)?;
        columns.push(FileColumn { id, physical, is_key: flags & FLAG_KEY != 0, zones });
    }
    input.finish()?;
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_physical_type_has_its_own_code() {
        let mut codes: Vec<u8> =
            PHYSICAL_CODES.iter().map(|(physical, _)| code_of(*physical)).collect();
        codes.dedup();
        assert_eq!(codes.len(), PHYSICAL_CODES.len());
        for (physical, code) in PHYSICAL_CODES {
            assert_eq!(physical_of(code), Ok(physical));
        }
        assert!(physical_of(0).is_err());
    }
}
