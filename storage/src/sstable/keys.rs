//! The key page: a block's distinct row keys and which rows have them.
//!
//! ```text
//! page := flags u8 | zero u8 × 3 | prefix length u32 | key length u32 | data length u32
//!         | starts     bitmap over the rows, where flag REPEATS is set
//!         | prefix     what all keys start with
//!         | bundles    start in data u32, per bundle of 16 keys
//!         | bundle prefix lengths u16, per bundle
//!         | key ends   from the bundle's start, u16 or (flag WIDE) u32, per key; absent where flag FIXED is set
//!         | data       per bundle: its prefix, then its keys' suffixes
//! ```
//!
//! A key is block prefix, bundle prefix, suffix: any key is found in O(1), and a search compares the block
//! prefix once. Rows of one key are adjacent; bit r of `starts` says that row r has another key than row
//! r − 1. With FIXED all keys have `key length` bytes, so suffixes need no ends.

use super::bitmap::{Bitmap, BitmapBuilder};
use super::error::Malformed;
use super::input::{Input, u16_at, u32_at};
use bytes::Bytes;
use std::cmp::Ordering;

const BUNDLE_KEYS: usize = 16;

const REPEATS: u8 = 1;
const FIXED: u8 = 2;
const WIDE: u8 = 4;

/// A block's keys being collected.
#[derive(Default)]
pub(crate) struct KeysBuilder {
    bytes: Vec<u8>,
    /// Where each distinct key ends.
    ends: Vec<usize>,
    starts: BitmapBuilder,
    rows: usize,
}

impl KeysBuilder {
    /// Adds a row. Whether its key is the last row's is the caller's to know: it compared them already.
    pub(crate) fn push(&mut self, key: &[u8], repeats: bool) {
        if !repeats || self.rows == 0 {
            self.bytes.extend_from_slice(key);
            self.ends.push(self.bytes.len());
            self.starts.set(self.rows);
        }
        self.rows += 1;
    }

    pub(crate) fn keys(&self) -> usize {
        self.ends.len()
    }

    fn key(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |previous| self.ends[previous]);
        &self.bytes[start..self.ends[index]]
    }

    /// The first and last key. There is at least one.
    pub(crate) fn first_and_last(&self) -> (&[u8], &[u8]) {
        (self.key(0), self.key(self.keys() - 1))
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.starts.clear();
        self.rows = 0;
    }

    /// Appends the page.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let keys = self.keys();
        let (first, last) = self.first_and_last();
        // Keys ascend: what the first and last share, all share.
        let prefix = common_prefix(first, last);
        let fixed = (0..keys).all(|index| self.key(index).len() == first.len());
        let bundles: Vec<(usize, usize)> =
            (0..keys).step_by(BUNDLE_KEYS).map(|b| (b, keys.min(b + BUNDLE_KEYS))).collect();

        let mut data = Vec::with_capacity(self.bytes.len());
        let (mut starts, mut prefix_lens) = (Vec::new(), Vec::new());
        let mut ends: Vec<usize> = Vec::with_capacity(keys);
        for (from, to) in bundles {
            let (first, last) = (&self.key(from)[prefix..], &self.key(to - 1)[prefix..]);
            let shared = common_prefix(first, last).min(usize::from(u16::MAX));
            starts.push(data.len() as u32);
            prefix_lens.push(shared as u16);
            let start = data.len();
            data.extend_from_slice(&first[..shared]);
            for index in from..to {
                data.extend_from_slice(&self.key(index)[prefix + shared..]);
                ends.push(data.len() - start);
            }
        }
        let wide = ends.iter().any(|end| *end > usize::from(u16::MAX));
        let repeats = self.rows > keys;

        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        out.push(flag(repeats, REPEATS) | flag(fixed, FIXED) | flag(wide && !fixed, WIDE));
        out.extend_from_slice(&[0; 3]);
        for value in [prefix, if fixed { first.len() } else { 0 }, data.len()] {
            out.extend_from_slice(&(value as u32).to_le_bytes());
        }
        if repeats {
            self.starts.encode(self.rows, out);
        }
        out.extend_from_slice(&first[..prefix]);
        out.extend(starts.iter().flat_map(|start| start.to_le_bytes()));
        out.extend(prefix_lens.iter().flat_map(|len| len.to_le_bytes()));
        match (fixed, wide) {
            (true, _) => {}
            (false, true) => out.extend(ends.iter().flat_map(|end| (*end as u32).to_le_bytes())),
            (false, false) => out.extend(ends.iter().flat_map(|end| (*end as u16).to_le_bytes())),
        }
        out.extend_from_slice(&data);
    }
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[derive(Debug)]
enum Ends {
    Fixed(usize),
    Narrow(Bytes),
    Wide(Bytes),
}

