//! Row programs: evaluated under row locks against applied state, then committed as one.
//!
//! What is evaluated holds its locks until its mutations are applied (rule 1) and lets go of them before
//! waiting for the log. Whatever the answer was computed from may be unsynced: every answer, errors and
//! "unmatched" included, waits until that is durable (rule 2).
//!
//! A program of a batch sees what earlier ones did to its row, and the programs on one row end in one
//! mutation: DELETE + INSERT of a key in one commit leave the new row (rule 6).

use super::TabletServer;
use super::line::{CommitLine, Durable, GroupWrite, Write};
use super::places::Places;
use super::requests::Seen;
use super::row_locks::{HeldRows, RowLocks};
use super::row_reads::RowReads;
use crate::scan::{MapColumn, ReadTime};
use crate::tablet::Tablet;
use crate::tablet::directory::{HeldSchemas, ServedTable};
use crate::tablet::layout::{GroupLayout, GroupSet};
use crate::tablet::map_entries::{EntryWrites, entry_writes, exact};
use crate::tablet::version::Version;
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;
use terrane_client::blocking;
use terrane_client::error::TabletError;
use terrane_client::ids::{ColumnId, CommitTs, StorageId};
use terrane_client::key::KEY_BYTES_MAX;
use terrane_client::map_column::{MapChange, MapParts};
use terrane_client::program::{
    Action, Answer, Atomicity, Current, Evaluated, ModifyRequest, ModifyResponse, RowError,
    RowProgram, evaluate,
};
use terrane_client::row::{
    CellsBuilder, PackedCells, ROW_COMPLETE, ROW_DELETE, ROW_MARKER, Row, RowChange, RowMutation,
    merge_cells,
};
use terrane_client::schema::TableSchema;
use terrane_client::service::Applied;

/// Programs of a batch that are run without telling the runtime that the thread will be busy.
const INLINE_PROGRAMS_MAX: usize = 64;

/// Rows sequenced under the commit mutex in one go, where the batch may be cut,
const CHUNK_ROWS_MAX: usize = 256;
/// and the bytes at which such a piece ends earlier.
const CHUNK_BYTES: usize = 4 << 20;

/// An updated row of at most this many bytes is written whole instead of the changed columns only: reads
/// of a row that is updated again and again then stop at its newest version.
const WHOLE_ROW_BYTES_MAX: usize = 1024;

/// One row's cells together, at most (54000).
const ROW_BYTES_MAX: usize = 256 << 20;

/// An answer, and what must be durable before it may be given.
struct Executed {
    response: ModifyResponse,
    durable: Durable,
}

/// A row that programs of the batch have looked at.
struct Touched {
    place: usize,
    committed: CommitTs,
    row: Option<Row>,
    change: Option<RowChange>,
    /// The locality groups whose cells are in `row`.
    groups: GroupSet,
    /// What of its maps is in `row`, read or written.
    maps: MapParts,
}

impl Touched {
    /// Reads a row as it was committed, as much of it as a program reads.
    fn read(
        place: usize,
        key: &[u8],
        version: &Version,
        schemas: &HeldSchemas,
        reads: RowReads,
        time: ReadTime,
    ) -> Result<Self, TabletError> {
        let layout = &schemas.layout;
        let RowReads { groups, maps } = reads;
        let row = match layout.is_single() {
            true => version.get(key, time, layout, &schemas.columns, &maps)?,
            false => {
                let mut columns = layout.columns_of(groups);
                columns.extend(maps.0.keys());
                columns.sort_unstable();
                version.get(key, time, layout, &columns, &maps)?
            }
        };
        let committed = row.as_ref().map_or(CommitTs::ABSENT, |row| row.version);
        Ok(Self { place, committed, row, change: None, groups, maps })
    }

