//! The embedded lock service keeps its contract, through crashes too.

use super::*;
use crate::lock_service::snapshot::Snapshot;
use bytes::Bytes;
use futures::executor::block_on;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use terrane_client::lock::Compare;
use terrane_env::Operation;
use terrane_env::files::FileSystem;
use terrane_env::files::crash::{CrashFileSystem, CrashMode, Fault, FaultKind, Trigger};
use terrane_env::random::SplitMix64;

const DIRECTORY: &str = "/lock-service";

fn try_open(disk: &CrashFileSystem) -> Result<EmbeddedLockService, LockError> {
    let env = Env::system().with_files(Arc::new(disk.clone()));
    EmbeddedLockService::open(&env, Path::new(DIRECTORY))
}

fn open(disk: &CrashFileSystem) -> EmbeddedLockService {
    try_open(disk).unwrap()
}

fn put(key: &str, value: &[u8]) -> Change {
    Change::Put { key: key.to_owned(), value: Bytes::copy_from_slice(value) }
}

fn delete(key: &str) -> Change {
    Change::Delete { key: key.to_owned() }
}

fn commit(
    service: &EmbeddedLockService,
    compares: &[(&str, u64)],
    changes: Vec<Change>,
) -> Result<Outcome, LockError> {
    let compare =
        |(key, revision): &(&str, u64)| Compare { key: (*key).to_owned(), revision: *revision };
    let compares = compares.iter().map(compare).collect();
    block_on(service.commit(Transaction { compares, changes }))
}

fn get(service: &EmbeddedLockService, key: &str) -> Option<(Vec<u8>, u64)> {
    let versioned = block_on(service.get(key)).unwrap();
    versioned.map(|versioned| (versioned.value.to_vec(), versioned.revision))
}

#[test]
fn transactions_compare_and_swap_all_or_nothing() {
    let disk = CrashFileSystem::new(1);
    let service = open(&disk);
    assert_eq!(get(&service, "a"), None);
    let outcome = commit(&service, &[("a", 0)], vec![put("a", b"1"), put("b", b"2")]).unwrap();
    assert_eq!(outcome, Outcome::Committed(1));
    assert_eq!(commit(&service, &[("a", 0)], vec![put("a", b"x")]).unwrap(), Outcome::Conflict);
    let mixed = commit(&service, &[("a", 1), ("b", 9)], vec![put("c", b"x")]);
    assert_eq!(mixed.unwrap(), Outcome::Conflict);
    assert_eq!(get(&service, "a"), Some((b"1".to_vec(), 1)));
    assert_eq!(get(&service, "c"), None);
    let outcome = commit(&service, &[("a", 1)], vec![delete("a"), put("b", b"3"), delete("zz")]);
    assert_eq!(outcome.unwrap(), Outcome::Committed(2));
    assert_eq!(commit(&service, &[("a", 0), ("b", 2)], vec![]).unwrap(), Outcome::Committed(2));
    drop(service);
    for _ in 0..3 {
        let service = open(&disk);
        assert_eq!((get(&service, "a"), get(&service, "b")), (None, Some((b"3".to_vec(), 2))));
    }
}

