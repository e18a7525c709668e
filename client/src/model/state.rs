//! What the model holds, and what happens to it.

use super::Clock;
use crate::error::TabletError;
use crate::ids::{CommitTs, Generation, RequestId, StorageId};
use crate::key::KEY_BYTES_MAX;
use crate::metadata::{TabletRow, codec, root};
use crate::program::{
    Atomicity, Current, DeleteRangeRequest, Evaluated, ModifyRequest, ModifyResponse, RowError,
    RowOutcome, RowProgram, evaluate,
};
use crate::read::KeyRange;
use crate::row::{PackedCells, ROW_COMPLETE, ROW_DELETE, ROW_MARKER, Row, RowMerge, RowMutation};
use crate::schema::TableSchema;
use crate::service::TabletName;
use bytes::Bytes;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// How far ahead of the clock a read may be (rule 24).
const CLOCK_AHEAD_MAX_MICROS: i64 = 500_000;

/// A table.
pub(super) struct Table {
    pub(super) current: Arc<TableSchema>,
    pub(super) previous: Option<Arc<TableSchema>>,
    /// Ascending; their ranges cover all keys.
    pub(super) tablets: Vec<TabletRow>,
}

impl Table {
    pub(super) fn new(schema: Arc<TableSchema>, tablets: Vec<TabletRow>) -> Self {
        Self { current: schema, previous: None, tablets }
    }

    /// The schema a request was planned with, if this table still takes it.
    pub(super) fn planned(&self, version: u32) -> Result<Arc<TableSchema>, TabletError> {
        let known = std::iter::once(&self.current).chain(&self.previous);
        known.into_iter().find(|schema| schema.version == version).cloned().ok_or_else(|| {
            TabletError::SchemaChanged {
                table: self.current.storage,
                asked: version,
                current: self.current.version,
            }
        })
    }

    /// Takes a newer schema. The same version again replaces it, as tablets have it; an older one is late and
    /// changes nothing.
    pub(super) fn hold(&mut self, schema: Arc<TableSchema>) {
        match schema.version.cmp(&self.current.version) {
            Ordering::Less => {}
            Ordering::Equal => self.current = schema,
            Ordering::Greater => {
                self.previous = Some(std::mem::replace(&mut self.current, schema));
            }
        }
    }

    /// The place of the tablet that holds a key.
    pub(super) fn tablet_at(&self, key: &[u8]) -> usize {
        self.tablets
            .partition_point(|tablet| tablet.end.as_ref().is_some_and(|end| &end[..] <= key))
    }
}

/// One row's versions, oldest first.
type Versions = Vec<(CommitTs, RowMutation)>;

/// Everything.
pub(super) struct State {
    pub(super) tables: BTreeMap<StorageId, Table>,
    pub(super) rows: BTreeMap<(StorageId, Bytes), Versions>,
    clock: Clock,
    last_commit: CommitTs,
    pins: BTreeMap<CommitTs, usize>,
    answered: HashMap<RequestId, ModifyResponse>,
    generation: u64,
}

/// What a batch did to a row so far.
struct Pending {
    mutation: Option<RowMutation>,
    row: Option<Row>,
    committed: CommitTs,
}