    /// Reads what a later program of the batch reads beside.
    fn read_more(
        &mut self,
        key: &[u8],
        version: &Version,
        schemas: &HeldSchemas,
        reads: RowReads,
        time: ReadTime,
    ) -> Result<(), TabletError> {
        let missing = reads.groups.without(self.groups);
        self.groups = self.groups.union(reads.groups);
        let hides = |change: &RowChange| change.row.flags & (ROW_COMPLETE | ROW_DELETE) != 0;
        let is_replaced = self.change.as_ref().is_some_and(hides);
        // What was committed is as it was, unless a program before has put another row in its place.
        let Some(row) = self.row.as_mut().filter(|_| !is_replaced) else { return Ok(()) };
        let layout = &schemas.layout;
        if !missing.is_empty() {
            let columns = layout.columns_of(missing);
            version.add_cells(key, time, layout, missing, &columns, row)?;
        }
        for (column, part) in reads.maps.0 {
            let known = self.maps.0.get(&column);
            if known.is_some_and(|known| known.covers(&part)) {
                continue;
            }
            let Some(map) = layout.map(column) else { continue };
            let wanted = known.cloned().map_or(part.clone(), |known| known.union(part));
            let committed = version.map_cell(key, time, map, &wanted)?;
            let changes = self.change.as_ref().and_then(|change| change.maps.0.get(&column));
            let cell = changed(committed, map, changes)?;
            row.cells = merge_cells(&[cell, std::mem::take(&mut row.cells)]);
            self.maps.0.insert(column, wanted);
        }
        Ok(())
    }

    /// Leaves the row as a program left it; what remains is the answer.
    fn take(&mut self, evaluated: Evaluated) -> Answer {
        let (answer, change, after) = evaluated.into_parts();
        if let Some(change) = change {
            self.change = Some(match &self.change {
                None => change,
                Some(before) => before.then(&change),
            });
            self.row = after;
        }
        answer
    }
}

/// A batch, evaluated.
struct Evaluation {
    results: Vec<Result<Answer, RowError>>,
    /// For each program the row it is on, as a place in `rows`.
    rows_of: Vec<usize>,
    rows: Vec<Touched>,
}

/// Where a batch's programs go.
struct Routed {
    routes: Vec<Route>,
    /// Of each program the stripe of its row's lock.
    stripes: Vec<u16>,
}

/// Where programs that stand one after the other go.
struct Route {
    programs: Range<usize>,
    tablet: Arc<Tablet>,
    table: Arc<ServedTable>,
    /// The schema they were planned with.
    planned: Arc<TableSchema>,
    schemas: Arc<HeldSchemas>,
}

impl Route {
    fn takes(&self, program: &RowProgram) -> bool {
        self.table.storage == program.table
            && self.planned.version == program.schema_version
            && self.tablet.range.contains(&program.key)
    }

    /// The schema may have been closed since the programs were evaluated (rule 10).
    fn check_held(&self) -> Result<(), TabletError> {
        self.table.schema(self.planned.version).map(drop)
    }
}

impl TabletServer {
    pub(super) async fn apply(&self, request: ModifyRequest) -> Result<Applied, TabletError> {
        self.wait_turn(request.programs.iter().map(bytes_of).sum()).await;
        let Executed { response, durable } = self.execute_off_runtime(&request)?;
        Ok(Applied { response, durable: Box::pin(durable.wait()) })
    }

    /// Holds a writer of this many bytes back while there is too much to flush or merge.
    pub(super) async fn wait_turn(&self, bytes: usize) {
        let delay = self.throttle.delay(self.backlog(), bytes, || self.env.clock.monotonic());
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }

    /// METADATA's edits are what ends a backlog: they wait for nothing but the log.
    pub(super) async fn modify_unthrottled(
        &self,
        request: &ModifyRequest,
    ) -> Result<ModifyResponse, TabletError> {
        let Executed { response, durable } = self.execute_off_runtime(request)?;
        durable.wait().await?;
        Ok(response)
    }

    fn execute_off_runtime(&self, request: &ModifyRequest) -> Result<Executed, TabletError> {
        match request.programs.len() > INLINE_PROGRAMS_MAX {
            true => blocking::in_place(|| self.execute(request)),
            false => self.execute(request),
        }
    }

