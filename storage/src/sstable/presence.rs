//! Which rows of a block have a value in a column, which an explicit NULL, and which nothing.
//!
//! ```text
//! presence := kind u8 | null kind u8 | zero u16 | values u32 | body | null body
//! kind       0 every row, 1 no row, 2 bitmap, 3 list of rows with a value, 4 list of rows without
//! null kind  0 no row, 1 every row without a value, 2 bitmap, 3 list of rows
//! bitmap     whole 64-bit words, least significant bit first
//! list       count u32, rows u16 ascending
//! ```
//!
//! `values` is the number of rows with a value. A row is never in both sets; a row in neither has no
//! cell: an older version may have one.

use super::bitmap::{Bitmap, BitmapBuilder, bitmap_len};
use super::error::Malformed;
use super::input::Input;

/// A cell's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellState {
    /// Never written by this row version.
    Absent,
    /// Written as NULL.
    Null,
    /// Written with a value.
    Value,
}

#[derive(Clone, Debug)]
enum RowSet {
    All,
    None,
    Some(Bitmap),
}

impl RowSet {
    fn contains(&self, row: usize) -> bool {
        match self {
            RowSet::All => true,
            RowSet::None => false,
            RowSet::Some(bitmap) => bitmap.contains(row),
        }
    }
}

/// The states of one column's cells.
#[derive(Clone, Debug)]
pub(crate) struct Presence {
    rows: usize,
    values: RowSet,
    nulls: RowSet,
}

const KIND_ALL: u8 = 0;
const KIND_NONE: u8 = 1;
const KIND_BITMAP: u8 = 2;
const KIND_LIST: u8 = 3;
const KIND_LIST_WITHOUT: u8 = 4;

const NULLS_NONE: u8 = 0;
const NULLS_REST: u8 = 1;
const NULLS_BITMAP: u8 = 2;
const NULLS_LIST: u8 = 3;

/// Appends the coded form.
pub(crate) fn encode(
    values: &BitmapBuilder,
    nulls: &BitmapBuilder,
    rows: usize,
    out: &mut Vec<u8>,
) {
    let fits_list = |count: usize| 4 + count * 2 < bitmap_len(rows);
    let without = rows - values.ones();
    let kind = match values.ones() {
        ones if ones == rows => KIND_ALL,
        0 => KIND_NONE,
        ones if fits_list(ones) => KIND_LIST,
        _ if fits_list(without) => KIND_LIST_WITHOUT,
        _ => KIND_BITMAP,
    };
    let null_kind = match nulls.ones() {
        0 => NULLS_NONE,
        ones if ones == without => NULLS_REST,
        ones if fits_list(ones) => NULLS_LIST,
        _ => NULLS_BITMAP,
    };
    out.extend_from_slice(&[kind, null_kind, 0, 0]);
    out.extend_from_slice(&(values.ones() as u32).to_le_bytes());
    match kind {
        KIND_BITMAP => values.encode(rows, out),
        KIND_LIST => encode_list(values.ones(), values.rows(), out),
        KIND_LIST_WITHOUT => {
            let with = values.finish(rows).inverted(rows);
            encode_list(without, with.rows_in(0, rows), out);
        }
        _ => {}
    }
    match null_kind {
        NULLS_BITMAP => nulls.encode(rows, out),
        NULLS_LIST => encode_list(nulls.ones(), nulls.rows(), out),
        _ => {}
    }
}

fn encode_list(count: usize, rows: impl Iterator<Item = usize>, out: &mut Vec<u8>) {
    out.extend_from_slice(&(count as u32).to_le_bytes());
    out.extend(rows.flat_map(|row| (row as u16).to_le_bytes()));
}

impl Presence {
    /// Parses the coded form.
    pub(crate) fn decode(input: &mut Input, rows: usize) -> Result<Self, Malformed> {
        let (kind, null_kind, zero) = (input.u8()?, input.u8()?, input.u16()?);
        let count = input.u32()? as usize;
        if zero != 0 {
            return Err(Malformed("presence is not of this format"));
        }
        let values = match kind {
            KIND_ALL => RowSet::All,
            KIND_NONE => RowSet::None,
            KIND_BITMAP => RowSet::Some(Bitmap::decode(input, rows)?),
            KIND_LIST => RowSet::Some(Bitmap::decode_list(input, rows)?),
            KIND_LIST_WITHOUT => RowSet::Some(Bitmap::decode_list(input, rows)?.inverted(rows)),
            _ => return Err(Malformed("unknown presence")),
        };
        let nulls = match (null_kind, &values) {
            (NULLS_NONE, _) | (NULLS_REST, RowSet::All) => RowSet::None,
            (NULLS_REST, RowSet::None) => RowSet::All,
            (NULLS_REST, RowSet::Some(values)) => RowSet::Some(values.inverted(rows)),
            (NULLS_BITMAP, _) => RowSet::Some(Bitmap::decode(input, rows)?),
            (NULLS_LIST, _) => RowSet::Some(Bitmap::decode_list(input, rows)?),
            _ => return Err(Malformed("unknown NULL set")),
        };
        let overlap = match (&values, &nulls) {
            (RowSet::All, RowSet::Some(nulls)) => nulls.ones() > 0,
            (RowSet::Some(values), RowSet::Some(nulls)) => values.intersects(nulls),
            _ => false,
        };
        if overlap {
            return Err(Malformed("a cell is both NULL and a value"));
        }
        let presence = Self { rows, values, nulls };
        match presence.value_count() == count {
            true => Ok(presence),
            false => Err(Malformed("presence does not hold as many values as it says")),
        }
    }