#[test]
fn a_prefix_lists_its_keys_in_order() {
    let disk = CrashFileSystem::new(1);
    let service = open(&disk);
    let keys = ["/s/2", "/s/10", "/t/1", "/r", "/s", "/s/"];
    commit(&service, &[], keys.iter().map(|key| put(key, key.as_bytes())).collect()).unwrap();
    let listed = |prefix: &str| -> Vec<String> {
        block_on(service.list(prefix)).unwrap().into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(listed("/s/"), ["/s/", "/s/10", "/s/2"]);
    assert_eq!(listed("").len(), 6);
    assert!(listed("/x").is_empty());
}

#[test]
fn generations_rise_over_holders_releases_and_restarts() {
    let disk = CrashFileSystem::new(1);
    let mut last = 0;
    for _ in 0..3 {
        let service = open(&disk);
        let acquire = |holder: &str| block_on(service.acquire_lease(holder));
        let first = acquire("s1").unwrap();
        assert!(first.generation.0 > last);
        assert!(matches!(acquire("s1"), Err(LockError::LeaseHeld(holder)) if holder == "s1"));
        let other = acquire("s2").unwrap();
        assert!(other.generation > first.generation);
        block_on(service.release_lease(&first)).unwrap();
        let again = acquire("s1").unwrap();
        assert!(again.generation > other.generation);
        block_on(service.release_lease(&first)).unwrap();
        assert!(acquire("s1").is_err(), "an old lease ends nothing");
        last = again.generation.0;
    }
}

#[test]
fn a_watch_tells_of_changes_under_its_prefix() {
    let disk = CrashFileSystem::new(1);
    let service = open(&disk);
    let mut watch = service.watch("/s/");
    commit(&service, &[], vec![put("/t", b"")]).unwrap();
    assert!(!watch.has_changed().unwrap());
    commit(&service, &[], vec![put("/s/a", b"")]).unwrap();
    assert!(watch.has_changed().unwrap());
    assert_eq!(*watch.borrow_and_update(), 2);
    commit(&service, &[], vec![delete("/s/a")]).unwrap();
    block_on(watch.changed()).unwrap();
    assert_eq!(*watch.borrow_and_update(), 3);
}

/// Nothing undurable is read, and a future that is dropped half way changes nothing for others.
#[test]
fn reads_see_only_what_is_durable() {
    let disk = CrashFileSystem::new(1);
    let env = Env::system().with_files(Arc::new(disk.clone()));
    let service = EmbeddedLockService::open(&env, Path::new(DIRECTORY)).unwrap();
    commit(&service, &[], vec![put("a", b"1")]).unwrap();
    let gate = env.failpoints.gate("log.before_sync");
    let transaction = |change| Transaction { compares: Vec::new(), changes: vec![change] };
    let mut waker = std::task::Context::from_waker(std::task::Waker::noop());
    let mut dropped = Box::pin(service.commit(transaction(put("a", b"2"))));
    assert!(dropped.as_mut().poll(&mut waker).is_pending());
    drop(dropped);
    gate.wait_reached(1);
    assert_eq!(get(&service, "a"), Some((b"1".to_vec(), 1)));
    // The conflict rests on what is not durable yet, so it is not told yet.
    let stale = Transaction {
        compares: vec![Compare { key: "a".to_owned(), revision: 1 }],
        changes: vec![put("a", b"3")],
    };
    let mut conflict = Box::pin(service.commit(stale));
    assert!(conflict.as_mut().poll(&mut waker).is_pending());
    gate.open();
    assert_eq!(block_on(conflict).unwrap(), Outcome::Conflict);
    assert_eq!(get(&service, "a"), Some((b"2".to_vec(), 2)));
}

#[test]
fn snapshots_keep_the_log_short() {
    let disk = CrashFileSystem::new(1);
    let service = open(&disk);
    let value = vec![7; 20_000];
    for round in 0..600u64 {
        commit(&service, &[], vec![put(&format!("k{}", round % 20), &value)]).unwrap();
    }
    let lease = block_on(service.acquire_lease("s1")).unwrap();
    let names = disk.list(Path::new(DIRECTORY)).unwrap();
    assert_eq!(names.iter().filter(|name| name.starts_with("snapshot-")).count(), 1, "{names:?}");
    assert!(disk.used_bytes() < 15 << 20, "{}", disk.used_bytes());
    drop(service);
    let service = open(&disk);
    assert_eq!(get(&service, "k19"), Some((value, 600)));
    assert_eq!(block_on(service.list("k")).unwrap().len(), 20);
    assert!(block_on(service.acquire_lease("s1")).unwrap().generation > lease.generation);
}

/// Each start begins a segment, and writes too little for a snapshot of its own.
#[test]
fn many_short_lives_leave_few_segments() {
    let disk = CrashFileSystem::new(1);
    for life in 0..60u64 {
        let service = open(&disk);
        commit(&service, &[], vec![put("k", &life.to_le_bytes())]).unwrap();
        // The segments are freed by a mark that a commit brings.
        commit(&service, &[], vec![put("last", b"")]).unwrap();
    }
    let names = disk.list(&Path::new(DIRECTORY).join("log")).unwrap();
    assert!(names.len() < 20, "{names:?}");
    let service = open(&disk);
    assert_eq!(get(&service, "k"), Some((59u64.to_le_bytes().to_vec(), 119)));
}

#[test]
fn a_damaged_snapshot_is_reported_and_not_skipped() {
    let disk = CrashFileSystem::new(1);
    let service = open(&disk);
    for _ in 0..60 {
        commit(&service, &[], vec![put("k", &[7; 20_000])]).unwrap();
    }
    drop(service);
    let names = disk.list(Path::new(DIRECTORY)).unwrap();
    let name = names.iter().find(|name| name.starts_with("snapshot-")).unwrap();
    let path = Path::new(DIRECTORY).join(name);
    for offset in [0, 9, 30, 60, 10_000] {
        let damaged = disk.kill_clone();
        damaged.flip_bit(&path, offset, 2).unwrap();
        match try_open(&damaged).map(drop) {
            Err(LockError::Corruption { file, .. }) => assert_eq!(Path::new(&file), path),
            other => panic!("{other:?}"),
        }
    }
    let renamed = disk.kill_clone();
    renamed.rename(&path, &path.with_file_name("snapshot-00000000ffffffff")).unwrap();
    assert!(matches!(try_open(&renamed), Err(LockError::Corruption { offset: 24, .. })));
}

#[test]
fn a_full_disk_refuses_and_a_dead_log_ends_the_service() {
    let disk = CrashFileSystem::new(1);
    let service = open(&disk);
    disk.set_capacity(Some(disk.used_bytes()));
    let value = vec![7; 50_000];
    let refused = (0..1000).find_map(|_| commit(&service, &[], vec![put("k", &value)]).err());
    assert!(matches!(refused, Some(LockError::DiskFull(_))), "{refused:?}");
    disk.set_capacity(None);
    commit(&service, &[], vec![put("k", b"room")]).unwrap();
    disk.add_fault(Fault::on(".log", FaultKind::Io).operation(Operation::Sync));
    let unknown = commit(&service, &[], vec![put("k", b"lost?")]);
    assert!(matches!(unknown, Err(LockError::OutcomeUnknown(_))), "{unknown:?}");
    let after = commit(&service, &[], vec![put("k", b"no")]);
    assert!(matches!(after, Err(LockError::Unavailable(_))), "{after:?}");
    assert_eq!(get(&service, "k").unwrap().0, b"room", "reads still see what is durable");
}

#[test]
fn the_worked_example_has_these_bytes() {
    let entry = |key: &str, value: &'static [u8], revision| {
        (Arc::from(key), Versioned { value: Bytes::from_static(value), revision })
    };
    let snapshot = Snapshot {
        revision: 5,
        seq: 9,
        generation: Generation(2),
        entries: [entry("/a", b"xyz", 3), entry("/b", b"", 5)].into_iter().collect(),
    };
    let bytes = snapshot.encode();
    let rows: Vec<String> = bytes
        .chunks(16)
        .map(|row| row.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        rows,
        [
            "54 65 72 72 61 4c 63 6b 01 00 00 00 00 00 00 00",
            "05 00 00 00 00 00 00 00 09 00 00 00 00 00 00 00",
            "02 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00",
            "02 00 00 00 03 00 00 00 03 00 00 00 00 00 00 00",
            "2f 61 78 79 7a 02 00 00 00 00 00 00 00 05 00 00",
            "00 00 00 00 00 2f 62 2c 12 79 b3",
        ]
    );
    assert_eq!(Snapshot::decode(&bytes), Ok(snapshot));
    for len in 0..bytes.len() {
        assert!(Snapshot::decode(&bytes[..len]).is_err());
    }
    let mut random = SplitMix64::new(1);
    for _ in 0..2000 {
        let mut damaged = bytes[16..bytes.len() - 4].to_vec();
        for _ in 0..random.below(4) {
            let at = random.below(damaged.len() as u64) as usize;
            damaged[at] = random.next_u64() as u8;
        }
        damaged.truncate(random.below(damaged.len() as u64 + 1) as usize);
        fuzz_decode(&damaged);
    }
}

