//! Reading back what survived.

use super::chain::{Chain, Cut, FoundSegment, FrameRef};
use super::error::LogError;
use super::format::{FRAME_HEADER_BYTES, FrameHeader, LogIdentity};
use super::record::{Decoder, Record};
use super::state::Shared;
use bytes::{Bytes, BytesMut};
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use terrane_client::ids::Seq;
use terrane_env::Env;

/// What opening the log found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayReport {
    /// Segment files that hold part of the log.
    pub segments: u64,
    /// Frames that survived.
    pub frames: u64,
    /// Bytes of frames that survived.
    pub bytes: u64,
    /// The largest seq in the log, or that was in it; the server's counter goes on above it.
    pub last_seq: Seq,
    /// What was left out beyond the log's end: never acknowledged, or a bit that turned in the very last
    /// frame.
    pub cut: Vec<Cut>,
}

/// The surviving records in commit order: whole commits only. An iterator that ends after its first
/// error. No segment is freed while it lives.
#[derive(Debug)]
pub struct Replay {
    env: Env,
    identity: LogIdentity,
    found: Vec<FoundSegment>,
    frames: Vec<FrameRef>,
    next: usize,
    skip_through: u64,
    /// The segment the last frame was read from, in whole.
    segment: Option<(usize, Bytes)>,
    run: Option<Run>,
    report: ReplayReport,
    /// The log that waits for the end of the replay; none where it is only looked at.
    shared: Option<Arc<Shared>>,
}

/// Commits that share frames, being decoded.
struct Run {
    decoder: Decoder,
    /// Where each piece of the body is from, for error messages.
    frames: Vec<FrameRef>,
    records_left: u64,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").field("frames", &self.frames.len()).finish_non_exhaustive()
    }
}

impl Replay {
    pub(super) fn new(
        env: Env,
        identity: LogIdentity,
        found: Vec<FoundSegment>,
        chain: Chain,
        shared: Option<Arc<Shared>>,
    ) -> Self {
        let headers = || chain.frames.iter().map(|frame| frame.of(&found).header);
        let last_seq = headers().map(|header| header.last_seq).max().unwrap_or(0);
        let segments: BTreeSet<usize> = chain.frames.iter().map(|frame| frame.segment()).collect();
        let report = ReplayReport {
            segments: segments.len() as u64,
            frames: chain.frames.len() as u64,
            bytes: headers().map(|header| header.stride() as u64).sum(),
            last_seq: Seq(last_seq.max(chain.low.last_seq)),
            cut: chain.cut,
        };
        Self {
            env,
            identity,
            found,
            frames: chain.frames,
            next: 0,
            skip_through: 0,
            segment: None,
            run: None,
            report,
            shared,
        }
    }

    /// What opening the log found.
    pub fn report(&self) -> &ReplayReport {
        &self.report
    }

    /// Leaves out commits all of whose records have a seq up to this, where that costs no reading:
    /// everything up to the smallest redo point. Records up to it may still come.
    pub fn skip_through(&mut self, seq: Seq) {
        self.skip_through = seq.0;
    }

    /// Reads the next commits; `None` at the log's end.
    fn load_run(&mut self) -> Result<Option<Run>, LogError> {
        loop {
            let start = self.next;
            let Some(first) = self.frames.get(start) else { return Ok(None) };
            let mark = first.of(&self.found).is_mark();
            let mut rest = self.frames[start..].iter();
            let closing = rest.position(|frame| !frame.of(&self.found).is_open());
            let end = start + 1 + closing.expect("the chain ends with a closed commit");
            let last_seq = self.frames[end - 1].of(&self.found).header.last_seq;
            self.next = end;
            if !mark && last_seq > self.skip_through {
                return self.read_run(start..end).map(Some);
            }
        }
    }

    fn read_run(&mut self, range: Range<usize>) -> Result<Run, LogError> {
        let frames = self.frames[range].to_vec();
        let records = |frame: &FrameRef| u64::from(frame.of(&self.found).header.records);
        let records_left = frames.iter().map(records).sum();
        let body = match frames.as_slice() {
            [frame] => self.body(*frame)?,
            several => {
                let mut whole = BytesMut::new();
                for frame in several {
                    whole.extend_from_slice(&self.body(*frame)?);
                }
                whole.freeze()
            }
        };
        Ok(Run { decoder: Decoder::new(body), frames, records_left })
    }

    /// Reads a frame's body, checking its crc again: it may have been hours since the scan.
    fn body(&mut self, frame: FrameRef) -> Result<Bytes, LogError> {
        let index = frame.segment();
        let found = &self.found[index];
        let frame = frame.of(&self.found);
        let bytes = match &self.segment {
            Some((held, bytes)) if *held == index => bytes.clone(),
            _ => {
                let bytes = Bytes::from(self.env.files.read(&found.path)?);
                self.segment = Some((index, bytes.clone()));
                bytes
            }
        };
        let start = usize::try_from(frame.offset).expect("it was read before");
        let id = found.id;
        let seed = id.seed(&self.identity.server);
        let again = bytes.get(start..).and_then(|rest| FrameHeader::decode(rest, id.number, seed));
        if again != Some(frame.header) {
            return Err(corruption(
                &found.path,
                frame.offset,
                "frame changed since it was scanned",
            ));
        }
        let start = start + FRAME_HEADER_BYTES;
        Ok(bytes.slice(start..start + frame.header.body_len as usize))
    }

    /// The error for bytes of a run that do not parse.
    fn malformed(&self, run: &Run, mut offset: usize, what: &str) -> LogError {
        for frame in &run.frames {
            let at = frame.of(&self.found);
            let len = at.header.body_len as usize;
            if offset < len {
                let file_offset = at.offset + (FRAME_HEADER_BYTES + offset) as u64;
                return corruption(&self.found[frame.segment()].path, file_offset, what);
            }
            offset -= len;
        }
        let last = run.frames.last().expect("a run has frames");
        corruption(&self.found[last.segment()].path, last.of(&self.found).offset, what)
    }

    fn next_record(&mut self) -> Result<Option<Record>, LogError> {
        loop {
            if let Some(mut run) = self.run.take() {
                match run.decoder.next() {
                    Some(Ok(record)) if run.records_left > 0 => {
                        run.records_left -= 1;
                        self.run = Some(run);
                        return Ok(Some(record));
                    }
                    Some(Err(error)) => return Err(self.malformed(&run, error.offset, error.what)),
                    None if run.records_left == 0 => {}
                    _ => return Err(self.malformed(&run, 0, "number of records does not match")),
                }
            }
            self.run = self.load_run()?;
            if self.run.is_none() {
                return Ok(None);
            }
        }
    }
}

fn corruption(file: &Path, offset: u64, what: &str) -> LogError {
    LogError::Corruption { file: PathBuf::from(file), offset, what: what.to_owned() }
}

impl Iterator for Replay {
    type Item = Result<Record, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        let result = self.next_record().transpose();
        if matches!(result, Some(Err(_))) {
            self.next = self.frames.len();
            self.run = None;
        }
        result
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        let Some(shared) = &self.shared else { return };
        shared.state.lock().replaying = false;
        shared.work.notify_one();
        shared.prepare.notify_one();
    }
}
