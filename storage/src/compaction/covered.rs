//! About how many row versions range tombstones delete: what makes a merge worth its while where a range was
//! deleted, although no row says so.
//!
//! Counted from indexes, not from rows: of a file inside the range all, of one that meets it as many as the blocks that
//! lie wholly inside are likely to have. Rows that were written after the tombstone count, too, so it is an upper
//! bound: but a major compaction below its timestamp ends the tombstone, so none is begun twice for the same.

use crate::fragments::Fragments;
use crate::scan::Run;
use crate::sstable::{RangeTombstone, Result};
use std::sync::Arc;
use terrane_client::ids::CommitTs;
use terrane_client::read::KeyRange;

/// Fragments looked at in one run: each costs a look into an index.
const FRAGMENTS_MAX: usize = 1024;

/// The row versions of some runs that tombstones visible at `at` delete, about.
pub fn covered_rows(tombstones: &Fragments, at: CommitTs, runs: &[Arc<Run>]) -> Result<u64> {
    let mut covered = 0;
    for RangeTombstone { start, end, .. } in tombstones.newest_at(at).take(FRAGMENTS_MAX) {
        let range = KeyRange { start, end };
        for file in runs.iter().flat_map(|run| run.files()) {
            let inside = file.bounds.intersect(&range);
            if inside.is_empty() {
                continue;
            }
            let rows = file.table.properties().rows;
            if inside == file.bounds {
                covered += rows;
                continue;
            }
            let blocks = u64::from(file.table.block_count());
            let met = file.table.blocks_in(&inside.start, inside.end.as_deref())?.len() as u64;
            // The first and the last may reach out of it.
            covered += rows * met.saturating_sub(2) / blocks.max(1);
        }
    }
    Ok(covered)
}
