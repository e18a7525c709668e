//! Which keys of map columns a plan looks at: its scans then read no others.
//!
//! A scan's map column is needed whole where it is shown, compared or passed on to a function. Where all that is ever
//! done with it is to look a constant key up, a map of those keys is as good, and nobody above can tell the two apart.
//! So the plan stays as it is, but for its scans.
//!
//! Plans with subqueries that are still expressions, or that refer to rows outside, are left alone.

use crate::functions::map;
use crate::plan::values;
use crate::scan::provider::TableSource;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinType};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use std::collections::BTreeSet;
use std::sync::Arc;
use terrane_client::cell::map::encode_key;
use terrane_client::map_column::{MapPart, MapParts};
use terrane_client::types::DataType;
use terrane_client::value::Value;

/// See the module's documentation.
#[derive(Debug)]
pub struct MapKeys;

/// What of a column is looked at.
#[derive(Clone, Debug)]
enum Demand {
    /// Some keys, maybe none.
    Keys(Vec<Expr>),
    /// All of it.
    Whole,
}

impl Demand {
    const NOTHING: Self = Self::Keys(Vec::new());

    fn add(&mut self, other: Demand) {
        match (self, other) {
            (Self::Keys(keys), Self::Keys(more)) => keys.extend(more),
            (known, _) => *known = Self::Whole,
        }
    }
}

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
        let demand = vec![Demand::Whole; plan.schema().fields().len()];
        push(plan, demand)
    }
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

/// Tells the scans below a node what is looked at of its output.
fn push(plan: LogicalPlan, demand: Vec<Demand>) -> Result<Transformed<LogicalPlan>> {
    if let LogicalPlan::TableScan(scan) = plan {
        return narrowed(scan, &demand);
    }
    let mut of_inputs = of_inputs(&plan, demand)?.into_iter();
    plan.map_children(|child| {
        let whole = || vec![Demand::Whole; child.schema().fields().len()];
        let demand = of_inputs.next().unwrap_or_else(whole);
        push(child, demand)
    })
}

/// What is looked at of each input's columns, where `demand` is of the node's.
fn of_inputs(plan: &LogicalPlan, demand: Vec<Demand>) -> Result<Vec<Vec<Demand>>> {
    let inputs = plan.inputs();
    let fill = |demand: Demand| -> Vec<Vec<Demand>> {
        inputs.iter().map(|input| vec![demand.clone(); input.schema().fields().len()]).collect()
    };
    let mut found = fill(Demand::NOTHING);
    let note = |found: &mut Vec<Vec<Demand>>, column: &Column, demand: Demand| {
        for (input, found) in inputs.iter().zip(found.iter_mut()) {
            if let Some(at) = input.schema().maybe_index_of_column(column) {
                found[at].add(demand.clone());
            }
        }
    };
    match plan {
        LogicalPlan::Projection(projection) => {
            for (expr, demand) in projection.expr.iter().zip(demand) {
                match expr.clone().unalias() {
                    Expr::Column(column) => note(&mut found, &column, demand),
                    other => each_use(&other, &mut |column, demand| {
                        note(&mut found, column, demand);
                    })?,
                }
            }
            return Ok(found);
        }
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Repartition(_)
        | LogicalPlan::SubqueryAlias(_) => {
            if demand.len() != found[0].len() {
                return Ok(fill(Demand::Whole));
            }
            found[0] = demand;
        }
        LogicalPlan::Join(join) => {
            let left = found[0].len();
            for (at, demand) in demand.into_iter().enumerate() {
                let (input, at) = match join.join_type {
                    JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => (1, at),
                    _ if at < left => (0, at),
                    _ => (1, at - left),
                };
                if let Some(known) = found[input].get_mut(at) {
                    known.add(demand);
                }
            }
        }
        // What it gives out are its expressions.
        LogicalPlan::Aggregate(_) => {}
        _ => return Ok(fill(Demand::Whole)),
    }
    plan.apply_expressions(|expr| {
        each_use(expr, &mut |column, demand| note(&mut found, column, demand))?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// Visits the columns that an expression looks at, and what of each.
fn each_use(expr: &Expr, visit: &mut dyn FnMut(&Column, Demand)) -> Result<()> {
    expr.apply(|expr| {
        match expr {
            Expr::ScalarFunction(call) if looks_up(call.func.name()) => {
                if let [Expr::Column(column), key @ Expr::Literal(..)] = &call.args[..] {
                    visit(column, Demand::Keys(vec![key.clone()]));
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

/// The functions that look a key of a map up.
fn looks_up(function: &str) -> bool {
    [map::GET, map::EXISTS, map::DEFINED].contains(&function)
}

/// A scan that reads no more of its maps than is looked at.
fn narrowed(scan: TableScan, demand: &[Demand]) -> Result<Transformed<LogicalPlan>> {
    let Some(source) = table_source(&scan) else {
        return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
    };
    let mut parts = MapParts::default();
    for (field, demand) in scan.projected_schema.fields().iter().zip(demand) {
        let column = source.column_of(field.name()).and_then(|id| source.table().column(id));
        if let (Some(column), Demand::Keys(keys)) = (column, demand)
            && let DataType::Map(of) = &column.data_type
        {
            let mut encoded = BTreeSet::new();
            for key in keys {
                let Expr::Literal(scalar, _) = key else { continue };
                match values::from_scalar(scalar, of.key()) {
                    // No map has it.
                    Some(Value::Null) => {}
                    Some(key) => match encode_key(&key, of) {
                        Ok(key) => drop(encoded.insert(key.into())),
                        Err(_) => return Ok(Transformed::no(LogicalPlan::TableScan(scan))),
                    },
                    None => return Ok(Transformed::no(LogicalPlan::TableScan(scan))),
                }
            }
            parts.0.insert(column.id, MapPart::Keys(encoded));
        }
    }
    if parts.0.is_empty() {
        return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
    }
    let source = provider_as_source(Arc::new(source.with_map_parts(parts)));
    Ok(Transformed::yes(LogicalPlan::TableScan(TableScan { source, ..scan })))
}
