//! Groups: commits gathered for one write and one sync, laid out as frames.
//!
//! A commit is copied once, straight to where the disk will take it from: the frame headers are holes
//! until the group is placed in a segment. Small commits share a frame; one larger than a frame runs
//! over several, all but the last marked open, and shares none of them with other commits: so a run of
//! frames can be given up with its commit.

use super::format::{
    FRAME_ALIGN, FRAME_HEADER_BYTES, FRAME_MARK, FRAME_OPEN, FrameHeader, LowWater, encode_mark,
};
use super::record::{Encoder, RecordRef};
use crate::checksum::Crc32c;
use std::ops::Range;

/// A frame inside a group's bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameSpan {
    start: usize,
    body_len: usize,
    records: u32,
    flags: u32,
    last_seq: u64,
    /// It continues the commit of the frame before.
    continues: bool,
}

impl FrameSpan {
    /// The frame's bytes without its padding.
    fn bytes(&self) -> Range<usize> {
        self.start..self.start + FRAME_HEADER_BYTES + self.body_len
    }

    /// The frame's bytes with its padding.
    pub(super) fn padded(&self) -> Range<usize> {
        let bytes = self.bytes();
        bytes.start..bytes.end.next_multiple_of(FRAME_ALIGN)
    }

    /// True where the next frame starts a commit.
    pub(super) fn closes(&self) -> bool {
        self.flags & FRAME_OPEN == 0
    }
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Group {
    bytes: Vec<u8>,
    frames: Vec<FrameSpan>,
    /// Space reserved for what is in here.
    pub(super) reserved: u64,
    pub(super) commits: u64,
    pub(super) last_seq: u64,
}

/// Space to reserve for commits of so many bytes of records, wherever its frames come to lie.
pub(super) fn space_for(record_bytes: u64, frame_bytes: usize) -> u64 {
    let body = (frame_bytes - FRAME_HEADER_BYTES) as u64;
    let frames = record_bytes / body + 2;
    record_bytes + frames * (FRAME_HEADER_BYTES + FRAME_ALIGN) as u64
}

impl Group {
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn frames(&self) -> &[FrameSpan] {
        &self.frames
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Empties it for reuse; memory of unusual size is given back.
    pub(super) fn clear(&mut self, keep_bytes: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(keep_bytes);
        self.frames.clear();
        self.reserved = 0;
        self.commits = 0;
        self.last_seq = 0;
    }

    /// Adds a commit. `bound` is at least its encoded size.
    pub(super) fn push(&mut self, records: &[RecordRef<'_>], bound: usize, frame_bytes: usize) {
        let last_seq = records.last().map_or(self.last_seq, |record| record.seq.0);
        let body_max = frame_bytes - FRAME_HEADER_BYTES;
        let joins = self.frames.last().is_some_and(|frame| {
            frame.flags == 0 && !frame.continues && frame.body_len + bound <= body_max
        });
        if !joins {
            self.start_frame(0);
        }
        let mut encoder = Encoder::default();
        for record in records {
            encoder.encode(record, |piece| self.put(piece, body_max, last_seq));
        }
        let frame = self.frames.last_mut().expect("a frame was joined or started");
        frame.records += u32::try_from(records.len()).expect("a commit has fewer than 2^32 rows");
        frame.last_seq = last_seq;
        self.last_seq = last_seq;
        self.commits += 1;
    }

    /// Adds a low-water mark, in a frame of its own. `last_seq` is the log's.
    pub(super) fn push_mark(&mut self, last_seq: u64) {
        self.last_seq = self.last_seq.max(if self.is_empty() { last_seq } else { 0 });
        let last_seq = self.last_seq;
        self.start_frame(FRAME_MARK);
        let body = encode_mark(LowWater::default());
        self.bytes.extend_from_slice(&body);
        let frame = self.frames.last_mut().expect("just started");
        frame.body_len = body.len();
        frame.last_seq = last_seq;
    }

    /// Fills in the mark, once the frames of the group are placed.
    pub(super) fn set_mark(&mut self, low: LowWater) {
        let frame = self.frames.last().expect("the mark was pushed");
        assert!(frame.flags & FRAME_MARK != 0, "the mark is the group's last frame");
        let start = frame.start + FRAME_HEADER_BYTES;
        let body = encode_mark(low);
        self.bytes[start..start + body.len()].copy_from_slice(&body);
    }

    /// Adds the last frame's padding: nothing more will be pushed.
    pub(super) fn seal(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(FRAME_ALIGN), 0);
    }

    fn start_frame(&mut self, flags: u32) {
        self.seal();
        let start = self.bytes.len();
        self.bytes.resize(start + FRAME_HEADER_BYTES, 0);
        let last_seq = self.last_seq;
        let span = FrameSpan { start, body_len: 0, records: 0, flags, last_seq, continues: false };
        self.frames.push(span);
    }

    fn put(&mut self, mut piece: &[u8], body_max: usize, last_seq: u64) {
        while !piece.is_empty() {
            let frame = self.frames.last_mut().expect("a frame is open");
            let take = piece.len().min(body_max - frame.body_len);
            if take == 0 {
                frame.flags |= FRAME_OPEN;
                frame.last_seq = last_seq;
                self.start_frame(0);
                self.frames.last_mut().expect("just started").continues = true;
                continue;
            }
            self.bytes.extend_from_slice(&piece[..take]);
            frame.body_len += take;
            piece = &piece[take..];
        }
    }

    /// Fills in one frame's header.
    pub(super) fn encode_header(
        &mut self,
        frame: usize,
        lsn: u64,
        synced_lsn: u64,
        segment: u32,
        seed: Crc32c,
    ) {
        let span = self.frames[frame];
        let header = FrameHeader {
            body_len: u32::try_from(span.body_len).expect("a frame is at most 1 MiB"),
            lsn,
            synced_lsn,
            last_seq: span.last_seq,
            segment,
            records: span.records,
            flags: span.flags,
        };
        header.encode(&mut self.bytes[span.bytes()], seed);
    }
}
