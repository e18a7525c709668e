//! `x IN (SELECT …)` and `EXISTS (SELECT …)` as values.
//!
//! As a condition of WHERE, DataFusion turns them into semi, anti and mark joins. As a value (in a select list,
//! in CASE, under NOT) it cannot plan them, and a NOT IN beside OR loses its NULLs. There they become
//! counts, which scalar subqueries compute with PostgreSQL's three values:
//!
//! ```text
//! EXISTS (q)     (SELECT count(*) FROM (q)) > 0
//! x IN (q)       CASE WHEN no row of q THEN false WHEN some row of q = x THEN true
//!                     WHEN for some row of q whether it equals x is unknown THEN NULL ELSE false END
//! ```

use super::row_values;
use super::template::{self, Part};
use super::walk;
use crate::error::SqlError;
use crate::parse;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Ident, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, UnaryOperator, Value, VisitMut,
};

/// Stands for the subquery in the templates below.
const ROWS: &str = "__rows";
/// Stands for the condition that a row of it equals the value looked for.
const EQUAL: &str = "__equal";

/// Begins the names of the subquery's columns there: none that the value looked for may have.
const COLUMN: &str = "__column";

/// Replaces them in every select of a statement.
pub fn rewrite(statement: &mut impl VisitMut) -> Result<(), SqlError> {
    walk::selects(statement, |select| {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                value(expr)?;
            }
        }
        select.having.iter_mut().try_for_each(beyond_all)?;
        select.selection.iter_mut().chain(&mut select.having).try_for_each(conjunct)
    })
}

/// `count(*) >= ALL (q)` in HAVING: an aggregate cannot be looked for in a subquery, so that it is compared with
/// the largest or the least value of q. `= ANY` is IN, `<> ALL` is NOT IN.
fn beyond_all(having: &mut Expr) -> Result<(), SqlError> {
    walk::own_expressions(having, |expr| {
        let (probe, op, rows, all) = match expr {
            Expr::AnyOp { left, compare_op, right, .. } => (left, compare_op, right, false),
            Expr::AllOp { left, compare_op, right } => (left, compare_op, right, true),
            _ => return Ok(()),
        };
        let Expr::Subquery(rows) = &**rows else { return Ok(()) };
        if matches!((&*op, all), (BinaryOperator::Eq, false) | (BinaryOperator::NotEq, true)) {
            *expr = Expr::InSubquery { expr: probe.clone(), subquery: rows.clone(), negated: all };
            return Ok(());
        }
        let extreme = match (&*op, all) {
            (BinaryOperator::Gt | BinaryOperator::GtEq, true)
            | (BinaryOperator::Lt | BinaryOperator::LtEq, false) => "max",
            (BinaryOperator::Lt | BinaryOperator::LtEq, true)
            | (BinaryOperator::Gt | BinaryOperator::GtEq, false) => "min",
            _ => return Ok(()),
        };
        check_width(std::slice::from_ref(&**probe), rows)?;
        let from = format!("FROM (SELECT 1) AS {ROWS}({COLUMN}0)");
        let holds = format!("(({EQUAL}) {op} (SELECT {extreme}({COLUMN}0) {from}))");
        let text = format!(
            "SELECT (CASE WHEN {holds} IS {} THEN {} WHEN (SELECT count(*) {from}) = 0 THEN {all} \
             WHEN {holds} IS NULL OR (SELECT count(*) {from} WHERE {COLUMN}0 IS NULL) > 0 THEN NULL \
             ELSE {all} END)",
            !all, !all
        );
        let probe = Expr::Nested(probe.clone());
        *expr =
            template::expression(&text, &[(EQUAL, Part::Value(&probe)), (ROWS, Part::Rows(rows))])?;
        Ok(())
    })
}

