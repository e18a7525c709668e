//! Compression of pages, each by itself.

use super::error::Malformed;
use std::cell::RefCell;

/// How a writer compresses pages. A page keeps its codec only where that saves an eighth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Codec {
    /// Not at all.
    None,
    /// Fast: for flushes.
    #[default]
    Lz4,
    /// Small, at this level: for the base run.
    Zstd(i32),
}

/// Smaller pages are stored as they are.
const PAGE_BYTES_MIN: usize = 256;
/// A page is stored compressed if that takes at most this many hundredths of its raw size.
const KEEP_PERCENT_MAX: usize = 88;
/// LZ4 turns one byte into at most 255.
const LZ4_RATIO_MAX: usize = 255;
/// A page is larger by nothing but one large cell, and a cell is at most 1 GiB.
pub(crate) const PAGE_RAW_BYTES_MAX: usize = (1 << 31) - 1;

/// The stored codes.
pub(crate) const CODE_NONE: u8 = 0;
pub(crate) const CODE_LZ4: u8 = 1;
pub(crate) const CODE_ZSTD: u8 = 2;

/// Compresses pages with one codec.
pub(crate) struct Compressor {
    codec: Codec,
    zstd: Option<zstd::bulk::Compressor<'static>>,
    buffer: Vec<u8>,
}

impl Compressor {
    pub(crate) fn new(codec: Codec) -> std::io::Result<Self> {
        let zstd = match codec {
            Codec::Zstd(level) => Some(zstd::bulk::Compressor::new(level)?),
            _ => None,
        };
        Ok(Self { codec, zstd, buffer: Vec::new() })
    }

    /// The code and bytes to store for a page. `dense` pages are bit-packed: LZ4 finds nothing there.
    pub(crate) fn compress<'a>(&'a mut self, raw: &'a [u8], dense: bool) -> (u8, &'a [u8]) {
        if raw.len() < PAGE_BYTES_MIN {
            return (CODE_NONE, raw);
        }
        let limit = raw.len() * KEEP_PERCENT_MAX / 100;
        let (code, len) = match (self.codec, &mut self.zstd) {
            (Codec::Lz4, _) if !dense => (CODE_LZ4, self.lz4(raw)),
            (Codec::Zstd(_), Some(zstd)) => {
                // The limit is the buffer's room: what does not save enough fails early.
                self.buffer.resize(limit, 0);
                (CODE_ZSTD, zstd.compress_to_buffer(raw, &mut self.buffer[..]).ok())
            }
            _ => (CODE_NONE, None),
        };
        match len {
            Some(len) if len <= limit => (code, &self.buffer[..len]),
            _ => (CODE_NONE, raw),
        }
    }

    fn lz4(&mut self, raw: &[u8]) -> Option<usize> {
        self.buffer.resize(lz4_flex::block::get_maximum_output_size(raw.len()), 0);
        lz4_flex::block::compress_into(raw, &mut self.buffer).ok()
    }
}

/// The raw bytes of a page.
pub(crate) fn decompress(code: u8, stored: &[u8], raw_len: usize) -> Result<Vec<u8>, Malformed> {
    if raw_len > PAGE_RAW_BYTES_MAX {
        return Err(Malformed("page is larger than any page"));
    }
    match code {
        CODE_NONE if stored.len() == raw_len => Ok(stored.to_vec()),
        CODE_NONE => Err(Malformed("uncompressed page of another length")),
        CODE_LZ4 => decompress_lz4(stored, raw_len),
        CODE_ZSTD => decompress_zstd(stored, raw_len),
        _ => Err(Malformed("unknown codec")),
    }
}

fn decompress_lz4(stored: &[u8], raw_len: usize) -> Result<Vec<u8>, Malformed> {
    // Before room is made for it: the length could be anything.
    if raw_len > stored.len().saturating_mul(LZ4_RATIO_MAX) {
        return Err(Malformed("page claims to be larger than lz4 can make it"));
    }
    let mut raw = vec![0; raw_len];
    match lz4_flex::block::decompress_into(stored, &mut raw) {
        Ok(len) if len == raw_len => Ok(raw),
        _ => Err(Malformed("lz4 page does not decompress")),
    }
}

fn decompress_zstd(stored: &[u8], raw_len: usize) -> Result<Vec<u8>, Malformed> {
    thread_local! {
        /// Making a context costs more than decompressing a page.
        static CONTEXT: RefCell<Option<zstd::bulk::Decompressor<'static>>> =
            const { RefCell::new(None) };
    }
    let malformed = Malformed("zstd page does not decompress");
    // The frame says its length too: no room is made for a length that only the directory claims.
    let said = zstd::zstd_safe::get_frame_content_size(stored).ok().flatten();
    if said != Some(raw_len as u64) {
        return Err(malformed);
    }
    CONTEXT.with_borrow_mut(|context| {
        if context.is_none() {
            *context = zstd::bulk::Decompressor::new().ok();
        }
        let raw = context.as_mut().and_then(|context| context.decompress(stored, raw_len).ok());
        raw.filter(|raw| raw.len() == raw_len).ok_or(malformed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(codec: Codec, raw: &[u8]) -> (u8, Vec<u8>) {
        let mut compressor = Compressor::new(codec).unwrap();
        let (code, bytes) = compressor.compress(raw, false);
        (code, bytes.to_vec())
    }

    #[test]
    fn pages_that_shrink_are_compressed_and_come_back() {
        let raw: Vec<u8> = (0..10_000u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
        for (codec, expected) in [(Codec::Lz4, CODE_LZ4), (Codec::Zstd(1), CODE_ZSTD)] {
            let (code, bytes) = stored(codec, &raw);
            assert_eq!(code, expected);
            assert!(bytes.len() < raw.len() / 2);
            assert_eq!(decompress(code, &bytes, raw.len()).unwrap(), raw);
            assert!(decompress(code, &bytes, raw.len() + 1).is_err());
            assert!(decompress(code, &bytes, raw.len() - 1).is_err());
            assert!(decompress(code, &bytes[1..], raw.len()).is_err());
            assert!(decompress(code, &[], raw.len()).is_err());
            assert!(decompress(code, &bytes, usize::MAX).is_err());
        }
    }

    #[test]
    fn small_and_incompressible_pages_stay_raw() {
        let mut state = 1u64;
        let noise: Vec<u8> = (0..10_000)
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 56) as u8
            })
            .collect();
        for codec in [Codec::None, Codec::Lz4, Codec::Zstd(3)] {
            assert_eq!(stored(codec, &noise), (CODE_NONE, noise.clone()));
            assert_eq!(stored(codec, &[0; 255]), (CODE_NONE, vec![0; 255]));
        }
    }
}
