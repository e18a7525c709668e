//! When neighbouring tablets are small enough to be one.
//!
//! They are merged when together they have at most half of what one may have, files and memtables. A split leaves two that
//! have more than all of it, so a tablet has to shrink by half, or to double, before it is cut or joined again. A
//! tablet is also left alone for a while after it was loaded, split or merged, and a first key that someone chose stays: who
//! cuts an empty table before loading it would find one tablet otherwise. So splits and merges do not chase one another.

use super::TabletServer;
use super::background::{Job, Wake};
use super::split::Why;
use crate::tablet::Tablet;
use std::sync::Arc;
use terrane_client::error::TabletError;

/// Neighbours are merged if together they have this part of what a tablet may have.
const MERGED_SHARE: u64 = 2;

impl TabletServer {
    /// Merges neighbours that are small, from time to time. A pair that cannot be merged is tried again later, and keeps no other
    /// from being merged.
    pub(super) fn merge_small(&self, wake: Wake) {
        let now = self.env.clock.monotonic();
        {
            let mut looked = self.small_looked_for.lock();
            let is_due = now.saturating_sub(*looked) >= self.options.quiet_after;
            if wake != Wake::Quiet && !is_due {
                return;
            }
            *looked = now;
        }
        let tablets = self.tablets.all();
        for pair in tablets.windows(2) {
            if self.background.is_stopping() {
                return;
            }
            match self.merge_if_small(&pair[0], &pair[1]) {
                Ok(()) | Err(TabletError::NotServing { .. }) => {}
                Err(error) => tracing::warn!("{:?} is not merged: {error}", pair[0].name()),
            }
        }
    }

    fn merge_if_small(&self, left: &Arc<Tablet>, right: &Arc<Tablet>) -> Result<(), TabletError> {
        let meet = left.table == right.table && left.range.end.as_ref() == Some(&right.range.start);
        if !meet || left.is_root() || right.row().is_start_chosen {
            return Ok(());
        }
        let now = self.env.clock.monotonic();
        let is_young =
            |tablet: &Tablet| now.saturating_sub(tablet.since()) < self.options.quiet_after;
        if [left, right].into_iter().any(|tablet| is_young(tablet) || tablet.is_retired()) {
            return Ok(());
        }
        let bytes_max = self.tablet_bytes_max(left.table)? / MERGED_SHARE;
        let left_bytes = self.bytes_of_tablet(left)?;
        if left_bytes > bytes_max || left_bytes + self.bytes_of_tablet(right)? > bytes_max {
            return Ok(());
        }
        // It holds what flushes and, for a moment, commits wait for.
        self.background.urgently(Job::Compact, || self.merge_pair(left, right, Why::Size)).map(drop)
    }

    /// Bytes of a tablet's files inside of its range, and of its memtables.
    fn bytes_of_tablet(&self, tablet: &Tablet) -> Result<u64, TabletError> {
        Ok(self.size_of(tablet)?.disk_bytes + tablet.version().memtable_bytes() as u64)
    }
}
