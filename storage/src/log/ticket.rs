//! Waiting until a commit is durable.

use super::error::LogError;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use terrane_client::ids::Seq;

/// How far the log is durable, and who waits for more.
#[derive(Debug, Default)]
pub(super) struct Durability {
    /// Every record with a seq up to this is durable. Never decreases.
    seq: AtomicU64,
    waiters: Mutex<Waiters>,
    /// Set once the log has stopped: what is not durable now will not be told to be.
    failure: OnceLock<LogError>,
}

#[derive(Debug, Default)]
struct Waiters {
    next_id: u64,
    by_seq: BTreeMap<(u64, u64), Waker>,
}

impl Durability {
    pub(super) fn new(seq: u64) -> Self {
        Self { seq: AtomicU64::new(seq), ..Self::default() }
    }

    pub(super) fn seq(&self) -> u64 {
        self.seq.load(Ordering::Acquire)
    }

    /// Raises the mark; the waiters sleep on until [`Durability::wake`].
    pub(super) fn advance(&self, seq: u64) {
        let before = self.seq.swap(seq, Ordering::AcqRel);
        assert!(before <= seq, "what is durable stays durable");
    }

    /// Wakes everyone at or below the mark.
    pub(super) fn wake(&self) {
        let durable = self.seq();
        let ready = {
            let mut waiters = self.waiters.lock();
            let later = match durable.checked_add(1) {
                Some(next) => waiters.by_seq.split_off(&(next, 0)),
                None => BTreeMap::new(),
            };
            std::mem::replace(&mut waiters.by_seq, later)
        };
        for waker in ready.into_values() {
            waker.wake();
        }
    }

    /// Ends all waiting, now and later, for what is not durable yet.
    pub(super) fn fail(&self, error: LogError) {
        // The first failure is the cause.
        let _ = self.failure.set(error);
        let waiting = std::mem::take(&mut self.waiters.lock().by_seq);
        for waker in waiting.into_values() {
            waker.wake();
        }
    }

    fn outcome(&self, seq: u64) -> Option<Result<(), LogError>> {
        if self.seq() >= seq {
            return Some(Ok(()));
        }
        self.failure.get().map(|error| Err(error.clone()))
    }
}

/// A promise that everything up to a seq becomes durable. A future; dropping it changes nothing but who
/// is told.
#[derive(Debug)]
#[must_use = "a commit is acknowledged only after its ticket is"]
pub struct Ticket {
    durability: Arc<Durability>,
    seq: u64,
    registered: Option<u64>,
}

impl Ticket {
    pub(super) fn new(durability: Arc<Durability>, seq: u64) -> Self {
        Self { durability, seq, registered: None }
    }

    /// The seq it waits for.
    pub fn seq(&self) -> Seq {
        Seq(self.seq)
    }

    /// True once everything up to the seq is durable.
    pub fn is_durable(&self) -> bool {
        self.durability.seq() >= self.seq
    }

    /// Blocks the calling thread until the outcome is known.
    pub fn wait(self) -> Result<(), LogError> {
        futures::executor::block_on(self)
    }

    fn forget(&mut self) {
        if let Some(id) = self.registered.take() {
            self.durability.waiters.lock().by_seq.remove(&(self.seq, id));
        }
    }
}

impl Future for Ticket {
    type Output = Result<(), LogError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some(outcome) = this.durability.outcome(this.seq) {
            this.forget();
            return Poll::Ready(outcome);
        }
        let mut waiters = this.durability.waiters.lock();
        // Looked at again under the lock: who advances the mark takes it afterwards.
        if let Some(outcome) = this.durability.outcome(this.seq) {
            drop(waiters);
            this.forget();
            return Poll::Ready(outcome);
        }
        let id = this.registered.unwrap_or_else(|| {
            waiters.next_id += 1;
            waiters.next_id
        });
        waiters.by_seq.insert((this.seq, id), context.waker().clone());
        this.registered = Some(id);
        Poll::Pending
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn tickets_wake_at_their_mark_and_not_before() {
        let durability = Arc::new(Durability::new(3));
        let ticket = |seq| Ticket::new(durability.clone(), seq);
        assert_eq!(ticket(3).now_or_never().map(|outcome| outcome.is_ok()), Some(true));
        let (mut four, mut five) = (ticket(4), ticket(5));
        assert!((&mut four).now_or_never().is_none());
        assert!((&mut five).now_or_never().is_none());
        assert_eq!(durability.waiters.lock().by_seq.len(), 2);
        durability.advance(4);
        durability.wake();
        assert_eq!(durability.waiters.lock().by_seq.len(), 1);
        assert!(four.is_durable() && !five.is_durable());
        assert!(four.now_or_never().is_some_and(|outcome| outcome.is_ok()));
        drop(five);
        assert!(durability.waiters.lock().by_seq.is_empty(), "a dropped ticket leaves no waiter");
    }

    #[test]
    fn a_failure_ends_waiting_but_not_what_is_durable() {
        let durability = Arc::new(Durability::new(3));
        let waiting = Ticket::new(durability.clone(), 4);
        durability.fail(LogError::OutcomeUnknown("disk gone".to_owned()));
        durability.fail(LogError::OutcomeUnknown("closed".to_owned()));
        assert_eq!(
            waiting.wait().unwrap_err().to_string(),
            "outcome of the commit unknown: disk gone"
        );
        assert!(Ticket::new(durability, 3).wait().is_ok());
    }
}