    fn execute(&self, request: &ModifyRequest) -> Result<Executed, TabletError> {
        self.check_open()?;
        let line = self.line_of(request)?;
        match self.requests.begin(request.request) {
            Seen::New => {}
            Seen::Answered(response) => {
                return Ok(Executed { response, durable: line.durable_now() });
            }
            Seen::OutcomeUnknown => {
                let text = format!("request {:?} was sent before", request.request);
                return Err(TabletError::OutcomeUnknown(text));
            }
        }
        let executed = self.run(line, request);
        match &executed {
            Ok(Executed { response, .. }) if response.commit_ts != CommitTs::ABSENT => {
                self.requests.done(request.request, response);
            }
            Err(TabletError::OutcomeUnknown(_)) => self.requests.failed_part_way(request.request),
            _ => self.requests.wrote_nothing(request.request),
        }
        executed
    }

    /// The commit line of all of a batch's programs: a batch is on one log.
    fn line_of(&self, request: &ModifyRequest) -> Result<&CommitLine, TabletError> {
        let is_metadata = |program: &RowProgram| program.table == StorageId::METADATA;
        let metadata = request.programs.first().is_some_and(is_metadata);
        if request.programs.iter().any(|program| is_metadata(program) != metadata) {
            let text = "one batch for METADATA and for other tables".to_owned();
            return Err(TabletError::Unsupported(text));
        }
        Ok(self.line(match metadata {
            true => StorageId::METADATA,
            false => StorageId::CATALOG,
        }))
    }

    fn run(&self, line: &CommitLine, request: &ModifyRequest) -> Result<Executed, TabletError> {
        let mut routed = self.route(&request.programs)?;
        let held = self.lock_rows(std::mem::take(&mut routed.stripes));
        // What was written to a row between routing and locking may be in the children of a tablet that was
        // split there. One that is split later has the row as it is, and the writes follow.
        while routed.routes.iter().any(|route| route.tablet.is_retired()) {
            routed = self.route(&request.programs)?;
        }
        // A column may have been added between routing and locking, and others have written to it.
        for route in &mut routed.routes {
            route.schemas = route.table.schemas();
        }
        let time = ReadTime::newest(line.now());
        let evaluation = evaluate_all(&request.programs, &routed.routes, time)?;
        let failed = evaluation.results.iter().any(Result::is_err);
        let wrote = evaluation.rows.iter().any(|row| row.change.is_some());
        if !wrote || (failed && request.atomicity == Atomicity::AllOrNone) {
            // After the reads: what they saw is applied, so it is covered.
            let durable = line.durable_now();
            drop(held);
            let outcome =
                |result: Result<Answer, RowError>| Ok(result?.committed_at(CommitTs::ABSENT));
            let results = evaluation.results.into_iter().map(outcome).collect();
            let response = ModifyResponse { commit_ts: CommitTs::ABSENT, results };
            return Ok(Executed { response, durable });
        }
        let executed = self.commit(line, request, &routed.routes, evaluation, time)?;
        drop(held);
        self.after_commit(line, routed.routes.iter().map(|route| &route.tablet));
        Ok(executed)
    }

    fn route(&self, programs: &[RowProgram]) -> Result<Routed, TabletError> {
        let mut routes: Vec<Route> = Vec::new();
        let mut stripes = Vec::with_capacity(programs.len());
        for (place, program) in programs.iter().enumerate() {
            if program.key.len() > KEY_BYTES_MAX {
                let (size, limit) = (program.key.len(), KEY_BYTES_MAX);
                return Err(TabletError::TooLarge { what: "row key", size, limit });
            }
            stripes.push(RowLocks::stripe(program.table, &program.key));
            match routes.last_mut() {
                Some(route) if route.takes(program) => route.programs.end = place + 1,
                last => {
                    let route = self.route_one(program, place, last.as_deref())?;
                    routes.push(route);
                }
            }
        }
        Ok(Routed { routes, stripes })
    }

