//! Merging and major compaction: runs become fewer.
//!
//! A merge reads the runs of one version object, writes new files, and publishes them in one METADATA edit
//! that takes the old ones away. Flushes go on meanwhile: they put runs in front, and the edit is made on what
//! the row says by then (rule 18). Replaced files are removed at once, unless another tablet shares them after a
//! split; readers that have them open go on reading.

use super::TabletServer;
use super::background::{Job, Wake};
use super::edits::Edit;
use super::flush::{Written, noted_ends};
use super::jobs::{Input, Listed, bytes_of};
use super::requests::requests_of_runs;
use super::row_ends::{self, RowEnds, add_living};
use crate::compaction::covered::covered_rows;
use crate::compaction::dead::DeadBytes;
use crate::compaction::output::{RunRequests, RunTombstones, RunWriter, retained_versions};
use crate::compaction::overlap::{Place, groups, join_small, pick_scattered, small_files};
use crate::compaction::pick::{Contents, Kind, Pick, is_worth_collecting, pick};
use crate::scan::{GcMerge, GcPolicy, GroupGc, Run, RunFile, Sources};
use crate::sstable::WriterSchema;
use crate::tablet::Tablet;
use crate::tablet::group_version::GroupVersion;
use crate::tablet::version::Version;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use terrane_client::error::TabletError;
use terrane_client::ids::{CommitTs, LocalityGroupId, Seq, StorageId};
use terrane_client::metadata::events::{self, EventKind, TabletEvent};
use terrane_client::metadata::{FileRow, RunRow, TabletRow};
use terrane_client::read::KeyRange;
use terrane_client::service::TabletName;
use terrane_client::status::CompactionState;

/// Rows of a merge between two looks at whether the server is closing.
const ROWS_BETWEEN_LOOKS: u64 = 4096;

/// Small files side by side wait for a quiet minute to be joined, unless a merge finds this many: a load in key
/// order then has the processors for itself, and a tablet's descriptors stay bounded.
const SMALL_FILES_MAX: usize = 64;

/// What a merge is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// Someone asked for a major compaction.
    Request,
    /// What was dead at this time has to leave the files.
    Purge(CommitTs),
    /// The compaction thread, and why it looks.
    Thread(Wake),
}

/// Which files a merge writes again although they meet no other.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Rewrites {
    /// None.
    Nothing,
    /// All: someone asked for it, or the runs hold garbage.
    Everything,
    /// These: they may hold something dead.
    Dead(Vec<Place>),
}

impl Rewrites {
    fn has(&self, place: Place) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Dead(places) => places.contains(&place),
        }
    }
}

/// A merge that was decided on: what it reads, and what it may drop.
struct Merge<'a> {
    tablet: &'a Tablet,
    group: GroupVersion,
    /// The runs it replaces, newest first, as METADATA has them.
    runs: Vec<RunRow>,
    /// Where they are in the group.
    pick: Pick,
    /// Which files that meet no other are written again, too.
    rewrites: Rewrites,
    /// Small files that meet no other are joined with their neighbours.
    joins_small: bool,
    floor: CommitTs,
    reason: &'static str,
}

/// A merge's outcome: files with what is needed to read them, ascending by key.
#[derive(Default)]
struct Merged {
    rows: Vec<FileRow>,
    files: Vec<RunFile>,
    /// Of these, the ones that the merge wrote.
    written: Vec<FileRow>,
}

impl TabletServer {
    /// What the compaction thread does when woken.
    pub(super) fn compact_round(&self, wake: Wake) -> Result<(), TabletError> {
        self.split_large();
        self.merge_small(wake);
        // What joining its small files leaves may count as small again: a tablet has them joined once a group and round.
        let mut joined: HashMap<TabletName, usize> = HashMap::new();
        while self.options.compaction && !self.background.is_stopping() {
            let mut tablets = self.tablets.all();
            // Flushes go on: each is asked once.
            tablets.sort_by_cached_key(|tablet| std::cmp::Reverse(tablet.version().runs_most()));
            let mut did_some = false;
            for tablet in &tablets {
                self.drop_groups(tablet)?;
                let times = joined.entry(tablet.name()).or_default();
                let is_joined = *times >= tablet.version().groups().len();
                let why = if is_joined { Wake::Wanted } else { wake };
                did_some = self.merge_tablet(tablet, Occasion::Thread(why))?;
                if did_some {
                    *times += 1;
                    self.split_large();
                    break;
                }
            }
            if !did_some {
                break;
            }
        }
        Ok(())
    }

