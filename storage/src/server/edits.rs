//! Edits of METADATA rows: the only way a tablet's files and floor change (rule 18).
//!
//! An edit reads the row, changes it, raises its version, and writes it back on condition that nobody else
//! wrote it meanwhile. The root tablet's row is a lock-service value; those of METADATA's other tablets are in the root,
//! all others in METADATA's other tablets.
//!
//! After an edit whose outcome is not known this server makes no other edit of that tablet: the log or the
//! lock service has stopped, and only a restart tells what is durable.

use super::TabletServer;
use crate::tablet::Tablet;
use futures::executor::block_on;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use terrane_client::error::TabletError;
use terrane_client::ids::{CommitTs, RequestId, StorageId};
use terrane_client::lock::Outcome;
use terrane_client::map_column::MapParts;
use terrane_client::metadata::edit::Edit as RowEdit;
use terrane_client::metadata::{ROOT_KEY, TabletRow, codec, events};
use terrane_client::program::{Atomicity, ModifyRequest, RowOutcome};
use terrane_client::row::Row;
use terrane_client::service::TabletName;

/// How an edit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// It is durable.
    Done,
    /// The tablet is no longer in METADATA: its table was dropped.
    Dropped,
}

impl TabletServer {
    /// A tablet's METADATA row as it is now.
    pub(super) fn read_row(&self, name: &TabletName) -> Result<Option<TabletRow>, TabletError> {
        self.read_stored(name)?.map(|row| codec::tablet_row(&row)).transpose()
    }

    /// The same, as METADATA stores it, with its version.
    pub(super) fn read_stored(&self, name: &TabletName) -> Result<Option<Row>, TabletError> {
        let key = codec::row_key(name.table, name.end.as_deref())?;
        let table = self.tablets.table(StorageId::METADATA)?;
        let version = table.tablet_of(&key)?.version();
        let schemas = table.schemas();
        let maps = MapParts::default();
        version.get(&key, CommitTs::MAX.into(), &schemas.layout, &schemas.columns, &maps)
    }

    /// Makes an edit; false if the row is no longer the one the edit was made for. Durable when it
    /// returns.
    pub(super) async fn write_row(&self, edit: &RowEdit) -> Result<bool, TabletError> {
        // The condition makes a second run harmless, so it needs no request id.
        let request = ModifyRequest {
            request: RequestId::default(),
            programs: Arc::new(vec![edit.program()?]),
            atomicity: Atomicity::AllOrNone,
        };
        match self.modify_unthrottled(&request).await?.results.into_iter().next() {
            Some(Ok(RowOutcome::Applied { .. })) => Ok(true),
            Some(Ok(RowOutcome::Unmatched)) => Ok(false),
            Some(Err(error)) => Err(error.into()),
            None => Err(TabletError::Internal("a program without a result".to_owned())),
        }
    }

    /// Changes a tablet's METADATA row. The caller holds [`Tablet::edits`] and may be kept waiting for a
    /// sync: not for asynchronous callers.
    pub(super) fn edit(
        &self,
        tablet: &Tablet,
        change: impl Fn(&mut TabletRow),
    ) -> Result<Edit, TabletError> {
        self.check_edits(tablet)?;
        if tablet.is_retired() {
            return Err(TabletError::NotServing { table: tablet.table });
        }
        if tablet.merging().is_some() {
            return Err(TabletError::Unavailable("the tablet is being merged".to_owned()));
        }
        // Together with what happened to the tablet since its last edit.
        let events = tablet.unwritten();
        let change = |row: &mut TabletRow| {
            change(row);
            events::add(&mut row.events, events.iter().cloned());
        };
        let edited = match tablet.is_root() {
            true => self.edit_root(tablet, change),
            false => self.edit_row(tablet, change),
        };
        if matches!(edited, Err(TabletError::OutcomeUnknown(_))) {
            tablet.edits_stopped.store(true, Ordering::Release);
        }
        if matches!(edited, Ok(Edit::Done)) {
            tablet.set_written(&events);
        }
        edited
    }

    /// Writes what has happened to a tablet into its METADATA row. Where that cannot be done now, its next edit does it.
    pub(super) fn write_events(&self, tablet: &Tablet) {
        let _edits = tablet.edits.lock();
        if !tablet.is_retired()
            && let Err(error) = self.edit(tablet, |_| ())
        {
            tracing::debug!("{:?}: events are not written yet: {error}", tablet.name());
        }
    }

    /// After an edit whose outcome is not known there is no other.
    pub(super) fn check_edits(&self, tablet: &Tablet) -> Result<(), TabletError> {
        match tablet.edits_stopped.load(Ordering::Acquire) {
            false => Ok(()),
            true => Err(TabletError::Unavailable(
                "the outcome of this tablet's last METADATA edit is not known".to_owned(),
            )),
        }
    }

    fn edit_row(
        &self,
        tablet: &Tablet,
        change: impl Fn(&mut TabletRow),
    ) -> Result<Edit, TabletError> {
        let name = tablet.name();
        loop {
            let Some(before) = self.read_row(&name)? else { return Ok(Edit::Dropped) };
            self.check_owner(tablet, &before)?;
            if before.split.is_some() || before.merge.is_some() {
                let text = "the tablet is being split or merged".to_owned();
                return Err(TabletError::Unavailable(text));
            }
            let edit = RowEdit::new(&before, &change)?;
            // Lost only to a new owner, which the next look finds.
            if block_on(self.write_row(&edit))? {
                // Here a test waits; the edit cannot fail any more.
                let _ = self.failpoint("edit.written");
                tablet.set_row(edit.row);
                return Ok(Edit::Done);
            }
        }
    }

    fn check_owner(&self, tablet: &Tablet, row: &TabletRow) -> Result<(), TabletError> {
        let own = tablet.generation();
        if row.server != self.name || row.generation > own {
            let (table, found) = (tablet.table, row.generation);
            tracing::error!("tablet of {table} was taken over under {found:?}, ours was {own:?}");
            return Err(TabletError::NotServing { table });
        }
        Ok(())
    }

    fn edit_root(
        &self,
        tablet: &Tablet,
        change: impl Fn(&mut TabletRow),
    ) -> Result<Edit, TabletError> {
        let Some(stored) = block_on(self.lock.get(ROOT_KEY))? else { return Ok(Edit::Dropped) };
        let before = codec::parse_state(&stored.value)?;
        self.check_owner(tablet, &before)?;
        let edit = RowEdit::new(&before, &change)?;
        match block_on(self.lock.commit(edit.transaction(stored.revision)?))? {
            Outcome::Committed(_) => {
                tablet.set_row(edit.row);
                Ok(Edit::Done)
            }
            Outcome::Conflict => Err(TabletError::NotServing { table: tablet.table }),
        }
    }
}
