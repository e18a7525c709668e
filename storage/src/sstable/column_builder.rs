//! One column of a block being written: cells in, a column page out.
//!
//! Cells go into a vector of the column's type as they come; the encoding is chosen once, when the block
//! closes and everything is known.

use super::bitmap::BitmapBuilder;
use super::format::Encoding;
use super::zone::ZoneBuilder;
use super::{byte_values, ints, presence};
use hashbrown::HashMap;
use terrane_client::types::PhysicalType;

/// Values looked at before a dictionary is given up.
const DICTIONARY_SAMPLE: usize = 256;

/// Byte strings, one after another.
#[derive(Default)]
struct Strings {
    data: Vec<u8>,
    ends: Vec<u32>,
}

impl Strings {
    fn push(&mut self, bytes: &[u8]) {
        self.data.extend_from_slice(bytes);
        self.ends.push(self.data.len() as u32);
    }

    fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let value = &self.data[start..*end as usize];
            start = *end as usize;
            value
        })
    }
}

enum Buffer {
    /// Int2, Int4, Int8
    Ints(Vec<i64>),
    Bits(BitmapBuilder, usize),
    /// Everything else of fixed width.
    Fixed(Vec<u8>),
    Strings(Strings),
}

/// A column of a block being written.
pub(crate) struct ColumnBuilder {
    physical: PhysicalType,
    width: usize,
    values: BitmapBuilder,
    nulls: BitmapBuilder,
    buffer: Buffer,
    /// Row and age of the cells that are older than their row.
    deltas: Vec<(usize, i64)>,
}

impl ColumnBuilder {
    pub(crate) fn new(physical: PhysicalType) -> Self {
        use PhysicalType::{Bool, Bytes, Int2, Int4, Int8};
        let buffer = match physical {
            Int2 | Int4 | Int8 => Buffer::Ints(Vec::new()),
            Bool => Buffer::Bits(BitmapBuilder::default(), 0),
            Bytes => Buffer::Strings(Strings::default()),
            _ => Buffer::Fixed(Vec::new()),
        };
        Self {
            physical,
            width: physical.width().unwrap_or(0),
            values: BitmapBuilder::default(),
            nulls: BitmapBuilder::default(),
            buffer,
            deltas: Vec::new(),
        }
    }

    /// Adds a row's cell. Rows ascend. False where the bytes are no value of the type: nothing is
    /// added.
    #[inline]
    pub(crate) fn push(&mut self, row: usize, cell: Option<&[u8]>, ts_delta: i64) -> bool {
        match cell {
            None => self.nulls.set(row),
            Some(bytes) => {
                if !self.push_value(bytes) {
                    return false;
                }
                self.values.set(row);
            }
        }
        if ts_delta != 0 {
            self.deltas.push((row, ts_delta));
        }
        true
    }

    #[inline]
    fn push_value(&mut self, bytes: &[u8]) -> bool {
        match &mut self.buffer {
            Buffer::Ints(values) => match integer(bytes, self.width) {
                Some(value) => values.push(value),
                None => return false,
            },
            Buffer::Bits(bits, len) => {
                match bytes {
                    [0] => {}
                    [1] => bits.set(*len),
                    _ => return false,
                }
                *len += 1;
            }
            Buffer::Fixed(data) if bytes.len() == self.width => data.extend_from_slice(bytes),
            Buffer::Fixed(_) => return false,
            Buffer::Strings(strings) => strings.push(bytes),
        }
        true
    }

    /// True where no row has a cell.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.ones() == 0 && self.nulls.ones() == 0
    }

    /// The ages of the column's cells, row by row, where some are older than their row.
    pub(crate) fn times(&self, rows: usize) -> Option<Vec<i64>> {
        let (_, first) = self.deltas.first()?;
        debug_assert!(*first != 0);
        let mut times = vec![0; rows];
        for (row, delta) in &self.deltas {
            times[*row] = *delta;
        }
        Some(times)
    }

    /// Appends the column's page, says how its values are coded and what they are between.
    pub(crate) fn encode(&self, rows: usize, out: &mut Vec<u8>) -> (Encoding, ZoneBuilder) {
        presence::encode(&self.values, &self.nulls, rows, out);
        let mut zone = ZoneBuilder::new(self.physical, self.values.ones(), self.nulls.ones());
        if self.values.ones() == 0 {
            return (Encoding::Empty, zone);
        }
        let encoding = match &self.buffer {
            Buffer::Ints(values) => {
                let bounds = ints::bounds(values);
                zone.ints(bounds);
                ints::encode(values.iter().copied(), bounds, out);
                Encoding::Ints
            }
            Buffer::Bits(bits, len) => {
                zone.ints((i64::from(bits.ones() == *len), i64::from(bits.ones() > 0)));
                bits.encode(*len, out);
                Encoding::Bits
            }
            Buffer::Fixed(data) => {
                zone.fixed(data, self.width);
                self.encode_fixed(data, out)
            }
            Buffer::Strings(strings) => {
                zone.strings(strings.iter());
                encode_strings(strings, out)
            }
        };
        (encoding, zone)
    }

    fn encode_fixed(&self, data: &[u8], out: &mut Vec<u8>) -> Encoding {
        if matches!(self.physical, PhysicalType::Int16 | PhysicalType::Int32)
            && let Some(values) = narrowed(data, self.width)
        {
            let bounds = ints::bounds(&values);
            ints::encode(values.iter().copied(), bounds, out);
            return Encoding::Ints;
        }
        let values = data.chunks_exact(self.width);
        let len = values.len();
        if let Some(dictionary) = Dictionary::of(values, data.len()) {
            let codes_len = ints::encoded_len(len, dictionary.code_width());
            let entries_len = dictionary.entries.len() * self.width;
            if (4 + entries_len + codes_len) * 4 <= data.len() * 3 {
                out.extend_from_slice(&(dictionary.entries.len() as u32).to_le_bytes());
                dictionary.entries.iter().for_each(|entry| out.extend_from_slice(entry));
                dictionary.encode_codes(out);
                return Encoding::FixedDictionary;
            }
        }
        out.extend_from_slice(data);
        Encoding::Fixed
    }

    pub(crate) fn clear(&mut self) {
        self.values.clear();
        self.nulls.clear();
        self.deltas.clear();
        match &mut self.buffer {
            Buffer::Ints(values) => values.clear(),
            Buffer::Bits(bits, len) => {
                bits.clear();
                *len = 0;
            }
            Buffer::Fixed(data) => data.clear(),
            Buffer::Strings(strings) => {
                strings.data.clear();
                strings.ends.clear();
            }
        }
    }
}

