//! WITH RECURSIVE whose recursive term has a wider type than the other: 42804, as in PostgreSQL.
//!
//! DataFusion casts the recursive term, so that a number that never grows past its type's next value is never done.
//! Integers of two widths are let through: theirs overflows.

use crate::error::{SqlError, SqlState};
use crate::plan::errors::external;
use crate::types::oid;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, RecursiveQuery};

/// Refuses them.
pub fn check(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::RecursiveQuery(query) = node {
            check_query(query)?;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

fn check_query(query: &RecursiveQuery) -> Result<()> {
    let LogicalPlan::Projection(projection) = &*query.recursive_term else { return Ok(()) };
    let columns = query.static_term.schema().fields().iter().zip(&projection.expr);
    for (at, (field, expr)) in columns.enumerate() {
        let Expr::Cast(cast) = unaliased(expr) else { continue };
        let overall = cast.expr.get_type(projection.input.schema())?;
        if digits(field.data_type()).is_some_and(|kept| digits(&overall) > Some(kept)) {
            let message = "a recursive term with more digits behind the point than the other";
            let told = SqlError::unsupported(message)
                .with_hint("Cast the output of the non-recursive term to numeric.");
            return Err(external(told));
        }
        if width(&overall) <= width(field.data_type()) {
            continue;
        }
        let name = |data_type: &DataType| oid::format_type(oid::of_arrow(data_type).oid, None);
        let message = format!(
            "recursive query \"{}\" column {} has type {} in non-recursive term but type {} overall",
            query.name,
            at + 1,
            name(field.data_type()),
            name(&overall),
        );
        let told = SqlError::new(SqlState::DATATYPE_MISMATCH, message)
            .with_hint("Cast the output of the non-recursive term to the correct type.");
        return Err(external(told));
    }
    Ok(())
}

fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unaliased(&alias.expr),
        other => other,
    }
}

/// The digits behind a numeric's point.
fn digits(data_type: &DataType) -> Option<i8> {
    match data_type {
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => Some(*scale),
        _ => None,
    }
}

/// Which of two types of a kind the other becomes beside it; the same for types that are not compared.
fn width(data_type: &DataType) -> u8 {
    match data_type {
        DataType::Decimal128(..) | DataType::Decimal256(..) | DataType::Timestamp(_, None) => 1,
        DataType::Float32 | DataType::Float64 | DataType::Timestamp(_, Some(_)) => 2,
        _ => 0,
    }
}