    /// Major compaction of a table on request: afterwards what was deleted is gone, but for what an open
    /// read may still see.
    pub(super) fn compact_table(&self, table: StorageId) -> Result<(), TabletError> {
        let mut tablets = self.tablets.table(table)?.tablets().to_vec();
        while let Some(tablet) = tablets.pop() {
            let compacted = self.flush_tablet(&tablet, "request");
            match compacted.and_then(|()| self.merge_tablet(&tablet, Occasion::Request)) {
                // Dropped meanwhile.
                Err(TabletError::NotServing { .. }) if !tablet.is_serving() => {}
                compacted => drop(compacted?),
            }
            // What it had they have, if it was split or merged meanwhile.
            for successor in tablet.successors() {
                if !tablets.iter().any(|other| Arc::ptr_eq(other, successor)) {
                    tablets.push(successor.clone());
                }
            }
        }
        Ok(())
    }

    /// Gives up the locality groups that the table has dropped: their rows, files and redo points.
    pub(super) fn drop_groups(&self, tablet: &Tablet) -> Result<(), TabletError> {
        let Some(table) = self.tablets.get(tablet.table) else { return Ok(()) };
        let dropped = table.dropped_groups(tablet);
        if dropped.is_empty() {
            return Ok(());
        }
        self.finish_merge(tablet)?;
        let _no_flush = tablet.flushes.lock();
        let _no_merge = tablet.merges.lock();
        let _edits = tablet.edits.lock();
        if tablet.is_retired() {
            return Ok(());
        }
        let version = tablet.version();
        let before = tablet.row();
        let edited =
            self.edit(tablet, |row| row.groups.retain(|group| !dropped.contains(&group.group)))?;
        if edited == Edit::Done {
            let groups = dropped.iter().filter_map(|id| version.group(*id));
            self.let_go(groups.flat_map(|group| &group.sources.memtables));
            tablet.change_version(|version| version.without_groups(&dropped));
            let groups = before.groups.iter().filter(|group| dropped.contains(&group.group));
            let runs = groups.flat_map(|group| &group.runs);
            self.files.release(tablet.table, runs.flat_map(|run| &run.files));
            self.retire(self.line(tablet.table));
        }
        Ok(())
    }

    /// Recounts the runs of the tablet that has the most.
    pub(super) fn count_runs(&self) {
        let tablets = self.tablets.all();
        let most = tablets.iter().map(|tablet| tablet.version().runs_most()).max();
        let most = most.unwrap_or_default();
        self.runs_most.store(most, Ordering::Relaxed);
        let is_behind = most > super::throttle::RUNS_PRESSED;
        self.background.set_behind(Job::Compact, is_behind);
    }

    /// Merges runs of one of a tablet's groups, or on request all runs of each. False if there was nothing to
    /// do.
    pub(super) fn merge_tablet(
        &self,
        tablet: &Tablet,
        occasion: Occasion,
    ) -> Result<bool, TabletError> {
        let mut did_some = false;
        for group in tablet.version().groups() {
            match self.merge_group(tablet, group.id, occasion) {
                Err(error) if self.is_dropped(tablet, &error) => {
                    self.forget(tablet)?;
                    return Ok(false);
                }
                merged => did_some |= merged?,
            }
            if did_some && matches!(occasion, Occasion::Thread(_)) {
                break;
            }
        }
        Ok(did_some)
    }

