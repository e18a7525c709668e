//! Which requests were carried out, by the minute: what makes a retry known after its record has left the
//! log (rule 5).
//!
//! A memtable has the ids of the requests that wrote to it ([`RequestIds`]). A flush gives them to every file of
//! its run, a merge passes on those of its inputs ([`RequestHistory`], the property `request_ids`), and whoever loads
//! a tablet reads them from its files: children of a split and the union of a merge inherit them with the files
//! that they share. They are forgotten [`REMEMBERED_FOR_MICROS`] after the newest commit of their memtable; a retry that
//! comes later is taken for a new request.
//!
//! Frontends number their requests upwards, so a set is a bitmap or a few runs: two bytes an id at most, unless
//! they are thousands of numbers apart.
//!
//! ```text
//! request_ids := minutes u32 | per minute, ascending: minute i64 | clients u32
//!                | per client, ascending: client u64 | bytes u32 | numbers
//! ```
//!
//! A minute is that many minutes after the epoch of commit timestamps; numbers are a set of the portable format of
//! Roaring bitmaps, 64 bit.

use bytes::Buf;
use roaring::RoaringTreemap;
use std::collections::BTreeMap;
use terrane_client::ids::{CommitTs, RequestId};

/// How long a request is known: 15 minutes (rule 5).
pub const REMEMBERED_FOR_MICROS: i64 = 15 * MINUTE_MICROS;

const MINUTE_MICROS: i64 = 60_000_000;

/// Bytes that are no [`RequestHistory`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed ids of requests")]
pub struct MalformedRequestIds;

/// Ids of requests: the numbers of each client.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestIds {
    numbers: BTreeMap<u64, RoaringTreemap>,
}

impl RequestIds {
    /// Adds one. Requests without an id are not remembered.
    pub fn insert(&mut self, request: RequestId) {
        if request.is_named() {
            self.numbers.entry(request.client).or_default().insert(request.number);
        }
    }

    /// Adds those of another set.
    pub fn extend(&mut self, other: &Self) {
        for (client, numbers) in &other.numbers {
            *self.numbers.entry(*client).or_default() |= numbers;
        }
    }

    /// Whether a request is one of them.
    pub fn contains(&self, request: RequestId) -> bool {
        self.numbers.get(&request.client).is_some_and(|numbers| numbers.contains(request.number))
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.numbers.values().map(RoaringTreemap::len).sum()
    }

    /// True where there are none.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.numbers.len() as u32).to_le_bytes());
        for (client, numbers) in &self.numbers {
            let mut numbers = numbers.clone();
            numbers.optimize();
            out.extend_from_slice(&client.to_le_bytes());
            out.extend_from_slice(&(numbers.serialized_size() as u32).to_le_bytes());
            numbers.serialize_into(&mut *out).expect("a Vec takes what is written to it");
        }
    }

    fn decode(input: &mut &[u8]) -> Option<Self> {
        let mut numbers = BTreeMap::new();
        for _ in 0..input.try_get_u32_le().ok()? {
            let (client, size) = (input.try_get_u64_le().ok()?, input.try_get_u32_le().ok()?);
            let (set, rest) = input.split_at_checked(size as usize)?;
            *input = rest;
            numbers.insert(client, RoaringTreemap::deserialize_from(set).ok()?);
        }
        Some(Self { numbers })
    }
}

/// Ids of requests, by the minute in which they were committed or a later one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestHistory {
    minutes: BTreeMap<i64, RequestIds>,
}

impl RequestHistory {
    /// Adds requests of which none was committed after `newest`.
    pub fn add(&mut self, newest: CommitTs, requests: &RequestIds) {
        if !requests.is_empty() {
            self.minutes.entry(minute_of(newest)).or_default().extend(requests);
        }
    }

    /// Adds one request.
    pub fn add_one(&mut self, commit_ts: CommitTs, request: RequestId) {
        if request.is_named() {
            self.minutes.entry(minute_of(commit_ts)).or_default().insert(request);
        }
    }

    /// Adds what another one has.
    pub fn extend(&mut self, other: &Self) {
        for (minute, requests) in &other.minutes {
            self.minutes.entry(*minute).or_default().extend(requests);
        }
    }

