//! A whole cluster in memory, as simply as can be said: tablet servers, master and lock service.
//!
//! It is the oracle the engine is compared with, and what code above [`TabletService`] can be tested on
//! without an engine. One map from (table, row key) to all versions of the row, under one mutex; every
//! version is kept for ever. Nothing is durable. It answers as the traits' contracts say, at history's
//! edge too, and is slow.
//!
//! Concurrency: every call is atomic, because it holds the mutex from start to end.

#[cfg(test)]
pub(crate) mod fixture;
mod locks;
mod master;
mod state;
mod tablets;

pub use locks::MemoryLocks;
pub use master::ModelMaster;
pub use tablets::ModelTablets;

use crate::error::TabletError;
use crate::ids::{Generation, StorageId};
use crate::metadata::{self, TabletRow};
use crate::service::TabletName;
use bytes::Bytes;
use parking_lot::Mutex;
use state::{State, Table};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// The server that a new model's tablets are on.
pub const FIRST_SERVER: &str = "model-1";

/// Microseconds since 1970-01-01 UTC.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The cluster.
#[derive(Clone)]
pub struct Model {
    state: Arc<Mutex<State>>,
    locks: Arc<MemoryLocks>,
}

impl Default for Model {
    /// A model whose clock is a counter: each look at it is a microsecond later.
    fn default() -> Self {
        let now = AtomicI64::new(1_700_000_000_000_000);
        Self::new(Arc::new(move || now.fetch_add(1, Ordering::Relaxed)))
    }
}

impl Model {
    /// A cluster with one server and METADATA, whose root tablet stands in the lock service. It is whole
    /// ([`metadata::root`]) until it is split.
    pub fn new(clock: Clock) -> Self {
        let schema = Arc::new(metadata::schema());
        let root = TabletRow::empty(&schema, Vec::new(), None, FIRST_SERVER, Generation(1));
        let locks = Arc::new(MemoryLocks::default());
        locks.put_root(&root);
        let mut state = State::new(clock);
        state.tables.insert(StorageId::METADATA, Table::new(schema, vec![root]));
        Self { state: Arc::new(Mutex::new(state)), locks }
    }

    /// The one server a new model has.
    pub fn tablets(&self) -> Arc<ModelTablets> {
        self.server(FIRST_SERVER)
    }

    /// A server, by its name. One without tablets answers NotServing.
    pub fn server(&self, name: &str) -> Arc<ModelTablets> {
        Arc::new(ModelTablets { state: self.state.clone(), name: name.to_owned() })
    }

    /// The master.
    pub fn master(&self) -> Arc<ModelMaster> {
        Arc::new(ModelMaster { state: self.state.clone(), locks: self.locks.clone() })
    }

    /// The lock service.
    pub fn locks(&self) -> Arc<MemoryLocks> {
        self.locks.clone()
    }

    /// Splits the tablet that holds `at` so that its right half starts there.
    pub fn split(&self, table: StorageId, at: Bytes) -> Result<(), TabletError> {
        let mut state = self.state.lock();
        state.split(table, &at)?;
        if let Some(root) = state.tables.get(&StorageId::METADATA).map(|table| &table.tablets[0]) {
            self.locks.put_root(root);
        }
        Ok(())
    }

    /// Moves a tablet to another server.
    pub fn move_tablet(&self, tablet: &TabletName, server: &str) -> Result<(), TabletError> {
        let mut state = self.state.lock();
        let moved = state.move_tablet(tablet, server)?;
        if tablet.table == StorageId::METADATA && moved.start.is_empty() {
            self.locks.put_root(&moved);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
