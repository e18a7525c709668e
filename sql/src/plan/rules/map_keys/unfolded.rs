//! The lists that `unnest` makes rows of, and what is said of those rows.
//!
//! each() is two lists of one map, its keys and its values, or one list of rows. Where only the rows are looked at whose
//! key meets a condition, the lists may be of a map of those entries: both get shorter alike, and nobody sees
//! the rest. It is no condition on rows that have no entry: `LEFT JOIN each(…) WHERE key IS NULL`.
//!
//! The lists are made of that part of the map even where the scan has to read all of it, because it is shown beside them:
//! it is copied for each row that is made.

use super::demand::{KEY, Wanted, part_of};
use super::{Looked, over};
use crate::functions::map::{self, part};
use crate::types::oid;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, ExprSchema, NullHandling, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan, Operator, Projection, Unnest};

/// What conditions on a row of a list call its element.
const ELEMENT: &str = "element";

/// Lists of a node's output that are unfolded together.
#[derive(Clone, Debug)]
pub(super) struct Unfolded {
    /// Which columns they are.
    pub(super) lists: Vec<usize>,
    /// Conditions on [`ELEMENT`], an element of one of them. Rows for which one is not true are not looked at.
    conditions: Vec<(usize, Expr)>,
}

/// What is looked at of the input of `unnest`; `None` where that is not told.
pub(super) fn of_input(unnest: &Unnest, looked: Looked) -> Result<Option<Looked>> {
    let is_simple = unnest.struct_type_columns.is_empty()
        && unnest.list_type_columns.iter().all(|(_, list)| list.depth == 1);
    if !is_simple {
        return Ok(None);
    }
    let lists: Vec<usize> = unnest.list_type_columns.iter().map(|(at, _)| *at).collect();
    let mut found = Looked::nothing(&unnest.input);
    for (demand, at) in looked.demand.into_iter().zip(&unnest.dependency_indices) {
        if !lists.contains(at) {
            found.demand[*at].add(demand);
        }
    }
    let keeps_empty = unnest.options.null_handling != NullHandling::Drop;
    let mut conditions = Vec::new();
    for condition in looked.conditions {
        if keeps_empty && !is_strict(&condition) {
            continue;
        }
        let mut dependencies: Vec<usize> = Vec::new();
        for column in condition.column_refs() {
            let at = unnest.schema.index_of_column(column)?;
            dependencies.push(unnest.dependency_indices[at]);
        }
        dependencies.dedup();
        match dependencies[..] {
            [at] if lists.contains(&at) => {
                let condition = renamed(condition, ELEMENT)?;
                conditions.push((at, condition));
            }
            _ if dependencies.iter().any(|at| lists.contains(at)) => {}
            _ => {
                let input = unnest.input.schema().columns();
                let columns = unnest.dependency_indices.iter().map(|at| input[*at].clone());
                let columns: Vec<Expr> = columns.map(Expr::Column).collect();
                found.conditions.extend(over(vec![condition], &unnest.schema, &columns)?);
            }
        }
    }
    found.unfolded = Some(Unfolded { lists, conditions });
    Ok(Some(found))
}

/// True where it is not true of NULL.
fn is_strict(condition: &Expr) -> bool {
    match condition {
        Expr::BinaryExpr(binary) => matches!(
            binary.op,
            Operator::Eq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq
        ),
        Expr::Between(between) => !between.negated,
        Expr::InList(list) => !list.negated,
        Expr::Like(like) => !like.negated,
        _ => false,
    }
}

/// An expression with this name for all of its columns.
fn renamed(expr: Expr, name: &'static str) -> Result<Expr> {
    let renamed = expr.transform_down(|part| {
        Ok(match part {
            Expr::Column(_) => {
                let column = Expr::Column(Column::new_unqualified(name));
                Transformed::new(column, true, TreeNodeRecursion::Jump)
            }
            part => Transformed::no(part),
        })
    })?;
    Ok(renamed.data)
}

