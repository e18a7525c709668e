//! A position in one run: on a row key, in one direction, inside a range.
//!
//! A block is read only when its rows are asked for: until then a block that is wholly inside the range
//! and clean is known by its index entry, so that it can be passed over by its values without being read.
//!
//! Where the versions of a key go on in the next block, the key belongs to the block in which it starts:
//! [`RunCursor::visit`] follows it from there, and the next block is entered after it.
//!
//! The cursor moves over data blocks only. What a version hides in its file's history part is looked for when the visitor of
//! a key wants more: at a read timestamp below that version's, or for older versions. So a block of the history part is read
//! where a key in it is asked for, and never else.

use super::error::Result;
use super::merge::{MergeRead, Place, Visited, Visitor};
use super::sources::Run;
use crate::sstable::{Block, BlockInfo, Near, ReadOptions, Sstable, block_flags, hides_older};
use bytes::Bytes;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use terrane_client::ids::CommitTs;
use terrane_client::read::{KeyRange, ScanMetrics};

/// Rows that are looked at one after the other before the rest of a block is searched.
const GALLOP_ROWS: u32 = 8;

/// See the module's doc.
pub(super) struct RunCursor {
    run: Arc<Run>,
    range: KeyRange,
    reverse: bool,
    /// Newer versions are not visited.
    max_ts: CommitTs,
    options: ReadOptions,
    metrics: Arc<ScanMetrics>,
    /// Files not yet entered.
    files: Range<usize>,
    /// The file entered, and its part of the range.
    table: Option<(Sstable, KeyRange)>,
    /// Its blocks not yet entered.
    blocks: Range<u32>,
    at: Option<At>,
    /// Where the file's history part was read last, and the next key is expected.
    history: Option<Near>,
    /// The key it is on.
    key: Vec<u8>,
}

/// The block a cursor is in.
struct At {
    number: u32,
    info: BlockInfo,
    /// First and last key of the block.
    bounds: (Bytes, Bytes),
    /// Once read: the block, and its rows not yet passed.
    read: Option<(Arc<Block>, Range<u32>)>,
}

impl RunCursor {
    /// On the first key of the range, in its direction.
    pub(super) fn new(
        run: Arc<Run>,
        range: KeyRange,
        read: MergeRead,
        metrics: Arc<ScanMetrics>,
    ) -> Result<Self> {
        let MergeRead { max_ts, reverse, options } = read;
        let end = range.end.as_ref().map_or(run.files().len(), |end| run.files_below(end));
        let files = run.first_file_at(&range.start).min(end)..end;
        let mut cursor = Self {
            run,
            range,
            reverse,
            max_ts,
            options,
            metrics,
            files,
            table: None,
            blocks: 0..0,
            at: None,
            history: None,
            key: Vec::new(),
        };
        cursor.next_block()?;
        Ok(cursor)
    }

    /// The key it is on; `None` behind the last.
    pub(super) fn key(&self) -> Option<&[u8]> {
        self.at.as_ref().map(|_| &self.key[..])
    }

    /// The block it is in, and the file's table.
    pub(super) fn block_info(&self) -> Option<(&Sstable, u32, &BlockInfo)> {
        let (table, _) = self.table.as_ref()?;
        self.at.as_ref().map(|at| (table, at.number, &at.info))
    }

    /// First and last key of the block it is in, whatever of it is inside the range.
    pub(super) fn block_bounds(&self) -> Option<(&[u8], &[u8])> {
        self.at.as_ref().map(|at| (&at.bounds.0[..], &at.bounds.1[..]))
    }

    /// True where the block was not read yet: all of it is inside the range and ahead.
    pub(super) fn is_unread(&self) -> bool {
        self.at.as_ref().is_some_and(|at| at.read.is_none())
    }

    /// Passes over the rest of the block.
    pub(super) fn skip_block(&mut self) -> Result<()> {
        self.metrics.blocks_skipped.fetch_add(1, Relaxed);
        self.next_block()
    }

    /// The block it is in, whose keys need not be read; moves to the next block.
    pub(super) fn take_block(&mut self) -> Result<Arc<Block>> {
        let (Some((table, _)), Some(at)) = (&self.table, &self.at) else {
            unreachable!("asked only where there is a key");
        };
        let block = table.block(at.number, false, self.options)?;
        self.metrics.blocks_read.fetch_add(1, Relaxed);
        self.next_block()?;
        Ok(block)
    }

