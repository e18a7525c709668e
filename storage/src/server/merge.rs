//! Merging two neighbouring tablets (rule 19).
//!
//! 1. Both are flushed; then, with flushes, merges and edits of both stopped, their memtables are frozen under the commit
//!    mutex, and what is in those, which is little, is flushed too. So everything up to one sequence number is in files.
//! 2. The left one's METADATA row gets the merge intent; the right one's becomes the union, which commits the merge; the left
//!    one's goes ([`terrane_client::metadata::merge`]).
//! 3. Under the commit mutex the union takes the place of the two in the directory, all in memory: a fresh active memtable before
//!    theirs, which hold what was written since 1, and their runs side by side.
//!
//! Reads and writes go on all the time, on the two up to 3 and then on the union, and find it as they find the children after a
//! split ([`super::split`]). The commit mutex is held for some allocations, twice. A memtable of the union holds keys of one
//! side only, as its runs' files do: no order is needed between the two sides.
//!
//! Fault model: a crash before the union is durable leaves both, and the next start takes the intent back; after it, the left row goes
//! at the next start. A step that fails is tried again by whatever next flushes or merges one of the two; until then neither takes
//! another edit, so what was true of their files stays so. A table that is dropped meanwhile gets no row back.

use super::TabletServer;
use super::background::Job;
use super::edits::Edit;
use super::jobs::Input;
use super::split::Why;
use crate::memtable::Memtable;
use crate::scan::{Run, RunFile};
use crate::sstable::Sstable;
use crate::tablet::group_version::GroupVersion;
use crate::tablet::version::Version;
use crate::tablet::{BegunMerge, Tablet};
use futures::executor::block_on;
use parking_lot::MutexGuard;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use terrane_client::error::TabletError;
use terrane_client::ids::{LocalityGroupId, RequestId, Seq, StorageId};
use terrane_client::metadata::edit::{self, Edit as RowEdit};
use terrane_client::metadata::events::EventKind;
use terrane_client::metadata::merge::{self, MergeIntent};
use terrane_client::metadata::{FileRow, TabletRow, root};
use terrane_client::program::{Atomicity, ModifyRequest};
use terrane_client::read::KeyRange;
use terrane_client::service::TabletName;

