//! Values of any length, one after another.
//!
//! ```text
//! bytes := end kind u8 | zero u8 × 3 | data length u32 | stride u32 (kind 0 only) | ends | data
//! end kind   0 every value has `stride` bytes, 1 ends are u16, 2 ends are u32
//! ```
//!
//! `ends[i]` is where value i ends in `data`; it starts where value i − 1 ends. The data lies as it is in
//! the page, so that an Arrow view array can point into it.

use super::error::Malformed;
use super::input::{Input, u16_at, u32_at};
use bytes::Bytes;
use std::sync::OnceLock;

#[derive(Debug)]
enum Ends {
    Stride(usize),
    Narrow(Bytes),
    Wide(Bytes),
}

/// A sequence of byte strings.
#[derive(Debug)]
pub(crate) struct ByteValues {
    len: usize,
    ends: Ends,
    data: Bytes,
    utf8: OnceLock<bool>,
}

/// Appends the coded form of byte strings that lie in `data` and end at `ends`.
pub(crate) fn encode(ends: &[u32], data: &[u8], out: &mut Vec<u8>) {
    let stride = ends.first().copied().unwrap_or(0);
    let even = ends.iter().zip(1u64..).all(|(end, i)| u64::from(*end) == u64::from(stride) * i);
    let kind = match data.len() {
        _ if even => 0,
        0..=0xffff => 1u8,
        _ => 2,
    };
    out.extend_from_slice(&[kind, 0, 0, 0]);
    out.extend_from_slice(&(data.len() as u32).to_le_bytes());
    match kind {
        0 => out.extend_from_slice(&stride.to_le_bytes()),
        1 => out.extend(ends.iter().flat_map(|end| (*end as u16).to_le_bytes())),
        _ => out.extend(ends.iter().flat_map(|end| end.to_le_bytes())),
    }
    out.extend_from_slice(data);
}

/// Bytes the coded form takes, at most.
pub(crate) fn encoded_len(values: usize, data_len: usize) -> usize {
    12 + data_len + values * if data_len <= 0xffff { 2 } else { 4 }
}

impl ByteValues {
    /// Parses the coded form of `len` values.
    pub(crate) fn decode(input: &mut Input, len: usize) -> Result<Self, Malformed> {
        let kind = input.u8()?;
        if input.take(3)?[..] != [0; 3] {
            return Err(Malformed("byte values are not of this format"));
        }
        let data_len = input.u32()? as usize;
        let ends = match kind {
            0 => Ends::Stride(input.u32()? as usize),
            1 => Ends::Narrow(input.take(len * 2)?),
            2 => Ends::Wide(input.take(len * 4)?),
            _ => return Err(Malformed("unknown end kind")),
        };
        let data = input.take(data_len)?;
        let values = Self { len, ends, data, utf8: OnceLock::new() };
        values.check()?;
        Ok(values)
    }

    fn check(&self) -> Result<(), Malformed> {
        let in_order = match &self.ends {
            Ends::Stride(stride) => stride.checked_mul(self.len) == Some(self.data.len()),
            _ => {
                let mut last = 0;
                (0..self.len).all(|i| {
                    let end = self.end(i);
                    last <= end && {
                        last = end;
                        true
                    }
                }) && last == self.data.len()
            }
        };
        in_order.then_some(()).ok_or(Malformed("byte values end out of order"))
    }

    #[inline]
    fn end(&self, index: usize) -> usize {
        match &self.ends {
            Ends::Stride(stride) => stride * (index + 1),
            Ends::Narrow(ends) => usize::from(u16_at(ends, index)),
            Ends::Wide(ends) => u32_at(ends, index) as usize,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Where a value lies in [`ByteValues::data`].
    #[inline]
    pub(crate) fn span(&self, index: usize) -> (usize, usize) {
        let start = if index == 0 { 0 } else { self.end(index - 1) };
        (start, self.end(index))
    }

    /// Calls `each` with where every value of a range lies.
    #[inline]
    pub(crate) fn spans(&self, range: std::ops::Range<usize>, mut each: impl FnMut(usize, usize)) {
        let mut start = if range.start == 0 { 0 } else { self.end(range.start - 1) };
        for index in range {
            let end = self.end(index);
            each(start, end);
            start = end;
        }
    }

    /// One value.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> &[u8] {
        let (start, end) = self.span(index);
        &self.data[start..end]
    }

    /// All values, one after another.
    pub(crate) fn data(&self) -> &Bytes {
        &self.data
    }

    /// True where every value is UTF-8. Looked at once.
    pub(crate) fn is_utf8(&self) -> bool {
        *self.utf8.get_or_init(|| match std::str::from_utf8(&self.data) {
            Ok(text) => (0..self.len).all(|index| text.is_char_boundary(self.end(index))),
            Err(_) => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn coded(values: &[Vec<u8>]) -> Vec<u8> {
        let data = values.concat();
        let ends: Vec<u32> = values
            .iter()
            .scan(0, |end, value| {
                *end += value.len() as u32;
                Some(*end)
            })
            .collect();
        let mut bytes = Vec::new();
        encode(&ends, &data, &mut bytes);
        assert!(bytes.len() <= encoded_len(values.len(), data.len()));
        bytes
    }

    fn check(values: &[Vec<u8>]) -> ByteValues {
        let mut input = Input::new(coded(values).into());
        let decoded = ByteValues::decode(&mut input, values.len()).unwrap();
        input.finish().unwrap();
        for (index, value) in values.iter().enumerate() {
            assert_eq!(decoded.get(index), &value[..]);
        }
        assert_eq!(
            decoded.is_utf8(),
            values.iter().all(|value| std::str::from_utf8(value).is_ok())
        );
        decoded
    }

    #[test]
    fn even_values_need_no_ends() {
        assert_eq!(coded(&vec![vec![1, 2, 3]; 100]).len(), 12 + 300);
        check(&vec![vec![1, 2, 3]; 100]);
        check(&vec![vec![]; 100]);
        check(&[]);
    }

    #[test]
    fn long_data_gets_wide_ends() {
        check(&[vec![1; 70_000], vec![2], vec![]]);
    }

    #[test]
    fn text_cut_inside_a_character_is_not_utf8() {
        // Together they are "é", alone neither is anything.
        assert!(!check(&[vec![0xc3], vec![0xa9]]).is_utf8());
        assert!(check(&["é".as_bytes().to_vec(), b"e".to_vec()]).is_utf8());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

        #[test]
        fn any_values_round_trip(
            values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..80),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            check(&values);
            let mut damaged = coded(&values);
            let at = at.index(damaged.len());
            damaged[at] = byte;
            if let Ok(read) = ByteValues::decode(&mut Input::new(damaged.into()), values.len()) {
                (0..read.len()).for_each(|index| { read.get(index); });
                read.is_utf8();
            }
        }
    }
}
