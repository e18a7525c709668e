//! SSTables: immutable sorted files of row versions, stored by column inside blocks (PAX), so that one
//! format serves point reads and scans into Arrow. docs/format-sstable.md is the byte-exact description.
//!
//! A file holds row versions in the order (row key ascending, commit timestamp descending). A row version is
//! a key, a commit timestamp, flags and cells; a merged version, made by compaction, may have cells older than
//! itself. Writing: [`SstableWriter`]. Reading: [`Sstable`], whose [`Block`]s fetch, check and parse each page
//! when it is first needed.
//!
//! Fault model: every byte is covered by a checksum and nothing is parsed before it was checked. Damage gives
//! [`SstableError::Corruption`] with file and offset, never a panic and never a wrong answer; bytes that carry a
//! right checksum but make no sense are treated the same way.
//!
//! | module | what it holds |
//! |---|---|
//! | `format` | where things lie: references, block heads, footer |
//! | `ints`, `bitmap`, `byte_values` | packed integers, row sets, byte strings |
//! | `presence`, `values`, `exceptions`, `keys` | the pages of a block |
//! | `zone`, `filter`, `index`, `tombstones`, `properties`, `schema` | the sections of a file |
//! | `column_builder`, `block_builder`, `block_list_builder`, `key_cells`, `writer` | writing |
//! | `file`, `block`, `table`, `versions`, `read_counts` | reading; how a file is laid out, and whether it is what it says |
//! | `selection`, `arrow_column`, `views` | pages into Arrow arrays |
//! | `codec`, `input`, `error` | compression, parsing, errors |
//! | `fuzz` | every decoder, fed with anything |

mod arrow_column;
mod bitmap;
mod block;
mod block_builder;
mod block_list_builder;
mod byte_values;
mod codec;
mod column_builder;
mod error;
mod exceptions;
mod file;
mod filter;
mod format;
mod fuzz;
mod index;
mod input;
mod ints;
mod key_cells;
mod keys;
mod presence;
mod properties;
mod read_counts;
mod schema;
mod selection;
mod table;
mod tombstones;
mod values;
mod versions;
mod views;
mod writer;
mod zone;

pub use block::{Block, Column, Rows};
pub use codec::Codec;
pub use error::{Result, SstableError};
pub use format::{FORMAT_VERSION, block_flags};
pub use fuzz::fuzz_decode;
pub use index::BlockInfo;
pub use presence::CellState;
pub use properties::{HistoryPart, Properties};
pub use read_counts::ReadCounts;
pub use schema::{FileColumn, WriterKeyColumn, WriterSchema};
pub use selection::RowSelection;
pub use table::{
    BlockOutline, Depth, Examination, Near, Outline, PageOutline, Part, PartitionOutline,
    ReadOptions, Sstable,
};
pub use tombstones::RangeTombstone;
pub use values::{CellBytes, CellRef};
pub use versions::{VersionRef, Versions, hides_older};
pub use writer::{Cell, RowVersion, SstableSummary, SstableWriter, WriterOptions};
pub use zone::{Zone, ZoneBound, ZoneValue};

pub(crate) use table::MetaEntry;

#[cfg(test)]
mod tests;
