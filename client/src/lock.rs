//! The lock service's contract: Chubby's part. Embedded in one process, etcd in a cluster.
//!
//! A small, ordered key-value store, linearizable and durable before it answers, with one revision
//! counter: master election, tablet-server liveness, the root tablet's METADATA row, table schemas,
//! access control lists.

use async_trait::async_trait;
use bytes::Bytes;

use crate::ids::Generation;

/// A value and the revision of the transaction that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// The value.
    pub value: Bytes,
    /// Raised by every transaction that changes anything; never reused.
    pub revision: u64,
}

/// A condition of a transaction: the key was last written at this revision (0: it does not exist).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compare {
    /// The key.
    pub key: String,
    /// The revision it must have.
    pub revision: u64,
}

/// One change of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Writes a key.
    Put {
        /// The key.
        key: String,
        /// Its value.
        value: Bytes,
    },
    /// Removes a key, if it is there.
    Delete {
        /// The key.
        key: String,
    },
}

/// All changes are made, durably and at one revision, if all compares hold; none otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// Conditions.
    pub compares: Vec<Compare>,
    /// Changes.
    pub changes: Vec<Change>,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was done, at this revision.
    Committed(u64),
    /// A compare did not hold; nothing was done.
    Conflict,
}

/// A held lease: while it lives, its holder may act under `generation`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Whose.
    pub holder: String,
    /// Greater than that of any earlier lease of any holder.
    pub generation: Generation,
}

/// A lock-service error.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Out of reach, or stopped after a failed write.
    #[error("lock service unavailable: {0}")]
    Unavailable(String),
    /// No room for the transaction; nothing was done (53100).
    #[error("lock service: disk full: {0}")]
    DiskFull(String),
    /// The transaction may or may not have been done.
    #[error("lock service: outcome unknown: {0}")]
    OutcomeUnknown(String),
    /// Stored bytes are damaged.
    #[error("corruption in {file} at offset {offset}: {what}")]
    Corruption {
        /// The file.
        file: String,
        /// Where.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// Another holder has the lease.
    #[error("lease of {0} is held")]
    LeaseHeld(String),
}

/// The lock service.
#[async_trait]
pub trait LockService: Send + Sync {
    /// Reads a key.
    async fn get(&self, key: &str) -> Result<Option<Versioned>, LockError>;

    /// Reads every key that starts with `prefix`, ascending.
    async fn list(&self, prefix: &str) -> Result<Vec<(String, Versioned)>, LockError>;

    /// Runs a transaction.
    async fn commit(&self, transaction: Transaction) -> Result<Outcome, LockError>;

    /// Takes the lease of `holder` with a fresh generation. Embedded: ended by the process's end.
    async fn acquire_lease(&self, holder: &str) -> Result<Lease, LockError>;

    /// Gives a lease back.
    async fn release_lease(&self, lease: &Lease) -> Result<(), LockError>;
}
