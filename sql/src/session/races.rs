//! Turns for statements that lost a row to another commit and run again.
//!
//! Beside each other they would lose again: of 64 clients that change one row at once, one wins. Who has the row's turn meets
//! only those that have not lost yet. A statement waits with no turn in hand, so none waits for another's for ever.

use super::cancel::Cancel;
use crate::error::SqlError;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;
use terrane_client::ids::StorageId;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Rows that share a turn by accident wait a little longer.
const TURNS: usize = 64;

/// The longest wait for a turn: who holds it may itself wait, for a lock of ours.
const PATIENCE: Duration = Duration::from_secs(2);

/// Which turn a row takes.
pub fn place_of(table: StorageId, key: &[u8]) -> usize {
    let mut hasher = DefaultHasher::new();
    (table, key).hash(&mut hasher);
    hasher.finish() as usize % TURNS
}

/// The turns of a frontend.
#[derive(Debug)]
pub struct Races(Vec<Arc<Mutex<()>>>);

/// A turn; dropping it ends it.
#[derive(Debug)]
pub struct Turn {
    place: usize,
    _held: OwnedMutexGuard<()>,
}

impl Default for Races {
    fn default() -> Self {
        Self((0..TURNS).map(|_| Arc::default()).collect())
    }
}

impl Races {
    /// Waits for the turn at `place`, giving up the one that was held, unless it is that; `None` where it did not
    /// come: a statement may run without.
    pub async fn next(
        &self,
        held: Option<Turn>,
        place: usize,
        cancel: &Cancel,
    ) -> Result<Option<Turn>, SqlError> {
        if held.as_ref().is_some_and(|turn| turn.place == place) {
            return Ok(held);
        }
        drop(held);
        let Some(turn) = self.0.get(place) else { return Ok(None) };
        tokio::select! {
            biased;
            () = cancel.tripped() => Err(cancel.error()),
            held = Arc::clone(turn).lock_owned() => Ok(Some(Turn { place, _held: held })),
            () = tokio::time::sleep(PATIENCE) => Ok(None),
        }
    }
}
