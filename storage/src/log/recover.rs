//! Opening a log: what is there, what of it counts, and the new segment that makes it certain.
//!
//! Nothing found is changed before all of it is understood. Then one new segment is made: its header voids
//! everything beyond the proven end in older segments, and holds copies of the frames that were valid
//! but not proven durable. It gets its name only after it is synced, so a crash before that changes
//! nothing, and a crash after that leaves a log in which everything recovered is proven.

use super::chain::{Chain, FoundSegment, chain};
use super::error::LogError;
use super::format::{
    FORMAT, FRAME_HEADER_BYTES, HeaderDamage, LogIdentity, SEGMENT_HEADER_BYTES, SegmentHeader,
    SegmentId,
};
use super::options::LogOptions;
use super::scan::{FrameAt, scan_segment};
use super::segment::{SegmentFile, SpareFile, create_at, remove_quietly};
use super::state::MARK_SLACK_BYTES;
use crate::checksum::Crc32c;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use terrane_env::{Env, IoError};

/// The new segment before it has its name.
const UNNAMED: &str = "recovery.tmp";
/// Allocated space without contents, for a start on a full disk.
const RESERVE: &str = "reserve";
/// The reserve before all of its space is allocated.
const RESERVE_UNNAMED: &str = "reserve.tmp";

/// What opening found and made.
pub(super) struct Recovered {
    pub(super) chain: Chain,
    /// Every segment found, ascending by number; the chain's frames point into it.
    pub(super) found: Vec<FoundSegment>,
    pub(super) spares: Vec<SpareFile>,
    /// The new segment.
    pub(super) active: Arc<SegmentFile>,
    /// Where the next frame goes in `active`.
    pub(super) position: u64,
    pub(super) next_segment: u32,
}

pub(super) fn recover(
    env: &Env,
    directory: &Path,
    identity: &LogIdentity,
    options: &LogOptions,
) -> Result<Recovered, LogError> {
    env.files.create_dir_all(directory)?;
    let ids = segment_ids(env, directory)?;
    let found = find(env, directory, identity, &ids)?;
    let chain = chain(&found)?;
    let id =
        SegmentId { number: ids.last().map_or(1, |id| id.number + 1), epoch: identity.epoch.0 };
    let needed: BTreeSet<usize> = chain.frames.iter().map(|frame| frame.segment()).collect();
    let leftover = || {
        let numbered = found.iter().enumerate();
        numbered.filter(|(index, _)| !needed.contains(index)).map(|(_, segment)| segment)
    };
    let start = || start_segment(env, directory, id, identity, &chain, &found, options);
    let (active, position, spares) = match start() {
        Ok((active, position)) => {
            let spares = keep_spares(env, directory, leftover(), options, &active.path)?;
            (active, position, spares)
        }
        Err(LogError::Full(_)) if leftover().next().is_some() => {
            // What is not needed goes first. The chain does not depend on it.
            let none = LogOptions { spare_segments_max: 0, ..options.clone() };
            keep_spares(env, directory, leftover(), &none, Path::new(""))?;
            let (active, position) = start()?;
            (active, position, Vec::new())
        }
        Err(error) => return Err(error),
    };
    keep_reserve(env, directory, options)?;
    let next_segment = id.number + 1;
    Ok(Recovered { chain, found, spares, active: Arc::new(active), position, next_segment })
}

/// The segments in the directory, ascending by number. What is no segment is removed if it is ours.
fn segment_ids(env: &Env, directory: &Path) -> Result<Vec<SegmentId>, LogError> {
    let mut ids = Vec::new();
    for name in env.files.list(directory)? {
        match SegmentId::parse(&name) {
            Some(id) => ids.push(id),
            None if name == RESERVE => {}
            None if name == UNNAMED || name == RESERVE_UNNAMED => {
                env.files.remove(&directory.join(name))?;
            }
            None => {
                tracing::warn!("{}: not a log segment, ignored", directory.join(name).display())
            }
        }
    }
    ids.sort_unstable();
    Ok(ids)
}

fn find(
    env: &Env,
    directory: &Path,
    identity: &LogIdentity,
    ids: &[SegmentId],
) -> Result<Vec<FoundSegment>, LogError> {
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let path = directory.join(id.to_string());
        if id.epoch > identity.epoch.0 {
            return Err(LogError::Fenced { found: id.epoch, own: identity.epoch.0 });
        }
        let bytes = env.files.read(&path)?;
        found.push(found_segment(path, *id, &identity.server, &bytes)?);
    }
    Ok(found)
}

/// What the bytes of a segment of this server's log hold.
pub(super) fn found_segment(
    path: PathBuf,
    id: SegmentId,
    server: &str,
    bytes: &[u8],
) -> Result<FoundSegment, LogError> {
    let header = match SegmentHeader::decode(bytes) {
        Ok(header) if header.server != server => {
            return Err(LogError::WrongServer { file: path, found: header.server });
        }
        Err(HeaderDamage::Newer(found)) => {
            return Err(LogError::NewerFormat { file: path, found, known: FORMAT });
        }
        header => header.ok(),
    };
    // Any header of ours was written after all of the file's space had been allocated.
    let formatted = header.is_some();
    let header = header.filter(|header| header.id == id);
    let scan = scan_segment(bytes, id.number, id.seed(server));
    Ok(FoundSegment { id, path, len: bytes.len() as u64, formatted, header, scan })
}

