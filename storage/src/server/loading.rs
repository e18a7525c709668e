//! Tablets come and go.

use super::TabletServer;
use super::background::Job;
use super::edits::Edit;
use crate::memtable::{Memtable, RangeDelete};
use crate::tablet::Tablet;
use crate::tablet::directory::HeldSchemas;
use crate::tablet::group_version::GroupVersion;
use crate::tablet::layout::GroupLayout;
use crate::tablet::map_entries::entry_writes;
use crate::tablet::version::Version;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use terrane_client::blocking;
use terrane_client::error::TabletError;
use terrane_client::ids::{Generation, LocalityGroupId, Seq, StorageId};
use terrane_client::metadata::TabletRow;
use terrane_client::metadata::edit::Edit as RowEdit;
use terrane_client::metadata::events::{self, EventKind, TabletEvent};
use terrane_client::row::RowChange;
use terrane_client::schema::{TableSchema, TableSchemas};
use terrane_client::service::TabletName;

impl TabletServer {
    pub(super) async fn load_tablet(
        &self,
        name: TabletName,
        generation: Generation,
        schemas: TableSchemas,
    ) -> Result<(), TabletError> {
        self.check_open()?;
        if name.table == StorageId::METADATA {
            return Err(TabletError::Unsupported(
                "METADATA's tablets are loaded at start".to_owned(),
            ));
        }
        let purged = self.purges.expect(&schemas.current, &*self.lock, &self.name).await?;
        if let Some(tablet) = self.served(&name) {
            return self.load_again(&tablet, generation, schemas.current);
        }
        let not_serving = || TabletError::NotServing { table: name.table };
        let mut before = self.read_row(&name)?.ok_or_else(not_serving)?;
        if before.split.is_some() {
            self.roll_forward(&name).await?;
            before = self.read_row(&name)?.ok_or_else(not_serving)?;
        }
        if before.merge.is_some() {
            self.settle_merge(&name).await?;
            before = self.read_row(&name)?.ok_or_else(not_serving)?;
        }
        if before.generation > generation {
            // A later owner has it.
            return Err(not_serving());
        }
        let began = self.env.clock.monotonic();
        let schemas = HeldSchemas::new(schemas);
        let opened = self.open_tablet(&name, &before, &schemas.layout).inspect_err(|error| {
            // Whoever asks for its rows is told why they cannot be had.
            self.tablets.set_broken(name.table, error.clone());
        })?;
        let reason = if before.version == 1 { "created" } else { "assigned" };
        let mut happened = self.recovery_of(&name);
        happened.push(self.event(EventKind::Load, reason, began, 0));
        let edit = RowEdit::new(&before, |row| {
            self.own(row, generation);
            events::add(&mut row.events, happened.iter().cloned());
        })?;
        if !self.write_row(&edit).await? {
            return Err(TabletError::Unavailable("the tablet changed hands meanwhile".to_owned()));
        }
        self.serve(&name, edit.row, opened, schemas);
        if purged.is_some() {
            self.background.wake(Job::Purge);
        }
        Ok(())
    }

    /// That rows of a tablet were in the log, if there were any.
    fn recovery_of(&self, name: &TabletName) -> Vec<TabletEvent> {
        let recovered = self.recovered.lock();
        let rows = recovered.get(name).map_or(0, |recovered| recovered.memtable.rows());
        self.recovery(rows, self.replayed_for).into_iter().collect()
    }

    /// The event of a tablet that had so many rows in a log, if it had any.
    pub(super) fn recovery(&self, rows: usize, replayed_for: Duration) -> Option<TabletEvent> {
        let event = |rows: usize| TabletEvent {
            at_micros: self.clock.wall_micros(),
            kind: EventKind::Recovery,
            reason: format!("{rows} rows in the log"),
            micros: u64::try_from(replayed_for.as_micros()).unwrap_or(u64::MAX),
            bytes: 0,
        };
        Some(rows).filter(|rows| *rows > 0).map(event)
    }

    pub(super) fn own(&self, row: &mut TabletRow, generation: Generation) {
        row.server.clone_from(&self.name);
        row.generation = generation;
    }

