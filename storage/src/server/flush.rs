//! Minor compaction: memtables become runs.
//!
//! Freezing happens on the thread whose commit made it due, under the commit mutex: it is two allocations. The
//! rest is the flush thread's: write the files, wait until all of their rows are durable in the log (rule 2),
//! publish them in METADATA with the new redo point (rule 14), put the run in the memtables' place, give up
//! log that nobody needs. A failure leaves everything as it was; the rows stay readable in their memtables,
//! and it is tried again.

use super::TabletServer;
use super::background::Job;
use super::edits::Edit;
use super::line::CommitLine;
use crate::compaction::output::{RunOptions, RunWriter};
use crate::memtable::Memtable;
use crate::scan::{GcMerge, GcPolicy, Sources};
use crate::sstable::{Codec, WriterOptions, WriterSchema};
use crate::tablet::Tablet;
use crate::tablet::directory::HeldSchemas;
use crate::tablet::version::Version;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use terrane_client::error::TabletError;
use terrane_client::ids::{CommitTs, LocalityGroupId, Seq, StorageId};
use terrane_client::metadata::{FileRow, RunRow};
use terrane_client::read::KeyRange;

/// The part of the memory budget that a single tablet's active memtable may take: so that while one is
/// being written another fills.
const TABLET_SHARE: usize = 4;

