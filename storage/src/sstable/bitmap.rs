//! Sets of row ordinals inside a block: bitmaps in whole 64-bit words, least significant bit first, so
//! that they are Arrow's validity bitmaps as they are.

use super::error::Malformed;
use super::input::{Input, u16_at};
use bytes::Bytes;

/// Bytes of a bitmap over this many rows.
pub(crate) fn bitmap_len(rows: usize) -> usize {
    rows.div_ceil(64) * 8
}

/// A bitmap being filled. Rows come ascending or not; it grows as needed.
#[derive(Clone, Debug, Default)]
pub(crate) struct BitmapBuilder {
    words: Vec<u64>,
    ones: usize,
}

impl BitmapBuilder {
    /// Sets a bit that is not set yet.
    #[inline]
    pub(crate) fn set(&mut self, row: usize) {
        let word = row / 64;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        debug_assert!(self.words[word] >> (row % 64) & 1 == 0, "row {row} is set twice");
        self.words[word] |= 1 << (row % 64);
        self.ones += 1;
    }

    /// How many bits are set.
    pub(crate) fn ones(&self) -> usize {
        self.ones
    }

    /// The rows whose bit is set.
    pub(crate) fn rows(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(index, word)| OnesOf(*word, index * 64))
    }

    /// Appends the bitmap's bytes.
    pub(crate) fn encode(&self, rows: usize, out: &mut Vec<u8>) {
        let end = out.len() + bitmap_len(rows);
        out.extend(self.words.iter().flat_map(|word| word.to_le_bytes()));
        debug_assert!(out.len() <= end, "no bit beyond the rows");
        out.resize(end, 0);
    }

    /// The finished bitmap.
    pub(crate) fn finish(&self, rows: usize) -> Bitmap {
        let mut bytes = Vec::with_capacity(bitmap_len(rows));
        self.encode(rows, &mut bytes);
        Bitmap::new(bytes.into())
    }

    pub(crate) fn clear(&mut self) {
        self.words.clear();
        self.ones = 0;
    }
}

/// The set bits of a word.
struct OnesOf(u64, usize);

impl Iterator for OnesOf {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let bit = self.0.trailing_zeros() as usize;
        self.0 &= self.0.checked_sub(1)?;
        Some(self.1 + bit)
    }
}

/// A bitmap that can count the set bits before any row.
#[derive(Clone, Debug)]
pub(crate) struct Bitmap {
    /// Whole words.
    bytes: Bytes,
    /// Set bits before each word. A block has fewer than 2^16 rows.
    ranks: Box<[u16]>,
    ones: usize,
}

impl Bitmap {
    fn new(bytes: Bytes) -> Self {
        debug_assert!(bytes.len().is_multiple_of(8));
        let mut ones = 0usize;
        let ranks = words(&bytes)
            .map(|word| {
                let before = ones;
                ones += word.count_ones() as usize;
                before as u16
            })
            .collect();
        Self { bytes, ranks, ones }
    }

    /// Parses a bitmap over `rows` rows.
    pub(crate) fn decode(input: &mut Input, rows: usize) -> Result<Self, Malformed> {
        let bytes = input.take(bitmap_len(rows))?;
        if !rows.is_multiple_of(64)
            && words(&bytes).last().is_some_and(|last| last >> (rows % 64) != 0)
        {
            return Err(Malformed("bitmap has bits beyond its rows"));
        }
        Ok(Self::new(bytes))
    }

    /// Parses a list of ascending rows.
    pub(crate) fn decode_list(input: &mut Input, rows: usize) -> Result<Self, Malformed> {
        let count = input.count(2)?;
        let list = input.take(count * 2)?;
        let mut builder = BitmapBuilder::default();
        let mut next = 0;
        for index in 0..count {
            let row = usize::from(u16_at(&list, index));
            if row < next || row >= rows {
                return Err(Malformed("row list is not ascending below the row count"));
            }
            builder.set(row);
            next = row + 1;
        }
        Ok(builder.finish(rows))
    }

    /// The rows that are not in this set.
    pub(crate) fn inverted(&self, rows: usize) -> Self {
        let mut bytes: Vec<u8> = self.bytes.iter().map(|byte| !byte).collect();
        for row in rows..bytes.len() * 8 {
            bytes[row / 8] &= !(1 << (row % 8));
        }
        Self::new(bytes.into())
    }

    /// The rows in neither set.
    pub(crate) fn neither(&self, other: &Self, rows: usize) -> Self {
        let union: Vec<u8> = self.bytes.iter().zip(&other.bytes[..]).map(|(a, b)| a | b).collect();
        Self::new(union.into()).inverted(rows)
    }

    pub(crate) fn intersects(&self, other: &Self) -> bool {
        words(&self.bytes).zip(words(&other.bytes)).any(|(a, b)| a & b != 0)
    }

    /// How many bits are set.
    pub(crate) fn ones(&self) -> usize {
        self.ones
    }

    #[inline]
    pub(crate) fn contains(&self, row: usize) -> bool {
        self.bytes[row / 8] >> (row % 8) & 1 == 1
    }

