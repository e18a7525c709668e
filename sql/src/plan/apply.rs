//! Correlated subqueries one outer row at a time, where DataFusion cannot turn them into joins.
//!
//! DataFusion joins a correlated subquery to the outer query if it aggregates and is correlated by
//! equalities. Everything else is lowered here to a call of a function of the outer columns it mentions:
//! the function puts their values in the subquery's plan, runs it, and remembers the answer for rows of
//! the same values. Slow for many outer rows, right for any; [`planner`](super::planner) comes here only
//! when a plan was refused. A LATERAL relation in FROM becomes a function that answers a list of rows, where
//! [`unfold`] has not made it a plan over the rows to its left.

mod aggregate;
mod free;
mod held;
mod lateral;
mod substitute;
mod unfold;
mod window;

pub use unfold::unfold;

use super::errors::{self, external};
use super::planner;
use crate::error::{SqlError, SqlState};
use crate::scan::statement::StatementContext;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::logical_expr::async_udf::{AsyncScalarUDF, AsyncScalarUDFImpl};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    BinaryExpr, Case, ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, Operator,
    ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Sort, Subquery, TypeSignature,
    Volatility,
};
use futures::TryStreamExt;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// True where a plan has a subquery that mentions outer columns.
pub fn has_correlated(plan: &LogicalPlan) -> bool {
    let mut found = false;
    let walked = plan.apply_with_subqueries(|node| {
        found |= lateral::is_lateral(node);
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                found |= subquery_of(part).is_some_and(is_correlated);
                Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
            })
        })?;
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked.is_ok() && found
}

fn subquery_of(expr: &Expr) -> Option<&Subquery> {
    match expr {
        Expr::ScalarSubquery(subquery) => Some(subquery),
        Expr::Exists(exists) => Some(&exists.subquery),
        Expr::InSubquery(within) => Some(&within.subquery),
        Expr::SetComparison(comparison) => Some(&comparison.subquery),
        _ => None,
    }
}

/// The plan with every correlated subquery as a function call.
pub fn lower(plan: LogicalPlan, state: &SessionState) -> Result<LogicalPlan> {
    let mut lowering = Lowering { state: Arc::new(state.clone()), made: 0, guard: None };
    lowering.plan(plan)
}

struct Lowering {
    state: Arc<SessionState>,
    made: usize,
    /// The condition of the branch that is being lowered: its calls run for rows that meet it.
    guard: Option<Expr>,
}

impl Lowering {
    fn plan(&mut self, plan: LogicalPlan) -> Result<LogicalPlan> {
        // First, and from above: what a LATERAL relation holds is planned when its outer row is known.
        let plan = plan.transform_down(|node| match node {
            LogicalPlan::Join(join) if lateral::looks_left(&join) => {
                self.lateral_join(join).map(Transformed::yes)
            }
            node => Ok(Transformed::no(node)),
        })?;
        plan.data
            .transform_up(|node| match node {
                LogicalPlan::Filter(filter) => {
                    let (predicate, input) = (filter.predicate.clone(), Arc::clone(&filter.input));
                    let before = self.made;
                    let schema = Arc::clone(input.schema());
                    let parts = split_conjunction_owned(predicate);
                    let mut lowered = Vec::new();
                    let mut plain = Vec::new();
                    for part in parts {
                        let already = self.made;
                        let part = self.expr(part, &schema)?;
                        if self.made > already { lowered.push(part) } else { plain.push(part) }
                    }
                    if self.made == before {
                        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
                    }
                    filtered(input, plain, lowered).map(Transformed::yes)
                }
                LogicalPlan::Sort(sort) => self.sort(sort),
                LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
                LogicalPlan::Window(window) => self.window(window),
                node => {
                    let schema = merged(&node);
                    let names = NamePreserver::new(&node);
                    node.map_expressions(|expr| {
                        let name = names.save(&expr);
                        let before = self.made;
                        let lowered = self.expr(expr, &schema)?;
                        Ok(match self.made == before {
                            true => Transformed::no(lowered),
                            false => Transformed::yes(name.restore(lowered)),
                        })
                    })?
                    .map_data(|node| node.recompute_schema())
                }
            })
            .map(|done| done.data)
    }

