//! Why a statement gave no answer.

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

/// Why a statement gave no answer.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The server refused it. The text is `ERROR 23505: message`, then DETAIL and HINT lines, so that a
    /// record's pattern can ask for any of them.
    #[error("{text}")]
    Server {
        /// SQLSTATE.
        code: String,
        /// All that is known, as described.
        text: String,
    },
    /// It took longer than a record may.
    #[error("no answer within {} s; cancelled", after.as_secs())]
    TimedOut {
        /// The limit.
        after: Duration,
    },
    /// The connection broke under it.
    #[error("connection lost: {reason}")]
    Lost {
        /// What the client library said.
        reason: String,
    },
    /// There is no server to talk to, and none came back.
    #[error("the server is gone: {reason}")]
    Gone {
        /// How it went.
        reason: String,
    },
    /// The server sent a message that this runner does not expect here, as COPY makes it do. The
    /// connection is given up, for the two are out of step.
    #[error("{message}")]
    Protocol {
        /// What the client library said.
        message: String,
    },
    /// The answer could not be understood.
    #[error("{message}")]
    Client {
        /// Why.
        message: String,
    },
}

impl SessionError {
    /// The SQLSTATE, if the server sent one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Server { code, .. } => Some(code),
            _ => None,
        }
    }

    /// Whether the connection is of no use after it although it may still be open: the server
    /// announced its end (FATAL, PANIC).
    pub(super) fn breaks_connection(&self) -> bool {
        match self {
            Self::Server { text, .. } => text.starts_with("FATAL") || text.starts_with("PANIC"),
            Self::Lost { .. } | Self::Gone { .. } | Self::Protocol { .. } => true,
            Self::TimedOut { .. } | Self::Client { .. } => false,
        }
    }

    /// The same, told as the loss of the connection it came with.
    pub(super) fn into_lost(self) -> Self {
        match self {
            Self::Lost { .. } | Self::Gone { .. } | Self::Protocol { .. } => self,
            // A bug the server admits to stays one: the report shows these apart.
            Self::Server { ref code, .. } if code.starts_with("XX") => self,
            other => Self::Lost { reason: other.to_string() },
        }
    }
}

impl From<tokio_postgres::Error> for SessionError {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(db) = error.as_db_error() {
            let code = db.code().code().to_owned();
            let mut text = format!("{} {code}: {}", db.severity(), db.message());
            for (name, value) in [("DETAIL", db.detail()), ("HINT", db.hint())] {
                if let Some(value) = value {
                    let _ = write!(text, "\n{name}: {value}");
                }
            }
            return Self::Server { code, text };
        }
        // The client library keeps the kind of an error to itself, except in its text.
        let text = error.to_string();
        let mut reason = text.clone();
        let mut source = error.source();
        while let Some(inner) = source {
            let _ = write!(reason, ": {inner}");
            source = inner.source();
        }
        if error.is_closed() || text == "error communicating with the server" {
            Self::Lost { reason }
        } else if text == "unexpected message from server" {
            Self::Protocol { message: reason }
        } else {
            Self::Client { message: reason }
        }
    }
}
