//! RETURNING: a query over the images of the rows a statement changed, and the rows they were joined with.
//!
//! Every relation it may name is a table in memory whose rows belong together by their number.

use super::Done;
use super::apply::Changed;
use super::target::Target;
use crate::catalog::model::Column;
use crate::catalog::quote::quote_ident;
use crate::error::SqlError;
use crate::parse;
use crate::plan::errors;
use crate::plan::planner;
use crate::plan::relations::RETURNED;
use crate::scan::provider::TableSource;
use crate::session::cancel::Cancel;
use crate::session::client::ClientSession;
use crate::session::format::Formats;
use crate::session::prepared::placeholder;
use crate::session::response::{Response, ResultColumn, RowsResponse};
use crate::session::select::{self, Bound};
use crate::types::oid;
use arrow::array::{ArrayRef, Int64Array, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::{Expr, Ident, Query, SelectItem, SetExpr, Statement};
use futures::{StreamExt, TryStreamExt};
use std::collections::BTreeMap;
use std::sync::Arc;
use terrane_client::columns::RowBatch;
use terrane_client::read::Projected;

/// The number of a row, in every relation.
pub const ROW: &str = "__terrane_row";
/// The names under which joined relations are bound.
const JOINED: [&str; 8] = [
    "__terrane_joined_0",
    "__terrane_joined_1",
    "__terrane_joined_2",
    "__terrane_joined_3",
    "__terrane_joined_4",
    "__terrane_joined_5",
    "__terrane_joined_6",
    "__terrane_joined_7",
];

/// A relation of FROM or USING: its rows beside those that were changed.
pub struct Joined {
    name: Ident,
    /// Its columns in the statement's query.
    columns: std::ops::Range<usize>,
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl Joined {
    /// The relations of a statement's query, whose columns stand from `from` on.
    pub fn of_plan(names: &[Ident], plan: &LogicalPlan, from: usize) -> Vec<Self> {
        let schema = plan.schema();
        let mut found: Vec<Self> = Vec::new();
        let mut start = from;
        for name in names {
            let wanted = folded(name);
            let is_own = |at: &usize| {
                schema.qualified_field(*at).0.is_some_and(|table| table.table() == wanted)
            };
            let end = (start..schema.fields().len()).find(|at| !is_own(at));
            let end = end.unwrap_or(schema.fields().len());
            let fields: Vec<_> = schema.fields()[start..end].to_vec();
            let schema = Arc::new(Schema::new(fields));
            let name = name.clone();
            found.push(Self { name, columns: start..end, schema, batches: Vec::new() });
            start = end;
        }
        found
    }

    /// Takes its columns of some rows of the query's answer.
    pub fn take(&mut self, batch: &RecordBatch, rows: &[u32]) -> Result<(), SqlError> {
        let columns: Vec<usize> = self.columns.clone().collect();
        let batch = batch
            .project(&columns)
            .and_then(|batch| take_record_batch(&batch, &UInt32Array::from(rows.to_vec())))
            .map_err(of_arrow)?;
        self.batches.push(batch);
        Ok(())
    }

    /// Some of its rows, by number.
    pub fn of(mut self, rows: &[usize]) -> Result<Self, SqlError> {
        if !self.batches.is_empty() {
            let rows: UInt32Array = rows.iter().map(|row| *row as u32).collect();
            let all = concat_batches(&self.batches[0].schema(), &self.batches).map_err(of_arrow)?;
            self.batches = vec![take_record_batch(&all, &rows).map_err(of_arrow)?];
        }
        Ok(self)
    }

    fn table(&self) -> Result<MemTable, SqlError> {
        let rows = self.batches.iter().map(RecordBatch::num_rows).sum();
        let columns = match self.batches.is_empty() {
            true => RecordBatch::new_empty(Arc::clone(&self.schema)),
            false => concat_batches(&self.batches[0].schema(), &self.batches).map_err(of_arrow)?,
        };
        numbered(&self.schema, columns.columns().to_vec(), rows)
    }
}

fn of_arrow(error: arrow::error::ArrowError) -> SqlError {
    SqlError::internal(error.to_string())
}

fn folded(name: &Ident) -> String {
    super::target::folded(name)
}

/// A table of these columns, and the rows' numbers behind them.
fn numbered(
    schema: &SchemaRef,
    mut columns: Vec<ArrayRef>,
    rows: usize,
) -> Result<MemTable, SqlError> {
    let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(ROW, ArrowType::Int64, false)));
    columns.push(Arc::new(Int64Array::from_iter_values(0..rows as i64)));
    let schema = Arc::new(Schema::new(fields));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)
        .map_err(of_arrow)?;
    MemTable::try_new(schema, vec![vec![batch]]).map_err(errors::of_datafusion)
}

