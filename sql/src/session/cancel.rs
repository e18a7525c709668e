//! Cancellation: one [`Cancel`] per statement, tripped once, with the reason it was tripped for.
//!
//! Ctrl-C, statement_timeout, a closed connection and a shutdown all end a statement the same way. The
//! wire never drops a session's future half way: a session watches the token in everything that can
//! take long, and answers [`Cancel::error`]. What must not be interrupted (a commit already sent) ignores it, and
//! what answers a statement that has committed is not cancelled any more ([`Cancel::settle`]).

use crate::error::{SqlError, SqlState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use tokio_util::sync::CancellationToken;

/// Why a statement was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CancelReason {
    /// A cancel request, or `pg_cancel_backend`.
    User = 1,
    /// statement_timeout.
    StatementTimeout = 2,
    /// The client is gone. Nobody reads the error.
    Disconnect = 3,
    /// The server stops, or `pg_terminate_backend`.
    Terminate = 4,
}

/// The token of one statement. Clones are the same token.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    token: CancellationToken,
    reason: Arc<AtomicU8>,
    settled: Arc<AtomicBool>,
}

impl Cancel {
    /// A token that nobody has tripped.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trips the token. The first reason stays.
    pub fn trip(&self, reason: CancelReason) {
        let _ = self.reason.compare_exchange(0, reason as u8, Ordering::AcqRel, Ordering::Acquire);
        self.token.cancel();
    }

    /// The statement is committed: whatever comes now, its client is told so.
    pub fn settle(&self) {
        self.settled.store(true, Ordering::Release);
    }

    fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    /// True once tripped, unless the statement was committed before.
    pub fn is_tripped(&self) -> bool {
        self.token.is_cancelled() && !self.is_settled()
    }

    /// Resolves once tripped.
    pub async fn tripped(&self) {
        self.token.cancelled().await;
        if self.is_settled() {
            std::future::pending::<()>().await;
        }
    }

    /// `Err` once tripped: for loops that compute.
    pub fn check(&self) -> Result<(), SqlError> {
        if self.is_tripped() { Err(self.error()) } else { Ok(()) }
    }

    /// The bare token, for layers below the session.
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// What the client is told.
    pub fn error(&self) -> SqlError {
        match self.reason.load(Ordering::Acquire) {
            x if x == CancelReason::StatementTimeout as u8 => SqlError::new(
                SqlState::QUERY_CANCELED,
                "canceling statement due to statement timeout",
            ),
            x if x == CancelReason::Disconnect as u8 => {
                SqlError::new(SqlState::CONNECTION_FAILURE, "connection to client lost")
            }
            x if x == CancelReason::Terminate as u8 => SqlError::new(
                SqlState::ADMIN_SHUTDOWN,
                "terminating connection due to administrator command",
            ),
            _ => SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request"),
        }
    }
}
