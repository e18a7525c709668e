//! Torn tails are cut; damage before the end is reported with file and offset.

use super::*;
use crate::log::format::{FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES};

/// A log of nine synced commits, one frame each, and where the frames are.
fn nine() -> (CrashFileSystem, (SegmentId, PathBuf), Vec<scan::FrameAt>) {
    let disk = CrashFileSystem::new(1);
    let (log, _) = open(&disk, 1);
    (1..=9).for_each(|seq| drop(put(&log, seq)));
    drop(log);
    let segment = segments(&disk).remove(0);
    let frames = frames(&disk, &segment);
    assert_eq!(frames.len(), 9);
    (disk, segment, frames)
}

fn seqs(records: &[Record]) -> Vec<u64> {
    records.iter().map(|record| record.seq.0).collect()
}

fn overwrite(disk: &CrashFileSystem, path: &Path, bytes: &[u8], offset: u64) {
    disk.open_write(path).unwrap().write_at(bytes, offset).unwrap();
}

#[test]
fn a_tail_torn_at_any_byte_is_cut() {
    let (disk, segment, frames) = nine();
    let last = frames[8];
    let zeros = vec![0; last.header.stride()];
    for written in 0..FRAME_HEADER_BYTES + last.header.body_len as usize {
        let torn = disk.kill_clone();
        overwrite(&torn, &segment.1, &zeros[written..], last.offset + written as u64);
        let (log, mut replay) =
            CommitLog::open(&env(&torn), Path::new(DIRECTORY), identity(2), small()).unwrap();
        let cut = replay.report().cut.clone();
        let records: Vec<Record> = replay.by_ref().map(Result::unwrap).collect();
        assert_eq!(seqs(&records), (1..=8).collect::<Vec<_>>(), "torn at {written}");
        if written > FRAME_HEADER_BYTES {
            let expected = (segment.1.clone(), last.offset);
            assert!(cut.iter().any(|cut| (cut.file.clone(), cut.offset) == expected), "{cut:?}");
        }
        // What takes the place of the cut commit is what comes back.
        drop(replay);
        append(&log, &[record(9, 99, 8)]).unwrap().wait().unwrap();
        drop(log);
        assert_eq!(open(&torn, 3).1.last(), Some(&record(9, 99, 8)));
    }
}

#[test]
fn a_flipped_bit_anywhere_before_the_last_frame_is_reported() {
    let (disk, segment, frames) = nine();
    let end = frames[7].offset + FRAME_HEADER_BYTES as u64 + u64::from(frames[7].header.body_len);
    for offset in 0..end {
        let in_frame = frames.iter().rev().find(|frame| frame.offset <= offset);
        let in_padding = in_frame.is_some_and(|frame| {
            offset >= frame.offset + FRAME_HEADER_BYTES as u64 + u64::from(frame.header.body_len)
        });
        if in_padding {
            continue;
        }
        let damaged = disk.kill_clone();
        damaged.flip_bit(&segment.1, offset, (offset % 8) as u8).unwrap();
        let Some(error) = try_open_error(&damaged, 2) else { panic!("bit at {offset}: no error") };
        let expected = in_frame.map_or(0, |frame| frame.offset);
        match &error {
            LogError::Corruption { file, offset: at, .. } => {
                assert_eq!((file, *at), (&segment.1, expected), "bit at {offset}: {error}");
            }
            // The crc of the header covers the format number, so only both damaged look newer.
            _ => panic!("bit at {offset}: {error}"),
        }
    }
    // The last frame's sync is proven by nothing behind it.
    let damaged = disk.kill_clone();
    damaged.flip_bit(&segment.1, frames[8].offset + 60, 1).unwrap();
    assert_eq!(open(&damaged, 2).1.len(), 8);
    // But once a restart has taken it over, it is proven.
    drop(open(&disk, 2));
    let is_copy =
        |other: &(SegmentId, PathBuf)| other.0.epoch == 2 && !self::frames(&disk, other).is_empty();
    let copy = segments(&disk).into_iter().find(is_copy).unwrap().1;
    disk.flip_bit(&copy, SEGMENT_HEADER_BYTES as u64 + 60, 1).unwrap();
    match open_error(&disk, 3) {
        LogError::Corruption { file, offset, .. } => assert_eq!((file, offset), (copy, 512)),
        error => panic!("{error}"),
    }
}

