//! LATERAL relations that only unfold and compute what is in the row to their left: `FROM p, each(p.m) AS a`,
//! `unnest(p.tags)`, `generate_series(1, p.n)`, `LATERAL (SELECT p.a + 1 AS b)`.
//!
//! Such a relation reads no rows of its own: it is projections, filters and `unnest` over one row without columns. Put
//! over the left rows instead, which they keep, the same nodes make the join: no row is planned by itself, and rows
//! come out as they are unfolded. [`lateral`](super::lateral) has the rest, one left row at a time.
//!
//! While the nodes are rebuilt, what they compute has names of our own ([`column`]): theirs may be those of columns of
//! the left rows. What they call `outer` are then columns beside them; those of queries further out stay outer.
//!
//! LEFT JOIN keeps a left row that unfolds to nothing, with NULLs. That is right only where nothing above the one
//! `unnest` would make anything else of them, and nothing filters; else it is left to be run row by row.

use super::lateral;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, JoinType, NullHandling, ScalarValue, UnnestOptions};
use datafusion::error::Result;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Expr, Filter, Join, LogicalPlan, LogicalPlanBuilder, Projection, Unnest,
};
use std::sync::Arc;

/// The plan with such joins unfolded.
pub fn unfold(plan: LogicalPlan) -> Result<LogicalPlan> {
    let unfolded = plan.transform_down_with_subqueries(|node| match node {
        LogicalPlan::Join(join) => Ok(match unfolded(&join)? {
            Some(plan) => Transformed::yes(plan),
            None => Transformed::no(LogicalPlan::Join(join)),
        }),
        node => Ok(Transformed::no(node)),
    })?;
    Ok(unfolded.data)
}

/// What a join is, if its right side only unfolds what is in the left.
fn unfolded(join: &Join) -> Result<Option<LogicalPlan>> {
    let is_left = match join.join_type {
        JoinType::Inner => false,
        JoinType::Left => true,
        _ => return Ok(None),
    };
    if !lateral::looks_left(join) {
        return Ok(None);
    }
    let Some(steps) = steps(&join.right)? else { return Ok(None) };
    let is_true = |expr: &Expr| matches!(expr, Expr::Literal(ScalarValue::Boolean(Some(true)), _));
    let condition = join.filter.clone().filter(|condition| !is_true(condition));
    let pairs = join.on.iter().map(|(left, right)| left.clone().eq(right.clone()));
    let condition = conjunction(pairs.chain(condition));
    if is_left && (condition.is_some() || !keeps_nulls(&steps)) {
        return Ok(None);
    }
    let unfolding = Unfolding { left: &join.left, is_left };
    let plan = unfolding.plan(&steps, join.right.schema())?;
    Ok(Some(match condition {
        Some(condition) => LogicalPlanBuilder::from(plan).filter(condition)?.build()?,
        None => plan,
    }))
}

