//! Writing a run: row versions in, files of about equal size out.
//!
//! A file ends between two keys, never inside one. Range tombstones are cut there, too: each file has those of the keys
//! from the end of the file before to the first key of the next, and bounds that reach around them, so that whoever
//! looks for files by their bounds finds them. Files are synced as they end; the directory is synced
//! once, by [`RunWriter::finish`], before anyone may mention them. On an error, and when the writer is
//! dropped unfinished, its files are removed: nobody can have heard of them.
//!
//! Each file has the ids of the requests that are to be remembered with the run (rule 5). Where there are such and nothing
//! else is left to write, the run is a file without rows.

use crate::fragments::Fragments;
use crate::request_ids::{MalformedRequestIds, RequestHistory};
use crate::scan::GroupGc;
use crate::sstable::{
    Cell, Properties, Result, RowVersion, SstableWriter, WriterOptions, WriterSchema,
};
use bytes::Bytes;
use std::path::{Path, PathBuf};
use terrane_client::error::TabletError;
use terrane_client::ids::{CommitTs, Seq};
use terrane_client::metadata::FileRow;
use terrane_client::read::KeyRange;
use terrane_client::row::{ROW_HAS_OLDER, ROW_MARKER};
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
    /// The last key's newest version says that there are older ones that count.
    has_older: bool,
    tombstones: RunTombstones,
    /// The property that each file has, and what part of the tablet the run is of.
    requests: Option<(Bytes, KeyRange)>,
    /// The policies by which it is noted when something ends by its age, where somebody wants to know that.
    ends_by: Option<Vec<GroupGc>>,
    /// When the row ends that what is added next is of, where others' policies say so.
    row_end: CommitTs,
    files: Vec<FileRow>,
    is_finished: bool,
}

/// The range tombstones of a run, which have no sequence numbers of their own.
#[derive(Debug, Default)]
pub struct RunTombstones {
    /// What is deleted.
    pub fragments: Fragments,
    /// The smallest and the largest sequence number of what is written.
    pub seqs: (Seq, Seq),
}

/// The requests whose rows are in a run, or were until they were collected as garbage.
#[derive(Debug)]
pub struct RunRequests {
    /// Their ids.
    pub requests: RequestHistory,
    /// Which part of the tablet the run is of.
    pub range: KeyRange,
}

struct OpenFile {
    name: String,
    writer: SstableWriter,
    /// Older versions that are kept beneath a whole row.
    retained: u64,
    /// When the first of what ends by its age ends.
    first_end: CommitTs,
}

/// The property of a file that says how many of its row versions are older ones that are kept: no garbage.
const RETAINED: &str = "retained_versions";

/// The property of a file that says when the first of what is in it ends by its age.
const FIRST_END: &str = "first_end";

/// When the first of what is in a file ends by its age, if that was noted.
pub fn first_end(properties: &Properties) -> Option<CommitTs> {
    let value = properties.user.get(FIRST_END).and_then(|value| value[..].try_into().ok());
    value.map(|value| CommitTs(i64::from_le_bytes(value)))
}

/// How many row versions of a file are older ones that its group's policies keep.
pub fn retained_versions(properties: &Properties) -> u64 {
    let value = properties.user.get(RETAINED).and_then(|value| value[..].try_into().ok());
    value.map_or(0, u64::from_le_bytes)
}

/// The property with a [`RequestHistory`].
const REQUEST_IDS: &str = "request_ids";

