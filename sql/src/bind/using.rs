//! `JOIN … USING (id)`: what `id` means.
//!
//! The merged column is the left one of an inner or left join, the right one of a right join, and the first that
//! is not NULL of a full join. DataFusion calls it ambiguous in WHERE, and always answers the left one. Here
//! every reference to a merged column says which it means. Where the left side is more than one table the
//! column belongs to one that only the catalog knows: inner and left joins are then left to DataFusion, others
//! refused.

use super::names::folded;
use super::template::{self, Part};
use super::walk;
use crate::catalog::quote::quote_ident;
use crate::error::SqlError;
use datafusion::sql::sqlparser::ast::{
    ExcludeSelectItem, Expr, GroupByExpr, Ident, Join, JoinConstraint, JoinOperator, ObjectName,
    Select, SelectItem, SetExpr, TableFactor, TableWithJoins, VisitMut,
};

/// Resolves merged columns in every select of a statement.
pub fn resolve(statement: &mut impl VisitMut) -> Result<(), SqlError> {
    walk::selects(statement, resolve_in)
}

/// A column that a join merged.
struct Merged {
    name: String,
    value: Expr,
    /// True where DataFusion's choice, the left one, would be wrong.
    not_left: bool,
}

fn resolve_in(select: &mut Select) -> Result<(), SqlError> {
    let mut merged: Vec<Merged> = Vec::new();
    for from in &select.from {
        merge(from, &mut merged)?;
    }
    if merged.is_empty() {
        return Ok(());
    }
    let refer = |expr: &mut Expr| {
        if let Expr::Identifier(name) = expr {
            let name = folded(name);
            if let Some(column) = merged.iter().find(|column| column.name == name) {
                *expr = column.value.clone();
            }
        }
        Ok(())
    };
    if merged.iter().any(|column| column.not_left) {
        expand_wildcards(select, &merged)?;
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(Expr::Identifier(name)) = item {
                *item = SelectItem::ExprWithAlias {
                    expr: Expr::Identifier(name.clone()),
                    alias: name.clone(),
                };
            }
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                walk::own_expressions(expr, refer)?;
            }
        }
        if let GroupByExpr::Expressions(items, _) = &mut select.group_by {
            walk::own_expressions(items, refer)?;
        }
        walk::own_expressions(&mut select.having, refer)?;
    }
    walk::own_expressions(&mut select.selection, refer)
}

fn merge(from: &TableWithJoins, merged: &mut Vec<Merged>) -> Result<(), SqlError> {
    let mut left = vec![relation_name(&from.relation)];
    let first = merged.len();
    for join in &from.joins {
        let right = relation_name(&join.relation);
        if let Some((kind, columns)) = using(&join.join_operator) {
            for column in columns {
                let Some(name) = column.0.last().and_then(|part| part.as_ident()) else { continue };
                let known = merged[first..].iter().position(|merged| merged.name == folded(name));
                let known = known.map(|at| merged.remove(first + at));
                let left_value = match (&known, left.as_slice()) {
                    (Some(known), _) => Some(known.value.clone()),
                    (None, [Some(table)]) => Some(qualified(table, name)),
                    _ => None,
                };
                let not_left = known.is_some_and(|known| known.not_left) || kind != Kind::Left;
                match (left_value, &right) {
                    (Some(left), Some(right)) => {
                        let value = kind.choose(left, qualified(right, name))?;
                        merged.push(Merged { name: folded(name), value, not_left });
                    }
                    _ if not_left => {
                        return Err(SqlError::unsupported(
                            "RIGHT and FULL JOIN USING after another join is not supported",
                        ));
                    }
                    _ => {}
                }
            }
        }
        left.push(right);
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Left,
    Right,
    Full,
}

impl Kind {
    fn choose(self, left: Expr, right: Expr) -> Result<Expr, SqlError> {
        Ok(match self {
            Self::Left => left,
            Self::Right => right,
            Self::Full => template::expression(
                "SELECT coalesce(__left, __right)",
                &[("__left", Part::Value(&left)), ("__right", Part::Value(&right))],
            )?,
        })
    }
}

fn using(operator: &JoinOperator) -> Option<(Kind, &[ObjectName])> {
    let (kind, constraint) = match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint) => (Kind::Left, constraint),
        JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
            (Kind::Right, constraint)
        }
        JoinOperator::FullOuter(constraint) => (Kind::Full, constraint),
        _ => return None,
    };
    match constraint {
        JoinConstraint::Using(columns) => Some((kind, columns)),
        _ => None,
    }
}

/// What a relation's columns are qualified with; `None` where that takes more than syntax.
fn relation_name(relation: &TableFactor) -> Option<Ident> {
    match relation {
        TableFactor::Table { name, alias, .. } => match alias {
            Some(alias) => Some(alias.name.clone()),
            None => name.0.last()?.as_ident().cloned(),
        },
        TableFactor::Derived { alias, .. } => alias.as_ref().map(|alias| alias.name.clone()),
        _ => None,
    }
}

fn qualified(table: &Ident, column: &Ident) -> Expr {
    Expr::CompoundIdentifier(vec![table.clone(), column.clone()])
}

/// `*` over a right or full join: the merged columns, then each side's others.
fn expand_wildcards(select: &mut Select, merged: &[Merged]) -> Result<(), SqlError> {
    if !select.projection.iter().any(|item| matches!(item, SelectItem::Wildcard(_))) {
        return Ok(());
    }
    let ([TableWithJoins { relation, joins }], [join]) = (select.from.as_slice(), joins_of(select))
    else {
        return Err(SqlError::unsupported(
            "SELECT * over several joins with RIGHT or FULL JOIN USING is not supported",
        ));
    };
    debug_assert_eq!(joins.len(), 1);
    let sides = [relation_name(relation), relation_name(&join.relation)];
    let [Some(left), Some(right)] = sides else {
        return Err(SqlError::unsupported("SELECT * over a join USING of nameless relations"));
    };
    let names: Vec<String> = merged.iter().map(|column| quote_ident(&column.name)).collect();
    let values: Vec<String> =
        names.iter().enumerate().map(|(at, name)| format!("__merged{at} AS {name}")).collect();
    let text = format!(
        "SELECT {}, {}.*, {}.*",
        values.join(", "),
        quote_ident(&left.value),
        quote_ident(&right.value),
    );
    let parts: Vec<(String, &Expr)> = merged
        .iter()
        .enumerate()
        .map(|(at, column)| (format!("__merged{at}"), &column.value))
        .collect();
    let parts: Vec<(&str, Part<'_>)> =
        parts.iter().map(|(name, value)| (name.as_str(), Part::Value(value))).collect();
    let SetExpr::Select(mut expanded) = *template::query(&text, &parts)?.body else {
        return Err(SqlError::internal("a template that is no select"));
    };
    for item in &mut expanded.projection {
        if let SelectItem::QualifiedWildcard(_, options) = item {
            let names =
                merged.iter().map(|column| ObjectName::from(Ident::with_quote('"', &column.name)));
            options.opt_exclude = Some(ExcludeSelectItem::Multiple(names.collect()));
        }
    }
    let items = std::mem::take(&mut select.projection);
    for item in items {
        match item {
            SelectItem::Wildcard(_) => select.projection.extend(expanded.projection.clone()),
            other => select.projection.push(other),
        }
    }
    Ok(())
}

fn joins_of(select: &Select) -> &[Join] {
    select.from.first().map_or(&[], |from| &from.joins)
}
