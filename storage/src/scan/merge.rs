//! All sources of a range side by side, the one with the next key first.

use super::dated_row::DatedRow;
use super::error::Result;
use super::group_gc::may_have_expired;
use super::picks::Picks;
use super::plan::Plan;
use super::prune::Window;
use super::run_cursor::RunCursor;
use super::sources::{Run, Sources, Tombstones};
use crate::memtable;
use crate::sstable::{Block, ReadOptions, hides_older};
use std::cmp::Ordering;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use terrane_client::ids::{CommitTs, Seq};
use terrane_client::read::{KeyRange, ScanMetrics};

/// A position in one source.
pub(super) enum Source {
    Memtable(MemtableSource),
    Run(Box<RunCursor>),
}

/// A position in a memtable, inside a range.
pub(super) struct MemtableSource {
    cursor: memtable::Cursor,
    range: KeyRange,
    reverse: bool,
}

impl MemtableSource {
    fn new(mut cursor: memtable::Cursor, range: KeyRange, reverse: bool) -> Self {
        match (reverse, &range.end) {
            (false, _) => cursor.seek(&range.start),
            (true, Some(end)) => cursor.seek_below(end),
            (true, None) => cursor.seek_last(),
        }
        Self { cursor, range, reverse }
    }

    /// The far end of the range only: the cursor started inside, and moves towards it.
    fn key(&self) -> Option<&[u8]> {
        let KeyRange { start, end } = &self.range;
        self.cursor.key().filter(|key| match self.reverse {
            false => end.as_ref().is_none_or(|end| *key < &end[..]),
            true => start.is_empty() || *key >= &start[..],
        })
    }

    fn next(&mut self) {
        match self.reverse {
            false => self.cursor.next(),
            true => self.cursor.previous(),
        }
    }
}

impl Source {
    /// The key it is on; `None` behind the last.
    fn key(&self) -> Option<&[u8]> {
        match self {
            Source::Memtable(cursor) => cursor.key(),
            Source::Run(cursor) => cursor.key(),
        }
    }

    /// Moves to the next key.
    fn next(&mut self) -> Result<()> {
        match self {
            Source::Memtable(cursor) => cursor.next(),
            Source::Run(cursor) => {
                let rows = cursor.rows_of_key()?;
                cursor.pass(rows.len() as u32)?;
            }
        }
        Ok(())
    }
}

/// How a merge reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct MergeRead {
    /// No version above this is wanted. Memtables may give some all the same.
    pub(super) max_ts: CommitTs,
    /// Keys descend.
    pub(super) reverse: bool,
    pub(super) options: ReadOptions,
}

/// See the module's doc.
pub(super) struct Merge {
    /// Newest first.
    sources: Vec<Source>,
    /// Those that are on a key: by key in the direction of the scan, of equal keys the newest first.
    order: Vec<usize>,
    reverse: bool,
    tombstones: Tombstones,
}

impl Merge {
    /// On the first keys of a range. `runs` are those of the sources that have rows of it; others matter for what they
    /// delete.
    pub(super) fn new(
        sources: &Sources,
        runs: &[Arc<Run>],
        range: &KeyRange,
        read: MergeRead,
        metrics: &Arc<ScanMetrics>,
    ) -> Result<Self> {
        let reverse = read.reverse;
        let memtables = sources.memtables.iter().map(|memtable| {
            Ok(Source::Memtable(MemtableSource::new(memtable.cursor(), range.clone(), reverse)))
        });
        let runs = runs.iter().map(|run| {
            RunCursor::new(run.clone(), range.clone(), read, metrics.clone())
                .map(|cursor| Source::Run(Box::new(cursor)))
        });
        let cursors: Result<Vec<Source>> = memtables.chain(runs).collect();
        let mut merge = Self {
            sources: cursors?,
            order: Vec::new(),
            reverse,
            tombstones: sources.tombstones_in(range),
        };
        for source in 0..merge.sources.len() {
            merge.insert(source);
        }
        Ok(merge)
    }

    /// Which of two sources comes first. Both are on a key.
    fn compare(&self, a: usize, b: usize) -> Ordering {
        let keys = self.sources[a].key().cmp(&self.sources[b].key());
        if self.reverse { keys.reverse() } else { keys }.then(a.cmp(&b))
    }

    /// Puts a source that is in no place into its place, unless it is behind its last key.
    fn insert(&mut self, source: usize) {
        if self.sources[source].key().is_none() {
            return;
        }
        // It mostly stays in front or near it.
        let place = self.order.iter().position(|other| self.compare(source, *other).is_lt());
        self.order.insert(place.unwrap_or(self.order.len()), source);
    }

    /// The next key; `None` at the end.
    pub(super) fn key(&self) -> Option<&[u8]> {
        self.order.first().and_then(|first| self.sources[*first].key())
    }

