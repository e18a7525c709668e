//! Where large tables are cut, so that a scan of all of one is read by several threads.
//!
//! Contract: keys only say where to cut; any keys, old ones too, give the same answer. What is known of a
//! table is kept for [`KEPT_MICROS`], because finding out looks at every file's index.

use bytes::Bytes;
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::sync::Arc;
use terrane_client::error::TabletError;
use terrane_client::ids::StorageId;
use terrane_client::read::KeyRange;
use terrane_client::service::TabletService;
use terrane_client::status::stored_bytes;
use terrane_env::Env;

/// How long a table's keys are kept.
const KEPT_MICROS: i64 = 10_000_000;
/// Tables remembered at most.
const TABLES_MAX: usize = 256;

type Keys = Arc<[Bytes]>;

/// The keys of the tables that were scanned lately.
pub struct Splits {
    env: Env,
    /// Pieces of a scan at most.
    pieces_max: usize,
    /// Smaller tables are read by one thread.
    bytes_min: u64,
    /// Keys, and when they were asked for; none for a small table.
    known: Mutex<HashMap<StorageId, (i64, Keys)>>,
}

impl Splits {
    /// Cuts tables of at least so many bytes into so many pieces at most.
    pub fn new(env: Env, pieces_max: usize, bytes_min: u64) -> Self {
        Self { env, pieces_max: pieces_max.max(1), bytes_min, known: Mutex::default() }
    }

    /// Pieces of a scan at most.
    pub fn pieces_max(&self) -> usize {
        self.pieces_max
    }

    /// Finds out about a table, unless that is known: true where it is worth cutting.
    pub async fn learn(
        &self,
        tablets: &dyn TabletService,
        table: StorageId,
    ) -> Result<bool, TabletError> {
        if self.pieces_max == 1 {
            return Ok(false);
        }
        let now = self.env.clock.now_micros();
        if let Some((at, keys)) = self.known.lock().get(&table)
            && (*at..=at.saturating_add(KEPT_MICROS)).contains(&now)
        {
            return Ok(!keys.is_empty());
        }
        let keys: Keys = match bytes_of(tablets, table).await? >= self.bytes_min {
            true => tablets.sample_keys(table).await?.into(),
            false => Arc::default(),
        };
        let is_large = !keys.is_empty();
        let mut known = self.known.lock();
        if known.len() >= TABLES_MAX {
            known.clear();
        }
        known.insert(table, (now, keys));
        Ok(is_large)
    }

    /// The ranges, dealt out to pieces of about equal bytes, in order. One piece for what is not known.
    pub fn pieces(&self, table: StorageId, ranges: &[KeyRange]) -> Vec<Vec<KeyRange>> {
        let keys = self.known.lock().get(&table).map(|(_, keys)| Arc::clone(keys));
        match keys {
            Some(keys) if !keys.is_empty() => deal(ranges, &keys, self.pieces_max),
            _ => vec![ranges.to_vec()],
        }
    }
}

/// Stored bytes of a table, in files and memory.
async fn bytes_of(tablets: &dyn TabletService, table: StorageId) -> Result<u64, TabletError> {
    let status = tablets.status().await?;
    Ok(stored_bytes(status.iter().filter(|tablet| tablet.row.table == table)))
}

/// Cuts ranges at every key and gives each of `pieces_max` pieces its share of the cuts.
fn deal(ranges: &[KeyRange], keys: &[Bytes], pieces_max: usize) -> Vec<Vec<KeyRange>> {
    let mut cut: Vec<KeyRange> = Vec::new();
    for range in ranges {
        let mut rest = range.clone();
        for key in keys.iter().filter(|key| range.contains(key) && **key != range.start) {
            let before = KeyRange { start: rest.start, end: Some(key.clone()) };
            rest = KeyRange { start: key.clone(), end: range.end.clone() };
            cut.push(before);
        }
        cut.push(rest);
    }
    let share = cut.len().div_ceil(pieces_max).max(1);
    cut.chunks(share).map(join).collect()
}

/// Neighbours that meet, as one range.
fn join(ranges: &[KeyRange]) -> Vec<KeyRange> {
    let mut joined: Vec<KeyRange> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if last.end.as_ref() == Some(&range.start) => last.end = range.end.clone(),
            _ => joined.push(range.clone()),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: &'static str, end: Option<&'static str>) -> KeyRange {
        KeyRange { start: Bytes::from_static(start.as_bytes()), end: end.map(Bytes::from) }
    }

    #[test]
    fn pieces_cover_the_ranges_in_order() {
        let keys: Vec<Bytes> = ["b", "d", "f", "h"].map(Bytes::from).to_vec();
        let all = [range("", None)];
        assert_eq!(deal(&all, &keys, 2), [vec![range("", Some("f"))], vec![range("f", None)]]);
        assert_eq!(deal(&all, &keys, 16).len(), 5);
        assert_eq!(deal(&all, &[], 4), [all.to_vec()]);
        let two = [range("a", Some("c")), range("d", Some("e"))];
        assert_eq!(
            deal(&two, &keys, 2),
            [vec![range("a", Some("c"))], vec![range("d", Some("e"))],]
        );
        assert_eq!(deal(&two, &keys, 1), [two.to_vec()]);
        assert!(deal(&[], &keys, 2).is_empty());
    }
}
