//! The no-hole oracle: whenever the power is cut, what comes back is a prefix of the commit order, whole
//! commits only, that holds every acknowledged one (but for what was retired).

use super::*;
use std::sync::atomic::{AtomicU64, Ordering};
use terrane_env::Operation;
use terrane_env::files::crash::{CrashMode, Fault, FaultKind, Trigger};
use terrane_env::random::SplitMix64;

/// What a run appended, and what is known of it.
#[derive(Default)]
struct Story {
    commits: Mutex<Vec<Vec<Record>>>,
    acknowledged: AtomicU64,
    retired: AtomicU64,
}

/// A disk after a crash, and what had been acknowledged when it happened.
struct Crashed {
    disk: CrashFileSystem,
    acknowledged: u64,
    retired: u64,
}

impl Story {
    fn crash(&self, disk: &CrashFileSystem, random: &mut SplitMix64) -> Crashed {
        // Read first: what is acknowledged during the clone may or may not be in it.
        let acknowledged = self.acknowledged.load(Ordering::SeqCst);
        let mode = match random.below(4) {
            0 => CrashMode::DropUnsynced,
            1 => CrashMode::KeepWritten,
            _ => CrashMode::Random,
        };
        let disk = disk.crash_clone(random.next_u64(), mode);
        // Read last: what was to be retired by then may be gone.
        let retired = self.retired.load(Ordering::SeqCst);
        Crashed { disk, acknowledged, retired }
    }

    /// Checks what came back, and forgets the commits that did not.
    fn check(&self, recovered: &[Record], last: u64, crashed: &Crashed) {
        let mut commits = self.commits.lock();
        assert!(last >= crashed.acknowledged, "{} acknowledged, {last} back", crashed.acknowledged);
        let whole = commits.partition_point(|commit| commit[0].seq.0 <= last);
        let survived = commits[..whole].iter().flatten();
        let expected: Vec<&Record> =
            survived.clone().filter(|record| record.seq.0 > crashed.retired).collect();
        let got: Vec<&Record> =
            recovered.iter().filter(|record| record.seq.0 > crashed.retired).collect();
        assert_eq!(got.len(), expected.len());
        assert_eq!(got, expected);
        // And what came back of the retired ones was written, too.
        let all: Vec<&Record> = survived.collect();
        let offset = all.len() - recovered.len();
        assert!(recovered.iter().eq(all[offset..].iter().copied()));
        commits.truncate(whole);
        self.acknowledged.store(last, Ordering::SeqCst);
    }
}

/// One life of the log: random commits, waits and retirements, the power cut at random operations.
fn live(
    disk: &CrashFileSystem,
    story: &Arc<Story>,
    epoch: u64,
    random: &mut SplitMix64,
) -> Vec<Crashed> {
    let crashes = Arc::new(Mutex::new(Vec::new()));
    let hook_random = Mutex::new(SplitMix64::new(random.next_u64()));
    let (hook_disk, hook_story, hook_crashes) = (disk.clone(), story.clone(), crashes.clone());
    disk.set_hook(move |access| {
        let mut random = hook_random.lock();
        if access.operation != Operation::Read && random.chance(0.04) {
            let crashed = hook_story.crash(&hook_disk, &mut random);
            hook_crashes.lock().push(crashed);
        }
    });
    let opened = CommitLog::open(&env(disk), Path::new(DIRECTORY), identity(epoch), small());
    let Ok((log, replay)) = opened else {
        // Only injected faults make it fail, and a restart follows.
        let last = story.crash(disk, random);
        disk.clear_hook();
        let mut crashes = std::mem::take(&mut *crashes.lock());
        crashes.push(last);
        return crashes;
    };
    let mut seq = replay.report().last_seq.0;
    drop(replay);
    let mut tickets: Vec<Ticket> = Vec::new();
    for _ in 0..random.below(60) {
        let rows = if random.chance(0.05) { 40 + random.below(60) } else { 1 + random.below(4) };
        let commit: Vec<Record> = (0..rows)
            .map(|_| {
                seq += 1 + random.below(2);
                record(seq, epoch, random.below(300) as usize)
            })
            .collect();
        let refs: Vec<RecordRef<'_>> = commit.iter().map(Record::as_ref).collect();
        let bytes: usize = refs.iter().map(RecordRef::encoded_bytes_max).sum();
        let Ok(reservation) = log.reserve(bytes as u64) else { break };
        story.commits.lock().push(commit.clone());
        let Ok(ticket) = log.append(reservation, &refs) else {
            story.commits.lock().pop();
            break;
        };
        tickets.push(ticket);
        if random.chance(0.5) {
            for ticket in tickets.drain(..) {
                let last = ticket.seq().0;
                if ticket.wait().is_ok() {
                    story.acknowledged.fetch_max(last, Ordering::SeqCst);
                }
            }
        }
        if random.chance(0.2) {
            let up_to = random.below(log.durable().0 + 1);
            story.retired.fetch_max(up_to, Ordering::SeqCst);
            log.retire(Seq(up_to));
        }
    }
    let last = story.crash(disk, random);
    disk.clear_hook();
    drop(tickets);
    drop(log);
    let mut crashes = std::mem::take(&mut *crashes.lock());
    crashes.push(last);
    crashes
}

fn run(seed: u64, faults: bool) {
    let mut random = SplitMix64::new(seed);
    let mut disk = CrashFileSystem::new(seed);
    let mut story = Arc::new(Story::default());
    for epoch in 1..=6 {
        if faults {
            let operation = [Operation::Write, Operation::Sync][random.below(2) as usize];
            let fault = Fault::on(".log", FaultKind::Io).operation(operation);
            disk.add_fault(fault.when(Trigger::Probability(0.02)));
            if random.chance(0.3) {
                disk.set_capacity(Some(disk.used_bytes() + random.below(60_000)));
            }
        }
        let crashes = live(&disk, &story, epoch, &mut random);
        let survivor = random.below(crashes.len() as u64) as usize;
        let commits = story.commits.lock().clone();
        for (index, crashed) in crashes.into_iter().enumerate() {
            let after = Story {
                commits: Mutex::new(commits.clone()),
                retired: AtomicU64::new(crashed.retired),
                ..Story::default()
            };
            // Opened twice: what the first opening changed must not matter.
            for again in 0..2 {
                let (log, records) = open(&crashed.disk, epoch + again);
                after.check(&records, log.durable().0, &crashed);
            }
            if index == survivor {
                disk = crashed.disk;
                story = Arc::new(after);
            }
        }
    }
}

/// A few seeds; `TERRANE_SEEDS=1000..2000` runs others.
fn seeds(default: u64) -> std::ops::Range<u64> {
    let Ok(range) = std::env::var("TERRANE_SEEDS") else { return 0..default };
    let (start, end) = range.split_once("..").expect("TERRANE_SEEDS is a range of numbers");
    start.parse().expect("a number")..end.parse().expect("a number")
}

#[test]
fn no_power_cut_makes_a_hole() {
    for seed in seeds(25) {
        run(seed, false);
    }
}

#[test]
fn no_power_cut_makes_a_hole_on_a_failing_disk() {
    for seed in seeds(25) {
        run(seed, true);
    }
}