    fn merge_group(
        &self,
        tablet: &Tablet,
        group: LocalityGroupId,
        occasion: Occasion,
    ) -> Result<bool, TabletError> {
        self.finish_split(tablet)?;
        self.finish_merge(tablet)?;
        let _one_at_a_time = tablet.merges.lock();
        if tablet.is_retired() {
            return Ok(false);
        }
        let (row, version) = {
            // Both as one edit left them.
            let _edits = tablet.edits.lock();
            (tablet.row(), tablet.version())
        };
        let Some(merge) = self.decide(tablet, group, &row, &version, occasion)? else {
            return Ok(false);
        };
        let input = Input {
            runs: merge.runs.len() as u64,
            bytes: merge.runs.iter().map(|run| bytes_of(&run.files)).sum(),
            rows: merge.runs.iter().flat_map(|run| &run.files).map(|file| file.rows).sum(),
        };
        let (kind, reason) = (merge.pick.kind, merge.reason);
        let listed = self.begin_compaction(tablet, group, kind, reason, input);
        let over = |written: &[FileRow], state| {
            listed.compacted(self.env.clock.monotonic(), written, state);
        };
        let failed = |error: &TabletError| CompactionState::Failed(error.to_string());
        let merged = self.write(&merge, &listed).inspect_err(|error| over(&[], failed(error)))?;
        let bytes = bytes_of(&merged.written);
        let event = self.event(EventKind::Compaction, reason, listed.began(), bytes);
        let published = self.failpoint("compact.before_publish").and_then(|()| {
            self.background.urgently(Job::Compact, || self.publish(&merge, &merged, &event))
        });
        over(
            &merged.written,
            match &published {
                Ok(Edit::Done) => CompactionState::Done,
                Ok(Edit::Dropped) => CompactionState::Failed("the table was dropped".to_owned()),
                Err(error) => failed(error),
            },
        );
        match published {
            Ok(Edit::Done) => {
                // By name and bounds: after a merge of tablets several parts of a file may be named, and be released
                // one by one.
                let kept = |file: &FileRow| merged.rows.contains(file);
                let inputs = merge.runs.into_iter().flat_map(|run| run.files);
                let replaced: Vec<FileRow> = inputs.filter(|file| !kept(file)).collect();
                self.files.release(tablet.table, &replaced);
                if self.was_forgotten(tablet) {
                    self.files.remove(tablet.table, &merged.written);
                    self.forget(tablet)?;
                }
                self.count_runs();
                Ok(true)
            }
            // An edit with an unknown outcome may have named the files.
            Err(error @ TabletError::OutcomeUnknown(_)) => Err(error),
            Ok(Edit::Dropped) => {
                self.files.remove(tablet.table, &merged.written);
                self.forget(tablet)?;
                Ok(false)
            }
            Err(error) => {
                self.files.remove(tablet.table, &merged.written);
                Err(error)
            }
        }
    }