    /// The source with the next key, and the key of the one after it; `None` at the end.
    pub(super) fn first(&mut self) -> Option<(&mut Source, Option<&[u8]>)> {
        let first = *self.order.first()?;
        let Some(second) = self.order.get(1).copied() else {
            return Some((&mut self.sources[first], None));
        };
        let [first, second] = self.sources.get_disjoint_mut([first, second]).ok()?;
        Some((first, second.key()))
    }

    /// True where no source is on a key.
    pub(super) fn is_done(&self) -> bool {
        self.order.is_empty()
    }

    /// Where a run alone has the next key: what else there is in the block it is in.
    pub(super) fn window(&self, at: CommitTs) -> Option<Window> {
        let Source::Run(cursor) = &self.sources[*self.order.first()?] else { return None };
        if self.equal_count() > 1 {
            return None;
        }
        let (first, last) = cursor.block_bounds()?;
        let (_, _, info) = cursor.block_info()?;
        let other = self.order.get(1).and_then(|other| self.sources[*other].key());
        let is_beyond = |key: &[u8]| if self.reverse { key < first } else { key > last };
        Some(Window {
            is_alone: other.is_none_or(is_beyond),
            // One that is older than every version here deletes none of them, and whatever else it deletes is
            // beneath: such a block is what was loaded anew after the deletion.
            has_tombstones: self.tombstones.meet(first, last, at, info.min_ts),
        })
    }

    /// How many sources are on the next key.
    fn equal_count(&self) -> usize {
        match self.order.as_slice() {
            [] => 0,
            [_] => 1,
            [first, rest @ ..] => {
                let key = self.sources[*first].key();
                1 + rest.iter().take_while(|source| self.sources[**source].key() == key).count()
            }
        }
    }

    /// The first source has moved: puts it into its place again.
    pub(super) fn first_moved(&mut self) {
        let source = self.order.remove(0);
        self.insert(source);
    }

    /// Versions of the row with the next key that are older than this are deleted by a range tombstone visible at
    /// `at`.
    pub(super) fn deleted_before(&self, at: CommitTs) -> CommitTs {
        if self.tombstones.is_empty() {
            return CommitTs::ABSENT;
        }
        self.key().map_or(CommitTs::ABSENT, |key| self.tombstones.covering(key, at))
    }

    /// Passes over the rest of the block with the next key, unread, if a range tombstone visible at `at` deletes every
    /// version in it. False where there is no such block.
    pub(super) fn skip_deleted_block(&mut self, at: CommitTs) -> Result<bool> {
        if self.tombstones.is_empty() {
            return Ok(false);
        }
        let Some(first) = self.order.first() else { return Ok(false) };
        let Source::Run(cursor) = &mut self.sources[*first] else { return Ok(false) };
        let (Some((from, to)), Some((_, _, info))) = (cursor.block_bounds(), cursor.block_info())
        else {
            return Ok(false);
        };
        if self.tombstones.covering_all(from, to, at) <= info.max_ts {
            return Ok(false);
        }
        cursor.skip_block()?;
        self.first_moved();
        Ok(true)
    }

