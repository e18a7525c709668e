//! What survives a crash and what does not.

use super::*;
use crate::files::FileSystem;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

const A: &str = "/d/a";
const B: &str = "/d/b";

fn path(text: &str) -> &Path {
    Path::new(text)
}

/// A disk with the durable file /d/a of two sectors of `a`.
fn disk() -> (CrashFileSystem, Arc<dyn File>) {
    let disk = CrashFileSystem::new(1);
    disk.create_dir_all(path("/d")).unwrap();
    disk.write_new_durable(path(A), &[b'a'; 1024]).unwrap();
    let file = disk.open_write(path(A)).unwrap();
    (disk, file)
}

#[test]
fn synced_bytes_survive_and_unsynced_ones_are_dropped() {
    let (disk, file) = disk();
    file.write_at(&[b'b'; 600], 100).unwrap();
    file.set_len(4000).unwrap();
    assert_eq!(disk.unsynced_bytes(path(A)).unwrap(), 600);
    let cut = disk.crash_clone(3, CrashMode::DropUnsynced);
    assert_eq!(cut.read(path(A)).unwrap(), [b'a'; 1024]);
    file.sync_data().unwrap();
    let cut = disk.crash_clone(3, CrashMode::DropUnsynced);
    let bytes = cut.read(path(A)).unwrap();
    assert_eq!(bytes.len(), 4000);
    assert_eq!((bytes[99], bytes[100], bytes[699], bytes[700]), (b'a', b'b', b'b', b'a'));
}

#[test]
fn a_random_cut_tears_at_sectors_and_spares_synced_bytes() {
    let (disk, file) = disk();
    file.write_at(&[b'b'; 1024], 256).unwrap();
    let mut seen = BTreeSet::new();
    for seed in 0..200 {
        let cut = disk.crash_clone(seed, CrashMode::Random);
        let bytes = cut.read(path(A)).unwrap();
        assert_eq!(bytes, disk.crash_clone(seed, CrashMode::Random).read(path(A)).unwrap());
        assert_eq!(&bytes[..256], [b'a'; 256]);
        // Sectors touched by the write: 256..512, 512..1024, 1024..1280.
        let whole = |range: std::ops::Range<usize>| {
            let sector = bytes.get(range)?;
            let first = *sector.first()?;
            assert!(sector.iter().all(|byte| *byte == first), "a sector is never torn");
            Some(first)
        };
        seen.insert((whole(256..512), whole(512..1024), whole(1024..1280)));
    }
    let (a, b, zero) = (Some(b'a'), Some(b'b'), Some(0));
    for expected in [(b, b, b), (a, a, None), (a, a, zero), (a, b, None), (b, a, b), (a, a, b)] {
        assert!(seen.contains(&expected), "{expected:?} not in {seen:?}");
    }
}

#[test]
fn names_survive_only_after_their_directory_is_synced() {
    let (disk, file) = disk();
    let created = disk.create_new(path(B)).unwrap();
    created.write_at(b"new", 0).unwrap();
    created.sync_all().unwrap();
    let cut = disk.crash_clone(1, CrashMode::DropUnsynced);
    assert_eq!(cut.list(path("/d")).unwrap(), ["a"]);
    disk.sync_dir(path("/d")).unwrap();
    disk.rename(path(A), path(B)).unwrap();
    drop(file);
    let names = |cut: &CrashFileSystem| cut.list(path("/d")).unwrap();
    let cut = disk.crash_clone(1, CrashMode::DropUnsynced);
    assert_eq!(names(&cut), ["a", "b"]);
    assert_eq!(cut.read(path(B)).unwrap(), b"new", "the replaced file is back");
    let random: BTreeSet<Vec<String>> =
        (0..50).map(|seed| names(&disk.crash_clone(seed, CrashMode::Random))).collect();
    let expected = [vec!["a".to_owned(), "b".to_owned()], vec!["b".to_owned()]];
    assert_eq!(random, BTreeSet::from(expected), "a rename is atomic");
    disk.sync_dir(path("/d")).unwrap();
    assert_eq!(names(&disk.crash_clone(1, CrashMode::DropUnsynced)), ["b"]);
    disk.remove(path(B)).unwrap();
    assert_eq!(names(&disk.crash_clone(1, CrashMode::DropUnsynced)), ["b"]);
    disk.sync_dir(path("/d")).unwrap();
    assert_eq!(names(&disk.crash_clone(1, CrashMode::DropUnsynced)), [""; 0]);
    assert_eq!(disk.used_bytes(), 0);
}

