//! A client's byte stream with a buffer on each side.
//!
//! Output is collected and written at once; while it is being written, or while a statement runs, input is
//! read into its buffer, up to a limit. That keeps a client that pipelines more than both kernels' buffers
//! hold from waiting for us while we wait for it, and shows when it has gone away.

use bytes::{Bytes, BytesMut};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::poll_read_buf;

/// Output is flushed when it is this long, whatever the protocol says.
pub const FLUSH_BYTES: usize = 64 * 1024;
/// What is read ahead while a statement runs.
const READ_AHEAD_BYTES_MAX: usize = 64 * 1024;
/// What is read ahead while the client does not read what we write.
const READ_WHILE_WRITING_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Room made for one read.
const READ_BYTES: usize = 8 * 1024;
/// The most room made at once for a long message: what the client has announced, not sent, is not believed.
const READ_BYTES_MAX: usize = 256 * 1024;
/// An idle connection gives back buffers larger than this.
const KEEP_BYTES: usize = 16 * 1024;

/// A byte stream with buffers.
pub struct Socket<S> {
    stream: S,
    input: BytesMut,
    output: Vec<u8>,
    written: usize,
    gone: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// Around a stream just opened.
    pub fn new(stream: S) -> Self {
        Self { stream, input: BytesMut::new(), output: Vec::new(), written: 0, gone: false }
    }

    /// What was read and not taken.
    pub fn input(&self) -> &[u8] {
        &self.input
    }

    /// Takes the first bytes of the input, which must be there.
    pub fn take(&mut self, count: usize) -> Bytes {
        self.input.split_to(count).freeze()
    }

    /// Drops the first bytes of the input, which must be there.
    pub fn skip(&mut self, count: usize) {
        drop(self.input.split_to(count));
    }

    /// What is to be written.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Bytes that wait to be written.
    pub fn unwritten(&self) -> usize {
        self.output.len() - self.written
    }

    /// True once the client has closed its side or the connection broke.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    fn poll_read(&mut self, context: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        self.input.reserve(room);
        let result = poll_read_buf(Pin::new(&mut self.stream), context, &mut self.input);
        if let Poll::Ready(Ok(0) | Err(_)) = result {
            self.gone = true;
        }
        result
    }

    /// Reads something; `missing` bytes complete what the caller waits for. False at the end of the stream.
    pub async fn fill(&mut self, missing: usize) -> io::Result<bool> {
        if self.gone {
            return Ok(false);
        }
        let room = missing.clamp(READ_BYTES, READ_BYTES_MAX);
        let count = poll_fn(|context| self.poll_read(context, room)).await?;
        Ok(count > 0)
    }

    /// Reads ahead as far as the limit allows and the client has sent.
    fn poll_ahead(&mut self, context: &mut Context<'_>, limit: usize) {
        while !self.gone && self.input.len() < limit {
            match self.poll_read(context, READ_BYTES) {
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) | Poll::Pending => return,
            }
        }
    }

    /// Waits for a future, reading ahead meanwhile; calls `on_gone` when the client goes away.
    pub async fn during<F: Future>(&mut self, future: F, on_gone: impl Fn()) -> F::Output {
        let mut future = pin!(future);
        let mut told = self.gone;
        poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(output);
            }
            self.poll_ahead(context, READ_AHEAD_BYTES_MAX);
            if self.gone && !told {
                told = true;
                on_gone();
                // What was just told may let the future end.
                return future.as_mut().poll(context);
            }
            Poll::Pending
        })
        .await
    }

    /// Writes all output. Can be given up at any await: what is written is counted.
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|context| {
            while self.written < self.output.len() {
                let rest = &self.output[self.written..];
                match Pin::new(&mut self.stream).poll_write(context, rest) {
                    Poll::Ready(Ok(0)) => {
                        self.gone = true;
                        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                    }
                    Poll::Ready(Ok(count)) => self.written += count,
                    Poll::Ready(Err(error)) => {
                        self.gone = true;
                        return Poll::Ready(Err(error));
                    }
                    Poll::Pending => {
                        self.poll_ahead(context, READ_WHILE_WRITING_BYTES_MAX);
                        return Poll::Pending;
                    }
                }
            }
            self.output.clear();
            self.written = 0;
            Pin::new(&mut self.stream).poll_flush(context)
        })
        .await
    }

    /// Gives back large buffers that are empty: thousands of idle connections should cost little.
    pub fn trim(&mut self) {
        if self.output.is_empty() && self.output.capacity() > KEEP_BYTES {
            self.output = Vec::new();
        }
        if self.input.is_empty() && self.input.capacity() > KEEP_BYTES {
            self.input = BytesMut::new();
        }
    }
}
