//! How a file is laid out, for who looks at it with a tool: what docs/format-sstable.md calls references, in
//! words. Nothing that serves reads uses this.

use super::Sstable;
use super::block_list::BlockList;
use crate::sstable::block::Block;
use crate::sstable::codec::{CODE_LZ4, CODE_NONE, CODE_ZSTD};
use crate::sstable::error::Result;
use crate::sstable::format::{Encoding, Footer, PageEntry, PageKind, PageRef};
use crate::sstable::index::BlockInfo;
use bytes::Bytes;
use terrane_client::ids::ColumnId;

/// Stored bytes that have a checksum of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// From the file's start.
    pub offset: u64,
    /// Bytes in the file.
    pub stored_bytes: u32,
    /// Bytes once decompressed.
    pub raw_bytes: u32,
    /// How they are compressed.
    pub codec: &'static str,
}

impl Part {
    fn new(reference: &PageRef, base: u64) -> Self {
        let codec = match reference.codec {
            CODE_NONE => "none",
            CODE_LZ4 => "lz4",
            CODE_ZSTD => "zstd",
            _ => "unknown",
        };
        Self {
            offset: base.saturating_add(reference.offset),
            stored_bytes: reference.stored_len,
            raw_bytes: reference.raw_len,
            codec,
        }
    }
}

/// A file but for its blocks.
#[derive(Clone, Debug)]
pub struct Outline {
    /// The format's version.
    pub version: u32,
    /// Features a reader must know, and features it need not.
    pub features: (u32, u32),
    /// The file's length, as the footer says.
    pub file_bytes: u64,
    /// Data blocks.
    pub blocks: u32,
    /// Blocks of the history part.
    pub history_blocks: u32,
    /// The sections that the footer leads to, and each column's zone map, by name.
    pub sections: Vec<(String, Part)>,
    /// The index's partitions.
    pub partitions: Vec<PartitionOutline>,
    /// Those of the history part's, which have no filters.
    pub history_partitions: Vec<PartitionOutline>,
}

/// A partition of the index.
#[derive(Clone, Debug)]
pub struct PartitionOutline {
    /// Its entries.
    pub index: Part,
    /// Its filter.
    pub filter: Part,
    /// Blocks, distinct keys (those of two blocks twice), row versions.
    pub counts: (u32, u32, u64),
    /// First and last row key.
    pub bounds: (Bytes, Bytes),
}

/// A block's head.
#[derive(Clone, Debug)]
pub struct BlockOutline {
    /// What the index says of it, which its head repeats.
    pub info: BlockInfo,
    /// From the file's start.
    pub offset: u64,
    /// Bytes in the file.
    pub stored_bytes: u32,
    /// Bytes of keys and cells before encoding.
    pub raw_bytes: u32,
    /// First and last row key.
    pub bounds: (Bytes, Bytes),
    /// Its pages.
    pub pages: Vec<PageOutline>,
}

/// A page of a block.
#[derive(Clone, Copy, Debug)]
pub struct PageOutline {
    /// The column; `None` for what belongs to all.
    pub column: Option<ColumnId>,
    /// What it holds.
    pub kind: &'static str,
    /// How its values are coded.
    pub encoding: &'static str,
    /// Where.
    pub part: Part,
}

impl PageOutline {
    fn new(entry: &PageEntry, block: u64) -> Self {
        Self {
            column: (entry.column > 0).then_some(ColumnId(entry.column)),
            kind: match entry.kind {
                PageKind::Keys => "keys",
                PageKind::Times => "times",
                PageKind::Flags => "flags",
                PageKind::Exceptions => "exceptions",
                PageKind::Column => "column",
                PageKind::ColumnTimes => "column times",
            },
            encoding: match entry.encoding {
                Encoding::Own => "own",
                Encoding::Empty => "empty",
                Encoding::Ints => "ints",
                Encoding::Bits => "bits",
                Encoding::Fixed => "fixed",
                Encoding::FixedDictionary => "fixed dictionary",
                Encoding::Bytes => "bytes",
                Encoding::BytesDictionary => "bytes dictionary",
            },
            part: Part::new(&entry.reference, block),
        }
    }
}

impl Sstable {
    /// The footer, read again: an open table keeps only what it leads to.
    pub(super) fn footer(&self) -> Result<Footer> {
        let context = &self.shared.context;
        let at = context.len - Footer::BYTES as u64;
        let bytes = context.read(at, Footer::BYTES)?;
        Footer::decode(bytes).map_err(|malformed| context.corruption(at, malformed))
    }

    /// The file's layout but for its blocks.
    pub fn outline(&self) -> Result<Outline> {
        let footer = self.footer()?;
        let part = |reference: &PageRef| Part::new(reference, 0);
        let mut sections = vec![
            ("top index".to_owned(), part(&footer.top_index)),
            ("columns".to_owned(), part(&footer.columns)),
            ("properties".to_owned(), part(&footer.properties)),
            ("range tombstones".to_owned(), part(&footer.tombstones)),
        ];
        if let Some(history) = &self.properties().history {
            sections.push(("top index of the history part".to_owned(), part(&history.top_index)));
        }
        let zones = self.columns().iter();
        sections.extend(zones.map(|c| (format!("zone map of column {}", c.id.0), part(&c.zones))));
        let partitions = |list: &BlockList| {
            let top = &list.top;
            let entries = top.entries.iter().enumerate();
            let outline = entries.map(|(at, entry)| PartitionOutline {
                index: part(&entry.index),
                filter: part(&entry.filter),
                counts: (entry.blocks, entry.keys, entry.rows),
                bounds: (top.keys.first(at), top.keys.last(at)),
            });
            outline.collect()
        };
        Ok(Outline {
            version: footer.version,
            features: (footer.incompatible, footer.compatible),
            file_bytes: footer.file_len,
            blocks: footer.blocks,
            history_blocks: self.history_blocks().len() as u32,
            sections,
            partitions: partitions(&self.shared.data),
            history_partitions: self.shared.history.as_ref().map(partitions).unwrap_or_default(),
        })
    }

    /// A block's head; no page is read.
    pub fn block_outline(&self, number: u32) -> Result<BlockOutline> {
        let info = self.block_info(number)?;
        let bounds = self.block_bounds(number)?;
        let block = Block::open(&self.shared.context, number, &info, false, false)?;
        let pages = block.page_entries().iter().map(|entry| PageOutline::new(entry, info.offset));
        Ok(BlockOutline {
            info,
            offset: info.offset,
            stored_bytes: info.stored_len,
            raw_bytes: block.raw_bytes(),
            bounds,
            pages: pages.collect(),
        })
    }
}
