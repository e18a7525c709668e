//! A scan of one locality group: record batches of the rows of some ranges.
//!
//! Each step looks at the source with the next key. Rows of a block that no other source reaches between
//! are answers as they lie, and become a batch of their own ([`super::direct`]) or, where they are few,
//! join the rows being merged. Where sources overlap, or a block holds older versions, deletes or updates, rows
//! are picked one by one ([`super::picks`]) and built together ([`super::gather`]).
//!
//! A plain iterator: it reads files and belongs on a thread that may wait.

use super::arrays::batch;
use super::direct::direct;
use super::error::Result;
use super::gather::gather;
use super::merge::{Merge, MergeRead, Source};
use super::picks::Picks;
use super::plan::Plan;
use super::prune::{self, Window};
use super::scanner::ScanOptions;
use super::sources::{Run, Sources};
use crate::sstable::ReadOptions;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use terrane_client::error::TabletError;
use terrane_client::ids::{CommitTs, LocalityGroupId};
use terrane_client::key;
use terrane_client::read::{KeyRange, ScanMetrics, ScanRequest};
use terrane_client::schema::TableSchema;

/// Fewer rows than this in a row are merged with their neighbours instead of becoming a batch.
const DIRECT_ROWS_MIN: usize = 512;

/// Which rows a scan of a group gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowSet {
    /// Those that live: of which a marker is seen.
    Living,
    /// All that have versions here. Which of them live another group knows.
    Stored,
}

/// A group of one tablet, to be scanned.
#[derive(Clone, Debug)]
pub(super) struct GroupPiece {
    /// The group's sources.
    pub(super) sources: Sources,
    /// A range of the tablet's keys.
    pub(super) range: KeyRange,
}

/// A group, to be scanned.
#[derive(Debug)]
pub(super) struct ScannedGroup {
    /// Which one.
    pub(super) id: LocalityGroupId,
    /// Which rows of it.
    pub(super) rows: RowSet,
    /// Its parts in tablets, in the order in which they are to be read: descending for a descending scan.
    pub(super) pieces: Vec<GroupPiece>,
}

/// See the module's doc.
pub(super) struct GroupScan {
    plan: Plan,
    options: ReadOptions,
    pieces: std::vec::IntoIter<GroupPiece>,
    merge: Option<Merge>,
    picks: Picks,
    /// A batch that is built, and how many of its rows were given out.
    ready: Option<(RecordBatch, usize)>,
    /// Rows that may still be returned.
    left: usize,
    /// True once nothing more can be built.
    ended: bool,
    metrics: Arc<ScanMetrics>,
}

