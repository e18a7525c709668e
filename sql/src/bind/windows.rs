//! `OVER (w ORDER BY x)`: a window that builds on a named one.
//!
//! DataFusion plans `OVER w`, and drops the name where more stands beside it. Here the named window's PARTITION BY
//! and ORDER BY are copied in.

use super::walk;
use crate::error::{SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{
    Expr, NamedWindowDefinition, NamedWindowExpr, Query, Select, SetExpr, UnaryOperator, VisitMut,
    WindowFrameBound, WindowFrameUnits, WindowSpec, WindowType,
};

/// Completes the windows of every query in a statement.
pub fn complete(statement: &mut impl VisitMut) -> Result<(), SqlError> {
    walk::queries(statement, complete_query)
}

fn complete_query(query: &mut Query) -> Result<(), SqlError> {
    let SetExpr::Select(select) = &mut *query.body else { return Ok(()) };
    refuse_elsewhere(select)?;
    let named = named_windows(select)?;
    let inherits = |expr: &mut Expr| match expr {
        Expr::Function(function) => match &mut function.over {
            Some(WindowType::WindowSpec(window)) => {
                check_offsets(window)?;
                inherit(window, &named)
            }
            _ => Ok(()),
        },
        _ => Ok(()),
    };
    walk::own_expressions(&mut query.body, inherits)?;
    walk::own_expressions(&mut query.order_by, inherits)
}

/// 42P20 for window functions where rows are still being chosen.
fn refuse_elsewhere(select: &Select) -> Result<(), SqlError> {
    let clauses = [("WHERE", &select.selection), ("HAVING", &select.having)];
    let is_call = |expr: &Expr| matches!(expr, Expr::Function(function) if function.over.is_some());
    for (clause, condition) in clauses {
        if walk::any_own_expression(condition, is_call) {
            let message = format!("window functions are not allowed in {clause}");
            return Err(SqlError::new(SqlState::WINDOWING_ERROR, message));
        }
    }
    Ok(())
}

/// 22013 for a frame that begins or ends a negative number of rows away.
fn check_offsets(window: &WindowSpec) -> Result<(), SqlError> {
    let Some(frame) = &window.window_frame else { return Ok(()) };
    let bounds = [("starting", Some(&frame.start_bound)), ("ending", frame.end_bound.as_ref())];
    for (which, bound) in bounds {
        let Some(
            WindowFrameBound::Preceding(Some(offset)) | WindowFrameBound::Following(Some(offset)),
        ) = bound
        else {
            continue;
        };
        if matches!(&**offset, Expr::UnaryOp { op: UnaryOperator::Minus, .. }) {
            let message = match frame.units {
                WindowFrameUnits::Range => {
                    "invalid preceding or following size in window function".to_owned()
                }
                _ => format!("frame {which} offset must not be negative"),
            };
            return Err(SqlError::new(SqlState::INVALID_PRECEDING_OR_FOLLOWING_SIZE, message));
        }
    }
    Ok(())
}

/// The windows of a WINDOW clause, each complete.
fn named_windows(select: &mut Select) -> Result<Vec<(String, WindowSpec)>, SqlError> {
    let mut named: Vec<(String, WindowSpec)> = Vec::new();
    for NamedWindowDefinition(name, definition) in &mut select.named_window {
        if let NamedWindowExpr::WindowSpec(window) = definition {
            check_offsets(window)?;
            inherit(window, &named)?;
            named.push((name.value.clone(), window.clone()));
        }
    }
    Ok(named)
}

fn inherit(window: &mut WindowSpec, named: &[(String, WindowSpec)]) -> Result<(), SqlError> {
    let Some(name) = window.window_name.take() else { return Ok(()) };
    let Some((_, base)) = named.iter().find(|(known, _)| *known == name.value) else {
        let message = format!("window \"{}\" does not exist", name.value);
        return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
    };
    let refused = |message: String| Err(SqlError::new(SqlState::WINDOWING_ERROR, message));
    if !window.partition_by.is_empty() {
        let message = format!("cannot override PARTITION BY clause of window \"{}\"", name.value);
        return refused(message);
    }
    if !window.order_by.is_empty() && !base.order_by.is_empty() {
        let message = format!("cannot override ORDER BY clause of window \"{}\"", name.value);
        return refused(message);
    }
    if base.window_frame.is_some() {
        let message =
            format!("cannot copy window \"{}\" because it has a frame clause", name.value);
        return refused(message);
    }
    window.partition_by.clone_from(&base.partition_by);
    if window.order_by.is_empty() {
        window.order_by.clone_from(&base.order_by);
    }
    Ok(())
}
