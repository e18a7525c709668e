//! Range deletes: one record a range in the log, one tombstone in every memtable that the range meets.
//!
//! A row program must come wholly before a range delete or wholly after it (rule 1). One that has read its row holds the
//! row's lock until it is applied; so a range delete is sequenced and applied while it holds every stripe of the row
//! locks, for moments: log space is reserved before, and the log is waited for after. Without that, an UPDATE
//! that has read its row could be sequenced after the delete, and bring the row back.
//!
//! The record's key is the range's start and its payload says where it ends:
//!
//! ```text
//! payload := 0 u8                 no end
//!          | 1 u8, end            the first key outside
//! ```
//!
//! Ranges in the log are inside what the server served when they were committed; recovery gives each tablet its part.

use super::TabletServer;
use super::line::{CommitLine, Durable, RECORD_RANGE_DELETE};
use super::requests::Seen;
use crate::log::record::RECORD_HEADER_BYTES_MAX;
use crate::log::{Record, RecordRef};
use crate::memtable::RangeDelete;
use crate::tablet::Tablet;
use crate::tablet::directory::ServedTable;
use crate::tablet::layout::GroupLayout;
use std::sync::Arc;
use terrane_client::blocking;
use terrane_client::error::TabletError;
use terrane_client::ids::{CommitTs, RequestId, Seq, StorageId};
use terrane_client::key::KEY_BYTES_MAX;
use terrane_client::program::{DeleteRangeRequest, ModifyResponse};
use terrane_client::read::KeyRange;

const UNBOUNDED: u8 = 0;
const BOUNDED: u8 = 1;

/// A bound may be one byte longer than a key: the first key after it.
const BOUND_BYTES_MAX: usize = KEY_BYTES_MAX + 1;

/// Splits of the tablets of a range, one after the other, that a range delete goes after.
const SPLITS_MAX: usize = 8;

/// The payload of a range's record.
pub fn payload_of(range: &KeyRange) -> Vec<u8> {
    match &range.end {
        None => vec![UNBOUNDED],
        Some(end) => [&[BOUNDED], &end[..]].concat(),
    }
}

/// The range that a record deletes.
pub fn range_of(record: &Record) -> Result<KeyRange, TabletError> {
    let start = record.key.clone();
    match record.payload.first() {
        Some(&UNBOUNDED) if record.payload.len() == 1 => Ok(KeyRange { start, end: None }),
        Some(&BOUNDED) => Ok(KeyRange { start, end: Some(record.payload.slice(1..)) }),
        _ => {
            let text = format!("record {} of the log is no range delete", record.seq.0);
            Err(TabletError::Internal(text))
        }
    }
}

/// A range to be deleted, and the tablets that it meets.
struct RangeWrite {
    range: KeyRange,
    payload: Vec<u8>,
    tablets: Vec<Arc<Tablet>>,
}

impl RangeWrite {
    fn new(table: &ServedTable, range: &KeyRange) -> Result<Self, TabletError> {
        check_bounds(range)?;
        let tablets = table.tablets_of(range)?.to_vec();
        Ok(Self { range: range.clone(), payload: payload_of(range), tablets })
    }

    fn log_bytes_max(&self) -> usize {
        RECORD_HEADER_BYTES_MAX + self.range.start.len() + self.payload.len()
    }

    fn record(&self, request: &DeleteRangeRequest, seq: Seq, commit_ts: CommitTs) -> RecordRef<'_> {
        RecordRef {
            table: request.table,
            seq,
            commit_ts,
            request: request.request,
            kind: RECORD_RANGE_DELETE,
            key: &self.range.start,
            payload: &self.payload,
        }
    }

    /// Puts it into its tablets' active memtables, of all locality groups; returns by how many bytes they grew.
    fn apply(
        &self,
        layout: &GroupLayout,
        request: RequestId,
        seq: Seq,
        commit_ts: CommitTs,
    ) -> usize {
        let mut grown = 0;
        for tablet in &self.tablets {
            let version = tablet.version();
            let before = version.memtable_bytes();
            let range = self.range.intersect(&tablet.range);
            for group in version.groups() {
                let range = layout.range_in(group.id, &range);
                group.active().delete_range(RangeDelete { range, seq, commit_ts });
                group.active().remember(request);
            }
            grown += version.memtable_bytes() - before;
        }
        grown
    }
}

impl TabletServer {
    pub(super) async fn delete(
        &self,
        request: DeleteRangeRequest,
    ) -> Result<CommitTs, TabletError> {
        self.check_open()?;
        if request.table == StorageId::METADATA {
            return Err(TabletError::Unsupported("a range delete in METADATA".to_owned()));
        }
        let bound =
            |range: &KeyRange| range.start.len() + range.end.as_ref().map_or(0, |e| e.len());
        self.wait_turn(request.ranges.iter().map(bound).sum()).await;
        let line = self.line(request.table);
        let (commit_ts, durable) = match self.requests.begin(request.request) {
            Seen::New => blocking::in_place(|| self.delete_new(line, &request))?,
            Seen::Answered(response) => (response.commit_ts, line.durable_now()),
            Seen::OutcomeUnknown => {
                let text = format!("request {:?} was sent before", request.request);
                return Err(TabletError::OutcomeUnknown(text));
            }
        };
        durable.wait().await?;
        Ok(commit_ts)
    }

