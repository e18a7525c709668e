//! Sequences. The definition is here; the position is a row of the system table of counters, which
//! is not transactional.

use crate::catalog::model::Persistence;
use crate::catalog::oid::Oid;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use terrane_client::ids::{ColumnId, StorageId};
use terrane_client::types::DataType;

/// A sequence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sequence {
    /// Its identifier.
    pub oid: Oid,
    /// The schema it is in.
    pub schema: Oid,
    /// Its name.
    pub name: Arc<str>,
    /// The role that owns it.
    pub owner: Oid,
    /// Permanent, or of one session.
    pub persistence: Persistence,
    /// Its position's row among the counters. RESTART gives the sequence a new one, so that ROLLBACK
    /// forgets it, and nothing taken from the old one is given out again by mistake.
    pub counter: StorageId,
    /// smallint, integer or bigint.
    pub data_type: DataType,
    /// The first value.
    pub start: i64,
    /// What is added each time; never 0.
    pub increment: i64,
    /// The smallest value.
    pub min: i64,
    /// The largest value.
    pub max: i64,
    /// Starts again at the other end instead of failing.
    pub cycle: bool,
    /// Values a session takes at a time.
    pub cache: i64,
    /// The column it goes with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owned_by: Option<SequenceOwner>,
    /// COMMENT ON SEQUENCE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// The column a sequence belongs to: dropped with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceOwner {
    /// The table.
    pub table: Oid,
    /// The column.
    pub column: ColumnId,
    /// True for GENERATED … AS IDENTITY: the sequence is the column's inside, and cannot be dropped
    /// or given away by itself.
    pub identity: bool,
}