    fn decide<'a>(
        &self,
        tablet: &'a Tablet,
        id: LocalityGroupId,
        row: &TabletRow,
        version: &Version,
        occasion: Occasion,
    ) -> Result<Option<Merge<'a>>, TabletError> {
        let Some(group) = version.group(id) else { return Ok(None) };
        let runs = row.runs_of(id);
        assert_eq!(runs.len(), group.sources.runs.len(), "changed together, under `edits`");
        let files: Vec<&[FileRow]> = runs.iter().map(|run| run.files.as_slice()).collect();
        let size = |files: &&[FileRow]| files.iter().map(|file| file.size_bytes).sum();
        let sizes: Vec<u64> = files.iter().map(size).collect();
        let floor = match occasion {
            Occasion::Request => self.open_floor(tablet.table),
            Occasion::Purge(floor) => floor,
            Occasion::Thread(_) => self.history_floor(tablet)?,
        };
        if let Occasion::Purge(floor) = occasion {
            return self.decide_purge(tablet, group, runs, floor);
        }
        let marker_ttl = self.marker_ttl(tablet, id);
        let contents = contents_of(&group.sources.runs, floor, marker_ttl)?;
        let rewrites_all = occasion == Occasion::Request || is_worth_collecting(&contents, floor);
        let is_quiet = occasion == Occasion::Thread(Wake::Quiet);
        let reason = match (occasion, rewrites_all) {
            (Occasion::Request, _) => "request",
            (_, true) => "garbage",
            _ if pick(&sizes).is_some() => "runs",
            _ => "small files",
        };
        let picked = match rewrites_all {
            true if sizes.is_empty() => None,
            true => Some(Pick { runs: 0..sizes.len(), kind: Kind::Major }),
            false => pick(&sizes).or_else(|| match is_quiet {
                true => pick_scattered(&files, self.options.file_bytes),
                false => None,
            }),
        };
        let Some(pick) = picked else { return Ok(None) };
        let runs = runs[pick.runs.clone()].to_vec();
        let picked_files = &files[pick.runs.clone()];
        let joins_small = rewrites_all
            || is_quiet
            || small_files(picked_files, self.options.file_bytes) >= SMALL_FILES_MAX;
        let group = group.clone();
        let rewrites = if rewrites_all { Rewrites::Everything } else { Rewrites::Nothing };
        Ok(Some(Merge { tablet, group, runs, pick, rewrites, joins_small, floor, reason }))
    }

    /// A merge of everything in which only those files are written again that may hold something dead.
    fn decide_purge<'a>(
        &self,
        tablet: &'a Tablet,
        group: &GroupVersion,
        runs: &[RunRow],
        floor: CommitTs,
    ) -> Result<Option<Merge<'a>>, TabletError> {
        let dead = self.dead_files(tablet, group, runs, floor)?;
        if dead.is_empty() {
            return Ok(None);
        }
        Ok(Some(Merge {
            tablet,
            group: group.clone(),
            runs: runs.to_vec(),
            pick: Pick { runs: 0..runs.len(), kind: Kind::Major },
            rewrites: Rewrites::Dead(dead),
            joins_small: false,
            floor,
            reason: "purge",
        }))
    }

    /// The files of a group that may hold something that was dead at a time, with those that they meet.
    pub(super) fn dead_files(
        &self,
        tablet: &Tablet,
        group: &GroupVersion,
        runs: &[RunRow],
        floor: CommitTs,
    ) -> Result<Vec<Place>, TabletError> {
        let schemas = self.tablets.table(tablet.table)?.schemas();
        let (schema, gc) = (&*schemas.current, schemas.gc(group.id));
        let rows_end = row_ends::are_elsewhere(&schemas, group.id);
        let dead = DeadBytes { floor, schema, gc: &gc, rows_end };
        let files: Vec<&[FileRow]> = runs.iter().map(|run| run.files.as_slice()).collect();
        let mut places = Vec::new();
        for part in groups(&files) {
            if dead.are_in(&group.sources.runs, &part)? {
                places.extend(part);
            }
        }
        Ok(places)
    }

    /// The time after which every row of a group has ended that was not written again, if they end, and the group
    /// knows it.
    fn marker_ttl(&self, tablet: &Tablet, id: LocalityGroupId) -> Option<i64> {
        // A table that was dropped has nothing to collect.
        let schemas = self.tablets.table(tablet.table).ok()?.schemas();
        if schemas.group(id).is_some_and(|group| !group.has_markers) {
            return None;
        }
        let policies = schemas.gc(id);
        // While it is not settled which one counts, the longest does.
        let ends = policies.iter().all(|gc| gc.marker_ttl().is_some());
        policies.iter().filter_map(GroupGc::marker_ttl).max().filter(|_| ends)
    }

    /// Writes what a merge makes.
    fn write(&self, merge: &Merge<'_>, listed: &Listed<'_>) -> Result<Merged, TabletError> {
        let mut merged = Merged::default();
        let written = self.write_groups(merge, &mut merged, listed);
        if written.is_err() {
            self.files.remove(merge.tablet.table, &merged.written);
        }
        written.map(|()| merged)
    }

    fn write_groups(
        &self,
        merge: &Merge<'_>,
        merged: &mut Merged,
        listed: &Listed<'_>,
    ) -> Result<(), TabletError> {
        let mut read = 0;
        let inputs = &merge.group.sources.runs[merge.pick.runs.clone()];
        let rows: Vec<&[FileRow]> = merge.runs.iter().map(|run| run.files.as_slice()).collect();
        let size = |place: Place| rows[place.run][place.file].size_bytes;
        let mut parts = groups(&rows);
        if merge.joins_small {
            parts = join_small(parts, size, self.options.file_bytes);
        }
        for group in parts {
            if let [alone] = group.as_slice()
                && !merge.rewrites.has(*alone)
            {
                merged.rows.push(rows[alone.run][alone.file].clone());
                merged.files.push(inputs[alone.run].files()[alone.file].clone());
                continue;
            }
            let look = |rows: u64| listed.read_rows(read + rows);
            let files = self.merge_files(merge, inputs, &group, look)?;
            let rows_of = |place: &Place| rows[place.run][place.file].rows;
            read += group.iter().map(rows_of).sum::<u64>();
            listed.read_rows(read);
            merged.written.extend(files.iter().cloned());
            let table = merge.tablet.table;
            for file in files {
                merged.files.push(self.files.open(table, &merge.tablet.range, &file)?);
                merged.rows.push(file);
            }
        }
        Ok(())
    }

    /// Merges files that meet.
    fn merge_files(
        &self,
        merge: &Merge<'_>,
        inputs: &[Arc<Run>],
        group: &[Place],
        look: impl Fn(u64),
    ) -> Result<Vec<FileRow>, TabletError> {
        let mut runs: Vec<Arc<Run>> = Vec::new();
        for of_run in group.chunk_by(|a, b| a.run == b.run) {
            let file = |place: &Place| inputs[place.run].files()[place.file].clone();
            runs.push(Arc::new(Run::new(of_run.iter().map(file).collect())));
        }
        let range = span(&runs);
        let sources = Sources { memtables: Vec::new(), runs };
        let schemas = self.tablets.table(merge.tablet.table)?.schemas();
        let policy = GcPolicy {
            floor: merge.floor,
            includes_oldest: merge.pick.runs.end == merge.group.sources.runs.len(),
            schema: schemas.current.clone(),
            has_markers: schemas.group(merge.group.id).is_none_or(|group| group.has_markers),
            gc: schemas.gc(merge.group.id),
        };
        let written = match merge.pick.kind {
            Kind::Merging => Written::ByFlush,
            Kind::Major => Written::ByMajorCompaction,
        };
        let directory = self.files.make_directory(merge.tablet.table)?;
        self.failpoint("compact.before_write")?;
        let options = self.run_options(schemas.group(merge.group.id), written);
        let schema = WriterSchema::new(&schemas.widest, merge.group.id);
        let mut writer = RunWriter::new(&self.env, &directory, &schema, options, &self.files);
        writer.note_ends(noted_ends(&schemas, merge.group.id));
        let mut rows = GcMerge::new(&sources, &range, policy)?;
        let seqs = seqs_of(&sources.runs);
        writer.set_tombstones(RunTombstones { fragments: rows.tombstones().clone(), seqs });
        let mut requests = requests_of_runs(&sources.runs)?;
        requests.forget_old(self.clock.wall_micros());
        writer.set_requests(RunRequests { requests, range });
        let mut next_look = ROWS_BETWEEN_LOOKS;
        let mut ends = RowEnds::of(merge.tablet, &schemas, merge.group.id, merge.floor);
        while rows.next_rows(&mut |row, cells| add_living(&mut ends, &mut writer, row, cells))? {
            if rows.counts().read >= next_look {
                look(rows.counts().read);
                next_look = rows.counts().read + ROWS_BETWEEN_LOOKS;
                if self.background.is_stopping() {
                    return Err(TabletError::Unavailable("the server is closing".to_owned()));
                }
            }
        }
        Ok(writer.finish()?)
    }

    fn publish(
        &self,
        merge: &Merge<'_>,
        merged: &Merged,
        event: &TabletEvent,
    ) -> Result<Edit, TabletError> {
        let Merge { tablet, group, runs, floor, .. } = merge;
        let first = &runs[0];
        let run = match merged.files.is_empty() {
            true => None,
            false => Some(Arc::new(Run::new(merged.files.clone()))),
        };
        let _edits = tablet.edits.lock();
        let edited = self.edit(tablet, |row| {
            let group = row.group_mut(group.id);
            if let Some(start) = group.runs.iter().position(|run| run == first) {
                let by = (!merged.rows.is_empty()).then(|| RunRow { files: merged.rows.clone() });
                group.runs.splice(start..start + runs.len(), by);
            }
            row.gc_floor = row.gc_floor.max(*floor);
            events::add(&mut row.events, [event.clone()]);
        })?;
        if edited == Edit::Done {
            let inputs = &merge.group.sources.runs[merge.pick.runs.clone()];
            tablet.change_version(|version| {
                let merged = |group: &GroupVersion| group.merged(inputs, run.clone());
                version.with_group(group.id, merged).with_floor(*floor)
            });
            self.keep_in_memory(tablet);
        }
        Ok(edited)
    }
}