/// A parsed key page.
#[derive(Debug)]
pub(crate) struct Keys {
    rows: usize,
    keys: usize,
    prefix: Bytes,
    bundle_starts: Bytes,
    bundle_prefix_lens: Bytes,
    ends: Ends,
    data: Bytes,
    repeats: Option<Repeats>,
}

/// Which rows have which key, where some have the same.
#[derive(Debug)]
struct Repeats {
    starts: Bitmap,
    first_rows: Box<[u16]>,
}

impl Keys {
    /// Parses a page. Everything an accessor relies on is checked here.
    pub(crate) fn decode(page: Bytes, rows: usize, keys: usize) -> Result<Self, Malformed> {
        let mut input = Input::new(page);
        let flags = input.u8()?;
        if flags & !(REPEATS | FIXED | WIDE) != 0 || input.take(3)?[..] != [0; 3] || keys == 0 {
            return Err(Malformed("key page is not of this format"));
        }
        let (prefix_len, key_len, data_len) = (input.u32()?, input.u32()?, input.u32()?);
        let repeats = match flags & REPEATS {
            0 if rows == keys => None,
            0 => return Err(Malformed("key page has another number of keys")),
            _ => Some(Repeats::decode(&mut input, rows, keys)?),
        };
        let bundles = keys.div_ceil(BUNDLE_KEYS);
        let prefix = input.take(prefix_len as usize)?;
        let bundle_starts = input.take(bundles * 4)?;
        let bundle_prefix_lens = input.take(bundles * 2)?;
        let ends = match (flags & FIXED != 0, flags & WIDE != 0) {
            (true, _) => Ends::Fixed(
                (key_len as usize)
                    .checked_sub(prefix.len())
                    .ok_or(Malformed("keys are shorter than their prefix"))?,
            ),
            (false, true) => Ends::Wide(input.take(keys * 4)?),
            (false, false) => Ends::Narrow(input.take(keys * 2)?),
        };
        let data = input.take(data_len as usize)?;
        input.finish()?;
        let page =
            Self { rows, keys, prefix, bundle_starts, bundle_prefix_lens, ends, data, repeats };
        page.check()?;
        Ok(page)
    }

    /// Every bundle's parts must lie in the data, one after the other.
    fn check(&self) -> Result<(), Malformed> {
        let malformed = Malformed("key offsets are out of order");
        for bundle in 0..self.keys.div_ceil(BUNDLE_KEYS) {
            let room = self.data.len().checked_sub(self.bundle_start(bundle)).ok_or(malformed)?;
            let mut end = usize::from(u16_at(&self.bundle_prefix_lens, bundle));
            let from = bundle * BUNDLE_KEYS;
            let to = self.keys.min(from + BUNDLE_KEYS);
            match self.ends {
                Ends::Fixed(len) => {
                    let each = len.checked_sub(end).ok_or(malformed)?;
                    end += each.checked_mul(to - from).ok_or(malformed)?;
                }
                _ => {
                    for index in from..to {
                        let next = self.end(index);
                        if next < end {
                            return Err(malformed);
                        }
                        end = next;
                    }
                }
            }
            if end > room {
                return Err(malformed);
            }
        }
        Ok(())
    }

    fn bundle_start(&self, bundle: usize) -> usize {
        u32_at(&self.bundle_starts, bundle) as usize
    }

    /// Where a key's suffix ends, from its bundle's start.
    fn end(&self, index: usize) -> usize {
        match &self.ends {
            Ends::Fixed(len) => {
                let prefix = usize::from(u16_at(&self.bundle_prefix_lens, index / BUNDLE_KEYS));
                prefix + (len - prefix) * (index % BUNDLE_KEYS + 1)
            }
            Ends::Narrow(ends) => usize::from(u16_at(ends, index)),
            Ends::Wide(ends) => u32_at(ends, index) as usize,
        }
    }

