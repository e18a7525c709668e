//! Looking at a log without opening it: nothing is locked, made, cut or removed.
//!
//! [`LogView::of_directory`] finds what a start would find, by the same code; [`LogView::of_segment`] looks at
//! one file alone. The log of a running server may be looked at, too: its end is then what was on disk at
//! some moment.

use super::chain::{Chain, FoundSegment, FrameRef, chain};
use super::error::LogError;
use super::format::{
    FORMAT, FRAME_HEADER_BYTES, HeaderDamage, LogIdentity, LowWater, SegmentHeader, SegmentId,
    decode_mark,
};
use super::recover::found_segment;
use super::replay::Replay;
use super::scan::FrameAt;
use std::path::{Path, PathBuf};
use terrane_client::ids::Generation;
use terrane_env::Env;

/// What stands behind the frames that follow one another from a segment's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// Less than a frame's header.
    Full,
    /// Zeros: nothing was written there yet.
    Unused,
    /// Bytes of the segment that the file was before.
    Recycled,
    /// A frame of this segment that is not whole, and none behind it: a torn write, or a turned bit.
    Torn,
    /// A frame that is not whole, or bytes that are none, before frames of this segment.
    Damaged,
}

/// One segment file.
#[derive(Clone, Debug)]
pub struct SegmentView {
    /// Its path.
    pub path: PathBuf,
    /// From its name.
    pub id: SegmentId,
    /// Bytes.
    pub len: u64,
    /// Its header; that of another segment where it was freed and not written again.
    pub header: Result<SegmentHeader, HeaderDamage>,
    /// Its undamaged frames by offset, with the low-water mark of those that hold one.
    pub frames: Vec<(FrameAt, Option<LowWater>)>,
    /// Where the frames that follow one another end.
    pub stop: u64,
    /// What stands there.
    pub tail: Tail,
}

/// A log as it lies there.
#[derive(Debug)]
pub struct LogView {
    env: Env,
    server: String,
    found: Vec<FoundSegment>,
    /// Its segments, ascending by number.
    pub segments: Vec<SegmentView>,
    /// Other names in the directory.
    pub others: Vec<String>,
}

impl LogView {
    /// The log in a directory. Headers are taken as they are: that one is damaged is for
    /// [`LogView::chain`] to judge.
    pub fn of_directory(env: &Env, directory: &Path) -> Result<Self, LogError> {
        let mut ids = Vec::new();
        let mut others = Vec::new();
        for name in env.files.list(directory)? {
            match SegmentId::parse(&name) {
                Some(id) => ids.push(id),
                None => others.push(name),
            }
        }
        ids.sort_unstable();
        let paths = ids.into_iter().map(|id| (directory.join(id.to_string()), id)).collect();
        Self::of(env, paths, others)
    }

    /// One segment by itself.
    pub fn of_segment(env: &Env, path: &Path) -> Result<Self, LogError> {
        let name = path.file_name().and_then(|name| name.to_str());
        let id = name.and_then(SegmentId::parse);
        // A file under another name, a copy say, is what its header says.
        let id = match id {
            Some(id) => id,
            None => match SegmentHeader::decode(&start_of(env, path)?) {
                Ok(header) => header.id,
                Err(damage) => return Err(header_error(path, &damage)),
            },
        };
        Self::of(env, vec![(path.to_owned(), id)], Vec::new())
    }

    fn of(
        env: &Env,
        paths: Vec<(PathBuf, SegmentId)>,
        others: Vec<String>,
    ) -> Result<Self, LogError> {
        let mut server = None;
        for (path, _) in &paths {
            match SegmentHeader::decode(&start_of(env, path)?) {
                Ok(header) => server = server.or(Some(header.server)),
                Err(damage @ HeaderDamage::Newer(_)) => return Err(header_error(path, &damage)),
                // Frames are told from other bytes by the server's name: any other header has it.
                Err(HeaderDamage::Invalid(_)) => {}
            }
        }
        let server = server.unwrap_or_default();
        let mut found = Vec::new();
        let mut segments = Vec::new();
        for (path, id) in paths {
            let bytes = env.files.read(&path)?;
            let segment = found_segment(path, id, &server, &bytes)?;
            segments.push(view(&segment, &bytes));
            found.push(segment);
        }
        Ok(Self { env: env.clone(), server, found, segments, others })
    }

    /// Whose log it is, as far as any header tells.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// What a start would take of it, or why it would not start.
    pub fn chain(&self) -> Result<Chain, LogError> {
        if self.found.is_empty() {
            return Ok(Chain::default());
        }
        chain(&self.found)
    }

    /// The records that a start would replay.
    pub fn records(&self, chain: Chain) -> Replay {
        let identity = LogIdentity { server: self.server.clone(), epoch: Generation(0) };
        Replay::new(self.env.clone(), identity, self.found.clone(), chain, None)
    }

    /// The whole commits of a segment that is looked at by itself. The first may have begun in a segment
    /// before; then it does not parse.
    pub fn records_alone(&self) -> Replay {
        let frames = self.found.first().map_or(&[][..], |segment| &segment.scan.frames);
        let closed = frames.iter().rposition(|frame| !frame.is_open()).map_or(0, |last| last + 1);
        let frames = (0..closed).map(|frame| FrameRef::new(0, frame)).collect();
        self.records(Chain { frames, ..Chain::default() })
    }

    /// Whether a frame is one of a chain's.
    pub fn counts(&self, chain: &Chain, segment: usize, frame: &FrameAt) -> bool {
        let at = chain
            .frames
            .binary_search_by_key(&frame.header.lsn, |counted| counted.of(&self.found).header.lsn);
        at.is_ok_and(|at| {
            let counted = chain.frames[at];
            counted.segment() == segment && counted.of(&self.found).offset == frame.offset
        })
    }
}

