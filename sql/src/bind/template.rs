//! Pieces of syntax written as SQL text, with parts of a statement put in.
//!
//! A derived table `(SELECT …) AS name` whose name is that of a part has the part in its place; so has a
//! bare identifier, and `(SELECT name)`, a scalar subquery of nothing else.

use crate::error::SqlError;
use crate::parse;
use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{
    Expr, Query, SelectItem, SetExpr, TableFactor, VisitMut, VisitorMut,
};

/// What is put in.
pub enum Part<'a> {
    /// A value.
    Value(&'a Expr),
    /// Rows.
    Rows(&'a Query),
}

/// A query.
pub fn query(text: &str, parts: &[(&str, Part<'_>)]) -> Result<Query, SqlError> {
    let mut query = parse::query(text)?;
    let _: ControlFlow<()> = query.visit(&mut Filler { parts });
    Ok(query)
}

/// The expression that a query selects.
pub fn expression(text: &str, parts: &[(&str, Part<'_>)]) -> Result<Expr, SqlError> {
    let SetExpr::Select(select) = *query(text, parts)?.body else {
        return Err(SqlError::internal("a template that is no select"));
    };
    match select.projection.into_iter().next() {
        Some(SelectItem::UnnamedExpr(expr)) => Ok(expr),
        _ => Err(SqlError::internal("a template without an expression")),
    }
}

struct Filler<'a> {
    parts: &'a [(&'a str, Part<'a>)],
}

impl Filler<'_> {
    fn rows(&self, name: &str) -> Option<&Query> {
        self.parts.iter().find_map(|(part, rows)| match rows {
            Part::Rows(rows) if *part == name => Some(*rows),
            _ => None,
        })
    }

    fn value(&self, name: &str) -> Option<&Expr> {
        self.parts.iter().find_map(|(part, value)| match value {
            Part::Value(value) if *part == name => Some(*value),
            _ => None,
        })
    }
}

impl VisitorMut for Filler<'_> {
    type Break = ();

    // After the children: what is put in is not looked at again.
    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived { subquery, alias: Some(alias), .. } = factor
            && let Some(rows) = self.rows(&alias.name.value)
        {
            **subquery = rows.clone();
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(name) => {
                if let Some(value) = self.value(&name.value) {
                    *expr = Expr::Nested(Box::new(value.clone()));
                }
            }
            Expr::Subquery(query) => {
                if let Some(rows) = selected_name(query).and_then(|name| self.rows(name)) {
                    **query = rows.clone();
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn selected_name(query: &Query) -> Option<&str> {
    let SetExpr::Select(select) = &*query.body else { return None };
    match select.projection.as_slice() {
        [SelectItem::UnnamedExpr(Expr::Identifier(name))] => Some(&name.value),
        _ => None,
    }
}
