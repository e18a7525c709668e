//! `(SELECT count(*) FROM t x WHERE x.c > outer.c)`: a correlated aggregate whose condition is more than
//! equalities.
//!
//! DataFusion turns a correlated scalar subquery into a join by grouping the inner side by what it is
//! compared with, which works for equality only. Here the outer rows are numbered, joined with the inner
//! ones on the whole condition, and the aggregate is computed per outer row:
//!
//! ```text
//! Projection f(subquery)                 Projection f(aggregate)
//!   outer                          =>      Aggregate group by outer's columns, number
//!                                            Left join on the condition
//!                                              outer, row_number() as number
//!                                              inner, true as matched
//! ```
//!
//! Each aggregate counts only rows that matched, so an outer row without any gets what the aggregate of no
//! rows is. The cost is one comparison per pair of rows, as PostgreSQL's subplan has it.

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinType, Result};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Expr, Filter, LogicalPlan, LogicalPlanBuilder, Operator, Projection,
    Subquery, lit,
};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use std::collections::HashMap;
use std::sync::Arc;

/// The rule.
#[derive(Debug)]
pub struct CorrelatedAggregate;

impl OptimizerRule for CorrelatedAggregate {
    fn name(&self) -> &str {
        "correlated_aggregate"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Projection(projection) => of_projection(projection, config),
            LogicalPlan::Filter(filter) => of_filter(filter, config),
            other => Ok(Transformed::no(other)),
        }
    }
}

fn of_projection(
    projection: Projection,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    let mut input = Arc::unwrap_or_clone(Arc::clone(&projection.input));
    let mut changed = false;
    let mut expr = Vec::with_capacity(projection.expr.len());
    for (at, item) in projection.expr.iter().enumerate() {
        let (item, replaced) = without_subqueries(item.clone(), &mut input, config)?;
        changed |= replaced;
        let (qualifier, field) = projection.schema.qualified_field(at);
        let (is_qualifier, is_name) = item.qualified_name();
        let same = (is_qualifier.as_ref(), is_name.as_str()) == (qualifier, field.name());
        expr.push(if same { item } else { item.alias_qualified(qualifier.cloned(), field.name()) });
    }
    if !changed {
        return Ok(Transformed::no(LogicalPlan::Projection(projection)));
    }
    Ok(Transformed::yes(LogicalPlanBuilder::from(input).project(expr)?.build()?))
}

fn of_filter(filter: Filter, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
    let mut input = Arc::unwrap_or_clone(Arc::clone(&filter.input));
    let (predicate, changed) = without_subqueries(filter.predicate.clone(), &mut input, config)?;
    if !changed {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    }
    let columns: Vec<Expr> = filter.input.schema().columns().into_iter().map(Expr::from).collect();
    let plan = LogicalPlanBuilder::from(input).filter(predicate)?.project(columns)?.build()?;
    Ok(Transformed::yes(plan))
}