fn start_of(env: &Env, path: &Path) -> Result<Vec<u8>, LogError> {
    let file = env.files.open_read(path)?;
    let mut bytes = vec![0; super::format::SEGMENT_HEADER_BYTES];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

fn header_error(path: &Path, damage: &HeaderDamage) -> LogError {
    let file = path.to_owned();
    match damage {
        HeaderDamage::Newer(found) => LogError::NewerFormat { file, found: *found, known: FORMAT },
        HeaderDamage::Invalid(what) => {
            LogError::Corruption { file, offset: 0, what: format!("no log segment: {what}") }
        }
    }
}

fn view(found: &FoundSegment, bytes: &[u8]) -> SegmentView {
    let low = |frame: &FrameAt| {
        let start = usize::try_from(frame.offset).ok()? + FRAME_HEADER_BYTES;
        decode_mark(bytes.get(start..start + frame.header.body_len as usize)?)
    };
    let frames = found.scan.frames.iter();
    let frames = frames.map(|frame| (*frame, frame.is_mark().then(|| low(frame)).flatten()));
    SegmentView {
        path: found.path.clone(),
        id: found.id,
        len: found.len,
        header: SegmentHeader::decode(bytes),
        frames: frames.collect(),
        stop: found.scan.stop,
        tail: tail(found, bytes),
    }
}

fn tail(found: &FoundSegment, bytes: &[u8]) -> Tail {
    let rest = usize::try_from(found.scan.stop).ok().and_then(|stop| bytes.get(stop..));
    let rest = rest.unwrap_or_default();
    if found.scan.frames.len() > found.scan.prefix {
        return Tail::Damaged;
    }
    if rest.len() < FRAME_HEADER_BYTES {
        return Tail::Full;
    }
    if found.scan.torn {
        return Tail::Torn;
    }
    match rest.iter().any(|byte| *byte != 0) {
        true => Tail::Recycled,
        false => Tail::Unused,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{DIRECTORY, env, open, put};
    use super::*;
    use terrane_env::files::FileSystem;
    use terrane_env::files::crash::CrashFileSystem;

    fn disk_with_rows(rows: u64) -> CrashFileSystem {
        let disk = CrashFileSystem::new(1);
        let (log, _) = open(&disk, 1);
        (1..=rows).for_each(|seq| drop(put(&log, seq)));
        log.close();
        disk
    }

    fn contents(disk: &CrashFileSystem) -> Vec<(String, Vec<u8>)> {
        let directory = Path::new(DIRECTORY);
        let names = disk.list(directory).unwrap().into_iter();
        names.map(|name| (name.clone(), disk.read(&directory.join(name)).unwrap())).collect()
    }

    fn seqs(replay: Replay) -> Vec<u64> {
        replay.map(|record| record.unwrap().seq.0).collect()
    }

    #[test]
    fn what_a_start_would_replay_is_seen_and_nothing_is_changed() {
        let disk = disk_with_rows(100);
        let before = contents(&disk);
        let view = LogView::of_directory(&env(&disk), Path::new(DIRECTORY)).unwrap();
        assert_eq!(view.server(), "s1");
        assert!(view.segments.len() > 1, "several segments");
        let chain = view.chain().unwrap();
        let counted = view.segments.iter().enumerate().flat_map(|(at, segment)| {
            let chain = &chain;
            let view = &view;
            segment.frames.iter().filter(move |(frame, _)| view.counts(chain, at, frame))
        });
        assert_eq!(counted.count(), chain.frames.len());
        assert_eq!(seqs(view.records(chain)), (1..=100).collect::<Vec<_>>());
        assert_eq!(contents(&disk), before);
        // The same after a start, whose new segment voids what it copied.
        let (log, records) = open(&disk, 2);
        assert_eq!(records.len(), 100);
        log.close();
        let view = LogView::of_directory(&env(&disk), Path::new(DIRECTORY)).unwrap();
        let chain = view.chain().unwrap();
        assert_eq!(seqs(view.records(chain)), (1..=100).collect::<Vec<_>>());
    }

    #[test]
    fn a_segment_says_where_and_why_its_frames_end() {
        let disk = disk_with_rows(5);
        let view = LogView::of_directory(&env(&disk), Path::new(DIRECTORY)).unwrap();
        let first = view.segments[0].clone();
        assert_eq!((first.frames.len(), first.tail), (5, Tail::Unused));
        let file = disk.open_write(&first.path).unwrap();
        let tail_of = |disk: &CrashFileSystem| {
            let view = LogView::of_segment(&env(disk), &first.path).unwrap();
            (view.segments[0].frames.len(), view.segments[0].stop, view.segments[0].tail)
        };
        file.write_at(b"something of another segment, longer than a header", first.stop).unwrap();
        assert_eq!(tail_of(&disk), (5, first.stop, Tail::Recycled));
        let last = first.frames[4].0.offset;
        disk.flip_bit(&first.path, last + 50, 3).unwrap();
        assert_eq!(tail_of(&disk), (4, last, Tail::Torn));
        let third = first.frames[2].0.offset;
        disk.flip_bit(&first.path, third + 50, 3).unwrap();
        assert_eq!(tail_of(&disk), (3, third, Tail::Damaged));
        let view = LogView::of_segment(&env(&disk), &first.path).unwrap();
        assert_eq!(seqs(view.records_alone()), [1, 2, 4]);
    }
}
