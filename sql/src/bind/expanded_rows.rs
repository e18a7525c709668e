//! `SELECT (each(m)).*`: the columns of a row that an expression answers.
//!
//! The parser gives `.*` behind a bracket as a field that is called `"*"`, which a select list alone may have. Of a function
//! that returns a set it is its columns, each as a field of the same call: the rows are made once. Of a relation's
//! name it is the relation's columns.

use super::{set_functions, walk};
use crate::error::SqlError;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Ident, ObjectName, SelectItem, SelectItemQualifiedWildcardKind, VisitMut,
    WildcardAdditionalOptions,
};

/// What the parser calls all fields of a row.
const ALL: &str = "*";

/// Spells these columns out in every select list of a statement.
pub fn spell_out(statement: &mut impl VisitMut) -> Result<(), SqlError> {
    walk::selects(statement, |select| {
        let is_expanded = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(expr) if row_of(expr).is_some());
        if select.projection.iter().any(is_expanded) {
            let items = std::mem::take(&mut select.projection);
            for item in items {
                match &item {
                    SelectItem::UnnamedExpr(expr) => match row_of(expr) {
                        Some(row) => select.projection.extend(columns_of(row)?),
                        None => select.projection.push(item),
                    },
                    _ => select.projection.push(item),
                }
            }
        }
        walk::own_expressions(select, |expr| match row_of(expr) {
            Some(_) => Err(SqlError::unsupported("row expansion via \"*\" is not supported here")),
            None => Ok(()),
        })
    })
}

/// The row whose columns are meant.
fn row_of(expr: &Expr) -> Option<&Expr> {
    let Expr::CompoundFieldAccess { root, access_chain } = expr else { return None };
    match access_chain.as_slice() {
        [AccessExpr::Dot(Expr::Identifier(Ident { value, quote_style: Some(_), .. }))]
            if value == ALL =>
        {
            Some(root)
        }
        _ => None,
    }
}

fn columns_of(row: &Expr) -> Result<Vec<SelectItem>, SqlError> {
    let mut inner = row;
    while let Expr::Nested(nested) = inner {
        inner = nested;
    }
    let names = match inner {
        Expr::Identifier(name) => Some(vec![name.clone()]),
        Expr::CompoundIdentifier(names) => Some(names.clone()),
        _ => None,
    };
    if let Some(names) = names {
        let relation = SelectItemQualifiedWildcardKind::ObjectName(ObjectName::from(names));
        let options = WildcardAdditionalOptions::default();
        return Ok(vec![SelectItem::QualifiedWildcard(relation, options)]);
    }
    let set = match inner {
        Expr::Function(function) => {
            let name = function.name.0.last().and_then(|part| part.as_ident());
            name.and_then(|name| set_functions::find(&name.value)).filter(|set| set.keeps_name)
        }
        _ => None,
    };
    let Some(set) = set else {
        let message = "row expansion via \"*\" is supported of functions with columns only";
        return Err(SqlError::unsupported(message));
    };
    let item = |name: &str| SelectItem::ExprWithAlias {
        expr: Expr::CompoundFieldAccess {
            root: Box::new(row.clone()),
            access_chain: vec![AccessExpr::Dot(Expr::Identifier(Ident::new(name)))],
        },
        alias: Ident::new(name),
    };
    Ok(set.column_names().map(item).collect())
}