    /// Forgets what nobody has to know any more at the time `now_micros`.
    pub fn forget_old(&mut self, now_micros: i64) {
        // The whole minute is that old.
        let is_old =
            |minute: i64| (minute + 1) * MINUTE_MICROS + REMEMBERED_FOR_MICROS <= now_micros;
        self.minutes.retain(|minute, _| !is_old(*minute));
    }

    /// Whether a request is one of them.
    pub fn contains(&self, request: RequestId) -> bool {
        self.minutes.values().any(|requests| requests.contains(request))
    }

    /// How many ids there are.
    pub fn len(&self) -> u64 {
        self.minutes.values().map(RequestIds::len).sum()
    }

    /// True where there are none.
    pub fn is_empty(&self) -> bool {
        self.minutes.is_empty()
    }

    /// The property's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&(self.minutes.len() as u32).to_le_bytes());
        for (minute, requests) in &self.minutes {
            out.extend_from_slice(&minute.to_le_bytes());
            requests.encode(&mut out);
        }
        out
    }

    /// Reads a property.
    pub fn decode(mut property: &[u8]) -> Result<Self, MalformedRequestIds> {
        let input = &mut property;
        let mut read = || {
            let mut minutes = BTreeMap::new();
            for _ in 0..input.try_get_u32_le().ok()? {
                minutes.insert(input.try_get_i64_le().ok()?, RequestIds::decode(input)?);
            }
            Some(Self { minutes })
        };
        let history = read().ok_or(MalformedRequestIds)?;
        match property.is_empty() {
            true => Ok(history),
            false => Err(MalformedRequestIds),
        }
    }
}

fn minute_of(commit_ts: CommitTs) -> i64 {
    commit_ts.0.div_euclid(MINUTE_MICROS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(client: u64, number: u64) -> RequestId {
        RequestId { client, number }
    }

    fn at_minute(minute: i64) -> CommitTs {
        CommitTs(minute * MINUTE_MICROS + 17)
    }

    #[test]
    fn they_are_known_for_fifteen_minutes() {
        let mut history = RequestHistory::default();
        history.add_one(at_minute(3), id(1, 1));
        history.add_one(at_minute(5), id(1, 2));
        history.forget_old(at_minute(18).0);
        assert!(history.contains(id(1, 1)) && history.contains(id(1, 2)));
        history.forget_old(at_minute(19).0);
        assert!(!history.contains(id(1, 1)) && history.contains(id(1, 2)));
        history.forget_old(at_minute(21).0);
        assert!(history.is_empty());
    }

    #[test]
    fn nobody_is_not_a_client() {
        let mut history = RequestHistory::default();
        let mut requests = RequestIds::default();
        requests.insert(RequestId::default());
        history.add(at_minute(1), &requests);
        assert!(history.is_empty());
    }

    #[test]
    fn they_round_trip() {
        let mut history = RequestHistory::default();
        assert_eq!(RequestHistory::decode(&history.encode()), Ok(history.clone()));
        for number in 0..100_000 {
            history.add_one(at_minute(7), id(1, u64::from(u32::MAX) - 50_000 + number));
            history.add_one(at_minute(8 + number as i64 % 2), id(2 + number % 3, number * number));
        }
        let encoded = history.encode();
        assert_eq!(RequestHistory::decode(&encoded), Ok(history.clone()));
        assert_eq!(history.len(), 200_000);
        for cut in [0, 3, 4, 20, encoded.len() / 2, encoded.len() - 1] {
            assert_eq!(RequestHistory::decode(&encoded[..cut]), Err(MalformedRequestIds), "{cut}");
        }
        let longer = [&encoded[..], &[0]].concat();
        assert_eq!(RequestHistory::decode(&longer), Err(MalformedRequestIds));
    }

    /// The worked example of docs/format-sstable.md.
    #[test]
    fn one_client_and_a_run_of_numbers() {
        let mut history = RequestHistory::default();
        (10..30).for_each(|number| history.add_one(at_minute(2), id(9, number)));
        let bytes = history.encode();
        let word = |word: &[u8]| word.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let words: Vec<String> = bytes.chunks(4).map(word).collect();
        let expected = "01000000 02000000 00000000 01000000 09000000 00000000 1b000000 \
             01000000 00000000 00000000 3b300000 01000013 0001000a 001300";
        assert_eq!(words.join(" "), expected);
    }
}
