//! A log's records at the start, sorted into tablets by their keys: what is above a tablet's redo point is in no file of it.

use super::delete_range;
use super::line::{RECORD_MUTATION, RECORD_RANGE_DELETE};
use super::requests::Requests;
use crate::log::{Record, Replay};
use crate::memtable::{Memtable, RangeDelete};
use bytes::Bytes;
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use terrane_client::error::TabletError;
use terrane_client::ids::{CommitTs, Seq, StorageId};
use terrane_client::metadata::TabletRow;
use terrane_client::row::RowChange;
use terrane_client::service::TabletName;

/// What recovery found of one tablet.
pub(super) struct Recovered {
    /// Its METADATA row.
    pub(super) row: TabletRow,
    /// Records above its redo point.
    pub(super) memtable: Arc<Memtable>,
    /// Some of them change maps: they are not a memtable's as they are.
    pub(super) has_map_changes: Cell<bool>,
}

/// What every record and row raises.
#[derive(Debug, Default)]
pub(super) struct Maxima {
    pub(super) seq: Seq,
    pub(super) commit_ts: CommitTs,
}

impl Maxima {
    /// What a log had, or has had.
    pub(super) fn of(replay: &Replay) -> Self {
        Self { seq: replay.report().last_seq, ..Self::default() }
    }

    fn see_record(&mut self, record: &Record) {
        self.seq = self.seq.max(record.seq);
        self.commit_ts = self.commit_ts.max(record.commit_ts);
    }

    /// A tablet's row says what its files have.
    fn see_row(&mut self, row: &TabletRow) {
        self.seq = self.seq.max(row.max_seq);
        self.commit_ts = self.commit_ts.max(row.max_commit_ts).max(row.gc_floor);
        for group in &row.groups {
            self.seq = self.seq.max(group.redo_point);
        }
    }
}

/// The tablets of one table, by the end of their range: where a record belongs.
type Routes = HashMap<StorageId, BTreeMap<RangeEnd, usize>>;

/// The end of a range; unbounded sorts last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum RangeEnd {
    Before(Bytes),
    Unbounded,
}

/// See the module's documentation.
pub(super) struct Sorter {
    routes: Routes,
    found: Vec<Recovered>,
}

impl Sorter {
    /// Sorts into the tablets of these rows.
    pub(super) fn new(rows: Vec<TabletRow>, maxima: &mut Maxima) -> Self {
        let mut routes = Routes::new();
        let mut found: Vec<Recovered> = Vec::with_capacity(rows.len());
        for row in rows {
            maxima.see_row(&row);
            let end = match &row.end {
                Some(end) => RangeEnd::Before(Bytes::from(end.clone())),
                None => RangeEnd::Unbounded,
            };
            routes.entry(row.table).or_default().insert(end, found.len());
            let memtable = Arc::new(Memtable::new());
            found.push(Recovered { row, memtable, has_map_changes: Cell::new(false) });
        }
        Self { routes, found }
    }

    /// No tablet needs records up to this one; `None` where there is no tablet.
    pub(super) fn redo_point(&self) -> Option<Seq> {
        self.found.iter().map(|tablet| redo_point(&tablet.row)).min()
    }

    /// Takes a record to its tablets.
    pub(super) fn take(&self, record: &Record) -> Result<(), TabletError> {
        match record.kind {
            RECORD_MUTATION => {
                if let Some(place) = route(&self.routes, &self.found, record) {
                    apply(&self.found[place], record);
                }
                Ok(())
            }
            RECORD_RANGE_DELETE => apply_range(&self.routes, &self.found, record),
            kind => {
                let text = format!("the log holds a record of unknown kind {kind}");
                Err(TabletError::Unavailable(text))
            }
        }
    }

    /// The tablets.
    pub(super) fn into_found(self) -> Vec<Recovered> {
        self.found
    }
}