impl Unfolded {
    /// The projection that makes the lists, of the part of their map that is looked at.
    pub(super) fn narrowed(&self, projection: Projection) -> Result<LogicalPlan> {
        let exprs = projection.expr.iter().map(|expr| expr.clone().unalias_nested().data);
        let exprs: Vec<Expr> = exprs.collect();
        let schema = projection.input.schema();
        let part = self.of_map(&exprs).and_then(|(map, wanted)| {
            let field = schema.field_from_column(map).ok()?;
            let stated = oid::of_field(field);
            let of = oid::map_type(stated.oid, stated.modifier)?;
            Some((map.clone(), part_of(&[wanted], &of)?, of))
        });
        let Some((map, part, of)) = part else { return Ok(LogicalPlan::Projection(projection)) };
        let Projection { expr, input, .. } = projection;
        let names = NamePreserver::new_for_projection();
        let narrow = |(at, expr): (usize, Expr)| {
            // Of a part already, if the plan was looked at before.
            if !self.lists.contains(&at) || expr.exists(|expr| Ok(is_part(expr)))? {
                return Ok(expr);
            }
            let name = names.save(&expr);
            let narrowed = expr.transform_down(|expr| {
                Ok(match &expr {
                    Expr::Column(column) if *column == map => {
                        let part = part::part(expr, of.clone(), part.clone());
                        Transformed::new(part, true, TreeNodeRecursion::Jump)
                    }
                    _ => Transformed::no(expr),
                })
            })?;
            Ok(name.restore(narrowed.data))
        };
        let exprs: Result<Vec<Expr>> = expr.into_iter().enumerate().map(narrow).collect();
        Ok(LogicalPlan::Projection(Projection::try_new(exprs?, input)?))
    }

    /// The map that the lists are of, where all are of one, and which of its entries are looked at. `exprs` make the
    /// columns that the lists are among.
    pub(super) fn of_map<'a>(&self, exprs: &'a [Expr]) -> Option<(&'a Column, Wanted)> {
        let mut maps = self.lists.iter().map(|at| list_of(&exprs[*at]));
        let (map, _) = maps.next()??;
        for other in maps {
            if other?.0 != map {
                return None;
            }
        }
        let mut conditions = Vec::new();
        for (at, condition) in &self.conditions {
            let (_, list) = list_of(&exprs[*at])?;
            conditions.extend(of_key(condition.clone(), list));
        }
        (!conditions.is_empty()).then_some((map, Wanted::Where(conditions)))
    }
}

/// The map column that a list is of, and the function that makes it.
fn list_of(expr: &Expr) -> Option<(&Column, &str)> {
    let Expr::ScalarFunction(call) = expr else { return None };
    let function = call.func.name();
    let args = match &call.args[..] {
        [Expr::ScalarFunction(part)] if part.func.name() == part::NAME => &part.args,
        args => args,
    };
    match args {
        [Expr::Column(column)] if [map::KEYS, map::VALUES, map::ENTRIES].contains(&function) => {
            Some((column, function))
        }
        _ => None,
    }
}

fn is_part(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(call) if call.func.name() == part::NAME)
}

/// A condition on a list's element as one on an entry's key, if it is.
fn of_key(condition: Expr, list: &str) -> Option<Expr> {
    match list {
        map::KEYS => renamed(condition, KEY).ok(),
        map::ENTRIES => {
            let of_key = condition.transform_down(|part| {
                Ok(match is_key_of_element(&part) {
                    true => {
                        let key = Expr::Column(Column::new_unqualified(KEY));
                        Transformed::new(key, true, TreeNodeRecursion::Jump)
                    }
                    false => Transformed::no(part),
                })
            });
            let of_key = of_key.ok()?.data;
            let is_key = |column: &&Column| column.name == KEY;
            of_key.column_refs().iter().all(is_key).then_some(of_key)
        }
        _ => None,
    }
}

fn is_key_of_element(expr: &Expr) -> bool {
    let Expr::ScalarFunction(call) = expr else { return false };
    let is_key = |name: &ScalarValue| name.try_as_str().flatten() == Some(KEY);
    matches!(
        &call.args[..],
        [Expr::Column(column), Expr::Literal(name, _)]
            if call.func.name() == "get_field" && column.name == ELEMENT && is_key(name)
    )
}
