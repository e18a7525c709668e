//! Purging: what is dead leaves every file in time, for tables that promise it (rule 13).
//!
//! A round looks at the tablets of these tables. One that holds nothing dead (nothing in memtables or in the log since it was
//! erased, no file with garbage, with rows out of bounds, or under newer rows) is purged up to now. Of the others those are
//! purged that are due ([`super::purges`]), all together:
//!
//! 1. Dropped locality groups go, memtables are flushed, and files that may hold something dead at the floor are written again,
//!    by each tablet that refers to them ([`crate::compaction::dead`]).
//! 2. The users' log is erased: its segment is ended, what is in it of any table is flushed, and its files are removed
//!    ([`crate::log::Erasure`]).
//! 3. METADATA is purged likewise, rows and log: it names files with their first and last keys.
//! 4. Each tablet's METADATA row notes up to when it is purged.
//!
//! The floor is what it is for every merge, but that a read may hold it back only for a part of the time that is promised
//! ([`terrane_client::schema::reads_micros`]). After that the read is ended, 72000, with what it holds open.
//!
//! Fault model: a purge that fails or is cut off has noted nothing; what it has done it finds done the next time. Its
//! time is known after a restart from METADATA and the lock service.

use super::TabletServer;
use super::background::Job;
use super::compact::Occasion;
use super::edits::Edit;
use super::line::CommitLine;
use super::purges::{Progress, Promise};
use crate::log::Erasure;
use crate::tablet::Tablet;
use futures::executor::block_on;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use terrane_client::error::TabletError;
use terrane_client::ids::{CommitTs, Seq, StorageId};
use terrane_client::metadata::PurgeMark;
use terrane_client::schema::reads_micros;
use terrane_client::service::TabletName;
use terrane_client::status::{PurgeStatus, TabletRange};

/// A table is looked at so many times while the time passes that it promises.
const LOOKS: i64 = 16;
/// How long a start is given to load its tablets before a purge fails for want of them.
const LOADING_MICROS: i64 = 1_000_000;
/// It is looked at not more and not less often than this.
const BETWEEN_LOOKS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(60));

impl TabletServer {
    /// Purges what is due; answers when to look again, `None` where no table promises anything. What the purge thread does when
    /// woken.
    pub fn purge_round(&self) -> Result<Option<Duration>, TabletError> {
        let _one_at_a_time = self.purges.rounds.lock();
        if self.is_loading() {
            return Ok(Some(BETWEEN_LOOKS.0));
        }
        let promises = self.promises();
        let now = self.clock.wall_micros();
        let is_log_due = {
            let mut state = self.purges.state.lock();
            let is_served = |table| self.tablets.get(table).is_some();
            state.set_tables(&promises, is_served, now);
            state.tablets.retain(|name, _| promises.contains_key(&name.table));
            state.dropped.is_some_and(|dropped| dropped.due_at() <= now)
        };
        for (table, promise) in &promises {
            let oldest = CommitTs(now.saturating_sub(reads_micros(promise.within)));
            self.purges.end_reads(*table, oldest);
        }
        let due = self.look(&promises)?;
        if !due.is_empty() || is_log_due {
            self.background.urgently(Job::Purge, || self.purge(&due))?;
        }
        if block_on(self.purges.settle(&*self.lock, &self.name))? {
            self.users_line.log().keep_spares();
            self.metadata_line.log().keep_spares();
        }
        Ok(self.next_look(&promises))
    }

    /// True for a moment after the start, in which the log is needed for tablets that are about to be loaded.
    fn is_loading(&self) -> bool {
        let waits = self.recovered.lock().values().any(|tablet| !tablet.memtable.is_empty());
        waits && self.clock.wall_micros() < self.purges.started_at.saturating_add(LOADING_MICROS)
    }

    /// The tables that promise to purge.
    fn promises(&self) -> HashMap<StorageId, Promise> {
        let mut promises = HashMap::new();
        for tablet in self.tablets.all() {
            let Some(table) = self.tablets.get(tablet.table) else { continue };
            if let Some(promise) = Promise::of(&table.current_schema()) {
                promises.insert(tablet.table, promise);
            }
        }
        promises
    }

    /// How long nothing has to be looked at.
    fn next_look(&self, promises: &HashMap<StorageId, Promise>) -> Option<Duration> {
        let state = self.purges.state.lock();
        let dropped = state.dropped.map(|dropped| dropped.within);
        let shortest = promises.values().map(|promise| promise.within).chain(dropped).min()?;
        let micros = u64::try_from(shortest / LOOKS).unwrap_or_default();
        Some(Duration::from_micros(micros).clamp(BETWEEN_LOOKS.0, BETWEEN_LOOKS.1))
    }