/// Keeps some of the files that are not needed for reuse, and removes the others.
fn keep_spares<'a>(
    env: &Env,
    directory: &Path,
    leftover: impl Iterator<Item = &'a FoundSegment>,
    options: &LogOptions,
    active: &Path,
) -> Result<Vec<SpareFile>, LogError> {
    let mut spares = Vec::new();
    let mut removed = false;
    for segment in leftover {
        assert_ne!(segment.path, active, "the new segment is none of those found");
        let large = segment.len >= options.first_segment_bytes;
        if segment.formatted && large && spares.len() < options.spare_segments_max {
            spares.push(SpareFile { path: segment.path.clone(), len: segment.len });
        } else {
            env.files.remove(&segment.path)?;
            removed = true;
        }
    }
    if removed {
        env.files.sync_dir(directory)?;
    }
    Ok(spares)
}

/// Makes the segment that this epoch starts with.
fn start_segment(
    env: &Env,
    directory: &Path,
    id: SegmentId,
    identity: &LogIdentity,
    chain: &Chain,
    found: &[FoundSegment],
    options: &LogOptions,
) -> Result<(SegmentFile, u64), LogError> {
    let header = SegmentHeader {
        id,
        server: identity.server.clone(),
        low: chain.low,
        void_from: chain.proven_lsn.max(chain.low.base_lsn.max(1) - 1) + 1,
        proven_lsn: chain.end_lsn,
    };
    let seed = id.seed(&identity.server);
    let mut start = header.encode().to_vec();
    for frame in &chain.frames {
        let at = frame.of(found);
        if at.header.lsn >= header.void_from {
            copy_frame(env, &found[frame.segment()].path, at, id, seed, &mut start)?;
        }
    }
    let unnamed = directory.join(UNNAMED);
    let position = start.len() as u64;
    let mut len = position + options.first_segment_bytes;
    match create_at(env, &unnamed, &start, len, options) {
        Ok(_) => {}
        Err(error) if error.is_disk_full() => {
            remove_quietly(env, &unnamed);
            len = use_reserve(env, directory, &start, error)?;
        }
        Err(error) => return Err(error.into()),
    }
    let path = directory.join(id.to_string());
    env.files.rename(&unnamed, &path)?;
    env.files.sync_dir(directory)?;
    // Opened again so that an error names the file as it is called now.
    let file = env.files.open_write(&path)?;
    Ok((SegmentFile { id, path, file, len, seed, is_reused: false }, position))
}

/// Turns the reserve into the unnamed segment; its length. A full disk must not keep anyone from reading.
fn use_reserve(env: &Env, directory: &Path, start: &[u8], full: IoError) -> Result<u64, LogError> {
    let reserve = directory.join(RESERVE);
    if !env.files.exists(&reserve)? {
        return Err(LogError::Full(full));
    }
    let len = env.files.file_size(&reserve)?;
    if len < start.len() as u64 + MARK_SLACK_BYTES {
        return Err(LogError::Full(full));
    }
    let unnamed = directory.join(UNNAMED);
    env.files.rename(&reserve, &unnamed)?;
    let file = env.files.open_write(&unnamed)?;
    file.write_at(start, 0)?;
    file.sync_all()?;
    Ok(len)
}

/// Makes the reserve, if it is not there: space for the new segment of a start on a full disk.
fn keep_reserve(env: &Env, directory: &Path, options: &LogOptions) -> Result<(), LogError> {
    let reserve = directory.join(RESERVE);
    if env.files.exists(&reserve)? {
        return Ok(());
    }
    let unnamed = directory.join(RESERVE_UNNAMED);
    let copies = (options.group_bytes + options.frame_bytes) as u64;
    let len = SEGMENT_HEADER_BYTES as u64 + copies + MARK_SLACK_BYTES;
    match create_at(env, &unnamed, &[0], len, options) {
        Ok(_) => {
            env.files.rename(&unnamed, &reserve)?;
            Ok(env.files.sync_dir(directory)?)
        }
        Err(error) if error.is_disk_full() => {
            tracing::warn!("no room for the commit log's reserve: {error}");
            remove_quietly(env, &unnamed);
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Appends a frame to `out` as the frame of another segment.
fn copy_frame(
    env: &Env,
    path: &Path,
    frame: &FrameAt,
    id: SegmentId,
    seed: Crc32c,
    out: &mut Vec<u8>,
) -> Result<(), LogError> {
    let start = out.len();
    let len = FRAME_HEADER_BYTES + frame.header.body_len as usize;
    out.resize(start + frame.header.stride(), 0);
    let file = env.files.open_read(path)?;
    file.read_exact_at(&mut out[start..start + len], frame.offset)?;
    let mut header = frame.header;
    header.segment = id.number;
    header.encode(&mut out[start..start + len], seed);
    Ok(())
}
