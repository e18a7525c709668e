//! A query from its syntax tree to an executable plan.

use super::apply;
use super::compute;
use super::context::PlanContext;
use super::errors;
pub use super::interrupt::interruptible;
use super::result_types;
use super::rules::{
    any_of_array, calls, common_type, parameter_types, recursive_types, scalar_subquery,
    typed_json, value_order,
};
use crate::bind::aliases::Aliases;
use crate::bind::{
    as_of, expanded_rows, function_values, join_subqueries, limits, membership, multiset, names,
    order_by, ordered_sets, recursion, rewrite, row_values, set_returning, table_functions,
    tableoid, ties, timestamp, using, values, versions, whole_rows, windows,
};
use crate::error::SqlError;
use crate::parse::{self, supported};
use crate::scan::provider::TableSource;
use crate::scan::statement::StatementContext;
use crate::session::response::ResultColumn;
use arrow::datatypes::FieldRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::execution::{SessionState, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::analyzer::AnalyzerRule;
use datafusion::optimizer::analyzer::function_rewrite::ApplyFunctionRewrites;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream, execute_stream};
use datafusion::sql::planner::{NullOrdering, ParserOptions, PlannerContext, SqlToRel};
use datafusion::sql::sqlparser::ast::{Query, Statement};
use std::sync::Arc;
use terrane_client::blocking;
use terrane_client::expr::ranges_of;
use terrane_client::ids::StorageId;
use terrane_client::read::KeyRange;

fn options() -> ParserOptions {
    ParserOptions::new()
        .with_parse_float_as_decimal(true)
        .with_enable_ident_normalization(true)
        .with_map_string_types_to_utf8view(true)
        .with_default_null_ordering(NullOrdering::NullsMax)
}

/// Plans a query. `parameters` are the types of `$1`, `$2`, … as far as they are known.
pub fn plan_query(
    mut query: Query,
    context: &PlanContext<'_>,
    parameters: Vec<Option<FieldRef>>,
) -> Result<LogicalPlan, SqlError> {
    supported::check(&query)?;
    order_by::step_aside(&mut query, true)?;
    planned(query, context, parameters)
}

fn planned(
    mut query: Query,
    context: &PlanContext<'_>,
    parameters: Vec<Option<FieldRef>>,
) -> Result<LogicalPlan, SqlError> {
    as_of::bind(&mut query, |expr| super::as_of::value(expr, context, &parameters))?;
    versions::bind(&mut query, |expr| super::as_of::value(expr, context, &parameters))?;
    timestamp::provide(&mut query, &|name| context.columns_of(name))?;
    tableoid::provide(&mut query)?;
    recursion::check(&mut query)?;
    ties::expand(&mut query)?;
    limits::of_fetch(&mut query)?;
    multiset::rewrite(&mut query)?;
    windows::complete(&mut query)?;
    expanded_rows::spell_out(&mut query)?;
    names::name_outputs(&mut query);
    table_functions::name_columns(&mut query);
    function_values::spell_out(&mut query, &|name| context.columns_of(name))?;
    using::resolve(&mut query, &|name| context.columns_of(name))?;
    join_subqueries::move_out(&mut query)?;
    membership::rewrite(&mut query)?;
    row_values::compare(&mut query)?;
    whole_rows::spell_out(&mut query, &|name| context.columns_of(name))?;
    ordered_sets::spell_out(&mut query)?;
    set_returning::expand(&mut query)?;
    rewrite::rewrite(&mut query)?;
    values::unify(&mut query);
    let aliases = Aliases::of(&query);
    let mut planner = PlannerContext::new().with_prepare_param_data_types(parameters);
    let plan = SqlToRel::new_with_options(context, options())
        .sql_statement_to_plan_with_context(Statement::Query(Box::new(query)), &mut planner)
        .map_err(|error| aliases.explain(errors::of_datafusion(error)))?;
    let plan = parameter_types::type_them(plan).map_err(errors::of_datafusion)?;
    with_types(plan, context.state())
}

/// Finds the types that the branches of CASE, UNION and VALUES have in common: before, a plan has those of
/// the first. A plan whose parameters are not all typed waits for their values.
fn with_types(plan: LogicalPlan, state: &SessionState) -> Result<LogicalPlan, SqlError> {
    let parameters = plan.get_parameter_fields().map_err(errors::of_datafusion)?;
    if parameters.values().any(Option::is_none) {
        return Ok(plan);
    }
    calls::check(&plan).map_err(errors::of_datafusion)?;
    recursive_types::check(&plan).map_err(errors::of_datafusion)?;
    let plan = any_of_array::with_nulls(plan).map_err(errors::of_datafusion)?;
    let plan = scalar_subquery::make_nullable(plan).map_err(errors::of_datafusion)?;
    let plan = common_type::check(plan).map_err(errors::of_datafusion)?;
    let plan = typed_json::say(plan).map_err(errors::of_datafusion)?;
    let plan = value_order::order_windows(plan).map_err(errors::of_datafusion)?;
    let analyzer = state.analyzer();
    let rewrites = ApplyFunctionRewrites::new(analyzer.function_rewrites.clone());
    let mut plan = rewrites.analyze(plan, state.config_options()).map_err(errors::of_datafusion)?;
    // Not execute_and_check: it refuses the subqueries that are run row by row.
    for rule in &analyzer.rules {
        plan = rule.analyze(plan, state.config_options()).map_err(errors::of_datafusion)?;
    }
    Ok(plan)
}