/// A condition that must be true: what DataFusion joins on stays.
fn conjunct(expr: &mut Expr) -> Result<(), SqlError> {
    // NOT x IN (…) is x NOT IN (…).
    if let Expr::UnaryOp { op: UnaryOperator::Not, expr: inner } = expr
        && let Expr::InSubquery { negated, .. } = &mut **inner
    {
        *negated = !*negated;
        let inner = std::mem::replace(&mut **inner, Expr::value(Value::Null));
        *expr = inner;
    }
    match expr {
        Expr::BinaryOp { op: BinaryOperator::And, left, right } => {
            conjunct(left)?;
            conjunct(right)
        }
        Expr::Nested(inner) => conjunct(inner),
        Expr::InSubquery { expr: probe, subquery, negated } => match row_values::fields(probe) {
            Some(fields) if *negated => {
                *expr = member(&fields, subquery, true)?;
                Ok(())
            }
            Some(fields) => {
                *expr = some_equal(&fields, subquery)?;
                Ok(())
            }
            None => value(probe),
        },
        Expr::UnaryOp { op: UnaryOperator::Not, expr: inner }
            if matches!(**inner, Expr::Exists { .. }) =>
        {
            Ok(())
        }
        other => alternative(other),
    }
}

/// A condition beside others, under OR: only NOT IN tells NULL from false there.
fn alternative(expr: &mut Expr) -> Result<(), SqlError> {
    match expr {
        Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, left, right } => {
            alternative(left)?;
            alternative(right)
        }
        Expr::Nested(inner) => alternative(inner),
        Expr::Exists { .. } => Ok(()),
        Expr::InSubquery { expr: probe, negated: false, .. }
            if row_values::fields(probe).is_none() =>
        {
            value(probe)
        }
        other => value(other),
    }
}

/// Anything else: the value counts, NULL or not. The subqueries it holds are selects of their own.
fn value(expr: &mut Expr) -> Result<(), SqlError> {
    walk::own_expressions(expr, |expr| {
        *expr = match expr {
            Expr::Exists { subquery, negated } => {
                // Never planned: it takes the place of a subquery that moved.
                let moved = Box::new(parse::query("SELECT NULL")?);
                count_above_zero(std::mem::replace(subquery, moved), *negated)?
            }
            Expr::InSubquery { expr, subquery, negated } => {
                let probe = row_values::fields(expr).unwrap_or_else(|| vec![(**expr).clone()]);
                member(&probe, subquery, *negated)?
            }
            Expr::AnyOp { left, compare_op, right, .. } => match &**right {
                Expr::Subquery(rows) => quantified(left, compare_op, rows, "true")?,
                _ => return Ok(()),
            },
            Expr::AllOp { left, compare_op, right } => match &**right {
                Expr::Subquery(rows) => quantified(left, compare_op, rows, "false")?,
                _ => return Ok(()),
            },
            _ => return Ok(()),
        };
        Ok(())
    })
}

/// `x > ANY (q)`, decided by a row for which the comparison is true, and `x > ALL (q)`, by one for which it is
/// false.
fn quantified(
    probe: &Expr,
    op: &BinaryOperator,
    rows: &Query,
    decided_by: &str,
) -> Result<Expr, SqlError> {
    let probe = std::slice::from_ref(probe);
    check_width(probe, rows)?;
    let column = Expr::CompoundIdentifier(vec![Ident::new(ROWS), Ident::new(format!("{COLUMN}0"))]);
    let compared = Expr::Nested(Box::new(Expr::BinaryOp {
        left: Box::new(Expr::Nested(Box::new(probe[0].clone()))),
        op: op.clone(),
        right: Box::new(column),
    }));
    let count = format!("SELECT count(*) FROM (SELECT 1) AS {ROWS}({COLUMN}0)");
    let otherwise = decided_by == "false";
    let text = format!(
        "SELECT (CASE WHEN ({count} WHERE ({EQUAL}) IS {decided_by}) > 0 THEN {decided_by} \
         WHEN ({count} WHERE ({EQUAL}) IS NULL) > 0 THEN NULL ELSE {otherwise} END)"
    );
    template::expression(&text, &[(EQUAL, Part::Value(&compared)), (ROWS, Part::Rows(rows))])
}

