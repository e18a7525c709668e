//! DDL: the statement stages its changes in the block's catalog; what needs rows is done here.
//!
//! A new storage is referred to by nobody until COMMIT, so its rows are written straight into it, whatever
//! their number (rule 31).

use super::cancel::Cancel;
use super::client::ClientSession;
use super::modify::{Target, assigned_value, encode_key, row_cells};
use super::response::{CommandTag, Response};
use super::select;
use super::server::SqlServer;
use crate::bind::ddl::{self, DdlAction, DdlContext, DdlStatement};
use crate::catalog::model::{Column, Table};
use crate::catalog::oid::Oid;
use crate::catalog::quote::quote_ident;
use crate::error::{SqlError, SqlState};
use crate::parse;
use crate::plan::analyzer::PlanAnalyzer;
use crate::plan::errors;
use crate::plan::relations::TARGET;
use crate::scan::provider::{KEY_COLUMN, TableSource};
use crate::types::oid;
use arrow::array::{Array, AsArray};
use bytes::Bytes;
use datafusion::catalog::TableProvider;
use datafusion::sql::sqlparser::ast::Query;
use futures::TryStreamExt;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use terrane_client::columns::value_at;
use terrane_client::ids::ColumnId;
use terrane_client::key::HiddenKeys;
use terrane_client::program::{
    Action, Atomicity, Guard, ModifyRequest, Returning, RowError, RowProgram,
};
use terrane_client::row::CellsBuilder;
use terrane_client::schema::TableSchema;
use terrane_client::value::Value;

/// Rows of one write into a new storage.
const BATCH_ROWS: usize = 8192;

/// Runs a DDL statement.
pub async fn run(
    session: &mut ClientSession,
    statement: DdlStatement,
    cancel: &Cancel,
) -> Result<Response, SqlError> {
    session.check_writable("DDL")?;
    let info = session.info();
    let state = session.describing();
    let path = session.search_path();
    let analyzer = PlanAnalyzer::new(state, path.clone(), info);
    let server = Arc::clone(&session.server);
    let (number, in_block) = (session.number, session.block().explicit || !session.alone);
    let context = DdlContext {
        store: &server.catalog,
        path: &path,
        session: number,
        analyzer: &analyzer,
        in_block,
    };
    let before = session.block().catalog.savepoint();
    let result = run_staged(session, statement, context, cancel).await;
    if result.is_err() {
        session.block().catalog.rollback_to(&before);
    }
    result
}

async fn run_staged(
    session: &mut ClientSession,
    statement: DdlStatement,
    context: DdlContext<'_>,
    cancel: &Cancel,
) -> Result<Response, SqlError> {
    let outcome = ddl::execute(statement, &mut session.block().catalog, context).await?;
    session.notices.extend(outcome.notices);
    let mut tag = outcome.tag;
    for action in outcome.actions {
        cancel.check()?;
        match action {
            DdlAction::ValidateNotNull { table, column } => {
                validate_not_null(session, table, column, cancel).await?;
            }
            DdlAction::ValidateCheck { table, constraint } => {
                validate_check(session, table, constraint, cancel).await?;
            }
            DdlAction::BuildUnique { table, index } => {
                build_unique(session, table, index, cancel).await?;
            }
            DdlAction::Rewrite { from, to, using } => {
                rewrite(session, &from, to, &using, cancel).await?;
            }
            DdlAction::InsertQuery { table, query } => {
                let rows = insert_query(session, table, *query, cancel).await?;
                tag = CommandTag::Count("SELECT", rows);
            }
        }
    }
    Ok(Response::Complete(tag))
}

fn table_of(session: &mut ClientSession, oid: Oid) -> Result<Arc<Table>, SqlError> {
    let catalog = session.catalog();
    catalog.table(oid).cloned().ok_or_else(|| SqlError::internal("a staged table is gone"))
}

