//! Advisory locks: pg_advisory_lock() and its kin, of all sessions of one frontend.
//!
//! A lock is held as often as it was taken: by the session until it is given back or the session ends, by a
//! transaction until it ends. Who waits for somebody who waits for them gets 40P01 and does not wait.

use super::cancel::Cancel;
use crate::error::{SqlError, SqlState};
use hashbrown::{HashMap, HashSet};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// What is locked: PostgreSQL keeps the two forms apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// One bigint.
    Single(i64),
    /// Two integers.
    Pair(i32, i32),
}

/// How a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By one session only.
    Exclusive,
    /// By any number of sessions.
    Shared,
}

/// Until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Until it is given back, or the session ends.
    Session,
    /// Until the transaction ends.
    Transaction,
}

/// How often one session holds a lock, by scope.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    exclusive: [u32; 2],
    shared: [u32; 2],
}

impl Held {
    fn count(&mut self, mode: Mode, scope: Scope) -> &mut u32 {
        let counts = match mode {
            Mode::Exclusive => &mut self.exclusive,
            Mode::Shared => &mut self.shared,
        };
        &mut counts[scope as usize]
    }

    fn is_exclusive(&self) -> bool {
        self.exclusive != [0, 0]
    }

    fn is_nothing(&self) -> bool {
        self.exclusive == [0, 0] && self.shared == [0, 0]
    }
}

#[derive(Debug, Default)]
struct State {
    /// Sessions that hold a lock.
    locks: HashMap<Key, HashMap<u64, Held>>,
    /// What each waiting session waits for.
    waiting: HashMap<u64, (Key, Mode)>,
}

impl State {
    /// Other sessions that keep `session` from a lock.
    fn in_the_way(&self, session: u64, key: Key, mode: Mode) -> Vec<u64> {
        let Some(holders) = self.locks.get(&key) else { return Vec::new() };
        let conflicts = |held: &Held| mode == Mode::Exclusive || held.is_exclusive();
        let others = holders.iter().filter(|(holder, held)| **holder != session && conflicts(held));
        others.map(|(holder, _)| *holder).collect()
    }

    fn take(&mut self, session: u64, key: Key, mode: Mode, scope: Scope) -> bool {
        if !self.in_the_way(session, key, mode).is_empty() {
            return false;
        }
        let held = self.locks.entry(key).or_default().entry(session).or_default();
        *held.count(mode, scope) += 1;
        true
    }

    /// True where waiting would never end: somebody in the way waits, directly or not, for `session`.
    fn would_deadlock(&self, session: u64, key: Key, mode: Mode) -> bool {
        let mut seen = HashSet::new();
        let mut next = self.in_the_way(session, key, mode);
        while let Some(holder) = next.pop() {
            if holder == session {
                return true;
            }
            if seen.insert(holder)
                && let Some((key, mode)) = self.waiting.get(&holder)
            {
                next.extend(self.in_the_way(holder, *key, *mode));
            }
        }
        false
    }

    fn release(&mut self, session: u64, scopes: &[Scope]) {
        self.locks.retain(|_, holders| {
            if let Some(held) = holders.get_mut(&session) {
                for scope in scopes {
                    *held.count(Mode::Exclusive, *scope) = 0;
                    *held.count(Mode::Shared, *scope) = 0;
                }
            }
            holders.retain(|_, held| !held.is_nothing());
            !holders.is_empty()
        });
    }
}

/// All advisory locks of a frontend.
#[derive(Debug, Default)]
pub struct AdvisoryLocks {
    state: Mutex<State>,
    released: Notify,
}

/// Takes a session off the waiting ones, however its waiting ends.
struct Waiting<'a>(&'a AdvisoryLocks, u64);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state.lock().waiting.remove(&self.1);
    }
}

impl AdvisoryLocks {
    /// Takes a lock if nobody is in the way.
    pub fn try_lock(&self, session: u64, key: Key, mode: Mode, scope: Scope) -> bool {
        self.state.lock().take(session, key, mode, scope)
    }

    /// Waits for a lock and takes it.
    pub async fn lock(
        &self,
        session: u64,
        key: Key,
        mode: Mode,
        scope: Scope,
        cancel: &Cancel,
    ) -> Result<(), SqlError> {
        let mut waiting = None;
        loop {
            let released = self.released.notified();
            tokio::pin!(released);
            // From here on no release is missed.
            released.as_mut().enable();
            {
                let mut state = self.state.lock();
                if state.take(session, key, mode, scope) {
                    state.waiting.remove(&session);
                    return Ok(());
                }
                if state.would_deadlock(session, key, mode) {
                    return Err(SqlError::new(SqlState::DEADLOCK_DETECTED, "deadlock detected"));
                }
                state.waiting.insert(session, (key, mode));
            }
            waiting.get_or_insert_with(|| Waiting(self, session));
            tokio::select! {
                () = &mut released => {}
                () = cancel.tripped() => return Err(cancel.error()),
            }
        }
    }

