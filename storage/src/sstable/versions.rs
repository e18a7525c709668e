//! The versions of one row, block after block.

use super::block::Block;
use super::error::Result;
use super::format::block_flags;
use super::table::{ReadOptions, Sstable};
use std::ops::Range;
use std::sync::Arc;
use terrane_client::ids::CommitTs;

/// A row's versions, newest first.
pub struct Versions<'a> {
    table: &'a Sstable,
    max_ts: CommitTs,
    options: ReadOptions,
    at: Option<(Arc<Block>, Range<u32>)>,
}

/// One version of a row.
#[derive(Clone, Debug)]
pub struct VersionRef {
    /// When it was committed.
    pub commit_ts: CommitTs,
    /// ROW_DELETE, ROW_MARKER, ROW_COMPLETE.
    pub flags: u8,
    /// Where it is: cells by [`Block::row_cells`] or [`Block::column`].
    pub block: Arc<Block>,
    /// Its ordinal in the block.
    pub row: u32,
}

impl<'a> Versions<'a> {
    /// No versions, until a block is entered.
    pub(super) fn new(table: &'a Sstable, max_ts: CommitTs, options: ReadOptions) -> Self {
        Self { table, max_ts, options, at: None }
    }

    /// Continues with a block that may have the key.
    pub(super) fn enter(&mut self, number: u32, key: &[u8]) -> Result<()> {
        let block = self.table.block(number, true, self.options)?;
        let rows = block.rows()?.find(key);
        self.at = Some((block, rows));
        Ok(())
    }

    /// The next older version.
    #[allow(clippy::should_implement_trait, reason = "it can fail, and callers want `?`")]
    pub fn next(&mut self) -> Result<Option<VersionRef>> {
        loop {
            let Some((block, range)) = &mut self.at else { return Ok(None) };
            let rows = block.rows()?;
            for row in range.by_ref() {
                let commit_ts = rows.commit_ts(row);
                if commit_ts <= self.max_ts {
                    let (flags, block) = (rows.flags(row), block.clone());
                    return Ok(Some(VersionRef { commit_ts, flags, block, row }));
                }
            }
            // Only the last key of a block goes on in the next one.
            let goes_on =
                block.flags() & block_flags::CONTINUED != 0 && range.end == block.row_count();
            if !goes_on {
                self.at = None;
                return Ok(None);
            }
            let (number, key) = (block.number() + 1, rows.key(block.row_count() - 1));
            if number >= self.table.block_count() {
                self.at = None;
                return Ok(None);
            }
            self.enter(number, &key)?;
        }
    }
}
