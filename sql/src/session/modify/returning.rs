//! RETURNING: a query over the images of the rows a statement changed.

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
use crate::session::response::{CommandTag, Response, RowsResponse};
use crate::session::select;
use crate::types::oid;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::{Expr, Query, SelectItem, SetExpr};
use futures::{StreamExt, TryStreamExt};
use std::collections::BTreeMap;
use std::sync::Arc;
use terrane_client::columns::RowBatch;
use terrane_client::read::Projected;

/// `SELECT items FROM returned AS alias`.
fn query(target: &Target, items: Vec<SelectItem>) -> Result<Query, SqlError> {
    let sql = format!("SELECT 1 FROM \"{RETURNED}\" AS {}", quote_ident(&target.alias));
    let mut query = parse::query(&sql)?;
    if let SetExpr::Select(select) = &mut *query.body {
        select.projection = items;
    }
    Ok(query)
}

fn images(target: &Target, rows: &[Changed]) -> Result<MemTable, SqlError> {
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
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let columns = batch.columns().to_vec();
    let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)
        .map_err(|error| SqlError::internal(error.to_string()))?;
    MemTable::try_new(schema, vec![vec![batch]]).map_err(errors::of_datafusion)
}

/// The plan of a RETURNING list, for its columns.
pub fn plan(
    session: &mut ClientSession,
    target: &Target,
    items: Vec<SelectItem>,
    types: &BTreeMap<usize, u32>,
) -> Result<LogicalPlan, SqlError> {
    let state = session.describing();
    let provider: Arc<dyn TableProvider> = Arc::new(images(target, &[])?);
    session.plan(&state, query(target, items)?, vec![(RETURNED, provider)], types)
}

/// The rows of RETURNING.
pub async fn respond(
    session: &mut ClientSession,
    target: &Target,
    items: Vec<SelectItem>,
    rows: &[Changed],
    tag: CommandTag,
    cancel: &Cancel,
) -> Result<Response, SqlError> {
    let context = session.statement_context(cancel).await?;
    let state = session.state(context);
    let provider: Arc<dyn TableProvider> = Arc::new(images(target, rows)?);
    let query = query(target, items)?;
    let plan = session.plan(&state, query, vec![(RETURNED, provider)], &BTreeMap::new())?;
    let columns = planner::result_columns(&plan);
    let batches = select::start(&plan, &state).await?;
    // The statement is done whether or not the client takes its rows: nothing waits for it.
    let batches: Vec<RecordBatch> = batches.try_collect().await.map_err(errors::of_datafusion)?;
    Ok(Response::Rows(RowsResponse {
        columns,
        formats: Formats::TEXT,
        pending: None,
        batches: futures::stream::iter(batches.into_iter().map(Ok)).boxed(),
        tag,
    }))
}

/// Where a parameter stands alone for a column's value, it has the column's type.
pub fn note_parameter(expr: &Expr, column: &Column, types: &mut BTreeMap<usize, u32>) {
    if let Some(name) = placeholder(expr)
        && let Some(at) = name.strip_prefix('$').and_then(|digits| digits.parse().ok())
    {
        types.entry(at).or_insert(oid::of(&column.data_type).oid);
    }
}
