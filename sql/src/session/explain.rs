//! EXPLAIN [ANALYZE] of queries and of statements that change rows.
//!
//! The plan is DataFusion's. A statement that changes rows shows the plan that finds them under a line that says
//! what becomes of them; with ANALYZE it is run like any other, in the block that is open.

use super::cancel::Cancel;
use super::client::ClientSession;
use super::format::Formats;
use super::response::{CommandTag, Response, ResultColumn, RowsResponse};
use super::{command, modify};
use crate::bind::ddl::DdlStatement;
use crate::error::SqlError;
use crate::parse::Ast;
use crate::parse::command::{Command, ExplainOptions};
use crate::plan::{errors, planner};
use crate::types::oid;
use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{DataType as ArrowType, Field, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::physical_plan::{ExecutionPlan, displayable};
use datafusion::sql::sqlparser::ast::{Query, Statement};
use futures::{StreamExt, TryStreamExt};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The one column.
pub fn columns(json: bool) -> Arc<[ResultColumn]> {
    Arc::new([ResultColumn {
        name: "QUERY PLAN".to_owned(),
        wire_type: oid::wire(if json { oid::JSON } else { oid::TEXT }, -1),
        table_oid: 0,
        attnum: 0,
    }])
}

/// What is explained: rows found, and what becomes of them.
struct Explained {
    /// `Update on t`; `None` for a query.
    change: Option<String>,
    plan: Option<Arc<dyn ExecutionPlan>>,
    /// Rows answered or changed.
    rows: Option<u64>,
}

/// EXPLAIN.
pub async fn run(
    session: &mut ClientSession,
    options: ExplainOptions,
    statement: Ast,
    cancel: &Cancel,
) -> Result<Response, SqlError> {
    let mut statement = statement;
    if let Ast::Command(inner) = statement {
        statement = match *inner {
            Command::Execute { name, arguments } => {
                let bound = command::bound(session, &name, arguments, cancel).await?;
                bound.map(|bound| bound.ast).ok_or_else(nothing_to_explain)?
            }
            Command::Declare(declare) => Ast::Sql(Box::new(Statement::Query(declare.query))),
            _ => return Err(nothing_to_explain()),
        };
    }
    if let Ast::Ddl(inner) = statement {
        statement = match *inner {
            DdlStatement::CreateTableAs(create) if !options.analyze => {
                Ast::Sql(Box::new(Statement::Query(create.query)))
            }
            _ => return Err(nothing_to_explain()),
        };
    }
    let Ast::Sql(statement) = statement else { return Err(nothing_to_explain()) };
    let explained = match *statement {
        Statement::Query(query) if !modify::with::changes_rows(&query) => {
            of_query(session, *query, options, cancel).await?
        }
        other => of_change(session, other, options, cancel).await?,
    };
    let lines = match options.json {
        true => vec![to_json(&explained, options)],
        false => to_text(&explained, options),
    };
    respond(lines, options.json)
}

fn nothing_to_explain() -> SqlError {
    SqlError::unsupported("EXPLAIN of this statement is not supported")
}

async fn of_query(
    session: &mut ClientSession,
    query: Query,
    options: ExplainOptions,
    cancel: &Cancel,
) -> Result<Explained, SqlError> {
    let context = session.statement_context(cancel).await?;
    let state = session.state(context);
    let plan = session.plan(&state, query, Vec::new(), &BTreeMap::new())?;
    let mut physical = planner::physical(&plan, &state).await?;
    let mut rows = None;
    if options.analyze {
        physical =
            planner::interruptible(physical, &state.task_ctx()).map_err(errors::of_datafusion)?;
        let mut batches = planner::execute_as_it_is(Arc::clone(&physical), state.task_ctx())?;
        let mut count = 0;
        while let Some(batch) = batches.try_next().await.map_err(errors::of_datafusion)? {
            cancel.check()?;
            count += batch.num_rows() as u64;
        }
        rows = Some(count);
    }
    Ok(Explained { change: None, plan: Some(physical), rows })
}

async fn of_change(
    session: &mut ClientSession,
    statement: Statement,
    options: ExplainOptions,
    cancel: &Cancel,
) -> Result<Explained, SqlError> {
    let (change, source) = modify::explained(session, &statement)?;
    let plan = match source {
        None => None,
        Some((query, bound)) => {
            let context = session.statement_context(cancel).await?;
            let state = session.state(context);
            let plan = session.plan(&state, query, bound, &BTreeMap::new())?;
            Some(planner::physical(&plan, &state).await?)
        }
    };
    let rows = match options.analyze {
        false => None,
        true => {
            match Box::pin(super::statement::run_sql(session, statement, None, cancel)).await? {
                Response::Complete(CommandTag::Count(_, rows) | CommandTag::Insert(rows)) => {
                    Some(rows)
                }
                Response::Rows(rows) => match rows.tag {
                    CommandTag::Count(_, rows) | CommandTag::Insert(rows) => Some(rows),
                    _ => None,
                },
                _ => None,
            }
        }
    };
    Ok(Explained { change: Some(change), plan, rows })
}

fn to_text(explained: &Explained, options: ExplainOptions) -> Vec<String> {
    let mut lines = Vec::new();
    let indent = match &explained.change {
        None => "",
        Some(change) => {
            lines.push(change.clone());
            "  "
        }
    };
    if let Some(plan) = &explained.plan {
        let text = match options.analyze && explained.change.is_none() {
            true => {
                DisplayableExecutionPlan::with_metrics(&**plan).indent(options.verbose).to_string()
            }
            false => displayable(&**plan).indent(options.verbose).to_string(),
        };
        lines.extend(text.lines().map(|line| format!("{indent}{line}")));
    }
    if let Some(rows) = explained.rows {
        lines.push(format!("Rows: {rows}"));
    }
    lines
}

fn to_json(explained: &Explained, options: ExplainOptions) -> String {
    let was_run = options.analyze && explained.change.is_none();
    let mut plan = explained.plan.as_ref().map_or(Json::Null, |plan| node(plan, was_run));
    if let Some(change) = &explained.change {
        let children = if plan.is_null() { Vec::new() } else { vec![plan] };
        plan = json!({ "Node Type": "ModifyTable", "Details": change, "Plans": children });
    }
    let mut whole = json!({ "Plan": plan });
    if let Some(rows) = explained.rows {
        whole["Actual Rows"] = json!(rows);
    }
    serde_json::to_string_pretty(&json!([whole])).unwrap_or_default()
}

fn node(plan: &Arc<dyn ExecutionPlan>, was_run: bool) -> Json {
    let children = plan.children().into_iter().map(|child| node(child, was_run));
    let children: Vec<Json> = children.collect();
    let mut node = json!({
        "Node Type": plan.name(),
        "Details": displayable(&**plan).one_line().to_string().trim_end(),
    });
    if let Some(metrics) = plan.metrics().filter(|_| was_run) {
        let metrics = metrics.aggregate_by_name().timestamps_removed();
        let values = metrics.iter().map(|metric| metric.value());
        node["Metrics"] =
            values.map(|value| (value.name().to_owned(), json!(value.as_usize()))).collect();
    }
    if !children.is_empty() {
        node["Plans"] = Json::Array(children);
    }
    node
}

fn respond(lines: Vec<String>, json: bool) -> Result<Response, SqlError> {
    let column: ArrayRef = Arc::new(StringArray::from(lines));
    let schema = Schema::new(vec![Field::new("QUERY PLAN", ArrowType::Utf8, false)]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![column])
        .map_err(|error| SqlError::internal(error.to_string()))?;
    Ok(Response::Rows(RowsResponse {
        columns: columns(json),
        formats: Formats::TEXT,
        pending: Some(batch),
        batches: futures::stream::empty().boxed(),
        tag: CommandTag::Plain("EXPLAIN"),
    }))
}
