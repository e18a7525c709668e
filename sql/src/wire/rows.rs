//! Answers on their way out: rows streamed batch by batch, stopped by a limit, a cancel, or a client that
//! has gone.

use super::backend;
use super::connection::{Connection, Failure, drive};
use super::encode::RowEncoder;
use super::socket::FLUSH_BYTES;
use crate::error::SqlError;
use crate::session::cancel::{Cancel, CancelReason};
use crate::session::response::{CommandTag, CopyOutResponse, Response, RowsResponse};
use crate::session::service::Session;
use futures::StreamExt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::io::{AsyncRead, AsyncWrite};

/// How an answer ended.
pub(super) enum Done {
    /// EmptyQueryResponse.
    Empty,
    /// CommandComplete, with the number of rows sent.
    Complete(CommandTag, Option<u64>),
    /// PortalSuspended, with what is left.
    Suspended(Option<RowsResponse>),
}

impl Done {
    /// What is left of a suspended portal.
    pub(super) fn take_rest(&mut self) -> Option<RowsResponse> {
        match self {
            Self::Suspended(rest) => rest.take(),
            _ => None,
        }
    }

    /// Adds the message that says so.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Empty => backend::empty_query(out),
            Self::Complete(tag, sent) => backend::command_complete(tag, *sent, out),
            Self::Suspended(_) => backend::portal_suspended(out),
        }
    }
}

/// The future's answer, or the token's error if it is tripped first: the future is dropped then.
async fn unless_cancelled<T>(
    cancel: &Cancel,
    future: impl Future<Output = T>,
) -> Result<T, SqlError> {
    tokio::select! {
        biased;
        () = cancel.tripped() => Err(cancel.error()),
        output = future => Ok(output),
    }
}

impl<S, N> Connection<S, N>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    N: Session,
{
    /// Sends an answer, all but its last message. `limit` is `None` in a simple query, which is told the
    /// columns first; otherwise it is Execute's, 0 for none.
    pub(super) async fn answer(
        &mut self,
        response: Response,
        limit: Option<u32>,
        cancel: &Cancel,
    ) -> Result<Done, Failure> {
        let simple = limit.is_none();
        match response {
            Response::Empty => Ok(Done::Empty),
            Response::Complete(tag) => Ok(Done::Complete(tag, None)),
            Response::Packed(packed) => {
                let out = self.socket.output();
                if simple {
                    backend::row_description(&packed.columns, &packed.formats, out);
                }
                out.extend_from_slice(&packed.data);
                self.flush_full(cancel).await?;
                Ok(Done::Complete(packed.tag, Some(packed.rows)))
            }
            Response::Rows(rows) => {
                if simple {
                    let out = self.socket.output();
                    backend::row_description(&rows.columns, &rows.formats, out);
                }
                let limit = limit.filter(|l| *l > 0).map(u64::from);
                Ok(self.rows(rows, limit, cancel).await?)
            }
            Response::CopyIn(copy) => {
                let tag = self.copy_in(copy, cancel).await?;
                Ok(Done::Complete(tag, None))
            }
            Response::CopyOut(copy) => Ok(self.copy_out(copy, cancel).await?),
        }
    }

    /// Flushes if there is much; gives up waiting for a slow client when the statement is cancelled.
    async fn flush_full(&mut self, cancel: &Cancel) -> Result<(), SqlError> {
        if self.socket.unwritten() < FLUSH_BYTES {
            return Ok(());
        }
        let deadline = self.deadline();
        let timed_out = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = cancel.tripped() => {}
            flushed = self.socket.flush() => match flushed {
                Ok(()) => return Ok(()),
                Err(_) => cancel.trip(CancelReason::Disconnect),
            },
            () = timed_out => cancel.trip(CancelReason::StatementTimeout),
        }
        Err(cancel.error())
    }

    async fn rows(
        &mut self,
        mut rows: RowsResponse,
        limit: Option<u64>,
        cancel: &Cancel,
    ) -> Result<Done, SqlError> {
        let style = self.session.text_style();
        let encoder = RowEncoder::new(Arc::clone(&rows.columns), rows.formats.clone(), style);
        let mut sent: u64 = 0;
        loop {
            let deadline = self.deadline();
            let next = unless_cancelled(cancel, rows.next());
            let Some(batch) = drive(&mut self.socket, cancel, deadline, next).await? else {
                return Ok(Done::Complete(rows.tag, Some(sent)));
            };
            self.notices();
            let batch = batch?;
            let encoded = encoder.batch(&batch)?;
            for row in 0..encoded.rows() {
                encoded.write(row, self.socket.output())?;
                sent += 1;
                if limit == Some(sent) {
                    let left = batch.num_rows() - row - 1;
                    rows.pending = (left > 0).then(|| batch.slice(row + 1, left));
                    return Ok(Done::Suspended(Some(rows)));
                }
                self.flush_full(cancel).await?;
            }
        }
    }

    async fn copy_out(
        &mut self,
        mut copy: CopyOutResponse,
        cancel: &Cancel,
    ) -> Result<Done, SqlError> {
        backend::copy_out(copy.columns, copy.binary, self.socket.output());
        loop {
            let deadline = self.deadline();
            let next = unless_cancelled(cancel, copy.data.next());
            let Some(data) = drive(&mut self.socket, cancel, deadline, next).await? else {
                break;
            };
            self.notices();
            self.socket.output().extend_from_slice(&data?);
            self.flush_full(cancel).await?;
        }
        backend::copy_done(self.socket.output());
        let rows = copy.rows.load(Ordering::Acquire);
        Ok(Done::Complete(CommandTag::Count("COPY", rows), None))
    }
}
