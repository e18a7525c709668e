//! What the threads of a log share, and the arithmetic of its space.
//!
//! Space. Let `usable` of a prepared segment be what is left of it less one frame: wherever its frames
//! end, no more than that is wasted before the next segment is taken. Then
//!
//! ```text
//! sum of usable >= reserved + slack for marks
//! ```
//!
//! holds from reserve to placement: placing a frame of f bytes lowers the sum by at most f. So an append with
//! a reservation never meets a full disk. Only a failed segment takes away space that was promised; then
//! the sync thread makes a new one itself.

use super::error::LogError;
use super::format::{LogIdentity, LowWater, MARK_FRAME_BYTES, SEGMENT_HEADER_BYTES, SegmentId};
use super::group::Group;
use super::options::LogOptions;
use super::segment::{SegmentFile, SpareFile};
use super::ticket::Durability;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use terrane_client::ids::Seq;
use terrane_env::{Env, IoError};

/// Space kept free for low-water marks: what frees segments must not need a free segment.
pub(super) const MARK_SLACK_BYTES: u64 = 64 * MARK_FRAME_BYTES as u64;

/// A segment that is part of the log.
#[derive(Clone, Debug)]
pub(super) struct LogSegment {
    pub(super) id: SegmentId,
    pub(super) path: PathBuf,
    pub(super) len: u64,
    /// No record in it, nor in a commit that begins in it, has a greater seq.
    pub(super) last_seq: u64,
    /// Lsn of its first frame that starts a commit.
    pub(super) base_lsn: Option<u64>,
    /// A write or sync of it failed: its file is never written again.
    pub(super) poisoned: bool,
}

impl LogSegment {
    pub(super) fn new(id: SegmentId, path: PathBuf, len: u64) -> Self {
        Self { id, path, len, last_seq: 0, base_lsn: None, poisoned: false }
    }

    /// A prepared file that is given up.
    pub(super) fn of_file(file: &SegmentFile) -> Self {
        Self::new(file.id, file.path.clone(), file.len)
    }

    /// A spare file that is given up.
    pub(super) fn unused(spare: SpareFile) -> Self {
        Self::new(SegmentId { number: 0, epoch: 0 }, spare.path, spare.len)
    }
}

/// Frames of a group that lie together in one segment.
#[derive(Clone, Debug)]
pub(super) struct Placement {
    pub(super) segment: Arc<SegmentFile>,
    pub(super) offset: u64,
    pub(super) frames: Range<usize>,
    pub(super) bytes: Range<usize>,
}

/// Counts, since the log was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Commits appended.
    pub commits: u64,
    /// Groups made durable: one write, one sync.
    pub groups: u64,
    /// Frames made durable.
    pub frames: u64,
    /// Bytes of frames made durable, headers included.
    pub bytes_written: u64,
    /// Groups written again to a new segment after a failed write or sync.
    pub resent: u64,
    /// Segments taken into use.
    pub segments_started: u64,
    /// Of these, files used before.
    pub segments_recycled: u64,
    /// Segments that are part of the log now.
    pub segments: u64,
    /// Their size in bytes.
    pub segment_bytes: u64,
    /// Space promised to commits that are not placed yet, in bytes.
    pub reserved_bytes: u64,
    /// Largest seq appended.
    pub last_seq: Seq,
    /// Largest seq that is durable.
    pub durable_seq: Seq,
    /// The oldest segment can be freed once everything up to this seq is in published runs; `None` while
    /// it is the one being written.
    pub oldest_segment_last_seq: Option<Seq>,
}

