//! Arrow view arrays over a page of byte strings: strings stay where they are in the page.
//!
//! The one place of the SSTable with unsafe code. Arrow would check every view, and every string's
//! UTF-8, each time an array is made; a page is checked once, when it is parsed and when it is first read as
//! text.
#![allow(unsafe_code)]

use super::byte_values::ByteValues;
use super::ints::Ints;
use super::presence::Presence;
use super::selection::{Dense, RowSelection, collect};
use super::values::StringValues;
use arrow::array::{ArrayRef, BinaryViewArray, StringViewArray};
use arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};
use std::ops::Range;
use std::sync::Arc;

/// A view holds this many bytes itself.
const INLINE_BYTES: usize = 12;

/// Views of the selected rows' strings, and which rows have one.
///
/// Invariant: every view is empty or made by [`view`] of a value of `values`, so it lies within the data and
/// is text if all values are.
struct Views<'a> {
    values: &'a ByteValues,
    views: Vec<u128>,
    nulls: Option<NullBuffer>,
}

impl<'a> Views<'a> {
    fn new(presence: &Presence, strings: &'a StringValues, selection: &RowSelection<'_>) -> Self {
        let values = &strings.entries;
        let (views, nulls) = match &strings.codes {
            None => collect(presence, selection, &Plain(values)),
            Some(codes) => collect(presence, selection, &Coded { values, codes }),
        };
        Self { values, views, nulls }
    }

    /// Short strings need no buffer: then the array keeps no page in memory.
    fn buffers(&self) -> Vec<Buffer> {
        match self.views.iter().any(|view| *view as u32 > INLINE_BYTES as u32) {
            true => vec![Buffer::from(self.values.data().clone())],
            false => Vec::new(),
        }
    }
}

/// Strings as StringView; `None` where some value of the page is no UTF-8.
pub(crate) fn text_array(
    presence: &Presence,
    strings: &StringValues,
    selection: &RowSelection<'_>,
) -> Option<ArrayRef> {
    if !strings.entries.is_utf8() {
        return None;
    }
    let views = Views::new(presence, strings, selection);
    let buffers = views.buffers();
    // SAFETY: by the invariant of Views every view lies within the one buffer, which is there if any
    // view is longer than what it holds itself; `view` writes length, prefix, buffer and offset as Arrow
    // wants them; and every value of the page is UTF-8, checked above. The validity has a bit for each.
    let array = unsafe {
        StringViewArray::new_unchecked(ScalarBuffer::from(views.views), buffers, views.nulls)
    };
    Some(Arc::new(array))
}

/// Strings as BinaryView.
pub(crate) fn bytes_array(
    presence: &Presence,
    strings: &StringValues,
    selection: &RowSelection<'_>,
) -> ArrayRef {
    let views = Views::new(presence, strings, selection);
    let buffers = views.buffers();
    // SAFETY: as above, without the text.
    let array = unsafe {
        BinaryViewArray::new_unchecked(ScalarBuffer::from(views.views), buffers, views.nulls)
    };
    Arc::new(array)
}

struct Plain<'a>(&'a ByteValues);

impl Dense for Plain<'_> {
    type Item = u128;

    fn append(&self, range: Range<usize>, out: &mut Vec<u128>) {
        let data = self.0.data();
        self.0.spans(range, |start, end| out.push(view(data, start, end)));
    }

    fn get(&self, index: usize) -> u128 {
        let (start, end) = self.0.span(index);
        view(self.0.data(), start, end)
    }
}

struct Coded<'a> {
    values: &'a ByteValues,
    codes: &'a Ints,
}

impl Dense for Coded<'_> {
    type Item = u128;

    fn append(&self, range: Range<usize>, out: &mut Vec<u128>) {
        let mut entries = Vec::with_capacity(self.values.len());
        Plain(self.values).append(0..self.values.len(), &mut entries);
        if let Some(code) = self.codes.constant() {
            return out.resize(out.len() + range.len(), entries[code as usize]);
        }
        let mut codes: Vec<u32> = Vec::new();
        self.codes.unpack(range, &mut codes);
        out.extend(codes.iter().map(|code| entries[*code as usize]));
    }

    fn get(&self, index: usize) -> u128 {
        Plain(self.values).get(self.codes.get(index) as usize)
    }
}

/// Masks for the first 0 to 12 bytes of a little-endian word.
const MASKS: [u128; INLINE_BYTES + 1] = {
    let mut masks = [0; INLINE_BYTES + 1];
    let mut len = 1;
    while len <= INLINE_BYTES {
        masks[len] = (1 << (len * 8)) - 1;
        len += 1;
    }
    masks
};

/// The Arrow view of `data[start..end]`, with `data` as buffer 0: length, then the bytes themselves or
/// their first four, buffer and offset.
#[inline]
fn view(data: &[u8], start: usize, end: usize) -> u128 {
    let len = end - start;
    let head = match data.get(start..start + 16) {
        Some(bytes) => u128::from_le_bytes(bytes.try_into().expect("sliced to 16 bytes")),
        None => {
            let mut bytes = [0; 16];
            let count = len.min(16);
            bytes[..count].copy_from_slice(&data[start..start + count]);
            u128::from_le_bytes(bytes)
        }
    };
    match MASKS.get(len) {
        Some(mask) => (head & mask) << 32 | len as u128,
        None => (head & MASKS[4]) << 32 | len as u128 | (start as u128) << 96,
    }
}
