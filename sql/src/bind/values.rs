//! `VALUES` lists of several rows: one type for each column.
//!
//! A string literal, of unknown type to PostgreSQL, takes the type of the other rows' casts; casts to one type with
//! different modifiers meet at the type without one. DataFusion would refuse both. Runs after
//! [`rewrite`](super::rewrite), which has made calls of casts.
//!
//! Rows with subqueries in them become a UNION ALL of SELECTs: DataFusion evaluates a VALUES list before it runs a
//! subquery.

use super::rewrite::{cast_call, cast_target};
use crate::parse;
use crate::session::response::WireType;
use crate::types::oid;
use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Query, SelectItem, SetExpr, SetOperator, SetQuantifier, Value, ValueWithSpan,
    Values, VisitMut, VisitorMut, visit_expressions,
};

/// Unifies the columns of every VALUES list in a statement.
pub fn unify(statement: &mut impl VisitMut) {
    let _: ControlFlow<()> = statement.visit(&mut Lists);
}

struct Lists;

impl VisitorMut for Lists {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        bodies(&mut query.body);
        ControlFlow::Continue(())
    }
}

fn bodies(body: &mut SetExpr) {
    match body {
        SetExpr::Values(values) => {
            if values.rows.len() > 1 {
                columns(values);
            }
            if has_subquery(values)
                && let Some(selects) = as_selects(values)
            {
                *body = selects;
            }
        }
        SetExpr::SetOperation { left, right, .. } => {
            bodies(left);
            bodies(right);
        }
        _ => {}
    }
}

fn has_subquery(values: &Values) -> bool {
    let within = |expr: &Expr| {
        visit_expressions(expr, |part| match part {
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        })
        .is_break()
    };
    values.rows.iter().any(|row| row.content.iter().any(within))
}

/// The rows as SELECTs without FROM; `None` where there are none.
fn as_selects(values: &Values) -> Option<SetExpr> {
    let select = |cells: &[Expr]| -> Option<SetExpr> {
        let mut query = parse::query("SELECT 1").ok()?;
        let SetExpr::Select(select) = &mut *query.body else { return None };
        let items = cells.iter().enumerate().map(|(at, cell)| SelectItem::ExprWithAlias {
            expr: cell.clone(),
            alias: Ident::new(format!("column{}", at + 1)),
        });
        select.projection = items.collect();
        Some(*query.body)
    };
    let mut rows = values.rows.iter();
    let first = select(&rows.next()?.content)?;
    rows.try_fold(first, |left, row| {
        Some(SetExpr::SetOperation {
            op: SetOperator::Union,
            set_quantifier: SetQuantifier::All,
            left: Box::new(left),
            right: Box::new(select(&row.content)?),
        })
    })
}

fn columns(values: &mut Values) {
    let width = values.rows.first().map_or(0, |row| row.content.len());
    for at in 0..width {
        let items: Vec<&mut Expr> =
            values.rows.iter_mut().filter_map(|row| row.content.get_mut(at)).collect();
        column(items);
    }
}

fn column(items: Vec<&mut Expr>) {
    let mut common: Option<WireType> = None;
    let mut uncast = false;
    for item in &items {
        match (cast_target(item), common) {
            (Some(target), None) => common = Some(target),
            (Some(target), Some(known)) if target == known => {}
            (Some(target), Some(known)) if target.oid == known.oid => {
                common = Some(oid::wire(known.oid, -1));
            }
            (Some(_), Some(_)) => return,
            (None, _) if is_untyped(item) => {}
            (None, _) => uncast = true,
        }
    }
    let Some(mut common) = common else { return };
    if uncast {
        common = oid::wire(common.oid, -1);
    }
    for item in items {
        if cast_target(item) != Some(common) {
            let operand = std::mem::replace(item, Expr::value(Value::Null));
            *item = cast_call(operand, common);
        }
    }
}

/// A string literal or NULL.
fn is_untyped(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Value(ValueWithSpan { value: Value::Null | Value::SingleQuotedString(_), .. })
    )
}
