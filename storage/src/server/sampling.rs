//! Row keys that cut a table into pieces of about equal bytes.
//!
//! Bytes are counted where they are known without reading data: by block in files, by a guess a row in
//! memtables. Deleted and overwritten rows count too, so the pieces are rough.

use super::TabletServer;
use crate::memtable::Memtable;
use crate::scan::Sources;
use crate::sstable::Sstable;
use bytes::Bytes;
use std::ops::Range;
use terrane_client::error::TabletError;
use terrane_client::ids::StorageId;

/// Pieces a table is cut into.
const PIECES: u64 = 16;

/// Keys looked at in one file or memtable: a few a piece are enough.
const SAMPLES_MAX: usize = 256;

/// A key, and the bytes from the sample before up to it.
pub(super) type Sample = (Bytes, u64);

impl TabletServer {
    pub(super) fn sample(&self, table: StorageId) -> Result<Vec<Bytes>, TabletError> {
        self.check_open()?;
        let mut samples: Vec<Sample> = Vec::new();
        let table = self.tablets.table(table)?;
        let layout = table.schemas().layout.clone();
        for tablet in table.tablets() {
            let version = tablet.version();
            for group in version.groups() {
                let Sources { memtables, runs } = &group.sources;
                let first = samples.len();
                memtables.iter().for_each(|memtable| sample_memtable(memtable, &mut samples));
                for file in runs.iter().flat_map(|run| run.files()) {
                    sample_file(&file.table, &mut samples)?;
                }
                for (key, _) in &mut samples[first..] {
                    *key = layout.row_key_in(group.id, std::mem::take(key));
                }
            }
            samples.retain(|(key, _)| tablet.range.contains(key));
        }
        Ok(cut(samples))
    }
}

fn sample_memtable(memtable: &Memtable, samples: &mut Vec<Sample>) {
    let step = memtable.rows().div_ceil(SAMPLES_MAX).max(1);
    let bytes = memtable.bytes() as u64 * step as u64 / memtable.rows().max(1) as u64;
    let mut cursor = memtable.cursor();
    cursor.seek(&[]);
    let mut place = 0;
    while let Some(key) = cursor.key() {
        if place % step == 0 {
            samples.push((Bytes::copy_from_slice(key), bytes));
        }
        place += 1;
        cursor.next();
    }
}

/// Adds a file's blocks: first key and bytes.
pub(super) fn sample_file(table: &Sstable, samples: &mut Vec<Sample>) -> Result<(), TabletError> {
    // What is hidden takes room where its keys are.
    let all = [0..table.block_count(), table.history_blocks()];
    let blocks: usize = all.iter().map(Range::len).sum();
    let step = blocks.div_ceil(SAMPLES_MAX).max(1);
    let bytes = table.size_bytes() * step as u64 / blocks.max(1) as u64;
    for block in all.into_iter().flat_map(|part| part.step_by(step)) {
        samples.push((table.block_bounds(block)?.0, bytes));
    }
    Ok(())
}

/// The keys at which the sum of bytes passes a sixteenth of all, two sixteenths, and so on.
fn cut(mut samples: Vec<Sample>) -> Vec<Bytes> {
    samples.sort_unstable();
    let total: u64 = samples.iter().map(|(_, bytes)| bytes).sum();
    let mut keys: Vec<Bytes> = Vec::new();
    let (mut sum, mut next) = (0, 1);
    for (key, bytes) in samples {
        if sum * PIECES >= total * next && sum > 0 && keys.last() != Some(&key) {
            keys.push(key);
            next = sum * PIECES / total + 1;
        }
        sum += bytes;
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_have_about_equal_bytes() {
        let sample = |i: u32| (Bytes::copy_from_slice(&i.to_be_bytes()), 1 + u64::from(i / 500));
        let keys = cut((0..1000).rev().map(sample).collect());
        assert_eq!(keys.len(), 15);
        assert!(keys.is_sorted());
        let first = u32::from_be_bytes(keys[0][..].try_into().unwrap());
        let last = u32::from_be_bytes(keys[14][..].try_into().unwrap());
        assert!((90..97).contains(&first), "{first}");
        assert!((950..957).contains(&last), "{last}");
    }

    #[test]
    fn few_rows_make_few_pieces() {
        assert!(cut(Vec::new()).is_empty());
        let key = Bytes::from_static(b"k");
        assert!(cut(vec![(key.clone(), 5)]).is_empty());
        assert!(cut(vec![(key.clone(), 5), (key.clone(), 5)]).len() <= 1);
    }
}
