//! The maps: what is sequenced, what is durable.

use super::kind;
use super::snapshot::Snapshot;
use crate::log::Record;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use terrane_client::ids::{Generation, Seq};
use terrane_client::lock::{Change, Compare, Lease, Versioned};
use tokio::sync::watch;

pub(super) type Map = BTreeMap<Arc<str>, Versioned>;

/// What a sequenced commit does.
#[derive(Clone, Debug)]
pub(super) struct Applied {
    pub(super) revision: u64,
    pub(super) changes: Vec<Change>,
    pub(super) generation: Generation,
}

/// See the module's documentation. Invariant: `visible` plus `pending`, in order, is `latest`.
#[derive(Debug)]
pub(super) struct State {
    /// Everything sequenced: what compares look at.
    latest: Map,
    revision: u64,
    generation: Generation,
    next_seq: u64,
    /// Everything durable: what reads see.
    visible: Map,
    visible_seq: u64,
    visible_revision: u64,
    visible_generation: Generation,
    /// Sequenced and not durable yet, with the seq of each one's last record.
    pending: VecDeque<(u64, Applied)>,
    leases: HashMap<String, Generation>,
    watches: Vec<(String, watch::Sender<u64>)>,
}

impl State {
    /// The state that a snapshot holds.
    pub(super) fn new(snapshot: Snapshot) -> Self {
        Self {
            latest: snapshot.entries.clone(),
            revision: snapshot.revision,
            generation: snapshot.generation,
            next_seq: snapshot.seq + 1,
            visible: snapshot.entries,
            visible_seq: snapshot.seq,
            visible_revision: snapshot.revision,
            visible_generation: snapshot.generation,
            pending: VecDeque::new(),
            leases: HashMap::new(),
            watches: Vec::new(),
        }
    }

    /// Applies a record read back at opening. Those the snapshot has are left out; the others follow it without
    /// a gap.
    pub(super) fn replay(&mut self, record: &Record) -> Result<(), String> {
        let seq = record.seq.0;
        if seq < self.next_seq {
            return Ok(());
        }
        if seq != self.next_seq {
            return Err(format!("record {seq} where {} was to follow", self.next_seq));
        }
        let key = || {
            let key = std::str::from_utf8(&record.key);
            key.map(str::to_owned).map_err(|_| format!("record {seq}: the key is not UTF-8"))
        };
        let mut applied = Applied {
            revision: record.commit_ts.0.cast_unsigned(),
            changes: Vec::new(),
            generation: self.generation,
        };
        match record.kind {
            kind::PUT => {
                // A copy: the record's bytes share a whole segment's memory.
                let value = record.payload.to_vec().into();
                applied.changes.push(Change::Put { key: key()?, value });
            }
            kind::DELETE => applied.changes.push(Change::Delete { key: key()? }),
            kind::GENERATION => {
                let bytes = record.payload.as_ref().try_into();
                let bytes = bytes.map_err(|_| format!("record {seq}: not a generation"))?;
                applied.generation = Generation(u64::from_le_bytes(bytes));
            }
            other => return Err(format!("record {seq}: unknown kind {other}")),
        }
        self.apply(Seq(seq), applied);
        self.make_visible(seq);
        Ok(())
    }

    pub(super) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn generation(&self) -> Generation {
        self.generation
    }

    pub(super) fn holds(&self, compares: &[Compare]) -> bool {
        compares.iter().all(|compare| {
            let revision = self.latest.get(compare.key.as_str()).map_or(0, |value| value.revision);
            revision == compare.revision
        })
    }

    /// Notes what was appended; `last_seq` is its last record's.
    pub(super) fn apply(&mut self, last_seq: Seq, applied: Applied) {
        assert!(last_seq.0 >= self.next_seq, "commits are applied in order");
        make_changes(&mut self.latest, &applied);
        self.next_seq = last_seq.0 + 1;
        self.revision = applied.revision;
        self.generation = applied.generation;
        self.pending.push_back((last_seq.0, applied));
    }

    fn make_visible(&mut self, durable_seq: u64) {
        while let Some((seq, applied)) = self.pending.pop_front_if(|(seq, _)| *seq <= durable_seq) {
            make_changes(&mut self.visible, &applied);
            self.visible_seq = seq;
            self.visible_revision = applied.revision;
            self.visible_generation = applied.generation;
            self.tell(&applied);
        }
    }

    /// Tells the watches whose prefix a change is under; forgets those that no one listens to.
    fn tell(&mut self, applied: &Applied) {
        self.watches.retain(|(prefix, sender)| {
            let under = |change: &Change| match change {
                Change::Put { key, .. } | Change::Delete { key } => key.starts_with(prefix),
            };
            if applied.changes.iter().any(under) {
                sender.send_replace(applied.revision);
            }
            !sender.is_closed()
        });
    }

    pub(super) fn get(&self, key: &str) -> Option<Versioned> {
        self.visible.get(key).cloned()
    }

    pub(super) fn list(&self, prefix: &str) -> Vec<(String, Versioned)> {
        let from = self
            .visible
            .range::<str, _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded));
        from.take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.to_string(), value.clone()))
            .collect()
    }

    pub(super) fn is_held(&self, holder: &str) -> bool {
        self.leases.contains_key(holder)
    }

    /// Gives a lease, unless the holder has one.
    pub(super) fn hold(&mut self, holder: &str, generation: Generation) -> bool {
        let free = !self.is_held(holder);
        if free {
            self.leases.insert(holder.to_owned(), generation);
        }
        free
    }

    /// Ends a lease; an older one of the same holder ends nothing.
    pub(super) fn release(&mut self, lease: &Lease) {
        if self.leases.get(&lease.holder) == Some(&lease.generation) {
            self.leases.remove(&lease.holder);
        }
    }
}

fn make_changes(map: &mut Map, applied: &Applied) {
    for change in &applied.changes {
        match change {
            Change::Put { key, value } => {
                let versioned = Versioned { value: value.clone(), revision: applied.revision };
                map.insert(Arc::from(key.as_str()), versioned);
            }
            Change::Delete { key } => {
                map.remove(key.as_str());
            }
        }
    }
}

/// The state and its mutex.
#[derive(Debug)]
pub(super) struct Store(Mutex<State>);

impl Store {
    pub(super) fn new(state: State) -> Self {
        Self(Mutex::new(state))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }

    /// Shows readers everything up to a seq.
    pub(super) fn make_visible(&self, seq: Seq) {
        self.lock().make_visible(seq.0);
    }

    pub(super) fn watch(&self, prefix: &str) -> watch::Receiver<u64> {
        let mut state = self.lock();
        let (sender, receiver) = watch::channel(state.visible_revision);
        state.watches.push((prefix.to_owned(), sender));
        receiver
    }

    /// Everything durable.
    pub(super) fn snapshot(&self) -> Snapshot {
        let state = self.lock();
        Snapshot {
            revision: state.visible_revision,
            seq: state.visible_seq,
            generation: state.visible_generation,
            entries: state.visible.clone(),
        }
    }
}