    /// Enters the next block that has rows in the range.
    fn next_block(&mut self) -> Result<()> {
        loop {
            self.at = None;
            let number = match self.reverse {
                false => self.blocks.next(),
                true => self.blocks.next_back(),
            };
            match number {
                Some(number) if self.enter_block(number)? => return Ok(()),
                Some(_) => {}
                None if self.next_file()? => {}
                None => return Ok(()),
            }
        }
    }

    fn next_file(&mut self) -> Result<bool> {
        (self.table, self.history) = (None, None);
        let file = match self.reverse {
            false => self.files.next(),
            true => self.files.next_back(),
        };
        let Some(file) = file.map(|index| &self.run.files()[index]) else { return Ok(false) };
        let inside = intersection(&self.range, &file.bounds);
        self.blocks = file.table.blocks_in(&inside.start, inside.end.as_deref())?;
        self.table = Some((Sstable::clone(&file.table), inside));
        Ok(true)
    }

    /// False where the block has no row of its own in the range.
    fn enter_block(&mut self, number: u32) -> Result<bool> {
        let Some((table, inside)) = &self.table else { return Ok(false) };
        let info = table.block_info(number)?;
        let bounds = table.block_bounds(number)?;
        let is_inside = inside.contains(&bounds.0) && inside.contains(&bounds.1);
        let near = if self.reverse { &bounds.1 } else { &bounds.0 };
        self.key.clear();
        self.key.extend_from_slice(near);
        let can_wait = info.is_clean() && is_inside;
        self.at = Some(At { number, info, bounds, read: None });
        Ok(can_wait || !self.read_block()?.1.is_empty())
    }

    /// The block it is in and the rows ahead in it, read if need be.
    pub(super) fn read_block(&mut self) -> Result<(&Arc<Block>, Range<u32>)> {
        let (Some((table, inside)), Some(at)) = (&self.table, &mut self.at) else {
            unreachable!("asked only where there is a key");
        };
        if at.read.is_none() {
            let block = table.block(at.number, true, self.options)?;
            self.metrics.blocks_read.fetch_add(1, Relaxed);
            let rows = block.rows()?;
            let own = match block.flags() & block_flags::CONTINUES {
                0 => 0,
                _ => rows.versions_of(0).end,
            };
            let start = rows.lower_bound(&inside.start).max(own);
            let end = match &inside.end {
                None => rows.len(),
                Some(end) => rows.lower_bound(end),
            };
            let ahead = start..end.max(start);
            if !ahead.is_empty() {
                self.key.clear();
                let near = if self.reverse { ahead.end - 1 } else { ahead.start };
                rows.append_key(near, &mut self.key);
            }
            at.read = Some((block, ahead));
        }
        let (block, ahead) = at.read.as_ref().expect("read just now");
        Ok((block, ahead.clone()))
    }

    /// The rows ahead in the block whose keys come before `other` in the direction. Reads the block.
    pub(super) fn rows_before(&mut self, other: Option<&[u8]>) -> Result<Range<u32>> {
        let reverse = self.reverse;
        let (block, ahead) = self.read_block()?;
        let Some(other) = other else { return Ok(ahead) };
        let rows = block.rows()?;
        // The other source's next key is often near: look at a few keys before searching all.
        if !reverse {
            for row in ahead.clone().take(GALLOP_ROWS as usize) {
                if rows.compare_key(row, other).is_ge() {
                    return Ok(ahead.start..row);
                }
            }
            Ok(ahead.start..rows.lower_bound(other).clamp(ahead.start, ahead.end))
        } else {
            for row in ahead.clone().rev().take(GALLOP_ROWS as usize) {
                if rows.compare_key(row, other).is_le() {
                    return Ok(row + 1..ahead.end);
                }
            }
            let upper = match rows.find(other) {
                found if found.is_empty() => found.start,
                found => found.end,
            };
            Ok(upper.clamp(ahead.start, ahead.end)..ahead.end)
        }
    }

    /// The rows in this block of the key it is on.
    pub(super) fn rows_of_key(&mut self) -> Result<Range<u32>> {
        let reverse = self.reverse;
        let (block, ahead) = self.read_block()?;
        let near = if reverse { ahead.end - 1 } else { ahead.start };
        Ok(block.rows()?.versions_of(near))
    }