/// `SELECT items FROM returned AS alias JOIN … ON their numbers`.
pub fn query(
    target: &Target,
    items: Vec<SelectItem>,
    joined: &[Joined],
) -> Result<Query, SqlError> {
    let alias = quote_ident(&target.alias);
    let mut sql = format!("SELECT 1 FROM \"{RETURNED}\" AS {alias}");
    for (at, joined) in joined.iter().enumerate() {
        let name = quote_ident(&folded(&joined.name));
        let bound = joined_name(at)?;
        sql.push_str(&format!(
            " JOIN \"{bound}\" AS {name} ON {name}.\"{ROW}\" = {alias}.\"{ROW}\""
        ));
    }
    let mut query = parse::query(&sql)?;
    if let SetExpr::Select(select) = &mut *query.body {
        select.projection =
            items.into_iter().flat_map(|item| without_numbers(item, target, joined)).collect();
    }
    Ok(query)
}

fn joined_name(at: usize) -> Result<&'static str, SqlError> {
    JOINED.get(at).copied().ok_or_else(|| {
        SqlError::unsupported("RETURNING with more than 8 joined relations is not supported")
    })
}

/// `*` and `t.*` written out, so that they do not show the rows' numbers.
fn without_numbers(item: SelectItem, target: &Target, joined: &[Joined]) -> Vec<SelectItem> {
    let of_target = || {
        let names = target.schema.columns.iter().map(|column| column.name.clone());
        columns_of(&target.alias, names)
    };
    let of_joined = |joined: &Joined| {
        let names = joined.schema.fields().iter().map(|field| field.name().clone());
        columns_of(&folded(&joined.name), names)
    };
    match &item {
        SelectItem::Wildcard(_) => {
            of_target().into_iter().chain(joined.iter().flat_map(of_joined)).collect()
        }
        SelectItem::QualifiedWildcard(kind, _) => {
            use datafusion::sql::sqlparser::ast::SelectItemQualifiedWildcardKind as Kind;
            let Kind::ObjectName(name) = kind else { return vec![item] };
            let name = name.0.last().and_then(|part| part.as_ident()).map(folded);
            let name = name.unwrap_or_default();
            if name == target.alias {
                return of_target();
            }
            match joined.iter().find(|joined| folded(&joined.name) == name) {
                Some(joined) => of_joined(joined),
                None => vec![item],
            }
        }
        _ => vec![item],
    }
}

fn columns_of(relation: &str, names: impl Iterator<Item = String>) -> Vec<SelectItem> {
    names
        .map(|name| {
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(vec![
                Ident::with_quote('"', relation),
                Ident::with_quote('"', name),
            ]))
        })
        .collect()
}

/// The rows as they are now, or as they were before they were deleted.
pub fn images<'a>(
    target: &Target,
    rows: impl ExactSizeIterator<Item = &'a Changed>,
) -> Result<MemTable, SqlError> {
    let schema = TableSource::new(Arc::clone(&target.schema)).schema();
    let projection: Vec<Projected> =
        target.schema.columns.iter().map(|column| Projected::Column(column.id)).collect();
    let mut batch = RowBatch::new(Arc::clone(&target.schema), &projection, rows.len())
        .map_err(errors::of_tablet)?;
    for row in rows {
        if let Some(image) = row.after.as_ref().or(row.before.as_ref()) {
            batch.push(&row.key, image).map_err(errors::of_tablet)?;
        }
    }
    let batch = batch.finish().map_err(errors::of_tablet)?;
    numbered(&schema, batch.columns().to_vec(), batch.num_rows())
}

