//! Where things lie in the file: references, block heads, the footer. docs/format-sstable.md is the
//! byte-exact description.
//!
//! ```text
//! file   := block* | section* | footer
//! block  := head | directory | page*
//! ```
//!
//! Every byte of the file is covered by exactly one checksum: a block's head and directory by the
//! head's, a page by its directory entry's, a section by the reference to it, the footer by its own.

use super::codec::PAGE_RAW_BYTES_MAX;
use super::error::Malformed;
use super::input::Input;
use crate::checksum::crc32c;
use bytes::Bytes;

/// The format this code writes.
pub const FORMAT_VERSION: u32 = 1;

/// Rows of a block at most: row ordinals are u16.
pub(crate) const BLOCK_ROWS_MAX: usize = 1 << 15;

/// Where stored bytes lie, how long they are and what they must add up to.
///
/// ```text
/// offset u64 | stored length u32 | raw length u32 | crc32c of the stored bytes u32 | codec u8 | zero u8 × 3
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PageRef {
    pub(crate) offset: u64,
    pub(crate) stored_len: u32,
    pub(crate) raw_len: u32,
    pub(crate) crc: u32,
    pub(crate) codec: u8,
}

impl PageRef {
    pub(crate) const BYTES: usize = 24;
    /// Where the checksum stands.
    pub(crate) const CRC_AT: usize = 16;

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.extend_from_slice(&self.stored_len.to_le_bytes());
        out.extend_from_slice(&self.raw_len.to_le_bytes());
        out.extend_from_slice(&self.crc.to_le_bytes());
        out.extend_from_slice(&[self.codec, 0, 0, 0]);
    }

    pub(crate) fn decode(input: &mut Input) -> Result<Self, Malformed> {
        let reference = Self {
            offset: input.u64()?,
            stored_len: input.u32()?,
            raw_len: input.u32()?,
            crc: input.u32()?,
            codec: input.u8()?,
        };
        match input.take(3)?[..] {
            [0, 0, 0] => Ok(reference),
            _ => Err(Malformed("reference is not of this format")),
        }
    }

    /// First byte after, or `None` where it lies beyond the end of any file.
    pub(crate) fn end(&self) -> Option<u64> {
        self.offset.checked_add(u64::from(self.stored_len))
    }
}

/// Properties of a block's rows, in its head and in the index.
pub mod block_flags {
    /// No two rows of the block have the same key, and its first and last keys are in no other
    /// block of the same part of the file.
    pub const DISTINCT_KEYS: u16 = 1;
    /// Some row carries ROW_DELETE.
    pub const HAS_DELETE: u16 = 2;
    /// Every row carries both ROW_COMPLETE and ROW_MARKER.
    pub const ALL_COMPLETE: u16 = 4;
    /// Some cells are on the exceptions page.
    pub const HAS_EXCEPTIONS: u16 = 8;
    /// Some cells are older than their row.
    pub const HAS_CELL_TIMES: u16 = 16;
    /// The first row continues the versions of the previous block's last key.
    pub const CONTINUES: u16 = 32;
    /// The next block's first row continues the versions of the last key.
    pub const CONTINUED: u16 = 64;
    /// Some key whose newer versions end in this block has older ones in the history part.
    pub const HAS_HISTORY: u16 = 128;

    /// True where every row has a key of its own, but for what it hides in the history part, is written whole with its
    /// marker, and none is a delete.
    pub fn is_clean(flags: u16) -> bool {
        flags & (DISTINCT_KEYS | ALL_COMPLETE | HAS_DELETE) == DISTINCT_KEYS | ALL_COMPLETE
    }
}

/// What a page holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PageKind {
    Keys = 1,
    Times = 2,
    Flags = 3,
    Exceptions = 4,
    Column = 5,
    ColumnTimes = 6,
}

impl PageKind {
    fn decode(code: u8) -> Result<Self, Malformed> {
        Ok(match code {
            1 => Self::Keys,
            2 => Self::Times,
            3 => Self::Flags,
            4 => Self::Exceptions,
            5 => Self::Column,
            6 => Self::ColumnTimes,
            _ => return Err(Malformed("unknown page kind")),
        })
    }
}

/// How a page's values are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// The page's own layout: keys and exceptions.
    Own = 0,
    /// No values, only presence.
    Empty = 1,
    /// Integers, frame of reference.
    Ints = 2,
    /// One bit a value.
    Bits = 3,
    /// Fixed width, one after another.
    Fixed = 4,
    /// Fixed width, distinct values and codes. One distinct value is the constant form.
    FixedDictionary = 5,
    /// Lengths and bytes.
    Bytes = 6,
    /// Distinct lengths and bytes, and codes. One distinct value is the constant form.
    BytesDictionary = 7,
}