    /// A distinct key without the block's prefix: bundle prefix and suffix.
    fn parts(&self, index: usize) -> (&[u8], &[u8]) {
        let bundle = index / BUNDLE_KEYS;
        let data = &self.data[self.bundle_start(bundle)..];
        let prefix = usize::from(u16_at(&self.bundle_prefix_lens, bundle));
        let start = if index.is_multiple_of(BUNDLE_KEYS) { prefix } else { self.end(index - 1) };
        (&data[..prefix], &data[start..self.end(index)])
    }

    /// Which distinct key a row has.
    #[inline]
    pub(crate) fn key_of_row(&self, row: usize) -> usize {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        match &self.repeats {
            None => row,
            Some(repeats) => repeats.starts.rank(row + 1) - 1,
        }
    }

    /// The first row with a key. The key count gives the row count.
    #[inline]
    pub(crate) fn first_row(&self, index: usize) -> usize {
        match &self.repeats {
            _ if index >= self.keys => self.rows,
            None => index,
            Some(repeats) => usize::from(repeats.first_rows[index]),
        }
    }

    /// Appends a distinct key.
    #[inline]
    pub(crate) fn append(&self, index: usize, out: &mut Vec<u8>) {
        let (bundle, suffix) = self.parts(index);
        out.extend_from_slice(&self.prefix);
        out.extend_from_slice(bundle);
        out.extend_from_slice(suffix);
    }

    /// A distinct key's length.
    pub(crate) fn key_len(&self, index: usize) -> usize {
        let (bundle, suffix) = self.parts(index);
        self.prefix.len() + bundle.len() + suffix.len()
    }

    /// Compares a distinct key with `key`.
    pub(crate) fn compare(&self, index: usize, key: &[u8]) -> Ordering {
        match compare_prefix(&self.prefix, key) {
            Ok(rest) => self.compare_rest(index, rest),
            Err(ordering) => ordering,
        }
    }

    fn compare_rest(&self, index: usize, rest: &[u8]) -> Ordering {
        let (bundle, suffix) = self.parts(index);
        match compare_prefix(bundle, rest) {
            Ok(rest) => suffix.cmp(rest),
            Err(ordering) => ordering,
        }
    }

    /// The first distinct key at or above `key`, and whether it is `key`.
    pub(crate) fn search(&self, key: &[u8]) -> (usize, bool) {
        let rest = match compare_prefix(&self.prefix, key) {
            Ok(rest) => rest,
            Err(Ordering::Less) => return (self.keys, false),
            Err(_) => return (0, false),
        };
        let (mut low, mut high) = (0, self.keys);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.compare_rest(middle, rest) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return (middle, true),
                Ordering::Greater => high = middle,
            }
        }
        (low, false)
    }

    /// Memory taken.
    pub(crate) fn resident_bytes(&self) -> usize {
        let repeats = self
            .repeats
            .as_ref()
            .map_or(0, |repeats| repeats.first_rows.len() * 2 + repeats.starts.extra_bytes());
        self.data.len() + self.keys * 2 + repeats
    }
}

/// What `key` has after the prefix, or how the prefix compares with it.
#[inline]
fn compare_prefix<'a>(prefix: &[u8], key: &'a [u8]) -> Result<&'a [u8], Ordering> {
    match key.strip_prefix(prefix) {
        Some(rest) => Ok(rest),
        // Where `key` is a part of the prefix it is the smaller one.
        None => Err(prefix.cmp(key)),
    }
}

impl Repeats {
    fn decode(input: &mut Input, rows: usize, keys: usize) -> Result<Self, Malformed> {
        let starts = Bitmap::decode(input, rows)?;
        if rows == 0 || starts.ones() != keys || !starts.contains(0) {
            return Err(Malformed("key page has another number of keys"));
        }
        let first_rows = starts.rows_in(0, rows).map(|row| row as u16).collect();
        Ok(Self { starts, first_rows })
    }
}

#[cfg(test)]
mod tests;
