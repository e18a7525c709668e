//! Finds the undamaged frames of one segment, before and behind damage.

use super::format::{
    FRAME_ALIGN, FRAME_HEADER_BYTES, FRAME_MARK, FRAME_OPEN, FrameHeader, LowWater,
    SEGMENT_HEADER_BYTES, SEGMENT_NUMBER_AT, decode_mark,
};
use crate::checksum::Crc32c;

/// An undamaged frame and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameAt {
    /// Bytes from the segment's start.
    pub offset: u64,
    /// Its header.
    pub header: FrameHeader,
}

impl FrameAt {
    /// Where the next frame would stand.
    pub fn end(&self) -> u64 {
        self.offset + self.header.stride() as u64
    }

    /// True where the commit goes on in the next frame.
    pub fn is_open(&self) -> bool {
        self.header.flags & FRAME_OPEN != 0
    }

    /// True where it holds a low-water mark and no records.
    pub fn is_mark(&self) -> bool {
        self.header.flags & FRAME_MARK != 0
    }
}

/// The undamaged frames of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentFrames {
    /// By offset.
    pub frames: Vec<FrameAt>,
    /// The greatest low-water mark among them.
    pub low: LowWater,
    /// How many of them follow one another from the segment's start.
    pub prefix: usize,
    /// Where the first gap, or the end, is.
    pub stop: u64,
    /// What stands at `stop`, as far as it can be told.
    pub torn: bool,
}

/// Scans a whole segment, its header included. Damage ends the prefix; behind it every aligned offset is
/// tried, because only a frame behind a hole tells damage from the log's end.
pub fn scan_segment(bytes: &[u8], segment: u32, seed: Crc32c) -> SegmentFrames {
    let mut found = SegmentFrames { stop: SEGMENT_HEADER_BYTES as u64, ..Default::default() };
    let mut offset = SEGMENT_HEADER_BYTES;
    let mut in_prefix = true;
    while let Some(rest) = bytes.get(offset..)
        && rest.len() >= FRAME_HEADER_BYTES
    {
        match frame_at(rest, offset, segment, seed) {
            Some((frame, mark)) => {
                found.low = found.low.max(mark);
                offset = usize::try_from(frame.end()).expect("inside the segment or right behind");
                if in_prefix {
                    found.prefix += 1;
                    found.stop = frame.end();
                }
                found.frames.push(frame);
            }
            None => {
                if in_prefix {
                    in_prefix = false;
                    found.torn = looks_like_a_header(rest, segment);
                }
                offset += FRAME_ALIGN + to_candidate(&rest[FRAME_ALIGN..], segment);
            }
        }
    }
    found
}

fn frame_at(rest: &[u8], offset: usize, segment: u32, seed: Crc32c) -> Option<(FrameAt, LowWater)> {
    let header = FrameHeader::decode(rest, segment, seed)?;
    let mark = match header.flags & FRAME_MARK {
        0 => LowWater::default(),
        _ => decode_mark(&rest[FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + header.body_len as usize])?,
    };
    Some((FrameAt { offset: offset as u64, header }, mark))
}

/// Bytes to the next place that names the segment where a frame does: most of a recycled segment does not.
fn to_candidate(rest: &[u8], segment: u32) -> usize {
    let wanted = segment.to_le_bytes();
    let Some(names) = rest.get(SEGMENT_NUMBER_AT..) else { return rest.len() };
    let mut words = names.chunks_exact(FRAME_ALIGN);
    match words.position(|word| word[..4] == wanted) {
        Some(skipped) => skipped * FRAME_ALIGN,
        None => rest.len(),
    }
}

/// True where a frame of this segment was begun: stale bytes of a recycled file name another segment.
fn looks_like_a_header(rest: &[u8], segment: u32) -> bool {
    rest.get(SEGMENT_NUMBER_AT..SEGMENT_NUMBER_AT + 4) == Some(&segment.to_le_bytes()[..])
}
