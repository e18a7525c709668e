//! Types whose values compare otherwise than Arrow's.
//!
//! - Intervals compare by their length: a month has 30 days and a day 24 hours, so `'1 month' = '30 days'`. Arrow
//!   compares months, then days, then the rest.
//! - jsonb compares by value, `1` and `1.0` being one, and objects by the number of their keys first. It is text
//!   to Arrow.
//! - -0 and 0 are one float. Arrow's comparisons, joins and groups know; what sorts and counts does not, nor do
//!   comparisons of arrays.
//!
//! Where two such values are compared, or rows ordered by one, both sides become a
//! [key](crate::functions::order_keys) that Arrow compares rightly; so it is with arrays of them.
//! [`value_groups`](super::value_groups) does so for GROUP BY and DISTINCT.

use super::{range_frames, value_groups};
use crate::functions::array_sets::{MODE, SORTED};
use crate::functions::{extremes, order_keys};
use crate::plan::result_types;
use crate::types::oid;
use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::{
    AggregateFunction, InList, InSubquery, ScalarFunction, WindowFunction,
};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Between, BinaryExpr, Case, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator,
    ScalarUDF, SortExpr, lit, when,
};
use datafusion::optimizer::AnalyzerRule;
use std::sync::Arc;

/// Functions that compare an array's elements with what they are given.
const SEARCHES: [&str; 5] =
    ["array_has", "array_position", "array_positions", "arraycontains", "arrayoverlap"];

/// The rule.
#[derive(Debug)]
pub struct ValueOrder;

impl AnalyzerRule for ValueOrder {
    fn name(&self) -> &str {
        "value_order"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(compare)?.data)
    }
}

/// What expressions of a node are of.
pub(super) struct Types<'a> {
    schema: DFSchema,
    /// The input where there is one: it knows more than its schema does.
    input: Option<&'a LogicalPlan>,
}

impl<'a> Types<'a> {
    pub(super) fn of(plan: &'a LogicalPlan) -> Self {
        let inputs = plan.inputs();
        Self {
            schema: merge_schema(&inputs),
            input: match inputs.as_slice() {
                [input] => Some(input),
                _ => None,
            },
        }
    }

    /// The function that makes a key of an expression's values; `None` where Arrow compares them as they are.
    pub(super) fn key(&self, expr: &Expr) -> Option<&'static Arc<ScalarUDF>> {
        let data_type = expr.get_type(&self.schema).ok()?;
        let (element, is_array) = match &data_type {
            DataType::List(element) => (element.data_type(), true),
            other => (other, false),
        };
        match element {
            DataType::Interval(_) => Some(&order_keys::INTERVAL),
            DataType::Float32 | DataType::Float64 if is_array && !is_key(expr) => {
                Some(&order_keys::FLOAT)
            }
            DataType::Utf8View => {
                let found = match self.input {
                    Some(input) => result_types::of_expr(expr, input),
                    None => None,
                };
                let found = found.or_else(|| {
                    let (_, field) = expr.to_field(&self.schema).ok()?;
                    Some(oid::of_field(&field))
                })?;
                let element = if is_array { oid::element_of(found.oid)? } else { found.oid };
                (element == oid::JSONB).then_some(&*order_keys::JSONB)
            }
            _ => None,
        }
    }

    /// The same, also of floats: where Arrow sorts or tells values apart by their bits.
    pub(super) fn exact_key(&self, expr: &Expr) -> Option<&'static Arc<ScalarUDF>> {
        self.key(expr).or_else(|| {
            let data_type = expr.get_type(&self.schema).ok()?;
            let is_float = matches!(data_type, DataType::Float32 | DataType::Float64);
            (is_float && !is_key(expr)).then_some(&*order_keys::FLOAT)
        })
    }

    /// True where a value of such a type may be met.
    fn concern(&self, plan: &LogicalPlan) -> bool {
        let empty = DFSchema::empty();
        self.schema.fields().iter().any(|field| concerned(field.data_type()))
            || plan.expressions().iter().any(|expr| {
                let made = |part: &Expr| Ok(part.get_type(&empty).is_ok_and(|t| concerned(&t)));
                expr.exists(made).unwrap_or(false)
            })
    }

    pub(super) fn change_sort(&self, sort: &mut SortExpr) -> bool {
        self.change(&mut sort.expr)
    }

    pub(super) fn change(&self, expr: &mut Expr) -> bool {
        let Some(key) = self.exact_key(expr) else { return false };
        *expr = key.call(vec![std::mem::take(expr)]);
        true
    }
}

fn concerned(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(element) => concerned(element.data_type()),
        DataType::Interval(_) | DataType::Utf8View | DataType::Float32 | DataType::Float64 => true,
        _ => false,
    }
}

