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
use super::jobs::{Input, bytes_of};
use super::line::CommitLine;
use super::row_ends::{self, RowEnds, add_living};
use crate::compaction::output::{RunOptions, RunRequests, RunTombstones, RunWriter};
use crate::memtable::Memtable;
use crate::request_ids::RequestHistory;
use crate::scan::{GcMerge, GcPolicy, GroupGc, Sources};
use crate::sstable::{Codec, WriterOptions, WriterSchema};
use crate::tablet::Tablet;
use crate::tablet::directory::HeldSchemas;
use crate::tablet::group_version::GroupVersion;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use terrane_client::error::TabletError;
use terrane_client::ids::{CommitTs, LocalityGroupId, Seq, StorageId};
use terrane_client::metadata::events::EventKind;
use terrane_client::metadata::{FileRow, RunRow};
use terrane_client::schema::{LocalityGroup, PageCodec};

/// The part of the memory budget that a single active memtable may take: so that while one is being written
/// another fills.
const TABLET_SHARE: usize = 4;

/// The level of a group whose codec is said to be zstd.
const ZSTD_LEVEL: i32 = 3;

/// What writes a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// A flush, or a merge of some runs: it will be written again.
    ByFlush,
    /// A merge that makes the base run.
    ByMajorCompaction,
}

