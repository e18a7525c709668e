//! What was appended comes back, in order, and who may open what.

use super::*;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use terrane_env::files::crash::CrashMode;

#[test]
fn an_empty_log_opens_empty_again_and_again() {
    let disk = CrashFileSystem::new(1);
    for epoch in 1..4 {
        let (log, records) = open(&disk, epoch);
        assert_eq!(records, []);
        assert_eq!(log.durable(), Seq(0));
    }
}

#[test]
fn commits_come_back_in_order_whatever_their_size() {
    let disk = CrashFileSystem::new(1);
    let (log, _) = open(&disk, 1);
    let mut expected = Vec::new();
    let mut seq = 0;
    // From one byte to commits of many frames and more than a segment.
    for rows in [1, 2, 1, 30, 1, 200, 3] {
        let commit: Vec<Record> = (0..rows)
            .map(|row| {
                seq += 1;
                record(seq, rows, 8 + 37 * (row as usize % 5))
            })
            .collect();
        append(&log, &commit).unwrap().wait().unwrap();
        expected.extend(commit);
    }
    let large = record(seq + 1, 5, 30_000);
    append(&log, std::slice::from_ref(&large)).unwrap().wait().unwrap();
    expected.push(large);
    assert_eq!(log.durable(), Seq(seq + 1));
    assert!(log.stats().segments > 3);
    log.close();
    for epoch in 2..5 {
        let (log, records) = open(&disk, epoch);
        assert_eq!(records, expected);
        assert_eq!(log.durable(), Seq(seq + 1));
        seq += 1;
        expected.push(put(&log, seq + 1));
    }
}

#[test]
fn nothing_is_acknowledged_before_its_sync() {
    let disk = CrashFileSystem::new(1);
    let env = env(&disk);
    let (log, replay) = CommitLog::open(&env, Path::new(DIRECTORY), identity(1), small()).unwrap();
    drop(replay);
    let gate = env.failpoints.gate("log.before_sync");
    let mark = Arc::new(AtomicU64::new(0));
    let inside = mark.clone();
    log.on_durable(move |seq| inside.store(seq.0, Ordering::SeqCst));
    let one = append(&log, &[record(1, 0, 8)]).unwrap();
    gate.wait_reached(1);
    // These gather meanwhile, and share the next sync.
    let two = append(&log, &[record(2, 0, 8)]).unwrap();
    let three = append(&log, &[record(3, 0, 8), record(4, 0, 8)]).unwrap();
    assert!(!one.is_durable());
    let cut = disk.crash_clone(1, CrashMode::DropUnsynced);
    assert_eq!(open(&cut, 2).1, []);
    env.failpoints.disarm("log.before_sync");
    gate.open();
    one.wait().unwrap();
    assert!(mark.load(Ordering::SeqCst) >= 1, "the hook runs before waiters wake");
    two.wait().unwrap();
    three.wait().unwrap();
    assert_eq!(mark.load(Ordering::SeqCst), 4);
    // A group is counted a moment after it is told to be durable.
    eventually("both groups are counted", || {
        let stats = log.stats();
        (stats.commits, stats.groups, stats.frames) == (3, 2, 2)
    });
    let cut = disk.crash_clone(1, CrashMode::DropUnsynced);
    assert_eq!(open(&cut, 2).1.len(), 4);
}

#[test]
fn no_ticket_is_good_before_the_hook_has_run() {
    let disk = CrashFileSystem::new(1);
    let (log, _) = open(&disk, 1);
    let (reached, is_reached) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    log.on_durable(move |_| {
        reached.send(()).unwrap();
        may_go_on.lock().recv().unwrap();
    });
    let waiting = append(&log, &[record(1, 0, 8)]).unwrap();
    is_reached.recv().unwrap();
    // It is on the disk by now. What the hook makes visible is not visible yet.
    assert!(!waiting.is_durable());
    assert!(!log.ticket(Seq(1)).is_durable());
    go_on.send(()).unwrap();
    waiting.wait().unwrap();
}

#[test]
fn many_writers_share_syncs_and_all_is_there() {
    let disk = CrashFileSystem::new(1);
    let (log, _) = open(&disk, 1);
    let order = Mutex::new(0u64);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            #[allow(clippy::disallowed_methods)]
            scope.spawn(|| {
                for _ in 0..50 {
                    let ticket = {
                        let mut seq = order.lock();
                        *seq += 1;
                        append(&log, &[record(*seq, 1, 20)]).unwrap()
                    };
                    ticket.wait().unwrap();
                }
            });
        }
    });
    assert_eq!(log.durable(), Seq(400));
    drop(log);
    let (_, records) = open(&disk, 2);
    assert!(records.iter().map(|record| record.seq.0).eq(1..=400));
}