/// True for the key of a float, which is a float.
fn is_key(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(call) if call.func == *order_keys::FLOAT)
}

/// Makes keys of what windows are ordered by, before DataFusion looks at their frames: it knows no order of
/// intervals.
pub fn order_windows(plan: LogicalPlan) -> Result<LogicalPlan> {
    let windows = |plan: LogicalPlan| match &plan {
        LogicalPlan::Window(_) => keyed(plan, &|part, types| match part {
            Expr::WindowFunction(call) => {
                let (call, changed) = of_window(*call, types);
                Ok(Transformed::new_transformed(Expr::WindowFunction(Box::new(call)), changed))
            }
            other => Ok(Transformed::no(other)),
        }),
        _ => Ok(Transformed::no(plan)),
    };
    Ok(plan.transform_up_with_subqueries(windows)?.data)
}

fn compare(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if matches!(plan, LogicalPlan::TableScan(_)) {
        return Ok(Transformed::no(plan));
    }
    let keyed = keyed(plan, &comparison)?;
    let grouped = value_groups::group(keyed.data)?;
    Ok(Transformed::new_transformed(grouped.data, keyed.transformed || grouped.transformed))
}

/// A change of one part of an expression.
type Change = dyn Fn(Expr, &Types<'_>) -> Result<Transformed<Expr>>;

/// Changes the expressions of a node.
fn keyed(plan: LogicalPlan, change: &Change) -> Result<Transformed<LogicalPlan>> {
    let copy = plan.clone();
    let types = Types::of(&copy);
    if !types.concern(&plan) {
        return Ok(Transformed::no(plan));
    }
    // -0 and 0 may come in any order, if nothing orders what is equal.
    let last = match &plan {
        LogicalPlan::Sort(sort) => sort.expr.last().map(|last| last.expr.clone()),
        _ => None,
    };
    let names = NamePreserver::new(&plan);
    let rewritten = plan.map_expressions(|expr| {
        let saved = names.save(&expr);
        let mut rewritten = expr.transform_up(|part| change(part, &types))?;
        rewritten.transformed |= match &last {
            None => false,
            Some(last) if *last == rewritten.data && types.key(last).is_none() => false,
            Some(_) => types.change(&mut rewritten.data),
        };
        Ok(rewritten.update_data(|expr| saved.restore(expr)))
    })?;
    let mut changed = rewritten.transformed;
    let plan = match rewritten.data {
        LogicalPlan::Join(mut join) => {
            for (left, right) in &mut join.on {
                if types.key(left).is_some() && types.key(right).is_some() {
                    changed |= types.change(left) | types.change(right);
                }
            }
            LogicalPlan::Join(join)
        }
        plan => plan,
    };
    let plan = if changed { plan.recompute_schema()? } else { plan };
    Ok(Transformed::new_transformed(plan, changed))
}

fn comparison(expr: Expr, types: &Types<'_>) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::BinaryExpr(BinaryExpr { mut left, op, mut right }) if compares(op) => {
            let changed = change_all(types, [&mut *left, &mut *right]);
            let compared = Expr::BinaryExpr(BinaryExpr { left, op, right });
            Transformed::new_transformed(compared, changed)
        }
        Expr::Between(mut between) => {
            let Between { expr, low, high, .. } = &mut between;
            let changed = change_all(types, [&mut **expr, low, high]);
            Transformed::new_transformed(Expr::Between(between), changed)
        }
        Expr::InList(mut list) => {
            let InList { expr, list: items, .. } = &mut list;
            let changed = change_all(types, std::iter::once(&mut **expr).chain(items));
            Transformed::new_transformed(Expr::InList(list), changed)
        }
        Expr::InSubquery(found) => in_subquery(found, types)?,
        Expr::Case(mut case) => {
            let Case { expr, when_then_expr, .. } = &mut case;
            let changed = expr.as_mut().is_some_and(|operand| {
                let whens = when_then_expr.iter_mut().map(|(when, _)| &mut **when);
                let operands = std::iter::once(&mut **operand).chain(whens);
                change_by(types, Types::exact_key, operands)
            });
            Transformed::new_transformed(Expr::Case(case), changed)
        }
        Expr::ScalarFunction(call) => of_call(call, types)?,
        Expr::AggregateFunction(call) => {
            let (call, changed) = of_aggregate(call, types);
            Transformed::new_transformed(Expr::AggregateFunction(call), changed)
        }
        Expr::WindowFunction(call) => {
            let (call, changed) = of_window(*call, types);
            Transformed::new_transformed(Expr::WindowFunction(Box::new(call)), changed)
        }
        other => Transformed::no(other),
    })
}