/// Plans a query given as text: a view's.
pub fn plan_text(sql: &str, context: &PlanContext<'_>) -> Result<LogicalPlan, SqlError> {
    let mut query = parse::query(sql)?;
    supported::check(&query)?;
    order_by::step_aside(&mut query, false)?;
    planned(query, context, Vec::new())
}

/// The columns a plan answers, as the client is told.
pub fn result_columns(plan: &LogicalPlan) -> Arc<[ResultColumn]> {
    let column = |(at, field): (usize, &FieldRef)| ResultColumn {
        name: names::shown(field.name()).to_owned(),
        wire_type: result_types::of_column(plan, at),
        table_oid: 0,
        attnum: 0,
    };
    plan.schema().fields().iter().enumerate().map(column).collect()
}

/// Optimises a plan, once, and makes it executable.
pub async fn physical(
    plan: &LogicalPlan,
    state: &SessionState,
) -> Result<Arc<dyn ExecutionPlan>, SqlError> {
    if !apply::has_correlated(plan) {
        return direct(plan, state).await;
    }
    let plan = &apply::unfold(plan.clone()).map_err(errors::of_datafusion)?;
    match direct(plan, state).await {
        Err(_) if apply::has_correlated(plan) => {
            let lowered = apply::lower(plan.clone(), state).map_err(errors::of_datafusion)?;
            direct(&lowered, state).await
        }
        planned => planned,
    }
}

async fn direct(
    plan: &LogicalPlan,
    state: &SessionState,
) -> Result<Arc<dyn ExecutionPlan>, SqlError> {
    let optimized = blocking::in_place(|| state.optimize(plan)).map_err(errors::of_datafusion)?;
    physical_of_optimized(&optimized, state).await
}

/// Makes a plan executable that is optimised already.
pub async fn physical_of_optimized(
    optimized: &LogicalPlan,
    state: &SessionState,
) -> Result<Arc<dyn ExecutionPlan>, SqlError> {
    let threads = scan_threads(optimized, state).await?;
    let spread;
    let state = match threads {
        1 => state,
        threads => {
            spread = with_threads(state, threads);
            &spread
        }
    };
    // Not SessionState::create_physical_plan: it optimises again.
    state
        .query_planner()
        .create_physical_plan(optimized, state)
        .await
        .map_err(errors::of_datafusion)
}

fn with_threads(state: &SessionState, threads: usize) -> SessionState {
    let mut state = state.clone();
    state.config_mut().options_mut().execution.target_partitions = threads;
    state
}

/// How many threads read at once: more than one where the plan reads all of a large table.
async fn scan_threads(plan: &LogicalPlan, state: &SessionState) -> Result<usize, SqlError> {
    let Some(context) = state.config().get_extension::<StatementContext>() else { return Ok(1) };
    let mut tables: Vec<StorageId> = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(provider) = source_as_provider(&scan.source)
            && let Some(source) = provider.downcast_ref::<TableSource>()
        {
            let ranges = ranges_of(source.table(), &source.predicates(&scan.filters));
            if ranges.contains(&KeyRange::all()) && scan.fetch.is_none() {
                tables.push(source.table().storage);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(errors::of_datafusion)?;
    for table in tables {
        let learned = context.splits.learn(&*context.tablets, table).await;
        if learned.map_err(errors::of_tablet)? {
            return Ok(context.splits.pieces_max());
        }
    }
    Ok(1)
}

/// Starts a plan, so that a cancel request can end it.
pub fn execute(
    plan: Arc<dyn ExecutionPlan>,
    task: Arc<TaskContext>,
) -> Result<SendableRecordBatchStream, SqlError> {
    let plan = interruptible(plan, &task).map_err(errors::of_datafusion)?;
    execute_as_it_is(plan, task)
}

/// Starts a plan where its caller computes already: a part of a running query.
pub fn execute_here(
    plan: Arc<dyn ExecutionPlan>,
    task: Arc<TaskContext>,
) -> Result<SendableRecordBatchStream, SqlError> {
    let plan = interruptible(plan, &task).map_err(errors::of_datafusion)?;
    execute_stream(plan, task).map_err(errors::of_datafusion)
}

/// Starts a plan that was made [`interruptible`] already.
pub fn execute_as_it_is(
    plan: Arc<dyn ExecutionPlan>,
    task: Arc<TaskContext>,
) -> Result<SendableRecordBatchStream, SqlError> {
    let statement = task.session_config().get_extension::<StatementContext>();
    let runtime = statement.as_ref().and_then(|statement| statement.compute.as_ref());
    let started = match runtime {
        Some(runtime) => compute::on(runtime, plan, task),
        None => execute_stream(plan, task),
    };
    started.map_err(errors::of_datafusion)
}
