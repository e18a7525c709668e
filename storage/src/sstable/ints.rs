//! Integers: frame of reference, bit-packed. One coding for values, timestamps and dictionary codes.
//!
//! ```text
//! ints := width u8 (0 to 64) | base i64 | bits of count × width bits, least significant bit first,
//!         rounded up to bytes, and 8 zero bytes so that 8 bytes can be read at any value
//!         (nothing where width is 0: every value is base)
//! value[i] = base + bits[i × width ..][.. width], wrapping
//! ```
//!
//! Width 64 is the plain form. Any value is read in O(1); runs of values are unpacked by code made for
//! each width, eight values at a time.

use super::error::Malformed;
use super::input::Input;
use bytes::Bytes;
use std::ops::Range;

/// Zero bytes after the bits.
const PAD_BYTES: usize = 8;
/// The widest value that one unaligned 8-byte load always holds.
const SINGLE_LOAD_WIDTH_MAX: u8 = 57;

/// A sequence of integers.
#[derive(Clone, Debug)]
pub(crate) struct Ints {
    base: i64,
    width: u8,
    len: usize,
    /// Padded; empty where width is 0.
    bits: Bytes,
}

/// An integer type that a sequence can be unpacked to.
pub(crate) trait Lane: Copy + Default {
    /// The low bits of a value.
    fn truncate(value: u64) -> Self;
    /// The smallest and largest value.
    const RANGE: (i64, i64);
}

macro_rules! lane {
    ($($type:ty),*) => {$(
        impl Lane for $type {
            #[inline(always)]
            fn truncate(value: u64) -> Self {
                value as $type
            }
            const RANGE: (i64, i64) = (<$type>::MIN as i64, <$type>::MAX as i64);
        }
    )*};
}
lane!(i16, i32, i64, u16, u32);

/// Bytes the coded form of `len` values takes.
pub(crate) fn encoded_len(len: usize, width: u8) -> usize {
    1 + 8 + bits_len(len, width)
}

fn bits_len(len: usize, width: u8) -> usize {
    match width {
        0 => 0,
        _ => (len * usize::from(width)).div_ceil(8) + PAD_BYTES,
    }
}

/// The bits that the values between two bounds need.
pub(crate) fn width_of(min: i64, max: i64) -> u8 {
    let span = max.wrapping_sub(min) as u64;
    (64 - span.leading_zeros()) as u8
}

/// Appends the coded form of values between `min` and `max`.
pub(crate) fn encode(
    values: impl ExactSizeIterator<Item = i64>,
    (min, max): (i64, i64),
    out: &mut Vec<u8>,
) {
    let width = width_of(min, max);
    let end = out.len() + encoded_len(values.len(), width);
    out.reserve(end - out.len());
    out.push(width);
    out.extend_from_slice(&min.to_le_bytes());
    if width == 0 {
        return;
    }
    let (mut word, mut filled) = (0u64, 0u32);
    for value in values {
        let value = value.wrapping_sub(min) as u64;
        word |= value << filled;
        filled += u32::from(width);
        if filled >= 64 {
            out.extend_from_slice(&word.to_le_bytes());
            filled -= 64;
            // What did not fit; a shift by all 64 bits means that everything did.
            word = value.checked_shr(u32::from(width) - filled).unwrap_or(0);
        }
    }
    out.extend_from_slice(&word.to_le_bytes());
    // The last word may hold bytes beyond the last value: they are part of the padding.
    debug_assert!(out.len() <= end);
    out.resize(end, 0);
}

/// The smallest and largest of some values; (0, 0) of none.
pub(crate) fn bounds(values: &[i64]) -> (i64, i64) {
    let Some(first) = values.first() else { return (0, 0) };
    values.iter().fold((*first, *first), |(min, max), value| (min.min(*value), max.max(*value)))
}

impl Ints {
    /// Parses the coded form of `len` values.
    pub(crate) fn decode(input: &mut Input, len: usize) -> Result<Self, Malformed> {
        let width = input.u8()?;
        if width > 64 {
            return Err(Malformed("integers wider than 64 bits"));
        }
        let base = input.i64()?;
        let bits = input.take(bits_len(len, width))?;
        Ok(Self { base, width, len, bits })
    }

    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The one value, where all are the same by construction.
    pub(crate) fn constant(&self) -> Option<i64> {
        (self.width == 0).then_some(self.base)
    }

