//! The promise of a table that its dead bytes are gone from every file in time (rule 13): what follows from it for reads.
//!
//! Bytes die when a cell, key or row is deleted, overwritten or expires. Until a time `purge_within` later they have to be
//! gone, and going takes time itself. So nothing is readable longer than a part of it after it died, whatever the history
//! says and whoever reads: the rest is for the purge, which is begun in time for a slow machine, too.

/// What died may be read for this part of a table's `purge_within`.
const READ_PARTS: i64 = 2;

/// How long ago the oldest time lies that is read at, whatever is open, in microseconds.
pub fn reads_micros(purge_within_micros: i64) -> i64 {
    purge_within_micros.max(0) / READ_PARTS
}

/// How far back a table can be read that has this history and, perhaps, a purge, in microseconds.
pub fn kept_micros(history_micros: i64, purge_within_micros: Option<i64>) -> i64 {
    let history = history_micros.max(0);
    purge_within_micros.map_or(history, |within| history.min(reads_micros(within)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_be_purged_is_not_read_to_the_last_moment() {
        assert_eq!(kept_micros(100, None), 100);
        assert_eq!(kept_micros(100, Some(400)), 100);
        assert_eq!(kept_micros(400, Some(400)), 200);
        assert_eq!(kept_micros(-1, Some(400)), 0);
    }
}
