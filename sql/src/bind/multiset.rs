//! `INTERSECT ALL` and `EXCEPT ALL`.
//!
//! DataFusion's joins keep or drop all copies of a row. Numbering the copies on both sides makes every row
//! its own, and the operation without ALL then counts right: the third copy of a row is in both sides only if both
//! have three.

use super::names;
use super::template::{self, Part};
use super::walk;
use crate::error::SqlError;
use crate::parse;
use datafusion::sql::sqlparser::ast::{
    Query, SelectItem, SetExpr, SetOperator, SetQuantifier, VisitMut,
};

/// Rewrites them in every query of a statement.
pub fn rewrite(statement: &mut impl VisitMut) -> Result<(), SqlError> {
    walk::queries(statement, |query| number(&mut query.body))
}

fn number(body: &mut SetExpr) -> Result<(), SqlError> {
    let SetExpr::SetOperation { left, op, set_quantifier, right } = body else { return Ok(()) };
    number(left)?;
    number(right)?;
    let name = match (&*op, &*set_quantifier) {
        (SetOperator::Intersect, SetQuantifier::All) => "INTERSECT",
        (SetOperator::Except, SetQuantifier::All) => "EXCEPT",
        _ => return Ok(()),
    };
    let Some(outputs) = outputs(left) else {
        return Err(SqlError::unsupported(format!("{name} ALL of SELECT * is not supported")));
    };
    let columns: Vec<String> = (0..outputs.len()).map(|at| format!("c{at}")).collect();
    let columns = columns.join(", ");
    let numbered = |side: &str| {
        format!(
            "SELECT {columns}, row_number() OVER (PARTITION BY {columns}) \
             FROM (SELECT 1) AS {side}({columns})"
        )
    };
    let shown: Vec<String> = outputs
        .iter()
        .enumerate()
        .map(|(at, output)| format!("c{at} AS {}", crate::catalog::quote::quote_ident(output)))
        .collect();
    let text = format!(
        "SELECT {} FROM ({} {name} {}) AS __numbered({columns}, n)",
        shown.join(", "),
        numbered("__left"),
        numbered("__right"),
    );
    let left = query_of(std::mem::replace(&mut **left, nothing()?))?;
    let right = query_of(std::mem::replace(&mut **right, nothing()?))?;
    let parts = [("__left", Part::Rows(&left)), ("__right", Part::Rows(&right))];
    *body = *template::query(&text, &parts)?.body;
    Ok(())
}

fn nothing() -> Result<SetExpr, SqlError> {
    Ok(*parse::query("SELECT NULL")?.body)
}

fn query_of(body: SetExpr) -> Result<Query, SqlError> {
    let mut query = parse::query("SELECT NULL")?;
    query.body = Box::new(body);
    Ok(query)
}

/// The names of what a body answers; `None` where only a catalog can tell.
fn outputs(body: &SetExpr) -> Option<Vec<String>> {
    match body {
        SetExpr::Select(select) => select.projection.iter().map(output).collect(),
        SetExpr::Query(query) => outputs(&query.body),
        SetExpr::SetOperation { left, .. } => outputs(left),
        SetExpr::Values(values) => {
            let row = values.rows.first()?;
            Some((1..=row.content.len()).map(|at| format!("column{at}")).collect())
        }
        _ => None,
    }
}

fn output(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::UnnamedExpr(expr) => {
            Some(names::figure(expr).unwrap_or_else(|| names::UNNAMED.to_owned()))
        }
        SelectItem::ExprWithAlias { alias, .. } => Some(names::folded(alias)),
        _ => None,
    }
}
