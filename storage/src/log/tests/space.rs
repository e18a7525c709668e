//! Reservations, full disks, and segments that are freed and used again.

use super::*;

/// Fills the log with one commit after the other until the disk is full; the last seq that went in.
fn fill(log: &CommitLog, mut seq: u64) -> (u64, LogError) {
    loop {
        match append(log, &[record(seq + 1, 3, 300)]) {
            Ok(ticket) => ticket.wait().unwrap(),
            Err(error) => return (seq, error),
        }
        seq += 1;
    }
}

#[test]
fn a_full_disk_is_met_at_reserve_and_nothing_is_lost() {
    let disk = CrashFileSystem::new(1);
    let (log, _) = open(&disk, 1);
    disk.set_capacity(Some(100 << 10));
    let (last, error) = fill(&log, 0);
    assert!(matches!(error, LogError::Full(_)), "{error}");
    assert!(last > 100, "{last}");
    assert!(log.stopped().is_none());
    assert!(matches!(append(&log, &[record(last + 1, 3, 300)]), Err(LogError::Full(_))));
    // Flushing frees segments, whose files take the next commits on the disk that is still full.
    log.retire(Seq(last / 2));
    eventually("a freed segment is used again", || {
        append(&log, &[record(last + 1, 3, 300)]).is_ok()
    });
    let (last, _) = fill(&log, last + 1);
    assert!(log.stats().segments_recycled > 0);
    assert_eq!(log.stats().resent, 0);
    drop(log);
    // A restart on the full disk still reads everything, and takes commits once there is room.
    let (log, records) = open(&disk, 2);
    assert_eq!(records.last().map(|record| record.seq), Some(Seq(last)));
    disk.set_capacity(None);
    put(&log, last + 1);
}

/// Whoever holds a reservation is served, whatever others take meanwhile.
#[test]
fn reserved_space_is_there_when_it_is_used() {
    for seed in 0..20 {
        let disk = CrashFileSystem::new(seed);
        let (log, _) = open(&disk, 1);
        disk.set_capacity(Some((80 << 10) + seed * 50_000));
        let mut random = terrane_env::random::SplitMix64::new(seed);
        let mut payload_max = [1_000, 5_000, 60_000][seed as usize % 3];
        let mut held: Vec<(usize, Reservation)> = Vec::new();
        loop {
            let payload = 8 + random.below(payload_max) as usize;
            let bytes = record(1, 0, payload).as_ref().encoded_bytes_max() as u64 + 20;
            match log.reserve(bytes) {
                Ok(reservation) => held.push((payload, reservation)),
                // To the last byte.
                Err(LogError::Full(_)) if payload_max > 1 => payload_max /= 2,
                Err(LogError::Full(_)) => break,
                Err(error) => panic!("{error}"),
            }
        }
        assert!(!held.is_empty());
        assert!(log.try_reserve(1_000).unwrap().is_none());
        let append = |((payload, reservation), seq)| {
            log.append(reservation, &[record(seq, 0, payload).as_ref()]).unwrap()
        };
        let tickets: Vec<Ticket> = held.into_iter().zip(1..).map(append).collect();
        let count = tickets.len();
        tickets.into_iter().for_each(|ticket| ticket.wait().unwrap());
        assert_eq!(log.stats().reserved_bytes, 0);
        drop(log);
        disk.set_capacity(None);
        assert_eq!(open(&disk, 2).1.len(), count);
    }
}

#[test]
fn a_dropped_reservation_gives_its_space_back_and_one_can_grow() {
    let disk = CrashFileSystem::new(1);
    let (log, _) = open(&disk, 1);
    let mut reservation = log.reserve(100).unwrap();
    let small = log.stats().reserved_bytes;
    reservation.grow(20_000).unwrap();
    assert_eq!(reservation.record_bytes(), 20_100);
    assert!(log.stats().reserved_bytes > small + 20_000);
    assert!(matches!(reservation.grow(60_000), Err(LogError::TooLarge { .. })));
    drop(reservation);
    assert_eq!(log.stats().reserved_bytes, 0);
}

