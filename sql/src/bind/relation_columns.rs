//! The names of a relation's columns, as far as syntax and catalog tell them.

use super::names::{UNNAMED, figure, folded};
use super::walk;
use crate::error::SqlError;
use datafusion::sql::sqlparser::ast::{
    JoinConstraint, JoinOperator, ObjectName, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableFactor, VisitMut,
};
use std::collections::HashMap;

/// Finds the columns of a relation by its name.
pub type ColumnsOf<'a> = &'a dyn Fn(&ObjectName) -> Option<Vec<String>>;

/// The lookup with the names that WITH defines before those of the catalog. Of one that is defined twice nothing is
/// told.
pub fn with_ctes<'a, S: VisitMut>(
    statement: &mut S,
    columns_of: ColumnsOf<'a>,
) -> Result<impl Fn(&ObjectName) -> Option<Vec<String>> + use<'a, S>, SqlError> {
    let mut ctes: HashMap<String, Option<Vec<String>>> = HashMap::new();
    walk::inner_queries_first(statement, |query| {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            let columns = of_query(&cte.query, &|name| find(&ctes, columns_of, name));
            let columns = columns.and_then(|columns| renamed(columns, Some(&cte.alias)));
            let name = folded(&cte.alias.name);
            let known = if ctes.contains_key(&name) { None } else { columns };
            ctes.insert(name, known);
        }
        Ok(())
    })?;
    Ok(move |name: &ObjectName| find(&ctes, columns_of, name))
}

fn find(
    ctes: &HashMap<String, Option<Vec<String>>>,
    columns_of: ColumnsOf<'_>,
    name: &ObjectName,
) -> Option<Vec<String>> {
    if let [part] = name.0.as_slice()
        && let Some(cte) = part.as_ident().and_then(|part| ctes.get(&folded(part)))
    {
        return cte.clone();
    }
    columns_of(name)
}

/// The columns of a relation in FROM, by the names they have there.
pub fn of_factor(factor: &TableFactor, columns_of: ColumnsOf<'_>) -> Option<Vec<String>> {
    match factor {
        TableFactor::Table { name, alias, args: None, .. } => {
            renamed(columns_of(name)?, alias.as_ref())
        }
        TableFactor::Derived { subquery, alias, .. } => {
            renamed(of_query(subquery, columns_of)?, alias.as_ref())
        }
        TableFactor::Table { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::UNNEST { alias, .. } => {
            Some(alias.as_ref()?.columns.iter().map(|column| folded(&column.name)).collect())
        }
        _ => None,
    }
}

/// What a relation's columns are qualified with; `None` where that takes more than syntax.
pub fn name_of(factor: &TableFactor) -> Option<&datafusion::sql::sqlparser::ast::Ident> {
    match factor {
        TableFactor::Table { name, alias, .. } => match alias {
            Some(alias) => Some(&alias.name),
            None => name.0.last()?.as_ident(),
        },
        TableFactor::Derived { alias, .. } => alias.as_ref().map(|alias| &alias.name),
        _ => None,
    }
}

/// Every relation of FROM, not those in brackets.
pub fn factors(select: &Select) -> impl Iterator<Item = &TableFactor> {
    select.from.iter().flat_map(|from| {
        std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation))
    })
}

/// The first columns by the names that an alias lists.
fn renamed(mut columns: Vec<String>, alias: Option<&TableAlias>) -> Option<Vec<String>> {
    let listed = alias.into_iter().flat_map(|alias| &alias.columns);
    for (at, column) in listed.enumerate() {
        *columns.get_mut(at)? = folded(&column.name);
    }
    Some(columns)
}

fn of_query(query: &Query, columns_of: ColumnsOf<'_>) -> Option<Vec<String>> {
    of_body(&query.body, columns_of)
}

fn of_body(body: &SetExpr, columns_of: ColumnsOf<'_>) -> Option<Vec<String>> {
    match body {
        SetExpr::Select(select) => {
            let items = select.projection.iter();
            let columns: Option<Vec<Vec<String>>> =
                items.map(|item| of_item(item, select, columns_of)).collect();
            Some(columns?.concat())
        }
        SetExpr::Values(values) => {
            let width = values.rows.first().map_or(0, |row| row.content.len());
            Some((1..=width).map(|at| format!("column{at}")).collect())
        }
        SetExpr::Query(query) => of_query(query, columns_of),
        SetExpr::SetOperation { left, .. } => of_body(left, columns_of),
        _ => None,
    }
}

fn of_item(item: &SelectItem, select: &Select, columns_of: ColumnsOf<'_>) -> Option<Vec<String>> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(vec![folded(alias)]),
        SelectItem::UnnamedExpr(expr) => {
            Some(vec![figure(expr).unwrap_or_else(|| UNNAMED.to_owned())])
        }
        SelectItem::Wildcard(_) if !select.from.iter().any(merges_columns) => {
            let columns: Option<Vec<Vec<String>>> =
                factors(select).map(|factor| of_factor(factor, columns_of)).collect();
            Some(columns?.concat())
        }
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
            let name = name.0.last()?.as_ident().map(folded)?;
            let factor = factors(select).find(|f| name_of(f).map(folded).as_ref() == Some(&name));
            of_factor(factor?, columns_of)
        }
        _ => None,
    }
}

/// True where `*` shows less than the columns of all relations.
fn merges_columns(from: &datafusion::sql::sqlparser::ast::TableWithJoins) -> bool {
    let merging = |constraint: &JoinConstraint| {
        matches!(constraint, JoinConstraint::Using(_) | JoinConstraint::Natural)
    };
    from.joins.iter().any(|join| match &join.join_operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint) => merging(constraint),
        JoinOperator::CrossJoin(_) => false,
        _ => true,
    })
}