fn encode_strings(strings: &Strings, out: &mut Vec<u8>) -> Encoding {
    let plain_len = byte_values::encoded_len(strings.ends.len(), strings.data.len());
    if let Some(dictionary) = Dictionary::of(strings.iter(), plain_len) {
        let entries_len = byte_values::encoded_len(dictionary.entries.len(), dictionary.bytes);
        let codes_len = ints::encoded_len(strings.ends.len(), dictionary.code_width());
        if (4 + entries_len + codes_len) * 4 <= plain_len * 3 {
            let mut entries = Strings::default();
            dictionary.entries.iter().for_each(|entry| entries.push(entry));
            out.extend_from_slice(&(dictionary.entries.len() as u32).to_le_bytes());
            byte_values::encode(&entries.ends, &entries.data, out);
            dictionary.encode_codes(out);
            return Encoding::BytesDictionary;
        }
    }
    byte_values::encode(&strings.ends, &strings.data, out);
    Encoding::Bytes
}

/// An integer's cell as a value of a column `width` bytes wide. Cells may be narrower than the column
/// (it was widened since) or wider (the frontend knows of a widening that this file's schema does not).
#[inline]
fn integer(bytes: &[u8], width: usize) -> Option<i64> {
    let value = match *bytes {
        [a, b] => i64::from(i16::from_le_bytes([a, b])),
        [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => i64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => return None,
    };
    let shift = 64 - width * 8;
    (value << shift >> shift == value).then_some(value)
}

/// Wide integers as 64-bit ones, where all fit.
fn narrowed(data: &[u8], width: usize) -> Option<Vec<i64>> {
    let mut values = Vec::with_capacity(data.len() / width);
    for value in data.chunks_exact(width) {
        let (low, high) = value.split_at(8);
        let low = i64::from_le_bytes(low.try_into().ok()?);
        let sign = if low < 0 { 0xff } else { 0 };
        if high.iter().any(|byte| *byte != sign) {
            return None;
        }
        values.push(low);
    }
    Some(values)
}

/// Distinct values in order of appearance, and which of them each value is.
struct Dictionary<'a> {
    entries: Vec<&'a [u8]>,
    /// Bytes of the entries together.
    bytes: usize,
    codes: Vec<u32>,
}

impl<'a> Dictionary<'a> {
    /// `None` where values do not repeat enough to be worth it: `plain_len` is what they take otherwise.
    fn of(values: impl ExactSizeIterator<Item = &'a [u8]>, plain_len: usize) -> Option<Self> {
        let mut seen: HashMap<&[u8], u32> = HashMap::new();
        let mut dictionary =
            Self { entries: Vec::new(), bytes: 0, codes: Vec::with_capacity(values.len()) };
        let mut last: (&[u8], u32) = (&[], 0);
        for (index, value) in values.enumerate() {
            if index > 0 && value == last.0 {
                dictionary.codes.push(last.1);
                continue;
            }
            let next = dictionary.entries.len() as u32;
            let code = *seen.entry(value).or_insert(next);
            if code == next {
                dictionary.entries.push(value);
                dictionary.bytes += value.len();
                let sampled = index + 1 == DICTIONARY_SAMPLE && code as usize > index * 3 / 4;
                if sampled || dictionary.bytes > plain_len * 3 / 4 {
                    return None;
                }
            }
            dictionary.codes.push(code);
            last = (value, code);
        }
        Some(dictionary)
    }

    fn bounds(&self) -> (i64, i64) {
        (0, self.entries.len().saturating_sub(1) as i64)
    }

    fn code_width(&self) -> u8 {
        let (min, max) = self.bounds();
        ints::width_of(min, max)
    }

    fn encode_codes(&self, out: &mut Vec<u8>) {
        ints::encode(self.codes.iter().map(|code| i64::from(*code)), self.bounds(), out);
    }
}

#[cfg(test)]
mod tests;