/// Sorts a log's records into the tablets of `rows`.
pub(super) fn replay_into(
    mut replay: Replay,
    rows: Vec<TabletRow>,
    requests: &Requests,
) -> Result<(Vec<Recovered>, Maxima), TabletError> {
    let mut maxima = Maxima::of(&replay);
    let sorter = Sorter::new(rows, &mut maxima);
    if let Some(redo) = sorter.redo_point() {
        replay.skip_through(redo);
    }
    for record in replay {
        let record = record?;
        maxima.see_record(&record);
        requests.recovered(record.request, record.commit_ts);
        sorter.take(&record)?;
    }
    Ok((sorter.into_found(), maxima))
}

/// Sorts the records of METADATA's log into the root tablet. The others, which are METADATA's other tablets', are handed back
/// as they are: the root says where they belong.
pub(super) fn replay_root(
    mut replay: Replay,
    root: TabletRow,
    requests: &Requests,
) -> Result<(Recovered, Vec<Record>, Maxima), TabletError> {
    let mut maxima = Maxima::of(&replay);
    let range = root.key_range();
    let sorter = Sorter::new(vec![root], &mut maxima);
    if let Some(redo) = sorter.redo_point().filter(|_| range.end.is_none()) {
        replay.skip_through(redo);
    }
    let mut others = Vec::new();
    for record in replay {
        let record = record?;
        maxima.see_record(&record);
        requests.recovered(record.request, record.commit_ts);
        sorter.take(&record)?;
        if record.kind == RECORD_RANGE_DELETE || !range.contains(&record.key) {
            others.push(record);
        }
    }
    let found = sorter.into_found().into_iter().next();
    let found = found.ok_or_else(|| TabletError::Internal("no root was asked for".to_owned()))?;
    Ok((found, others, maxima))
}

/// A tablet's name.
pub(super) fn named(row: &TabletRow) -> TabletName {
    TabletName { table: row.table, end: row.end.clone().map(Bytes::from) }
}

/// Everything up to this is in the tablet's runs.
pub(super) fn redo_point(row: &TabletRow) -> Seq {
    row.groups.iter().map(|group| group.redo_point).min().unwrap_or_default()
}

/// The tablet a record is of; none if its table was dropped.
fn route(routes: &Routes, found: &[Recovered], record: &Record) -> Option<usize> {
    use std::ops::Bound::{Excluded, Unbounded};
    let after = (Excluded(RangeEnd::Before(record.key.clone())), Unbounded);
    let (_, place) = routes.get(&record.table)?.range(after).next()?;
    found[*place].row.contains(&record.key).then_some(*place)
}

fn apply(tablet: &Recovered, record: &Record) {
    if record.seq > redo_point(&tablet.row) {
        let Record { key, seq, commit_ts, payload, .. } = record;
        tablet.memtable.insert(key, *seq, *commit_ts, payload);
        tablet.memtable.remember(record.request);
        if RowChange::has_map_changes(payload) {
            tablet.has_map_changes.set(true);
        }
    }
}

/// Gives each tablet that a range delete meets its part of it.
fn apply_range(routes: &Routes, found: &[Recovered], record: &Record) -> Result<(), TabletError> {
    use std::ops::Bound::{Excluded, Unbounded};
    let range = delete_range::range_of(record)?;
    let Some(tablets) = routes.get(&record.table) else { return Ok(()) };
    let after = (Excluded(RangeEnd::Before(range.start.clone())), Unbounded);
    for (_, place) in tablets.range(after) {
        let Recovered { row, memtable, .. } = &found[*place];
        let inside = range.intersect(&row.key_range());
        if range.end.as_ref().is_some_and(|end| row.start.as_slice() >= &end[..]) {
            break;
        }
        if !inside.is_empty() && record.seq > redo_point(row) {
            let Record { seq, commit_ts, .. } = *record;
            memtable.delete_range(RangeDelete { range: inside, seq, commit_ts });
            memtable.remember(record.request);
        }
    }
    Ok(())
}