/// What runs say of themselves. Where rows end by themselves, the time after which they do is given. Rows that a run's range tombstones delete are its garbage, whatever run they are in.
fn contents_of(
    runs: &[Arc<Run>],
    floor: CommitTs,
    marker_ttl: Option<i64>,
) -> Result<Vec<Contents>, TabletError> {
    let contents = |run: &Arc<Run>| contents(run, floor, marker_ttl);
    let mut all: Vec<Contents> = runs.iter().map(contents).collect();
    for (place, run) in runs.iter().enumerate().filter(|(_, run)| !run.tombstones().is_empty()) {
        all[place].garbage += covered_rows(run.tombstones(), floor, &runs[place..])?;
    }
    Ok(all)
}

/// The smallest and the largest sequence number in runs.
fn seqs_of(runs: &[Arc<Run>]) -> (Seq, Seq) {
    let files = runs.iter().flat_map(|run| run.files());
    let ranges: Vec<(Seq, Seq)> = files.map(|file| file.table.properties().seq_range()).collect();
    let smallest = ranges.iter().map(|range| range.0).min();
    let largest = ranges.iter().map(|range| range.1).max();
    (smallest.unwrap_or_default(), largest.unwrap_or_default())
}

/// What a run's files say of themselves.
fn contents(run: &Run, floor: CommitTs, marker_ttl: Option<i64>) -> Contents {
    let mut contents = Contents::default();
    for properties in run.files().iter().map(|file| file.table.properties()) {
        let kept = properties.keys.saturating_add(retained_versions(properties));
        let older_versions = properties.rows.saturating_sub(kept);
        let (_, newest) = properties.commit_ts_range();
        let has_ended = |ttl| floor.0.saturating_sub(newest.0) >= ttl;
        contents.rows += properties.rows;
        contents.garbage += match marker_ttl.is_some_and(has_ended) {
            true => properties.rows,
            false => older_versions.saturating_add(properties.deletes).min(properties.rows),
        };
        contents.max_commit_ts = contents.max_commit_ts.max(newest);
    }
    contents
}

/// The keys that runs may hold.
fn span(runs: &[Arc<Run>]) -> KeyRange {
    let files = || runs.iter().flat_map(|run| run.files());
    let start = files().map(|file| file.bounds.start.clone()).min().unwrap_or_default();
    let is_unbounded = files().any(|file| file.bounds.end.is_none());
    let end = files().filter_map(|file| file.bounds.end.clone()).max();
    KeyRange { start, end: end.filter(|_: &Bytes| !is_unbounded) }
}
