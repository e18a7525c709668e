//! One row of a scan of versions while it is given out: a cell, or a time, after the other.

use super::Cell;
use crate::scan::map_entries::MapColumn;
use terrane_client::cell::MapWriter;
use terrane_client::columns::{CellVersion, RowBatch};
use terrane_client::error::TabletError;
use terrane_client::ids::CommitTs;
use terrane_client::read::{Selection, Versions};
use terrane_client::row::{CellsBuilder, Row};

/// See the module's documentation.
pub(super) struct OpenRow {
    key: Vec<u8>,
    /// The cells that live, by column and map key, newest first.
    cells: Vec<Cell>,
    rest: Rest,
}

/// What was not given out yet.
enum Rest {
    /// Places of selected cells.
    Cells(std::vec::IntoIter<usize>),
    /// Times at which selected cells were written, newest first.
    Times(std::vec::IntoIter<CommitTs>),
}

impl Cell {
    /// True of versions of one cell.
    fn is_of(&self, other: &Cell) -> bool {
        self.column == other.column && self.map_key == other.map_key
    }
}

impl OpenRow {
    /// A row of this version. `cells` come by column and map key, newest first.
    pub(super) fn new(
        key: Vec<u8>,
        version: CommitTs,
        cells: Vec<Cell>,
        versions: Versions,
        selection: Selection,
    ) -> Self {
        let most = selection.latest_n.map_or(usize::MAX, |most| most as usize);
        let (mut selected, mut first) = (Vec::new(), 0);
        for of_cell in cells.chunk_by(Cell::is_of) {
            let places = (first..).zip(of_cell);
            first += of_cell.len();
            let contained = places.filter(|(_, cell)| selection.contains(cell.written));
            selected.extend(contained.map(|(place, _)| place).take(most));
        }
        let rest = match versions {
            Versions::Cells(_) => Rest::Cells(selected.into_iter()),
            Versions::Newest | Versions::Rows(_) => {
                let mut times: Vec<CommitTs> =
                    selected.iter().map(|place| cells[*place].written).collect();
                if cells.is_empty() && selection.contains(version) && most > 0 {
                    times.push(version);
                }
                times.sort_unstable_by(|a, b| b.cmp(a));
                times.dedup();
                Rest::Times(times.into_iter())
            }
        };
        Self { key, cells, rest }
    }

    /// Adds the next of it to a batch, and tells how many bytes that are about; `None` at the end.
    pub(super) fn give(
        &mut self,
        batch: &mut RowBatch,
        shown_maps: &[MapColumn],
    ) -> Result<Option<usize>, TabletError> {
        match &mut self.rest {
            Rest::Cells(places) => {
                let Some(place) = places.next() else { return Ok(None) };
                let cell = &self.cells[place];
                let version = CellVersion {
                    column: cell.column,
                    map_key: cell.map_key.as_deref(),
                    written: cell.written,
                    value: cell.value.as_deref(),
                };
                batch.push_cell(&self.key, version)?;
                Ok(Some(cell.bytes()))
            }
            Rest::Times(times) => {
                let Some(then) = times.next() else { return Ok(None) };
                let row = self.at(then, shown_maps)?;
                batch.push(&self.key, &row)?;
                Ok(Some(row.cells.as_bytes().len()))
            }
        }
    }

    /// What was to be seen at a time of the cells that live now.
    fn at(&self, then: CommitTs, shown_maps: &[MapColumn]) -> Result<Row, TabletError> {
        let mut row = CellsBuilder::default();
        let mut maps = shown_maps.iter().peekable();
        for of_column in self.cells.chunk_by(|a, b| a.column == b.column) {
            let column = of_column[0].column;
            while let Some(map) = maps.next_if(|map| map.column < column) {
                row.push(map.column, Some(&map_at(map, &[], then)?));
            }
            if let Some(map) = maps.next_if(|map| map.column == column) {
                row.push(column, Some(&map_at(map, of_column, then)?));
            } else if of_column[0].map_key.is_none()
                && let Some(cell) = of_column.iter().find(|cell| cell.written <= then)
            {
                row.push(column, cell.value.as_deref());
            }
        }
        for map in maps {
            row.push(map.column, Some(&map_at(map, &[], then)?));
        }
        Ok(Row { version: then, cells: row.finish(), ..Row::default() })
    }
}

/// A map as it was to be seen at a time, as a cell.
fn map_at(map: &MapColumn, entries: &[Cell], then: CommitTs) -> Result<Vec<u8>, TabletError> {
    let seen = entries
        .chunk_by(Cell::is_of)
        .filter_map(|versions| versions.iter().find(|cell| cell.written <= then))
        .map(|entry| (entry.map_key.as_deref().unwrap_or_default(), entry.value.as_deref()));
    MapWriter::cell_of(&map.of, seen).map_err(|error| map.of_cell(error))
}
