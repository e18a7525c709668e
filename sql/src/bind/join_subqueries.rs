//! `a JOIN b ON b.id = (SELECT max(c.id) FROM c WHERE c.a = a.id)`: subqueries in the condition of a join.
//!
//! DataFusion gives them no outer columns. Where a condition has some that need those, it becomes one of WHERE, if the
//! join is an inner one and nothing after it fills up rows of its left side; and of the joined relation, which
//! becomes a lateral one, if the join is a left one:
//!
//! ```text
//! a LEFT JOIN b ON p        a LEFT JOIN LATERAL (SELECT * FROM b WHERE p) AS b ON true
//! ```

use super::names::folded;
use super::relation_columns;
use super::walk;
use crate::error::SqlError;
use crate::parse;
use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Join, JoinConstraint, JoinOperator, Query, Select, SetExpr, TableAlias,
    TableFactor, TableWithJoins, Value, Visit, VisitMut, Visitor,
};

/// Moves such conditions in every select of a statement.
pub fn move_out(statement: &mut impl VisitMut) -> Result<(), SqlError> {
    walk::selects(statement, move_in)
}

fn move_in(select: &mut Select) -> Result<(), SqlError> {
    let names: Vec<String> = relation_columns::factors(select)
        .filter_map(relation_columns::name_of)
        .map(folded)
        .collect();
    let mut moved: Vec<Expr> = Vec::new();
    for TableWithJoins { joins, .. } in &mut select.from {
        for at in 0..joins.len() {
            let keeps_left = !joins[at + 1..].iter().any(|join| fills_left(&join.join_operator));
            let Join { relation, join_operator, .. } = &mut joins[at];
            let (is_left, condition) = match join_operator {
                JoinOperator::Join(JoinConstraint::On(condition))
                | JoinOperator::Inner(JoinConstraint::On(condition)) => (false, condition),
                JoinOperator::Left(JoinConstraint::On(condition))
                | JoinOperator::LeftOuter(JoinConstraint::On(condition)) => (true, condition),
                _ => continue,
            };
            if !needs_outer(condition, &names) {
                continue;
            }
            match is_left {
                false if keeps_left => moved.push(std::mem::replace(condition, truth())),
                true => filter_relation(relation, condition)?,
                false => {}
            }
        }
    }
    for condition in moved {
        let condition = Expr::Nested(Box::new(condition));
        select.selection = Some(match select.selection.take() {
            None => condition,
            Some(before) => Expr::BinaryOp {
                left: Box::new(Expr::Nested(Box::new(before))),
                op: BinaryOperator::And,
                right: Box::new(condition),
            },
        });
    }
    Ok(())
}

fn truth() -> Expr {
    Expr::value(Value::Boolean(true))
}

/// True for a join whose rows may have no left side.
fn fills_left(operator: &JoinOperator) -> bool {
    matches!(
        operator,
        JoinOperator::Right(_)
            | JoinOperator::RightOuter(_)
            | JoinOperator::FullOuter(_)
            | JoinOperator::RightSemi(_)
            | JoinOperator::RightAnti(_)
    )
}

/// True for a condition with a subquery that mentions the relations of the select, or will: what is compared with
/// ANY, ALL and IN is looked for in the subquery.
fn needs_outer(condition: &Expr, names: &[String]) -> bool {
    walk::any_own_expression(condition, |expr| match expr {
        Expr::InSubquery { .. } => true,
        Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } => {
            matches!(**right, Expr::Subquery(_))
        }
        Expr::Subquery(query) | Expr::Exists { subquery: query, .. } => mentions(query, names),
        _ => false,
    })
}

fn mentions(query: &Query, names: &[String]) -> bool {
    struct Mentions<'a>(&'a [String]);
    impl Visitor for Mentions<'_> {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::CompoundIdentifier(parts)
                    if parts.first().is_some_and(|first| self.0.contains(&folded(first))) =>
                {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    query.visit(&mut Mentions(names)).is_break()
}

fn filter_relation(relation: &mut TableFactor, condition: &mut Expr) -> Result<(), SqlError> {
    let plain =
        matches!(relation, TableFactor::Table { args: None, .. } | TableFactor::Derived { .. });
    let Some(name) = relation_columns::name_of(relation).filter(|_| plain).cloned() else {
        return Ok(());
    };
    let mut query = parse::query("SELECT * FROM __relation")?;
    if let SetExpr::Select(select) = &mut *query.body
        && let [from] = select.from.as_mut_slice()
    {
        from.relation = relation.clone();
        select.selection = Some(std::mem::replace(condition, truth()));
    }
    *relation = TableFactor::Derived {
        lateral: true,
        subquery: Box::new(query),
        alias: Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None }),
        sample: None,
    };
    Ok(())
}
