//! Range tombstones, cut at each other's edges: what memtables and runs keep them as, and reads ask.
//!
//! A *fragment* is a key range that one set of tombstones covers as a whole. Fragments do not overlap, so what
//! covers a key is found by one search, however many there are; which of its tombstones counts depends on
//! the timestamp that is read at, so a fragment keeps all of theirs, newest first.
//!
//! A tombstone deletes what was committed before it, whatever source that is in (rules 6 and 8).
//!
//! Invariants: no fragment is empty, none is without a timestamp, and timestamps of one descend strictly.
//!
//! Cost: a tombstone over n fragments adds a timestamp to each. Merges drop what no read is left for
//! ([`Fragments::kept`]), and join neighbours that say the same.

use crate::sstable::RangeTombstone;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Bound;
use terrane_client::ids::CommitTs;
use terrane_client::read::KeyRange;

/// See the module's documentation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fragments(BTreeMap<Bytes, Fragment>);

/// What stands at the start of a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fragment {
    /// First key outside; `None` is unbounded.
    end: Option<Bytes>,
    /// Of the tombstones that cover it, newest first.
    stamps: Vec<CommitTs>,
}

impl Fragment {
    fn add(&mut self, commit_ts: CommitTs) {
        let place = self.stamps.partition_point(|stamp| *stamp > commit_ts);
        if self.stamps.get(place) != Some(&commit_ts) {
            self.stamps.insert(place, commit_ts);
        }
    }

    /// The newest tombstone visible at `at`.
    fn newest(&self, at: CommitTs) -> CommitTs {
        let place = self.stamps.partition_point(|stamp| *stamp > at);
        self.stamps.get(place).copied().unwrap_or(CommitTs::ABSENT)
    }
}

impl Fragments {
    /// True where there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds a tombstone; returns of how many fragments it is one now. Those of an empty range are none.
    pub fn insert(&mut self, range: &KeyRange, commit_ts: CommitTs) -> usize {
        if range.is_empty() {
            return 0;
        }
        self.cut_at(&range.start);
        if let Some(end) = &range.end {
            self.cut_at(end);
        }
        let mut count = 0;
        let mut gaps = Vec::new();
        let mut from = Some(range.start.clone());
        for (start, fragment) in self.0.range_mut::<[u8], _>(bounds(range)) {
            if let Some(from) = from.filter(|from| from < start) {
                gaps.push(KeyRange { start: from, end: Some(start.clone()) });
            }
            fragment.add(commit_ts);
            count += 1;
            from = fragment.end.clone();
        }
        gaps.extend(from.map(|start| KeyRange { start, end: range.end.clone() }));
        for KeyRange { start, end } in gaps.into_iter().filter(|gap| !gap.is_empty()) {
            self.0.insert(start, Fragment { end, stamps: vec![commit_ts] });
            count += 1;
        }
        count
    }

    /// Makes a key an edge, if it is inside a fragment.
    fn cut_at(&mut self, key: &Bytes) {
        let below = (Bound::Unbounded, Bound::Excluded(&key[..]));
        let Some((_, left)) = self.0.range_mut::<[u8], _>(below).next_back() else { return };
        if left.end.as_ref().is_none_or(|end| key < end) {
            let right = left.clone();
            left.end = Some(key.clone());
            self.0.insert(key.clone(), right);
        }
    }

