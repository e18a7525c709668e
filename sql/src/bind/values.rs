//! `VALUES` lists of several rows: one type for each column.
//!
//! A string literal, of unknown type to PostgreSQL, takes the type of the other rows' casts; casts to one type with
//! different modifiers meet at the type without one. DataFusion would refuse both. Runs after
//! [`rewrite`](super::rewrite), which has made calls of casts.

use super::rewrite::{cast_call, cast_target};
use crate::session::response::WireType;
use crate::types::oid;
use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{
    Expr, Query, SetExpr, Value, ValueWithSpan, Values, VisitMut, VisitorMut,
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
        SetExpr::Values(values) if values.rows.len() > 1 => columns(values),
        SetExpr::SetOperation { left, right, .. } => {
            bodies(left);
            bodies(right);
        }
        _ => {}
    }
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
        if cast_target(item) != Some(common) && !is_null(item) {
            let operand = std::mem::replace(item, Expr::value(Value::Null));
            *item = cast_call(operand, common);
        }
    }
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(ValueWithSpan { value: Value::Null, .. }))
}

/// A string literal or NULL.
fn is_untyped(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Value(ValueWithSpan { value: Value::Null | Value::SingleQuotedString(_), .. })
    )
}
