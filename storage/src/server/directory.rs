//! The data directory: who may open it, and where everything in it lies.
//!
//! ```text
//! <data>/FORMAT                          "terrane data directory, format 2\n"
//! <data>/LOCK                            held by the process that has it open
//! <data>/lock-service/                   the embedded lock service
//! <data>/servers/<server>/log-metadata/  METADATA's commit log
//! <data>/servers/<server>/log-users/     every other table's commit log
//! <data>/tables/<storage id>/<generation>-<number>.sst
//! ```
//!
//! Contract: [`DataDirectory::open`] either owns the directory or has changed nothing in it. A directory
//! without FORMAT is taken only if it is missing, empty, or what an interrupted first start left.
//!
//! Formats: in 1 METADATA is one tablet; in 2 it may be several, and a build that knows 1 only would take what the others name
//! for garbage. A directory of format 1 is opened as it is, and becomes one of format 2 before METADATA is cut.
//!
//! Fault model: FORMAT is written under another name, synced and renamed, so it is never torn.

use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use terrane_client::ids::StorageId;
use terrane_env::Env;
use terrane_env::IoError;
use terrane_env::files::FileLock;

/// The format this build writes. It reads every older one.
pub const FORMAT_VERSION: u32 = 2;

const FORMAT_FILE: &str = "FORMAT";
const FORMAT_FILE_NEW: &str = "FORMAT.new";
const LOCK_FILE: &str = "LOCK";
const FORMAT_PREFIX: &str = "terrane data directory, format ";

/// Why a data directory was refused. Nothing in it was changed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// Another process has it open.
    #[error("data directory {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// A newer Terrane wrote it.
    #[error(
        "data directory {} has format {found}, this build knows formats up to {FORMAT_VERSION}: \
         use the Terrane that wrote it, or a newer one",
        path.display()
    )]
    NewerFormat {
        /// The directory.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Not ours.
    #[error("{} is not a Terrane data directory: {what}", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// What says so.
        what: String,
    },
    /// A file operation failed.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// An owned data directory. Dropping it lets another process have it.
#[derive(Debug)]
pub struct DataDirectory {
    root: PathBuf,
    lock: Mutex<Option<Box<dyn FileLock>>>,
}

impl DataDirectory {
    /// Takes the directory for this process, making it if it is missing.
    pub fn open(env: &Env, root: &Path) -> Result<Self, DirectoryError> {
        let files = &env.files;
        // Before anything is touched: a foreign or newer directory must not even get a LOCK file.
        if files.exists(root)? {
            Self::check(env, root)?;
        } else {
            files.create_dir_all(root)?;
        }
        let lock = Self::lock(env, root)?;
        // Again, now that nobody else can be writing it.
        if Self::check(env, root)?.is_none() {
            Self::write_format(env, root)?;
        }
        Ok(Self { root: root.to_owned(), lock: Mutex::new(Some(lock)) })
    }

    /// Makes it a directory of the format this build writes, if it is of an older one. Durable when it returns: older builds
    /// refuse it from then on.
    pub fn raise_format(&self, env: &Env) -> Result<(), DirectoryError> {
        match Self::check(env, &self.root)? {
            Some(FORMAT_VERSION) => Ok(()),
            _ => Self::write_format(env, &self.root),
        }
    }

    fn write_format(env: &Env, root: &Path) -> Result<(), DirectoryError> {
        let files = &env.files;
        let new = root.join(FORMAT_FILE_NEW);
        if files.exists(&new)? {
            files.remove(&new)?;
        }
        let text = format!("{FORMAT_PREFIX}{FORMAT_VERSION}\n");
        files.write_new_durable(&new, text.as_bytes())?;
        files.rename(&new, &root.join(FORMAT_FILE))?;
        Ok(files.sync_dir(root)?)
    }

    /// Takes a directory that a Terrane has written, to look at it: nothing in it is made or changed.
    pub fn open_existing(env: &Env, root: &Path) -> Result<Self, DirectoryError> {
        let missing =
            |what: &str| DirectoryError::Foreign { path: root.to_owned(), what: what.to_owned() };
        if !env.files.exists(root)? {
            return Err(missing("there is no such directory"));
        }
        // Every start leaves a LOCK. Without one, taking the lock would make it.
        if Self::check(env, root)?.is_none() || !env.files.exists(&root.join(LOCK_FILE))? {
            return Err(missing("no server has ever run in it"));
        }
        let lock = Self::lock(env, root)?;
        // Again, now that nobody else can be writing it.
        Self::check(env, root)?;
        Ok(Self { root: root.to_owned(), lock: Mutex::new(Some(lock)) })
    }

    fn lock(env: &Env, root: &Path) -> Result<Box<dyn FileLock>, DirectoryError> {
        env.files.lock_exclusive(&root.join(LOCK_FILE)).map_err(|error| match error.is_locked() {
            true => DirectoryError::InUse(root.to_owned()),
            false => error.into(),
        })
    }

    /// The directory's format, which this build knows; `None` where it is as good as empty.
    fn check(env: &Env, root: &Path) -> Result<Option<u32>, DirectoryError> {
        let foreign = |what: String| DirectoryError::Foreign { path: root.to_owned(), what };
        let format_path = root.join(FORMAT_FILE);
        if !env.files.exists(&format_path)? {
            let other = env
                .files
                .list(root)?
                .into_iter()
                .find(|name| name != LOCK_FILE && name != FORMAT_FILE_NEW);
            return match other {
                None => Ok(None),
                Some(name) => Err(foreign(format!("it has no FORMAT file but holds {name}"))),
            };
        }
        let text = env.files.read(&format_path)?;
        let found = std::str::from_utf8(&text)
            .ok()
            .and_then(|text| text.strip_prefix(FORMAT_PREFIX))
            .and_then(|text| text.trim_end().parse::<u32>().ok())
            .ok_or_else(|| foreign("its FORMAT file does not say a format".to_owned()))?;
        match found {
            1..=FORMAT_VERSION => Ok(Some(found)),
            newer if newer > FORMAT_VERSION => {
                Err(DirectoryError::NewerFormat { path: root.to_owned(), found })
            }
            _ => Err(foreign(format!("there never was a format {found}"))),
        }
    }

    /// Lets another process have the directory: for a shutdown that waits for its last reader elsewhere.
    pub fn release(&self) {
        self.lock.lock().take();
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the embedded lock service keeps its files.
    pub fn lock_service(&self) -> PathBuf {
        self.root.join("lock-service")
    }

    /// METADATA's commit log.
    pub fn metadata_log(&self, server: &str) -> PathBuf {
        self.root.join("servers").join(server).join("log-metadata")
    }

    /// The other tables' commit log.
    pub fn users_log(&self, server: &str) -> PathBuf {
        self.root.join("servers").join(server).join("log-users")
    }

    /// One directory a table's storage.
    pub fn tables(&self) -> PathBuf {
        self.root.join("tables")
    }

    /// The SSTables of one table.
    pub fn table(&self, storage: StorageId) -> PathBuf {
        self.tables().join(storage.to_string())
    }
}

#[cfg(test)]
mod tests;
