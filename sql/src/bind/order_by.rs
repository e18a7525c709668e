//! `SELECT o.a AS t FROM o ORDER BY o.t`: a qualified column is the table's, whatever the outputs are called.
//!
//! DataFusion takes it for the output as well and calls it ambiguous. The output steps aside: it gets a name that
//! nobody writes, and the client is shown the other.

use super::names::{TWIN, folded};
use super::walk;
use crate::error::SqlError;
use datafusion::sql::sqlparser::ast::{Expr, Ident, OrderByKind, Query, SelectItem, SetExpr};

/// Renames such outputs of the query itself: nothing outside of it knows them by name.
pub fn step_aside(query: &mut Query) -> Result<(), SqlError> {
    let Query { body, order_by: Some(order_by), .. } = query else { return Ok(()) };
    let (SetExpr::Select(select), OrderByKind::Expressions(items)) =
        (&mut **body, &mut order_by.kind)
    else {
        return Ok(());
    };
    let mut columns: Vec<(String, Expr)> = Vec::new();
    for item in &mut *items {
        walk::own_expressions(&mut item.expr, |expr| {
            if let Expr::CompoundIdentifier(parts) = expr
                && let Some(name) = parts.last()
            {
                columns.push((folded(name), expr.clone()));
            }
            Ok(())
        })?;
    }
    for (at, output) in select.projection.iter_mut().enumerate() {
        let SelectItem::ExprWithAlias { expr, alias } = output else { continue };
        let name = folded(alias);
        if !columns.iter().any(|(column, of)| *column == name && of != expr) {
            continue;
        }
        let aside = Ident::with_quote('"', format!("{name}{TWIN}{at}"));
        for item in &mut *items {
            if matches!(&item.expr, Expr::Identifier(by) if folded(by) == name) {
                item.expr = Expr::Identifier(aside.clone());
            }
        }
        *alias = aside;
    }
    Ok(())
}
