//! Request ids of the catalog's own writes (rule 5).

use std::sync::atomic::{AtomicU64, Ordering};
use terrane_client::ids::RequestId;
use terrane_env::Env;

/// Gives out request ids.
#[derive(Debug)]
pub(crate) struct Requests {
    client: u64,
    next: AtomicU64,
}

impl Requests {
    /// Starts counting under a client number drawn at random.
    pub fn new(env: &Env) -> Self {
        Self { client: env.random.next_u64(), next: AtomicU64::new(1) }
    }

    /// The next id.
    pub fn next(&self) -> RequestId {
        RequestId { client: self.client, number: self.next.fetch_add(1, Ordering::Relaxed) }
    }
}
