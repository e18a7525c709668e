//! A tablet: a row range of one table, its memtables and runs.
//!
//! | module | what it holds |
//! |---|---|
//! | [`version`], [`group_version`] | what a reader pins: memtables and runs at one moment, by locality group |
//! | [`layout`] | which locality group each column is in |
//! | [`map_entries`] | what changes of maps are in the groups of their entries |
//! | [`directory`] | the tablets of a server, by table and key |
//!
//! Who changes what:
//! - The active memtable takes rows, and is frozen, under the server's commit mutex only.
//! - The version is replaced whole, under its lock, for moments. Readers clone it.
//! - A tablet that is split or merged is replaced by others ([`Tablet::retire`]), and never changes again.
//! - The METADATA row, and with it the runs, is changed by whoever holds [`Tablet::edits`]: a flush and a
//!   compaction of the same tablet take turns (rule 18).

pub mod directory;
pub mod group_version;
pub mod layout;
pub mod map_entries;
pub mod version;

use parking_lot::{Mutex, RwLock};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use terrane_client::ids::{Generation, Seq, StorageId};
use terrane_client::metadata::TabletRow;
use terrane_client::metadata::events::{self, TabletEvent};
use terrane_client::read::KeyRange;
use terrane_client::service::TabletName;
use version::Version;

/// See the module's documentation.
#[derive(Debug)]
pub struct Tablet {
    /// Its table.
    pub table: StorageId,
    /// Its rows' keys.
    pub range: KeyRange,
    version: RwLock<Arc<Version>>,
    /// False once it is unloaded or dropped. Changes under the commit mutex, so a commit that saw it true
    /// there is applied before anything else happens to the tablet.
    serving: AtomicBool,
    /// Its METADATA row as last written or read.
    row: Mutex<TabletRow>,
    /// Held while the METADATA row is being edited and the version changed accordingly.
    pub edits: Mutex<()>,
    /// Held while frozen memtables are being flushed. Taken before `edits`.
    pub flushes: Mutex<()>,
    /// Held while runs are being merged. Taken before `edits`.
    pub merges: Mutex<()>,
    /// The outcome of an edit is not known: there are no more until a restart.
    pub edits_stopped: AtomicBool,
    /// What took its place when it was split or merged.
    successors: OnceLock<Vec<Arc<Tablet>>>,
    /// The merge that was begun of it and a neighbour.
    merging: Mutex<Option<Arc<BegunMerge>>>,
    /// When it came to be what it is: the clock's time.
    since: Duration,
    /// What has happened to it and is not in its METADATA row yet.
    unwritten: Mutex<Vec<TabletEvent>>,
    /// Why a memtable was last frozen.
    frozen_for: Mutex<&'static str>,
}

/// Neighbours whose merge is written in METADATA, in part at least. None of them takes another edit before it is finished or
/// taken back.
#[derive(Debug)]
pub struct BegunMerge {
    /// Whose row has the intent.
    pub left: Arc<Tablet>,
    /// Whose row becomes the union's.
    pub right: Arc<Tablet>,
    /// Everything of both up to this is in files.
    pub flushed: Seq,
    /// Why they are merged.
    pub reason: &'static str,
    /// When the merge began: the clock's time.
    pub since: Duration,
}

impl Tablet {
    /// A tablet as its METADATA row describes it, with what recovery found for it.
    pub fn new(row: TabletRow, version: Version, since: Duration) -> Self {
        Self {
            table: row.table,
            range: KeyRange {
                start: row.start.clone().into(),
                end: row.end.clone().map(Into::into),
            },
            version: RwLock::new(Arc::new(version)),
            serving: AtomicBool::new(true),
            row: Mutex::new(row),
            edits: Mutex::new(()),
            flushes: Mutex::new(()),
            merges: Mutex::new(()),
            edits_stopped: AtomicBool::new(false),
            successors: OnceLock::new(),
            merging: Mutex::new(None),
            since,
            unwritten: Mutex::new(Vec::new()),
            frozen_for: Mutex::new(""),
        }
    }

    /// Whether it is METADATA's root tablet, whose row is a value of the lock service.
    pub fn is_root(&self) -> bool {
        self.table == StorageId::METADATA && self.range.start.is_empty()
    }

    /// The tablet as it is now, for one reader.
    pub fn version(&self) -> Arc<Version> {
        self.version.read().clone()
    }

    /// Replaces the version by what `change` makes of it.
    pub fn change_version(&self, change: impl FnOnce(&Version) -> Version) -> Arc<Version> {
        let mut version = self.version.write();
        let changed = Arc::new(change(&version));
        *version = changed.clone();
        changed
    }