    /// The fragments that share keys with a range, each with its start.
    fn meeting<'a>(
        &'a self,
        start: &'a [u8],
        end: Bound<&'a [u8]>,
    ) -> impl Iterator<Item = (&'a Bytes, &'a Fragment)> {
        let mut before = self.0.range::<[u8], _>((Bound::Unbounded, Bound::Excluded(start)));
        let around =
            before.next_back().filter(|(_, f)| f.end.as_ref().is_none_or(|end| start < end));
        let is_empty = match end {
            Bound::Excluded(end) => end <= start,
            Bound::Included(end) => end < start,
            Bound::Unbounded => false,
        };
        // A map's range must not end before it starts.
        let inside = (!is_empty).then(|| self.0.range::<[u8], _>((Bound::Included(start), end)));
        around.filter(|_| !is_empty).into_iter().chain(inside.into_iter().flatten())
    }

    /// The newest tombstone visible at `at` that covers a key; [`CommitTs::ABSENT`] where none does.
    pub fn covering(&self, key: &[u8], at: CommitTs) -> CommitTs {
        self.covering_all(key, key, at)
    }

    /// The newest tombstone visible at `at` whose fragment covers all keys from `first` to `last`;
    /// [`CommitTs::ABSENT`] where none does.
    pub fn covering_all(&self, first: &[u8], last: &[u8], at: CommitTs) -> CommitTs {
        let up_to = (Bound::Unbounded, Bound::Included(first));
        match self.0.range::<[u8], _>(up_to).next_back() {
            Some((_, fragment)) if fragment.end.as_ref().is_none_or(|end| last < end) => {
                fragment.newest(at)
            }
            _ => CommitTs::ABSENT,
        }
    }

    /// True where one that is visible at `at`, and newer than `than`, covers a key from `first` to `last`.
    pub fn meet(&self, first: &[u8], last: &[u8], at: CommitTs, than: CommitTs) -> bool {
        self.meeting(first, Bound::Included(last)).any(|(_, fragment)| fragment.newest(at) > than)
    }

    /// True where one shares keys with a range.
    pub fn meet_range(&self, range: &KeyRange) -> bool {
        let end = range.end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        !self.is_empty() && self.meeting(&range.start, end).next().is_some()
    }

    /// The part of them inside a range.
    pub fn within(&self, range: &KeyRange) -> Self {
        let end = range.end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut inside = Self::default();
        for (start, Fragment { end, stamps }) in self.meeting(&range.start, end) {
            let part = KeyRange { start: start.clone(), end: end.clone() }.intersect(range);
            inside.0.insert(part.start, Fragment { end: part.end, stamps: stamps.clone() });
        }
        inside
    }

    /// Adds all of another's.
    pub fn add_all(&mut self, other: &Self) {
        if self.is_empty() {
            *self = other.clone();
            return;
        }
        for tombstone in other.tombstones() {
            let RangeTombstone { start, end, commit_ts } = tombstone;
            self.insert(&KeyRange { start, end }, commit_ts);
        }
    }

    /// As tombstones, ascending by start, those of one fragment newest first.
    pub fn tombstones(&self) -> impl Iterator<Item = RangeTombstone> {
        self.0.iter().flat_map(|(start, Fragment { end, stamps })| {
            stamps.iter().map(|stamp| RangeTombstone {
                start: start.clone(),
                end: end.clone(),
                commit_ts: *stamp,
            })
        })
    }

    /// The ranges, ascending, each with the newest tombstone that is visible at `at`, where there is one.
    pub fn newest_at(&self, at: CommitTs) -> impl Iterator<Item = RangeTombstone> {
        let newest = move |(start, fragment): (&Bytes, &Fragment)| {
            let commit_ts = fragment.newest(at);
            let tombstone =
                || RangeTombstone { start: start.clone(), end: fragment.end.clone(), commit_ts };
            (commit_ts > CommitTs::ABSENT).then(tombstone)
        };
        self.0.iter().filter_map(newest)
    }

    /// What a merge has to keep (rule 7): those newer than the floor, and of the others each fragment's newest, which
    /// is all that a read at or above the floor sees of them. Not even that where the merge includes every older
    /// run: then there is nothing left that it deletes.
    pub fn kept(&self, floor: CommitTs, includes_oldest: bool) -> Self {
        let mut kept = Self::default();
        // The last one kept, for its neighbour to be joined with.
        let mut last: Option<(Bytes, Fragment)> = None;
        for (start, fragment) in &self.0 {
            let above = fragment.stamps.partition_point(|stamp| *stamp > floor);
            let count = above + usize::from(!includes_oldest);
            let stamps: Vec<CommitTs> = fragment.stamps.iter().copied().take(count).collect();
            if stamps.is_empty() {
                continue;
            }
            match &mut last {
                Some((_, left)) if left.end.as_ref() == Some(start) && left.stamps == stamps => {
                    left.end.clone_from(&fragment.end);
                }
                _ => {
                    let next = (start.clone(), Fragment { end: fragment.end.clone(), stamps });
                    kept.0.extend(last.replace(next));
                }
            }
        }
        kept.0.extend(last);
        kept
    }
}

/// The starts inside a range that is not empty.
fn bounds(range: &KeyRange) -> (Bound<&[u8]>, Bound<&[u8]>) {
    let end = range.end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    (Bound::Included(&range.start[..]), end)
}

impl<'t> FromIterator<&'t RangeTombstone> for Fragments {
    fn from_iter<I: IntoIterator<Item = &'t RangeTombstone>>(tombstones: I) -> Self {
        let mut fragments = Self::default();
        for RangeTombstone { start, end, commit_ts } in tombstones {
            let range = KeyRange { start: start.clone(), end: end.clone() };
            fragments.insert(&range, *commit_ts);
        }
        fragments
    }
}

#[cfg(test)]
mod tests;