/// Nobody else changes the two tablets' files.
struct Quiesced<'a> {
    _flushes: [MutexGuard<'a, ()>; 2],
    _merges: [MutexGuard<'a, ()>; 2],
}

/// What METADATA says in the end.
enum Rows {
    /// The right one's row is the union's, the left one's is gone.
    Union(TabletRow),
    /// Both are as they were.
    TakenBack,
    /// Both are gone: the table was dropped.
    Dropped,
}

impl TabletServer {
    /// Merges the tablets that meet at a key. Nothing to do where no tablet begins there.
    pub(super) fn merge_tablets(&self, table: StorageId, key: &[u8]) -> Result<(), TabletError> {
        if table == StorageId::METADATA && *key <= root::end()[..] {
            return Err(TabletError::Unsupported(
                "METADATA's root tablet is not merged".to_owned(),
            ));
        }
        loop {
            self.check_open()?;
            let served = self.tablets.table(table)?;
            let right = served.tablet_of(key)?;
            if key.is_empty() || right.range.start[..] != *key {
                return Ok(());
            }
            let mut tablets = served.tablets().iter();
            let left = tablets.find(|tablet| tablet.range.end.as_ref() == Some(&right.range.start));
            let left = left.ok_or(TabletError::NotServing { table })?;
            if self.merge_pair(left, right, Why::Asked)? {
                return Ok(());
            }
        }
    }

    /// Merges two neighbours. False where one of them was split, merged or dropped meanwhile.
    pub(super) fn merge_pair(
        &self,
        left: &Arc<Tablet>,
        right: &Arc<Tablet>,
        why: Why,
    ) -> Result<bool, TabletError> {
        let (kind, reason) = (EventKind::Merge, why.reason());
        let listed = self.begin_work(kind, left, None, reason, Input::default());
        let both = [left, right];
        for tablet in both {
            self.finish_split(tablet)?;
            self.finish_merge(tablet)?;
            // Most of what is in memory, before anything has to wait.
            self.flush_tablet(tablet, "merge")?;
        }
        let _quiesced = quiesce(both);
        let is_busy = |tablet: &Tablet| {
            let has_changed = tablet.is_retired() || !tablet.is_serving();
            has_changed || tablet.is_splitting() || tablet.merging().is_some()
        };
        if both.into_iter().any(|tablet| is_busy(tablet)) {
            return Ok(false);
        }
        self.failpoint("merge.before_flush")?;
        let flushed = self.flush_rest(both)?;
        let _edits = both.map(|tablet| tablet.edits.lock());
        both.into_iter().try_for_each(|tablet| self.check_edits(tablet))?;
        self.failpoint("merge.before_intent")?;
        let (right_end, right_version) = (right.row().end, right.row().version);
        let intent = || Some(MergeIntent { right_end: right_end.clone(), right_version });
        match self.edit(left, |row| row.merge = intent())? {
            Edit::Done => {}
            Edit::Dropped => return self.forget_both(both).map(|()| false),
        }
        let (left, right, since) = (left.clone(), right.clone(), listed.began());
        let begun = Arc::new(BegunMerge { left, right, flushed, reason, since });
        both.into_iter().for_each(|tablet| tablet.set_merging(Some(begun.clone())));
        self.continue_merge(&begun)
    }

    /// Finishes a merge that was begun, or takes it back, if there is one.
    pub(super) fn finish_merge(&self, tablet: &Tablet) -> Result<(), TabletError> {
        let Some(begun) = tablet.merging() else { return Ok(()) };
        let both = [&begun.left, &begun.right];
        let _quiesced = quiesce(both);
        let _edits = both.map(|tablet| tablet.edits.lock());
        let is_same = tablet.merging().is_some_and(|merging| Arc::ptr_eq(&merging, &begun));
        match is_same {
            true => self.continue_merge(&begun).map(drop),
            false => Ok(()),
        }
    }

    /// Writes what memtables hold of two tablets that nobody else flushes. The answer is the sequence number up to which
    /// everything is in files.
    fn flush_rest(&self, both: [&Arc<Tablet>; 2]) -> Result<Seq, TabletError> {
        let line = self.line(both[0].table);
        let flushed = {
            let _no_commits = line.stop_commits();
            for tablet in both {
                tablet.set_frozen_for("merge");
                tablet.change_version(frozen);
            }
            line.applied_seq()
        };
        block_on(line.durable(flushed).wait())?;
        for tablet in both {
            for group in tablet.version().groups() {
                self.flush_group(tablet, group.id)?;
            }
        }
        Ok(flushed)
    }

    /// Goes on where a merge stands. True if it is done, false if it was taken back, or the table dropped. With flushes, merges
    /// and edits of both stopped.
    fn continue_merge(&self, begun: &Arc<BegunMerge>) -> Result<bool, TabletError> {
        let both = [&begun.left, &begun.right];
        let names = both.map(|tablet| tablet.name());
        let start = begun.left.range.start.clone();
        let written = block_on(self.write_union(&names, &start, Some(begun.flushed)));
        if matches!(written, Err(TabletError::OutcomeUnknown(_))) {
            both.into_iter().for_each(|tablet| tablet.edits_stopped.store(true, Ordering::Release));
        }
        let is_done = match written? {
            Rows::Union(row) => {
                self.failpoint("merge.before_switch")?;
                self.switch_to_union(begun, row)?;
                true
            }
            Rows::TakenBack => {
                for tablet in both {
                    if let Some(row) = self.read_row(&tablet.name())? {
                        tablet.set_row(row);
                    }
                }
                false
            }
            Rows::Dropped => {
                self.forget_both(both)?;
                false
            }
        };
        both.into_iter().for_each(|tablet| tablet.set_merging(None));
        if let Some(union) = begun.right.successors().first() {
            union.note(self.event(EventKind::Merge, begun.reason, begun.since, 0));
            self.write_events(union);
        }
        Ok(is_done)
    }

    fn forget_both(&self, both: [&Arc<Tablet>; 2]) -> Result<(), TabletError> {
        both.into_iter().try_for_each(|tablet| self.forget(tablet))
    }

    /// Finishes, in METADATA alone, the merge that a start or load has found, or takes it back.
    pub(super) async fn settle_merge(&self, left: &TabletName) -> Result<(), TabletError> {
        let Some(row) = self.read_row(left)? else { return Ok(()) };
        let Some(intent) = row.merge else { return Ok(()) };
        let end = intent.right_end.map(Into::into);
        let right = TabletName { table: left.table, end };
        self.write_union(&[left.clone(), right], &row.start, None).await.map(drop)
    }

    /// Rolls a merge forward from its intent on: the union's row, then the left one's goes. Where the right one has
    /// changed since, or it is not known up to where both are flushed, takes it back. A second time it does what the first has left.
    async fn write_union(
        &self,
        [left_name, right_name]: &[TabletName; 2],
        start: &[u8],
        flushed: Option<Seq>,
    ) -> Result<Rows, TabletError> {
        loop {
            let (left, right) = (self.read_row(left_name)?, self.read_row(right_name)?);
            let (left, right) = match (left, right) {
                (Some(left), Some(right)) => (left, right),
                (None, Some(right)) if right.start == start => return Ok(Rows::Union(right)),
                _ => return Ok(Rows::Dropped),
            };
            let Some(intent) = &left.merge else { return Ok(Rows::TakenBack) };
            if merge::reaches(&left, &right.start) {
                self.failpoint("merge.before_retire")?;
                self.write_program(edit::remove(&left)?).await?;
                return Ok(Rows::Union(right));
            }
            let is_as_named = right.version == intent.right_version;
            let union = flushed.and_then(|flushed| merge::union(&left, &right, flushed));
            match union.filter(|_| is_as_named) {
                Some(union) => {
                    self.failpoint("merge.before_union")?;
                    self.write_row(&RowEdit::new(&right, |row| row.clone_from(&union))?).await?;
                }
                None => {
                    self.failpoint("merge.before_taking_back")?;
                    // Whoever would still make the union finds another version.
                    if is_as_named && !self.write_row(&RowEdit::new(&right, |_| ())?).await? {
                        continue;
                    }
                    self.write_row(&RowEdit::new(&left, |row| row.merge = None)?).await?;
                }
            }
        }
    }

    /// Runs a program on a METADATA row; that its condition does not hold is no error.
    async fn write_program(
        &self,
        program: terrane_client::program::RowProgram,
    ) -> Result<(), TabletError> {
        let request = ModifyRequest {
            request: RequestId::default(),
            programs: Arc::new(vec![program]),
            atomicity: Atomicity::AllOrNone,
        };
        let results = self.modify_unthrottled(&request).await?.results;
        match results.into_iter().find_map(Result::err) {
            None => Ok(()),
            Some(error) => Err(error.into()),
        }
    }

    /// Puts the union in the place of the two.
    fn switch_to_union(&self, begun: &BegunMerge, row: TabletRow) -> Result<(), TabletError> {
        let both = [&begun.left, &begun.right];
        let runs = self.runs_of_union(both, &row)?;
        let rows = both.map(|tablet| tablet.row());
        let pause = {
            let no_commits = self.line(row.table).stop_commits();
            let began = self.env.clock.monotonic();
            if !both.iter().all(|tablet| tablet.is_serving()) {
                // Dropped since. Whoever drops the table finds the union's name only.
                drop(no_commits);
                return self.forget_both(both);
            }
            let [left, right] = &rows;
            self.files.references.replace(&[left, right], &[&row]);
            let version = union_version(both, &row, runs);
            let union = Arc::new(Tablet::new(row, version, began));
            union.set_frozen_for("merge");
            let after = [union];
            self.tablets.replace(&both.map(|tablet| &**tablet), &after);
            both.into_iter().for_each(|tablet| tablet.retire(after.to_vec()));
            let pause = self.env.clock.monotonic().saturating_sub(began);
            drop(no_commits);
            pause
        };
        self.tablet_merges.count(pause);
        self.count_runs();
        self.background.wake(Job::Flush);
        self.background.wake(Job::Compact);
        Ok(())
    }

    /// The runs of a union as its row has them, from the open files of the two.
    fn runs_of_union(
        &self,
        both: [&Arc<Tablet>; 2],
        row: &TabletRow,
    ) -> Result<HashMap<LocalityGroupId, Vec<Arc<Run>>>, TabletError> {
        let versions = both.map(|tablet| tablet.version());
        let groups = versions.iter().flat_map(|version| version.groups());
        let runs = groups.flat_map(|group| &group.sources.runs);
        let open: HashMap<String, &Sstable> = runs
            .flat_map(|run| run.files())
            .filter_map(|file| Some((name_of(&file.table)?, &file.table)))
            .collect();
        let range = row.key_range();
        let file = |file: &FileRow| match open.get(&file.name) {
            None => self.files.open(row.table, &range, file),
            Some(table) => {
                let start = file.start.clone().into();
                let bounds = KeyRange { start, end: file.end.clone().map(Into::into) };
                Ok(RunFile { table: (*table).clone(), bounds: bounds.intersect(&range) })
            }
        };
        let mut runs = HashMap::new();
        for group in &row.groups {
            let of_run = |run: &[FileRow]| run.iter().map(file).collect::<Result<Vec<_>, _>>();
            let of_group = group.runs.iter().map(|run| Ok(Arc::new(Run::new(of_run(&run.files)?))));
            runs.insert(group.group, of_group.collect::<Result<Vec<_>, TabletError>>()?);
        }
        Ok(runs)
    }
}

fn name_of(table: &Sstable) -> Option<String> {
    let name = table.file_name();
    Some(Path::new(&name).file_name()?.to_str()?.to_owned())
}

/// Waits until the files of both tablets are left alone. Compactions may take long, and flushes are not held up meanwhile. Of
/// neighbours the left one comes first, so that nobody waits in a circle.
fn quiesce<'a>([left, right]: [&'a Arc<Tablet>; 2]) -> Quiesced<'a> {
    loop {
        drop(left.merges.lock());
        drop(right.merges.lock());
        let flushes = [left.flushes.lock(), right.flushes.lock()];
        if let (Some(left), Some(right)) = (left.merges.try_lock(), right.merges.try_lock()) {
            return Quiesced { _flushes: flushes, _merges: [left, right] };
        }
    }
}

