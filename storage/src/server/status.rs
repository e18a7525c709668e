//! What a server says of itself and its tablets: its metrics as plain data that may cross a wire.

use super::TabletServer;
use super::metrics::ServerMetrics;
use super::tablet_size::TabletSize;
use crate::cache::RegionStats;
use crate::log::LogStats;
use crate::tablet::Tablet;
use std::sync::Arc;
use terrane_client::metadata::events;
use terrane_client::status::{CacheStatus, GroupMemory, LogStatus, ServerStatus, TabletStatus};

impl TabletServer {
    /// Every tablet it serves.
    pub(super) fn tablet_statuses(&self) -> Vec<TabletStatus> {
        self.tablets.all().iter().map(|tablet| self.status_of(tablet)).collect()
    }

    /// The server itself.
    pub(super) fn own_status(&self) -> ServerStatus {
        let metrics: ServerMetrics = self.metrics();
        ServerStatus {
            name: self.name.clone(),
            tablets: self.tablets.all().len() as u64,
            memtable_bytes: metrics.memtable_bytes as u64,
            memtable_budget_bytes: metrics.memtable_budget as u64,
            runs_most: metrics.runs_most as u64,
            pressure: metrics.pressure,
            delayed_micros: u64::try_from(metrics.delayed.as_micros()).unwrap_or(u64::MAX),
            visible_ts: metrics.visible_ts,
            caches: vec![
                of_region("data", metrics.cache.data),
                of_region("meta", metrics.cache.meta),
                of_region("in_memory", metrics.cache.in_memory),
            ],
            logs: vec![
                of_log("users", &metrics.users_log),
                of_log("metadata", &metrics.metadata_log),
            ],
            jobs: self.job_statuses(),
            compactions: self.compaction_statuses(),
            purges: self.purge_statuses(),
        }
    }

    fn status_of(&self, tablet: &Arc<Tablet>) -> TabletStatus {
        let version = tablet.version();
        let groups: Vec<GroupMemory> = version
            .groups()
            .iter()
            .map(|group| GroupMemory {
                group: group.id,
                memtable_bytes: group.memtable_bytes() as u64,
            })
            .collect();
        let mut row = tablet.row();
        events::add(&mut row.events, tablet.unwritten());
        let size = self.size_of(tablet).unwrap_or_else(|error| {
            tracing::warn!("the share of {:?} in its files is not known: {error}", tablet.name());
            TabletSize::of_files(&row)
        });
        TabletStatus {
            row,
            disk_bytes: size.disk_bytes,
            rows: size.rows,
            // Memtables grow meanwhile: the sum is that of the parts.
            memtable_bytes: groups.iter().map(|group| group.memtable_bytes).sum(),
            groups,
            frozen: u32::try_from(version.frozen_count()).unwrap_or(u32::MAX),
        }
    }
}

fn of_region(region: &str, stats: RegionStats) -> CacheStatus {
    CacheStatus {
        region: region.to_owned(),
        capacity_bytes: stats.capacity_bytes,
        bytes: stats.bytes,
        entries: stats.entries,
        hits: stats.hits,
        misses: stats.misses,
    }
}

fn of_log(name: &str, stats: &LogStats) -> LogStatus {
    LogStatus {
        name: name.to_owned(),
        segments: stats.segments,
        segment_bytes: stats.segment_bytes,
        reserved_bytes: stats.reserved_bytes,
        commits: stats.commits,
        groups: stats.groups,
        bytes_written: stats.bytes_written,
        resent: stats.resent,
        segments_started: stats.segments_started,
        segments_recycled: stats.segments_recycled,
        last_seq: stats.last_seq,
        durable_seq: stats.durable_seq,
    }
}
