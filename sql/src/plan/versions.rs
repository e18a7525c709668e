//! Plans references of tables that ask for versions, or for `_timestamp`: [`crate::bind::versions`] has bound them.

use super::errors;
use super::relations::{EXCLUDED, RETURNED};
use crate::bind::as_of::BoundTime;
use crate::bind::versions::{Bound, Kind, Time};
use crate::error::{SqlError, SqlState};
use crate::scan::as_of::AsOf;
use crate::scan::provider::TableSource;
use crate::scan::versions::TIMESTAMP_COLUMN;
use datafusion::common::{DFSchema, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::Expr;
use std::sync::Arc;
use terrane_client::ids::CommitTs;
use terrane_client::read::{Selection, Versions};

/// The scan of a table, which `shown` names.
pub(super) fn scan(
    table: &TableSource,
    shown: &str,
    bound: Bound,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    if bound.kind != Kind::Dated && table.has_column(TIMESTAMP_COLUMN) {
        let message = format!("table \"{shown}\" has a column named \"{TIMESTAMP_COLUMN}\"");
        return Err(errors::external(SqlError::new(SqlState::DUPLICATE_COLUMN, message)));
    }
    let mut parameters: Vec<Expr> = Vec::new();
    let mut time = |time: Time| match time {
        Time::Any => None,
        Time::At(at) => Some(at),
        // Such a plan is not run: it is only there for what it says of the parameters' types.
        Time::Parameters(expr) => {
            parameters.push(expr);
            Some(CommitTs::ABSENT)
        }
    };
    let (after, before) = (time(bound.after), time(bound.before));
    let selection = Selection { latest_n: bound.latest_n, after, before };
    let versions = match bound.kind {
        Kind::Dated => Versions::Newest,
        Kind::Rows => Versions::Rows(selection),
        Kind::Cells => Versions::Cells(selection),
    };
    let mut source = table.showing(versions);
    match bound.as_of {
        None => {}
        Some(BoundTime::Time(at)) => source = source.as_of(AsOf::Time(at)),
        Some(BoundTime::Parameters(expr)) => {
            source = source.as_of(AsOf::Parameters);
            parameters.push(expr);
        }
    }
    if !parameters.is_empty() {
        source = source.as_of(AsOf::Parameters);
    }
    // Plans are compared by the names of what they scan.
    let name = TableReference::bare(format!("{shown} with {versions:?} {:?}", source.time()));
    let mut plan = LogicalPlanBuilder::scan(name, provider_as_source(Arc::new(source)), None)?;
    for expr in parameters {
        let expr = context.sql_to_expr(expr, &DFSchema::empty())?;
        plan = plan.filter(expr.is_not_null())?;
    }
    plan.build()
}

/// An error for what has no versions.
pub(super) fn not_a_table(name: &str, kind: Kind) -> DataFusionError {
    let is_image = [RETURNED, EXCLUDED].contains(&name.trim_matches('"'));
    errors::external(match kind {
        Kind::Dated if is_image => SqlError::unsupported(format!(
            "{TIMESTAMP_COLUMN} of a row that a statement writes is not supported"
        ))
        .with_hint("Read it with a SELECT of its own."),
        Kind::Dated => {
            let message = format!("column \"{TIMESTAMP_COLUMN}\" does not exist");
            SqlError::new(SqlState::UNDEFINED_COLUMN, message)
                .with_detail(format!("\"{name}\" is not a table."))
        }
        Kind::Rows | Kind::Cells => {
            let message = format!("\"{name}\" is not a table");
            SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
                .with_detail("Only tables have versions.")
        }
    })
}