/// A node of the right side that computes something.
enum Step<'a> {
    Projection(&'a Projection),
    Filter(&'a Filter),
    Unnest(&'a Unnest),
}

/// The nodes of a relation from the lowest up, if it is of one row without columns.
fn steps(mut plan: &LogicalPlan) -> Result<Option<Vec<Step<'_>>>> {
    let mut steps = Vec::new();
    loop {
        plan = match plan {
            LogicalPlan::Subquery(subquery) => &subquery.subquery,
            LogicalPlan::SubqueryAlias(alias) => &alias.input,
            LogicalPlan::Projection(projection) => {
                steps.push(Step::Projection(projection));
                &projection.input
            }
            LogicalPlan::Filter(filter) => {
                steps.push(Step::Filter(filter));
                &filter.input
            }
            LogicalPlan::Unnest(unnest) if is_plain(unnest) => {
                steps.push(Step::Unnest(unnest));
                &unnest.input
            }
            LogicalPlan::EmptyRelation(empty)
                if empty.produce_one_row && empty.schema.fields().is_empty() =>
            {
                break;
            }
            _ => return Ok(None),
        };
    }
    // References of theirs to columns out here would have to be renamed.
    let has_subquery = |expr: &Expr| expr.exists(|part| Ok(super::subquery_of(part).is_some()));
    for step in &steps {
        let exprs = match step {
            Step::Projection(projection) => projection.expr.as_slice(),
            Step::Filter(filter) => std::slice::from_ref(&filter.predicate),
            Step::Unnest(_) => &[],
        };
        for expr in exprs {
            if has_subquery(expr)? {
                return Ok(None);
            }
        }
    }
    steps.reverse();
    Ok(Some(steps))
}

/// True where it makes rows of lists, each once.
fn is_plain(unnest: &Unnest) -> bool {
    unnest.struct_type_columns.is_empty()
        && unnest.list_type_columns.iter().all(|(_, list)| list.depth == 1)
        && unnest.dependency_indices.len() == unnest.input.schema().fields().len()
}

/// True where a row whose lists are empty comes out with NULLs only, if the one `unnest` keeps it.
fn keeps_nulls(steps: &[Step<'_>]) -> bool {
    let mut unnests = 0;
    for step in steps {
        match step {
            Step::Filter(_) => return false,
            Step::Unnest(unnest) => {
                unnests += 1;
                let lists = unnest.list_type_columns.len();
                if lists != unnest.input.schema().fields().len() {
                    return false;
                }
            }
            Step::Projection(projection) if unnests > 0 => {
                if !projection.expr.iter().all(is_column) {
                    return false;
                }
            }
            Step::Projection(_) => {}
        }
    }
    unnests == 1
}

/// True for a column, by another name or of another type.
fn is_column(expr: &Expr) -> bool {
    match expr {
        Expr::Column(_) => true,
        Expr::Alias(alias) => is_column(&alias.expr),
        Expr::Cast(cast) => is_column(&cast.expr),
        _ => false,
    }
}

struct Unfolding<'a> {
    left: &'a Arc<LogicalPlan>,
    is_left: bool,
}

impl Unfolding<'_> {
    /// The left rows with what the steps make of them, called as `shown` does.
    fn plan(&self, steps: &[Step<'_>], shown: &DFSchema) -> Result<LogicalPlan> {
        let kept = || self.left.schema().columns().into_iter().map(Expr::Column);
        let mut plan = LogicalPlan::clone(self.left);
        // Our names of the columns that the step before gave.
        let mut known: Vec<Column> = Vec::new();
        for (depth, step) in steps.iter().enumerate() {
            match step {
                Step::Projection(projection) => {
                    let schema = projection.input.schema();
                    let mut exprs: Vec<Expr> = kept().collect();
                    let mut made = Vec::new();
                    for (at, expr) in projection.expr.iter().enumerate() {
                        let name = column(depth, at);
                        // What an alias says of its column's type stays.
                        let (expr, metadata) = match expr.clone() {
                            Expr::Alias(alias) => (*alias.expr, alias.metadata),
                            expr => (expr, None),
                        };
                        let expr = self.rewritten(expr, schema, &known)?;
                        exprs.push(expr.alias_with_metadata(name.name(), metadata));
                        made.push(name);
                    }
                    plan = LogicalPlanBuilder::from(plan).project(exprs)?.build()?;
                    known = made;
                }
                Step::Filter(filter) => {
                    let schema = filter.input.schema();
                    let predicate = self.rewritten(filter.predicate.clone(), schema, &known)?;
                    plan = LogicalPlanBuilder::from(plan).filter(predicate)?.build()?;
                }
                Step::Unnest(unnest) => {
                    let lists = unnest.list_type_columns.iter();
                    let lists = lists.map(|(at, _)| known[*at].clone()).collect();
                    let null_handling = match self.is_left {
                        true => NullHandling::PreserveAndExpandEmpty,
                        false => unnest.options.null_handling,
                    };
                    let options = UnnestOptions { null_handling, ..UnnestOptions::default() };
                    plan = LogicalPlanBuilder::from(plan)
                        .unnest_columns_with_options(lists, options)?
                        .build()?;
                    let given = unnest.dependency_indices.iter();
                    known = given.map(|at| known[*at].clone()).collect();
                }
            }
        }
        let mut exprs: Vec<Expr> = kept().collect();
        for ((relation, field), column) in shown.iter().zip(known) {
            exprs.push(Expr::Column(column).alias_qualified(relation.cloned(), field.name()));
        }
        LogicalPlanBuilder::from(plan).project(exprs)?.build()
    }

    /// An expression over a step's input, whose columns have our names now.
    fn rewritten(&self, expr: Expr, schema: &DFSchema, known: &[Column]) -> Result<Expr> {
        let rewritten = expr.transform_down(|part| {
            Ok(match part {
                Expr::Column(column) => {
                    let column = known[schema.index_of_column(&column)?].clone();
                    let recursion = TreeNodeRecursion::Jump;
                    Transformed::new(Expr::Column(column), true, recursion)
                }
                Expr::OuterReferenceColumn(_, column) if self.left.schema().has_column(&column) => {
                    let recursion = TreeNodeRecursion::Jump;
                    Transformed::new(Expr::Column(column), true, recursion)
                }
                other => Transformed::no(other),
            })
        })?;
        Ok(rewritten.data)
    }
}

/// What a step's column is called.
fn column(depth: usize, at: usize) -> Column {
    Column::new_unqualified(format!("__terrane_unfolded_{depth}_{at}"))
}