    /// Gives it the groups of a layout that it does not have yet.
    pub fn add_groups(&self, layout: &layout::GroupLayout) {
        let version = self.version();
        if layout.groups().iter().any(|group| version.group(group.id).is_none()) {
            self.change_version(|version| version.with_layout(layout));
        }
        self.keep_in_memory(layout);
    }

    /// Lets the files of its `in_memory` groups stay in memory once they are read, and those of others not.
    pub fn keep_in_memory(&self, layout: &layout::GroupLayout) {
        for group in layout.groups() {
            let version = self.version();
            let runs = version.group(group.id).map(|group| &group.sources.runs);
            for file in runs.into_iter().flatten().flat_map(|run| run.files()) {
                file.table.keep_in_memory(group.options.in_memory);
            }
        }
    }

    /// Whether it takes commits. Certain only under the commit mutex.
    pub fn is_serving(&self) -> bool {
        self.serving.load(Ordering::Acquire)
    }

    /// Lets it take no more commits. Under the commit mutex.
    pub fn stop_serving(&self) {
        self.serving.store(false, Ordering::Release);
    }

    /// Takes commits again. Under the commit mutex.
    pub fn resume_serving(&self) {
        self.serving.store(true, Ordering::Release);
    }

    /// Others take its place. Under the commit mutex, with `flushes`, `merges` and `edits` held.
    pub fn retire(&self, successors: Vec<Arc<Tablet>>) {
        let is_first = self.successors.set(successors).is_ok();
        assert!(is_first, "a tablet is split or merged once");
        self.stop_serving();
    }

    /// Whether it was split or merged: nothing of it may be flushed, merged or edited. Certain only under the
    /// commit mutex, `flushes`, `merges` or `edits`.
    pub fn is_retired(&self) -> bool {
        self.successors.get().is_some()
    }

    /// The tablets that took its place.
    pub fn successors(&self) -> &[Arc<Tablet>] {
        self.successors.get().map_or(&[], |all| all)
    }

    /// The tablet that has a key of this one since it was split or merged.
    pub fn successor_of(&self, key: &[u8]) -> Option<&Arc<Tablet>> {
        self.successors().iter().find(|successor| successor.range.contains(key))
    }

    /// The merge that was begun of it and a neighbour.
    pub fn merging(&self) -> Option<Arc<BegunMerge>> {
        self.merging.lock().clone()
    }

    /// Remembers or forgets a merge. With `edits` held.
    pub fn set_merging(&self, merge: Option<Arc<BegunMerge>>) {
        *self.merging.lock() = merge;
    }

    /// Something has happened to it: the next edit of its METADATA row says so.
    pub fn note(&self, event: TabletEvent) {
        events::add(&mut self.unwritten.lock(), [event]);
    }

    /// What is not in its METADATA row yet.
    pub fn unwritten(&self) -> Vec<TabletEvent> {
        self.unwritten.lock().clone()
    }

    /// These events are in its METADATA row.
    pub fn set_written(&self, written: &[TabletEvent]) {
        self.unwritten.lock().retain(|event| !written.contains(event));
    }

    /// Why its memtables were frozen.
    pub fn frozen_for(&self) -> &'static str {
        *self.frozen_for.lock()
    }

    /// Says why a memtable is frozen.
    pub fn set_frozen_for(&self, reason: &'static str) {
        *self.frozen_for.lock() = reason;
    }

    /// When it came to be what it is: loaded, or made by a split or merge.
    pub fn since(&self) -> Duration {
        self.since
    }

    /// Whether its METADATA row has a split intent.
    pub fn is_splitting(&self) -> bool {
        self.row.lock().split.is_some()
    }

    /// Its name: METADATA's key.
    pub fn name(&self) -> TabletName {
        TabletName { table: self.table, end: self.range.end.clone() }
    }

    /// The generation it is owned under.
    pub fn generation(&self) -> Generation {
        self.row.lock().generation
    }

    /// Its METADATA row as last written or read.
    pub fn row(&self) -> TabletRow {
        self.row.lock().clone()
    }

    /// Remembers its METADATA row.
    pub fn set_row(&self, row: TabletRow) {
        *self.row.lock() = row;
    }

    /// The oldest sequence number that is in no published run, if there is one: the log is needed from
    /// there on.
    pub fn first_unflushed(&self) -> Option<Seq> {
        self.version().first_unflushed()
    }
}
