//! The connections of one server: who is there, and how to reach them from outside.
//!
//! The wire registers a connection when its startup packet is read and removes it when it ends. Cancel
//! requests, `pg_cancel_backend`, `pg_terminate_backend` and `pg_stat_activity` come here.

use super::cancel::{Cancel, CancelReason};
use super::response::TransactionStatus;
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// One connection, as others see it.
#[derive(Debug)]
pub struct Backend {
    /// The process id the client was told; pg_backend_pid().
    pub pid: i32,
    /// What a cancel request must show.
    secret: Vec<u8>,
    /// The user.
    pub user: String,
    /// The database.
    pub database: String,
    /// Where from; `None` in process.
    pub peer: Option<SocketAddr>,
    /// The running statement.
    statement: Mutex<Option<Cancel>>,
    /// What it does, or did last.
    activity: Mutex<Activity>,
    /// Ends the connection with 57P01.
    terminate: CancellationToken,
}

/// What pg_stat_activity shows of a connection.
#[derive(Clone, Debug, Default)]
pub struct Activity {
    /// The statement's beginning, at most [`QUERY_BYTES_MAX`].
    pub query: String,
    /// When it came: microseconds since 1970-01-01; `None` before the first.
    pub query_micros: Option<i64>,
    /// The block the connection is in, once it waits for its client.
    pub block: Option<TransactionStatus>,
}

/// PostgreSQL's default of track_activity_query_size.
const QUERY_BYTES_MAX: usize = 1024;

impl Backend {
    /// Notes what is run from now on.
    pub fn note(&self, query: &str, now_micros: i64) {
        let end = query.floor_char_boundary(QUERY_BYTES_MAX);
        let mut activity = self.activity.lock();
        activity.query.clear();
        activity.query.push_str(&query[..end]);
        activity.query_micros = Some(now_micros);
    }

    /// What it does, or did last.
    pub fn activity(&self) -> Activity {
        self.activity.lock().clone()
    }

    /// pg_stat_activity.state
    pub fn state(&self) -> &'static str {
        match self.activity.lock().block {
            _ if self.is_active() => "active",
            Some(TransactionStatus::InBlock) => "idle in transaction",
            Some(TransactionStatus::Failed) => "idle in transaction (aborted)",
            Some(TransactionStatus::Idle) | None => "idle",
        }
    }

    /// Ends the statement, in such a block.
    pub fn rest(&self, block: TransactionStatus) {
        self.activity.lock().block = Some(block);
        self.end();
    }

    /// Starts a statement: from now on a cancel request trips this token.
    pub fn begin(&self) -> Cancel {
        let cancel = Cancel::new();
        if self.terminate.is_cancelled() {
            cancel.trip(CancelReason::Terminate);
        }
        *self.statement.lock() = Some(cancel.clone());
        cancel
    }

    /// Ends the statement: a late cancel request does nothing.
    pub fn end(&self) {
        *self.statement.lock() = None;
    }

    /// True while a statement runs.
    pub fn is_active(&self) -> bool {
        self.statement.lock().is_some()
    }

    /// Ends the connection: the running statement is cancelled, and the client told 57P01.
    pub fn terminate(&self) {
        self.terminate.cancel();
        self.trip(CancelReason::Terminate);
    }

    /// Resolves once the connection is to end.
    pub async fn terminated(&self) {
        self.terminate.cancelled().await;
    }

    /// True once the connection is to end.
    pub fn is_terminated(&self) -> bool {
        self.terminate.is_cancelled()
    }

    fn trip(&self, reason: CancelReason) {
        if let Some(cancel) = self.statement.lock().as_ref() {
            cancel.trip(reason);
        }
    }
}

#[derive(Debug, Default)]
struct Registered {
    next_pid: i32,
    backends: HashMap<i32, Arc<Backend>>,
}

/// All connections of one server.
#[derive(Debug, Default)]
pub struct Backends {
    registered: Mutex<Registered>,
}

impl Backends {
    /// No connections.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a connection under a new process id, unless there are `max` already.
    pub fn register(
        &self,
        max: usize,
        secret: Vec<u8>,
        user: String,
        database: String,
        peer: Option<SocketAddr>,
    ) -> Option<Arc<Backend>> {
        let mut registered = self.registered.lock();
        if registered.backends.len() >= max {
            return None;
        }
        let pid = loop {
            registered.next_pid = registered.next_pid % i32::MAX + 1;
            if !registered.backends.contains_key(&registered.next_pid) {
                break registered.next_pid;
            }
        };
        let backend = Arc::new(Backend {
            pid,
            secret,
            user,
            database,
            peer,
            statement: Mutex::new(None),
            activity: Mutex::default(),
            terminate: CancellationToken::new(),
        });
        registered.backends.insert(pid, Arc::clone(&backend));
        Some(backend)
    }

    /// Removes a connection.
    pub fn remove(&self, pid: i32) {
        self.registered.lock().backends.remove(&pid);
    }

    /// The connection with this process id.
    pub fn get(&self, pid: i32) -> Option<Arc<Backend>> {
        self.registered.lock().backends.get(&pid).cloned()
    }

    /// All connections, by process id.
    pub fn list(&self) -> Vec<Arc<Backend>> {
        let mut all: Vec<_> = self.registered.lock().backends.values().cloned().collect();
        all.sort_by_key(|b| b.pid);
        all
    }

    /// `pg_cancel_backend`: false where there is no such process id.
    pub fn cancel(&self, pid: i32) -> bool {
        let Some(backend) = self.get(pid) else { return false };
        backend.trip(CancelReason::User);
        true
    }

    /// `pg_terminate_backend`: false where there is no such process id.
    pub fn terminate(&self, pid: i32) -> bool {
        let Some(backend) = self.get(pid) else { return false };
        backend.terminate();
        true
    }

    /// A cancel request from the network: does nothing unless the secret is right.
    pub fn cancel_request(&self, pid: i32, secret: &[u8]) {
        if let Some(backend) = self.get(pid)
            && constant_time_eq(&backend.secret, secret)
        {
            backend.trip(CancelReason::User);
        }
    }
}

/// Compares without telling by its duration how much was right.
fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |d, (x, y)| d | (x ^ y)) == 0
}