#[derive(Debug)]
pub(super) struct State {
    /// Groups to be written, oldest first; the last one grows.
    pub(super) queue: VecDeque<Group>,
    /// Emptied groups, for their memory.
    pub(super) free_groups: Vec<Group>,
    pub(super) last_seq: u64,
    pub(super) reserved: u64,
    /// Lsn of the first frame of the next group; the group being written keeps it until it is durable.
    pub(super) next_lsn: u64,
    /// The segment being written, and where its next frame goes.
    pub(super) active: Arc<SegmentFile>,
    pub(super) position: u64,
    /// Prepared segments, ascending by number.
    pub(super) ready: VecDeque<Arc<SegmentFile>>,
    /// Segments of the log, oldest first, the active one last.
    pub(super) segments: VecDeque<LogSegment>,
    pub(super) spares: Vec<SpareFile>,
    /// How many of them are kept; none where what they hold has to go.
    pub(super) spares_max: usize,
    /// Files of segments below the low-water mark, not yet removed or kept.
    pub(super) freed: Vec<LogSegment>,
    /// How many spare files are being made segments.
    pub(super) recycling: usize,
    /// Some that were in `freed` are being removed or kept.
    pub(super) is_freeing: bool,
    /// Files that could not be removed.
    pub(super) unremoved: Vec<PathBuf>,
    pub(super) low: LowWater,
    /// Segments below this number are to be freed by the next mark.
    pub(super) free_below: u32,
    pub(super) next_segment: u32,
    /// Size of the next segment made of zeros.
    pub(super) next_bytes: u64,
    /// The sum of usable space that someone waits for; 0: no one.
    pub(super) wanted: u64,
    /// Counts failed preparations, so that who waits sees its own.
    pub(super) prepare_failures: u64,
    pub(super) prepare_error: Option<IoError>,
    /// A replay still reads the segments: none may be freed.
    pub(super) replaying: bool,
    pub(super) stopping: bool,
    /// Why the log takes no more commits.
    pub(super) stopped: Option<LogError>,
    pub(super) stats: LogStats,
}

/// What the log's handles and threads share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) env: Env,
    pub(super) directory: PathBuf,
    pub(super) identity: LogIdentity,
    pub(super) options: LogOptions,
    pub(super) state: Mutex<State>,
    /// There is something to write, or the end has come.
    pub(super) work: Condvar,
    /// A segment may have to be prepared or freed.
    pub(super) prepare: Condvar,
    /// Space was prepared, or could not be.
    pub(super) space: Condvar,
    pub(super) durability: Arc<Durability>,
    pub(super) on_durable: OnceLock<DurableHook>,
}

/// Called on the sync thread with the new durable seq, before any ticket tells.
pub(super) struct DurableHook(pub(super) Box<dyn Fn(Seq) + Send + Sync>);

impl std::fmt::Debug for DurableHook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DurableHook")
    }
}

impl State {
    fn usable_of(len: u64, position: u64, options: &LogOptions) -> u64 {
        len.saturating_sub(position + options.frame_bytes as u64)
    }

    /// The sum of usable space, less the slack for marks.
    pub(super) fn usable(&self, options: &LogOptions) -> u64 {
        let active = Self::usable_of(self.active.len, self.position, options);
        let header = SEGMENT_HEADER_BYTES as u64;
        let ready: u64 =
            self.ready.iter().map(|segment| Self::usable_of(segment.len, header, options)).sum();
        (active + ready).saturating_sub(MARK_SLACK_BYTES)
    }

    /// The same of prepared segments alone that were never written before.
    pub(super) fn usable_fresh(&self, options: &LogOptions) -> u64 {
        let header = SEGMENT_HEADER_BYTES as u64;
        let fresh = self.ready.iter().filter(|segment| !segment.is_reused);
        let fresh: u64 = fresh.map(|segment| Self::usable_of(segment.len, header, options)).sum();
        fresh.saturating_sub(MARK_SLACK_BYTES)
    }