    /// Looks at every tablet of tables that promise to purge; answers which are due.
    fn look(
        &self,
        promises: &HashMap<StorageId, Promise>,
    ) -> Result<Vec<Arc<Tablet>>, TabletError> {
        if promises.is_empty() {
            return Ok(Vec::new());
        }
        // What is committed from here on is newer.
        let looked = {
            let _no_commits = self.users_line.stop_commits();
            self.clock.next()
        };
        let now = self.clock.wall_micros();
        let tablets = self.tablets.all();
        let names: HashSet<TabletName> = tablets.iter().map(|tablet| tablet.name()).collect();
        let erased_to = {
            let mut state = self.purges.state.lock();
            state.tablets.retain(|name, _| names.contains(name));
            state.erased_to
        };
        let mut due = Vec::new();
        for tablet in tablets {
            let Some(promise) = promises.get(&tablet.table) else { continue };
            let is_clean = match self.is_clean(&tablet, erased_to, looked) {
                // Dropped since they were listed.
                Err(TabletError::NotServing { .. }) => continue,
                is_clean => is_clean?,
            };
            let mut state = self.purges.state.lock();
            let progress = state.tablets.entry(tablet.name());
            let progress = progress.or_insert_with(|| Progress::new(tablet.row().purged, now));
            if is_clean {
                progress.to = Some(looked);
            } else if progress.due_at(*promise) <= now {
                due.push(tablet);
            }
        }
        Ok(due)
    }

