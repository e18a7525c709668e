//! The fixed-width columns of a row key, decoded for their column pages.

use super::block_builder::BlockBuilder;
use super::error::{Result, SstableError};
use super::schema::{FileColumn, WriterKeyColumn, WriterSchema};
use super::values::WIDTH_MAX;
use terrane_client::key::{KeyError, KeyReader};
use terrane_client::types::PhysicalType;

/// Decodes keys of one shape.
pub(crate) struct KeyCells {
    /// The key's columns up to the last one that has a page.
    key: Vec<WriterKeyColumn>,
    /// The last key's values: place in the dictionary, width, bytes.
    cells: Vec<(usize, usize, [u8; WIDTH_MAX])>,
}

impl KeyCells {
    pub(crate) fn new(schema: &WriterSchema, dictionary: &[FileColumn]) -> Self {
        let place = |key: &WriterKeyColumn| {
            dictionary.iter().position(|column| column.is_key && column.id == key.column)
        };
        let cells = schema
            .stored_key_columns()
            .filter_map(|key| {
                Some((place(key)?, key.data_type.physical().width()?, [0; WIDTH_MAX]))
            })
            .collect();
        let stored = schema.key.iter().rposition(|key| key.data_type.physical().width().is_some());
        let key = schema.key[..stored.map_or(0, |last| last + 1)].to_vec();
        Self { key, cells }
    }

    /// Decodes a key.
    pub(crate) fn decode(&mut self, key: &[u8]) -> Result<()> {
        self.try_decode(key).map_err(|error| SstableError::Refused(error.to_string()))
    }

    fn try_decode(&mut self, key: &[u8]) -> Result<(), KeyError> {
        let mut reader = KeyReader::new(key);
        let mut cells = self.cells.iter_mut();
        for column in &self.key {
            let descending = column.descending;
            let physical = column.data_type.physical();
            if physical.width().is_none() {
                reader.skip(&column.data_type, descending)?;
                continue;
            }
            let Some((_, width, cell)) = cells.next() else { break };
            let cell = &mut cell[..*width];
            match physical {
                PhysicalType::Bool => cell[0] = u8::from(reader.read_bool(descending)?),
                PhysicalType::Int2 => {
                    cell.copy_from_slice(&reader.read_i16(descending)?.to_le_bytes())
                }
                PhysicalType::Int4 => {
                    cell.copy_from_slice(&reader.read_i32(descending)?.to_le_bytes())
                }
                PhysicalType::Int8 => {
                    cell.copy_from_slice(&reader.read_i64(descending)?.to_le_bytes())
                }
                PhysicalType::Int16 => {
                    cell.copy_from_slice(&reader.read_i128(descending)?.to_le_bytes());
                }
                PhysicalType::Float4 => {
                    cell.copy_from_slice(&reader.read_f32(descending)?.to_le_bytes());
                }
                PhysicalType::Float8 => {
                    cell.copy_from_slice(&reader.read_f64(descending)?.to_le_bytes());
                }
                PhysicalType::Fixed16 => {
                    cell.copy_from_slice(&reader.read_fixed::<16>(descending)?);
                }
                PhysicalType::Int32 | PhysicalType::Bytes => {
                    return Err(KeyError::Mismatch(column.data_type.clone()));
                }
            }
        }
        Ok(())
    }

    /// Adds the last key's values to the row that is added next.
    pub(crate) fn add_to(&self, block: &mut BlockBuilder) -> Result<()> {
        for (column, width, cell) in &self.cells {
            if !block.add_key_cell(*column, &cell[..*width]) {
                return Err(SstableError::Refused("key column of another type".to_owned()));
            }
        }
        Ok(())
    }
}
