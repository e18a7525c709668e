//! Parsing stored bytes, little-endian, never past their end.

use super::error::Malformed;
use bytes::Bytes;

/// Bytes being parsed. What is taken out of them shares their memory.
pub(crate) struct Input {
    bytes: Bytes,
}

impl Input {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self { bytes }
    }

    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// The next `len` bytes.
    pub(crate) fn take(&mut self, len: usize) -> Result<Bytes, Malformed> {
        if len > self.bytes.len() {
            return Err(Malformed("ends too early"));
        }
        Ok(self.bytes.split_to(len))
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let bytes = self.take(N)?;
        bytes[..].try_into().map_err(|_| Malformed("ends too early"))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Malformed> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    /// A count of things that each take at least `each` of the bytes that follow: so that no
    /// stored count makes a reader allocate more than the file's own size.
    pub(crate) fn count(&mut self, each: usize) -> Result<usize, Malformed> {
        let count = self.u32()? as usize;
        match count.checked_mul(each) {
            Some(bytes) if bytes <= self.remaining() => Ok(count),
            _ => Err(Malformed("count is larger than what follows")),
        }
    }

    /// Checks that nothing is left.
    pub(crate) fn finish(self) -> Result<(), Malformed> {
        match self.bytes.is_empty() {
            true => Ok(()),
            false => Err(Malformed("bytes after the end")),
        }
    }
}

/// The `index`th little-endian u16 of an array.
pub(crate) fn u16_at(bytes: &[u8], index: usize) -> u16 {
    u16::from_le_bytes([bytes[index * 2], bytes[index * 2 + 1]])
}

/// The `index`th little-endian u32 of an array.
pub(crate) fn u32_at(bytes: &[u8], index: usize) -> u32 {
    let [a, b, c, d] = [0, 1, 2, 3].map(|byte| bytes[index * 4 + byte]);
    u32::from_le_bytes([a, b, c, d])
}