impl TabletServer {
    /// What a commit may have made due.
    pub(super) fn after_commit<'t>(
        &self,
        line: &CommitLine,
        tablets: impl Iterator<Item = &'t Arc<Tablet>>,
    ) {
        let budget = self.options.memtable_bytes;
        for tablet in tablets {
            for group in tablet.version().groups() {
                if group.active().bytes() >= budget / TABLET_SHARE {
                    self.freeze(tablet, group.id, budget / TABLET_SHARE, "memtable full");
                    self.background.wake(Job::Flush);
                }
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

    /// Freezes a group's active memtable if it has at least `bytes_min` bytes.
    fn freeze(
        &self,
        tablet: &Tablet,
        group: LocalityGroupId,
        bytes_min: usize,
        reason: &'static str,
    ) {
        let _no_commits = self.line(tablet.table).stop_commits();
        // Looked at again: another commit may have been quicker.
        let version = tablet.version();
        let active = version.group(group).map(GroupVersion::active);
        if active.is_some_and(|active| !active.is_empty() && active.bytes() >= bytes_min) {
            tablet.set_frozen_for(reason);
            tablet.change_version(|version| version.with_group(group, GroupVersion::freeze));
        }
    }

    fn freeze_largest(&self) {
        let mut largest: Option<(usize, Arc<Tablet>, LocalityGroupId)> = None;
        for tablet in self.tablets.all() {
            for group in tablet.version().groups() {
                let bytes = group.active().bytes();
                if largest.as_ref().is_none_or(|(most, ..)| bytes > *most) {
                    largest = Some((bytes, tablet.clone(), group.id));
                }
            }
        }
        if let Some((_, tablet, group)) = largest {
            self.freeze(&tablet, group, 1, "memory");
        }
    }

    /// What the flush thread does when woken.
    pub(super) fn flush_round(&self) -> Result<(), TabletError> {
        loop {
            let tablets = self.tablets.all();
            let mut did_some = false;
            for tablet in &tablets {
                let version = tablet.version();
                let frozen = version.groups().iter().filter(|group| !group.frozen().is_empty());
                for group in frozen {
                    if self.background.is_stopping() {
                        return Ok(());
                    }
                    self.flush_frozen(tablet, group.id)?;
                    did_some = true;
                }
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
        let of_line = tablets.iter().filter(|tablet| std::ptr::eq(self.line(tablet.table), line));
        let mut oldest: Option<(Seq, &Arc<Tablet>, LocalityGroupId)> = None;
        for tablet in of_line {
            for group in tablet.version().groups() {
                let Some(first) = group.first_unflushed().filter(|first| *first <= oldest_ends)
                else {
                    continue;
                };
                if oldest.is_none_or(|(known, ..)| first < known) {
                    oldest = Some((first, tablet, group.id));
                }
            }
        }
        match oldest {
            Some((_, tablet, group)) => {
                self.freeze(tablet, group, 0, "log");
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
        let mut tablets = self.tablets.all();
        while let Some(tablet) = tablets.pop() {
            if table.is_none_or(|table| tablet.table == table) {
                match self.flush_tablet(&tablet, "request") {
                    // Dropped since the list was made: nothing is left to flush.
                    Err(TabletError::NotServing { .. }) if !tablet.is_serving() => {}
                    flushed => flushed?,
                }
                // What it had they have, if it was split or merged meanwhile.
                tablets.extend_from_slice(tablet.successors());
            }
        }
        Ok(())
    }

    /// Freezes and flushes one tablet.
    pub(super) fn flush_tablet(
        &self,
        tablet: &Tablet,
        reason: &'static str,
    ) -> Result<(), TabletError> {
        for group in tablet.version().groups() {
            self.freeze(tablet, group.id, 0, reason);
            self.flush_frozen(tablet, group.id)?;
        }
        Ok(())
    }

    /// Writes a group's frozen memtables, together one run, and publishes it.
    fn flush_frozen(&self, tablet: &Tablet, id: LocalityGroupId) -> Result<(), TabletError> {
        self.finish_split(tablet)?;
        self.finish_merge(tablet)?;
        let _one_at_a_time = tablet.flushes.lock();
        if tablet.is_retired() {
            return Ok(());
        }
        match self.flush_group(tablet, id) {
            Err(error) if self.is_dropped(tablet, &error) => self.forget(tablet),
            flushed => flushed,
        }
    }

    /// The same, with [`Tablet::flushes`] held.
    pub(super) fn flush_group(
        &self,
        tablet: &Tablet,
        id: LocalityGroupId,
    ) -> Result<(), TabletError> {
        let version = tablet.version();
        let Some(group) = version.group(id) else { return Ok(()) };
        let max_seq = group.frozen().iter().filter_map(|memtable| memtable.max_seq()).max();
        let Some(max_seq) = max_seq else { return Ok(()) };
        let line = self.line(tablet.table);
        futures::executor::block_on(line.durable(max_seq).wait())?;
        let frozen = group.frozen().iter();
        let (rows, bytes) = frozen.fold((0, 0), |(rows, bytes), memtable| {
            (rows + memtable.rows() as u64, bytes + memtable.bytes() as u64)
        });
        let (kind, reason) = (EventKind::Flush, tablet.frozen_for());
        let input = Input { runs: 0, bytes, rows };
        let listed = self.begin_work(kind, tablet, Some(id), reason, input);
        let (files, floor) = self.write_memtables(tablet, group)?;
        if !files.is_empty() {
            tablet.note(self.event(kind, reason, listed.began(), bytes_of(&files)));
        }
        let published = self.failpoint("flush.before_publish").and_then(|()| {
            self.background
                .urgently(Job::Flush, || self.publish_flush(tablet, group, &files, floor))
        });
        match published {
            Ok(Edit::Done) if !self.was_forgotten(tablet) => {}
            // An edit with an unknown outcome may have named the files.
            Err(error @ TabletError::OutcomeUnknown(_)) => return Err(error),
            Ok(Edit::Done | Edit::Dropped) => {
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
        group: &GroupVersion,
    ) -> Result<(Vec<FileRow>, CommitTs), TabletError> {
        let schemas = self.tablets.table(tablet.table)?.schemas();
        let floor = self.history_floor(tablet)?;
        let policy = GcPolicy {
            floor,
            includes_oldest: group.sources.runs.is_empty(),
            schema: schemas.current.clone(),
            has_markers: schemas.group(group.id).is_none_or(|group| group.has_markers),
            gc: schemas.gc(group.id),
        };
        let sources = Sources { memtables: group.frozen().to_vec(), runs: Vec::new() };
        let directory = self.files.make_directory(tablet.table)?;
        self.failpoint("flush.before_write")?;
        let options = self.run_options(schemas.group(group.id), Written::ByFlush);
        let schema = WriterSchema::new(&schemas.widest, group.id);
        let mut writer = RunWriter::new(&self.env, &directory, &schema, options, &self.files);
        writer.note_ends(noted_ends(&schemas, group.id));
        let mut rows = GcMerge::new(&sources, &tablet.range, policy)?;
        let memtables = group.frozen();
        let min_seq = memtables.iter().filter_map(|memtable| memtable.min_seq()).min();
        let max_seq = memtables.iter().filter_map(|memtable| memtable.max_seq()).max();
        let seqs = (min_seq.unwrap_or_default(), max_seq.unwrap_or_default());
        writer.set_tombstones(RunTombstones { fragments: rows.tombstones().clone(), seqs });
        let mut requests = RequestHistory::default();
        for memtable in memtables {
            requests.add(memtable.max_commit_ts(), &memtable.request_ids());
        }
        writer.set_requests(RunRequests { requests, range: tablet.range.clone() });
        let mut ends = RowEnds::of(tablet, &schemas, group.id, floor);
        while rows.next_rows(&mut |row, cells| add_living(&mut ends, &mut writer, row, cells))? {}
        Ok((writer.finish()?, floor))
    }

    /// How the runs of a group are written.
    pub(super) fn run_options(
        &self,
        group: Option<&LocalityGroup>,
        written: Written,
    ) -> RunOptions {
        let asked = group.map(|group| group.options).unwrap_or_default();
        let codec = match (asked.codec, written) {
            (None, Written::ByFlush) => self.options.flush_codec,
            (None, Written::ByMajorCompaction) => self.options.compaction_codec,
            (Some(PageCodec::None), _) => Codec::None,
            (Some(PageCodec::Lz4), _) => Codec::Lz4,
            (Some(PageCodec::Zstd), _) => Codec::Zstd(ZSTD_LEVEL),
        };
        let block_bytes = asked.block_bytes.map_or(self.options.block_bytes, |b| b as usize);
        let defaults = WriterOptions::default();
        RunOptions {
            file_bytes: self.options.file_bytes,
            blocks: WriterOptions {
                codec,
                block_bytes,
                block_rows: self.options.block_rows,
                block_bytes_max: defaults.block_bytes_max.max(block_bytes),
                filter: asked.filter,
                client_times: group.is_some_and(|group| !group.timestamps.is_server()),
                ..defaults
            },
        }
    }

    fn publish_flush(
        &self,
        tablet: &Tablet,
        group: &GroupVersion,
        files: &[FileRow],
        floor: CommitTs,
    ) -> Result<Edit, TabletError> {
        let frozen = group.frozen();
        let run = match files {
            [] => None,
            files => Some(Arc::new(self.files.open_run(tablet.table, &tablet.range, files)?)),
        };
        let max_seq = frozen.iter().filter_map(|memtable| memtable.max_seq()).max();
        let max_seq = max_seq.unwrap_or_default();
        let max_commit_ts =
            frozen.iter().map(|memtable| memtable.max_commit_ts()).max().unwrap_or_default();
        let _edits = tablet.edits.lock();
        let ids: Vec<LocalityGroupId> =
            tablet.version().groups().iter().map(|group| group.id).collect();
        let edited = self.edit(tablet, |row| {
            // A group that is not in the row would count as flushed up to the others' redo points.
            for id in &ids {
                row.group_mut(*id);
            }
            let written = row.group_mut(group.id);
            written.redo_point = written.redo_point.max(max_seq);
            if !files.is_empty() {
                written.runs.insert(0, RunRow { files: files.to_vec() });
            }
            row.max_seq = row.max_seq.max(max_seq);
            row.max_commit_ts = row.max_commit_ts.max(max_commit_ts);
            row.gc_floor = row.gc_floor.max(floor);
        })?;
        if edited == Edit::Done {
            tablet.change_version(|version| {
                let flushed = |group: &GroupVersion| group.flushed(frozen, run.clone());
                version.with_group(group.id, flushed).with_floor(floor)
            });
            self.keep_in_memory(tablet);
            self.let_go(frozen);
        }
        Ok(edited)
    }

    /// A tablet needs some memtables no more: their bytes count until no other does.
    pub(super) fn let_go<'m>(&self, memtables: impl IntoIterator<Item = &'m Arc<Memtable>>) {
        let free = memtables.into_iter().filter(|memtable| memtable.let_go());
        let bytes = free.map(|memtable| memtable.bytes()).sum();
        self.memtable_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Gives up the part of a log that no tablet needs; answers up to where that is.
    pub(super) fn retire(&self, line: &CommitLine) -> Seq {
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
        up_to
    }
}

/// The policies by which files are to say when something in them ends by its age: only a purge asks for it.
pub(super) fn noted_ends(schemas: &HeldSchemas, group: LocalityGroupId) -> Option<Vec<GroupGc>> {
    schemas.current.purge_within_micros?;
    let mut policies = schemas.gc(group);
    policies.retain(GroupGc::ends_by_age);
    (!policies.is_empty() || row_ends::are_elsewhere(schemas, group)).then_some(policies)
}
