//! Some rows of a block, and the values of a column there.

use super::presence::Presence;
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use std::ops::Range;

/// Rows of a block, ascending.
#[derive(Clone, Debug)]
pub enum RowSelection<'a> {
    /// A range.
    Range(Range<u32>),
    /// These rows.
    Rows(&'a [u32]),
}

impl RowSelection<'_> {
    /// How many rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Range(rows) => rows.len(),
            Self::Rows(rows) => rows.len(),
        }
    }

    /// True where no row is selected.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `each` with the rows in order.
    pub(crate) fn for_each(&self, mut each: impl FnMut(u32)) {
        match self {
            Self::Range(rows) => rows.clone().for_each(each),
            Self::Rows(rows) => rows.iter().for_each(|row| each(*row)),
        }
    }

    /// One past the last row; 0 where none is selected.
    pub(crate) fn end(&self) -> u32 {
        match self {
            Self::Range(rows) => rows.end.max(rows.start),
            Self::Rows(rows) => rows.last().map_or(0, |last| last + 1),
        }
    }
}

/// A column's values, those of the rows that have one, in row order.
pub(crate) trait Dense {
    /// What they are unpacked to; the default stands where there is none.
    type Item: Copy + Default;
    /// Appends values.
    fn append(&self, range: Range<usize>, out: &mut Vec<Self::Item>);
    /// One value.
    fn get(&self, index: usize) -> Self::Item;
}

/// Where a selection takes fewer than one in this many of the rows it spans, they are unpacked one by one.
const SPARSE_SHARE: usize = 8;

/// The values of selected rows, and which have one.
pub(crate) fn collect<D: Dense>(
    presence: &Presence,
    selection: &RowSelection<'_>,
    dense: &D,
) -> (Vec<D::Item>, Option<NullBuffer>) {
    match selection {
        RowSelection::Range(rows) => {
            collect_range(presence, rows.start as usize..rows.end as usize, dense)
        }
        RowSelection::Rows(rows) => collect_rows(presence, rows, dense),
    }
}

fn collect_range<D: Dense>(
    presence: &Presence,
    rows: Range<usize>,
    dense: &D,
) -> (Vec<D::Item>, Option<NullBuffer>) {
    let mut values = Vec::with_capacity(rows.len());
    dense.append(presence.rank(rows.start)..presence.rank(rows.end), &mut values);
    if presence.is_all() {
        return (values, None);
    }
    let validity = validity(presence, &RowSelection::Range(rows.start as u32..rows.end as u32));
    if let Some(bitmap) = presence.some_values() {
        // From the back, every value moves to its row or stays: no second vector.
        let mut next = values.len();
        values.resize(rows.len(), D::Item::default());
        let mut free = rows.len();
        for row in bitmap.rows_in_reverse(rows.start, rows.end) {
            next -= 1;
            let place = row - rows.start;
            values[place] = values[next];
            values[place + 1..free].fill(D::Item::default());
            free = place;
        }
        values[..free].fill(D::Item::default());
    } else {
        values.resize(rows.len(), D::Item::default());
    }
    (values, validity)
}

fn collect_rows<D: Dense>(
    presence: &Presence,
    rows: &[u32],
    dense: &D,
) -> (Vec<D::Item>, Option<NullBuffer>) {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return (Vec::new(), None) };
    let has_value = |row: u32| presence.state(row as usize) == super::CellState::Value;
    let span = presence.rank(*first as usize)..presence.rank(*last as usize + 1);
    let values = if rows.len() * SPARSE_SHARE < span.len() {
        let value = |row: &u32| match has_value(*row) {
            true => dense.get(presence.rank(*row as usize)),
            false => D::Item::default(),
        };
        rows.iter().map(value).collect()
    } else {
        let mut all = Vec::with_capacity(span.len());
        dense.append(span.clone(), &mut all);
        let value = |row: &u32| match has_value(*row) {
            true => all[presence.rank(*row as usize) - span.start],
            false => D::Item::default(),
        };
        rows.iter().map(value).collect()
    };
    (values, validity(presence, &RowSelection::Rows(rows)))
}

/// Which selected rows have a value; `None` where all have.
pub(crate) fn validity(presence: &Presence, selection: &RowSelection<'_>) -> Option<NullBuffer> {
    let buffer = match (selection, presence.some_values()) {
        _ if presence.is_all() => return None,
        (_, None) => return Some(NullBuffer::new_null(selection.len())),
        (RowSelection::Range(rows), Some(bitmap)) => {
            let bytes = Buffer::from(bitmap.bytes().clone());
            BooleanBuffer::new(bytes, rows.start as usize, rows.len())
        }
        (RowSelection::Rows(rows), Some(bitmap)) => {
            BooleanBuffer::collect_bool(rows.len(), |i| bitmap.contains(rows[i] as usize))
        }
    };
    let nulls = NullBuffer::new(buffer);
    (nulls.null_count() > 0).then_some(nulls)
}
