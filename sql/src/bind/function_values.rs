//! `SELECT x ->> 'a' FROM jsonb_array_elements(…) AS x`: the relation's name as the value of its only column.
//!
//! Most functions call their column as their alias does, and there is nothing to do. Those whose column keeps a
//! name of its own are meant by their alias only where no relation beside them has a column of that name; where that
//! cannot be told, the name is left to be refused.

use super::names::folded;
use super::set_functions;
use super::using::{self, ColumnsOf};
use super::walk;
use crate::error::SqlError;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, OrderByKind, Query, Select, SelectItem, SetExpr, TableFactor, VisitMut,
};

/// Spells out these values in every query of a statement.
pub fn spell_out(statement: &mut impl VisitMut, columns_of: ColumnsOf<'_>) -> Result<(), SqlError> {
    let columns_of = using::hiding_ctes(statement, columns_of)?;
    walk::queries(statement, |query| {
        let Query { body, order_by, .. } = query;
        let SetExpr::Select(select) = &mut **body else { return Ok(()) };
        let values = values_of(select, &columns_of);
        if let Some(order_by) = order_by
            && let OrderByKind::Expressions(items) = &mut order_by.kind
        {
            walk::own_expressions(items, |expr| refer(expr, &values))?;
        }
        Ok(())
    })?;
    walk::selects(statement, |select| {
        let values = values_of(select, &columns_of);
        if values.is_empty() {
            return Ok(());
        }
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(Expr::Identifier(name)) = item {
                let (expr, alias) = (Expr::Identifier(name.clone()), name.clone());
                *item = SelectItem::ExprWithAlias { expr, alias };
            }
        }
        walk::own_expressions(select, |expr| refer(expr, &values))
    })
}

/// A relation's name, and that of its only column.
struct Named {
    relation: Ident,
    column: Ident,
}

fn refer(expr: &mut Expr, values: &[Named]) -> Result<(), SqlError> {
    if let Expr::Identifier(name) = expr
        && let Some(found) = values.iter().find(|named| folded(&named.relation) == folded(name))
    {
        *expr = Expr::CompoundIdentifier(vec![found.relation.clone(), found.column.clone()]);
    }
    Ok(())
}

/// The functions of FROM whose names stand for their values.
fn values_of(select: &Select, columns_of: ColumnsOf<'_>) -> Vec<Named> {
    let factors = select.from.iter().flat_map(|from| {
        std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation))
    });
    let factors: Vec<&TableFactor> = factors.collect();
    let mut values: Vec<Named> = factors.iter().filter_map(|factor| value_of(factor)).collect();
    values.retain(|value| {
        let name = folded(&value.relation);
        factors.iter().all(|factor| {
            columns(factor, columns_of).is_some_and(|columns| !columns.contains(&name))
        })
    });
    values
}

fn value_of(factor: &TableFactor) -> Option<Named> {
    let (name, alias) = match factor {
        TableFactor::Table { name, alias: Some(alias), args: Some(_), .. }
        | TableFactor::Function { name, alias: Some(alias), .. } => (name, alias),
        _ => return None,
    };
    let set = set_functions::find(&name.0.last()?.as_ident()?.value)?;
    let [column] = alias.columns.as_slice() else { return None };
    let differs = folded(&column.name) != folded(&alias.name);
    (set.keeps_name && set.column_names().count() == 1 && differs)
        .then(|| Named { relation: alias.name.clone(), column: column.name.clone() })
}

/// The columns of a relation; `None` where syntax and catalog do not tell.
fn columns(factor: &TableFactor, columns_of: ColumnsOf<'_>) -> Option<Vec<String>> {
    let alias = match factor {
        TableFactor::Table { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::UNNEST { alias, .. } => alias.as_ref(),
        _ => return None,
    };
    let listed = || alias.map(|alias| alias.columns.iter().map(|column| folded(&column.name)));
    match factor {
        TableFactor::Table { name, args: None, .. } => {
            let mut columns = columns_of(name)?;
            columns.extend(listed().into_iter().flatten());
            Some(columns)
        }
        TableFactor::Derived { subquery, .. } => {
            let mut columns: Vec<String> = match &*subquery.body {
                SetExpr::Select(select) => {
                    select.projection.iter().map(output).collect::<Option<_>>()?
                }
                SetExpr::Values(values) => {
                    let width = values.rows.first().map_or(0, |row| row.content.len());
                    (1..=width).map(|at| format!("column{at}")).collect()
                }
                _ => return None,
            };
            columns.extend(listed().into_iter().flatten());
            Some(columns)
        }
        _ => listed().map(Iterator::collect),
    }
}

fn output(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(folded(name)),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(folded),
        _ => None,
    }
}
