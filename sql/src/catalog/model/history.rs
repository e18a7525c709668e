//! How far back a table can be read.
//!
//! A time T can be read where `now - history <= T`, and where the table's storage kept everything at T ever since: the
//! storage may be younger than the history is long, and a history that was made longer does not bring back what
//! the shorter one let go. Both are told by the catalog, not by what the tablets happen to hold, so that an
//! answer does not depend on whether a compaction came by.

use serde::{Deserialize, Serialize};
use terrane_client::ids::CommitTs;

/// The first time of which a storage kept everything, whatever its history says now.
///
/// It depends on the timestamp of a commit that is still to come while the table's row is written. So the row says
/// "so long before the commit that wrote me", and whoever reads or publishes it fills in the commit
/// ([`HistoryStart::committed`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryStart {
    at: CommitTs,
    /// Microseconds before the commit that writes the table's row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before_commit: Option<i64>,
}

impl HistoryStart {
    /// Of a storage that the commit to come makes a table's: it holds nothing from before.
    pub const NEW_STORAGE: Self = Self { at: CommitTs::ABSENT, before_commit: Some(0) };

    /// True for what every catalog row without this field means: all of the history is there.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// After the commit to come has made the history longer than `kept_micros`.
    pub fn lengthened(self, kept_micros: i64) -> Self {
        let before = self.before_commit.unwrap_or(i64::MAX).min(kept_micros);
        Self { before_commit: Some(before), ..self }
    }

    /// With the commit that wrote it.
    pub fn committed(self, commit: CommitTs) -> Self {
        let since = self.before_commit.map(|before| CommitTs(commit.0.saturating_sub(before)));
        Self { at: self.at.max(since.unwrap_or_default()), before_commit: None }
    }

    /// True while the commit is to come.
    pub fn is_pending(&self) -> bool {
        self.before_commit.is_some()
    }
}

/// What of a table can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// Microseconds back from now.
    pub kept_micros: i64,
    /// Not before this.
    pub start: HistoryStart,
}

impl History {
    /// The oldest time that can be read at this moment.
    pub fn oldest(&self, now_micros: i64) -> CommitTs {
        let kept = CommitTs(now_micros.saturating_sub(self.kept_micros));
        // Inside the block that writes the row, its commit is later than any time one can ask for.
        let start = match self.start.is_pending() {
            true => self.start.committed(CommitTs(now_micros.saturating_add(1))),
            false => self.start,
        };
        kept.max(start.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    fn oldest(kept_micros: i64, start: HistoryStart, now_micros: i64) -> i64 {
        History { kept_micros, start }.oldest(now_micros).0
    }

    #[test]
    fn a_storage_is_read_from_its_commit_on() {
        let start = HistoryStart::NEW_STORAGE;
        assert_eq!(oldest(HOUR, start, 10 * HOUR), 10 * HOUR + 1, "nothing before its commit");
        let start = start.committed(CommitTs(10 * HOUR));
        assert_eq!(oldest(HOUR, start, 10 * HOUR + 5), 10 * HOUR);
        assert_eq!(oldest(HOUR, start, 12 * HOUR), 11 * HOUR);
    }

    #[test]
    fn a_longer_history_brings_nothing_back() {
        let born = HistoryStart::NEW_STORAGE.committed(CommitTs(HOUR));
        let longer = born.lengthened(HOUR).committed(CommitTs(10 * HOUR));
        assert_eq!(oldest(5 * HOUR, longer, 10 * HOUR), 9 * HOUR);
        assert_eq!(oldest(5 * HOUR, longer, 20 * HOUR), 15 * HOUR);
        // Shortened and lengthened by one commit: the tablets may have had the shorter one.
        let both = born.lengthened(0).lengthened(HOUR).committed(CommitTs(10 * HOUR));
        assert_eq!(oldest(5 * HOUR, both, 10 * HOUR), 10 * HOUR);
        // A later commit that writes the row for another reason moves nothing.
        assert_eq!(longer.committed(CommitTs(30 * HOUR)), longer);
    }

    #[test]
    fn rows_of_older_catalogs_have_all_of_their_history() {
        assert_eq!(oldest(HOUR, HistoryStart::default(), 10 * HOUR), 9 * HOUR);
    }
}
