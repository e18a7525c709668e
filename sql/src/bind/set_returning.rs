//! `SELECT generate_series(1, 3)`: three rows.
//!
//! [`set_functions`] knows the function that makes one array of them; `unnest` makes rows of it.

use super::rewrite::call;
use super::set_functions;
use super::walk;
use crate::error::SqlError;
use datafusion::sql::sqlparser::ast::{Expr, Ident, ObjectName, SelectItem, Value, VisitMut};

/// Expands the functions in every select list of a statement.
pub fn expand(statement: &mut impl VisitMut) -> Result<(), SqlError> {
    walk::selects(statement, |select| {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                walk::own_expressions(expr, expand_call)?;
            }
        }
        Ok(())
    })
}

fn expand_call(expr: &mut Expr) -> Result<(), SqlError> {
    if let Expr::Function(function) = expr
        && let Some(name) = function.name.0.last().and_then(|part| part.as_ident())
        && let Some(rows) = set_functions::find(&name.value).and_then(|set| set.rows)
    {
        function.name = ObjectName::from(vec![Ident::new(rows)]);
        let series = std::mem::replace(expr, Expr::value(Value::Null));
        *expr = call("unnest", vec![series]);
    }
    Ok(())
}