    /// Gives a session's lock back once; false where it was not held so.
    pub fn unlock(&self, session: u64, key: Key, mode: Mode) -> bool {
        let mut state = self.state.lock();
        let Some(holders) = state.locks.get_mut(&key) else { return false };
        let Some(held) = holders.get_mut(&session) else { return false };
        let count = held.count(mode, Scope::Session);
        if *count == 0 {
            return false;
        }
        *count -= 1;
        if held.is_nothing() {
            holders.remove(&session);
        }
        if holders.is_empty() {
            state.locks.remove(&key);
        }
        drop(state);
        self.released.notify_waiters();
        true
    }

    /// Gives back what a session took for itself.
    pub fn unlock_all(&self, session: u64) {
        self.state.lock().release(session, &[Scope::Session]);
        self.released.notify_waiters();
    }

    /// A session's transaction has ended.
    pub fn end_transaction(&self, session: u64) {
        self.state.lock().release(session, &[Scope::Transaction]);
        self.released.notify_waiters();
    }

    /// A session has ended.
    pub fn end_session(&self, session: u64) {
        self.state.lock().release(session, &[Scope::Session, Scope::Transaction]);
        self.released.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const KEY: Key = Key::Single(1);
    const OTHER: Key = Key::Pair(0, 1);

    #[test]
    fn held_as_often_as_taken() {
        let locks = AdvisoryLocks::default();
        assert!(locks.try_lock(1, KEY, Mode::Exclusive, Scope::Session));
        assert!(locks.try_lock(1, KEY, Mode::Exclusive, Scope::Session));
        assert!(!locks.try_lock(2, KEY, Mode::Shared, Scope::Session));
        assert!(locks.try_lock(2, OTHER, Mode::Exclusive, Scope::Session), "another key");
        assert!(locks.unlock(1, KEY, Mode::Exclusive));
        assert!(!locks.try_lock(2, KEY, Mode::Exclusive, Scope::Session));
        assert!(locks.unlock(1, KEY, Mode::Exclusive));
        assert!(!locks.unlock(1, KEY, Mode::Exclusive), "nothing is left to give back");
        assert!(locks.try_lock(2, KEY, Mode::Exclusive, Scope::Session));
    }

    #[test]
    fn a_transaction_gives_back_its_own_only() {
        let locks = AdvisoryLocks::default();
        assert!(locks.try_lock(1, KEY, Mode::Shared, Scope::Transaction));
        assert!(locks.try_lock(1, OTHER, Mode::Shared, Scope::Session));
        assert!(locks.try_lock(2, KEY, Mode::Shared, Scope::Session));
        assert!(!locks.unlock(1, KEY, Mode::Shared), "it is the transaction's");
        locks.end_transaction(1);
        assert!(!locks.try_lock(3, KEY, Mode::Exclusive, Scope::Session), "2 still has it");
        locks.end_session(2);
        assert!(locks.try_lock(3, KEY, Mode::Exclusive, Scope::Session));
        assert!(!locks.try_lock(3, OTHER, Mode::Exclusive, Scope::Session), "1 still has it");
    }

    #[tokio::test]
    async fn waits_for_a_release() {
        let locks = Arc::new(AdvisoryLocks::default());
        assert!(locks.try_lock(1, KEY, Mode::Exclusive, Scope::Transaction));
        let waiter = Arc::clone(&locks);
        let waiting = tokio::spawn(async move {
            waiter.lock(2, KEY, Mode::Exclusive, Scope::Session, &Cancel::new()).await
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        locks.end_transaction(1);
        waiting.await.unwrap().unwrap();
        assert!(!locks.try_lock(1, KEY, Mode::Shared, Scope::Session));
    }

    #[tokio::test]
    async fn a_circle_of_waiters_is_refused() {
        let locks = Arc::new(AdvisoryLocks::default());
        assert!(locks.try_lock(1, KEY, Mode::Exclusive, Scope::Session));
        assert!(locks.try_lock(2, OTHER, Mode::Exclusive, Scope::Session));
        let waiter = Arc::clone(&locks);
        let waiting = tokio::spawn(async move {
            waiter.lock(1, OTHER, Mode::Exclusive, Scope::Session, &Cancel::new()).await
        });
        tokio::task::yield_now().await;
        let refused = locks.lock(2, KEY, Mode::Exclusive, Scope::Session, &Cancel::new()).await;
        assert_eq!(refused.unwrap_err().state, SqlState::DEADLOCK_DETECTED);
        locks.end_session(2);
        waiting.await.unwrap().unwrap();
    }
}
