//! The lock service in memory.

use crate::ids::Generation;
use crate::lock::{Change, Lease, LockError, LockService, Outcome, Transaction, Versioned};
use crate::metadata::{ROOT_KEY, TabletRow};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// A lock service that forgets everything at the process's end.
#[derive(Debug, Default)]
pub struct MemoryLocks {
    state: Mutex<LockState>,
}

#[derive(Debug, Default)]
struct LockState {
    revision: u64,
    values: BTreeMap<String, Versioned>,
    generation: u64,
    leases: BTreeMap<String, Generation>,
}

impl LockState {
    fn commit(&mut self, transaction: Transaction) -> Outcome {
        let holds = transaction.compares.iter().all(|compare| {
            self.values.get(&compare.key).map_or(0, |value| value.revision) == compare.revision
        });
        if !holds {
            return Outcome::Conflict;
        }
        self.revision += 1;
        for change in transaction.changes {
            match change {
                Change::Put { key, value } => {
                    self.values.insert(key, Versioned { value, revision: self.revision });
                }
                Change::Delete { key } => {
                    self.values.remove(&key);
                }
            }
        }
        Outcome::Committed(self.revision)
    }
}

impl MemoryLocks {
    /// Writes a key, whatever was there.
    pub(super) fn put(&self, key: String, value: Bytes) {
        let changes = vec![Change::Put { key, value }];
        self.state.lock().commit(Transaction { compares: Vec::new(), changes });
    }

    pub(super) fn delete(&self, key: String) {
        let changes = vec![Change::Delete { key }];
        self.state.lock().commit(Transaction { compares: Vec::new(), changes });
    }

    pub(super) fn put_root(&self, root: &TabletRow) {
        let json = serde_json::to_vec(root).expect("a tablet's row is plain data");
        self.put(ROOT_KEY.to_owned(), json.into());
    }
}

#[async_trait]
impl LockService for MemoryLocks {
    async fn get(&self, key: &str) -> Result<Option<Versioned>, LockError> {
        Ok(self.state.lock().values.get(key).cloned())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<(String, Versioned)>, LockError> {
        let state = self.state.lock();
        let from_prefix = state.values.range(prefix.to_owned()..);
        Ok(from_prefix
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }

    async fn commit(&self, transaction: Transaction) -> Result<Outcome, LockError> {
        Ok(self.state.lock().commit(transaction))
    }

    async fn acquire_lease(&self, holder: &str) -> Result<Lease, LockError> {
        let mut state = self.state.lock();
        if state.leases.contains_key(holder) {
            return Err(LockError::LeaseHeld(holder.to_owned()));
        }
        state.generation += 1;
        let generation = Generation(state.generation);
        state.leases.insert(holder.to_owned(), generation);
        Ok(Lease { holder: holder.to_owned(), generation })
    }

    async fn release_lease(&self, lease: &Lease) -> Result<(), LockError> {
        let mut state = self.state.lock();
        if state.leases.get(&lease.holder) == Some(&lease.generation) {
            state.leases.remove(&lease.holder);
        }
        Ok(())
    }
}