    /// Visits the versions of the key it is on, newest first, until the visitor has enough. Those of a file that are above the
    /// timestamp read at are left out.
    pub(super) fn visit(&mut self, visit: &mut Visitor<'_>) -> Result<ControlFlow<()>> {
        let mut rows = self.rows_of_key()?;
        let (block, _) = self.read_block()?;
        let mut block = block.clone();
        let Some((table, _)) = &self.table else { return Ok(ControlFlow::Continue(())) };
        loop {
            let last = rows.end - 1;
            if self.visit_rows(table, &block, rows, visit)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if let Some(next) = self.next_of_key(table, &block, last)? {
                (block, rows) = next;
                continue;
            }
            let has_history = block.flags() & block_flags::HAS_HISTORY != 0;
            return match has_history && hides_older(block.rows()?.flags(last)) {
                true => self.visit_history(visit),
                false => Ok(ControlFlow::Continue(())),
            };
        }
    }

    /// Visits the versions of the key it is on that newer ones in the same file hide.
    fn visit_history(&mut self, visit: &mut Visitor<'_>) -> Result<ControlFlow<()>> {
        let Some((table, _)) = &self.table else { return Ok(ControlFlow::Continue(())) };
        let near = self.history.take();
        let found = match near.as_ref().map(|near| near.rows_of(&self.key)).transpose()?.flatten() {
            Some(rows) => near.map(|near| (near.block, rows)),
            None => {
                let block = near.as_ref().map(|near| &near.block);
                let found = table.history_of(&self.key, block, self.options)?;
                let is_same = |read: &Arc<Block>| block.is_some_and(|near| Arc::ptr_eq(near, read));
                if found.as_ref().is_some_and(|(read, _)| !is_same(read)) {
                    self.metrics.blocks_read.fetch_add(1, Relaxed);
                }
                if found.is_none() {
                    self.history = near;
                }
                found
            }
        };
        let Some((mut block, mut rows)) = found else { return Ok(ControlFlow::Continue(())) };
        if rows.is_empty() {
            // The next key may be in it.
            self.history = Some(Near { block, row: rows.start });
            return Ok(ControlFlow::Continue(()));
        }
        loop {
            let (start, end) = (rows.start, rows.end);
            let visited = self.visit_rows(table, &block, rows, visit)?;
            let next = match visited {
                ControlFlow::Break(()) => None,
                ControlFlow::Continue(()) => self.next_of_key(table, &block, end - 1)?,
            };
            match next {
                Some(next) => (block, rows) = next,
                None => {
                    let row = if self.reverse { start.wrapping_sub(1) } else { end };
                    self.history = Some(Near { block, row });
                    return Ok(visited);
                }
            }
        }
    }

    /// Visits versions of the key it is on in one block.
    fn visit_rows(
        &self,
        table: &Sstable,
        block: &Arc<Block>,
        versions: Range<u32>,
        visit: &mut Visitor<'_>,
    ) -> Result<ControlFlow<()>> {
        let (key, (_, seq)) = (&self.key[..], table.properties().seq_range());
        let lead = block.rows()?;
        for row in lead.not_above(versions, self.max_ts) {
            let place = Place::Block { seq, block, row };
            let (commit_ts, flags) = (lead.commit_ts(row), lead.flags(row));
            if visit(Visited { key, commit_ts, flags, place })?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The next block's versions of a key, of which the last so far is row `last` of a block; `None` where it does not go on there.
    fn next_of_key(
        &self,
        table: &Sstable,
        block: &Block,
        last: u32,
    ) -> Result<Option<(Arc<Block>, Range<u32>)>> {
        if block.flags() & block_flags::CONTINUED == 0 || last + 1 < block.row_count() {
            return Ok(None);
        }
        let next = table.block(block.number() + 1, true, self.options)?;
        self.metrics.blocks_read.fetch_add(1, Relaxed);
        let rows = next.rows()?.versions_of(0);
        Ok(Some((next, rows)))
    }

    /// Passes over this many rows of the block.
    pub(super) fn pass(&mut self, count: u32) -> Result<()> {
        let Some(At { read: Some((block, ahead)), .. }) = &mut self.at else {
            unreachable!("rows are passed after they were read");
        };
        match self.reverse {
            false => ahead.start += count,
            true => ahead.end -= count,
        }
        if ahead.start == ahead.end {
            return self.next_block();
        }
        let near = if self.reverse { ahead.end - 1 } else { ahead.start };
        self.key.clear();
        block.rows()?.append_key(near, &mut self.key);
        Ok(())
    }
}

/// The keys in both ranges.
pub(super) fn intersection(a: &KeyRange, b: &KeyRange) -> KeyRange {
    let end = match (&a.end, &b.end) {
        (Some(a), Some(b)) => Some(a.min(b).clone()),
        (end, None) | (None, end) => end.clone(),
    };
    KeyRange { start: (&a.start).max(&b.start).clone(), end }
}