/// Makes keys of values that are compared with each other, if they are of such a type. Of what is jsonb it is
/// enough that one is known to be: the others have lost their type on the way.
fn change_all<'a>(types: &Types<'_>, exprs: impl IntoIterator<Item = &'a mut Expr>) -> bool {
    change_by(types, Types::key, exprs)
}

/// What finds the key of an expression.
type FindKey<'t> = fn(&Types<'t>, &Expr) -> Option<&'static Arc<ScalarUDF>>;

fn change_by<'a, 't>(
    types: &Types<'t>,
    find: FindKey<'t>,
    exprs: impl IntoIterator<Item = &'a mut Expr>,
) -> bool {
    let mut exprs: Vec<&mut Expr> = exprs.into_iter().collect();
    let Some(key) = exprs.iter().find_map(|expr| find(types, expr)) else { return false };
    let others = !Arc::ptr_eq(key, &order_keys::JSONB);
    if others && exprs.iter().any(|expr| find(types, expr).is_none()) {
        return false;
    }
    for expr in &mut exprs {
        **expr = key.call(vec![std::mem::take(*expr)]);
    }
    true
}

/// Functions that compare.
fn of_call(mut call: ScalarFunction, types: &Types<'_>) -> Result<Transformed<Expr>> {
    let name = call.func.name();
    let changed = match (name, call.args.len()) {
        ("nullif", 2) => {
            let mut compared = call.args.clone();
            if change_by(types, Types::exact_key, &mut compared)
                && let [value, _] = call.args.as_slice()
                && let [left, right] = compared.as_slice()
            {
                let null = ScalarValue::try_from(value.get_type(&types.schema)?)?;
                let equal = left.clone().eq(right.clone());
                let chosen = when(equal, lit(null)).otherwise(value.clone())?;
                return Ok(Transformed::yes(chosen));
            }
            false
        }
        ("greatest" | "least", _) => {
            let mut keys = call.args.clone();
            if change_all(types, &mut keys) {
                let least = name == "least";
                let extreme = if least { &extremes::LEAST } else { &extremes::GREATEST };
                keys.append(&mut call.args);
                return Ok(Transformed::yes(extreme.call(keys)));
            }
            false
        }
        (MODE, 1) | (SORTED, 3) => match types.key(&call.args[0]) {
            Some(key) => {
                call.args.push(key.call(vec![call.args[0].clone()]));
                true
            }
            None => false,
        },
        (name, _) if SEARCHES.contains(&name) => {
            change_by(types, Types::exact_key, call.args.iter_mut().take(2))
        }
        _ => false,
    };
    Ok(Transformed::new_transformed(Expr::ScalarFunction(call), changed))
}

fn in_subquery(mut found: InSubquery, types: &Types<'_>) -> Result<Transformed<Expr>> {
    let Some(key) = types.key(&found.expr) else {
        return Ok(Transformed::no(Expr::InSubquery(found)));
    };
    *found.expr = key.call(vec![std::mem::take(&mut *found.expr)]);
    let query = LogicalPlanBuilder::from((*found.subquery.subquery).clone());
    let columns = query.schema().columns();
    let keys = columns.into_iter().map(|column| key.call(vec![Expr::Column(column)]).alias("key"));
    let keys: Vec<Expr> = keys.collect();
    found.subquery.subquery = Arc::new(query.project(keys)?.build()?);
    Ok(Transformed::yes(Expr::InSubquery(found)))
}

fn of_aggregate(mut call: AggregateFunction, types: &Types<'_>) -> (AggregateFunction, bool) {
    let params = &mut call.params;
    // An array_agg() of DISTINCT values is sorted by those, and must show them.
    let mut changed = !params.distinct
        && params.order_by.iter_mut().fold(false, |any, sort| types.change_sort(sort) | any);
    if params.distinct && call.func.name() == "count" {
        changed |= params.args.iter_mut().fold(false, |any, arg| types.change(arg) | any);
    }
    // Of intervals the greatest is the first by length, the longest in front.
    if let ("max" | "min", [value]) = (call.func.name(), params.args.as_slice())
        && let Some(key) = types.key(value)
    {
        let least = call.func.name() == "min";
        let length = key.call(vec![value.clone()]);
        params.order_by = vec![length.sort(least, false)];
        params.distinct = false;
        call.func = first_value_udaf();
        changed = true;
    }
    (call, changed)
}

fn of_window(mut call: WindowFunction, types: &Types<'_>) -> (WindowFunction, bool) {
    let params = &mut call.params;
    let mut changed =
        params.partition_by.iter_mut().fold(false, |any, expr| types.change(expr) | any);
    // Offsets are added to the values themselves.
    if !range_frames::has_offsets(&params.window_frame) {
        changed |=
            params.order_by.iter_mut().fold(false, |any, sort| types.change_sort(sort) | any);
    }
    (call, changed)
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