#[test]
fn a_lost_segment_is_reported() {
    let disk = CrashFileSystem::new(1);
    let (log, _) = open(&disk, 1);
    // Enough for four segments without the one that may be prepared already.
    (1..=600).for_each(|seq| drop(put(&log, seq)));
    drop(log);
    let all = segments(&disk);
    assert!(all.len() >= 4, "{all:?}");
    for (_, lost) in &all[..2] {
        let damaged = disk.kill_clone();
        damaged.remove(lost).unwrap();
        assert!(matches!(open_error(&damaged, 2), LogError::Corruption { .. }));
    }
    let damaged = disk.kill_clone();
    damaged.remove(&all[1].1).unwrap();
    match open_error(&damaged, 2) {
        LogError::Corruption { file, what, .. } => {
            assert_eq!(file, all[1].1);
            assert!(what.starts_with("missing segment"), "{what}");
        }
        error => panic!("{error}"),
    }
}

/// A commit of many frames, torn in its middle, is not there in part; and its frames, which are whole on
/// disk, do not come back later behind what took their place.
#[test]
fn a_commit_in_part_is_cut_for_good() {
    let disk = CrashFileSystem::new(1);
    let (log, _) = open(&disk, 1);
    put(&log, 1);
    let commit: Vec<Record> = (2..40).map(|seq| record(seq, 5, 100)).collect();
    append(&log, &commit).unwrap().wait().unwrap();
    drop(log);
    let segment = segments(&disk).remove(0);
    let all = frames(&disk, &segment);
    assert!(all.len() > 4);
    for damaged in &all[1..] {
        let torn = disk.kill_clone();
        overwrite(&torn, &segment.1, &[0; 8], damaged.offset);
        let (log, records) = open(&torn, 2);
        assert_eq!(seqs(&records), [1]);
        let replaced = record(2, 77, 10);
        append(&log, std::slice::from_ref(&replaced)).unwrap().wait().unwrap();
        drop(log);
        for epoch in 3..5 {
            assert_eq!(open(&torn, epoch).1, [record(1, 0, 40), replaced.clone()]);
        }
    }
}

#[test]
fn mutated_segments_and_random_bytes_never_panic() {
    let (disk, segment, _) = nine();
    let valid = disk.read(&segment.1).unwrap();
    let mut random = terrane_env::random::SplitMix64::new(3);
    for round in 0..3000 {
        let mut bytes = valid[..2048.min(valid.len())].to_vec();
        for _ in 0..=random.below(8) {
            let at = random.below(bytes.len() as u64) as usize;
            match random.below(3) {
                0 => bytes[at] ^= 1 << random.below(8),
                1 => bytes[at] = random.next_u64() as u8,
                _ => bytes.truncate(at.max(1)),
            }
        }
        // From any place: headers, frames and records are met at the start in turn.
        let from = random.below(bytes.len() as u64) as usize;
        fuzz::fuzz_decode(&bytes[if round % 2 == 0 { 0 } else { from }..]);
        let random_bytes: Vec<u8> =
            (0..random.below(200)).map(|_| random.next_u64() as u8).collect();
        fuzz::fuzz_decode(&random_bytes);
    }
}

/// As above, but through opening: an error or a log, never a panic, and never a record that was not written.
#[test]
fn opening_damaged_logs_never_panics_nor_invents() {
    let disk = CrashFileSystem::new(1);
    let (log, _) = open(&disk, 1);
    let mut written = Vec::new();
    for seq in 1..=60 {
        written.push(put(&log, seq));
        log.retire(Seq(seq / 2));
    }
    drop(log);
    let mut random = terrane_env::random::SplitMix64::new(4);
    for _ in 0..400 {
        let damaged = disk.kill_clone();
        for _ in 0..=random.below(4) {
            let files = segments(&damaged);
            let path = &files[random.below(files.len() as u64) as usize].1;
            let offset = random.below(damaged.file_size(path).unwrap());
            match random.below(4) {
                0 => overwrite(&damaged, path, &[0; 600], offset),
                1 => damaged.open_write(path).unwrap().set_len(offset).unwrap(),
                _ => damaged.flip_bit(path, offset, random.below(8) as u8).unwrap(),
            }
        }
        let opened = CommitLog::open(&env(&damaged), Path::new(DIRECTORY), identity(2), small());
        if let Ok((_log, replay)) = opened {
            for record in replay.map_while(Result::ok) {
                assert!(written.contains(&record), "{record:?}");
            }
        }
    }
}