impl Encoding {
    pub(crate) fn decode(code: u8) -> Result<Self, Malformed> {
        Ok(match code {
            0 => Self::Own,
            1 => Self::Empty,
            2 => Self::Ints,
            3 => Self::Bits,
            4 => Self::Fixed,
            5 => Self::FixedDictionary,
            6 => Self::Bytes,
            7 => Self::BytesDictionary,
            _ => return Err(Malformed("unknown encoding")),
        })
    }
}

/// A page of a block.
///
/// ```text
/// column id u32 | kind u8 | encoding u8 | zero u16 | reference (offset from the block's start)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageEntry {
    /// 0 for pages that belong to no column.
    pub(crate) column: u32,
    pub(crate) kind: PageKind,
    pub(crate) encoding: Encoding,
    pub(crate) reference: PageRef,
}

impl PageEntry {
    pub(crate) const BYTES: usize = 8 + PageRef::BYTES;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.column.to_le_bytes());
        out.extend_from_slice(&[self.kind as u8, self.encoding as u8, 0, 0]);
        self.reference.encode(out);
    }

    fn decode(input: &mut Input) -> Result<Self, Malformed> {
        let column = input.u32()?;
        let kind = PageKind::decode(input.u8()?)?;
        let encoding = Encoding::decode(input.u8()?)?;
        if input.u16()? != 0 {
            return Err(Malformed("page entry is not of this format"));
        }
        Ok(Self { column, kind, encoding, reference: PageRef::decode(input)? })
    }
}

/// A block's head.
///
/// ```text
///  0 magic u32 | crc32c u32 of what follows, directory included
///  8 block number u32 (from 0 on; in the history part from 2^31 on) | rows u32 | keys u32 | raw bytes u32
/// 24 flags u16 | pages u16 | zero u32
/// 32 smallest commit timestamp i64 | largest i64
/// 48 page entries: keys, times, flags, exceptions; then by column id
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BlockHead {
    pub(crate) number: u32,
    pub(crate) rows: u32,
    pub(crate) keys: u32,
    pub(crate) raw_bytes: u32,
    pub(crate) flags: u16,
    pub(crate) min_ts: i64,
    pub(crate) max_ts: i64,
    pub(crate) pages: Vec<PageEntry>,
}

const BLOCK_MAGIC: u32 = u32::from_le_bytes(*b"TRNB");

impl BlockHead {
    const FIXED_BYTES: usize = 48;

    /// Bytes of head and directory together.
    pub(crate) fn len(pages: usize) -> usize {
        Self::FIXED_BYTES + pages * PageEntry::BYTES
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&BLOCK_MAGIC.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        for value in [self.number, self.rows, self.keys, self.raw_bytes] {
            out.extend_from_slice(&value.to_le_bytes());
        }
        out.extend_from_slice(&self.flags.to_le_bytes());
        out.extend_from_slice(&(self.pages.len() as u16).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.min_ts.to_le_bytes());
        out.extend_from_slice(&self.max_ts.to_le_bytes());
        for page in &self.pages {
            page.encode(out);
        }
        let crc = crc32c(&out[start + 8..]);
        out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
    }

    /// Checks and parses a head and directory that are exactly `bytes`.
    pub(crate) fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        let mut input = Input::new(bytes.clone());
        if input.u32()? != BLOCK_MAGIC {
            return Err(Malformed("no block starts here"));
        }
        if input.u32()? != crc32c(&bytes[8..]) {
            return Err(Malformed("block head checksum mismatch"));
        }
        Self::decode_body(&mut input)
    }

    /// Parses what the checksum covers.
    pub(crate) fn decode_body(input: &mut Input) -> Result<Self, Malformed> {
        let (number, rows, keys, raw_bytes) =
            (input.u32()?, input.u32()?, input.u32()?, input.u32()?);
        let (flags, page_count, zero) = (input.u16()?, input.u16()?, input.u32()?);
        let (min_ts, max_ts) = (input.i64()?, input.i64()?);
        if rows == 0 || rows as usize > BLOCK_ROWS_MAX || keys == 0 || keys > rows || zero != 0 {
            return Err(Malformed("block head counts are impossible"));
        }
        let mut pages = Vec::with_capacity(usize::from(page_count));
        for _ in 0..page_count {
            let page = PageEntry::decode(input)?;
            if pages.last().is_some_and(|last| Self::order(last) >= Self::order(&page)) {
                return Err(Malformed("page directory is not in order"));
            }
            pages.push(page);
        }
        if input.remaining() > 0 {
            return Err(Malformed("page directory of another length"));
        }
        Ok(Self { number, rows, keys, raw_bytes, flags, min_ts, max_ts, pages })
    }

    /// Column 0's pages come first, then each column's values and times.
    fn order(page: &PageEntry) -> (u32, PageKind) {
        (page.column, page.kind)
    }
}

