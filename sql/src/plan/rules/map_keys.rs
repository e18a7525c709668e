//! Which entries of map columns a plan looks at: its scans then read no others.
//!
//! A scan's map column is needed whole where it is shown, compared or passed on to a function. Where all that is ever
//! done with it is to look constant keys up, or to unfold it into rows of which only those in a range of keys are kept,
//! a map of those entries is as good, and nobody above can tell the two apart. So the plan stays as it is, but for its
//! scans.
//!
//! | module | what it holds |
//! |---|---|
//! | `demand` | what of a map is looked at, as a scan is told it |
//! | `unfolded` | the lists that `unnest` makes rows of, and what is said of those rows |
//!
//! Plans with subqueries that are still expressions, or that refer to rows outside, are left alone.

mod demand;
mod unfolded;

use crate::functions::map;
use crate::scan::provider::TableSource;
use arrow::datatypes::Field;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, JoinType};
use datafusion::datasource::source_as_provider;
use datafusion::error::Result;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use demand::{Demand, Wanted};
use std::sync::Arc;
use terrane_client::map_column::MapParts;
use unfolded::Unfolded;

/// See the module's documentation.
#[derive(Debug)]
pub struct MapKeys;

impl OptimizerRule for MapKeys {
    fn name(&self) -> &str {
        "map_keys"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        None
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        if !has_maps(&plan)? || has_subqueries(&plan)? {
            return Ok(Transformed::no(plan));
        }
        let looked = Looked::whole(&plan);
        push(plan, looked)
    }
}

/// What an optimised plan reads of the maps of a table that it scans under this name: all are named. `None` where that
/// cannot be told.
pub fn parts_read(plan: &LogicalPlan, table: &str) -> Option<MapParts> {
    if has_subqueries(plan).ok()? {
        return None;
    }
    let mut read: Option<MapParts> = None;
    let told = plan.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && scan.table_name.table() == table
            && let Some(source) = table_source(scan)
        {
            let mut parts = MapParts::nothing(source.table());
            for (id, part) in &mut parts.0 {
                let is_read = |field: &Arc<Field>| source.column_of(field.name()) == Some(*id);
                if scan.projected_schema.fields().iter().any(is_read) {
                    *part = source.map_parts().of(*id).clone();
                }
            }
            read = Some(match read.take() {
                Some(other) => other.union(parts),
                None => parts,
            });
        }
        Ok(TreeNodeRecursion::Continue)
    });
    told.ok().and(read)
}

fn has_maps(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| match node {
        LogicalPlan::TableScan(scan) => Ok(table_source(scan)
            .is_some_and(|source| source.table().columns.iter().any(|column| column.is_map()))),
        _ => Ok(false),
    })
}

fn has_subqueries(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| {
        let mut found = matches!(node, LogicalPlan::Subquery(_));
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                found |= matches!(
                    expr,
                    Expr::ScalarSubquery(_)
                        | Expr::Exists(_)
                        | Expr::InSubquery(_)
                        | Expr::SetComparison(_)
                        | Expr::OuterReferenceColumn(..)
                );
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        Ok(found)
    })
}

fn table_source(scan: &TableScan) -> Option<Arc<TableSource>> {
    let provider = source_as_provider(&scan.source).ok()?;
    let source = (&*provider as &dyn std::any::Any).downcast_ref::<TableSource>()?;
    Some(Arc::new(source.clone()))
}

/// What is looked at of a node's output.
struct Looked {
    /// By column.
    demand: Vec<Demand>,
    /// Rows for which one of these is not true are not looked at.
    conditions: Vec<Expr>,
    /// Where the output's lists are unfolded next; their own demand is of other uses.
    unfolded: Option<Unfolded>,
}

impl Looked {
    fn of(demand: Vec<Demand>) -> Self {
        Self { demand, conditions: Vec::new(), unfolded: None }
    }

    fn nothing(plan: &LogicalPlan) -> Self {
        Self::of(vec![Demand::NOTHING; plan.schema().fields().len()])
    }

    fn whole(plan: &LogicalPlan) -> Self {
        Self::of(vec![Demand::Whole; plan.schema().fields().len()])
    }

    /// Lists that are unfolded where nothing can be made of it are looked at whole.
    fn settle(&mut self) {
        for at in self.unfolded.take().into_iter().flat_map(|unfolded| unfolded.lists) {
            self.demand[at] = Demand::Whole;
        }
    }

    fn note(&mut self, schema: &DFSchema, column: &Column, demand: Demand) {
        if let Some(at) = schema.maybe_index_of_column(column) {
            self.demand[at].add(demand);
        }
    }
}

/// Tells the scans below a node what is looked at of its output.
fn push(plan: LogicalPlan, mut looked: Looked) -> Result<Transformed<LogicalPlan>> {
    if let LogicalPlan::TableScan(scan) = plan {
        looked.settle();
        return demand::narrowed(scan, &looked.demand);
    }
    let unfolded = looked.unfolded.clone();
    let mut of_inputs = of_inputs(&plan, looked)?.into_iter();
    let plan = match (plan, unfolded) {
        (LogicalPlan::Projection(projection), Some(unfolded)) => unfolded.narrowed(projection)?,
        (plan, _) => plan,
    };
    plan.map_children(|child| {
        let looked = of_inputs.next().unwrap_or_else(|| Looked::whole(&child));
        push(child, looked)
    })
}

