//! What functions may do for their session, where the rest of the facts only tells.
//!
//! Functions run inside of plans and cannot reach the session itself. What they leave behind (the values
//! taken from sequences, settings to assign, warnings) is in [`SessionMemory`], which the session and its
//! functions share; the session takes settings over when a statement has ended.

use super::cancel::Cancel;
use super::server::SqlServer;
use super::settings::Settings;
use crate::catalog::oid::Oid;
use crate::error::{SqlError, SqlState};
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use tokio::runtime::{Handle, RuntimeFlavor};

/// A session's reach into its server, for one statement.
pub struct Services {
    /// Clock, random numbers, sequences, locks.
    pub server: Arc<SqlServer>,
    /// The session's number.
    pub session: u64,
    /// True in a READ ONLY transaction.
    pub read_only: bool,
    /// Ends whoever waits.
    pub cancel: Cancel,
    /// What outlives the statement.
    pub memory: Arc<SessionMemory>,
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("session", &self.session).finish_non_exhaustive()
    }
}

/// A setting that set_config() changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// Its name.
    pub name: String,
    /// Its value; `None` for its default.
    pub value: Option<String>,
    /// Until the end of the transaction only.
    pub local: bool,
}

impl Assigned {
    /// Makes the change.
    pub fn apply(&self, settings: &mut Settings) -> Result<(), SqlError> {
        match &self.value {
            Some(value) => settings.set(&self.name, value),
            None => settings.reset(&self.name),
        }
    }
}

/// The values a session took from sequences.
#[derive(Debug, Default)]
struct Taken {
    values: HashMap<Oid, i64>,
    last: Option<Oid>,
}

/// What functions leave behind for their session.
#[derive(Debug, Default)]
pub struct SessionMemory {
    taken: Mutex<Taken>,
    assigned: Mutex<Vec<Assigned>>,
    warnings: Mutex<Vec<SqlError>>,
    transaction: Mutex<Option<i64>>,
}

impl SessionMemory {
    /// nextval() gave this value.
    pub fn took(&self, sequence: Oid, value: i64) {
        let mut taken = self.taken.lock();
        taken.values.insert(sequence, value);
        taken.last = Some(sequence);
    }

    /// setval() says that this was the last value; lastval() goes on with the sequence it had.
    pub fn placed(&self, sequence: Oid, value: i64) {
        self.taken.lock().values.insert(sequence, value);
    }

    /// The last value taken from a sequence.
    pub fn current(&self, sequence: Oid) -> Option<i64> {
        self.taken.lock().values.get(&sequence).copied()
    }

    /// The sequence that a value was last taken from, and the value.
    pub fn last(&self) -> Option<(Oid, i64)> {
        let taken = self.taken.lock();
        let last = taken.last?;
        Some((last, taken.values.get(&last).copied()?))
    }

    /// DISCARD SEQUENCES.
    pub fn forget_sequences(&self) {
        *self.taken.lock() = Taken::default();
    }

    /// set_config().
    pub fn assign(&self, assigned: Assigned) {
        self.assigned.lock().push(assigned);
    }

    /// The settings with what this statement has assigned so far.
    pub fn settings(&self, settings: &Settings) -> Result<Settings, SqlError> {
        let mut settings = settings.clone();
        for assigned in self.assigned.lock().iter() {
            assigned.apply(&mut settings)?;
        }
        Ok(settings)
    }

    /// What was assigned; nothing is left.
    pub fn take_assigned(&self) -> Vec<Assigned> {
        std::mem::take(&mut *self.assigned.lock())
    }

    /// A WARNING for the client.
    pub fn warn(&self, state: SqlState, message: impl Into<String>) {
        self.warnings.lock().push(SqlError::new(state, message));
    }

    /// The warnings; none is left.
    pub fn take_warnings(&self) -> Vec<SqlError> {
        std::mem::take(&mut *self.warnings.lock())
    }

    /// The transaction's number, given on the first question.
    pub fn transaction(&self, next: impl FnOnce() -> i64) -> i64 {
        *self.transaction.lock().get_or_insert_with(next)
    }

    /// The transaction's number, if it has one.
    pub fn assigned_transaction(&self) -> Option<i64> {
        *self.transaction.lock()
    }

    /// The transaction has ended.
    pub fn end_transaction(&self) {
        *self.transaction.lock() = None;
    }
}

/// Runs a future to its end inside of a function that is not one.
///
/// The thread is lent to it: on a runtime of several threads the others go on with its tasks. On one of a
/// single thread only futures that need no other task come to an end.
pub fn wait<F: Future>(future: F) -> F::Output {
    match Handle::try_current() {
        Ok(handle) if handle.runtime_flavor() == RuntimeFlavor::MultiThread => {
            tokio::task::block_in_place(|| handle.block_on(future))
        }
        _ => futures::executor::block_on(future),
    }
}