    /// Keys that are computed by calls become columns first.
    fn sort(&mut self, mut sort: Sort) -> Result<Transformed<LogicalPlan>> {
        let columns: Vec<Expr> =
            sort.input.schema().columns().into_iter().map(Expr::Column).collect();
        let schema = Arc::clone(sort.input.schema());
        let mut computed = columns.clone();
        for (at, key) in sort.expr.iter_mut().enumerate() {
            let before = self.made;
            let lowered = self.expr(key.expr.clone(), &schema)?;
            if self.made == before {
                continue;
            }
            let name = format!("__terrane_key_{at}");
            key.expr = Expr::Column(Column::new_unqualified(&name));
            computed.push(lowered.alias(name));
        }
        if computed.len() == columns.len() {
            return Ok(Transformed::no(LogicalPlan::Sort(sort)));
        }
        let builder = LogicalPlanBuilder::from(Arc::clone(&sort.input)).project(computed)?;
        let plan = builder.sort_with_limit(sort.expr, sort.fetch)?.project(columns)?.build()?;
        Ok(Transformed::yes(plan))
    }

    /// Replaces the correlated subqueries of an expression over `schema`.
    fn expr(&mut self, expr: Expr, schema: &DFSchema) -> Result<Expr> {
        let expr = expr.transform_down(|part| match part {
            Expr::Case(case) => self.first_branch(case, schema),
            other => Ok(Transformed::no(other)),
        })?;
        expr.data
            .transform_up(|part| {
                Ok(match part {
                    Expr::ScalarSubquery(subquery) if is_correlated(&subquery) => {
                        Transformed::yes(self.call(Kind::Scalar, None, subquery, schema)?)
                    }
                    Expr::Exists(Exists { subquery, negated }) if is_correlated(&subquery) => {
                        let call = self.call(Kind::Exists, None, subquery, schema)?;
                        Transformed::yes(if negated { !call } else { call })
                    }
                    Expr::InSubquery(InSubquery { expr, subquery, negated })
                        if is_correlated(&subquery) =>
                    {
                        let call = self.call(Kind::In, Some(*expr), subquery, schema)?;
                        Transformed::yes(if negated { !call } else { call })
                    }
                    Expr::ScalarSubquery(mut subquery) => {
                        subquery.subquery = Arc::new(self.within(&subquery.subquery)?);
                        Transformed::no(Expr::ScalarSubquery(subquery))
                    }
                    Expr::Exists(mut exists) => {
                        let inner = self.within(&exists.subquery.subquery)?;
                        exists.subquery.subquery = Arc::new(inner);
                        Transformed::no(Expr::Exists(exists))
                    }
                    Expr::InSubquery(mut within) => {
                        let inner = self.within(&within.subquery.subquery)?;
                        within.subquery.subquery = Arc::new(inner);
                        Transformed::no(Expr::InSubquery(within))
                    }
                    other => Transformed::no(other),
                })
            })
            .map(|done| done.data)
    }

    /// Lowers the subqueries of CASE's first THEN, to run for the rows of its WHEN only: PostgreSQL evaluates no
    /// more, and they are what takes the time.
    fn first_branch(&mut self, mut case: Case, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let plain = self.guard.is_none() && case.expr.is_none();
        if let Some((when, then)) = case.when_then_expr.first_mut()
            && plain
            && !when.is_volatile()
            && !when.exists(|part| Ok(subquery_of(part).is_some()))?
            && then.exists(|part| Ok(subquery_of(part).is_some_and(is_correlated)))?
        {
            self.guard = Some((**when).clone());
            let lowered = self.expr((**then).clone(), schema);
            self.guard = None;
            **then = lowered?;
            return Ok(Transformed::yes(Expr::Case(case)));
        }
        Ok(Transformed::no(Expr::Case(case)))
    }

    /// Lowers a subquery's own plan, whose rows no condition out here is about.
    fn within(&mut self, plan: &LogicalPlan) -> Result<LogicalPlan> {
        let guard = self.guard.take();
        let lowered = self.plan(plan.clone());
        self.guard = guard;
        lowered
    }

