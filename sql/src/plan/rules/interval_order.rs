//! Intervals compare by their length: a month has 30 days and a day 24 hours, so `'1 month' = '30 days'`.
//!
//! Arrow compares months, then days, then the rest. Where two intervals are compared, or rows ordered by one,
//! both sides become their length in microseconds.

use crate::functions::interval_length::IntervalLength;
use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Between, BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, ScalarUDF,
};
use datafusion::optimizer::AnalyzerRule;
use std::sync::{Arc, LazyLock};

static LENGTH: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(IntervalLength::default())));

/// The rule.
#[derive(Debug)]
pub struct IntervalOrder;

impl AnalyzerRule for IntervalOrder {
    fn name(&self) -> &str {
        "interval_order"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(compare)?.data)
    }
}

fn compare(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let schema = match &plan {
        LogicalPlan::TableScan(_) => return Ok(Transformed::no(plan)),
        _ => merge_schema(&plan.inputs()),
    };
    if !schema.fields().iter().any(|field| is_interval(field.data_type())) && !mentions(&plan) {
        return Ok(Transformed::no(plan));
    }
    let sorts = matches!(plan, LogicalPlan::Sort(_));
    let names = NamePreserver::new(&plan);
    let rewritten = plan.map_expressions(|expr| {
        let saved = names.save(&expr);
        let rewritten = expr.transform_up(|part| comparison(part, &schema))?;
        let rewritten = match sorts && is_interval(&type_of(&rewritten.data, &schema)) {
            true => Transformed::yes(length(rewritten.data)),
            false => rewritten,
        };
        Ok(rewritten.update_data(|expr| saved.restore(expr)))
    })?;
    match rewritten.transformed {
        true => rewritten.map_data(LogicalPlan::recompute_schema),
        false => Ok(rewritten),
    }
}

/// True where an interval is made on the spot, of no column.
fn mentions(plan: &LogicalPlan) -> bool {
    let empty = DFSchema::empty();
    plan.expressions()
        .iter()
        .any(|expr| expr.exists(|part| Ok(is_interval(&type_of(part, &empty)))).unwrap_or(false))
}

fn is_interval(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(_))
}

fn type_of(expr: &Expr, schema: &DFSchema) -> DataType {
    expr.get_type(schema).unwrap_or(DataType::Null)
}

fn length(interval: Expr) -> Expr {
    LENGTH.call(vec![interval])
}

fn comparison(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if compares(op)
                && is_interval(&type_of(&left, schema))
                && is_interval(&type_of(&right, schema)) =>
        {
            let (left, right) = (Box::new(length(*left)), Box::new(length(*right)));
            Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right }))
        }
        Expr::Between(Between { expr, negated, low, high })
            if is_interval(&type_of(&expr, schema)) =>
        {
            Transformed::yes(Expr::Between(Between {
                expr: Box::new(length(*expr)),
                negated,
                low: Box::new(length(*low)),
                high: Box::new(length(*high)),
            }))
        }
        Expr::InList(mut list) if is_interval(&type_of(&list.expr, schema)) => {
            *list.expr = length(std::mem::take(&mut *list.expr));
            list.list = list.list.into_iter().map(length).collect();
            Transformed::yes(Expr::InList(list))
        }
        other => Transformed::no(other),
    })
}

fn compares(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}