#[test]
fn retired_segments_are_recycled_and_their_old_frames_never_come_back() {
    let disk = CrashFileSystem::new(1);
    let (log, _) = open(&disk, 1);
    for seq in 1..=1500 {
        put(&log, seq);
        if seq % 10 == 0 {
            log.retire(Seq(seq - 5));
        }
        // The frees are the prepare thread's; let it keep up, so that files are used again.
        if seq % 50 == 0 {
            eventually("old segments are freed", || log.stats().segments <= 2);
        }
    }
    let stats = log.stats();
    assert!(stats.segments_recycled > 5, "{stats:?}");
    assert!(segments(&disk).len() <= 6, "spares are bounded");
    drop(log);
    let (log, records) = open(&disk, 2);
    let first = records[0].seq.0;
    assert!(first > 1300 && first <= 1496, "{first}");
    assert!(records.iter().map(|record| record.seq.0).eq(first..=1500));
    // Retiring everything leaves only the segment being written.
    put(&log, 1501);
    log.retire(Seq(5000));
    eventually("all others are freed", || log.stats().segments == 1);
    drop(log);
    let (log, records) = open(&disk, 3);
    assert!(records.iter().all(|record| record.seq.0 > 1495));
    assert_eq!(log.stats().oldest_segment_last_seq, Some(Seq(1501)));
}

#[test]
fn no_segment_is_freed_while_it_is_replayed() {
    let disk = CrashFileSystem::new(1);
    let (log, _) = open(&disk, 1);
    (1..=300).for_each(|seq| drop(put(&log, seq)));
    drop(log);
    let (log, mut replay) =
        CommitLog::open(&env(&disk), Path::new(DIRECTORY), identity(2), small()).unwrap();
    let before = log.stats().segments;
    replay.next().unwrap().unwrap();
    log.retire(Seq(300));
    for seq in 301..=400 {
        put(&log, seq);
    }
    assert!(log.stats().segments > before);
    assert_eq!(replay.by_ref().map(Result::unwrap).count(), 299);
    drop(replay);
    eventually("freed after the replay", || log.stats().segments < before);
}

/// Found by a seed: a commit ran over into the next segment, where a later commit shared its last frame. After a
/// restart the first segment was freed with the first commit, and the second went with it.
#[test]
fn a_commit_is_not_given_up_with_the_one_before_it() {
    let mut crossed = 0;
    // However full the segment is: some of these cross its end inside the first commit.
    for fill in 50..70 {
        let disk = CrashFileSystem::new(1);
        let env = env(&disk);
        let (log, replay) =
            CommitLog::open(&env, Path::new(DIRECTORY), identity(1), small()).unwrap();
        drop(replay);
        (1..fill).for_each(|seq| drop(put(&log, seq)));
        let gate = env.failpoints.gate("log.before_sync");
        let first = append(&log, &[record(fill, 0, 8)]).unwrap();
        gate.wait_reached(1);
        // These two make one group.
        let large = append(&log, &[record(fill + 1, 0, 1200)]).unwrap();
        let small = append(&log, &[record(fill + 2, 0, 8)]).unwrap();
        env.failpoints.disarm("log.before_sync");
        gate.open();
        for ticket in [first, large, small] {
            ticket.wait().unwrap();
        }
        crossed += log.stats().segments - 1;
        drop(log);
        let (log, _) = open(&disk, 2);
        let before = log.stats().segments;
        log.retire(Seq(fill + 1));
        if before > 2 {
            eventually("the first segment is freed", || log.stats().segments < before);
        }
        drop(log);
        let (_, records) = open(&disk, 3);
        assert!(records.contains(&record(fill + 2, 0, 8)), "fill {fill}");
    }
    assert!((1..20).contains(&crossed), "{crossed}");
}