type Model = BTreeMap<String, (Vec<u8>, u64)>;

/// The state after each revision; index 0 is the empty one.
struct Story {
    states: Mutex<Vec<Model>>,
    acknowledged: AtomicU64,
    generation: AtomicU64,
}

/// A disk after a crash, with the revision and the generation told by then.
type Crashed = (CrashFileSystem, u64, u64);

fn crash(story: &Story, disk: &CrashFileSystem, random: &mut SplitMix64) -> Crashed {
    let told = story.acknowledged.load(Ordering::SeqCst);
    let generation = story.generation.load(Ordering::SeqCst);
    let modes = [CrashMode::DropUnsynced, CrashMode::Random, CrashMode::KeepWritten];
    let mode = modes[random.below(3) as usize];
    (disk.crash_clone(random.next_u64(), mode), told, generation)
}

fn live(disk: &CrashFileSystem, story: &Arc<Story>, random: &mut SplitMix64) -> Vec<Crashed> {
    let crashes = Arc::new(Mutex::new(Vec::new()));
    let (hook_disk, hook_story, hook_crashes) = (disk.clone(), story.clone(), crashes.clone());
    let hook_random = Mutex::new(SplitMix64::new(random.next_u64()));
    disk.set_hook(move |access| {
        let mut random = hook_random.lock();
        if access.operation != Operation::Read && random.chance(0.05) {
            let crashed = crash(&hook_story, &hook_disk, &mut random);
            hook_crashes.lock().push(crashed);
        }
    });
    let service = open(disk);
    for _ in 0..random.below(40) {
        if random.chance(0.1) {
            let holder = format!("s{}", random.next_u64());
            let lease = block_on(service.acquire_lease(&holder)).unwrap();
            let before = story.generation.swap(lease.generation.0, Ordering::SeqCst);
            assert!(lease.generation.0 > before);
        }
        if random.chance(0.1) {
            // As if the log had grown.
            service.snapshot.lock().0 = Some(0);
            let snapshot = service.store.snapshot();
            if snapshot::save(&service.env, &service.directory, &snapshot).is_ok() {
                service.log.retire(Seq(snapshot.seq));
            }
        }
        let mut next = story.states.lock().last().unwrap().clone();
        let revision = story.states.lock().len() as u64;
        let mut changes = Vec::new();
        for _ in 0..=random.below(3) {
            let key = format!("k{}", random.below(12));
            if random.chance(0.3) {
                next.remove(&key);
                changes.push(delete(&key));
            } else {
                let value = vec![revision as u8; random.below(200) as usize];
                next.insert(key.clone(), (value.clone(), revision));
                changes.push(put(&key, &value));
            }
        }
        story.states.lock().push(next);
        match commit(&service, &[], changes) {
            Ok(outcome) => assert_eq!(outcome, Outcome::Committed(revision)),
            Err(_) => break,
        }
        story.acknowledged.store(revision, Ordering::SeqCst);
    }
    disk.clear_hook();
    let last = crash(story, disk, random);
    drop(service);
    let mut crashes = std::mem::take(&mut *crashes.lock());
    crashes.push(last);
    crashes
}