impl State {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            tables: BTreeMap::new(),
            rows: BTreeMap::new(),
            clock,
            last_commit: CommitTs(1),
            pins: BTreeMap::new(),
            answered: HashMap::new(),
            generation: 1,
        }
    }

    fn now(&self) -> CommitTs {
        self.last_commit.max(CommitTs((self.clock)()))
    }

    /// The newest timestamp at which everything committed is visible; later commits are above it.
    pub(super) fn read_timestamp(&mut self) -> CommitTs {
        self.last_commit = self.now();
        self.last_commit
    }

    pub(super) fn pin(&mut self, at: CommitTs) {
        *self.pins.entry(at).or_default() += 1;
    }

    pub(super) fn unpin(&mut self, at: CommitTs) {
        if let Some(count) = self.pins.get_mut(&at) {
            *count -= 1;
            if *count == 0 {
                self.pins.remove(&at);
            }
        }
    }

    pub(super) fn next_generation(&mut self) -> Generation {
        self.generation += 1;
        Generation(self.generation)
    }

    /// The timestamp a read is at: `asked`, if it is in the table's history and not in the future.
    pub(super) fn resolve_read(
        &mut self,
        table: &TableSchema,
        asked: Option<CommitTs>,
    ) -> Result<CommitTs, TabletError> {
        let Some(asked) = asked else { return Ok(self.read_timestamp()) };
        let now = self.now();
        if asked.0 > now.0.saturating_add(CLOCK_AHEAD_MAX_MICROS) {
            return Err(TabletError::Unavailable(format!(
                "read timestamp {} is ahead of the clock",
                asked.0
            )));
        }
        let kept = CommitTs(now.0.saturating_sub(table.history_micros));
        let oldest = self.pins.keys().next().map_or(kept, |pin| kept.min(*pin));
        if asked < oldest {
            return Err(TabletError::HistoryGone { table: table.storage, oldest });
        }
        self.last_commit = self.last_commit.max(asked);
        Ok(asked)
    }

    /// The table, if this server holds all of `ranges`.
    pub(super) fn serving(
        &self,
        server: &str,
        table: StorageId,
        ranges: &[KeyRange],
    ) -> Result<&Table, TabletError> {
        let found = self.tables.get(&table).ok_or(TabletError::NotServing { table })?;
        for range in ranges {
            let from = &found.tablets[found.tablet_at(&range.start)..];
            let inside = |tablet: &&TabletRow| {
                range.end.as_ref().is_none_or(|end| tablet.start.as_slice() < &end[..])
            };
            if from.iter().take_while(inside).any(|tablet| tablet.server != server) {
                return Err(TabletError::NotServing { table });
            }
        }
        Ok(found)
    }

    /// The row as a read at `at` sees it.
    pub(super) fn live(&self, table: StorageId, key: &Bytes, at: CommitTs) -> Option<Row> {
        live(self.rows.get(&(table, key.clone()))?, at)
    }

    /// The rows of a range that live at `at`, in key order.
    pub(super) fn live_rows<'a>(
        &'a self,
        table: StorageId,
        range: &KeyRange,
        at: CommitTs,
    ) -> impl DoubleEndedIterator<Item = (&'a Bytes, Row)> + use<'a> {
        use std::ops::Bound;
        let start = Bound::Included((table, range.start.clone()));
        let end = match &range.end {
            // An empty range may have its end below its start, which BTreeMap does not take.
            Some(end) => Bound::Excluded((table, end.clone().max(range.start.clone()))),
            None => Bound::Excluded((StorageId(table.0 + 1), Bytes::new())),
        };
        self.rows
            .range((start, end))
            .filter_map(move |((_, key), versions)| Some((key, live(versions, at)?)))
    }

    /// Runs a batch of programs.
    pub(super) fn modify(
        &mut self,
        server: &str,
        request: ModifyRequest,
    ) -> Result<ModifyResponse, TabletError> {
        if let Some(answer) = self.answered.get(&request.request) {
            return Ok(answer.clone());
        }
        for program in request.programs.iter() {
            self.check_program(server, program)?;
        }
        let commit_ts = CommitTs(self.now().0.max(self.last_commit.0 + 1));
        let mut pending: BTreeMap<(StorageId, Bytes), Pending> = BTreeMap::new();
        let mut results: Vec<Result<Evaluated, RowError>> = Vec::new();
        for program in request.programs.iter() {
            let result = self.run(program, &mut pending)?;
            results.push(result);
        }
        let failed = results.iter().any(Result::is_err);
        let refused = failed && request.atomicity == Atomicity::AllOrNone;
        let wrote = !refused && pending.values().any(|row| row.mutation.is_some());
        let commit_ts = if wrote { commit_ts } else { CommitTs::ABSENT };
        if wrote {
            self.last_commit = commit_ts;
            for (row, Pending { mutation, .. }) in pending {
                if let Some(mutation) = mutation {
                    self.rows.entry(row).or_default().push((commit_ts, mutation));
                }
            }
        }
        let results: Vec<Result<RowOutcome, RowError>> = results
            .into_iter()
            .map(|result| result.map(|evaluated| evaluated.committed_at(commit_ts)))
            .collect();
        let response = ModifyResponse { commit_ts, results };
        if wrote {
            self.answered.insert(request.request, response.clone());
        }
        Ok(response)
    }

    /// Deletes every row that lives in some ranges.
    pub(super) fn delete_ranges(
        &mut self,
        server: &str,
        request: &DeleteRangeRequest,
    ) -> Result<CommitTs, TabletError> {
        if let Some(answer) = self.answered.get(&request.request) {
            return Ok(answer.commit_ts);
        }
        let table = request.table;
        if table == StorageId::METADATA {
            return Err(TabletError::Unsupported("a range delete in METADATA".to_owned()));
        }
        self.serving(server, table, &request.ranges)?.planned(request.schema_version)?;
        if request.ranges.iter().all(KeyRange::is_empty) {
            return Ok(CommitTs::ABSENT);
        }
        let commit_ts = CommitTs(self.now().0.max(self.last_commit.0 + 1));
        self.last_commit = commit_ts;
        for range in &request.ranges {
            let living = self.live_rows(table, range, CommitTs::MAX);
            let keys: Vec<Bytes> = living.map(|(key, _)| key.clone()).collect();
            for key in keys {
                let mutation = RowMutation { flags: ROW_DELETE, cells: PackedCells::default() };
                self.rows.entry((table, key)).or_default().push((commit_ts, mutation));
            }
        }
        let response = ModifyResponse { commit_ts, results: Vec::new() };
        self.answered.insert(request.request, response);
        Ok(commit_ts)
    }

    fn check_program(&self, server: &str, program: &RowProgram) -> Result<(), TabletError> {
        let size = program.key.len();
        if size > KEY_BYTES_MAX {
            return Err(TabletError::TooLarge { what: "row key", size, limit: KEY_BYTES_MAX });
        }
        let here = crate::key::single_range(program.key.clone());
        let table = self.serving(server, program.table, &[here])?;
        table.planned(program.schema_version).map(drop)
    }

    fn run(
        &self,
        program: &RowProgram,
        pending: &mut BTreeMap<(StorageId, Bytes), Pending>,
    ) -> Result<Result<Evaluated, RowError>, TabletError> {
        let not_serving = TabletError::NotServing { table: program.table };
        let table = self.tables.get(&program.table).ok_or(not_serving)?;
        let planned = table.planned(program.schema_version)?;
        let name = (program.table, program.key.clone());
        let row = pending.entry(name).or_insert_with(|| {
            let row = self.live(program.table, &program.key, CommitTs::MAX);
            let committed = row.as_ref().map_or(CommitTs::ABSENT, |row| row.version);
            Pending { mutation: None, row, committed }
        });
        let current = Current { row: row.row.as_ref(), committed: row.committed, now: self.now() };
        let result = evaluate(program, &planned, &table.current, current);
        if let Ok(Evaluated { mutation: Some(mutation), after, .. }) = &result {
            // Maps are kept here as cells, and timestamps are not: a row that has such is written whole.
            let mutation = &match after {
                Some(after) if !mutation.maps.is_empty() || !mutation.dated.is_empty() => {
                    RowMutation { flags: ROW_MARKER | ROW_COMPLETE, cells: after.cells.clone() }
                }
                _ => mutation.row.clone(),
            };
            row.mutation = Some(match &row.mutation {
                Some(earlier) => earlier.then(mutation),
                None => mutation.clone(),
            });
            row.row = after.clone();
        }
        Ok(result)
    }

    /// Writes a tablet's METADATA row. The root's stands in the lock service.
    pub(super) fn write_metadata(&mut self, tablet: &TabletRow) -> Result<(), TabletError> {
        if tablet.table == StorageId::METADATA && tablet.start.is_empty() {
            return Ok(());
        }
        let key = codec::row_key(tablet.table, tablet.end.as_deref())?;
        let flags = ROW_MARKER | ROW_COMPLETE;
        let mutation = RowMutation { flags, cells: codec::row_cells(tablet)? };
        self.write_system(StorageId::METADATA, key, mutation);
        Ok(())
    }

    /// Removes a tablet's METADATA row.
    pub(super) fn remove_metadata(&mut self, tablet: &TabletRow) -> Result<(), TabletError> {
        let key = codec::row_key(tablet.table, tablet.end.as_deref())?;
        let mutation = RowMutation { flags: ROW_DELETE, cells: PackedCells::default() };
        self.write_system(StorageId::METADATA, key, mutation);
        Ok(())
    }

    /// The table, and the place of the tablet that holds a key, where that is on this server.
    pub(super) fn tablet_on(
        &mut self,
        server: &str,
        table: StorageId,
        key: &[u8],
    ) -> Result<(&mut Table, usize), TabletError> {
        let not_serving = TabletError::NotServing { table };
        let found = self.tables.get_mut(&table).ok_or(not_serving.clone())?;
        let place = found.tablet_at(key);
        match found.tablets.get(place).is_some_and(|row| row.server == server) {
            true => Ok((found, place)),
            false => Err(not_serving),
        }
    }

    /// Commits a row past all checks.
    pub(super) fn write_system(&mut self, table: StorageId, key: Bytes, mutation: RowMutation) {
        let commit_ts = CommitTs(self.now().0.max(self.last_commit.0 + 1));
        self.last_commit = commit_ts;
        self.rows.entry((table, key)).or_default().push((commit_ts, mutation));
    }

    pub(super) fn split(&mut self, table: StorageId, at: &Bytes) -> Result<(), TabletError> {
        let generation = self.next_generation();
        let found = self.tables.get_mut(&table).ok_or(TabletError::NotServing { table })?;
        let place = found.tablet_at(at);
        let parent = &mut found.tablets[place];
        // The root is cut once, where its rows end.
        let is_in_root = table == StorageId::METADATA && *at < root::end();
        if parent.start[..] == at[..] || is_in_root {
            let text = "a split at a tablet's edge, or of METADATA's root".to_owned();
            return Err(TabletError::Unsupported(text));
        }
        let mut left = parent.clone();
        left.end = Some(at.to_vec());
        left.generation = generation;
        left.version = 1;
        parent.start = at.to_vec();
        parent.version += 1;
        let right = parent.clone();
        found.tablets.insert(place, left.clone());
        self.write_metadata(&left)?;
        self.write_metadata(&right)
    }

    pub(super) fn move_tablet(
        &mut self,
        name: &TabletName,
        server: &str,
    ) -> Result<TabletRow, TabletError> {
        let generation = self.next_generation();
        let not_serving = TabletError::NotServing { table: name.table };
        let table = self.tables.get_mut(&name.table).ok_or(not_serving.clone())?;
        let tablet = table
            .tablets
            .iter_mut()
            .find(|tablet| tablet.end.as_deref() == name.end.as_deref())
            .ok_or(not_serving)?;
        tablet.server = server.to_owned();
        tablet.generation = generation;
        tablet.version += 1;
        let moved = tablet.clone();
        self.write_metadata(&moved)?;
        Ok(moved)
    }
}

fn live(versions: &Versions, at: CommitTs) -> Option<Row> {
    let mut merge = RowMerge::default();
    for (commit_ts, mutation) in versions.iter().rev().filter(|(commit_ts, _)| *commit_ts <= at) {
        if merge.push(*commit_ts, mutation.flags, &mutation.cells).is_break() {
            break;
        }
    }
    merge.finish()
}
