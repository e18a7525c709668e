//! METADATA's rows as the master reads and writes them: it adds and removes whole rows. What happens to a
//! row in between is its owner's affair.

use futures::TryStreamExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use terrane_client::error::TabletError;
use terrane_client::ids::{RequestId, StorageId};
use terrane_client::metadata::{self, TabletRow, codec, root, tablet_rows};
use terrane_client::program::{Action, Atomicity, Guard, ModifyRequest, Returning, RowProgram};
use terrane_client::read::KeyRange;
use terrane_client::service::TabletService;

/// METADATA, through the same service as any table.
pub(super) struct MetadataTable {
    tablets: Arc<dyn TabletService>,
    schema_version: u32,
    /// Names this master's requests.
    client: u64,
    next_request: AtomicU64,
}

impl MetadataTable {
    /// `client` is a random number.
    pub(super) fn new(tablets: Arc<dyn TabletService>, client: u64) -> Self {
        let schema_version = metadata::schema().version;
        Self { tablets, schema_version, client, next_request: AtomicU64::new(1) }
    }

    /// Every tablet of every table but METADATA, whose tablets its server has from the start.
    pub(super) async fn all(&self) -> Result<Vec<TabletRow>, TabletError> {
        self.scan(KeyRange { start: root::end(), end: None }).await
    }

    /// A table's tablets, ascending.
    pub(super) async fn of_table(&self, table: StorageId) -> Result<Vec<TabletRow>, TabletError> {
        let start = table.0.checked_sub(1).map(StorageId).and_then(codec::table_end);
        let range = KeyRange { start: start.unwrap_or_default(), end: codec::table_end(table) };
        self.scan(range).await
    }

    async fn scan(&self, range: KeyRange) -> Result<Vec<TabletRow>, TabletError> {
        let mut batches = self.tablets.read(tablet_rows::request(range, None, 1024)).await?.batches;
        let mut rows = Vec::new();
        while let Some(batch) = batches.try_next().await? {
            tablet_rows::add_rows(&batch, &mut rows)?;
        }
        Ok(rows)
    }

    /// Adds new tablets: all or none, and only where there are none of these names.
    pub(super) async fn insert(&self, rows: &[TabletRow]) -> Result<(), TabletError> {
        let put = |row: &TabletRow| -> Result<RowProgram, TabletError> {
            self.program(row, Guard::Absent, Action::Put { cells: codec::row_cells(row)? })
        };
        self.modify(rows.iter().map(put).collect::<Result<_, _>>()?).await
    }

    /// Removes tablets, whatever their owner wrote since; those already gone are no error.
    pub(super) async fn remove(&self, rows: &[TabletRow]) -> Result<(), TabletError> {
        let delete = |row: &TabletRow| self.program(row, Guard::Any, Action::Delete);
        self.modify(rows.iter().map(delete).collect::<Result<_, _>>()?).await
    }

    fn program(
        &self,
        row: &TabletRow,
        guard: Guard,
        action: Action,
    ) -> Result<RowProgram, TabletError> {
        Ok(RowProgram {
            table: StorageId::METADATA,
            schema_version: self.schema_version,
            key: codec::row_key(row.table, row.end.as_deref())?,
            guard,
            condition: None,
            action,
            returning: Returning::Nothing,
        })
    }

    async fn modify(&self, programs: Vec<RowProgram>) -> Result<(), TabletError> {
        if programs.is_empty() {
            return Ok(());
        }
        let number = self.next_request.fetch_add(1, Ordering::Relaxed);
        let request = ModifyRequest {
            request: RequestId { client: self.client, number },
            programs: Arc::new(programs),
            atomicity: Atomicity::AllOrNone,
        };
        let response = self.tablets.modify_rows(request).await?;
        let failed = response.results.into_iter().find_map(Result::err);
        match failed {
            None => Ok(()),
            Some(error) => Err(TabletError::Row(error)),
        }
    }
}