    /// How many rows before `row` are in the set. `row` may be the row count.
    #[inline]
    pub(crate) fn rank(&self, row: usize) -> usize {
        let word = row / 64;
        if word >= self.ranks.len() {
            return self.ones;
        }
        let below = word_at(&self.bytes, word) & ((1 << (row % 64)) - 1);
        usize::from(self.ranks[word]) + below.count_ones() as usize
    }

    /// The rows of a range that are in the set.
    pub(crate) fn rows_in(&self, start: usize, end: usize) -> impl Iterator<Item = usize> + '_ {
        let (first, last) = (start / 64, end.div_ceil(64));
        (first..last).flat_map(move |index| {
            let mut word = word_at(&self.bytes, index);
            if index == first {
                word &= u64::MAX << (start % 64);
            }
            if index * 64 + 64 > end {
                word &= (1 << (end % 64)) - 1;
            }
            OnesOf(word, index * 64)
        })
    }

    /// The rows of a range that are in the set, from the last.
    pub(crate) fn rows_in_reverse(
        &self,
        start: usize,
        end: usize,
    ) -> impl Iterator<Item = usize> + '_ {
        let (first, last) = (start / 64, end.div_ceil(64));
        (first..last).rev().flat_map(move |index| {
            let mut word = word_at(&self.bytes, index);
            if index == first {
                word &= u64::MAX << (start % 64);
            }
            if index * 64 + 64 > end {
                word &= (1 << (end % 64)) - 1;
            }
            std::iter::from_fn(move || {
                let bit = word.checked_ilog2()?;
                word ^= 1 << bit;
                Some(index * 64 + bit as usize)
            })
        })
    }

    /// The bytes, as Arrow takes them.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Memory taken beside [`Bitmap::bytes`].
    pub(crate) fn extra_bytes(&self) -> usize {
        self.ranks.len() * 2
    }
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("8-byte chunks")))
}

fn word_at(bytes: &[u8], index: usize) -> u64 {
    u64::from_le_bytes(bytes[index * 8..index * 8 + 8].try_into().expect("8 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

        #[test]
        fn it_behaves_as_a_vector_of_booleans(
            model in proptest::collection::vec(any::<bool>(), 1..400),
            cut in any::<(prop::sample::Index, prop::sample::Index)>(),
        ) {
            let rows = model.len();
            let mut builder = BitmapBuilder::default();
            for (row, set) in model.iter().enumerate() {
                if *set {
                    builder.set(row);
                }
            }
            let mut bytes = Vec::new();
            builder.encode(rows, &mut bytes);
            let bitmap = Bitmap::decode(&mut Input::new(bytes.into()), rows).unwrap();
            let inverted = bitmap.inverted(rows);
            let ones: Vec<usize> = (0..rows).filter(|row| model[*row]).collect();
            prop_assert_eq!(builder.rows().collect::<Vec<_>>(), ones.clone());
            prop_assert_eq!(bitmap.ones(), ones.len());
            prop_assert_eq!(inverted.ones(), rows - ones.len());
            prop_assert!(!bitmap.intersects(&inverted));
            prop_assert_eq!(bitmap.neither(&inverted, rows).ones(), 0);
            for row in 0..=rows {
                prop_assert_eq!(bitmap.rank(row), ones.iter().filter(|one| **one < row).count());
            }
            for (row, set) in model.iter().enumerate() {
                prop_assert_eq!(bitmap.contains(row), *set);
                prop_assert_eq!(inverted.contains(row), !set);
            }
            let (a, b) = (cut.0.index(rows + 1), cut.1.index(rows + 1));
            let (start, end) = (a.min(b), a.max(b));
            let expected: Vec<usize> =
                ones.iter().copied().filter(|row| (start..end).contains(row)).collect();
            prop_assert_eq!(bitmap.rows_in(start, end).collect::<Vec<_>>(), expected.clone());
            let mut reversed: Vec<usize> = bitmap.rows_in_reverse(start, end).collect();
            reversed.reverse();
            prop_assert_eq!(reversed, expected);
        }
    }

    #[test]
    fn bits_beyond_the_rows_are_malformed() {
        let mut bytes = vec![0; 8];
        bytes[1] = 4;
        assert!(Bitmap::decode(&mut Input::new(bytes.clone().into()), 10).is_err());
        assert!(Bitmap::decode(&mut Input::new(bytes.into()), 11).is_ok());
    }

    #[test]
    fn a_row_list_must_ascend_below_the_row_count() {
        let list = |rows: &[u16]| {
            let mut bytes = (rows.len() as u32).to_le_bytes().to_vec();
            bytes.extend(rows.iter().flat_map(|row| row.to_le_bytes()));
            Bitmap::decode_list(&mut Input::new(bytes.into()), 10)
        };
        assert_eq!(list(&[2, 9]).unwrap().rows_in(0, 10).collect::<Vec<_>>(), [2, 9]);
        assert!(list(&[2, 2]).is_err());
        assert!(list(&[3, 2]).is_err());
        assert!(list(&[10]).is_err());
    }
}
