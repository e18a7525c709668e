//! `SELECT x ->> 'a' FROM jsonb_array_elements(…) AS x`: the relation's name as the value of its only column.
//!
//! Most functions call their column as their alias does, and there is nothing to do. Those whose column keeps a
//! name of its own are meant by their alias only where no relation beside them has a column of that name; where that
//! cannot be told, the name is left to be refused.

use super::names::folded;
use super::relation_columns::{self, ColumnsOf};
use super::set_functions;
use super::walk;
use crate::error::SqlError;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, OrderByKind, Query, Select, SelectItem, SetExpr, TableFactor, VisitMut,
};

/// Spells out these values in every query of a statement.
pub fn spell_out(statement: &mut impl VisitMut, columns_of: ColumnsOf<'_>) -> Result<(), SqlError> {
    let columns_of = relation_columns::with_ctes(statement, columns_of)?;
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
    let factors: Vec<&TableFactor> = relation_columns::factors(select).collect();
    let mut values: Vec<Named> = factors.iter().filter_map(|factor| value_of(factor)).collect();
    values.retain(|value| {
        let name = folded(&value.relation);
        factors.iter().all(|factor| {
            let columns = relation_columns::of_factor(factor, columns_of);
            columns.is_some_and(|columns| !columns.contains(&name))
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