/// The number of rows of a table for which a condition holds, up to one.
async fn any_row(
    session: &mut ClientSession,
    table: &Table,
    condition: &str,
    cancel: &Cancel,
) -> Result<bool, SqlError> {
    let alias = quote_ident(&table.name);
    let query =
        parse::query(&format!("SELECT 1 FROM \"{TARGET}\" AS {alias} WHERE {condition} LIMIT 1"))?;
    let catalog = session.catalog();
    let mut schema = session.server.catalog.tablet_schema(table, &catalog)?;
    // What the planner is told to be never NULL it does not look at.
    schema.columns.iter_mut().for_each(|column| column.not_null = false);
    let source: Arc<dyn TableProvider> = Arc::new(TableSource::new(Arc::new(schema)));
    let context = session.statement_context(cancel).await?;
    let state = session.state(context);
    let plan = session.plan(&state, query, vec![(TARGET, source)], &BTreeMap::new())?;
    let mut rows = select::start(&plan, &state).await?;
    while let Some(batch) = rows.try_next().await.map_err(errors::of_datafusion)? {
        if batch.num_rows() > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The error with the table it is about.
fn about(session: &mut ClientSession, table: &Table, mut error: SqlError) -> SqlError {
    let catalog = session.catalog();
    error.schema = catalog.schema(table.schema).map(|schema| schema.name.to_string());
    error.table = Some(table.name.to_string());
    error
}

async fn validate_not_null(
    session: &mut ClientSession,
    table: Oid,
    column: ColumnId,
    cancel: &Cancel,
) -> Result<(), SqlError> {
    let table = table_of(session, table)?;
    let name = table.column(column).map(|column| column.name.to_string()).unwrap_or_default();
    let condition = format!("{} IS NULL", quote_ident(&name));
    match any_row(session, &table, &condition, cancel).await? {
        false => Ok(()),
        true => {
            let mut error = SqlError::new(
                SqlState::NOT_NULL_VIOLATION,
                format!("column \"{name}\" of relation \"{}\" contains null values", table.name),
            );
            error.column = Some(name);
            Err(about(session, &table, error))
        }
    }
}

async fn validate_check(
    session: &mut ClientSession,
    table: Oid,
    constraint: Oid,
    cancel: &Cancel,
) -> Result<(), SqlError> {
    let table = table_of(session, table)?;
    let Some(check) = table.checks.iter().find(|check| check.oid == constraint) else {
        return Err(SqlError::internal("a staged constraint is gone"));
    };
    let catalog = session.catalog();
    let text = check
        .sql
        .render(&catalog.qualified_names())
        .map_err(|error| SqlError::internal(error.to_string()))?;
    match any_row(session, &table, &format!("NOT ({text})"), cancel).await? {
        false => Ok(()),
        true => {
            let mut error = SqlError::new(
                SqlState::CHECK_VIOLATION,
                format!(
                    "check constraint \"{}\" of relation \"{}\" is violated by some row",
                    check.name, table.name
                ),
            );
            error.constraint = Some(check.name.to_string());
            Err(about(session, &table, error))
        }
    }
}

/// Rows on their way into a storage nobody refers to yet.
struct Load<'a> {
    schema: &'a TableSchema,
    programs: Vec<RowProgram>,
    written: u64,
}

impl<'a> Load<'a> {
    fn new(schema: &'a TableSchema) -> Self {
        Self { schema, programs: Vec::new(), written: 0 }
    }

    async fn push(
        &mut self,
        server: &SqlServer,
        key: Bytes,
        cells: terrane_client::row::PackedCells,
    ) -> Result<Result<(), RowProgram>, SqlError> {
        self.programs.push(RowProgram {
            table: self.schema.storage,
            schema_version: self.schema.version,
            key,
            guard: Guard::Absent,
            condition: None,
            action: Action::Put { cells },
            returning: Returning::Nothing,
        });
        match self.programs.len() >= BATCH_ROWS {
            true => self.flush(server).await,
            false => Ok(Ok(())),
        }
    }

    /// Writes what is there: the program of the first row that was there already, if one was.
    async fn flush(&mut self, server: &SqlServer) -> Result<Result<(), RowProgram>, SqlError> {
        if self.programs.is_empty() {
            return Ok(Ok(()));
        }
        let programs = Arc::new(std::mem::take(&mut self.programs));
        self.written += programs.len() as u64;
        let request = ModifyRequest {
            request: server.next_request(),
            programs: Arc::clone(&programs),
            atomicity: Atomicity::AllOrNone,
        };
        let response = server.tablets.modify_rows(request).await.map_err(errors::of_tablet)?;
        for (program, result) in programs.iter().zip(response.results) {
            match result {
                Ok(_) => {}
                Err(RowError::AlreadyExists) => return Ok(Err(program.clone())),
                Err(other) => {
                    return Err(SqlError::internal(format!("load of a new storage: {other}")));
                }
            }
        }
        Ok(Ok(()))
    }
}

/// Fills a unique index's hidden table.
async fn build_unique(
    session: &mut ClientSession,
    table: Oid,
    index: Oid,
    cancel: &Cancel,
) -> Result<(), SqlError> {
    let table = table_of(session, table)?;
    let Some(index) = table.indexes.iter().find(|known| known.oid == index).cloned() else {
        return Err(SqlError::internal("a staged index is gone"));
    };
    let (Some(hidden), Some(columns)) = (index.tablet_schema(&table), index.key_columns()) else {
        return Ok(());
    };
    let target = Target::of(session, &table)?;
    let names: Vec<String> = columns
        .iter()
        .filter_map(|id| table.column(*id))
        .map(|column| quote_ident(&column.name))
        .collect();
    let query =
        parse::query(&format!("SELECT \"{KEY_COLUMN}\", {} FROM \"{TARGET}\"", names.join(", ")))?;
    let source: Arc<dyn TableProvider> = target.source();
    let context = session.statement_context(cancel).await?;
    let state = session.state(context);
    let plan = session.plan(&state, query, vec![(TARGET, source)], &BTreeMap::new())?;
    let mut rows = select::start(&plan, &state).await?;
    let server = Arc::clone(&session.server);
    let mut load = Load::new(&hidden);
    let duplicate = || {
        let mut error = SqlError::new(
            SqlState::UNIQUE_VIOLATION,
            format!("could not create unique index \"{}\"", index.name),
        );
        error.constraint = Some(index.name.to_string());
        error
    };
    while let Some(batch) = rows.try_next().await.map_err(errors::of_datafusion)? {
        cancel.check()?;
        let keys = batch.column(0).as_binary_view();
        'rows: for at in 0..batch.num_rows() {
            let mut values = Vec::with_capacity(columns.len());
            for (array, column) in batch.columns()[1..].iter().zip(&hidden.columns) {
                if array.is_null(at) {
                    continue 'rows;
                }
                let value = value_at(array.as_ref(), at, &column.data_type)
                    .map_err(|error| SqlError::internal(error.to_string()))?;
                values.push(value);
            }
            let key = encode_key(&values, &hidden)?;
            let mut cells = CellsBuilder::default();
            cells.push(index.row_key_column(), Some(keys.value(at)));
            if load.push(&server, key, cells.finish()).await?.is_err() {
                return Err(duplicate());
            }
        }
    }
    load.flush(&server).await?.map_err(|_| duplicate())
}