    /// True where a tablet holds nothing that was dead at a time, and neither does the log of it.
    fn is_clean(
        &self,
        tablet: &Tablet,
        erased_to: Seq,
        looked: CommitTs,
    ) -> Result<bool, TabletError> {
        let (row, version) = {
            let _edits = tablet.edits.lock();
            (tablet.row(), tablet.version())
        };
        let Some(table) = self.tablets.get(tablet.table) else { return Ok(false) };
        if !table.dropped_groups(tablet).is_empty() || tablet.is_retired() {
            return Ok(false);
        }
        let memtables = version.groups().iter().flat_map(|group| &group.sources.memtables);
        if row.max_seq > erased_to || memtables.into_iter().any(|memtable| !memtable.is_empty()) {
            return Ok(false);
        }
        for group in version.groups() {
            let runs = row.runs_of(group.id);
            if !self.dead_files(tablet, group, runs, looked)?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Purges some tablets, the logs and METADATA.
    fn purge(&self, due: &[Arc<Tablet>]) -> Result<(), TabletError> {
        // What is visible moves on with the clock only where someone reads.
        self.users_line.read_ts();
        let mut purged: Vec<(&Arc<Tablet>, CommitTs)> = Vec::new();
        let mut failed = None;
        for tablet in due {
            let now = self.clock.wall_micros();
            self.note(&tablet.name(), |progress| progress.begun_at = Some(now));
            match self.purge_tablet(tablet) {
                Ok(floor) => purged.push((tablet, floor)),
                // Dropped, split or merged since: looked at again as what it is then.
                Err(TabletError::NotServing { .. }) if !tablet.is_serving() => {}
                Err(error) => {
                    self.note(&tablet.name(), |progress| {
                        progress.error = Some(error.to_string());
                    });
                    failed = Some(error);
                }
            }
        }
        let erased = self.failpoint("purge.before_erase").and_then(|()| self.erase_logs());
        if let Err(error) = erased {
            let text = format!("commit log: {error}");
            self.purges.state.lock().log_error = Some(text.clone());
            for (tablet, _) in &purged {
                self.note(&tablet.name(), |progress| progress.error = Some(text.clone()));
            }
            return Err(error);
        }
        for (tablet, floor) in purged {
            if let Err(error) = self.write_mark(tablet, floor) {
                self.note(&tablet.name(), |progress| progress.error = Some(error.to_string()));
                failed = Some(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Lets what is dead leave a tablet's files; answers up to when.
    fn purge_tablet(&self, tablet: &Tablet) -> Result<CommitTs, TabletError> {
        self.drop_groups(tablet)?;
        let floor = self.history_floor(tablet)?;
        self.flush_tablet(tablet, "purge")?;
        self.merge_tablet(tablet, Occasion::Purge(floor))?;
        // Removed files do not come back after a power cut.
        self.files.sync_directory(tablet.table)?;
        match tablet.is_serving() {
            true => Ok(floor),
            false => Err(TabletError::NotServing { table: tablet.table }),
        }
    }

    /// Erases the users' log and METADATA's, and lets what METADATA has replaced leave its files.
    fn erase_logs(&self) -> Result<(), TabletError> {
        let dropped = self.purges.state.lock().dropped;
        let erasure = self.erase(&self.users_line)?;
        self.failpoint("purge.before_metadata")?;
        let mut tablets = self.tablets.table(StorageId::METADATA)?.tablets().to_vec();
        // The root, the first, comes last: what becomes of the others' files is written there.
        while let Some(tablet) = tablets.pop() {
            self.metadata_line.read_ts();
            let floor = self.metadata_line.visible_ts();
            let purged = self.flush_tablet(&tablet, "purge");
            match purged.and_then(|()| self.merge_tablet(&tablet, Occasion::Purge(floor))) {
                // Split or merged meanwhile.
                Err(TabletError::NotServing { .. }) if !tablet.is_serving() => {}
                purged => drop(purged?),
            }
            tablets.extend_from_slice(tablet.successors());
        }
        self.files.sync_directory(StorageId::METADATA)?;
        self.erase(&self.metadata_line)?;
        let mut state = self.purges.state.lock();
        state.erased_to = state.erased_to.max(erasure.last_seq);
        state.log_error = None;
        // Another may have been dropped meanwhile.
        if state.dropped == dropped {
            state.dropped = None;
        }
        Ok(())
    }

    /// Erases a log up to what was committed last. What an attempt before has begun is finished first: each begins a segment,
    /// and attempts that fail must not fill the disk.
    fn erase(&self, line: &CommitLine) -> Result<Erasure, TabletError> {
        let which = usize::from(std::ptr::eq(line, &self.metadata_line));
        let begun = self.purges.state.lock().begun[which];
        if let Some(erasure) = begun {
            self.finish_erasing(line, &erasure)?;
        }
        let erasure = line.log().end_segment()?;
        self.purges.state.lock().begun[which] = Some(erasure);
        self.finish_erasing(line, &erasure)?;
        self.purges.state.lock().begun[which] = None;
        Ok(erasure)
    }

    /// Publishes in runs what ended segments hold, and waits until they are gone.
    fn finish_erasing(&self, line: &CommitLine, erasure: &Erasure) -> Result<(), TabletError> {
        // Whoever has appended to the ended segments is done with that, and it is durable: else it could not be given up.
        drop(line.stop_commits());
        line.log().ticket(erasure.last_seq).wait()?;
        let mut tablets = self.tablets.all();
        tablets.retain(|tablet| std::ptr::eq(self.line(tablet.table), line));
        while let Some(tablet) = tablets.pop() {
            if tablet.first_unflushed().is_some_and(|first| first <= erasure.last_seq) {
                match self.flush_tablet(&tablet, "purge") {
                    Err(TabletError::NotServing { .. }) if !tablet.is_serving() => {}
                    flushed => flushed?,
                }
            }
            tablets.extend_from_slice(tablet.successors());
        }
        let retired = self.retire(line);
        if retired < erasure.last_seq {
            let text = "the commit log has rows of tablets that are not loaded".to_owned();
            return Err(TabletError::Unavailable(text));
        }
        Ok(line.log().wait_erased(erasure)?)
    }

    /// Notes in METADATA that a tablet is purged.
    fn write_mark(&self, tablet: &Tablet, floor: CommitTs) -> Result<(), TabletError> {
        let mark = PurgeMark { to: floor, done_at_micros: self.clock.wall_micros() };
        {
            let _edits = tablet.edits.lock();
            if tablet.is_retired() {
                return Ok(());
            }
            if self.edit(tablet, |row| row.purged = row.purged.max(Some(mark)))? == Edit::Dropped {
                return Ok(());
            }
        }
        self.note(&tablet.name(), |progress| {
            progress.to = progress.to.max(Some(floor));
            progress.done_at = Some(mark.done_at_micros);
            progress.error = None;
        });
        Ok(())
    }

    fn note(&self, tablet: &TabletName, change: impl FnOnce(&mut Progress)) {
        if let Some(progress) = self.purges.state.lock().tablets.get_mut(tablet) {
            change(progress);
        }
    }

    /// How far each tablet is purged, at this moment.
    pub(super) fn purge_statuses(&self) -> Vec<PurgeStatus> {
        let (tablets, erased_to, dropped, log_error) = {
            let state = self.purges.state.lock();
            (state.tablets.clone(), state.erased_to, state.dropped, state.log_error.clone())
        };
        let now = self.clock.wall_micros();
        let open = self.pins.oldest().map(|pin| pin.0);
        let mut statuses = Vec::new();
        for tablet in self.tablets.all() {
            let Some(table) = self.tablets.get(tablet.table) else { continue };
            let Some(promise) = Promise::of(&table.current_schema()) else { continue };
            let known = tablets.get(&tablet.name()).cloned();
            let progress = known.unwrap_or_else(|| Progress::new(tablet.row().purged, now));
            // The last look may be a while ago. What cannot be told is taken for not purged.
            let is_pending = !self.is_clean(&tablet, erased_to, self.clock.now()).unwrap_or(false);
            let is_held = |at: &i64| is_pending && *at < now.saturating_sub(promise.kept);
            statuses.push(PurgeStatus {
                tablet: Some(TabletRange {
                    table: tablet.table,
                    start: tablet.range.start.to_vec(),
                    end: tablet.range.end.as_ref().map(|end| end.to_vec()),
                }),
                within_micros: promise.within,
                is_pending,
                purged_to_micros: progress.to.map(|to| to.0),
                deadline_micros: is_pending.then(|| progress.deadline(promise)),
                done_at_micros: progress.done_at,
                open_read_micros: open.filter(is_held),
                error: progress.error,
            });
        }
        statuses.extend(dropped.map(|dropped| PurgeStatus {
            tablet: None,
            within_micros: dropped.within,
            is_pending: true,
            purged_to_micros: Some(dropped.since),
            deadline_micros: Some(dropped.deadline()),
            done_at_micros: None,
            open_read_micros: None,
            error: log_error,
        }));
        statuses
    }
}
