//! What is erased is in no file of the log, and what is not is still there.

use super::*;

const SECRET: u64 = 0x5ec2_e75e_c2e7_5ec2;

/// Files that hold a record of [`SECRET`].
fn files_with_secrets(disk: &CrashFileSystem) -> Vec<String> {
    let mut names = disk.list(Path::new(DIRECTORY)).unwrap();
    names.retain(|name| {
        let bytes = disk.read(&Path::new(DIRECTORY).join(name)).unwrap();
        bytes.windows(8).any(|window| window == SECRET.to_le_bytes())
    });
    names
}

fn put_secret(log: &CommitLog, seq: u64) {
    append(log, &[record(seq, SECRET, 300)]).unwrap().wait().unwrap();
}

/// Retires everything and waits until it is gone.
fn erase(log: &CommitLog) -> Erasure {
    let erasure = log.end_segment().unwrap();
    log.retire(erasure.last_seq);
    log.wait_erased(&erasure).unwrap();
    erasure
}

#[test]
fn what_is_erased_leaves_the_disk_and_what_follows_stays() {
    let disk = CrashFileSystem::new(1);
    let (log, _) = open(&disk, 1);
    for seq in 1..=100 {
        put_secret(&log, seq);
    }
    assert!(!files_with_secrets(&disk).is_empty());
    let erasure = log.end_segment().unwrap();
    assert_eq!(erasure.last_seq, Seq(100));
    let kept = put(&log, 101);
    assert!(
        matches!(log.wait_erased(&erasure), Err(LogError::Misuse(_))),
        "nobody has said that it may go"
    );
    log.retire(Seq(100));
    log.wait_erased(&erasure).unwrap();
    assert_eq!(files_with_secrets(&disk), [] as [String; 0]);
    assert_eq!(log.stats().segments, 1);
    drop(log);
    let (_log, records) = open(&disk, 2);
    assert_eq!(records, [kept]);
}

/// Files that were used before hold what they held: spares, prepared segments, and the one that is being written.
#[test]
fn files_that_were_used_again_are_erased_too() {
    let disk = CrashFileSystem::new(1);
    let (log, _) = open(&disk, 1);
    for seq in 1..=100 {
        put_secret(&log, seq);
    }
    log.retire(Seq(100));
    let mut seq = 100;
    eventually("a freed segment is used again", || {
        seq += 1;
        put(&log, seq);
        log.retire(Seq(seq));
        log.stats().segments_recycled > 1
    });
    assert!(!files_with_secrets(&disk).is_empty());
    erase(&log);
    assert_eq!(files_with_secrets(&disk), [] as [String; 0]);
    // From now on nothing is kept for reuse, until somebody allows it again.
    for step in 1..=200 {
        put(&log, seq + step);
        log.retire(Seq(seq + step));
    }
    let recycled = log.stats().segments_recycled;
    erase(&log);
    assert_eq!(log.stats().segments_recycled, recycled);
}

/// Commits go on while the log is erased again and again, and those that are not retired are there afterwards.
#[test]
fn commits_go_on_meanwhile() {
    let disk = CrashFileSystem::new(1);
    let (log, _) = open(&disk, 1);
    let mut erased = Seq(0);
    std::thread::scope(|threads| {
        let writer = threads.spawn(|| {
            for seq in 1..=2000 {
                let ticket = append(&log, &[record(seq, SECRET, 100)]).unwrap();
                if seq % 50 == 0 {
                    ticket.wait().unwrap();
                }
            }
        });
        while !writer.is_finished() {
            let erasure = log.end_segment().unwrap();
            log.ticket(erasure.last_seq).wait().unwrap();
            log.retire(erasure.last_seq);
            log.wait_erased(&erasure).unwrap();
            erased = erasure.last_seq;
        }
    });
    assert!(erased > Seq(0), "nothing was erased");
    drop(log);
    let (log, records) = open(&disk, 2);
    let seqs: Vec<u64> = records.iter().map(|record| record.seq.0).collect();
    assert!(seqs.first().is_none_or(|first| *first <= erased.0 + 1), "{erased:?}, {seqs:?}");
    assert_eq!(seqs.last().copied().unwrap_or(2000), 2000);
    assert!(seqs.is_sorted_by(|a, b| a + 1 == *b), "{seqs:?}");
    // What an earlier life has left is erased like any other.
    erase(&log);
    assert_eq!(files_with_secrets(&disk), [] as [String; 0]);
}

/// Cut off at every operation on files, it loses nothing, and the next life can do it.
#[test]
fn a_crash_in_between_loses_nothing() {
    use parking_lot::Mutex;
    let disk = CrashFileSystem::new(1);
    let (log, _) = open(&disk, 1);
    for seq in 1..=60 {
        put_secret(&log, seq);
    }
    let clones: Arc<Mutex<Vec<CrashFileSystem>>> = Arc::default();
    let erasure = log.end_segment().unwrap();
    let kept = put(&log, 61);
    let (taken, at) = (clones.clone(), disk.clone());
    disk.set_hook(move |_| taken.lock().push(at.kill_clone()));
    log.retire(Seq(60));
    log.wait_erased(&erasure).unwrap();
    disk.clear_hook();
    let clones = std::mem::take(&mut *clones.lock());
    assert!(clones.len() > 4, "{} operations", clones.len());
    for clone in clones {
        let none = LogOptions { spare_segments_max: 0, ..small() };
        let (log, mut replay) =
            CommitLog::open(&env(&clone), Path::new(DIRECTORY), identity(2), none).unwrap();
        let records = replay.by_ref().collect::<Result<Vec<_>, _>>().unwrap();
        drop(replay);
        assert_eq!(records.last(), Some(&kept));
        erase(&log);
        assert_eq!(files_with_secrets(&clone), [] as [String; 0]);
    }
}
