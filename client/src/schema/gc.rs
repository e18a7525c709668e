//! Which versions of a cell are kept: the policy of a family, as its columns and markers carry it.
//!
//! One rule decides, [`CellGc::is_live`], and everybody asks it: reads what to show, merges what to drop. It speaks of one
//! cell at one time, by how many newer ones its column has in the row and by its age then. Both only grow, so what is
//! not live stays so for as long as the policy is the same; and what is older than it is not live either.

use crate::ids::CommitTs;
use serde::{Deserialize, Serialize};

/// What ends a version where both a number of versions and an age are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GcMode {
    /// Either: more newer versions than are kept, or its age.
    #[default]
    Any,
    /// Both together: the newest versions are kept whatever their age, and the young ones however many there are.
    All,
}

/// How many versions of a cell are kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellGc {
    /// Versions kept; at least one.
    pub max_versions: u32,
    /// The age at which a version ends, in microseconds; more than nothing. `None`: at none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_micros: Option<i64>,
    /// How the two go together.
    #[serde(default)]
    pub mode: GcMode,
}

impl Default for CellGc {
    /// The newest version, for ever.
    fn default() -> Self {
        Self { max_versions: 1, ttl_micros: None, mode: GcMode::Any }
    }
}

impl CellGc {
    /// True where the newest version is kept for ever and no other.
    pub fn is_default(&self) -> bool {
        self.max_versions <= 1 && self.ttl_micros.is_none()
    }

    /// Whether a read at `at` sees a cell that was written at `written`, where its column has `newer` newer ones in the
    /// row that the read knows of, dead or alive (rule 7).
    pub fn is_live(&self, newer: usize, written: CommitTs, at: CommitTs) -> bool {
        let is_among_newest = newer < (self.max_versions.max(1)) as usize;
        let Some(ttl) = self.ttl_micros else { return is_among_newest };
        let is_young = at.0.saturating_sub(written.0) < ttl;
        match self.mode {
            GcMode::Any => is_among_newest && is_young,
            GcMode::All => is_among_newest || is_young,
        }
    }

    /// The age at which even the newest version ends, in microseconds.
    pub fn newest_ttl(&self) -> Option<i64> {
        self.ttl_micros.filter(|_| self.mode == GcMode::Any)
    }

    /// True where a row may have more than one live version of a cell.
    pub fn keeps_older(&self) -> bool {
        self.max_versions > 1 || (self.mode == GcMode::All && self.ttl_micros.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(gc: CellGc, newer: usize, age: i64) -> bool {
        gc.is_live(newer, CommitTs(1_000), CommitTs(1_000 + age))
    }

    #[test]
    fn the_newest_version_is_kept_for_ever_unless_something_else_is_said() {
        let gc = CellGc::default();
        assert!(gc.is_default() && !gc.keeps_older() && gc.newest_ttl().is_none());
        assert!(live(gc, 0, i64::MAX - 1_000) && !live(gc, 1, 0));
    }

    #[test]
    fn any_ends_a_version_by_either_and_all_by_both() {
        let any = CellGc { max_versions: 2, ttl_micros: Some(10), mode: GcMode::Any };
        assert!(live(any, 1, 9) && !live(any, 2, 9) && !live(any, 0, 10));
        assert_eq!(any.newest_ttl(), Some(10));
        let all = CellGc { mode: GcMode::All, ..any };
        assert!(live(all, 1, 10) && live(all, 2, 9) && !live(all, 2, 10));
        assert_eq!(all.newest_ttl(), None);
        // Without an age the number alone counts.
        let all = CellGc { ttl_micros: None, ..all };
        assert!(live(all, 1, 10) && !live(all, 2, 0));
    }
}
