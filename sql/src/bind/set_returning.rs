//! `SELECT generate_series(1, 3)`: three rows.
//!
//! [`set_functions`] knows the function that makes one array of them; `unnest` makes rows of it.

use super::rewrite::call;
use super::set_functions;
use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, Query, Select, SelectItem, Value, VisitMut, VisitorMut,
};

/// Expands the functions in every select list of a statement.
pub fn expand(statement: &mut impl VisitMut) {
    let _: ControlFlow<()> = statement.visit(&mut Selects);
}

struct Selects;

impl VisitorMut for Selects {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                expr.visit(&mut Series { depth: 0 })?;
            }
        }
        ControlFlow::Continue(())
    }
}

/// One item of a select list, without the subqueries it holds.
struct Series {
    depth: usize,
}

impl VisitorMut for Series {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth == 0
            && let Expr::Function(function) = expr
            && let Some(name) = function.name.0.last().and_then(|part| part.as_ident())
            && let Some(rows) = set_functions::find(&name.value).and_then(|set| set.rows)
        {
            function.name = ObjectName::from(vec![Ident::new(rows)]);
            let series = std::mem::replace(expr, Expr::value(Value::Null));
            *expr = call("unnest", vec![series]);
        }
        ControlFlow::Continue(())
    }
}
