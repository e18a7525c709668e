//! Which runs of a tablet to merge next. Pure: sizes in, a range of runs out.
//!
//! Shape: newer runs on top of one base run, the oldest. Every run costs each read a little, every merge
//! costs a rewrite; so runs are merged with others of their size, and into the base only when they are a
//! third of it (storage.md).

use std::ops::Range;
use terrane_client::ids::CommitTs;

/// Adjacent runs of similar size that are worth merging.
pub const MERGE_RUNS_MIN: usize = 4;

/// A run counts as similar to those before it when it is at most this many times their sum.
const SIMILAR_RATIO: u64 = 2;

/// With this many runs above the base, some are merged whatever their sizes.
pub const RUNS_MAX: usize = 8;

/// Why runs are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Some of the newer runs become one; tombstones stay.
    Merging,
    /// Everything becomes the base.
    Major,
}

/// What to merge: a range of the tablet's runs, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pick {
    /// The runs, as places in the tablet's list.
    pub runs: Range<usize>,
    /// Why.
    pub kind: Kind,
}

/// A major compaction is worth its rewriting when one in this many row versions would go.
const GARBAGE_RATIO: u64 = 5;

/// What a run holds, as far as it tells whether a major compaction would drop some of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Row versions.
    pub rows: u64,
    /// Of these, versions that are not the newest of their key in the run, and deletes.
    pub garbage: u64,
    /// The newest.
    pub max_commit_ts: CommitTs,
}

/// True where a major compaction at a floor would drop enough to be worth it. Only runs that lie below the floor as a
/// whole count: what was collected once holds nothing more to collect until the floor has passed all of it.
pub fn is_worth_collecting(runs: &[Contents], floor: CommitTs) -> bool {
    let rows: u64 = runs.iter().map(|run| run.rows).sum();
    let below = runs.iter().filter(|run| run.max_commit_ts <= floor);
    let garbage: u64 = below.map(|run| run.garbage).sum();
    garbage > 0 && garbage.saturating_mul(GARBAGE_RATIO) >= rows
}

/// Picks runs to merge by their sizes in bytes, newest first.
pub fn pick(sizes: &[u64]) -> Option<Pick> {
    let (base, newer) = sizes.split_last()?;
    let newer_bytes: u64 = newer.iter().sum();
    // Two or more runs above a small base: a single flush is not worth rewriting the base for.
    if newer.len() >= 2 && newer_bytes >= base / 3 {
        return Some(Pick { runs: 0..sizes.len(), kind: Kind::Major });
    }
    similar(newer)
        .or_else(|| (newer.len() >= RUNS_MAX).then(|| smallest(newer)))
        .map(|runs| Pick { runs, kind: Kind::Merging })
}

/// The longest stretch of runs of similar size: each at most twice as large as all newer ones of
/// the stretch together.
fn similar(newer: &[u64]) -> Option<Range<usize>> {
    let mut best: Option<Range<usize>> = None;
    for start in 0..newer.len() {
        let mut sum = newer[start];
        let mut end = start + 1;
        while end < newer.len() && newer[end] <= sum.saturating_mul(SIMILAR_RATIO) {
            sum += newer[end];
            end += 1;
        }
        if end - start >= MERGE_RUNS_MIN && best.as_ref().is_none_or(|b| end - start > b.len()) {
            best = Some(start..end);
        }
    }
    best
}

/// The cheapest [`MERGE_RUNS_MIN`] adjacent runs.
fn smallest(newer: &[u64]) -> Range<usize> {
    let mut best = (u64::MAX, 0..MERGE_RUNS_MIN);
    for (start, window) in newer.windows(MERGE_RUNS_MIN).enumerate() {
        let sum = window.iter().sum();
        if sum < best.0 {
            best = (sum, start..start + MERGE_RUNS_MIN);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(sizes: &[u64]) -> Option<(Range<usize>, Kind)> {
        pick(sizes).map(|pick| (pick.runs, pick.kind))
    }

    #[test]
    fn a_lone_run_and_one_small_run_above_the_base_stay() {
        assert_eq!(picked(&[]), None);
        assert_eq!(picked(&[100]), None);
        assert_eq!(picked(&[10, 100]), None);
        assert_eq!(picked(&[90, 100]), None);
    }

    #[test]
    fn a_third_of_the_base_is_merged_into_it() {
        assert_eq!(picked(&[20, 20, 100]), Some((0..3, Kind::Major)));
        assert_eq!(picked(&[10, 10, 100]), None);
    }

    #[test]
    fn four_runs_of_a_size_are_merged_without_the_base() {
        assert_eq!(picked(&[10, 11, 9, 10, 1000]), Some((0..4, Kind::Merging)));
        assert_eq!(picked(&[1, 50, 50, 50, 60, 1000]), Some((1..5, Kind::Merging)));
    }

    #[test]
    fn many_runs_of_unlike_sizes_are_merged_where_it_is_cheapest() {
        let sizes = [1, 9, 90, 900, 9_000, 90_000, 900_000, 9_000_000, 90_000_000];
        assert_eq!(picked(&sizes), Some((0..4, Kind::Merging)));
    }

    #[test]
    fn deletes_below_the_floor_are_collected_when_they_are_a_fifth() {
        let run =
            |rows, garbage, newest| Contents { rows, garbage, max_commit_ts: CommitTs(newest) };
        let worth = |runs: &[Contents]| is_worth_collecting(runs, CommitTs(10));
        assert!(!worth(&[]));
        assert!(!worth(&[run(100, 0, 5)]));
        assert!(worth(&[run(20, 20, 10), run(80, 0, 5)]));
        assert!(!worth(&[run(20, 20, 10), run(81, 0, 5)]));
        assert!(!worth(&[run(20, 20, 11), run(80, 0, 5)]), "someone may still read what they hide");
        assert!(worth(&[run(100, 30, 5)]), "a lone run is collected, too");
    }

    #[test]
    fn repeated_flushes_keep_the_runs_few_and_the_rewriting_bounded() {
        let (mut sizes, mut written, mut loaded) = (Vec::<u64>::new(), 0, 0);
        for _ in 0..500 {
            sizes.insert(0, 16);
            loaded += 16;
            while let Some(pick) = pick(&sizes) {
                let sum: u64 = sizes[pick.runs.clone()].iter().sum();
                written += sum;
                sizes.splice(pick.runs, [sum]);
            }
            assert!(sizes.len() <= RUNS_MAX + 1, "{sizes:?}");
        }
        assert!(written < 8 * loaded, "rewrote {written} for {loaded}");
    }
}