    fn call(
        &mut self,
        kind: Kind,
        value: Option<Expr>,
        subquery: Subquery,
        schema: &DFSchema,
    ) -> Result<Expr> {
        self.made += 1;
        let field = match kind {
            Kind::Scalar => {
                let field = Arc::clone(&subquery.subquery.schema().fields()[0]);
                Arc::new(field.as_ref().clone().with_nullable(true))
            }
            Kind::Exists | Kind::In => Arc::new(Field::new("found", DataType::Boolean, true)),
            Kind::Rows => lateral::rows_field(&subquery.subquery),
        };
        // What does not resolve here belongs to a query further out.
        let mut columns = free::columns(&subquery.subquery)?;
        columns.retain(|column| schema.has_column(column));
        let mut args: Vec<Expr> =
            value.into_iter().chain(columns.iter().cloned().map(Expr::Column)).collect();
        args.extend(self.guard.clone());
        let anything = vec![TypeSignature::VariadicAny, TypeSignature::Nullary];
        let apply = Apply {
            name: format!("subquery_{}", self.made),
            signature: Signature::one_of(anything, Volatility::Volatile),
            kind,
            plan: subquery.subquery,
            columns,
            guarded: self.guard.is_some(),
            field,
            state: Arc::clone(&self.state),
        };
        Ok(AsyncScalarUDF::new(Arc::new(apply)).into_scalar_udf().call(args))
    }
}

/// True where a subquery, or one within it, mentions columns of queries outside of it.
fn is_correlated(subquery: &Subquery) -> bool {
    !subquery.outer_ref_columns.is_empty()
        || free::columns(&subquery.subquery).is_ok_and(|columns| !columns.is_empty())
}

fn merged(node: &LogicalPlan) -> DFSchema {
    let mut schema = DFSchema::empty();
    for input in node.inputs() {
        schema.merge(input.schema());
    }
    schema
}

/// The rows that `plain` lets through and then `lowered`, whose calls run on no others.
fn filtered(input: Arc<LogicalPlan>, plain: Vec<Expr>, lowered: Vec<Expr>) -> Result<LogicalPlan> {
    let columns: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).collect();
    let mut builder = LogicalPlanBuilder::from(input);
    if let Some(predicate) = conjunction(plain) {
        builder = builder.filter(predicate)?;
    }
    let predicate = conjunction(lowered)
        .ok_or_else(|| DataFusionError::Internal("a filter without a predicate".to_owned()))?;
    let kept = "__terrane_kept";
    let mut computed = columns.clone();
    computed.push(predicate.alias(kept));
    builder
        .project(computed)?
        .filter(Expr::Column(Column::new_unqualified(kept)))?
        .project(columns)?
        .build()
}

/// What a subquery is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Scalar,
    Exists,
    /// The first argument is the value looked for.
    In,
    /// All rows, as a list.
    Rows,
}

/// A correlated subquery as a function of the outer columns it mentions.
#[derive(Debug)]
struct Apply {
    name: String,
    signature: Signature,
    kind: Kind,
    plan: Arc<LogicalPlan>,
    columns: Vec<Column>,
    /// The last argument says whether the answer is wanted.
    guarded: bool,
    field: FieldRef,
    state: Arc<SessionState>,
}

impl PartialEq for Apply {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.plan, &other.plan)
    }
}

impl Eq for Apply {}

impl Hash for Apply {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Apply {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.field.data_type().clone())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::clone(&self.field))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(DataFusionError::Internal("a subquery is run asynchronously".to_owned()))
    }
}

#[async_trait]
impl AsyncScalarUDFImpl for Apply {
    async fn invoke_async_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let context = self.state.config().get_extension::<StatementContext>();
        let arrays: Vec<ArrayRef> =
            args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<_>>()?;
        let mut known: HashMap<Vec<ScalarValue>, ScalarValue> = HashMap::new();
        let mut answers = Vec::with_capacity(rows);
        for row in 0..rows {
            let mut values: Vec<ScalarValue> = arrays
                .iter()
                .map(|array| ScalarValue::try_from_array(array, row))
                .collect::<Result<_>>()?;
            if self.guarded && values.pop() != Some(ScalarValue::Boolean(Some(true))) {
                answers.push(ScalarValue::try_from(self.field.data_type())?);
                continue;
            }
            let answer = match known.get(&values) {
                Some(answer) => answer.clone(),
                None => {
                    if let Some(context) = &context {
                        context.cancel.check().map_err(external)?;
                    }
                    let answer = self.answer(&values).await?;
                    known.insert(values, answer.clone());
                    answer
                }
            };
            answers.push(answer);
        }
        if answers.is_empty() {
            let empty = arrow::array::new_empty_array(self.field.data_type());
            return Ok(ColumnarValue::Array(empty));
        }
        Ok(ColumnarValue::Array(ScalarValue::iter_to_array(answers)?))
    }
}