impl TabletServer {
    /// What a commit may have made due.
    pub(super) fn after_commit<'t>(
        &self,
        line: &CommitLine,
        tablets: impl Iterator<Item = &'t Arc<Tablet>>,
    ) {
        let budget = self.options.memtable_bytes;
        for tablet in tablets {
            if tablet.version().active().bytes() >= budget / TABLET_SHARE {
                self.freeze(tablet, budget / TABLET_SHARE);
                self.background.wake(Job::Flush);
            }
        }
        let used = self.memtable_bytes.load(Ordering::Relaxed);
        let is_tight = used >= budget / 8 * 7;
        if is_tight && !self.is_freezing.swap(true, Ordering::AcqRel) {
            self.freeze_largest();
            self.background.wake(Job::Flush);
        }
        if line.log_grew() {
            self.background.wake(Job::Flush);
        }
        if is_tight != self.was_tight.load(Ordering::Relaxed) {
            self.was_tight.store(is_tight, Ordering::Relaxed);
            self.background.set_behind(Job::Flush, is_tight);
        }
    }

    /// Freezes a tablet's active memtable if it has at least `bytes_min` bytes.
    fn freeze(&self, tablet: &Tablet, bytes_min: usize) {
        let _no_commits = self.line(tablet.table).stop_commits();
        // Looked at again: another commit may have been quicker.
        let version = tablet.version();
        if !version.active().is_empty() && version.active().bytes() >= bytes_min {
            tablet.change_version(|version| version.freeze());
        }
    }

    fn freeze_largest(&self) {
        let tablets = self.tablets.all();
        let largest = tablets.iter().max_by_key(|tablet| tablet.version().active().bytes());
        if let Some(tablet) = largest {
            self.freeze(tablet, 1);
        }
    }

    /// What the flush thread does when woken.
    pub(super) fn flush_round(&self) -> Result<(), TabletError> {
        loop {
            let tablets = self.tablets.all();
            let frozen = tablets.iter().filter(|tablet| !tablet.version().frozen().is_empty());
            let mut did_some = false;
            for tablet in frozen {
                if self.background.is_stopping() {
                    return Ok(());
                }
                self.flush_frozen(tablet)?;
                did_some = true;
            }
            self.is_freezing.store(false, Ordering::Release);
            for line in [&self.metadata_line, &self.users_line] {
                did_some |= self.freeze_for_log(line, &tablets);
            }
            if !did_some {
                return Ok(());
            }
        }
    }

    /// Freezes the memtable that keeps the log's oldest segment, if there are too many segments.
    fn freeze_for_log(&self, line: &CommitLine, tablets: &[Arc<Tablet>]) -> bool {
        let stats = line.log().stats();
        if stats.segments <= self.options.log_segments_max as u64 {
            return false;
        }
        let Some(oldest_ends) = stats.oldest_segment_last_seq else { return false };
        let oldest = tablets
            .iter()
            .filter(|tablet| std::ptr::eq(self.line(tablet.table), line))
            .filter_map(|tablet| Some((tablet.first_unflushed()?, tablet)))
            .filter(|(first, _)| *first <= oldest_ends)
            .min_by_key(|(first, _)| *first);
        match oldest {
            Some((_, tablet)) => {
                self.freeze(tablet, 0);
                true
            }
            None => {
                self.retire(line);
                false
            }
        }
    }

    /// Freezes and flushes tablets: all, or those of one table.
    pub(super) fn flush_tables(&self, table: Option<StorageId>) -> Result<(), TabletError> {
        // METADATA, the first, comes last: the others' flushes write to it.
        for tablet in self.tablets.all().into_iter().rev() {
            if table.is_none_or(|table| tablet.table == table) {
                self.flush_tablet(&tablet)?;
            }
        }
        Ok(())
    }

    /// Freezes and flushes one tablet.
    pub(super) fn flush_tablet(&self, tablet: &Tablet) -> Result<(), TabletError> {
        self.freeze(tablet, 0);
        self.flush_frozen(tablet)
    }

    /// Writes a tablet's frozen memtables, together one run, and publishes it.
    fn flush_frozen(&self, tablet: &Tablet) -> Result<(), TabletError> {
        let _one_at_a_time = tablet.flushes.lock();
        let version = tablet.version();
        let frozen = version.frozen();
        let Some(max_seq) = frozen.iter().filter_map(|memtable| memtable.max_seq()).max() else {
            return Ok(());
        };
        let line = self.line(tablet.table);
        futures::executor::block_on(line.durable(max_seq).wait())?;
        let (files, floor) = self.write_memtables(tablet, &version)?;
        let published = self.failpoint("flush.before_publish").and_then(|()| {
            self.background
                .urgently(Job::Flush, || self.publish_flush(tablet, frozen, &files, floor))
        });
        match published {
            Ok(Edit::Done) => {}
            // An edit with an unknown outcome may have named the files.
            Err(error @ TabletError::OutcomeUnknown(_)) => return Err(error),
            Ok(Edit::Dropped) => {
                self.files.remove(tablet.table, &files);
                return self.forget(tablet);
            }
            Err(error) => {
                self.files.remove(tablet.table, &files);
                return Err(error);
            }
        }
        self.retire(line);
        self.count_runs();
        self.background.wake(Job::Compact);
        Ok(())
    }

    fn write_memtables(
        &self,
        tablet: &Tablet,
        version: &Version,
    ) -> Result<(Vec<FileRow>, CommitTs), TabletError> {
        let schemas = self.tablets.table(tablet.table)?.schemas();
        let floor = self.history_floor(tablet)?;
        let policy = GcPolicy {
            floor,
            includes_oldest: version.sources.runs.is_empty(),
            schema: schemas.widest.clone(),
        };
        let sources = Sources { memtables: version.frozen().to_vec(), runs: Vec::new() };
        let directory = self.files.make_directory(tablet.table)?;
        let options = self.run_options(self.options.flush_codec);
        let schema = writer_schema(&schemas);
        let mut writer = RunWriter::new(&self.env, &directory, &schema, options, &self.files);
        let mut rows = GcMerge::new(&sources, &KeyRange::all(), policy)?;
        while rows.next_rows(&mut |row, cells| writer.add(row, cells))? {}
        Ok((writer.finish()?, floor))
    }

    /// How runs are written.
    pub(super) fn run_options(&self, codec: Codec) -> RunOptions {
        RunOptions {
            file_bytes: self.options.file_bytes,
            blocks: WriterOptions {
                codec,
                block_bytes: self.options.block_bytes,
                block_rows: self.options.block_rows,
                ..WriterOptions::default()
            },
        }
    }

    fn publish_flush(
        &self,
        tablet: &Tablet,
        frozen: &[Arc<Memtable>],
        files: &[FileRow],
        floor: CommitTs,
    ) -> Result<Edit, TabletError> {
        let run = match files {
            [] => None,
            files => Some(Arc::new(self.files.open_run(tablet.table, &tablet.range, files)?)),
        };
        let max_seq = frozen.iter().filter_map(|memtable| memtable.max_seq()).max();
        let max_seq = max_seq.unwrap_or_default();
        let max_commit_ts =
            frozen.iter().map(|memtable| memtable.max_commit_ts()).max().unwrap_or_default();
        let _edits = tablet.edits.lock();
        let edited = self.edit(tablet, |row| {
            if let Some(group) = row.groups.first_mut() {
                group.redo_point = group.redo_point.max(max_seq);
                if !files.is_empty() {
                    group.runs.insert(0, RunRow { files: files.to_vec() });
                }
            }
            row.max_seq = row.max_seq.max(max_seq);
            row.max_commit_ts = row.max_commit_ts.max(max_commit_ts);
            row.gc_floor = row.gc_floor.max(floor);
        })?;
        if edited == Edit::Done {
            tablet.change_version(|version| version.flushed(frozen, run.clone(), floor));
            let bytes = frozen.iter().map(|memtable| memtable.bytes()).sum();
            self.memtable_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        Ok(edited)
    }

    /// Gives up the part of a log that no tablet needs.
    pub(super) fn retire(&self, line: &CommitLine) {
        // Before the tablets are looked at: what is committed meanwhile lies above.
        let applied = line.applied_seq();
        // Held throughout: a memtable that is being handed over is here or among the tablets.
        let recovered = self.recovered.lock();
        let is_of_line = |table| std::ptr::eq(self.line(table), line);
        let served = self.tablets.all();
        let served = served
            .iter()
            .filter(|tablet| is_of_line(tablet.table))
            .filter_map(|tablet| tablet.first_unflushed());
        let waiting = recovered
            .iter()
            .filter(|(name, _)| is_of_line(name.table))
            .filter_map(|(_, recovered)| recovered.memtable.min_seq());
        let needed = served.chain(waiting).min();
        let up_to = needed.map_or(applied, |first| applied.min(Seq(first.0.saturating_sub(1))));
        line.log().retire(up_to);
    }
}

/// What a table's files hold: the columns of every schema that is held.
pub(super) fn writer_schema(schemas: &HeldSchemas) -> WriterSchema {
    WriterSchema::new(&schemas.widest, LocalityGroupId::default())
}