impl GroupScan {
    /// A scan of a group. `schema` is the one the request was planned with. The request's ranges are not looked at.
    pub(super) fn new(
        request: &ScanRequest,
        schema: Arc<TableSchema>,
        at: CommitTs,
        group: ScannedGroup,
        options: ScanOptions,
        metrics: Arc<ScanMetrics>,
    ) -> Result<Self, TabletError> {
        let ScannedGroup { id, rows, pieces } = group;
        let plan = Plan::new(request, schema, id, at, rows, options.pruning)?;
        // A limit counts rows before the predicates; a batch holds them after some.
        let limit = request.limit.filter(|_| request.predicates.is_empty());
        Ok(Self {
            plan,
            options: ReadOptions { fill_cache: options.fill_cache },
            pieces: pieces.into_iter(),
            merge: None,
            picks: Picks::default(),
            ready: None,
            left: limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX)),
            ended: limit == Some(0),
            metrics,
        })
    }

    /// The schema of the batches.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.plan.arrow
    }

    /// True once there are no more batches.
    pub(super) fn is_done(&self) -> bool {
        self.ended && self.ready.is_none()
    }

    /// The next batch, looking at about `rows_max` rows. `None` where none of them was taken, or at the
    /// end: see [`GroupScan::is_done`].
    pub(super) fn next_batch(
        &mut self,
        rows_max: usize,
    ) -> Result<Option<RecordBatch>, TabletError> {
        let mut budget = rows_max;
        loop {
            if let Some(batch) = self.take_ready() {
                return Ok(Some(batch));
            }
            if self.ended {
                return Ok(None);
            }
            if budget > 0 {
                self.step(&mut budget)?;
                continue;
            }
            self.build()?;
            if self.ready.is_none() {
                return Ok(None);
            }
        }
    }

    /// Gives out as many rows of the built batch as a batch may have.
    fn take_ready(&mut self) -> Option<RecordBatch> {
        let (batch, given) = self.ready.take()?;
        let rows = (batch.num_rows() - given).min(self.plan.batch_rows_max).min(self.left);
        let part = match rows == batch.num_rows() {
            true => batch.clone(),
            false => batch.slice(given, rows),
        };
        self.left -= rows;
        self.metrics.rows_returned.fetch_add(rows as u64, Relaxed);
        if given + rows < batch.num_rows() && self.left > 0 {
            self.ready = Some((batch, given + rows));
        }
        if self.left == 0 {
            self.ended = true;
        }
        (rows > 0).then_some(part)
    }

    /// Builds a batch of the rows picked so far.
    fn build(&mut self) -> Result<()> {
        if !self.picks.is_empty() {
            self.ready = gather(&self.plan, &self.picks)?.map(|batch| (batch, 0));
        }
        // Even without rows there may be blocks: of rows that do not live.
        self.picks.clear();
        Ok(())
    }

    /// One step forward: rows picked or passed over, or a batch built.
    fn step(&mut self, budget: &mut usize) -> Result<()> {
        if self.picks.is_full(&self.plan) || self.picks.len() >= self.left {
            return self.build();
        }
        if self.merge.is_none() {
            match self.pieces.next() {
                Some(piece) => self.enter(&piece)?,
                None => {
                    self.build()?;
                    self.ended = true;
                    return Ok(());
                }
            }
        }
        let Some(merge) = &mut self.merge else { return Ok(()) };
        if merge.skip_deleted_block(self.plan.at)? {
            *budget -= 1;
            return Ok(());
        }
        match merge.window(self.plan.at) {
            None if merge.is_done() => self.merge = None,
            None => self.pick_row(budget)?,
            Some(window) => self.step_window(window, budget)?,
        }
        Ok(())
    }

    fn enter(&mut self, piece: &GroupPiece) -> Result<()> {
        let GroupPiece { sources, range } = piece;
        let (max_ts, reverse) = (self.plan.at, self.plan.reverse);
        let read = MergeRead { max_ts, reverse, options: self.options };
        let runs = self.runs(piece)?;
        self.merge = Some(Merge::new(sources, &runs, range, read, &self.metrics)?);
        Ok(())
    }

    /// The runs that may have rows of a piece: of a single row's, those whose filters know it.
    fn runs<'p>(&self, piece: &'p GroupPiece) -> Result<Cow<'p, [Arc<Run>]>> {
        let GroupPiece { sources, range } = piece;
        let key = key::sole_key(range, &self.plan.schema.key_shape());
        let Some(key) = key.filter(|_| self.plan.pruning) else {
            return Ok(Cow::Borrowed(&sources.runs));
        };
        let columns = self.plan.columns_that_decide();
        let may_contain = |run: &Arc<Run>| match run.file_of(key) {
            Some(file) => file.table.may_contain(key, columns),
            None => Ok(false),
        };
        let mut runs = Vec::new();
        for run in &sources.runs {
            if may_contain(run)? {
                runs.push(Arc::clone(run));
            }
        }
        Ok(Cow::Owned(runs))
    }

    fn pick_row(&mut self, budget: &mut usize) -> Result<()> {
        *budget -= 1;
        self.metrics.rows_seen.fetch_add(1, Relaxed);
        match &mut self.merge {
            Some(merge) => merge.pick_row(&self.plan, &mut self.picks),
            None => Ok(()),
        }
    }

    /// A run alone is on the next key. `window` is that of its whole block.
    fn step_window(&mut self, window: Window, budget: &mut usize) -> Result<()> {
        let plan = &self.plan;
        let Some(merge) = &mut self.merge else { return Ok(()) };
        let Some((Source::Run(cursor), other)) = merge.first() else { return Ok(()) };
        let Some((table, number, info)) = cursor.block_info() else { return Ok(()) };
        // Whatever the rest of the block meets, up to the next source's key this one is alone.
        if !plan.is_direct(Window { is_alone: true, ..window }, info) {
            return self.pick_row(budget);
        }
        let zone = |id| Ok(table.zone(number, id)?);
        let may_skip = plan.pruning && !plan.predicate.is_empty() && plan.is_direct(window, info);
        if may_skip && prune::excludes(&plan.predicate, &plan.schema, info, &zone)? {
            cursor.skip_block()?;
            merge.first_moved();
            return Ok(());
        }
        let rows = info.rows;
        let joins_picks = !self.picks.is_empty() && (rows as usize) < DIRECT_ROWS_MIN;
        if cursor.is_unread() && plan.is_direct(window, info) && !joins_picks {
            return self.take_block(rows, budget);
        }
        let other = if window.is_alone { None } else { other };
        let mut rows = cursor.rows_before(other)?;
        let (block, ahead) = cursor.read_block()?;
        let block = block.clone();
        let is_rest = rows == ahead;
        let most = self.left.saturating_sub(self.picks.len());
        rows = first_rows(rows, most, plan.reverse);
        if rows.len() >= DIRECT_ROWS_MIN || (is_rest && self.picks.is_empty()) {
            if !self.picks.is_empty() {
                // They come first. The window will be the same again.
                return self.build();
            }
            self.ready = direct(plan, &block, rows.clone())?.map(|batch| (batch, 0));
        } else {
            let slot = self.picks.slot(&block);
            let lead = block.rows()?;
            let pick = |row: u32| (row, lead.commit_ts(row));
            match plan.reverse {
                false => self.picks.push_clean(slot, rows.clone().map(pick)),
                true => self.picks.push_clean(slot, rows.clone().rev().map(pick)),
            }
        }
        let count = rows.len() as u32;
        cursor.pass(count)?;
        merge.first_moved();
        self.note_seen(count, budget);
        Ok(())
    }

    /// The first source's block as a whole is the answer, and was not read yet: its keys are not needed.
    fn take_block(&mut self, rows: u32, budget: &mut usize) -> Result<()> {
        if !self.picks.is_empty() {
            return self.build();
        }
        let plan = &self.plan;
        let Some(merge) = &mut self.merge else { return Ok(()) };
        let Some((Source::Run(cursor), _)) = merge.first() else { return Ok(()) };
        let taken = first_rows(0..rows, self.left, plan.reverse);
        self.ready = match plan.only_counts() {
            true => {
                cursor.skip_block()?;
                Some(batch(plan, Vec::new(), taken.len(), false)?)
            }
            false => direct(plan, &*cursor.take_block()?, taken.clone())?,
        }
        .map(|batch| (batch, 0));
        merge.first_moved();
        self.note_seen(taken.len() as u32, budget);
        Ok(())
    }

    fn note_seen(&self, rows: u32, budget: &mut usize) {
        *budget = budget.saturating_sub(rows as usize);
        self.metrics.rows_seen.fetch_add(u64::from(rows), Relaxed);
    }
}

/// At most this many of some rows of a block: those that come first in the scan's direction.
fn first_rows(rows: Range<u32>, most: usize, reverse: bool) -> Range<u32> {
    let count = rows.len().min(most) as u32;
    match reverse {
        false => rows.start..rows.start + count,
        true => rows.end - count..rows.end,
    }
}

impl GroupScan {
    /// Nothing more can be read: what was lost cannot be taken up again.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.ready = None;
    }
}