    fn route_one(
        &self,
        program: &RowProgram,
        place: usize,
        before: Option<&Route>,
    ) -> Result<Route, TabletError> {
        let known = before.filter(|before| before.table.storage == program.table);
        let (table, schemas) = match known {
            Some(known) => (known.table.clone(), known.schemas.clone()),
            None => {
                let table = self.tablets.table(program.table)?;
                let schemas = table.schemas();
                (table, schemas)
            }
        };
        Ok(Route {
            programs: place..place + 1,
            tablet: table.tablet_of(&program.key)?.clone(),
            planned: schemas.at(program.table, program.schema_version)?.clone(),
            table,
            schemas,
        })
    }

    fn lock_rows(&self, stripes: Vec<u16>) -> HeldRows<'_> {
        match stripes[..] {
            [one] => self.row_locks.lock_one(one),
            _ => self.row_locks.lock_many(stripes),
        }
    }

    fn commit(
        &self,
        line: &CommitLine,
        request: &ModifyRequest,
        routes: &[Route],
        evaluation: Evaluation,
        time: ReadTime,
    ) -> Result<Executed, TabletError> {
        let Evaluation { results, rows_of, rows } = evaluation;
        let mut writes = Vec::with_capacity(rows.len());
        // Of each write the row it is of.
        let mut written = Vec::with_capacity(rows.len());
        let mut commit_ts_of = vec![CommitTs::ABSENT; rows.len()];
        let mut ahead = routes.iter().peekable();
        for (at, row) in rows.into_iter().enumerate() {
            // Rows are in the order of the programs that touched them first.
            while ahead.next_if(|route| route.programs.end <= row.place).is_some() {}
            let route = ahead.peek().expect("every program has a route");
            if row.change.is_some() {
                let key = request.programs[row.place].key.clone();
                let mut row = row;
                row.change = row.change.map(|change| RowChange {
                    row: renewed(change.row, row.row.as_ref(), &route.schemas),
                    ..change
                });
                let layout = &route.schemas.layout;
                writes.push(match layout.is_single() {
                    true => to_write(&route.tablet, key, row, layout)?,
                    false => to_parts(&route.tablet, key, row, layout, time)?,
                });
                written.push(at);
            }
        }
        let chunks = chunks_of(&writes, request.atomicity);
        // All space before the first row is written: a full disk refuses the batch, not a part of it.
        let reservations: Vec<_> = chunks
            .iter()
            .map(|chunk| line.reserve(&writes[chunk.clone()]))
            .collect::<Result<_, _>>()?;
        let mut durable = line.durable_now();
        let mut commit_ts = CommitTs::ABSENT;
        for (chunk, reservation) in chunks.iter().zip(reservations) {
            let is_held = || routes.iter().try_for_each(Route::check_held);
            let writes = &mut writes[chunk.clone()];
            match line.commit(reservation, request.request, writes, is_held) {
                Ok(committed) => (commit_ts, durable) = committed,
                Err(error) if chunk.start == 0 => return Err(error),
                // Earlier chunks are in the log: to say "failed" would be wrong.
                Err(error) => return Err(TabletError::OutcomeUnknown(error.to_string())),
            }
            for row in &written[chunk.clone()] {
                commit_ts_of[*row] = commit_ts;
            }
        }
        let results = results
            .into_iter()
            .zip(rows_of)
            .map(|(result, row)| Ok(result?.committed_at(commit_ts_of[row])))
            .collect();
        Ok(Executed { response: ModifyResponse { commit_ts, results }, durable })
    }
}

/// About what a program adds to log and memtable.
fn bytes_of(program: &RowProgram) -> usize {
    const EACH: usize = 64;
    let cells = match &program.action {
        Action::Put { cells } | Action::Upsert { insert: cells, .. } => cells.as_bytes().len(),
        Action::Update { assignments } => assignments.len() * EACH,
        Action::Delete | Action::Check => 0,
    };
    EACH + program.key.len() + cells
}

