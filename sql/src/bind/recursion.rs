//! WITH RECURSIVE: what its queries must look like (42P19).
//!
//! DataFusion would run some of what PostgreSQL refuses without end, such as a recursive term that aggregates.

use super::names::folded;
use super::walk;
use crate::error::{SqlError, SqlState};
use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{
    Cte, Expr, ObjectName, Select, SelectItem, SetExpr, SetOperator, Visit, VisitMut, Visitor,
};

/// Aggregates by name: a call of one without OVER aggregates.
const AGGREGATES: &[&str] = &[
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "array_agg",
    "string_agg",
    "bool_and",
    "bool_or",
    "every",
    "bit_and",
    "bit_or",
    "json_agg",
    "jsonb_agg",
    "stddev",
    "variance",
];

/// Checks every WITH RECURSIVE of a statement.
pub fn check(statement: &mut impl VisitMut) -> Result<(), SqlError> {
    walk::queries(statement, |query| match query.with.as_ref().filter(|with| with.recursive) {
        Some(with) => with.cte_tables.iter().try_for_each(check_cte),
        None => Ok(()),
    })
}

fn check_cte(cte: &Cte) -> Result<(), SqlError> {
    let name = folded(&cte.alias.name);
    let refused = |message: String| Err(SqlError::new(SqlState("42P19"), message));
    if references(&*cte.query, &name) == 0 {
        return Ok(());
    }
    let (left, right) = match &*cte.query.body {
        SetExpr::SetOperation { op: SetOperator::Union, left, right, .. } => (left, right),
        _ => {
            return refused(format!(
                "recursive query \"{name}\" does not have the form non-recursive-term UNION [ALL] \
                 recursive-term"
            ));
        }
    };
    if references(&**left, &name) > 0 {
        return refused(format!(
            "recursive reference to query \"{name}\" must not appear within its non-recursive term"
        ));
    }
    if references(&**right, &name) > 1 {
        return refused(format!(
            "recursive reference to query \"{name}\" must not appear more than once"
        ));
    }
    match &**right {
        SetExpr::Select(select) if aggregates(select) => {
            let message =
                "aggregate functions are not allowed in a recursive query's recursive term";
            refused(message.to_owned())
        }
        _ => Ok(()),
    }
}

/// How often a query refers to the relation.
fn references(part: &impl Visit, name: &str) -> usize {
    let mut found = References { name, count: 0 };
    let _: ControlFlow<()> = part.visit(&mut found);
    found.count
}

struct References<'a> {
    name: &'a str,
    count: usize,
}

impl Visitor for References<'_> {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        if let [part] = relation.0.as_slice()
            && part.as_ident().is_some_and(|ident| folded(ident) == self.name)
        {
            self.count += 1;
        }
        ControlFlow::Continue(())
    }
}

/// True for a select whose list calls an aggregate.
fn aggregates(select: &Select) -> bool {
    select.projection.iter().any(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
            walk::any_own_expression(expr, is_aggregate)
        }
        _ => false,
    })
}

fn is_aggregate(expr: &Expr) -> bool {
    let Expr::Function(function) = expr else { return false };
    let name = function.name.0.last().and_then(|part| part.as_ident());
    function.over.is_none() && name.is_some_and(|name| AGGREGATES.contains(&folded(name).as_str()))
}
