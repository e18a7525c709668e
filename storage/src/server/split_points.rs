//! When a tablet is too large, and where it is cut.
//!
//! What counts is the bytes of files inside the tablet's range: a file that is shared after a split counts in
//! part, by its blocks. Memtables do not count; they will.

use super::TabletServer;
use super::background::Job;
use super::sampling::{Sample, sample_file};
use super::split::Why;
use crate::tablet::Tablet;
use bytes::Bytes;
use terrane_client::error::TabletError;
use terrane_client::ids::StorageId;

impl TabletServer {
    /// Splits the tablets that have grown too large. One that cannot be split is tried again in the next
    /// round, and keeps no other from being split or merged.
    pub(super) fn split_large(&self) {
        for tablet in self.tablets.all() {
            let is_stopping = || self.background.is_stopping();
            if tablet.is_root() || is_stopping() {
                continue;
            }
            match self.split_if_large(&tablet) {
                // NotServing: unloaded, dropped or split meanwhile.
                Ok(()) | Err(TabletError::NotServing { .. }) => {}
                Err(error) => tracing::warn!("{:?} is not split: {error}", tablet.name()),
            }
        }
    }

    fn split_if_large(&self, tablet: &Tablet) -> Result<(), TabletError> {
        match self.split_point(tablet)? {
            // It holds what flushes and, for a moment, commits wait for.
            Some(key) => {
                let split = || self.split_tablet(tablet.table, &key, Why::Size);
                self.background.urgently(Job::Compact, split)
            }
            None => Ok(()),
        }
    }

    /// Bytes of files above which a tablet of the table is split.
    pub(super) fn tablet_bytes_max(&self, table: StorageId) -> Result<u64, TabletError> {
        if table == StorageId::METADATA {
            return Ok(self.options.metadata_tablet_bytes_max);
        }
        let asked = self.tablets.table(table)?.current_schema().tablet_bytes_max;
        Ok(asked.unwrap_or(self.options.tablet_bytes_max))
    }

    /// The key that halves a tablet which is too large. `None` too if none cuts it.
    fn split_point(&self, tablet: &Tablet) -> Result<Option<Bytes>, TabletError> {
        let bytes_max = self.tablet_bytes_max(tablet.table)?;
        let version = tablet.version();
        let runs = version
            .groups()
            .iter()
            .flat_map(|group| group.sources.runs.iter().map(|run| (group.id, run)));
        let files: Vec<_> = runs
            .flat_map(|(group, run)| run.files().iter().map(move |file| (group, file)))
            .collect();
        // Whole files: an upper bound that costs nothing.
        if files.iter().map(|(_, file)| file.table.size_bytes()).sum::<u64>() <= bytes_max {
            return Ok(None);
        }
        let mut samples: Vec<Sample> = Vec::new();
        let layout = self.tablets.table(tablet.table)?.schemas().layout.clone();
        for (group, file) in files {
            let first = samples.len();
            sample_file(&file.table, &mut samples)?;
            let outside = |(key, _): &mut Sample| !file.bounds.contains(key);
            samples.extract_if(first.., outside).for_each(drop);
            // A row's map is in one tablet, all of it.
            for (key, _) in &mut samples[first..] {
                *key = layout.row_key_in(group, std::mem::take(key));
            }
        }
        let total: u64 = samples.iter().map(|(_, bytes)| bytes).sum();
        let key = (total > bytes_max).then(|| middle(samples)).flatten();
        Ok(key.map(|key| cut_key(tablet.table, key)).filter(|key| tablet.range.contains(key)))
    }
}

/// The first key of the right one. METADATA is cut behind a row, not at one: a tablet is looked for from the key behind
/// its left neighbour's row on, and so its row is in the tablet of METADATA that is asked first.
fn cut_key(table: StorageId, row: Bytes) -> Bytes {
    match table {
        StorageId::METADATA => [&row[..], &[0]].concat().into(),
        _ => row,
    }
}

/// The key before and behind which there are bytes, as equal as can be.
fn middle(mut samples: Vec<Sample>) -> Option<Bytes> {
    samples.sort_unstable();
    let total: u64 = samples.iter().map(|(_, bytes)| bytes).sum();
    let mut best: Option<(u64, Bytes)> = None;
    let mut before = 0;
    for pair in samples.windows(2) {
        before += pair[0].1;
        let larger = before.max(total - before);
        if pair[0].0 < pair[1].0 && best.as_ref().is_none_or(|(known, _)| larger < *known) {
            best = Some((larger, pair[1].0.clone()));
        }
    }
    best.map(|(_, key)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(of: &[(&'static str, u64)]) -> Vec<Sample> {
        of.iter().map(|(key, bytes)| (Bytes::from_static(key.as_bytes()), *bytes)).collect()
    }

    #[test]
    fn the_middle_halves_the_bytes() {
        let even = samples(&[("c", 10), ("a", 10), ("b", 10), ("d", 10)]);
        assert_eq!(middle(even).as_deref(), Some(&b"c"[..]));
        let heavy_end = samples(&[("a", 1), ("b", 1), ("c", 100)]);
        assert_eq!(middle(heavy_end).as_deref(), Some(&b"c"[..]));
        let two_files = samples(&[("a", 10), ("a", 10), ("m", 10), ("m", 10)]);
        assert_eq!(middle(two_files).as_deref(), Some(&b"m"[..]));
    }

    #[test]
    fn one_key_is_not_cut() {
        assert_eq!(middle(Vec::new()), None);
        assert_eq!(middle(samples(&[("a", 1000)])), None);
        assert_eq!(middle(samples(&[("a", 1000), ("a", 1000)])), None);
    }
}
