//! `FETCH FIRST n ROWS WITH TIES`: the first rows, and those that rank with the last of them.
//!
//! ```text
//! SELECT * EXCLUDE (keys, rank) FROM (SELECT …, keys, rank() OVER (ORDER BY keys)) WHERE rank <= offset + n
//! ORDER BY keys OFFSET offset
//! ```

use super::names::folded;
use super::template::{self, Part};
use super::walk;
use crate::error::SqlError;
use datafusion::sql::sqlparser::ast::{
    Distinct, ExcludeSelectItem, Expr, Ident, LimitClause, ObjectName, OrderByExpr, OrderByKind,
    Query, Select, SelectItem, SetExpr, Value, ValueWithSpan, VisitMut, WindowType,
};

const RANK: &str = "__terrane_rank";
const KEY: &str = "__terrane_key_";

/// Replaces WITH TIES in every query of a statement.
pub fn expand(statement: &mut impl VisitMut) -> Result<(), SqlError> {
    walk::inner_queries_first(statement, |query| {
        match query.fetch.as_ref().is_some_and(|fetch| fetch.with_ties) {
            true => expand_one(query),
            false => Ok(()),
        }
    })
}

fn expand_one(query: &mut Query) -> Result<(), SqlError> {
    let unsupported =
        || SqlError::unsupported("FETCH FIRST … WITH TIES of this query is not supported");
    let Some(order_by) = &mut query.order_by else {
        return Err(SqlError::syntax("WITH TIES cannot be specified without ORDER BY clause"));
    };
    let OrderByKind::Expressions(order) = &mut order_by.kind else { return Err(unsupported()) };
    let SetExpr::Select(select) = &mut *query.body else { return Err(unsupported()) };
    if matches!(select.distinct, Some(Distinct::Distinct | Distinct::On(_))) {
        return Err(unsupported());
    }
    let keys = order.iter().map(|item| key_of(&item.expr, select)).collect::<Option<Vec<_>>>();
    let keys = keys.ok_or_else(unsupported)?;
    let ordered: Vec<OrderByExpr> = order
        .iter()
        .zip(&keys)
        .map(|(item, key)| OrderByExpr { expr: key.clone(), ..item.clone() })
        .collect();
    let mut rank = template::expression("SELECT rank() OVER (ORDER BY 1)", &[])?;
    if let Expr::Function(function) = &mut rank
        && let Some(WindowType::WindowSpec(window)) = &mut function.over
    {
        window.order_by = ordered;
    }
    let hidden = |name: &str| Ident::with_quote('"', name);
    let names: Vec<String> = (0..keys.len()).map(|at| format!("{KEY}{at}")).collect();
    for (name, key) in names.iter().zip(keys) {
        select.projection.push(SelectItem::ExprWithAlias { expr: key, alias: hidden(name) });
    }
    select.projection.push(SelectItem::ExprWithAlias { expr: rank, alias: hidden(RANK) });
    for (item, name) in order.iter_mut().zip(&names) {
        item.expr = Expr::Identifier(hidden(name));
    }
    let count = query.fetch.take().and_then(|fetch| fetch.quantity);
    let count = count.unwrap_or_else(|| Expr::value(Value::Number("1".to_owned(), false)));
    let offset = match &query.limit_clause {
        Some(LimitClause::LimitOffset { offset: Some(offset), .. }) => offset.value.clone(),
        _ => Expr::value(Value::Number("0".to_owned(), false)),
    };
    let rows = Query { body: query.body.clone(), ..crate::parse::query("SELECT 1")? };
    let text = format!("SELECT * FROM (SELECT 1) AS __rows WHERE \"{RANK}\" <= __count + __offset");
    let parts = [
        ("__rows", Part::Rows(&rows)),
        ("__count", Part::Value(&count)),
        ("__offset", Part::Value(&offset)),
    ];
    query.body = template::query(&text, &parts)?.body;
    if let SetExpr::Select(outer) = &mut *query.body
        && let [SelectItem::Wildcard(options)] = outer.projection.as_mut_slice()
    {
        let names = names.iter().map(String::as_str).chain([RANK]);
        let names = names.map(|name| ObjectName::from(vec![hidden(name)])).collect();
        options.opt_exclude = Some(ExcludeSelectItem::Multiple(names));
    }
    Ok(())
}

/// What an item of ORDER BY orders by, as an expression of the select; `None` where syntax does not tell.
fn key_of(expr: &Expr, select: &Select) -> Option<Expr> {
    let output = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
            Some(expr.clone())
        }
        _ => None,
    };
    match expr {
        Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) => {
            let at: usize = digits.parse().ok()?;
            let before = select.projection.get(..at)?;
            before.iter().map(output).collect::<Option<Vec<_>>>()?.pop()
        }
        Expr::Identifier(name) => {
            let named = select.projection.iter().find_map(|item| match item {
                SelectItem::ExprWithAlias { expr, alias } if folded(alias) == folded(name) => {
                    Some(expr.clone())
                }
                _ => None,
            });
            Some(named.unwrap_or_else(|| expr.clone()))
        }
        other => Some(other.clone()),
    }
}
