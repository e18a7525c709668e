//! Looking at a stopped data directory: what it should hold by METADATA, what it holds, and where the two differ.
//!
//! Contract: strictly read-only; the directory's LOCK is held meanwhile, so that no server changes what is
//! being compared. Nothing of the tablet server runs: METADATA's rows are put together here, from the root's row in
//! the lock service, METADATA's files and its log, by the same decoders.
//!
//! | module | what it holds |
//! |---|---|
//! | [`metadata`] | METADATA's rows |
//! | [`evidence`] | what lies in the directory: files, logs, schemas |
//! | [`check`] | comparing the two, without touching a file |
//! | [`finding`], [`problem`], `repair` | what can be wrong, in words, and what a repair would do |
//! | [`edit`] | replacing a METADATA row, to inject damage for tests |
//!
//! Fault model: anything may be damaged or gone. What METADATA itself stands on comes first, the root before METADATA's other
//! tablets: if that is damaged, nothing else can be judged, and nothing else is.

pub mod check;
pub mod edit;
pub mod evidence;
pub mod finding;
pub mod metadata;
pub mod problem;
mod repair;

use crate::log::LogError;
use crate::server::{DataDirectory, DirectoryError};
use crate::sstable::{Depth, SstableError};
use evidence::Evidence;
use finding::{Finding, Severity};
use metadata::StoredTablet;
use std::collections::BTreeMap;
use terrane_client::error::TabletError;
use terrane_client::ids::StorageId;
use terrane_client::lock::LockError;
use terrane_env::{Env, IoError};

/// Why a directory cannot be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// In use, of a newer format, or not one of ours.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The lock service cannot be read.
    #[error("lock service: {0}")]
    Lock(#[from] LockError),
    /// A log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A file of METADATA cannot be read.
    #[error(transparent)]
    Sstable(#[from] SstableError),
    /// A value of METADATA or of the lock service makes no sense.
    #[error("{place}: {error}")]
    Value {
        /// Which.
        place: String,
        /// What is wrong.
        error: TabletError,
    },
    /// The lock service knows no root.
    #[error(
        "the lock service has no root: it is lost, or no server has finished its first start here"
    )]
    NoRoot,
    /// A log record of a kind this build does not know.
    #[error("METADATA's log holds a record of unknown kind {0}")]
    UnknownRecord(u8),
    /// An edit whose log takes no more commits.
    #[error("the edit was not made: {0}")]
    NotEdited(TabletError),
    /// A file operation failed.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// What was found in a directory.
#[derive(Debug, Default)]
pub struct Report {
    /// By table, tablet and file.
    pub findings: Vec<Finding>,
    /// What tables are called, where the lock service has their schema.
    pub names: BTreeMap<StorageId, String>,
    /// Tablets that METADATA has, its own included.
    pub tablets: usize,
    /// Files that METADATA names.
    pub files: usize,
    /// METADATA itself is damaged: nothing else was looked at.
    pub stopped_early: bool,
}

impl Report {
    /// True where no finding is more than a warning.
    pub fn is_good(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity() == Severity::Warning)
    }
}

/// Compares a directory with what METADATA says of it.
pub fn check(env: &Env, directory: &DataDirectory, depth: Depth) -> Result<Report, InspectError> {
    let mut evidence = Evidence::default();
    evidence.read_lock_service(env, directory)?;
    let root = evidence.root.clone().ok_or(InspectError::NoRoot)?;
    let names = evidence.names();
    let is_damaged = |findings: &[Finding]| {
        findings.iter().any(|finding| finding.is_of_metadata() && !finding.is_warning())
    };
    // METADATA is small and everything else hangs on it: it is read in whole, the root first, which names the rest.
    evidence.tablets.push(StoredTablet { key: None, row: root.clone() });
    evidence.read_logs(env, directory, depth)?;
    evidence.read_files(env, directory, Depth::Pages)?;
    let mut findings = check::check(&evidence);
    if !is_damaged(&findings) {
        evidence.tablets = metadata::own_tablets(env, directory, &root)?;
        evidence.read_logs(env, directory, depth)?;
        evidence.read_files(env, directory, Depth::Pages)?;
        evidence.has_metadata = true;
        findings = check::check(&evidence);
    }
    let stopped_early = is_damaged(&findings);
    if !stopped_early {
        evidence.tablets = metadata::tablets(env, directory, &root)?;
        evidence.read_logs(env, directory, depth)?;
        evidence.read_files(env, directory, depth)?;
        evidence.list_files(env, directory)?;
        evidence.is_complete = true;
        findings = check::check(&evidence);
    }
    let (tablets, files) = (evidence.tablets.len(), evidence.files.len());
    Ok(Report { findings, names, tablets, files, stopped_early })
}