/// The pieces in which rows are sequenced: one, where they stand or fall together.
fn chunks_of(writes: &[Write], atomicity: Atomicity) -> Vec<Range<usize>> {
    if atomicity == Atomicity::AllOrNone {
        return std::iter::once(0..writes.len()).collect();
    }
    let mut chunks = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (place, write) in writes.iter().enumerate() {
        if place - start == CHUNK_ROWS_MAX || bytes >= CHUNK_BYTES {
            chunks.push(start..place);
            (start, bytes) = (place, 0);
        }
        bytes += write.log_bytes_max();
    }
    chunks.push(start..writes.len());
    chunks
}

/// Runs the programs in order, each on its row as the ones before left it. Their rows are locked.
fn evaluate_all(
    programs: &[RowProgram],
    routes: &[Route],
    time: ReadTime,
) -> Result<Evaluation, TabletError> {
    let mut evaluation = Evaluation {
        results: Vec::with_capacity(programs.len()),
        rows_of: Vec::with_capacity(programs.len()),
        rows: Vec::with_capacity(programs.len()),
    };
    let mut known = Places::default();
    for route in routes {
        let schemas = &route.schemas;
        // Nobody else writes the locked rows: what is applied to them now is in this version for good.
        let version = route.tablet.version();
        for place in route.programs.clone() {
            let program = &programs[place];
            let reads = RowReads::of(program, schemas);
            let at = match known.find(programs, place) {
                Some(at) => {
                    let row = &mut evaluation.rows[at];
                    row.read_more(&program.key, &version, schemas, reads, time)?;
                    at
                }
                None => {
                    let row = Touched::read(place, &program.key, &version, schemas, reads, time)?;
                    evaluation.rows.push(row);
                    known.add(programs, place, evaluation.rows.len() - 1);
                    evaluation.rows.len() - 1
                }
            };
            let touched = &mut evaluation.rows[at];
            let (row, committed) = (touched.row.as_ref(), touched.committed);
            let current = Current { row, committed, now: time.now };
            let result = evaluate(program, &route.planned, &schemas.current, current);
            evaluation.results.push(result.map(|evaluated| touched.take(evaluated)));
            evaluation.rows_of.push(at);
        }
    }
    Ok(evaluation)
}

/// A row's map with a program's changes of it.
fn changed(
    committed: PackedCells,
    map: &MapColumn,
    changes: Option<&MapChange>,
) -> Result<PackedCells, TabletError> {
    let Some(changes) = changes else { return Ok(committed) };
    // What was read of a map has a cell.
    let cell = committed.get(map.column).flatten().unwrap_or_default();
    let changed = changes.applied_to(Some(cell), &map.of).map_err(|error| {
        TabletError::Internal(format!("the map of column {}: {error}", map.column.0))
    })?;
    let mut cells = CellsBuilder::default();
    cells.push(map.column, Some(&changed));
    Ok(cells.finish())
}

/// Where rows end some time after they were last written (rule 36): an update writes the row's marker again, and what must
/// not be NULL and would end before it.
fn renewed(mutation: RowMutation, after: Option<&Row>, schemas: &HeldSchemas) -> RowMutation {
    let Some(after) = after else { return mutation };
    let is_whole = mutation.flags & (ROW_COMPLETE | ROW_DELETE) != 0;
    if schemas.layout.gc(0).marker_ttl().is_none() || is_whole {
        return mutation;
    }
    let columns = schemas.widest.value_columns();
    let renewed = columns.filter(|column| column.not_null && column.gc.newest_ttl().is_some());
    let renewed: Vec<ColumnId> = renewed.map(|column| column.id).collect();
    let cells = merge_cells(&[mutation.cells, after.cells.project(&renewed)]);
    RowMutation { flags: mutation.flags | ROW_MARKER, cells }
}