#[test]
fn closing_writes_what_was_appended_and_refuses_more() {
    let disk = CrashFileSystem::new(1);
    let (log, _) = open(&disk, 1);
    let reservation = log.reserve(500).unwrap();
    let ticket = append(&log, &[record(1, 0, 8)]).unwrap();
    log.close();
    ticket.wait().unwrap();
    let late = record(2, 0, 8);
    assert!(matches!(log.append(reservation, &[late.as_ref()]), Err(LogError::Stopped(_))));
    assert!(matches!(log.reserve(1), Err(LogError::Stopped(_))));
    assert_eq!(open(&disk, 2).1.len(), 1);
}

#[test]
fn misuse_is_refused_before_anything_is_written() {
    let disk = CrashFileSystem::new(1);
    let (log, _) = open(&disk, 1);
    put(&log, 5);
    let misuse = |records: &[Record]| {
        let error = append(&log, records).unwrap_err();
        assert!(matches!(error, LogError::Misuse(_)), "{error}");
    };
    misuse(&[record(5, 0, 8)]);
    misuse(&[record(7, 0, 8), record(6, 0, 8)]);
    let small = log.reserve(10).unwrap();
    let error = log.append(small, &[record(6, 0, 8).as_ref()]).unwrap_err();
    assert!(matches!(error, LogError::Misuse(_)), "{error}");
    assert!(matches!(log.reserve(1 << 20), Err(LogError::TooLarge { limit: 65536, .. })));
    assert!(append(&log, &[]).unwrap().is_durable(), "an empty commit is durable at once");
    assert_eq!(log.stats().reserved_bytes, 0);
    drop(log);
    assert_eq!(open(&disk, 2).1.len(), 1);
}

#[test]
fn other_servers_later_epochs_and_newer_formats_are_refused() {
    let disk = CrashFileSystem::new(1);
    let (log, _) = open(&disk, 7);
    put(&log, 1);
    drop(log);
    assert!(matches!(open_error(&disk, 6), LogError::Fenced { found: 7, own: 6 }));
    let other = LogIdentity { server: "s2".to_owned(), epoch: Generation(8) };
    let error =
        CommitLog::open(&env(&disk), Path::new(DIRECTORY), other, small()).map(drop).unwrap_err();
    assert!(matches!(error, LogError::WrongServer { found, .. } if found == "s1"));
    let path = &segments(&disk)[0].1;
    let mut bytes = disk.read(path).unwrap();
    bytes[8] = 2;
    let crc = crate::checksum::crc32c(&bytes[..508]);
    bytes[508..512].copy_from_slice(&crc.to_le_bytes());
    disk.open_write(path).unwrap().write_at(&bytes[..512], 0).unwrap();
    let before = disk.counters(Path::new("/"));
    assert!(matches!(open_error(&disk, 8), LogError::NewerFormat { found: 2, known: 1, .. }));
    let after = disk.counters(Path::new("/"));
    assert_eq!((before.writes, before.removes), (after.writes, after.removes), "nothing touched");
}

#[test]
fn replay_leaves_out_what_is_flushed_where_that_costs_nothing() {
    let disk = CrashFileSystem::new(1);
    let (log, _) = open(&disk, 1);
    (1..=9).for_each(|seq| drop(put(&log, seq)));
    drop(log);
    let (_log, mut replay) =
        CommitLog::open(&env(&disk), Path::new(DIRECTORY), identity(2), small()).unwrap();
    replay.skip_through(Seq(6));
    assert_eq!(replay.report().last_seq, Seq(9));
    assert_eq!((replay.report().frames, replay.report().segments), (9, 1));
    let seqs: Vec<u64> = replay.map(|record| record.unwrap().seq.0).collect();
    assert_eq!(seqs, [7, 8, 9]);
}

/// Rule 15: kill -9, read, power cut. What a restart showed to readers must survive what comes next.
#[test]
fn what_a_restart_has_read_survives_a_power_cut() {
    let disk = CrashFileSystem::new(1);
    let env = env(&disk);
    let (log, replay) = CommitLog::open(&env, Path::new(DIRECTORY), identity(1), small()).unwrap();
    drop(replay);
    put(&log, 1);
    let gate = env.failpoints.gate("log.before_sync");
    let unsynced = append(&log, &[record(2, 0, 8)]).unwrap();
    gate.wait_reached(1);
    let killed = disk.kill_clone();
    let (restarted, records) = open(&killed, 2);
    assert_eq!(records.len(), 2, "written, if not synced, it is in the page cache");
    let cut = killed.crash_clone(1, CrashMode::DropUnsynced);
    assert_eq!(open(&cut, 3).1, records);
    put(&restarted, 3);
    let cut = killed.crash_clone(1, CrashMode::DropUnsynced);
    assert_eq!(open(&cut, 3).1.len(), 3);
    gate.open();
    unsynced.wait().unwrap();
}