/// Copies a table's rows into its new storage.
async fn rewrite(
    session: &mut ClientSession,
    from: &Arc<Table>,
    to: Oid,
    using: &BTreeMap<ColumnId, crate::catalog::stored_sql::StoredSql>,
    cancel: &Cancel,
) -> Result<(), SqlError> {
    let to = table_of(session, to)?;
    let catalog = session.catalog();
    let mut items = Vec::new();
    let mut columns: Vec<Column> = Vec::new();
    // Columns whose values come from a sequence.
    let mut generated: Vec<Column> = Vec::new();
    for column in to.live_columns() {
        let text = match using.get(&column.id) {
            Some(sql) => sql
                .render(&catalog.qualified_names())
                .map_err(|error| SqlError::internal(error.to_string()))?,
            None if from.column(column.id).is_some_and(|old| !old.dropped) => {
                quote_ident(from.column(column.id).map_or("", |old| &*old.name))
            }
            None if catalog.sequence_of_column(to.oid, column.id).is_some() => {
                generated.push(column.clone());
                continue;
            }
            None => match &column.default {
                None => continue,
                Some(default) => default
                    .sql
                    .render(&catalog.qualified_names())
                    .map_err(|error| SqlError::internal(error.to_string()))?,
            },
        };
        items.push(text);
        columns.push(column.clone());
    }
    let list = if items.is_empty() { "1".to_owned() } else { items.join(", ") };
    let alias = quote_ident(&from.name);
    let query = parse::query(&format!("SELECT {list} FROM \"{TARGET}\" AS {alias}"))?;
    let old = Arc::new(session.server.catalog.tablet_schema(from, &catalog)?);
    let source: Arc<dyn TableProvider> = Arc::new(TableSource::new(old));
    copy_into(session, &to, &columns, &generated, query, Some(source), cancel).await?;
    Ok(())
}

