//! Rows of the table of counters: read, and moved on by compare-and-set.
//!
//! A value is taken by writing that it is, durably, before it is handed out: it is never handed out
//! again, not even after kill -9 (rule 44). What is taken and not used is a gap.

use crate::catalog::requests::Requests;
use crate::catalog::system_tables::{SCHEMA_VERSION, counter_column, counter_key};
use crate::error::SqlError;
use crate::plan::errors::of_tablet;
use std::sync::Arc;
use terrane_client::cell;
use terrane_client::ids::{CommitTs, StorageId};
use terrane_client::program::{
    Action, Atomicity, Guard, ModifyRequest, Returning, RowError, RowProgram,
};
use terrane_client::read::GetRequest;
use terrane_client::row::CellsBuilder;
use terrane_client::service::TabletService;
use terrane_client::types::DataType;
use terrane_client::value::Value;

/// Where a counter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The last value taken, or the first to be taken where `called` is false.
    pub last: i64,
    /// False until the first value is taken.
    pub called: bool,
}

/// The table of counters.
#[derive(Clone)]
pub(crate) struct Counters {
    tablets: Arc<dyn TabletService>,
    requests: Arc<Requests>,
}

impl Counters {
    pub fn new(tablets: Arc<dyn TabletService>, requests: Arc<Requests>) -> Self {
        Self { tablets, requests }
    }

    /// A counter's position and the version of its row; `None` where it has none yet.
    pub async fn read(&self, id: StorageId) -> Result<(Option<Position>, CommitTs), SqlError> {
        let request = GetRequest {
            table: StorageId::SEQUENCES,
            schema_version: SCHEMA_VERSION,
            read_ts: None,
            keys: vec![key(id)?],
            columns: None,
            map_parts: Default::default(),
        };
        let response = self.tablets.get(request).await.map_err(of_tablet)?;
        let Some(row) = response.rows.into_iter().next().flatten() else {
            return Ok((None, CommitTs::ABSENT));
        };
        let read =
            |column, data_type| cell::decode_cell(row.cells.get(column), &data_type, &Value::Null);
        let last = read(counter_column::LAST, DataType::Int8);
        let called = read(counter_column::CALLED, DataType::Bool);
        match (last, called) {
            (Ok(Value::Int8(last)), Ok(Value::Bool(called))) => {
                Ok((Some(Position { last, called }), row.version))
            }
            _ => Err(super::rows::damaged(format!("counter {id} does not parse"))),
        }
    }

    /// Writes a counter, if its row is still of `version`. False where it is not.
    pub async fn write(
        &self,
        id: StorageId,
        position: Position,
        version: CommitTs,
    ) -> Result<bool, SqlError> {
        let program = write_program(id, position, Guard::Version(version))?;
        match self.modify(program).await? {
            Ok(()) => Ok(true),
            Err(RowError::VersionChanged { .. }) => Ok(false),
            Err(error) => Err(SqlError::internal(format!("counter {id}: {error}"))),
        }
    }

    /// Writes a counter whatever it was.
    pub async fn overwrite(&self, id: StorageId, position: Position) -> Result<(), SqlError> {
        let outcome = self.modify(write_program(id, position, Guard::Any)?).await?;
        outcome.map_err(|error| SqlError::internal(format!("counter {id}: {error}")))
    }

    async fn modify(&self, program: RowProgram) -> Result<Result<(), RowError>, SqlError> {
        let request = ModifyRequest {
            request: self.requests.next(),
            programs: Arc::new(vec![program]),
            atomicity: Atomicity::EachRow,
        };
        let response = self.tablets.modify_rows(request).await.map_err(of_tablet)?;
        let result = response.results.into_iter().next();
        let missing = || SqlError::internal("a modify of one row answered for none");
        Ok(result.ok_or_else(missing)?.map(|_| ()))
    }
}

fn key(id: StorageId) -> Result<bytes::Bytes, SqlError> {
    counter_key(id).map_err(|error| SqlError::internal(format!("counter key: {error}")))
}

fn write_program(id: StorageId, position: Position, guard: Guard) -> Result<RowProgram, SqlError> {
    let mut cells = CellsBuilder::default();
    cells.push(counter_column::LAST, Some(&position.last.to_le_bytes()));
    cells.push(counter_column::CALLED, Some(&[u8::from(position.called)]));
    Ok(RowProgram {
        table: StorageId::SEQUENCES,
        schema_version: SCHEMA_VERSION,
        key: key(id)?,
        guard,
        condition: None,
        action: Action::Put { cells: cells.finish() },
        returning: Returning::Nothing,
    })
}

/// Removes a counter: of a sequence that is gone.
pub(crate) fn delete_program(id: StorageId) -> Result<RowProgram, SqlError> {
    Ok(RowProgram {
        table: StorageId::SEQUENCES,
        schema_version: SCHEMA_VERSION,
        key: key(id)?,
        guard: Guard::Any,
        condition: None,
        action: Action::Delete,
        returning: Returning::Nothing,
    })
}