    /// Finds a place for every frame of a group and takes it; `None` if a segment must be prepared first.
    /// What was reserved for the group is spent.
    pub(super) fn place(&mut self, group: &mut Group) -> Option<Vec<Placement>> {
        let mut position = self.position;
        let mut taken = 0;
        let mut placements: Vec<Placement> = Vec::new();
        for (index, frame) in group.frames().iter().enumerate() {
            let bytes = frame.padded();
            let len = bytes.len() as u64;
            let mut segment = match taken {
                0 => &self.active,
                _ => &self.ready[taken - 1],
            };
            if position + len > segment.len {
                segment = self.ready.get(taken)?;
                taken += 1;
                position = SEGMENT_HEADER_BYTES as u64;
                assert!(position + len <= segment.len, "segments hold at least two frames");
            }
            match placements.last_mut() {
                Some(last) if last.segment.id == segment.id => {
                    last.frames.end = index + 1;
                    last.bytes.end = bytes.end;
                }
                _ => placements.push(Placement {
                    segment: segment.clone(),
                    offset: position,
                    frames: index..index + 1,
                    bytes,
                }),
            }
            position += len;
        }
        for _ in 0..taken {
            self.take_ready();
        }
        self.position = position;
        self.reserved -= std::mem::take(&mut group.reserved);
        self.note_placed(group, &placements);
        Some(placements)
    }

    /// Makes the next prepared segment the active one.
    fn take_ready(&mut self) {
        let segment = self.ready.pop_front().expect("counted before");
        assert!(segment.id.number > self.active.id.number, "segments are used in order");
        let new = LogSegment::new(segment.id, segment.path.clone(), segment.len);
        self.segments.push_back(new);
        self.stats.segments_started += 1;
        self.active = segment;
        // The next one may be prepared now, even if that failed before.
        self.prepare_error = None;
    }

    /// Notes in the segments what the placed frames hold. Their lsn count from `next_lsn`.
    fn note_placed(&mut self, group: &Group, placements: &[Placement]) {
        let mut in_commit = false;
        for placement in placements {
            let mut segments = self.segments.iter_mut().rev();
            let segment = segments
                .find(|segment| segment.id == placement.segment.id)
                .expect("a placed segment is part of the log");
            segment.last_seq = segment.last_seq.max(group.last_seq);
            for index in placement.frames.clone() {
                if !in_commit && segment.base_lsn.is_none() {
                    segment.base_lsn = Some(self.next_lsn + index as u64);
                }
                in_commit = !group.frames()[index].closes();
            }
        }
        assert!(!in_commit, "a group holds whole commits");
    }

    /// Gives up the active segment after a failure: nothing is written to it or to `failed` again.
    pub(super) fn poison(&mut self, failed: &[Placement]) {
        for segment in &mut self.segments {
            segment.poisoned |= failed.iter().any(|placement| placement.segment.id == segment.id);
        }
        // No frame fits any more, so the next one takes a new segment.
        self.position = self.active.len;
    }

    /// Where the low-water mark stands once segments below `free_below` are freed.
    pub(super) fn next_low(&self) -> LowWater {
        let freed = self.segments.iter().filter(|segment| segment.id.number < self.free_below);
        let last_seq = freed.map(|segment| segment.last_seq).max().unwrap_or(0);
        let mut kept = self.segments.iter().filter(|segment| segment.id.number >= self.free_below);
        let base_lsn = kept.find_map(|segment| segment.base_lsn);
        LowWater {
            segment: self.free_below,
            base_lsn: base_lsn.unwrap_or(self.next_lsn).max(self.low.base_lsn),
            last_seq: last_seq.max(self.low.last_seq),
        }
    }

    /// True where a mark is to be written, behind the frames of `group` if there is one. What frees
    /// segments must not fail for want of space, so it waits where there is none.
    pub(super) fn wants_mark(&self, group: Option<&Group>, options: &LogOptions) -> bool {
        let mark = MARK_FRAME_BYTES as u64;
        let room = match group {
            Some(_) => self.usable(options) + MARK_SLACK_BYTES >= self.reserved + mark,
            None => !self.ready.is_empty() || self.position + mark <= self.active.len,
        };
        !self.replaying && self.free_below > self.low.segment && room
    }
}