    /// Runs a request, and remembers how it ended.
    fn delete_new(
        &self,
        line: &CommitLine,
        request: &DeleteRangeRequest,
    ) -> Result<(CommitTs, Durable), TabletError> {
        let mut deleted = self.delete_in(line, request);
        for _ in 0..SPLITS_MAX {
            // A tablet may have been split since it was found: its children are served by now.
            if !matches!(deleted, Err(TabletError::NotServing { .. })) {
                break;
            }
            deleted = self.delete_in(line, request);
        }
        match &deleted {
            Ok((commit_ts, _)) if *commit_ts != CommitTs::ABSENT => {
                let response = ModifyResponse { commit_ts: *commit_ts, results: Vec::new() };
                self.requests.done(request.request, &response);
            }
            Err(TabletError::OutcomeUnknown(_)) => self.requests.failed_part_way(request.request),
            _ => self.requests.wrote_nothing(request.request),
        }
        deleted
    }

    fn delete_in(
        &self,
        line: &CommitLine,
        request: &DeleteRangeRequest,
    ) -> Result<(CommitTs, Durable), TabletError> {
        let table = self.tablets.table(request.table)?;
        table.schema(request.schema_version)?;
        let ranges = request.ranges.iter().filter(|range| !range.is_empty());
        let writes: Vec<RangeWrite> =
            ranges.map(|range| RangeWrite::new(&table, range)).collect::<Result<_, _>>()?;
        if writes.is_empty() {
            return Ok((CommitTs::ABSENT, line.durable_now()));
        }
        let reservation =
            line.reserve_bytes(writes.iter().map(|write| write.log_bytes_max() as u64).sum())?;
        let tablets = || writes.iter().flat_map(|write| &write.tablets);
        let is_possible = || {
            table.schema(request.schema_version)?;
            match tablets().all(|tablet| tablet.is_serving()) {
                true => Ok(()),
                false => Err(TabletError::NotServing { table: request.table }),
            }
        };
        let log = |first_seq: u64, commit_ts| {
            let record =
                |(write, seq): (_, u64)| RangeWrite::record(write, request, Seq(seq), commit_ts);
            let records: Vec<RecordRef<'_>> = writes.iter().zip(first_seq..).map(record).collect();
            line.append_records(reservation, &records)
        };
        let apply = |first_seq: u64, commit_ts| {
            // As it is now: a map column may have come since the tablets were found.
            let layout = table.schemas().layout.clone();
            let grown = |(write, seq): (&RangeWrite, u64)| {
                write.apply(&layout, request.request, Seq(seq), commit_ts)
            };
            writes.iter().zip(first_seq..).map(grown).sum()
        };
        let held = self.row_locks.lock_all();
        let committed = line.sequence(writes.len(), is_possible, log, apply)?;
        drop(held);
        self.after_commit(line, tablets());
        Ok(committed)
    }
}

fn check_bounds(range: &KeyRange) -> Result<(), TabletError> {
    let bounds = [Some(&range.start), range.end.as_ref()];
    let size = bounds.into_iter().flatten().map(|bound| bound.len()).max().unwrap_or_default();
    match size > BOUND_BYTES_MAX {
        true => Err(TabletError::TooLarge { what: "row key", size, limit: KEY_BYTES_MAX }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::record::Decoder;
    use bytes::Bytes;

    /// The second worked example of docs/format-log.md: change both or neither.
    #[test]
    fn the_worked_example_is_read() {
        const BYTES: [u8; 29] = [
            0x00, 0x02, 0xe8, 0x07, 0x0b, 0x00, 0x40, 0x1e, 0x18, 0x24, 0x0a, 0x06, 0x00, 0x08,
            0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, 0xac, 0x02, 0x02, 0x02, 0x61, 0x62, 0x01,
            0x62,
        ];
        let records: Vec<Record> =
            Decoder::new(Bytes::from_static(&BYTES)).map(|record| record.unwrap()).collect();
        let [record] = &records[..] else { panic!("{records:?}") };
        assert_eq!((record.kind, record.table, record.seq), (2, StorageId(1000), Seq(11)));
        let range = KeyRange { start: "ab".into(), end: Some("b".into()) };
        assert_eq!(range_of(record).unwrap(), range);
        assert_eq!(payload_of(&range), record.payload);
    }

    #[test]
    fn ranges_round_trip_and_other_payloads_are_refused() {
        let record = |payload: &[u8]| Record {
            table: StorageId(1000),
            seq: Seq(1),
            commit_ts: CommitTs(1),
            request: Default::default(),
            kind: RECORD_RANGE_DELETE,
            key: "k".into(),
            payload: Bytes::copy_from_slice(payload),
        };
        for end in [None, Some(Bytes::new()), Some(Bytes::from_static(b"z"))] {
            let range = KeyRange { start: "k".into(), end };
            assert_eq!(range_of(&record(&payload_of(&range))).unwrap(), range);
        }
        for payload in [&[][..], &[0, 1], &[2]] {
            assert!(range_of(&record(payload)).is_err());
        }
    }
}
