//! What lies in a directory, read once: schemas, logs, files. Nothing is judged here.

use super::InspectError;
use super::metadata::StoredTablet;
use crate::cache::{BlockCache, CacheOptions};
use crate::lock_service::EmbeddedLockService;
use crate::log::inspect::LogView;
use crate::log::{Cut, LogError};
use crate::server::DataDirectory;
use crate::sstable::{Depth, Properties, Sstable, SstableError};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use terrane_client::error::TabletError;
use terrane_client::ids::{LocalityGroupId, Seq, StorageId};
use terrane_client::metadata::{ROOT_KEY, SCHEMA_PREFIX, TabletRow, codec};
use terrane_client::schema::TableSchema;
use terrane_env::Env;

/// An SSTable's place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileName {
    /// Whose directory it is in, or should be.
    pub table: StorageId,
    /// Its name there.
    pub name: String,
}

/// What reading a file said.
#[derive(Clone, Debug)]
pub enum FileState {
    /// It is not there.
    Missing,
    /// It does not open: footer or sections are damaged, or it cannot be read.
    Unreadable(SstableError),
    /// It opens.
    Read(FileFacts),
}

/// What a file says of itself.
#[derive(Clone, Debug)]
pub struct FileFacts {
    /// Bytes.
    pub size_bytes: u64,
    /// Its properties.
    pub properties: Properties,
    /// First and last row key; `None` where there are no rows.
    pub bounds: Option<(Bytes, Bytes)>,
    /// Damage behind the footer.
    pub problems: Vec<SstableError>,
}

/// What a log is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogPurpose {
    /// The lock service's, which is no server's.
    LockService,
    /// METADATA's.
    Metadata,
    /// All other tables'.
    Users,
}

impl LogPurpose {
    /// The log that a table's commits go to.
    pub fn of(table: StorageId) -> Self {
        match table {
            StorageId::METADATA => Self::Metadata,
            _ => Self::Users,
        }
    }
}

/// Whose log the lock service's is, as its segments say.
const LOCK_SERVICE: &str = "lock-service";

/// What reading a log said.
#[derive(Clone, Debug)]
pub enum LogState {
    /// There is none.
    Missing,
    /// A start would refuse it.
    Damaged(LogError),
    /// A start would take it.
    Read {
        /// The largest sequence number that is or was in it.
        last_seq: Seq,
        /// What a start would leave out.
        cut: Vec<Cut>,
    },
}

/// A table's schema as far as it is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchemaFacts {
    /// The table's name.
    pub name: String,
    /// Its locality groups.
    pub groups: Vec<LocalityGroupId>,
}

/// See the module's documentation.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The root tablet's row.
    pub root: Option<TabletRow>,
    /// Every tablet that METADATA has.
    pub tablets: Vec<StoredTablet>,
    /// The files they name.
    pub files: BTreeMap<FileName, FileState>,
    /// The files that are in table directories.
    pub listed: BTreeSet<FileName>,
    /// What is there but in no table's directory.
    pub strays: Vec<PathBuf>,
    /// The current schemas in the lock service.
    pub schemas: BTreeMap<StorageId, SchemaFacts>,
    /// The lock service's log, and those of every server that has a tablet.
    pub logs: BTreeMap<(String, LogPurpose), LogState>,
    /// METADATA's own tablets are all there, so that they can be seen to tile.
    pub has_metadata: bool,
    /// Everything that METADATA names was read, so that what it does not name can be told.
    pub is_complete: bool,
}

impl Evidence {
    /// What tables are called.
    pub fn names(&self) -> BTreeMap<StorageId, String> {
        self.schemas.iter().map(|(table, schema)| (*table, schema.name.clone())).collect()
    }

