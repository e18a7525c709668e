//! Segment files: preparing them ahead of use, from zeros or from what was freed.
//!
//! A segment is used only once its space, header and name are durable. A freed file is renamed, its
//! header written again and both synced; the frames left in it never validate, because every crc starts
//! from the segment's number.

use super::format::{SegmentHeader, SegmentId};
use super::options::LogOptions;
use crate::checksum::Crc32c;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use terrane_env::files::File;
use terrane_env::{Env, IoError};

/// A prepared segment.
#[derive(Debug)]
pub(super) struct SegmentFile {
    pub(super) id: SegmentId,
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn File>,
    /// Bytes that may be written without asking the disk for space.
    pub(super) len: u64,
    pub(super) seed: Crc32c,
    /// Behind its frames may be those of a segment that the file was before.
    pub(super) is_reused: bool,
}

/// A file whose contents are no longer needed, all of whose space is allocated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SpareFile {
    pub(super) path: PathBuf,
    pub(super) len: u64,
}

/// Writes `header` into `spare` under the name the header says.
pub(super) fn recycle(
    env: &Env,
    directory: &Path,
    spare: &SpareFile,
    header: &SegmentHeader,
) -> Result<SegmentFile, IoError> {
    let path = directory.join(header.id.to_string());
    env.files.rename(&spare.path, &path)?;
    let file = env.files.open_write(&path)?;
    file.write_at(&header.encode(), 0)?;
    file.sync_data()?;
    env.files.sync_dir(directory)?;
    let seed = header.id.seed(&header.server);
    Ok(SegmentFile { id: header.id, path, file, len: spare.len, seed, is_reused: true })
}

/// Makes a segment of zeros. Where the disk has no room for `len` bytes, half as much is tried, down
/// to the size of the first segment. A failed attempt leaves no file behind.
pub(super) fn create(
    env: &Env,
    directory: &Path,
    header: &SegmentHeader,
    mut len: u64,
    options: &LogOptions,
) -> Result<SegmentFile, IoError> {
    let path = directory.join(header.id.to_string());
    loop {
        let created = create_at(env, &path, &header.encode(), len, options);
        let error = match created.and_then(|file| env.files.sync_dir(directory).map(|()| file)) {
            Ok(file) => {
                let seed = header.id.seed(&header.server);
                return Ok(SegmentFile { id: header.id, path, file, len, seed, is_reused: false });
            }
            Err(error) => error,
        };
        remove_quietly(env, &path);
        len /= 2;
        if !error.is_disk_full() || len < options.first_segment_bytes {
            return Err(error);
        }
    }
}

/// Creates a file that begins with `start` and has space for `len` bytes, durably but for its name.
pub(super) fn create_at(
    env: &Env,
    path: &Path,
    start: &[u8],
    len: u64,
    options: &LogOptions,
) -> Result<Arc<dyn File>, IoError> {
    let file = env.files.create_new(path)?;
    file.write_at(start, 0)?;
    let mut end = start.len() as u64;
    while end < len {
        end = (end + options.allocate_step_bytes).min(len);
        file.allocate(end)?;
        file.sync_data()?;
    }
    file.sync_all()?;
    Ok(file)
}

/// Removes what a failed attempt may have left. If that fails too, the next start removes it.
pub(super) fn remove_quietly(env: &Env, path: &Path) {
    if let Err(error) = env.files.remove(path)
        && !error.is_not_found()
    {
        tracing::warn!("left behind until the next start: {error}");
    }
}