/// A row's change as it is logged.
fn to_write(
    tablet: &Arc<Tablet>,
    key: Bytes,
    row: Touched,
    layout: &GroupLayout,
) -> Result<Write, TabletError> {
    let Touched { row: after, change, .. } = row;
    let mut mutation = change.expect("the caller has looked").row;
    let mut whole = None;
    // Where versions are kept or expire, each cell is to be as old as it is.
    if let Some(after) = after
        && layout.gc(0).is_plain()
        && mutation.flags & (ROW_COMPLETE | ROW_DELETE) == 0
    {
        if after.cells.as_bytes().len() <= WHOLE_ROW_BYTES_MAX {
            mutation = RowMutation { flags: ROW_MARKER | ROW_COMPLETE, cells: after.cells };
        } else {
            whole = Some(after.cells);
        }
    }
    let mutation = encoded(&mutation)?;
    let (parts, entries) = (Vec::new(), Vec::new());
    Ok(Write { tablet: tablet.clone(), key, mutation, whole, parts, entries })
}

/// The same for a table of several locality groups. The row as it will be has the cells of the groups that were read:
/// those that the mutation has cells of are among them.
fn to_parts(
    tablet: &Arc<Tablet>,
    key: Bytes,
    row: Touched,
    layout: &GroupLayout,
    time: ReadTime,
) -> Result<Write, TabletError> {
    let Touched { row: after, change, committed, groups: known, .. } = row;
    let change = change.expect("the caller has looked");
    let group_parts = layout.parts(&change);
    let RowChange { row: mutation, dated, maps } = change;
    let hides = mutation.flags & (ROW_COMPLETE | ROW_DELETE) != 0;
    let after = after.filter(|_| !hides);
    let mut parts = Vec::new();
    for (group, part) in group_parts {
        let place = layout.groups().iter().position(|known| known.id == group).unwrap_or_default();
        let is_plain = layout.gc(place).is_plain();
        let whole = after.as_ref().filter(|_| known.contains(place) && is_plain);
        let whole = whole.map(|after| {
            let columns: Vec<ColumnId> = after.cells.iter().map(|(id, _)| id).collect();
            after.cells.project(&layout.columns_in(place, &columns))
        });
        parts.push(GroupWrite { group, mutation: part.encoded(), whole });
    }
    // A row that has ended by itself left its entries behind.
    let may_have_entries = committed != CommitTs::ABSENT || layout.gc(0).marker_ttl().is_some();
    let is_replaced = hides && may_have_entries;
    let maps = exact(maps, &key, &tablet.version(), layout, is_replaced, time)?;
    let entries = entry_writes(layout, &key, &maps);
    check_size(mutation.cells.as_bytes().len() + dated.bytes() + maps.bytes())?;
    check_map_keys(&entries)?;
    let mut bytes = Vec::new();
    RowChange { row: mutation, dated, maps }.encode(&mut bytes);
    Ok(Write { tablet: tablet.clone(), key, mutation: bytes, whole: None, parts, entries })
}

/// A map's key is part of a key in its group.
fn check_map_keys(entries: &[EntryWrites]) -> Result<(), TabletError> {
    let longest = entries.iter().map(EntryWrites::longest_key).max().unwrap_or_default();
    match longest > KEY_BYTES_MAX {
        true => {
            let (size, limit) = (longest, KEY_BYTES_MAX);
            Err(TabletError::TooLarge { what: "map key", size, limit })
        }
        false => Ok(()),
    }
}

fn check_size(size: usize) -> Result<(), TabletError> {
    match size > ROW_BYTES_MAX {
        true => Err(TabletError::TooLarge { what: "row", size, limit: ROW_BYTES_MAX }),
        false => Ok(()),
    }
}

fn encoded(mutation: &RowMutation) -> Result<Vec<u8>, TabletError> {
    let size = mutation.cells.as_bytes().len();
    check_size(size)?;
    let mut bytes = Vec::with_capacity(size + 1);
    mutation.encode(&mut bytes);
    Ok(bytes)
}
