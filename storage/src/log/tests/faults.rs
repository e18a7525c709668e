//! Failing writes and syncs: once is survived in a new segment, twice stops the log.

use super::*;
use terrane_env::Operation;
use terrane_env::files::crash::{CrashMode, Fault, FaultKind, Trigger};

/// One failed operation, at every operation of a commit's way to the disk.
#[test]
fn one_failed_write_or_sync_loses_nothing() {
    for operation in [Operation::Write, Operation::Sync] {
        for kind in [FaultKind::Io, FaultKind::DiskFull] {
            for nth in 1..20 {
                let disk = CrashFileSystem::new(nth);
                let (log, _) = open(&disk, 1);
                let active = segments(&disk)[0].1.clone();
                let active = active.to_string_lossy();
                let fault = Fault::on(&active, kind).operation(operation);
                disk.add_fault(fault.when(Trigger::Nth(nth)));
                for seq in 1..=30 {
                    put(&log, seq);
                    let cut = disk.crash_clone(seq, CrashMode::DropUnsynced);
                    assert_eq!(open(&cut, 2).1.len() as u64, seq);
                }
                assert_eq!(log.stats().resent, 1, "{operation} {kind:?} {nth}");
                // A poisoned file is removed, not used again.
                (31..=200).for_each(|seq| drop(put(&log, seq)));
                log.retire(Seq(200));
                eventually("the poisoned file is removed", || {
                    segments(&disk).iter().all(|(_, path)| path.to_string_lossy() != active)
                });
            }
        }
    }
}

/// fsyncgate: after a failed sync the same file would report success for bytes that are gone.
#[test]
fn a_file_whose_sync_failed_is_not_touched_again() {
    let disk = CrashFileSystem::new(1);
    let (log, _) = open(&disk, 1);
    put(&log, 1);
    let active = segments(&disk)[0].1.clone();
    let fault = Fault::on(&active.to_string_lossy(), FaultKind::Io).operation(Operation::Sync);
    disk.add_fault(fault.when(Trigger::Nth(1)));
    put(&log, 2);
    let after = disk.counters(&active);
    (3..=5).for_each(|seq| drop(put(&log, seq)));
    let end = disk.counters(&active);
    assert_eq!((after.writes, after.syncs), (end.writes, end.syncs));
}

#[test]
fn two_failures_stop_the_log_and_the_outcome_is_unknown() {
    let disk = CrashFileSystem::new(1);
    let (log, _) = open(&disk, 1);
    put(&log, 1);
    disk.add_fault(Fault::on(".log", FaultKind::Io).operation(Operation::Sync));
    let reservation = log.reserve(200).unwrap();
    let ticket = append(&log, &[record(2, 0, 8)]).unwrap();
    assert!(matches!(ticket.wait(), Err(LogError::OutcomeUnknown(_))));
    let late = log.append(reservation, &[record(3, 0, 8).as_ref()]);
    assert!(matches!(late, Err(LogError::Stopped(_))), "{late:?}");
    assert!(matches!(log.reserve(1), Err(LogError::Stopped(_))));
    assert!(log.stopped().is_some_and(|error| error.to_string().contains("Input/output error")));
    assert!(log.ticket(Seq(1)).is_durable());
    assert_eq!(log.durable(), Seq(1));
    drop(log);
    disk.clear_faults();
    let (_, records) = open(&disk, 2);
    assert!((1..=2).contains(&records.len()), "durable or not, but whole");
}

/// Waiting for space ends with an error when the log stops, and when it is closed.
#[test]
fn who_waits_for_space_is_not_forgotten() {
    let disk = CrashFileSystem::new(1);
    let (log, _) = open(&disk, 1);
    disk.add_fault(Fault::on("/log", FaultKind::Io).operation(Operation::Allocate));
    let error = log.reserve(60_000).unwrap_err();
    assert!(matches!(error, LogError::Io(_)), "{error}");
    disk.clear_faults();
    drop(log.reserve(60_000).unwrap());
}
