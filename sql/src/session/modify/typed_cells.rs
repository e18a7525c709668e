//! The cells of VALUES, and literals of a select list, as the types of the columns they go to.

use super::assign;
use crate::bind::rewrite;
use crate::catalog::model::Column;
use crate::error::SqlError;
use crate::functions::cast;
use crate::plan::result_types;
use crate::session::response::WireType;
use crate::types::oid;
use datafusion::common::{DFSchema, ExprSchema};
use datafusion::logical_expr::{Expr as PlannedExpr, ExprSchemable, LogicalPlan};
use datafusion::sql::sqlparser::ast::{Expr, Value as AstValue, ValueWithSpan};

/// The type of a literal that goes to a column: the column's, without its length. That is checked on assignment,
/// which refuses what an explicit cast would cut.
pub fn literal_type(column: &Column) -> WireType {
    let target = oid::of(&column.data_type).oid;
    let is_sized = |of| matches!(of, oid::BPCHAR | oid::VARCHAR);
    let target = match oid::element_of(target) {
        Some(element) if is_sized(element) => oid::TEXT_ARRAY,
        None if is_sized(target) => oid::TEXT,
        _ => target,
    };
    // A map's modifier tells its values' type.
    if oid::is_map(target) { oid::of(&column.data_type) } else { oid::wire(target, -1) }
}

/// All cells of a column of VALUES get one type.
pub fn type_cell(expr: &mut Expr, column: &Column) {
    let target = literal_type(column);
    let mut inner = std::mem::replace(expr, Expr::value(AstValue::Null));
    if matches!(target.oid, oid::FLOAT4 | oid::FLOAT8) {
        rewrite::text_of_number(&mut inner);
    }
    *expr = rewrite::cast_call(inner, target);
}

/// 42804 for a cell of VALUES that its column has no assignment cast for: the cast put around it is an
/// explicit one.
pub fn check_cells(plan: &LogicalPlan, columns: &[Column]) -> Result<(), SqlError> {
    let check = |cell: &PlannedExpr, column: &Column, input: &dyn ExprSchema| {
        let mut cell = cell;
        while let PlannedExpr::Alias(alias) = cell {
            cell = &alias.expr;
        }
        let PlannedExpr::ScalarFunction(call) = cell else { return Ok(()) };
        let given = match call.args.first() {
            Some(given) if call.func.name() == cast::NAME && !result_types::is_unknown(given) => {
                given
            }
            _ => return Ok(()),
        };
        match given.to_field(input) {
            Ok((_, field)) if !field.data_type().is_null() => {
                assign::check(column, oid::of_field(&field))
            }
            _ => Ok(()),
        }
    };
    match plan {
        LogicalPlan::Values(values) => {
            let nothing = DFSchema::empty();
            let mut cells = values.values.iter().flat_map(|row| row.iter().zip(columns));
            cells.try_for_each(|(cell, column)| check(cell, column, &nothing))
        }
        LogicalPlan::Projection(projection) => {
            let input = projection.input.schema();
            let mut cells = projection.expr.iter().zip(columns);
            cells.try_for_each(|(cell, column)| check(cell, column, &**input))?;
            check_cells(&projection.input, columns)
        }
        LogicalPlan::SubqueryAlias(alias) => check_cells(&alias.input, columns),
        LogicalPlan::Union(union) => {
            union.inputs.iter().try_for_each(|input| check_cells(input, columns))
        }
        _ => Ok(()),
    }
}

/// A string literal or NULL is of the column's type.
pub fn type_unknown(expr: &mut Expr, column: &Column) {
    let unknown = matches!(
        expr,
        Expr::Value(ValueWithSpan {
            value: AstValue::SingleQuotedString(_)
                | AstValue::EscapedStringLiteral(_)
                | AstValue::Null,
            ..
        })
    );
    if unknown {
        let inner = std::mem::replace(expr, Expr::value(AstValue::Null));
        *expr = rewrite::cast_call(inner, literal_type(column));
    }
}