/// The story of rule 15: kill -9, a restart that reads the page cache, then a power cut.
#[test]
fn a_kill_keeps_what_is_written_but_does_not_make_it_durable() {
    let (disk, file) = disk();
    file.write_at(b"written", 0).unwrap();
    disk.create_new(path(B)).unwrap();
    let killed = disk.kill_clone();
    assert_eq!(&killed.read(path(A)).unwrap()[..7], b"written");
    assert!(killed.exists(path(B)).unwrap());
    let cut = killed.crash_clone(1, CrashMode::DropUnsynced);
    assert_eq!(cut.read(path(A)).unwrap(), [b'a'; 1024]);
    assert!(!cut.exists(path(B)).unwrap());
    killed.open_write(path(A)).unwrap().sync_data().unwrap();
    let cut = killed.crash_clone(1, CrashMode::DropUnsynced);
    assert_eq!(&cut.read(path(A)).unwrap()[..7], b"written");
    assert_eq!(&disk.crash_clone(1, CrashMode::DropUnsynced).read(path(A)).unwrap()[..1], b"a");
}

/// fsyncgate: the second sync says all is well, and the bytes are gone.
#[test]
fn a_sync_after_a_failed_one_saves_nothing() {
    let (disk, file) = disk();
    disk.add_fault(Fault::on(A, FaultKind::Io).operation(Operation::Sync).when(Trigger::Nth(1)));
    let mut lost = 0;
    for round in 0..40u8 {
        file.write_at(&[round; 512], 512).unwrap();
        let failed = file.sync_data().is_err();
        assert_eq!(failed, round == 0);
        if failed {
            file.sync_data().unwrap();
            let cut = disk.crash_clone(1, CrashMode::DropUnsynced);
            lost += usize::from(cut.read(path(A)).unwrap()[512] != round);
        }
    }
    // Which part was written is the seed's choice: over seeds, both outcomes happen.
    for seed in 0..40 {
        let disk = CrashFileSystem::new(seed);
        let file = disk.create_new(path("/f")).unwrap();
        disk.sync_dir(path("/")).unwrap();
        file.write_at(b"x", 0).unwrap();
        disk.add_fault(Fault::on("/f", FaultKind::Io).when(Trigger::Nth(1)));
        file.sync_data().unwrap_err();
        file.sync_data().unwrap();
        let cut = disk.crash_clone(1, CrashMode::DropUnsynced);
        lost += usize::from(cut.read(path("/f")).unwrap() != b"x");
        file.write_at(b"x", 0).unwrap();
        file.sync_data().unwrap();
        let cut = disk.crash_clone(1, CrashMode::DropUnsynced);
        assert_eq!(cut.read(path("/f")).unwrap(), b"x", "written again, it is synced");
    }
    assert!((5..=36).contains(&lost), "{lost}");
}

#[test]
fn rules_match_path_operation_and_count() {
    let (disk, file) = disk();
    let full = Fault::on(A, FaultKind::DiskFull).operation(Operation::Write);
    disk.add_fault(full.clone().when(Trigger::Nth(2)));
    file.write_at(b"1", 0).unwrap();
    let error = file.write_at(b"2", 0).unwrap_err();
    assert!(error.is_disk_full());
    assert_eq!((error.operation, error.path.as_path()), (Operation::Write, path(A)));
    file.write_at(b"3", 0).unwrap();
    file.sync_data().unwrap();
    disk.create_new(path(B)).unwrap().write_at(b"other file", 0).unwrap();
    disk.clear_faults();
    disk.add_fault(full.clone().when(Trigger::From(2)));
    file.write_at(b"4", 0).unwrap();
    assert!((0..3).all(|_| file.write_at(b"5", 0).is_err()));
    disk.clear_faults();
    disk.add_fault(full.when(Trigger::Probability(0.5)));
    let failures = (0..200).filter(|_| file.write_at(b"6", 0).is_err()).count();
    assert!((60..140).contains(&failures), "{failures}");
    assert_eq!(disk.counters(path("/")).failures, failures as u64 + 4);
}

#[test]
fn a_failed_write_leaves_whole_sectors_of_it() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..64 {
        let disk = CrashFileSystem::new(seed);
        let file = disk.create_new(path("/f")).unwrap();
        file.write_at(&[1; 1024], 0).unwrap();
        disk.add_fault(Fault::on("/f", FaultKind::Io).operation(Operation::Write));
        file.write_at(&[2; 1024], 0).unwrap_err();
        let bytes = disk.read(path("/f")).unwrap();
        assert!(bytes[..512] == [bytes[0]; 512] && bytes[512..] == [bytes[512]; 512]);
        outcomes.insert((bytes[0], bytes[512]));
    }
    assert_eq!(outcomes.len(), 4);
}

