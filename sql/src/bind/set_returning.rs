//! `SELECT generate_series(1, 3)`: three rows.
//!
//! [`set_functions`] knows the function that makes one array of them; `unnest` makes rows of it.

use super::rewrite::{call, cast_call};
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
    let Expr::Function(function) = expr else { return Ok(()) };
    let Some(name) = function.name.0.last().and_then(|part| part.as_ident()) else { return Ok(()) };
    let Some(set) = set_functions::find(&name.value) else { return Ok(()) };
    let Some(rows) = set.rows else {
        let message = format!("{}() in a select list is not supported", name.value);
        return Err(SqlError::unsupported(message).with_hint("Call it in FROM."));
    };
    function.name = ObjectName::from(vec![Ident::new(rows)]);
    let array = std::mem::replace(expr, Expr::value(Value::Null));
    *expr = call("unnest", vec![array]);
    if let Some(to) = set.types().next().flatten() {
        let element = std::mem::replace(expr, Expr::value(Value::Null));
        *expr = cast_call(element, to);
    }
    Ok(())
}