/// `EXISTS`: a plain select is counted as it is, so that its conditions can become a join's.
fn count_above_zero(mut rows: Box<Query>, negated: bool) -> Result<Expr, SqlError> {
    let compare = if negated { "=" } else { ">" };
    if let Some(select) = plain(&mut rows) {
        let counting = parse::query("SELECT count(*)")?;
        if let SetExpr::Select(counting) = *counting.body {
            select.projection = counting.projection;
        }
        let text = format!("SELECT ((SELECT {ROWS}) {compare} 0)");
        return template::expression(&text, &[(ROWS, Part::Rows(&rows))]);
    }
    let text = format!("SELECT ((SELECT count(*) FROM (SELECT 1) AS {ROWS}) {compare} 0)");
    template::expression(&text, &[(ROWS, Part::Rows(&rows))])
}

/// A select whose rows are those of its FROM and WHERE.
fn plain(query: &mut Query) -> Option<&mut Select> {
    let bare = query.with.is_none() && query.limit_clause.is_none() && query.fetch.is_none();
    let SetExpr::Select(select) = &mut *query.body else { return None };
    let ungrouped = matches!(&select.group_by, GroupByExpr::Expressions(items, _) if items.is_empty())
        && select.having.is_none()
        && select.distinct.is_none()
        && !select.from.is_empty();
    let constant = |item: &SelectItem| {
        matches!(
            item,
            SelectItem::Wildcard(_)
                | SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(_), _)
                | SelectItem::UnnamedExpr(
                    Expr::Value(_) | Expr::Identifier(_) | Expr::CompoundIdentifier(_)
                )
                | SelectItem::ExprWithAlias {
                    expr: Expr::Value(_) | Expr::Identifier(_) | Expr::CompoundIdentifier(_),
                    ..
                }
        )
    };
    (bare && ungrouped && select.projection.iter().all(constant)).then_some(select)
}

/// The subquery's columns in a template, and the condition that a row of it equals the value looked for.
fn matching(probe: &[Expr]) -> Result<(String, Expr), SqlError> {
    let names: Vec<String> = (0..probe.len()).map(|at| format!("{COLUMN}{at}")).collect();
    let columns: Vec<Expr> = names
        .iter()
        .map(|name| Expr::CompoundIdentifier(vec![Ident::new(ROWS), Ident::new(name)]))
        .collect();
    Ok((names.join(", "), row_values::equal(&columns, probe)?))
}

/// `(a, b) IN (SELECT …)` where it must be true.
fn some_equal(probe: &[Expr], rows: &Query) -> Result<Expr, SqlError> {
    check_width(probe, rows)?;
    let (columns, equal) = matching(probe)?;
    let text =
        format!("SELECT (EXISTS (SELECT 1 FROM (SELECT 1) AS {ROWS}({columns}) WHERE {EQUAL}))");
    template::expression(&text, &[(EQUAL, Part::Value(&equal)), (ROWS, Part::Rows(rows))])
}

/// 42601 where the subquery plainly has another number of columns.
fn check_width(probe: &[Expr], rows: &Query) -> Result<(), SqlError> {
    let SetExpr::Select(select) = &*rows.body else { return Ok(()) };
    let plain = |item: &SelectItem| {
        matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. })
    };
    if !select.projection.iter().all(plain) || select.projection.len() == probe.len() {
        return Ok(());
    }
    let many = if select.projection.len() > probe.len() { "many" } else { "few" };
    Err(SqlError::syntax(format!("subquery has too {many} columns")))
}

fn member(probe: &[Expr], rows: &Query, negated: bool) -> Result<Expr, SqlError> {
    check_width(probe, rows)?;
    let (columns, equal) = matching(probe)?;
    let count = format!("SELECT count(*) FROM (SELECT 1) AS {ROWS}({columns})");
    let text = format!(
        "SELECT (CASE WHEN ({count}) = 0 THEN {negated} \
         WHEN ({count} WHERE {EQUAL}) > 0 THEN {} \
         WHEN ({count} WHERE ({EQUAL}) IS NULL) > 0 THEN NULL ELSE {negated} END)",
        !negated,
    );
    template::expression(&text, &[(EQUAL, Part::Value(&equal)), (ROWS, Part::Rows(rows))])
}
