//! `SELECT o.a AS t FROM o ORDER BY o.t`, `SELECT -a AS a FROM o ORDER BY a + 0`: what columns in ORDER BY mean.
//!
//! A bare name is an output. A qualified column, and a name within an expression, is the table's, whatever the
//! outputs are called. DataFusion takes it for the output as well, or calls it ambiguous. Such an output steps aside: it
//! gets a name that nobody writes, and what is around the query is shown the other.

use super::names::{TWIN, folded};
use super::template::{self, Part};
use super::walk;
use crate::catalog::quote::quote_ident;
use crate::error::SqlError;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, OrderByExpr, OrderByKind, Query, SelectItem, SetExpr, VisitMut,
};

/// Renames such outputs in every query of a statement. The outputs of a client's own query are not known by name
/// outside of it; those of a view's are, as are those of the queries within.
pub fn step_aside(statement: &mut impl VisitMut, is_clients: bool) -> Result<(), SqlError> {
    let mut unnamed = is_clients;
    walk::queries(statement, |query| {
        let is_outermost = std::mem::take(&mut unnamed);
        let Some(shown) = rename(query, is_outermost)? else { return Ok(()) };
        if !is_outermost {
            let text = format!("SELECT {} FROM (SELECT 1) AS __renamed", shown.join(", "));
            *query = template::query(&text, &[("__renamed", Part::Rows(query))])?;
        }
        Ok(())
    })
}

/// What a query's outputs are called from then on, each with the name it had; `None` where nothing is renamed.
fn rename(query: &mut Query, is_outermost: bool) -> Result<Option<Vec<String>>, SqlError> {
    let Query { body, order_by: Some(order_by), .. } = query else { return Ok(None) };
    let (SetExpr::Select(select), OrderByKind::Expressions(items)) =
        (&mut **body, &mut order_by.kind)
    else {
        return Ok(None);
    };
    let columns = columns_of(items)?;
    let hides = |expr: &Expr, alias: &Ident| {
        let name = folded(alias);
        columns.iter().any(|(column, of)| *column == name && of != expr)
    };
    let is_hiding = |item: &SelectItem| match item {
        SelectItem::ExprWithAlias { expr, alias } => hides(expr, alias),
        _ => false,
    };
    let named: Option<Vec<String>> = select.projection.iter().map(name_of).collect();
    if !select.projection.iter().any(is_hiding) || (named.is_none() && !is_outermost) {
        return Ok(None);
    }
    let mut shown = Vec::new();
    for (at, output) in select.projection.iter_mut().enumerate() {
        let name = named.as_ref().map(|named| named[at].clone()).unwrap_or_default();
        let SelectItem::ExprWithAlias { expr, alias } = output else {
            shown.push(quote_ident(&name));
            continue;
        };
        if !hides(expr, alias) {
            shown.push(quote_ident(&name));
            continue;
        }
        let name = folded(alias);
        let aside = Ident::with_quote('"', format!("{name}{TWIN}{at}"));
        for item in &mut *items {
            if matches!(&item.expr, Expr::Identifier(by) if folded(by) == name) {
                item.expr = Expr::Identifier(aside.clone());
            }
        }
        shown.push(format!("{aside} AS {}", quote_ident(&name)));
        *alias = aside;
    }
    Ok(Some(shown))
}

/// The columns of tables that ORDER BY mentions, by name.
fn columns_of(items: &mut [OrderByExpr]) -> Result<Vec<(String, Expr)>, SqlError> {
    let mut columns: Vec<(String, Expr)> = Vec::new();
    for item in items {
        let is_bare = matches!(item.expr, Expr::Identifier(_));
        walk::own_expressions(&mut item.expr, |expr| {
            let name = match &*expr {
                Expr::CompoundIdentifier(parts) => parts.last(),
                Expr::Identifier(name) if !is_bare => Some(name),
                _ => None,
            };
            columns.extend(name.map(|name| (folded(name), expr.clone())));
            Ok(())
        })?;
    }
    Ok(columns)
}

/// An output's name, where it is plain.
fn name_of(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(folded(name)),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(folded),
        _ => None,
    }
}
