//! The names of things. Each is its own type, so that a table's OID is never passed as its storage id.

use serde::{Deserialize, Serialize};

/// One incarnation of a table's data. A table keeps its OID for life, but TRUNCATE, ADD PRIMARY KEY
/// and a rewriting ALTER TYPE give it a new storage (rule 34). Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StorageId(pub u64);

impl StorageId {
    /// METADATA: one row per tablet of every other table; its own row lives in the lock service.
    pub const METADATA: StorageId = StorageId(1);
    /// The catalog: one row per SQL object.
    pub const CATALOG: StorageId = StorageId(2);
    /// Counters and sequences: one row each.
    pub const SEQUENCES: StorageId = StorageId(3);
    /// The first id a user's table can get.
    pub const FIRST_USER: StorageId = StorageId(1000);
}

impl std::fmt::Display for StorageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A column of one table: PostgreSQL's attnum. Starts at 1, never reused, not even after DROP COLUMN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ColumnId(pub u32);

impl ColumnId {
    /// No column of a table: in what a row program writes, the timestamp of the client's for the cells of families that
    /// have such timestamps, a timestamptz.
    pub const STAMP: ColumnId = ColumnId(0);
}

/// A locality group of one table: the unit of storage. 0 is group `default`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct LocalityGroupId(pub u16);

/// When a commit happened: hybrid logical clock, microseconds since 1970-01-01 UTC, strictly
/// increasing on one server. All rows of one COMMIT on one server share it. Also the version of a row:
/// [`CommitTs::ABSENT`] is the version of a row that does not exist.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct CommitTs(pub i64);

impl CommitTs {
    /// The version of a row that does not exist, and a timestamp before every commit.
    pub const ABSENT: CommitTs = CommitTs(0);
    /// A timestamp after every commit.
    pub const MAX: CommitTs = CommitTs(i64::MAX);
}

/// A record's place in its server's commit order: counts records, never reused by that server.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct Seq(pub u64);

/// A server's or tablet's ownership epoch, given by the lock service, monotonic (rule 21).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct Generation(pub u64);

/// Names a modify so that a retry is answered, not repeated (rule 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RequestId {
    /// The frontend, chosen at random when it starts.
    pub client: u64,
    /// Counts that frontend's requests.
    pub number: u64,
}

impl RequestId {
    /// Whether it is one: requests that may be repeated have none.
    pub fn is_named(self) -> bool {
        self != Self::default()
    }
}