/// Replaces the subqueries this rule is for by columns of a new input.
fn without_subqueries(
    expr: Expr,
    input: &mut LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<(Expr, bool)> {
    let replaced = expr.transform_up(|expr| {
        let Expr::ScalarSubquery(subquery) = &expr else { return Ok(Transformed::no(expr)) };
        let Some(shape) = Shape::of(subquery)? else { return Ok(Transformed::no(expr)) };
        let name = config.alias_generator().next("__correlated");
        let (plan, value) = shape.join(input.clone(), &name)?;
        *input = plan;
        Ok(Transformed::yes(value))
    })?;
    Ok((replaced.data, replaced.transformed))
}

/// A subquery taken apart: an expression over aggregates of the rows of `inner` that meet `conditions`.
struct Shape {
    value: Expr,
    aggregate: Aggregate,
    conditions: Vec<Expr>,
    inner: LogicalPlan,
}

impl Shape {
    /// `None` where the subquery is another, or DataFusion's own rule does.
    fn of(subquery: &Subquery) -> Result<Option<Self>> {
        if subquery.outer_ref_columns.is_empty() {
            return Ok(None);
        }
        let LogicalPlan::Projection(projection) = &*subquery.subquery else { return Ok(None) };
        let LogicalPlan::Aggregate(aggregate) = &*projection.input else { return Ok(None) };
        let [value] = projection.expr.as_slice() else { return Ok(None) };
        if !aggregate.group_expr.is_empty() || refers_outside(value)? {
            return Ok(None);
        }
        for expr in &aggregate.aggr_expr {
            if refers_outside(expr)? {
                return Ok(None);
            }
        }
        let mut conditions = Vec::new();
        let mut inner = &*aggregate.input;
        while let LogicalPlan::Filter(filter) = inner {
            conditions.extend(split_conjunction_owned(filter.predicate.clone()));
            inner = &filter.input;
        }
        if inner.contains_outer_reference() || !has_other_than_equality(&conditions)? {
            return Ok(None);
        }
        let value = value.clone().unalias();
        let (aggregate, inner) = (aggregate.clone(), inner.clone());
        Ok(Some(Self { value, aggregate, conditions, inner }))
    }

    /// `outer` with a column for the subquery, and the expression that is its value.
    fn join(self, outer: LogicalPlan, name: &str) -> Result<(LogicalPlan, Expr)> {
        let kept: Vec<Expr> = outer.schema().columns().into_iter().map(Expr::from).collect();
        let number = format!("{name}_row");
        let outer = LogicalPlanBuilder::from(outer)
            .window(vec![row_number()])?
            .build()
            .and_then(|plan| rename_last(plan, &kept, &number))?;

        let mut inner_names: HashMap<Column, Expr> = HashMap::new();
        let mut inner_columns = Vec::new();
        for (at, column) in self.inner.schema().columns().into_iter().enumerate() {
            let renamed = format!("{name}_{at}");
            inner_columns.push(Expr::from(column.clone()).alias(renamed.clone()));
            inner_names.insert(column, Expr::Column(Column::from_name(renamed)));
        }
        let matched = format!("{name}_matched");
        inner_columns.push(lit(true).alias(matched.clone()));
        let inner = LogicalPlanBuilder::from(self.inner).project(inner_columns)?.build()?;

        let conditions = self
            .conditions
            .into_iter()
            .map(|condition| over_join(condition, &inner_names))
            .collect::<Result<Vec<_>>>()?;
        let matched = Expr::Column(Column::from_name(matched));
        let mut values = HashMap::new();
        let mut aggregates = Vec::new();
        for (at, aggregate) in self.aggregate.aggr_expr.iter().enumerate() {
            let given = Expr::Column(Column::from_name(aggregate.schema_name().to_string()));
            let renamed = format!("{name}_value_{at}");
            let aggregate = only_matched(over_join(aggregate.clone(), &inner_names)?, &matched)?;
            aggregates.push(aggregate.alias(renamed.clone()));
            values.insert(given, Expr::Column(Column::from_name(renamed)));
        }
        let mut group = kept;
        group.push(Expr::Column(Column::from_name(number)));
        let plan = LogicalPlanBuilder::from(outer)
            .join_on(inner, JoinType::Left, conditions)?
            .aggregate(group, aggregates)?
            .build()?;
        let value = self.value.transform_up(|expr| {
            Ok(match values.get(&expr) {
                Some(column) => Transformed::yes(column.clone()),
                None => Transformed::no(expr),
            })
        })?;
        Ok((plan, value.data))
    }
}

/// Projects the columns of before and the one a window function added, under a name of its own.
fn rename_last(plan: LogicalPlan, kept: &[Expr], name: &str) -> Result<LogicalPlan> {
    let mut columns = kept.to_vec();
    if let Some(last) = plan.schema().columns().pop() {
        columns.push(Expr::Column(last).alias(name));
    }
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

/// An inner expression over the join of both sides.
fn over_join(expr: Expr, inner_names: &HashMap<Column, Expr>) -> Result<Expr> {
    let moved = expr.transform_up(|expr| {
        Ok(match expr {
            Expr::OuterReferenceColumn(_, column) => Transformed::yes(Expr::Column(column)),
            Expr::Column(column) => match inner_names.get(&column) {
                Some(renamed) => Transformed::yes(renamed.clone()),
                None => Transformed::no(Expr::Column(column)),
            },
            other => Transformed::no(other),
        })
    })?;
    Ok(moved.data)
}

/// An aggregate that passes over outer rows without a partner.
fn only_matched(aggregate: Expr, matched: &Expr) -> Result<Expr> {
    let filtered = aggregate.transform_up(|expr| {
        let Expr::AggregateFunction(mut function) = expr else { return Ok(Transformed::no(expr)) };
        let present = matched.clone().is_not_null();
        let filter = match function.params.filter.take() {
            Some(filter) => filter.and(present),
            None => present,
        };
        function.params.filter = Some(Box::new(filter));
        Ok(Transformed::yes(Expr::AggregateFunction(function)))
    })?;
    Ok(filtered.data)
}

fn refers_outside(expr: &Expr) -> Result<bool> {
    let mut found = false;
    expr.apply(|expr| {
        found |= matches!(expr, Expr::OuterReferenceColumn(..));
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// True if a condition on the outer row is no equality: those DataFusion takes apart itself.
fn has_other_than_equality(conditions: &[Expr]) -> Result<bool> {
    for condition in conditions {
        let equality = matches!(condition, Expr::BinaryExpr(BinaryExpr { op: Operator::Eq, .. }));
        if !equality && refers_outside(condition)? {
            return Ok(true);
        }
    }
    Ok(false)
}