fn bound(target: &Target, rows: &[Changed], joined: &[Joined]) -> Result<Bound, SqlError> {
    let provider: Arc<dyn TableProvider> = Arc::new(images(target, rows.iter())?);
    let mut bound = vec![(RETURNED, provider)];
    for (at, joined) in joined.iter().enumerate() {
        bound.push((joined_name(at)?, Arc::new(joined.table()?)));
    }
    Ok(bound)
}

/// The plan of a RETURNING list, for its columns.
pub fn plan(
    session: &mut ClientSession,
    target: &Target,
    items: Vec<SelectItem>,
    joined: &[Joined],
    types: &BTreeMap<usize, u32>,
) -> Result<LogicalPlan, SqlError> {
    let state = session.describing();
    let query = query(target, items, joined)?;
    session.plan(&state, query, bound(target, &[], joined)?, types)
}

/// What RETURNING answers.
struct Returned {
    columns: Arc<[ResultColumn]>,
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

async fn returned(
    session: &mut ClientSession,
    done: &Done,
    cancel: &Cancel,
) -> Result<Returned, SqlError> {
    let items = done.returning.clone().unwrap_or_default();
    let context = session.statement_context(cancel).await?;
    let state = session.state(context);
    let query = query(&done.target, items, &done.joined)?;
    let bound = bound(&done.target, &done.rows, &done.joined)?;
    let plan = session.plan(&state, query, bound, &BTreeMap::new())?;
    let columns = planner::result_columns(&plan);
    let schema = Arc::clone(plan.schema().inner());
    let batches = select::start(&plan, &state).await?;
    // The statement is done whether or not the client takes its rows: nothing waits for it.
    let batches: Vec<RecordBatch> = batches.try_collect().await.map_err(errors::of_datafusion)?;
    Ok(Returned { columns, schema, batches })
}

/// The rows of RETURNING, for the client.
pub async fn respond(
    session: &mut ClientSession,
    done: Done,
    cancel: &Cancel,
) -> Result<Response, SqlError> {
    let Returned { columns, batches, .. } = returned(session, &done, cancel).await?;
    Ok(Response::Rows(RowsResponse {
        columns,
        formats: Formats::TEXT,
        pending: None,
        batches: futures::stream::iter(batches.into_iter().map(Ok)).boxed(),
        tag: done.tag,
    }))
}

/// The rows of RETURNING, for the queries behind WITH.
pub async fn table(
    session: &mut ClientSession,
    done: Done,
    cancel: &Cancel,
) -> Result<Arc<dyn TableProvider>, SqlError> {
    let Returned { schema, batches, .. } = returned(session, &done, cancel).await?;
    let restated = batches
        .into_iter()
        .map(|batch| {
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            let columns = batch.columns().to_vec();
            RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(of_arrow)?;
    let table = MemTable::try_new(schema, vec![restated]).map_err(errors::of_datafusion)?;
    Ok(Arc::new(table))
}

/// What a statement in WITH will return: without rows. `None` where it returns nothing.
pub fn empty_table(
    session: &mut ClientSession,
    statement: &Statement,
    types: &BTreeMap<usize, u32>,
) -> Result<Option<Arc<dyn TableProvider>>, SqlError> {
    let Some((target, items)) = super::returning_of(session, statement)? else { return Ok(None) };
    let plan = plan(session, &target, items, &[], types)?;
    let schema = Arc::clone(plan.schema().inner());
    let table = MemTable::try_new(schema, vec![Vec::new()]).map_err(errors::of_datafusion)?;
    Ok(Some(Arc::new(table)))
}

/// Where a parameter stands alone for a column's value, it has the column's type.
pub fn note_parameter(expr: &Expr, column: &Column, types: &mut BTreeMap<usize, u32>) {
    if let Some(name) = placeholder(expr)
        && let Some(at) = name.strip_prefix('$').and_then(|digits| digits.parse().ok())
    {
        types.entry(at).or_insert(oid::of(&column.data_type).oid);
    }
}