    /// Reads the root and the schemas.
    pub fn read_lock_service(
        &mut self,
        env: &Env,
        directory: &DataDirectory,
    ) -> Result<(), InspectError> {
        let place = |key: &str| format!("lock service, {key}");
        for (key, stored) in EmbeddedLockService::read_stopped(env, &directory.lock_service())? {
            if key == ROOT_KEY {
                let root = codec::parse_state(&stored.value);
                let value = |error| InspectError::Value { place: place(&key), error };
                self.root = Some(root.map_err(value)?);
            }
            let Some(table) = key.strip_prefix(SCHEMA_PREFIX).and_then(|id| id.parse().ok()) else {
                continue;
            };
            let schema: TableSchema = serde_json::from_slice(&stored.value).map_err(|error| {
                let error = TabletError::Internal(format!("schema does not parse: {error}"));
                InspectError::Value { place: place(&key), error }
            })?;
            let groups = schema.groups.iter().map(|group| group.id).collect();
            self.schemas.insert(StorageId(table), SchemaFacts { name: schema.name, groups });
        }
        // A damaged one is an error above; what a start would cut of it is worth a line.
        let log = read_log(env, &directory.lock_service().join("log"), Depth::Sections)?;
        self.logs.insert((LOCK_SERVICE.to_owned(), LogPurpose::LockService), log);
        Ok(())
    }

    /// Reads the logs of every server that has a tablet; at depth also their records.
    pub fn read_logs(
        &mut self,
        env: &Env,
        directory: &DataDirectory,
        depth: Depth,
    ) -> Result<(), InspectError> {
        for tablet in &self.tablets {
            let (server, purpose) = (&tablet.row.server, LogPurpose::of(tablet.row.table));
            if self.logs.contains_key(&(server.clone(), purpose)) {
                continue;
            }
            let path = match purpose {
                LogPurpose::LockService => directory.lock_service().join("log"),
                LogPurpose::Metadata => directory.metadata_log(server),
                LogPurpose::Users => directory.users_log(server),
            };
            let state = match env.files.exists(&path)? {
                false => LogState::Missing,
                true => read_log(env, &path, depth).unwrap_or_else(LogState::Damaged),
            };
            self.logs.insert((server.clone(), purpose), state);
        }
        Ok(())
    }

    /// Reads every file that a tablet names and that was not read before.
    pub fn read_files(
        &mut self,
        env: &Env,
        directory: &DataDirectory,
        depth: Depth,
    ) -> Result<(), InspectError> {
        // Every file is read once: only what its index needs while it is open.
        let cache = BlockCache::new(CacheOptions {
            data_bytes: 1 << 20,
            meta_bytes: 4 << 20,
            ..CacheOptions::default()
        });
        for tablet in &self.tablets {
            let runs = tablet.row.groups.iter().flat_map(|group| &group.runs);
            for file in runs.flat_map(|run| &run.files) {
                let name = FileName { table: tablet.row.table, name: file.name.clone() };
                if self.files.contains_key(&name) {
                    continue;
                }
                let path = directory.table(name.table).join(&name.name);
                let number = self.files.len() as u64;
                let state = match env.files.exists(&path)? {
                    false => FileState::Missing,
                    true => read_file(env, &path, number, &cache, depth),
                };
                self.files.insert(name, state);
            }
        }
        Ok(())
    }

    /// Lists what is in the tables' directories.
    pub fn list_files(&mut self, env: &Env, directory: &DataDirectory) -> Result<(), InspectError> {
        let tables = directory.tables();
        if !env.files.exists(&tables)? {
            return Ok(());
        }
        for name in env.files.list(&tables)? {
            let Ok(table) = name.parse().map(StorageId) else {
                self.strays.push(tables.join(name));
                continue;
            };
            for name in env.files.list(&directory.table(table))? {
                self.listed.insert(FileName { table, name });
            }
        }
        Ok(())
    }
}

fn read_log(env: &Env, path: &Path, depth: Depth) -> Result<LogState, LogError> {
    let view = LogView::of_directory(env, path)?;
    let chain = view.chain()?;
    let mut records = view.records(chain);
    let report = records.report().clone();
    if depth == Depth::Pages {
        records.try_for_each(|record| record.map(drop))?;
    }
    Ok(LogState::Read { last_seq: report.last_seq, cut: report.cut })
}

fn read_file(
    env: &Env,
    path: &Path,
    number: u64,
    cache: &std::sync::Arc<BlockCache>,
    depth: Depth,
) -> FileState {
    match Sstable::open(env, path, number, cache) {
        Err(error) => FileState::Unreadable(error),
        Ok(table) => FileState::Read(FileFacts {
            size_bytes: table.size_bytes(),
            properties: table.properties().clone(),
            bounds: table.key_bounds(),
            problems: table.examine(depth).problems,
        }),
    }
}
