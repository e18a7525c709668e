//! Tablets come and go.

use super::TabletServer;
use super::edits::Edit;
use crate::memtable::Memtable;
use crate::tablet::Tablet;
use crate::tablet::version::Version;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use terrane_client::blocking;
use terrane_client::error::TabletError;
use terrane_client::ids::{Generation, StorageId};
use terrane_client::metadata::TabletRow;
use terrane_client::metadata::edit::Edit as RowEdit;
use terrane_client::schema::TableSchema;
use terrane_client::service::TabletName;

impl TabletServer {
    pub(super) async fn load_tablet(
        &self,
        name: TabletName,
        generation: Generation,
        schema: Arc<TableSchema>,
    ) -> Result<(), TabletError> {
        self.check_open()?;
        if name.table == StorageId::METADATA {
            return Err(TabletError::Unsupported(
                "METADATA's tablet is loaded at start".to_owned(),
            ));
        }
        if schema.groups.len() != 1 {
            return Err(TabletError::Unsupported("more than one locality group".to_owned()));
        }
        if let Some(tablet) = self.served(&name) {
            return self.load_again(&tablet, generation, schema);
        }
        let not_serving = || TabletError::NotServing { table: name.table };
        let before = self.read_row(&name)?.ok_or_else(not_serving)?;
        if before.generation > generation {
            // A later owner has it.
            return Err(not_serving());
        }
        let edit = RowEdit::new(&before, |row| self.own(row, generation))?;
        if !self.write_row(&edit).await? {
            return Err(TabletError::Unavailable("the tablet changed hands meanwhile".to_owned()));
        }
        let row = edit.row;
        match self.serve(&name, row, schema) {
            Ok(()) => Ok(()),
            Err(error) => {
                // Whoever asks for its rows is told why they cannot be had.
                self.tablets.set_broken(name.table, error.clone());
                Err(error)
            }
        }
    }

    fn own(&self, row: &mut TabletRow, generation: Generation) {
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

    fn served(&self, name: &TabletName) -> Option<Arc<Tablet>> {
        let table = self.tablets.get(name.table)?;
        table.tablets().iter().find(|tablet| tablet.range.end == name.end).cloned()
    }

    /// Opens a tablet's files and serves it, with the rows that recovery found for it.
    fn serve(
        &self,
        name: &TabletName,
        row: TabletRow,
        schema: Arc<TableSchema>,
    ) -> Result<(), TabletError> {
        let runs = self.files.open_runs(&row)?;
        self.clock.observe(row.max_commit_ts.max(row.gc_floor));
        // Held across the hand-over: `retire` must see the memtable here or there.
        let mut recovered = self.recovered.lock();
        let memtable = match recovered.get(name) {
            Some(recovered) => recovered.memtable.clone(),
            None => Arc::new(Memtable::new()),
        };
        self.memtable_bytes.fetch_add(memtable.bytes(), Ordering::Relaxed);
        let version = Version::new(row.gc_floor, memtable, runs);
        self.tablets.add(Arc::new(Tablet::new(row, version)), schema);
        recovered.remove(name);
        Ok(())
    }

    /// Stops serving a tablet: after a flush, or, if METADATA no longer has it, for good.
    pub(super) fn unload_tablet(&self, name: &TabletName) -> Result<(), TabletError> {
        self.check_open()?;
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
        self.flush_tablet(&tablet)?;
        {
            let _no_commits = self.line(name.table).stop_commits();
            tablet.stop_serving();
        }
        if let Err(error) = self.flush_tablet(&tablet) {
            let _no_commits = self.line(name.table).stop_commits();
            tablet.resume_serving();
            return Err(error);
        }
        self.tablets.remove(&tablet);
        Ok(())
    }

    /// Drops a tablet that METADATA no longer has, its rows and its files.
    pub(super) fn forget(&self, tablet: &Tablet) -> Result<(), TabletError> {
        {
            let _no_commits = self.line(tablet.table).stop_commits();
            if !tablet.is_serving() {
                return Ok(());
            }
            tablet.stop_serving();
        }
        let Some(served) = self.served(&tablet.name()) else { return Ok(()) };
        self.tablets.remove(&served);
        let version = tablet.version();
        self.memtable_bytes.fetch_sub(version.memtable_bytes(), Ordering::Relaxed);
        // Open handles go on reading.
        let row = tablet.row();
        for run in row.groups.iter().flat_map(|group| &group.runs) {
            self.files.remove(tablet.table, &run.files);
        }
        if self.tablets.get(tablet.table).is_none() {
            self.files.remove_directory(tablet.table);
        }
        self.retire(self.line(tablet.table));
        Ok(())
    }
}
