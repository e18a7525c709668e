//! The server's SSTables: names, opening, removing, and the sweep at the start (rule 20, one process).

use super::directory::DataDirectory;
use super::file_references::FileReferences;
use crate::cache::BlockCache;
use crate::compaction::output::{NameFiles, io_error, remove};
use crate::scan::{Run, RunFile};
use crate::sstable::Sstable;
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use terrane_client::error::TabletError;
use terrane_client::ids::{Generation, LocalityGroupId, StorageId};
use terrane_client::metadata::{FileRow, TabletRow};
use terrane_client::read::KeyRange;
use terrane_env::Env;

/// See the module's documentation.
pub(super) struct TableFiles {
    env: Env,
    directory: Arc<DataDirectory>,
    cache: Arc<BlockCache>,
    /// Fresh at every start: with a number it makes a name that was never used.
    generation: Generation,
    next_name: AtomicU64,
    /// Names open files in the cache.
    next_number: AtomicU64,
    /// Which files several tablets name.
    pub(super) references: FileReferences,
}

impl NameFiles for TableFiles {
    fn next_name(&self) -> String {
        let number = self.next_name.fetch_add(1, Ordering::Relaxed);
        format!("{}-{number}.sst", self.generation.0)
    }
}

impl TableFiles {
    pub(super) fn new(
        env: Env,
        directory: Arc<DataDirectory>,
        cache: Arc<BlockCache>,
        generation: Generation,
    ) -> Self {
        let (next_name, next_number) = (AtomicU64::new(1), AtomicU64::new(1));
        let references = FileReferences::default();
        Self { env, directory, cache, generation, next_name, next_number, references }
    }

    /// The cache that open files go through.
    pub(super) fn cache(&self) -> &BlockCache {
        &self.cache
    }

    /// The directory of a table's files, made if it is missing.
    pub(super) fn make_directory(&self, table: StorageId) -> Result<PathBuf, TabletError> {
        let directory = self.directory.table(table);
        self.env.files.create_dir_all(&directory).map_err(io_error)?;
        Ok(directory)
    }

    /// Opens the runs that a METADATA row names of a locality group, newest first.
    pub(super) fn open_runs(
        &self,
        row: &TabletRow,
        group: LocalityGroupId,
    ) -> Result<Vec<Arc<Run>>, TabletError> {
        let range =
            KeyRange { start: row.start.clone().into(), end: row.end.clone().map(Bytes::from) };
        let runs = row.runs_of(group).iter();
        runs.map(|run| Ok(Arc::new(self.open_run(row.table, &range, &run.files)?))).collect()
    }

    /// Opens a run's files for a tablet of this range.
    pub(super) fn open_run(
        &self,
        table: StorageId,
        range: &KeyRange,
        files: &[FileRow],
    ) -> Result<Run, TabletError> {
        let opened = files.iter().map(|file| self.open(table, range, file));
        Ok(Run::new(opened.collect::<Result<_, _>>()?))
    }

    /// Opens one file for a tablet of this range.
    pub(super) fn open(
        &self,
        table: StorageId,
        range: &KeyRange,
        file: &FileRow,
    ) -> Result<RunFile, TabletError> {
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.table(table).join(&file.name);
        let bounds =
            KeyRange { start: file.start.clone().into(), end: file.end.clone().map(Bytes::from) };
        let table = Sstable::open(&self.env, &path, number, &self.cache)?;
        Ok(RunFile { table, bounds: bounds.intersect(range) })
    }

    /// Removes files that no tablet names or ever named. Who has them open goes on reading.
    pub(super) fn remove<'f>(
        &self,
        table: StorageId,
        files: impl IntoIterator<Item = &'f FileRow>,
    ) {
        let directory = self.directory.table(table);
        for file in files {
            remove(&self.env, &directory.join(&file.name));
        }
    }

    /// Removes files that a tablet of the table named and, durably, no longer does; but for those that another
    /// one names. To be said once of every reference.
    pub(super) fn release<'f>(
        &self,
        table: StorageId,
        files: impl IntoIterator<Item = &'f FileRow>,
    ) {
        let is_last = |file: &&FileRow| self.references.release(table, &file.name);
        self.remove(table, files.into_iter().filter(is_last));
    }

    /// Makes it durable which files a table has.
    pub(super) fn sync_directory(&self, table: StorageId) -> Result<(), TabletError> {
        let directory = self.make_directory(table)?;
        self.env.files.sync_dir(&directory).map_err(io_error)
    }

    /// Removes the directory of a table that was dropped, if nothing is left in it.
    pub(super) fn remove_directory(&self, table: StorageId) {
        // A flush or merge under way may still have a file there; then the next start removes both.
        if let Err(error) = self.env.files.remove_dir(&self.directory.table(table)) {
            tracing::debug!("left until the next start: {error}");
        }
    }

    /// Removes what no row of METADATA names: files that were being written when the server ended, or
    /// that a merge had replaced. Nothing may be served yet.
    pub(super) fn sweep(&self, rows: &[TabletRow]) -> Result<(), TabletError> {
        let mut named: HashMap<StorageId, HashSet<&str>> = HashMap::new();
        for row in rows {
            let names = row.files().map(|file| file.name.as_str());
            named.entry(row.table).or_default().extend(names);
        }
        let tables = self.directory.tables();
        if !self.env.files.exists(&tables).map_err(io_error)? {
            return Ok(());
        }
        let mut unfinished = 0;
        for name in self.env.files.list(&tables).map_err(io_error)? {
            let Ok(storage) = name.parse().map(StorageId) else {
                tracing::warn!("{}: not a table, ignored", tables.join(name).display());
                continue;
            };
            let directory = self.directory.table(storage);
            let known = named.get(&storage);
            for file in self.env.files.list(&directory).map_err(io_error)? {
                if !known.is_some_and(|known| known.contains(file.as_str())) {
                    remove(&self.env, &directory.join(file));
                    unfinished += 1;
                }
            }
            if known.is_none() {
                self.remove_directory(storage);
            }
        }
        if unfinished > 0 {
            tracing::info!(
                "{unfinished} unfinished files removed: a flush or compaction was under way at the last stop"
            );
        }
        Ok(())
    }
}
