//! What has happened to a tablet, lately: kept in its METADATA row.
//!
//! An event is written with the edit that it is of: a flush, a compaction, a load. One that is over only after the edit (a split, a
//! merge) is written with the tablet's next one. Only the newest [`EVENTS_MAX`] are kept: a row of METADATA is written
//! whole at each edit.

use serde::{Deserialize, Serialize};

/// Events that a tablet's row keeps.
pub const EVENTS_MAX: usize = 16;

/// Something that happened to a tablet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TabletEvent {
    /// When it was over: microseconds since 1970-01-01 UTC.
    pub at_micros: i64,
    /// What.
    pub kind: EventKind,
    /// Why.
    pub reason: String,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// Bytes of the files that were written for it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bytes: u64,
}

impl TabletEvent {
    /// By time; of equal times, so that equal events stand side by side.
    pub(super) fn order(&self) -> impl Ord {
        (self.at_micros, self.kind, self.micros, self.bytes, &self.reason)
    }
}

fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}

/// What happens to tablets, and what is at work on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A server began to serve it.
    Load,
    /// Its rows that were in no file yet were read from the commit log.
    Recovery,
    /// Memtables became files.
    Flush,
    /// Files became fewer files.
    Compaction,
    /// It came out of a tablet that was cut in two.
    Split,
    /// It came out of two tablets.
    Merge,
}

impl EventKind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Recovery => "recovery",
            Self::Flush => "flush",
            Self::Compaction => "compaction",
            Self::Split => "split",
            Self::Merge => "merge",
        }
    }
}

/// Adds to a log of events; the oldest go.
pub fn add(log: &mut Vec<TabletEvent>, events: impl IntoIterator<Item = TabletEvent>) {
    log.extend(events);
    let older = log.len().saturating_sub(EVENTS_MAX);
    log.drain(..older);
}
