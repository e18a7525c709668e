//! `percentile_disc(p) WITHIN GROUP (ORDER BY v)` and `mode() WITHIN GROUP (ORDER BY v)`: a place in the sorted array
//! of the values, and the value that array has most often.

use super::template::{self, Part};
use crate::error::SqlError;
use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Value, VisitMut, VisitorMut,
};

/// Replaces these aggregates in a statement.
pub fn spell_out(statement: &mut impl VisitMut) -> Result<(), SqlError> {
    match statement.visit(&mut Calls) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

struct Calls;

impl VisitorMut for Calls {
    type Break = Box<SqlError>;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Box<SqlError>> {
        if let Expr::Function(function) = expr {
            match spelled(function) {
                Ok(Some(other)) => *expr = other,
                Ok(None) => {}
                Err(error) => return ControlFlow::Break(Box::new(error)),
            }
        }
        ControlFlow::Continue(())
    }
}

fn spelled(function: &Function) -> Result<Option<Expr>, SqlError> {
    let [order] = function.within_group.as_slice() else { return Ok(None) };
    let Some(name) = function.name.0.last().and_then(|part| part.as_ident()) else {
        return Ok(None);
    };
    let FunctionArguments::List(list) = &function.args else { return Ok(None) };
    let always = Expr::value(Value::Boolean(true));
    let filter = function.filter.as_deref().unwrap_or(&always);
    let parts = |fraction| {
        [
            ("__value", Part::Value(&order.expr)),
            ("__filter", Part::Value(filter)),
            ("__fraction", Part::Value(fraction)),
        ]
    };
    let direction = if order.options.asc == Some(false) { " DESC" } else { "" };
    let sorted = format!(
        "(array_agg(__value ORDER BY __value{direction}) FILTER (WHERE __value IS NOT NULL AND __filter))"
    );
    match (name.value.to_ascii_lowercase().as_str(), list.args.as_slice()) {
        ("mode", []) => {
            let text = format!("SELECT array_mode({sorted})");
            template::expression(&text, &parts(&always)).map(Some)
        }
        ("percentile_disc", [FunctionArg::Unnamed(FunctionArgExpr::Expr(fraction))]) => {
            let text = format!("SELECT array_percentile({sorted}, __fraction)");
            template::expression(&text, &parts(fraction)).map(Some)
        }
        _ => Ok(None),
    }
}
