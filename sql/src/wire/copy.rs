//! COPY … FROM STDIN: the client's data to the session.
//!
//! Data is a stream of bytes: a CopyData message is handed on as it comes in, however long it says it is, and
//! never collected.

use super::backend;
use super::connection::{Connection, Failure, Stop, drive};
use super::frontend::{HEADER_BYTES, Header, Message, frame_header};
use crate::error::{SqlError, SqlState};
use crate::session::cancel::Cancel;
use crate::session::response::{CommandTag, CopyInResponse};
use crate::session::service::Session;
use tokio::io::{AsyncRead, AsyncWrite};

/// The most that is handed to a session at once.
const CHUNK_BYTES_MAX: usize = 1024 * 1024;

impl<S, N> Connection<S, N>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    N: Session,
{
    /// Hands data on to CopyDone. Whatever goes wrong, the session has given up before the answer.
    pub(super) async fn copy_in(
        &mut self,
        copy: CopyInResponse,
        cancel: &Cancel,
    ) -> Result<CommandTag, Failure> {
        backend::copy_in(copy.columns, copy.binary, self.socket.output());
        let fed = match self.socket.flush().await {
            Ok(()) => self.feed(cancel).await,
            Err(_) => Err(Failure::Connection(Stop::Quietly)),
        };
        let deadline = self.deadline();
        let done = match fed {
            Ok(()) => {
                let done = self.session.copy_done(cancel);
                drive(&mut self.socket, cancel, deadline, done).await.map_err(Failure::Statement)
            }
            Err(failure) => Err(failure),
        };
        match done {
            Ok(tag) => Ok(tag),
            Err(Failure::Statement(mut error)) => {
                let aborted = self.session.copy_abort(&mut error);
                drive(&mut self.socket, cancel, None, aborted).await;
                Err(Failure::Statement(error))
            }
            Err(Failure::Connection(stop)) => {
                let mut error = match &stop {
                    Stop::Fatal(error) => error.clone(),
                    Stop::Quietly => SqlError::new(
                        SqlState::CONNECTION_FAILURE,
                        "unexpected EOF on client connection with an open transaction",
                    ),
                };
                let aborted = self.session.copy_abort(&mut error);
                drive(&mut self.socket, cancel, None, aborted).await;
                self.session.failed(&error);
                Err(Failure::Connection(stop))
            }
        }
    }

    async fn feed(&mut self, cancel: &Cancel) -> Result<(), Failure> {
        loop {
            cancel.check()?;
            let Some(Header { kind, body }) =
                frame_header(self.socket.input()).map_err(Stop::Fatal)?
            else {
                self.wait_copy(0, cancel).await?;
                continue;
            };
            if kind == b'd' {
                self.socket.skip(HEADER_BYTES);
                self.data(body, cancel).await?;
                continue;
            }
            let whole = HEADER_BYTES + body;
            if self.socket.input().len() < whole {
                self.wait_copy(whole - self.socket.input().len(), cancel).await?;
                continue;
            }
            self.socket.skip(HEADER_BYTES);
            match Message::parse(kind, self.socket.take(body))? {
                Message::CopyDone => return Ok(()),
                Message::CopyFail(reason) => {
                    return Err(Failure::Statement(SqlError::new(
                        SqlState::QUERY_CANCELED,
                        format!("COPY from stdin failed: {reason}"),
                    )));
                }
                // Clients may send these before they know that they are copying.
                Message::Flush | Message::Sync => {}
                Message::Terminate => return Err(Failure::Connection(Stop::Quietly)),
                _ => {
                    return Err(Failure::Statement(SqlError::new(
                        SqlState::PROTOCOL_VIOLATION,
                        format!("unexpected message type 0x{kind:02X} during COPY from stdin"),
                    )));
                }
            }
        }
    }

    /// One CopyData message's body, in pieces.
    async fn data(&mut self, mut left: usize, cancel: &Cancel) -> Result<(), Failure> {
        while left > 0 {
            let here = self.socket.input().len().min(left).min(CHUNK_BYTES_MAX);
            if here == 0 {
                if let Err(failure) = self.wait_copy(left, cancel).await {
                    return self.abandon(left, failure).await;
                }
                continue;
            }
            let chunk = self.socket.take(here);
            left -= here;
            let deadline = self.deadline();
            let written = self.session.copy_data(chunk, cancel);
            let written = drive(&mut self.socket, cancel, deadline, written).await;
            if let Err(error) = written {
                return self.abandon(left, error.into()).await;
            }
        }
        Ok(())
    }

    /// After an error in the middle of a message: the rest of it is dropped, so that the next frame is found.
    async fn abandon(&mut self, left: usize, failure: Failure) -> Result<(), Failure> {
        if matches!(failure, Failure::Statement(_)) {
            self.discard(left).await?;
        }
        Err(failure)
    }

    /// Waits for more data, or for the statement's end from outside.
    async fn wait_copy(&mut self, missing: usize, cancel: &Cancel) -> Result<(), Failure> {
        let deadline = self.deadline();
        let timed_out = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = cancel.tripped() => Err(cancel.error().into()),
            waited = self.wait(missing) => Ok(waited?),
            () = timed_out => {
                cancel.trip(crate::session::cancel::CancelReason::StatementTimeout);
                Err(cancel.error().into())
            }
        }
    }
}