/// The requests that a file remembers.
pub fn requests_of(properties: &Properties) -> Result<RequestHistory, MalformedRequestIds> {
    let property = properties.user.get(REQUEST_IDS);
    property.map_or_else(|| Ok(RequestHistory::default()), |bytes| RequestHistory::decode(bytes))
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
            has_older: false,
            tombstones: RunTombstones::default(),
            requests: None,
            ends_by: None,
            row_end: CommitTs::MAX,
            files: Vec::new(),
            is_finished: false,
        }
    }

    /// Takes the run's range tombstones. Before the first row.
    pub fn set_tombstones(&mut self, tombstones: RunTombstones) {
        debug_assert!(self.open.is_none() && self.files.is_empty(), "files are cut with them");
        self.tombstones = tombstones;
    }

    /// Takes the requests that are to be remembered with the run.
    pub fn set_requests(&mut self, requests: RunRequests) {
        let RunRequests { requests, range } = requests;
        self.requests = (!requests.is_empty()).then(|| (requests.encode().into(), range));
    }

    /// Notes in each file when the first of what is in it ends by its age. Before the first row.
    pub fn note_ends(&mut self, gc: Option<Vec<GroupGc>>) {
        self.ends_by = gc;
    }

    /// Says when the row ends that what is added from here on is of.
    pub fn note_row_end(&mut self, end: CommitTs) {
        self.row_end = end;
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
            self.end_file(Some(row.key))?;
        }
        if self.open.is_none() {
            self.open = Some(self.start_file()?);
        }
        let open = self.open.as_mut().expect("opened above");
        let is_older = open.writer.rows() > 0 && row.key == self.last_key;
        // Where cells have timestamps of the client's all versions are there to be kept.
        let keeps_all = self.options.blocks.client_times;
        open.retained += u64::from(is_older && (self.has_older || keeps_all));
        self.has_older = row.flags & ROW_HAS_OLDER != 0 || (is_older && self.has_older);
        match &self.ends_by {
            None => open.writer.add(row, cells)?,
            Some(policies) => {
                let (mut first_end, is_newest) = (open.first_end.min(self.row_end), !is_older);
                if row.flags & ROW_MARKER != 0 {
                    let ends = policies.iter().filter_map(|gc| gc.marker_end(row.commit_ts));
                    first_end = ends.fold(first_end, CommitTs::min);
                }
                let noted = cells.into_iter().inspect(|cell| {
                    let written = CommitTs(row.commit_ts.0.saturating_sub(cell.ts_delta));
                    let end = |gc: &GroupGc| gc.cell_end(cell.column, written, is_newest);
                    first_end = policies.iter().filter_map(end).fold(first_end, CommitTs::min);
                });
                open.writer.add(row, noted)?;
                open.first_end = first_end;
            }
        }
        self.last_key.clear();
        self.last_key.extend_from_slice(row.key);
        Ok(())
    }

    fn start_file(&self) -> Result<OpenFile> {
        let name = self.names.next_name();
        let file = self.env.files.create_new(&self.directory.join(&name))?;
        let writer = SstableWriter::new(file, self.schema, self.options.blocks.clone())?;
        Ok(OpenFile { name, writer, retained: 0, first_end: CommitTs::MAX })
    }

    /// Ends the open file; `next` is the first key of the one after it.
    fn end_file(&mut self, next: Option<&[u8]>) -> Result<()> {
        let Some(OpenFile { name, mut writer, retained, first_end }) = self.open.take() else {
            return Ok(());
        };
        if self.ends_by.is_some() {
            writer.set_property(FIRST_END, Bytes::copy_from_slice(&first_end.0.to_le_bytes()));
        }
        if retained > 0 {
            writer.set_property(RETAINED, Bytes::copy_from_slice(&retained.to_le_bytes()));
        }
        if let Some((property, _)) = &self.requests {
            writer.set_property(REQUEST_IDS, property.clone());
        }
        let path = self.directory.join(&name);
        let covered = self.add_tombstones(&mut writer, next);
        // A file without rows and tombstones is there for the ids of the run.
        let covered = match writer.rows() {
            0 => covered.or_else(|| self.requests.as_ref().map(|(_, range)| range.clone())),
            _ => covered,
        };
        match writer.finish() {
            Ok(summary) => {
                let has_rows = summary.bounds.is_some();
                let mut row = summary.file_row(name);
                if let Some(covered) = covered {
                    widen(&mut row, has_rows, covered);
                }
                self.files.push(row);
                Ok(())
            }
            Err(error) => {
                remove(self.env, &path);
                Err(error)
            }
        }
    }

    /// Gives a file the range tombstones that are its own; from the first key of theirs to the last.
    fn add_tombstones(&self, writer: &mut SstableWriter, next: Option<&[u8]>) -> Option<KeyRange> {
        let RunTombstones { fragments, seqs } = &self.tombstones;
        // The file before has those up to this one's first key.
        let start = match (self.files.is_empty(), writer.first_key()) {
            (false, Some(first)) => Bytes::copy_from_slice(first),
            _ => Bytes::new(),
        };
        let own = KeyRange { start, end: next.map(Bytes::copy_from_slice) };
        let mut covered: Option<KeyRange> = None;
        for tombstone in fragments.within(&own).tombstones() {
            let start = covered.map_or_else(|| tombstone.start.clone(), |before| before.start);
            covered = Some(KeyRange { start, end: tombstone.end.clone() });
            writer.add_range_tombstone(tombstone);
        }
        if covered.is_some() || writer.rows() == 0 {
            writer.include_seq(seqs.0);
            writer.include_seq(seqs.1);
        }
        covered
    }

    /// Ends the run: its files, ascending, all durable. None if nothing was added.
    pub fn finish(mut self) -> Result<Vec<FileRow>> {
        let has_more = !self.tombstones.fragments.is_empty() || self.requests.is_some();
        if self.open.is_none() && self.files.is_empty() && has_more {
            // There may be nothing else to write.
            self.open = Some(self.start_file()?);
        }
        self.end_file(None)?;
        if !self.files.is_empty() {
            self.env.files.sync_dir(&self.directory)?;
        }
        self.is_finished = true;
        Ok(std::mem::take(&mut self.files))
    }
}

/// Makes a file's bounds reach around its range tombstones.
fn widen(row: &mut FileRow, has_rows: bool, covered: KeyRange) {
    let KeyRange { start, end } = covered;
    if !has_rows {
        (row.start, row.end) = (start.to_vec(), end.map(|end| end.to_vec()));
        return;
    }
    if start < row.start {
        row.start = start.to_vec();
    }
    row.end = match (row.end.take(), end) {
        (Some(rows), Some(end)) => Some(rows.max(end.to_vec())),
        _ => None,
    };
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

#[cfg(test)]
mod tests;
