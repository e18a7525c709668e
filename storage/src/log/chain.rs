//! From the frames of all segments to the log: where it begins, what counts, where it ends (rule 15).
//!
//! - The log begins at the greatest low-water mark found.
//! - A frame does not count where a later segment's header voids it: that segment holds what was worth
//!   keeping of it.
//! - The union by lsn counts. Frames written twice, after a failed sync, have the same contents.
//! - Everything up to the greatest synced_lsn was durable: a lsn missing there is corruption.
//! - The first gap above is the end, and so is the start of a commit that was never closed.

use super::error::LogError;
use super::format::{LowWater, SEGMENT_HEADER_BYTES, SegmentHeader, SegmentId};
use super::scan::{FrameAt, SegmentFrames};
use std::path::PathBuf;

/// One segment file as it was found.
#[derive(Clone, Debug)]
pub struct FoundSegment {
    /// From its name.
    pub id: SegmentId,
    /// Its path.
    pub path: PathBuf,
    /// Its length in bytes.
    pub len: u64,
    /// It has a header of ours, if perhaps of the segment it was before: all its space is allocated.
    pub formatted: bool,
    /// Its header, unless that is not one of this segment.
    pub header: Option<SegmentHeader>,
    /// Its frames.
    pub scan: SegmentFrames,
}

/// Bytes that were not taken over, because the log had ended before them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The segment.
    pub file: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// What stands there.
    pub what: String,
}

/// Which frame of which segment, as indices into what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRef {
    segment: u32,
    frame: u32,
}

impl FrameRef {
    /// A frame by its indices.
    pub(super) fn new(segment: usize, frame: usize) -> Self {
        Self { segment: segment as u32, frame: frame as u32 }
    }

    /// The segment's index.
    pub fn segment(self) -> usize {
        self.segment as usize
    }

    /// The frame.
    pub fn of(self, segments: &[FoundSegment]) -> &FrameAt {
        &segments[self.segment as usize].scan.frames[self.frame as usize]
    }
}

/// The log, as far as it survived.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    /// In lsn order without gaps; the last one closes a commit.
    pub frames: Vec<FrameRef>,
    /// Where the log begins.
    pub low: LowWater,
    /// Every frame up to this lsn was durable.
    pub proven_lsn: u64,
    /// The last frame's lsn; one below the base lsn if there is none.
    pub end_lsn: u64,
    /// What was left out.
    pub cut: Vec<Cut>,
}

/// Every frame that counts, by lsn, each lsn once, and the lsn up to which all were durable.
struct Union {
    frames: Vec<(u64, FrameRef)>,
    proven_lsn: u64,
}

/// Finds the log in `segments`, which ascend by number.
pub fn chain(segments: &[FoundSegment]) -> Result<Chain, LogError> {
    let headers = segments.iter().filter_map(|segment| Some(segment.header.as_ref()?.low));
    let marks = segments.iter().map(|segment| segment.scan.low);
    let low = headers.chain(marks).max().unwrap_or_default();
    let base = low.base_lsn.max(1);
    let Union { frames: union, proven_lsn } = unite(segments, &low, base);
    let whole = (base..).zip(&union).take_while(|(expected, (lsn, _))| expected == lsn);
    let mut frames: Vec<FrameRef> = whole.map(|(_, (_, frame))| *frame).collect();
    let missing_lsn = base + frames.len() as u64;
    if missing_lsn <= proven_lsn {
        return Err(missing(segments, &low, frames.last().copied(), missing_lsn, proven_lsn));
    }
    let mut unclosed = None;
    while let Some(last) = frames.last().copied()
        && last.of(segments).is_open()
    {
        unclosed = frames.pop();
    }
    let end_lsn = base + frames.len() as u64 - 1;
    if let Some(first) = unclosed
        && end_lsn < proven_lsn
    {
        let frame = first.of(segments);
        return Err(LogError::Corruption {
            file: segments[first.segment()].path.clone(),
            offset: frame.offset,
            what: format!("the commit that starts with frame {} has no end", frame.header.lsn),
        });
    }
    check_headers(segments, &frames)?;
    let cut = cuts(segments, &low, &union[frames.len()..]);
    Ok(Chain { frames, low, proven_lsn, end_lsn, cut })
}