/// The file's last bytes.
///
/// ```text
///  0 references: top index, columns, properties, range tombstones
/// 96 file length u64 | blocks u32 | format version u32
/// 112 incompatible features u32 | compatible features u32
/// 120 crc32c u32 of what comes before and the magic | magic "TRNSSTBL"
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) top_index: PageRef,
    pub(crate) columns: PageRef,
    pub(crate) properties: PageRef,
    pub(crate) tombstones: PageRef,
    pub(crate) file_len: u64,
    pub(crate) blocks: u32,
    pub(crate) version: u32,
    /// A reader that does not know one of these must refuse the file.
    pub(crate) incompatible: u32,
    /// A reader that does not know one of these may read the file.
    pub(crate) compatible: u32,
}

/// An incompatible feature: a cell's timestamp is the client's and its row's that of the commit, so a cell may be newer than
/// its row, versions are ordered by commit only, and a key may have several of one commit.
pub(crate) const CLIENT_TIMES: u32 = 1;

/// An incompatible feature: versions that a newer one in the file hides are in blocks of their own, the history part. It has
/// an index of its own, which the property `history` leads to.
pub(crate) const HISTORY_PART: u32 = 2;

/// The incompatible features that this code knows.
pub(crate) const KNOWN_FEATURES: u32 = CLIENT_TIMES | HISTORY_PART;

/// Blocks of the history part have this bit in their numbers, which are counted apart.
pub(crate) const HISTORY_BLOCK: u32 = 1 << 31;

/// A compatible feature: filters know the columns of rows beside the rows.
pub(crate) const FILTERS_KNOW_COLUMNS: u32 = 1;

const FOOTER_MAGIC: [u8; 8] = *b"TRNSSTBL";

impl Footer {
    pub(crate) const CRC_AT: usize = 4 * PageRef::BYTES + 24;
    pub(crate) const BYTES: usize = Self::CRC_AT + 4 + FOOTER_MAGIC.len();

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        for reference in [self.top_index, self.columns, self.properties, self.tombstones] {
            reference.encode(out);
        }
        out.extend_from_slice(&self.file_len.to_le_bytes());
        for value in [self.blocks, self.version, self.incompatible, self.compatible] {
            out.extend_from_slice(&value.to_le_bytes());
        }
        let crc = crc32c(&out[start..]);
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&FOOTER_MAGIC);
    }

    /// Checks and parses a footer.
    pub(crate) fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        let mut input = Input::new(bytes.clone());
        let body = input.take(Self::CRC_AT)?;
        let crc = input.u32()?;
        if input.rest() != FOOTER_MAGIC[..] {
            return Err(Malformed("no SSTable ends here"));
        }
        if crc != crc32c(&body) {
            return Err(Malformed("footer checksum mismatch"));
        }
        Self::decode_body(&mut Input::new(body))
    }

    /// Parses what the checksum covers.
    pub(crate) fn decode_body(input: &mut Input) -> Result<Self, Malformed> {
        Ok(Self {
            top_index: PageRef::decode(input)?,
            columns: PageRef::decode(input)?,
            properties: PageRef::decode(input)?,
            tombstones: PageRef::decode(input)?,
            file_len: input.u64()?,
            blocks: input.u32()?,
            version: input.u32()?,
            incompatible: input.u32()?,
            compatible: input.u32()?,
        })
    }
}

/// Checks the bytes a reference leads to and gives their raw form.
pub(crate) fn open_page(reference: &PageRef, stored: Bytes) -> Result<Bytes, Malformed> {
    if stored.len() != reference.stored_len as usize {
        return Err(Malformed("page ends too early"));
    }
    if crc32c(&stored) != reference.crc {
        return Err(Malformed("checksum mismatch"));
    }
    if reference.codec == super::codec::CODE_NONE && reference.raw_len == reference.stored_len {
        return Ok(stored);
    }
    super::codec::decompress(reference.codec, &stored, reference.raw_len as usize).map(Bytes::from)
}

const _: () = assert!(BLOCK_ROWS_MAX <= u16::MAX as usize + 1);
const _: () = assert!(PAGE_RAW_BYTES_MAX <= u32::MAX as usize);
