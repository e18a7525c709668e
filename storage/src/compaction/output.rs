//! Writing a run: row versions in, files of about equal size out.
//!
//! A file ends between two keys, never inside one. Files are synced as they end; the directory is synced
//! once, by [`RunWriter::finish`], before anyone may mention them. On an error, and when the writer is
//! dropped unfinished, its files are removed: nobody can have heard of them.

use crate::sstable::{Cell, Result, RowVersion, SstableWriter, WriterOptions, WriterSchema};
use std::path::{Path, PathBuf};
use terrane_client::error::TabletError;
use terrane_client::metadata::FileRow;
use terrane_env::Env;

/// How a run is written.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// A file ends at the first new key after this many bytes.
    pub file_bytes: u64,
    /// The layout of its blocks.
    pub blocks: WriterOptions,
}

/// Gives every file its name, for good.
pub trait NameFiles: Sync {
    /// A name that no file of the server ever had.
    fn next_name(&self) -> String;
}

/// See the module's documentation.
pub struct RunWriter<'a> {
    env: &'a Env,
    directory: PathBuf,
    schema: &'a WriterSchema,
    options: RunOptions,
    names: &'a dyn NameFiles,
    open: Option<OpenFile>,
    last_key: Vec<u8>,
    files: Vec<FileRow>,
    is_finished: bool,
}

struct OpenFile {
    name: String,
    writer: SstableWriter,
}

impl<'a> RunWriter<'a> {
    /// A writer of files in `directory`, which exists.
    pub fn new(
        env: &'a Env,
        directory: &Path,
        schema: &'a WriterSchema,
        options: RunOptions,
        names: &'a dyn NameFiles,
    ) -> Self {
        Self {
            env,
            directory: directory.to_owned(),
            schema,
            options,
            names,
            open: None,
            last_key: Vec::new(),
            files: Vec::new(),
            is_finished: false,
        }
    }

    /// Adds a row version: keys ascend, versions of a key come newest first.
    pub fn add<'c>(
        &mut self,
        row: RowVersion<'_>,
        cells: impl IntoIterator<Item = Cell<'c>>,
    ) -> Result<()> {
        let is_full = self
            .open
            .as_ref()
            .is_some_and(|open| open.writer.estimated_bytes() >= self.options.file_bytes);
        if is_full && row.key != self.last_key {
            self.end_file()?;
        }
        if self.open.is_none() {
            self.open = Some(self.start_file()?);
        }
        let open = self.open.as_mut().expect("opened above");
        open.writer.add(row, cells)?;
        self.last_key.clear();
        self.last_key.extend_from_slice(row.key);
        Ok(())
    }

    fn start_file(&self) -> Result<OpenFile> {
        let name = self.names.next_name();
        let file = self.env.files.create_new(&self.directory.join(&name))?;
        let writer = SstableWriter::new(file, self.schema, self.options.blocks.clone())?;
        Ok(OpenFile { name, writer })
    }

    fn end_file(&mut self) -> Result<()> {
        if let Some(OpenFile { name, writer }) = self.open.take() {
            let path = self.directory.join(&name);
            match writer.finish() {
                Ok(summary) => self.files.push(summary.file_row(name)),
                Err(error) => {
                    remove(self.env, &path);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Ends the run: its files, ascending, all durable. None if nothing was added.
    pub fn finish(mut self) -> Result<Vec<FileRow>> {
        self.end_file()?;
        if !self.files.is_empty() {
            self.env.files.sync_dir(&self.directory)?;
        }
        self.is_finished = true;
        Ok(std::mem::take(&mut self.files))
    }
}

impl Drop for RunWriter<'_> {
    fn drop(&mut self) {
        if !self.is_finished {
            let open = self.open.take().map(|open| open.name);
            for name in self.files.iter().map(|file| file.name.clone()).chain(open) {
                remove(self.env, &self.directory.join(name));
            }
        }
    }
}

/// Removes a file nobody refers to. If that fails, the next start removes it.
pub fn remove(env: &Env, path: &Path) {
    if let Err(error) = env.files.remove(path)
        && !error.is_not_found()
    {
        tracing::warn!("left behind until the next start: {error}");
    }
}

/// A failed file operation, as a tablet's error.
pub fn io_error(error: terrane_env::IoError) -> TabletError {
    match error.is_disk_full() {
        true => TabletError::DiskFull(error.to_string()),
        false => TabletError::Io(error.to_string()),
    }
}