/// A segment has its header before it has frames. (A freed one may have another's, when its new name was
/// lost in a power cut; but its frames do not count any more.)
fn check_headers(segments: &[FoundSegment], frames: &[FrameRef]) -> Result<(), LogError> {
    let mut used = frames.iter().map(|frame| &segments[frame.segment()]);
    match used.find(|segment| segment.header.is_none()) {
        None => Ok(()),
        Some(segment) => Err(LogError::Corruption {
            file: segment.path.clone(),
            offset: 0,
            what: "damaged segment header before undamaged frames".to_owned(),
        }),
    }
}

fn unite(segments: &[FoundSegment], low: &LowWater, base: u64) -> Union {
    let mut frames: Vec<(u64, FrameRef)> = Vec::new();
    let mut proven_lsn = 0;
    let mut void_from = u64::MAX;
    // From the newest segment down, so that a header voids what is older than it.
    let needed = |segment: &FoundSegment| segment.id.number >= low.segment;
    for (index, segment) in segments.iter().enumerate().rev().filter(|(_, s)| needed(s)) {
        for (frame, at) in segment.scan.frames.iter().enumerate() {
            proven_lsn = proven_lsn.max(at.header.synced_lsn);
            if at.header.lsn < void_from && at.header.lsn >= base {
                frames.push((at.header.lsn, FrameRef::new(index, frame)));
            }
        }
        if let Some(header) = &segment.header {
            proven_lsn = proven_lsn.max(header.proven_lsn);
            if header.void_from > 0 {
                void_from = void_from.min(header.void_from);
            }
        }
    }
    // Stable: of frames written twice the newest segment's comes first, and stays.
    frames.sort_by_key(|(lsn, _)| *lsn);
    frames.dedup_by_key(|(lsn, _)| *lsn);
    Union { frames, proven_lsn }
}

/// Says where a frame that must be there is not.
fn missing(
    segments: &[FoundSegment],
    low: &LowWater,
    before: Option<FrameRef>,
    lsn: u64,
    proven_lsn: u64,
) -> LogError {
    let error = |file: PathBuf, offset: u64, what: &str| LogError::Corruption {
        file,
        offset,
        what: format!("{what}: frame {lsn} is missing, frames up to {proven_lsn} were durable"),
    };
    let (first, stop) = match before {
        Some(frame) => (frame.segment(), frame.of(segments).end()),
        None => {
            let first = segments.iter().position(|segment| segment.id.number >= low.segment);
            let first = first.expect("the segment that says where the log begins is part of it");
            (first, SEGMENT_HEADER_BYTES as u64)
        }
    };
    let here = &segments[first];
    let behind = |segment: &FoundSegment, offset: u64| {
        segment.scan.frames.iter().any(|frame| frame.offset >= offset && frame.header.lsn > lsn)
    };
    // A later frame behind a hole in the same segment.
    if here.scan.stop <= stop && behind(here, stop) {
        return error(here.path.clone(), stop, "damaged frame");
    }
    // A later segment that begins with a hole, or, before one that has later frames, a file that is gone.
    for pair in segments[first..].windows(2) {
        let (previous, next) = (&pair[0], &pair[1]);
        if next.scan.prefix == 0 && (next.scan.torn || behind(next, 0)) {
            return error(next.path.clone(), next.scan.stop, "damaged frame");
        }
        if behind(next, 0) {
            if next.id.number > previous.id.number + 1 {
                let id = SegmentId { number: previous.id.number + 1, epoch: next.id.epoch };
                let file = previous.path.with_file_name(id.to_string());
                return error(file, 0, "missing segment");
            }
            break;
        }
    }
    error(here.path.clone(), stop, "damaged frame")
}

/// Lists what looks like frames beyond the log's end.
fn cuts(segments: &[FoundSegment], low: &LowWater, beyond: &[(u64, FrameRef)]) -> Vec<Cut> {
    let mut cut: Vec<Cut> = beyond
        .iter()
        .map(|(lsn, frame)| Cut {
            file: segments[frame.segment()].path.clone(),
            offset: frame.of(segments).offset,
            what: format!("frame {lsn}, beyond the log's end"),
        })
        .collect();
    for segment in segments.iter().filter(|segment| segment.id.number >= low.segment) {
        if segment.scan.torn {
            cut.push(Cut {
                file: segment.path.clone(),
                offset: segment.scan.stop,
                what: "torn frame".to_owned(),
            });
        }
    }
    cut
}
