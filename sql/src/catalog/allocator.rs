//! New object and storage identifiers, in ranges taken from the table of counters: none is ever given
//! out twice, not even after kill -9.

use crate::catalog::counters::{Counters, Position};
use crate::catalog::oid::Oid;
use crate::error::{SqlError, SqlState};
use std::ops::Range;
use terrane_client::ids::StorageId;
use tokio::sync::Mutex;

/// The counters' own identifiers, below those of sequences.
const OID_COUNTER: StorageId = StorageId(1);
const STORAGE_COUNTER: StorageId = StorageId(2);

/// Identifiers taken at a time. A table with a key and a serial column needs eight or so.
const TAKEN_AT_A_TIME: i64 = 256;

/// Gives out identifiers.
pub(crate) struct Allocator {
    counters: Counters,
    oids: Mutex<Range<i64>>,
    storages: Mutex<Range<i64>>,
}

impl Allocator {
    pub fn new(counters: Counters) -> Self {
        Self { counters, oids: Mutex::new(0..0), storages: Mutex::new(0..0) }
    }

    /// A new object identifier.
    pub async fn oid(&self) -> Result<Oid, SqlError> {
        let first = i64::from(Oid::FIRST_USER.0);
        let next = self.next(&self.oids, OID_COUNTER, first).await?;
        u32::try_from(next).map(Oid).map_err(|_| {
            let message = "all object identifiers have been used";
            SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
        })
    }

    /// A new storage identifier.
    pub async fn storage(&self) -> Result<StorageId, SqlError> {
        let first = StorageId::FIRST_USER.0 as i64;
        let next = self.next(&self.storages, STORAGE_COUNTER, first).await?;
        Ok(StorageId(next.unsigned_abs()))
    }

    async fn next(
        &self,
        taken: &Mutex<Range<i64>>,
        counter: StorageId,
        first: i64,
    ) -> Result<i64, SqlError> {
        let mut taken = taken.lock().await;
        if let Some(next) = taken.next() {
            return Ok(next);
        }
        loop {
            let (position, version) = self.counters.read(counter).await?;
            let start = position.map_or(first, |position| position.last + 1);
            let end = start.saturating_add(TAKEN_AT_A_TIME);
            let position = Position { last: end - 1, called: true };
            if self.counters.write(counter, position, version).await? {
                *taken = start + 1..end;
                return Ok(start);
            }
        }
    }
}
