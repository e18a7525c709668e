//! The commit log's tunables.

use super::format::{FRAME_BYTES_MAX, SEGMENT_HEADER_BYTES};

/// Tunables of one commit log. The defaults suit user tables; METADATA's log takes smaller segments.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// Size of a segment in bytes: the unit in which the log is freed. Bigtable's pieces of 64 MiB.
    pub segment_bytes: u64,
    /// Size of the first new segment after a start; each further one is twice as large, up to
    /// `segment_bytes`. Zero-filling 64 MiB before the first commit would cost a start 100 ms.
    pub first_segment_bytes: u64,
    /// Size of a frame in bytes, its header included: what one torn write can cost, and the largest
    /// piece of space wasted at a segment's end.
    pub frame_bytes: usize,
    /// Commits are gathered into one write and one sync up to this size; a commit larger than that is a
    /// group of its own. A sync of 1 MiB takes about four times one of 4 KiB.
    pub group_bytes: usize,
    /// Largest commit accepted, in bytes: all of it is in memory at once.
    pub commit_bytes_max: u64,
    /// Freed segments kept for reuse: overwriting is 1.7 times as fast as growing a file.
    pub spare_segments_max: usize,
    /// New segments are zero-filled in steps of this many bytes, each synced, so that the log's own syncs
    /// do not wait behind a whole segment of zeros.
    pub allocate_step_bytes: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            first_segment_bytes: 4 << 20,
            frame_bytes: 1 << 20,
            group_bytes: 1 << 20,
            commit_bytes_max: 256 << 20,
            spare_segments_max: 3,
            allocate_step_bytes: 4 << 20,
        }
    }
}

impl LogOptions {
    /// For METADATA: few and small commits.
    pub fn metadata() -> Self {
        Self {
            segment_bytes: 4 << 20,
            first_segment_bytes: 2 << 20,
            frame_bytes: 256 << 10,
            group_bytes: 256 << 10,
            ..Self::default()
        }
    }

    /// Panics where the relations between tunables do not hold: a bug of the caller.
    pub(super) fn check(&self) {
        assert!(self.frame_bytes <= FRAME_BYTES_MAX, "readers refuse larger frames");
        assert!(self.frame_bytes >= 256, "a frame holds its header and something");
        assert!(self.group_bytes >= 1 && self.allocate_step_bytes >= 1);
        let smallest = SEGMENT_HEADER_BYTES as u64 + 2 * self.frame_bytes as u64;
        assert!(
            self.first_segment_bytes >= smallest,
            "a segment that holds fewer than two frames is mostly waste"
        );
        assert!(self.first_segment_bytes <= self.segment_bytes);
        assert!(self.segment_bytes <= u64::from(u32::MAX), "offsets in reports stay readable");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_given_options_hold_together() {
        LogOptions::default().check();
        LogOptions::metadata().check();
    }
}
