//! Keys where rows are multiplied.
//!
//! DataFusion lets a table's primary key through Unnest as if each row came out once: above it DISTINCT kept equal
//! rows, ORDER BY and GROUP BY left out what comes behind the key. Names are resolved by now, GROUP BY's that rest on
//! a key among them, so in a plan that unnests the tables are taken to have none. What groups and DISTINCT below an
//! Unnest make unique goes through a function that answers its argument: DataFusion does not look through it.

use super::determined_groups;
use crate::functions::pass_through;
use crate::scan::provider::TableSource;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::config::ConfigOptions;
use datafusion::datasource::{DefaultTableSource, source_as_provider};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, TableScan, TableScanBuilder};
use datafusion::optimizer::AnalyzerRule;
use std::sync::Arc;

/// The rule.
#[derive(Debug)]
pub struct MultipliedRows;

impl AnalyzerRule for MultipliedRows {
    fn name(&self) -> &str {
        "multiplied_rows"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let mut unnests = false;
        plan.apply_with_subqueries(|node| {
            unnests |= matches!(node, LogicalPlan::Unnest(_));
            Ok(if unnests { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })?;
        if !unnests {
            return Ok(plan);
        }
        let plan = plan.transform_up_with_subqueries(determined_groups::by_first_values)?.data;
        let veiled = plan.transform_down_with_subqueries(|node| match node {
            LogicalPlan::Unnest(mut unnest) => {
                let input = Arc::unwrap_or_clone(unnest.input).transform_up(veil)?;
                unnest.input = Arc::new(input.data);
                let changed = Transformed::yes(LogicalPlan::Unnest(unnest));
                Ok(Transformed { tnr: TreeNodeRecursion::Jump, ..changed })
            }
            node => Ok(Transformed::no(node)),
        })?;
        Ok(veiled.data.transform_up_with_subqueries(without_keys)?.data)
    }
}

/// Hides that a node's rows are told apart by some of its columns.
fn veil(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let unique = match &node {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr_len()?,
        LogicalPlan::Distinct(_) => node.schema().fields().len(),
        _ => 0,
    };
    if unique == 0 {
        return Ok(Transformed::no(node));
    }
    let columns = node.schema().columns().into_iter().enumerate().map(|(at, column)| {
        let value = Expr::Column(column.clone());
        if at < unique {
            pass_through::veiled(value).alias_qualified(column.relation, column.name)
        } else {
            value
        }
    });
    let columns: Vec<Expr> = columns.collect();
    Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(node))?)))
}

fn without_keys(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match node {
        LogicalPlan::TableScan(scan) => of_scan(scan),
        // A union's columns keep their types until its inputs are brought together, and it has no keys.
        LogicalPlan::Union(_) => Ok(Transformed::no(node)),
        node if node.schema().functional_dependencies().is_empty() => Ok(Transformed::no(node)),
        node => Ok(Transformed::yes(node.recompute_schema()?)),
    }
}

fn of_scan(scan: TableScan) -> Result<Transformed<LogicalPlan>> {
    let provider = source_as_provider(&scan.source)?;
    let Some(table) = provider.downcast_ref::<TableSource>() else {
        return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
    };
    let source = Arc::new(DefaultTableSource::new(Arc::new(table.without_key())));
    let TableScan { table_name, projection, filters, fetch, .. } = scan;
    let scan = TableScanBuilder::new(table_name, source)
        .with_projection(projection)
        .with_filters(filters)
        .with_fetch(fetch);
    Ok(Transformed::yes(LogicalPlan::TableScan(scan.build()?)))
}