#[test]
fn a_full_disk_refuses_growth_but_not_overwriting() {
    let (disk, file) = disk();
    file.allocate(8192).unwrap();
    disk.set_capacity(Some(12_288));
    assert_eq!(disk.available_bytes(path("/d")).unwrap(), 4096);
    file.write_at(&[7; 8192], 0).unwrap();
    file.write_at(&[7; 4096], 8192).unwrap();
    assert!(file.write_at(&[7], 12_288).unwrap_err().is_disk_full());
    assert!(file.allocate(20_000).unwrap_err().is_disk_full());
    file.set_len(20_000).unwrap();
    assert!(file.write_at(&[7], 16_000).unwrap_err().is_disk_full(), "a hole owns no space");
    disk.remove(path(A)).unwrap();
    disk.create_new(path(B)).unwrap().allocate(12_288).unwrap();
}

#[test]
fn a_flipped_bit_is_in_memory_and_on_the_platter() {
    let (disk, _file) = disk();
    disk.flip_bit(path(A), 700, 3).unwrap();
    for disk in [disk.clone(), disk.crash_clone(1, CrashMode::DropUnsynced)] {
        let bytes = disk.read(path(A)).unwrap();
        assert_eq!(bytes[700], b'a' ^ 8);
        assert_eq!(bytes.iter().filter(|byte| **byte != b'a').count(), 1);
    }
}

#[test]
fn the_hook_sees_each_operation_before_it_happens() {
    let (disk, file) = disk();
    let cut = Arc::new(Mutex::new(None));
    let (inside, inside_cut) = (disk.clone(), cut.clone());
    let writes = Arc::new(AtomicU64::new(0));
    let inside_writes = writes.clone();
    disk.set_hook(move |access| {
        if access.operation == Operation::Write {
            inside_writes.fetch_add(access.offset * 10 + access.len, Ordering::Relaxed);
        }
        if access.operation == Operation::Sync {
            *inside_cut.lock() = Some(inside.crash_clone(1, CrashMode::DropUnsynced));
        }
    });
    file.write_at(b"zz", 3).unwrap();
    file.sync_data().unwrap();
    disk.clear_hook();
    assert_eq!(writes.load(Ordering::Relaxed), 32);
    let cut = cut.lock().take().unwrap();
    assert_eq!(cut.read(path(A)).unwrap(), [b'a'; 1024], "before the sync nothing is durable");
}

#[test]
fn counters_add_up_below_a_prefix() {
    let (disk, file) = disk();
    disk.create_dir_all(path("/d2")).unwrap();
    disk.write_new_durable(path("/d2/x"), b"12345").unwrap();
    file.read_at(&mut [0; 10], 1020).unwrap();
    let d = disk.counters(path("/d"));
    assert_eq!((d.creates, d.writes, d.bytes_written, d.syncs), (1, 1, 1024, 1));
    assert_eq!((d.reads, d.bytes_read, d.directory_syncs), (1, 4, 1));
    assert_eq!(disk.counters(path("/")).bytes_written, 1029);
}

#[test]
fn locks_handles_and_directories_follow_the_contract() {
    let (disk, file) = disk();
    let held = disk.lock_exclusive(path("/d/LOCK")).unwrap();
    assert!(disk.lock_exclusive(path("/d/LOCK")).unwrap_err().is_locked());
    let killed = disk.kill_clone();
    assert!(killed.lock_exclusive(path("/d/LOCK")).is_ok(), "a dead process holds nothing");
    drop(held);
    disk.lock_exclusive(path("/d/LOCK")).unwrap();
    disk.remove(path(A)).unwrap();
    disk.sync_dir(path("/d")).unwrap();
    assert_eq!(file.len().unwrap(), 1024, "an open file outlives its name");
    assert!(disk.open_read(path(A)).unwrap_err().is_not_found());
    assert!(disk.create_new(path("/none/f")).unwrap_err().is_not_found());
    assert!(disk.list(path("/none")).unwrap_err().is_not_found());
    assert!(disk.remove_dir(path("/d")).is_err());
    disk.remove(path("/d/LOCK")).unwrap();
    disk.remove_dir(path("/d")).unwrap();
    assert!(!disk.crash_clone(1, CrashMode::DropUnsynced).exists(path("/d")).unwrap());
    let read_only = disk.create_new(path("/f")).and_then(|_| disk.open_read(path("/f"))).unwrap();
    assert!(read_only.write_at(b"x", 0).is_err());
    disk.halt();
    assert!(file.sync_all().is_err() && disk.exists(path("/")).is_err());
}