/// Whatever is cut at whatever operation: the state is one that was, not older than what was told.
#[test]
fn no_crash_loses_a_transaction_or_repeats_a_generation() {
    for seed in 0..20 {
        let mut random = SplitMix64::new(seed);
        let mut disk = CrashFileSystem::new(seed);
        let mut states = vec![Model::new()];
        let mut generation = 0;
        for _ in 0..5 {
            if seed % 2 == 1 {
                let fault = Fault::on(".log", FaultKind::Io).operation(Operation::Sync);
                disk.add_fault(fault.when(Trigger::Nth(10 + random.below(60))));
            }
            let story = Arc::new(Story {
                acknowledged: AtomicU64::new(states.len() as u64 - 1),
                states: Mutex::new(states.clone()),
                generation: AtomicU64::new(generation),
            });
            let crashes = live(&disk, &story, &mut random);
            let survivor = random.below(crashes.len() as u64) as usize;
            for (index, (crashed, told, told_generation)) in crashes.into_iter().enumerate() {
                let service = open(&crashed);
                let revision = service.store.lock().revision();
                assert!(revision >= told, "seed {seed}: {told} told, {revision} back");
                let mut found = Model::new();
                for (key, versioned) in block_on(service.list("")).unwrap() {
                    found.insert(key, (versioned.value.to_vec(), versioned.revision));
                }
                assert_eq!(found, story.states.lock()[revision as usize], "seed {seed}");
                let lease = block_on(service.acquire_lease("next")).unwrap();
                assert!(lease.generation.0 > told_generation, "seed {seed}");
                drop(service);
                if index == survivor {
                    states = story.states.lock()[..=revision as usize].to_vec();
                    generation = lease.generation.0;
                    disk = crashed;
                }
            }
        }
    }
}