/// A version with every memtable frozen that has rows.
fn frozen(version: &Version) -> Version {
    let ids: Vec<LocalityGroupId> = version.groups().iter().map(|group| group.id).collect();
    ids.into_iter().fold(version.clone(), |version, id| {
        version.with_group(id, |group| match group.active().is_empty() {
            true => group.clone(),
            false => group.freeze(),
        })
    })
}

/// The union of two tablets: their memtables frozen behind an empty one. Under the commit mutex.
fn union_version(
    both: [&Arc<Tablet>; 2],
    row: &TabletRow,
    mut runs: HashMap<LocalityGroupId, Vec<Arc<Run>>>,
) -> Version {
    let versions = both.map(|tablet| tablet.version());
    let groups = || versions.iter().flat_map(|version| version.groups());
    let mut ids: Vec<LocalityGroupId> = groups().map(|group| group.id).collect();
    ids.sort_unstable();
    ids.dedup();
    let union = |id: LocalityGroupId| {
        let runs = runs.remove(&id).unwrap_or_default();
        let mut union = GroupVersion::new(id, Arc::default(), runs);
        let memtables = groups().filter(|group| group.id == id);
        let memtables = memtables.flat_map(|group| &group.sources.memtables);
        let unflushed = memtables.filter(|memtable: &&Arc<Memtable>| !memtable.is_empty());
        union.sources.memtables.extend(unflushed.cloned());
        union
    };
    Version::new(row.gc_floor, ids.into_iter().map(union).collect())
}