    /// A column without any cell.
    pub(crate) fn absent(rows: usize) -> Self {
        Self { rows, values: RowSet::None, nulls: RowSet::None }
    }

    /// Rows with a value.
    pub(crate) fn value_count(&self) -> usize {
        self.count(&self.values)
    }

    /// Rows with an explicit NULL.
    pub(crate) fn null_count(&self) -> usize {
        self.count(&self.nulls)
    }

    fn count(&self, set: &RowSet) -> usize {
        match set {
            RowSet::All => self.rows,
            RowSet::None => 0,
            RowSet::Some(bitmap) => bitmap.ones(),
        }
    }

    /// A cell's state.
    #[inline]
    pub(crate) fn state(&self, row: usize) -> CellState {
        if self.values.contains(row) {
            CellState::Value
        } else if self.nulls.contains(row) {
            CellState::Null
        } else {
            CellState::Absent
        }
    }

    /// How many rows before `row` have a value: where the row's value stands among the column's.
    #[inline]
    pub(crate) fn rank(&self, row: usize) -> usize {
        match &self.values {
            RowSet::All => row,
            RowSet::None => 0,
            RowSet::Some(bitmap) => bitmap.rank(row),
        }
    }

    /// The rows with a value, where they are some of the rows.
    pub(crate) fn some_values(&self) -> Option<&Bitmap> {
        match &self.values {
            RowSet::Some(bitmap) => Some(bitmap),
            _ => None,
        }
    }

    /// True where every row has a value.
    pub(crate) fn is_all(&self) -> bool {
        matches!(self.values, RowSet::All)
    }

    /// The rows without a cell, where they are some of the rows.
    pub(crate) fn absent_rows(&self) -> Bitmap {
        let or_empty = |set: &RowSet| match set {
            RowSet::All => BitmapBuilder::default().finish(self.rows).inverted(self.rows),
            RowSet::None => BitmapBuilder::default().finish(self.rows),
            RowSet::Some(bitmap) => bitmap.clone(),
        };
        or_empty(&self.values).neither(&or_empty(&self.nulls), self.rows)
    }

    /// Memory taken.
    pub(crate) fn resident_bytes(&self) -> usize {
        let of = |set: &RowSet| match set {
            RowSet::Some(bitmap) => bitmap.bytes().len() + bitmap.extra_bytes(),
            _ => 0,
        };
        of(&self.values) + of(&self.nulls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn coded(states: &[CellState]) -> (Vec<u8>, Presence) {
        let (mut values, mut nulls) = (BitmapBuilder::default(), BitmapBuilder::default());
        for (row, state) in states.iter().enumerate() {
            match state {
                CellState::Absent => {}
                CellState::Null => nulls.set(row),
                CellState::Value => values.set(row),
            }
        }
        let mut bytes = Vec::new();
        encode(&values, &nulls, states.len(), &mut bytes);
        let mut input = Input::new(bytes.clone().into());
        let presence = Presence::decode(&mut input, states.len()).unwrap();
        input.finish().unwrap();
        (bytes, presence)
    }

    fn check(states: &[CellState]) {
        let (_, presence) = coded(states);
        let count = |wanted| states.iter().filter(|state| **state == wanted).count();
        assert_eq!(presence.value_count(), count(CellState::Value));
        assert_eq!(presence.null_count(), count(CellState::Null));
        let absent = presence.absent_rows();
        assert_eq!(absent.ones(), count(CellState::Absent));
        let mut rank = 0;
        for (row, state) in states.iter().enumerate() {
            assert_eq!(presence.state(row), *state);
            assert_eq!(presence.rank(row), rank);
            assert_eq!(absent.contains(row), *state == CellState::Absent);
            rank += usize::from(*state == CellState::Value);
        }
    }

    #[test]
    fn full_and_empty_columns_take_eight_bytes() {
        for state in [CellState::Value, CellState::Absent, CellState::Null] {
            let states = vec![state; 5000];
            assert_eq!(coded(&states).0.len(), 8);
            check(&states);
        }
    }

    #[test]
    fn sparse_sets_are_lists() {
        let mut states = vec![CellState::Absent; 5000];
        states[7] = CellState::Value;
        states[4999] = CellState::Null;
        assert_eq!(coded(&states).0.len(), 8 + 6 + 6);
        check(&states);
        let mut states = vec![CellState::Value; 5000];
        states[0] = CellState::Null;
        assert_eq!(coded(&states).0.len(), 8 + 6);
        check(&states);
    }

    #[test]
    fn a_cell_in_both_sets_is_malformed() {
        let mut bytes = vec![KIND_BITMAP, NULLS_BITMAP, 0, 0, 1, 0, 0, 0];
        bytes.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend_from_slice(&[2, 0, 0, 0, 0, 0, 0, 0]);
        let decode = |bytes: &[u8]| Presence::decode(&mut Input::new(bytes.to_vec().into()), 3);
        assert!(decode(&bytes).is_ok());
        bytes[16] = 3;
        assert_eq!(decode(&bytes).unwrap_err(), Malformed("a cell is both NULL and a value"));
        bytes[16] = 2;
        bytes[4] = 2;
        assert!(decode(&bytes).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

        #[test]
        fn every_mix_round_trips(
            states in proptest::collection::vec(0..100u8, 1..600),
            values in 0..101u8,
            nulls in 0..101u8,
        ) {
            let states: Vec<CellState> = states
                .into_iter()
                .map(|draw| match draw {
                    draw if draw < values => CellState::Value,
                    draw if draw >= 100 - nulls.min(100 - values.min(100)) => CellState::Null,
                    _ => CellState::Absent,
                })
                .collect();
            check(&states);
        }
    }
}