async fn insert_query(
    session: &mut ClientSession,
    table: Oid,
    query: Query,
    cancel: &Cancel,
) -> Result<u64, SqlError> {
    let table = table_of(session, table)?;
    let columns: Vec<Column> = table.live_columns().cloned().collect();
    copy_into(session, &table, &columns, &[], query, None, cancel).await
}

/// Runs a query and loads its rows into a table whose storage is new.
async fn copy_into(
    session: &mut ClientSession,
    table: &Arc<Table>,
    columns: &[Column],
    generated: &[Column],
    query: Query,
    source: Option<Arc<dyn TableProvider>>,
    cancel: &Cancel,
) -> Result<u64, SqlError> {
    let target = Target::of(session, table)?;
    let schema = Arc::clone(&target.schema);
    let context = session.statement_context(cancel).await?;
    let state = session.state(context);
    let bound = source.map(|source| (TARGET, source)).into_iter().collect();
    let plan = session.plan(&state, query, bound, &BTreeMap::new())?;
    let types: Vec<_> = plan.schema().fields().iter().map(|field| oid::of_field(field)).collect();
    let info = session.info();
    let mut keys = HiddenKeys::new(session.server.client() ^ session.number.rotate_left(32));
    let now = session.server.env.clock.now_micros();
    let mut rows = select::start(&plan, &state).await?;
    let server = Arc::clone(&session.server);
    let mut load = Load::new(&schema);
    while let Some(batch) = rows.try_next().await.map_err(errors::of_datafusion)? {
        cancel.check()?;
        let drawn = drawn_values(session, table, generated, batch.num_rows()).await?;
        for at in 0..batch.num_rows() {
            let mut values: HashMap<ColumnId, Value> = HashMap::with_capacity(columns.len());
            values.extend(drawn.iter().map(|(id, drawn)| (*id, drawn[at].clone())));
            for ((array, column), source) in batch.columns().iter().zip(columns).zip(&types) {
                let value = assigned_value(array, at, *source, column, &info)?;
                values.insert(column.id, value);
            }
            let key = match schema.key.is_empty() {
                true => Bytes::copy_from_slice(&keys.next(now)),
                false => {
                    let key: Vec<Value> = schema
                        .key
                        .iter()
                        .map(|key| values.get(&key.column).cloned().unwrap_or(Value::Null))
                        .collect();
                    encode_key(&key, &schema)?
                }
            };
            let cells = row_cells(&schema, |id| values.get(&id).cloned().unwrap_or(Value::Null))?;
            if let Err(program) = load.push(&server, key, cells).await? {
                return Err(duplicate(session, &program));
            }
        }
    }
    if let Err(program) = load.flush(&server).await? {
        return Err(duplicate(session, &program));
    }
    Ok(load.written)
}

/// Values of columns that a sequence fills, for so many rows.
async fn drawn_values(
    session: &mut ClientSession,
    table: &Table,
    generated: &[Column],
    rows: usize,
) -> Result<Vec<(ColumnId, Vec<Value>)>, SqlError> {
    let catalog = session.catalog();
    let mut drawn = Vec::new();
    for column in generated {
        let Some(sequence) = catalog.sequence_of_column(table.oid, column.id) else { continue };
        let next = session.server.catalog.sequences().next_values(sequence, rows).await?;
        let values = next.into_iter().map(|value| super::modify::integer(value, column));
        drawn.push((column.id, values.collect::<Result<_, _>>()?));
    }
    Ok(drawn)
}

fn duplicate(session: &mut ClientSession, program: &RowProgram) -> SqlError {
    let catalog = session.catalog();
    let violation = super::modify::violation(&catalog, program, &RowError::AlreadyExists);
    let mut error = SqlError::new(
        SqlState::UNIQUE_VIOLATION,
        format!(
            "could not create unique index \"{}\"",
            violation.constraint.as_deref().unwrap_or("")
        ),
    );
    error.constraint = violation.constraint.clone();
    error
}