    /// Bounds of what the values can be, not always reached. `None` where they wrap.
    pub(crate) fn bounds(&self) -> Option<(i64, i64)> {
        let span = match self.width {
            64 => return Some((i64::MIN, i64::MAX)),
            width => (1u64 << width) - 1,
        };
        Some((self.base, self.base.checked_add_unsigned(span)?))
    }

    fn mask(&self) -> u64 {
        match self.width {
            64 => u64::MAX,
            width => (1 << width) - 1,
        }
    }

    /// One value.
    ///
    /// # Panics
    /// When there is no such value: a bug in the caller.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> i64 {
        assert!(index < self.len, "value {index} of {}", self.len);
        if self.width == 0 {
            return self.base;
        }
        let bit = index * usize::from(self.width);
        let packed = load(&self.bits, bit / 8) >> (bit % 8);
        let packed = match self.width {
            0..=SINGLE_LOAD_WIDTH_MAX => packed,
            _ => packed | self.ninth_byte(bit),
        };
        self.base.wrapping_add((packed & self.mask()) as i64)
    }

    /// The bits of a wide value that lie beyond the first eight bytes.
    fn ninth_byte(&self, bit: usize) -> u64 {
        match bit % 8 {
            0 => 0,
            shift => u64::from(self.bits[bit / 8 + 8]) << (64 - shift),
        }
    }

    /// Appends some values, cut to the type.
    pub(crate) fn unpack<T: Lane>(&self, range: Range<usize>, out: &mut Vec<T>) {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} of {}", self.len);
        if self.width == 0 {
            out.resize(out.len() + range.len(), T::truncate(self.base as u64));
            return;
        }
        // Whole groups of eight start at whole bytes.
        let head = range.end.min(range.start.next_multiple_of(8));
        let groups = (range.end - head) / 8;
        out.reserve(range.len());
        out.extend((range.start..head).map(|index| T::truncate(self.get(index) as u64)));
        if groups > 0 {
            let start = out.len();
            out.resize(start + groups * 8, T::default());
            let bits = &self.bits[head / 8 * usize::from(self.width)..];
            unpack_groups(self.width, bits, self.base as u64, &mut out[start..]);
        }
        let tail = head + groups * 8;
        out.extend((tail..range.end).map(|index| T::truncate(self.get(index) as u64)));
    }

    /// True where all values of a range fit the type.
    pub(crate) fn fit<T: Lane>(&self, range: Range<usize>) -> bool {
        let within = |(min, max)| T::RANGE.0 <= min && max <= T::RANGE.1;
        self.bounds().is_some_and(within) || {
            let mut wide: Vec<i64> = Vec::new();
            self.unpack(range, &mut wide);
            within(bounds(&wide))
        }
    }
}

#[inline(always)]
fn load(bytes: &[u8], offset: usize) -> u64 {
    let bytes: &[u8] = &bytes[offset..offset + 8];
    u64::from_le_bytes(bytes.try_into().expect("sliced to 8 bytes"))
}

/// Unpacks groups of eight values: the width becomes a constant, so that shifts and masks do too.
fn unpack_groups<T: Lane>(width: u8, bits: &[u8], base: u64, out: &mut [T]) {
    macro_rules! by_width {
        ($($width:literal)*) => {
            match width {
                $($width => unpack_width::<T, $width>(bits, base, out),)*
                _ => unreachable!("width is checked when parsed"),
            }
        };
    }
    by_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
        33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
        64);
}

fn unpack_width<T: Lane, const WIDTH: usize>(bits: &[u8], base: u64, out: &mut [T]) {
    let mask = if WIDTH == 64 { u64::MAX } else { (1 << WIDTH) - 1 };
    for (group, out) in out.chunks_exact_mut(8).enumerate() {
        let bits = &bits[group * WIDTH..group * WIDTH + WIDTH + PAD_BYTES];
        for (lane, out) in out.iter_mut().enumerate() {
            let (byte, shift) = (lane * WIDTH / 8, lane * WIDTH % 8);
            let mut packed = load(bits, byte) >> shift;
            if WIDTH > SINGLE_LOAD_WIDTH_MAX as usize && shift > 0 {
                packed |= u64::from(bits[byte + 8]) << (64 - shift);
            }
            *out = T::truncate(base.wrapping_add(packed & mask));
        }
    }
}

#[cfg(test)]
mod tests;