/// What is looked at of each input, where `looked` is of the node's output.
fn of_inputs(plan: &LogicalPlan, mut looked: Looked) -> Result<Vec<Looked>> {
    if !matches!(plan, LogicalPlan::Projection(_) | LogicalPlan::Filter(_)) {
        looked.settle();
    }
    let inputs = plan.inputs();
    let whole = || Ok(inputs.iter().map(|input| Looked::whole(input)).collect());
    let mut found: Vec<Looked> = inputs.iter().map(|input| Looked::nothing(input)).collect();
    match plan {
        LogicalPlan::Projection(projection) => {
            let exprs = projection.expr.iter().map(|expr| expr.clone().unalias_nested().data);
            let exprs: Vec<Expr> = exprs.collect();
            let schema = projection.input.schema();
            if let Some(unfolded) = looked.unfolded.take() {
                match unfolded.of_map(&exprs) {
                    Some((map, wanted)) => found[0].note(schema, map, Demand::of(wanted)),
                    None => unfolded.lists.iter().for_each(|at| looked.demand[*at] = Demand::Whole),
                }
            }
            for (expr, demand) in exprs.iter().zip(looked.demand) {
                match expr {
                    Expr::Column(column) => found[0].note(schema, column, demand),
                    // Nobody looks at it: a list that is unfolded.
                    _ if demand.is_nothing() => {}
                    other => each_use(other, &mut |column, demand| {
                        found[0].note(schema, column, demand);
                    })?,
                }
            }
            found[0].conditions = over(looked.conditions, &projection.schema, &exprs)?;
            return Ok(found);
        }
        LogicalPlan::Unnest(unnest) => {
            return Ok(match unfolded::of_input(unnest, looked)? {
                Some(looked) => vec![looked],
                None => return whole(),
            });
        }
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Repartition(_)
        | LogicalPlan::SubqueryAlias(_) => {
            if looked.demand.len() != found[0].demand.len() {
                return whole();
            }
            looked.conditions = match plan {
                LogicalPlan::Filter(filter) => {
                    looked
                        .conditions
                        .extend(split_conjunction(&filter.predicate).into_iter().cloned());
                    looked.conditions
                }
                LogicalPlan::SubqueryAlias(alias) => {
                    let columns = alias.input.schema().columns();
                    let columns: Vec<Expr> = columns.into_iter().map(Expr::Column).collect();
                    over(looked.conditions, &alias.schema, &columns)?
                }
                // Which rows are first depends on those that are not looked at.
                LogicalPlan::Limit(_) => Vec::new(),
                LogicalPlan::Sort(sort) if sort.fetch.is_some() => Vec::new(),
                _ => looked.conditions,
            };
            found[0] = looked;
        }
        LogicalPlan::Join(join) => {
            let left = found[0].demand.len();
            for (at, demand) in looked.demand.into_iter().enumerate() {
                let (input, at) = match join.join_type {
                    JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => (1, at),
                    _ if at < left => (0, at),
                    _ => (1, at - left),
                };
                if let Some(known) = found[input].demand.get_mut(at) {
                    known.add(demand);
                }
            }
            if join.join_type == JoinType::Inner {
                for (input, found) in inputs.iter().zip(&mut found) {
                    let schema = input.schema();
                    let is_of = |condition: &&Expr| {
                        condition.column_refs().iter().all(|column| schema.has_column(column))
                    };
                    found.conditions = looked.conditions.iter().filter(is_of).cloned().collect();
                }
            }
        }
        // What it gives out are its expressions.
        LogicalPlan::Aggregate(_) => {}
        _ => return whole(),
    }
    plan.apply_expressions(|expr| {
        each_use(expr, &mut |column, demand| {
            for (input, found) in inputs.iter().zip(&mut found) {
                found.note(input.schema(), column, demand.clone());
            }
        })?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// Conditions of a node's output as conditions of its input, of which `exprs` make the output.
fn over(conditions: Vec<Expr>, schema: &DFSchema, exprs: &[Expr]) -> Result<Vec<Expr>> {
    if exprs.iter().any(Expr::is_volatile) {
        return Ok(Vec::new());
    }
    let over = |condition: Expr| {
        let of_input = condition.transform_down(|part| {
            Ok(match part {
                Expr::Column(column) => {
                    let expr = exprs[schema.index_of_column(&column)?].clone();
                    Transformed::new(expr, true, TreeNodeRecursion::Jump)
                }
                other => Transformed::no(other),
            })
        })?;
        Ok(of_input.data)
    };
    conditions.into_iter().map(over).collect()
}

/// Visits the columns that an expression looks at, and what of each.
fn each_use(expr: &Expr, visit: &mut dyn FnMut(&Column, Demand)) -> Result<()> {
    expr.apply(|expr| {
        match expr {
            Expr::ScalarFunction(call) => {
                if let [Expr::Column(column), Expr::Literal(keys, _)] = &call.args[..]
                    && let Some(wanted) = looked_up(call.func.name(), keys)
                {
                    visit(column, Demand::of(wanted));
                    return Ok(TreeNodeRecursion::Jump);
                }
            }
            Expr::Column(column) => visit(column, Demand::Whole),
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// What a function looks up in a map that is given a constant beside it.
fn looked_up(function: &str, keys: &datafusion::common::ScalarValue) -> Option<Wanted> {
    match function {
        map::GET | map::EXISTS | map::DEFINED => Some(Wanted::Key(keys.clone())),
        map::GET_ALL | map::EXISTS_ANY | map::EXISTS_ALL | map::SLICE => {
            Some(Wanted::Keys(keys.clone()))
        }
        map::CONTAINS => Some(Wanted::KeysOf(keys.clone())),
        _ => None,
    }
}