impl Apply {
    /// The answer for one outer row.
    async fn answer(&self, values: &[ScalarValue]) -> Result<ScalarValue> {
        let (searched, outer) = match (self.kind, values.split_first()) {
            (Kind::In, Some((first, rest))) => (Some(first), rest),
            _ => (None, values),
        };
        let outer: HashMap<Column, ScalarValue> =
            self.columns.iter().cloned().zip(outer.iter().cloned()).collect();
        let plan = substitute::outer_columns((*self.plan).clone(), &outer)?;
        match self.kind {
            Kind::Scalar => self.single(plan).await,
            Kind::Exists => {
                let first = LogicalPlanBuilder::from(plan).limit(0, Some(1))?.build()?;
                let found = self.run(&first).await?;
                let any = found.iter().any(|column| !column.is_empty());
                Ok(ScalarValue::Boolean(Some(any)))
            }
            Kind::In => {
                let searched = searched.cloned().unwrap_or(ScalarValue::Null);
                self.contains(plan, searched).await
            }
            Kind::Rows => lateral::rows(self.batches(&plan).await?, &self.field),
        }
    }

    /// The first column of a query's batches.
    async fn run(&self, plan: &LogicalPlan) -> Result<Vec<ArrayRef>> {
        let batches = self.batches(plan).await?;
        batches
            .into_iter()
            .map(|batch| match batch.columns().first() {
                Some(column) => Ok(Arc::clone(column)),
                // EXISTS (SELECT FROM …) has no columns, only rows.
                None => Ok(arrow::array::new_null_array(&DataType::Null, batch.num_rows())),
            })
            .collect()
    }

    async fn batches(&self, plan: &LogicalPlan) -> Result<Vec<RecordBatch>> {
        let physical = planner::physical(plan, &self.state).await.map_err(external)?;
        let stream = planner::execute_here(physical, self.state.task_ctx()).map_err(external)?;
        stream.try_collect().await
    }

    async fn single(&self, plan: LogicalPlan) -> Result<ScalarValue> {
        // Two rows are enough to know that there is more than one.
        let plan = LogicalPlanBuilder::from(plan).limit(0, Some(2))?.build()?;
        let columns = self.run(&plan).await?;
        let mut rows =
            columns.iter().flat_map(|column| (0..column.len()).map(move |row| (column, row)));
        let Some((column, row)) = rows.next() else {
            return ScalarValue::try_from(self.field.data_type());
        };
        if rows.next().is_some() {
            return Err(errors::external(SqlError::new(
                SqlState::CARDINALITY_VIOLATION,
                "more than one row returned by a subquery used as an expression",
            )));
        }
        ScalarValue::try_from_array(column, row)?.cast_to(self.field.data_type())
    }

    /// `searched IN (plan)`, with SQL's NULL.
    async fn contains(&self, plan: LogicalPlan, searched: ScalarValue) -> Result<ScalarValue> {
        let column = plan.schema().columns().into_iter().next().ok_or_else(|| {
            DataFusionError::Internal("IN over a query without columns".to_owned())
        })?;
        let equal = Expr::BinaryExpr(BinaryExpr::new(
            Box::new(Expr::Literal(searched, None)),
            Operator::Eq,
            Box::new(Expr::Column(column)),
        ));
        let plan = LogicalPlanBuilder::from(plan).project([equal.alias("equal")])?.build()?;
        let mut unknown = false;
        for column in self.run(&plan).await? {
            let found = column.as_boolean();
            if found.true_count() > 0 {
                return Ok(ScalarValue::Boolean(Some(true)));
            }
            unknown |= found.null_count() > 0;
        }
        Ok(ScalarValue::Boolean(if unknown { None } else { Some(false) }))
    }
}