    /// A tablet that is here already gets a new generation, and its table perhaps a newer schema.
    fn load_again(
        &self,
        tablet: &Tablet,
        generation: Generation,
        schema: Arc<TableSchema>,
    ) -> Result<(), TabletError> {
        let not_serving = TabletError::NotServing { table: tablet.table };
        if tablet.generation() > generation {
            return Err(not_serving);
        }
        let edited = blocking::in_place(|| {
            let _edits = tablet.edits.lock();
            self.edit(tablet, |row| self.own(row, generation))
        })?;
        match edited {
            Edit::Done => self.tablets.set_schema(schema),
            Edit::Dropped => Err(not_serving),
        }
    }

    pub(super) fn served(&self, name: &TabletName) -> Option<Arc<Tablet>> {
        let table = self.tablets.get(name.table)?;
        table.tablets().iter().find(|tablet| tablet.range.end == name.end).cloned()
    }

    /// Opens a tablet's files, with the rows that recovery found for it.
    fn open_tablet(
        &self,
        name: &TabletName,
        row: &TabletRow,
        layout: &GroupLayout,
    ) -> Result<Version, TabletError> {
        let recovered = self.recovered.lock();
        let memtable = recovered.get(name).map(|recovered| recovered.memtable.clone());
        let has_map_changes =
            recovered.get(name).is_some_and(|recovered| recovered.has_map_changes.get());
        drop(recovered);
        let groups = self.open_groups(row, layout, memtable, has_map_changes)?;
        Ok(Version::new(row.gc_floor, groups))
    }

    /// Serves a tablet whose files are open.
    fn serve(&self, name: &TabletName, row: TabletRow, version: Version, schemas: HeldSchemas) {
        self.clock.observe(row.max_commit_ts.max(row.gc_floor));
        // Held across the hand-over: `retire` must see the memtable here or there.
        let mut recovered = self.recovered.lock();
        self.memtable_bytes.fetch_add(version.memtable_bytes(), Ordering::Relaxed);
        let since = self.env.clock.monotonic();
        self.tablets.add(Arc::new(Tablet::new(row, version, since)), schemas);
        recovered.remove(name);
    }

    /// Opens the files of a tablet's groups, and parts what recovery found among them.
    fn open_groups(
        &self,
        row: &TabletRow,
        layout: &GroupLayout,
        recovered: Option<Arc<Memtable>>,
        has_map_changes: bool,
    ) -> Result<Vec<GroupVersion>, TabletError> {
        let mut memtables = match recovered {
            Some(memtable) if layout.is_single() && !has_map_changes => {
                HashMap::from([(LocalityGroupId::default(), memtable)])
            }
            Some(memtable) => part_memtable(&memtable, row, layout)?,
            None => HashMap::new(),
        };
        let known = layout.groups().iter().map(|group| group.id);
        // A group that the schema has dropped, but METADATA not yet.
        let dropped = row.groups.iter().map(|group| group.group);
        let mut ids: Vec<LocalityGroupId> = known.chain(dropped).collect();
        ids.sort_unstable();
        ids.dedup();
        let open = |id: LocalityGroupId| {
            let runs = self.files.open_runs(row, id)?;
            self.requests.recovered_in(&runs, self.clock.wall_micros())?;
            Ok(GroupVersion::new(id, memtables.remove(&id).unwrap_or_default(), runs))
        };
        ids.into_iter().map(open).collect()
    }

    /// Stops serving a tablet: after a flush, or, if METADATA no longer has it, for good.
    pub(super) fn unload_tablet(&self, name: &TabletName) -> Result<(), TabletError> {
        self.check_open()?;
        if name.table == StorageId::METADATA {
            // Nobody else could be told where it is.
            return Err(TabletError::Unsupported("METADATA's tablets stay loaded".to_owned()));
        }
        let is_dropped = self.read_row(name)?.is_none();
        let Some(tablet) = self.served(name) else {
            if is_dropped {
                self.recovered.lock().remove(name);
                self.tablets.clear_broken(name.table);
            }
            return Err(TabletError::NotServing { table: name.table });
        };
        if is_dropped {
            return self.forget(&tablet);
        }
        // Most of it while it still serves, so that it is out of service for moments only.
        self.flush_tablet(&tablet, "unload")?;
        {
            let _no_commits = self.line(name.table).stop_commits();
            if tablet.is_retired() {
                // Split or merged meanwhile: whoever asked has to look again at what there is.
                return Err(TabletError::NotServing { table: name.table });
            }
            tablet.stop_serving();
        }
        if let Err(error) = self.flush_tablet(&tablet, "unload") {
            let _no_commits = self.line(name.table).stop_commits();
            tablet.resume_serving();
            return Err(error);
        }
        self.tablets.remove(&tablet);
        Ok(())
    }

