//! The versions of one row, block after block: those of the data part, then those beneath in the history part.

use super::block::Block;
use super::error::Result;
use super::format::block_flags;
use super::table::{ReadOptions, Sstable};
use std::ops::Range;
use std::sync::Arc;
use terrane_client::ids::CommitTs;
use terrane_client::row::{ROW_COMPLETE, ROW_DELETE};

/// True where nothing older than a version with these flags counts for who wants the newest.
pub fn hides_older(flags: u8) -> bool {
    flags & (ROW_DELETE | ROW_COMPLETE) != 0
}

/// A row's versions, newest first.
pub struct Versions<'a> {
    table: &'a Sstable,
    max_ts: CommitTs,
    options: ReadOptions,
    at: Option<(Arc<Block>, Range<u32>)>,
    in_history: bool,
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
        Self { table, max_ts, options, at: None, in_history: false }
    }

    /// Continues with a block that may have the key.
    pub(super) fn enter(&mut self, number: u32, key: &[u8]) -> Result<()> {
        let block = self.table.block(number, true, self.options)?;
        let rows = block.rows()?.find(key);
        self.at = (!rows.is_empty()).then_some((block, rows));
        Ok(())
    }

    /// The next older version.
    #[allow(clippy::should_implement_trait, reason = "it can fail, and callers want `?`")]
    pub fn next(&mut self) -> Result<Option<VersionRef>> {
        loop {
            let Some((block, range)) = &mut self.at else { return Ok(None) };
            let rows = block.rows()?;
            *range = rows.not_above(range.clone(), self.max_ts);
            if let Some(row) = range.next() {
                let (commit_ts, flags) = (rows.commit_ts(row), rows.flags(row));
                return Ok(Some(VersionRef { commit_ts, flags, block: block.clone(), row }));
            }
            let (block, end) = (block.clone(), range.end);
            self.at = self.behind(&block, end)?;
        }
    }

    /// Where the versions go on, of which the last so far is the row before `end` of a block; `None` where it was the last.
    fn behind(&mut self, block: &Arc<Block>, end: u32) -> Result<Option<(Arc<Block>, Range<u32>)>> {
        let Some(last) = end.checked_sub(1) else { return Ok(None) };
        let rows = block.rows()?;
        // Only the last key of a block goes on in the next one.
        if block.flags() & block_flags::CONTINUED != 0 && end == block.row_count() {
            if !self.table.has_block_after(block.number()) {
                return Ok(None);
            }
            let next = self.table.block(block.number() + 1, true, self.options)?;
            let of_key = next.rows()?.find(&rows.key(last));
            return Ok((!of_key.is_empty()).then_some((next, of_key)));
        }
        let has_history = !self.in_history && block.flags() & block_flags::HAS_HISTORY != 0;
        if !has_history || !hides_older(rows.flags(last)) {
            return Ok(None);
        }
        self.in_history = true;
        let found = self.table.history_of(&rows.key(last), None, self.options)?;
        Ok(found.filter(|(_, rows)| !rows.is_empty()))
    }
}