    /// Picks the row with the next key, if it lives, and moves behind it.
    pub(super) fn pick_row(&mut self, plan: &Plan, picks: &mut Picks) -> Result<()> {
        if plan.gc.is_dated() {
            return self.pick_dated_row(plan, picks);
        }
        let deleted_before = self.deleted_before(plan.at);
        self.visit_row(&mut |version| {
            let Visited { key, commit_ts, flags, place } = version;
            if commit_ts > plan.at {
                return Ok(ControlFlow::Continue(()));
            }
            if commit_ts < deleted_before {
                return Ok(ControlFlow::Break(()));
            }
            let seen = plan.gc.seen_flags(flags, commit_ts, plan.at);
            match place {
                // It does not know how old its cells are.
                Place::Memtable { is_image: true, .. } if !plan.gc.is_plain() => {
                    return Ok(ControlFlow::Continue(()));
                }
                Place::Memtable { cells, .. } => {
                    picks.push_packed(commit_ts, seen, key, cells, &plan.values);
                }
                Place::Block { block, row, .. } => {
                    let slot = picks.slot(block);
                    picks.push_stored(commit_ts, seen, slot, row);
                }
            }
            Ok(match hides_older(flags) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })
        })?;
        picks.finish_row(plan.rows);
        Ok(())
    }

    /// The same where cells have timestamps of the client's: the row is picked as one version with what is seen of it.
    fn pick_dated_row(&mut self, plan: &Plan, picks: &mut Picks) -> Result<()> {
        let deleted_before = self.deleted_before(plan.at);
        let mut row = DatedRow::default();
        self.visit_row(&mut |version| {
            let Visited { key, commit_ts, flags, place } = version;
            if commit_ts > plan.at {
                return Ok(ControlFlow::Continue(()));
            }
            if commit_ts < deleted_before {
                return Ok(ControlFlow::Break(()));
            }
            row.note(key, commit_ts, plan.gc.seen_flags(flags, commit_ts, plan.at));
            match place {
                Place::Memtable { written, cells, .. } => {
                    row.add_packed(cells, written, &plan.values);
                }
                Place::Block { block, row: ordinal, .. } => {
                    row.add_stored(block, ordinal, commit_ts, &plan.values)?;
                }
            }
            Ok(match hides_older(flags) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })
        })?;
        if let Some((commit_ts, flags)) = row.newest_version() {
            let (cells, _) = row.seen(&plan.gc, plan.at);
            picks.push_packed(commit_ts, flags, row.key(), cells.as_bytes(), &plan.values);
        }
        picks.finish_row(plan.rows);
        Ok(())
    }

    /// Visits the rows ahead in the block that a run alone has before the next source's key, if that block is
    /// clean, has nothing beneath it in its file, and a read at `floor` sees none of it deleted by a range tombstone or older than `ttl`, and moves behind them. False where
    /// it does not have the next key alone, or the block is not so.
    pub(super) fn visit_clean_rows(
        &mut self,
        floor: CommitTs,
        ttl: Option<i64>,
        visit: &mut CleanRowsVisitor<'_>,
    ) -> Result<bool> {
        if self.window(floor).is_none_or(|window| window.has_tombstones) {
            return Ok(false);
        }
        let Some((Source::Run(cursor), other)) = self.first() else { return Ok(false) };
        let Some((table, _, info)) = cursor.block_info() else { return Ok(false) };
        if !info.is_clean() || info.has_history() || may_have_expired(info, ttl, floor) {
            return Ok(false);
        }
        let (_, seq) = table.properties().seq_range();
        let rows = cursor.rows_before(other)?;
        let (block, _) = cursor.read_block()?;
        visit(block, rows.clone(), seq)?;
        cursor.pass(rows.len() as u32)?;
        self.first_moved();
        Ok(true)
    }

    /// Visits the versions of the row with the next key, newest first, until the visitor has enough, and
    /// moves behind the row. False where there is no row.
    pub(super) fn visit_row(&mut self, visit: &mut Visitor<'_>) -> Result<bool> {
        let count = self.equal_count();
        for place in 0..count {
            let source = &mut self.sources[self.order[place]];
            if source.visit(visit)?.is_break() {
                break;
            }
        }
        match count {
            0 => return Ok(false),
            1 => {
                self.sources[self.order[0]].next()?;
                self.first_moved();
            }
            _ => {
                let moved: Vec<usize> = self.order.drain(..count).collect();
                for source in moved {
                    self.sources[source].next()?;
                    self.insert(source);
                }
            }
        }
        Ok(true)
    }
}

/// Takes rows of a clean block, which have the block's commit timestamps and the sequence number of its run.
pub(super) type CleanRowsVisitor<'a> = dyn FnMut(&Arc<Block>, Range<u32>, Seq) -> Result<()> + 'a;

/// One version of a row, while it is visited.
#[derive(Clone, Copy)]
pub(super) struct Visited<'a> {
    pub(super) key: &'a [u8],
    pub(super) commit_ts: CommitTs,
    pub(super) flags: u8,
    pub(super) place: Place<'a>,
}

/// Where a version lies.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// Packed cells in a memtable, and when they were written; an image says what older versions say, too.
    Memtable { seq: Seq, written: CommitTs, cells: &'a [u8], is_image: bool },
    /// A row of a block; `seq` is one that its file has.
    Block { seq: Seq, block: &'a Arc<Block>, row: u32 },
}

impl Place<'_> {
    /// The version's sequence number, or one that its file has.
    pub(super) fn seq(&self) -> Seq {
        match self {
            Place::Memtable { seq, .. } | Place::Block { seq, .. } => *seq,
        }
    }
}

/// Looks at a version. `Break`: older ones are not wanted.
pub(super) type Visitor<'v> = dyn FnMut(Visited<'_>) -> Result<ControlFlow<()>> + 'v;

impl Source {
    /// Visits the versions of the key it is on.
    fn visit(&mut self, visit: &mut Visitor<'_>) -> Result<ControlFlow<()>> {
        match self {
            Source::Run(cursor) => cursor.visit(visit),
            Source::Memtable(cursor) => {
                let Some(key) = cursor.key() else { return Ok(ControlFlow::Continue(())) };
                for version in cursor.cursor.versions() {
                    let (seq, is_image, commit_ts) =
                        (version.seq, version.is_image, version.commit_ts);
                    let visited = version.try_each_part(&mut |flags, written, cells| {
                        let place = Place::Memtable { seq, written, cells, is_image };
                        match visit(Visited { key, commit_ts, flags, place }) {
                            Ok(ControlFlow::Continue(())) => ControlFlow::Continue(()),
                            ended => ControlFlow::Break(ended),
                        }
                    });
                    if let ControlFlow::Break(ended) = visited {
                        return ended;
                    }
                }
                Ok(ControlFlow::Continue(()))
            }
        }
    }
}