    /// Whether METADATA no longer has a tablet on which work has failed: the table was dropped meanwhile, and perhaps its
    /// directory with it.
    pub(super) fn is_dropped(&self, tablet: &Tablet, error: &TabletError) -> bool {
        // The root has no row there.
        let is_dropped = !tablet.is_root() && matches!(self.read_row(&tablet.name()), Ok(None));
        if is_dropped {
            tracing::debug!("{:?}: dropped meanwhile: {error}", tablet.name());
        }
        is_dropped
    }

    /// Whether a tablet was dropped while an edit of it was made: [`TabletServer::forget`] may then not have seen the files
    /// that the edit named, and whoever wrote them removes them.
    pub(super) fn was_forgotten(&self, tablet: &Tablet) -> bool {
        let is_gone = !tablet.is_serving() && !tablet.is_retired() && !tablet.is_root();
        is_gone && matches!(self.read_row(&tablet.name()), Ok(None))
    }

    /// Drops a tablet that METADATA no longer has, its rows and its files.
    pub(super) fn forget(&self, tablet: &Tablet) -> Result<(), TabletError> {
        {
            let _no_commits = self.line(tablet.table).stop_commits();
            if !tablet.is_serving() {
                // A flush or compaction that ended later than the drop has made it again.
                if self.tablets.get(tablet.table).is_none() {
                    self.files.remove_directory(tablet.table);
                }
                return Ok(());
            }
            tablet.stop_serving();
        }
        let Some(served) = self.served(&tablet.name()) else { return Ok(()) };
        self.tablets.remove(&served);
        let version = tablet.version();
        self.let_go(version.groups().iter().flat_map(|group| &group.sources.memtables));
        // Open handles go on reading.
        self.files.release(tablet.table, tablet.row().files());
        if self.tablets.get(tablet.table).is_none() {
            self.files.remove_directory(tablet.table);
            // Once for a table: every tablet there is is looked at.
            self.retire(self.line(tablet.table));
        }
        Ok(())
    }
}

/// Sorts the records that recovery found of a tablet into its locality groups, each from its redo point on.
fn part_memtable(
    recovered: &Memtable,
    row: &TabletRow,
    layout: &GroupLayout,
) -> Result<HashMap<LocalityGroupId, Arc<Memtable>>, TabletError> {
    let mut parted: HashMap<LocalityGroupId, Arc<Memtable>> = HashMap::new();
    let redo = |id| {
        let known = row.groups.iter().find(|group| group.group == id);
        known.map_or_else(Seq::default, |group| group.redo_point)
    };
    let mut cursor = recovered.cursor();
    cursor.seek(&[]);
    while let Some(key) = cursor.key() {
        let versions: Vec<_> = cursor.versions().collect();
        // They come newest first, and go in in commit order.
        for version in versions.into_iter().rev() {
            let change = RowChange::decode(&Bytes::copy_from_slice(version.mutation))
                .map_err(|error| TabletError::Internal(error.to_string()))?;
            for writes in entry_writes(layout, key, &change.maps) {
                if version.seq > redo(writes.group) {
                    let memtable = parted.entry(writes.group).or_default();
                    writes.insert_into(memtable, version.seq, version.commit_ts);
                }
            }
            for (id, part) in layout.parts(&change) {
                if version.seq > redo(id) {
                    let memtable = parted.entry(id).or_default();
                    memtable.insert(key, version.seq, version.commit_ts, &part.encoded());
                }
            }
        }
        cursor.next();
    }
    // A range tombstone belongs to every group (rule 9): what it deletes it deletes in all of them.
    for delete in recovered.range_deletes() {
        for id in layout.groups().iter().map(|group| group.id) {
            if delete.seq > redo(id) {
                let range = layout.range_in(id, &delete.range);
                let delete = RangeDelete { range, ..delete.clone() };
                parted.entry(id).or_default().delete_range(delete);
            }
        }
    }
    let requests = recovered.request_ids();
    parted.values().for_each(|memtable| memtable.remember_all(&requests));
    Ok(parted)
}
