//! `OVER (w ORDER BY x)`: a window that builds on a named one.
//!
//! DataFusion plans `OVER w`, and drops the name where more stands beside it. Here the named window's PARTITION BY
//! and ORDER BY are copied in.

use crate::error::{SqlError, SqlState};
use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{
    Expr, NamedWindowDefinition, NamedWindowExpr, Query, Select, SetExpr, Visit, VisitMut, Visitor,
    VisitorMut, WindowSpec, WindowType,
};

type Flow = ControlFlow<Box<SqlError>>;

/// Completes the windows of every query in a statement.
pub fn complete(statement: &mut impl VisitMut) -> Result<(), SqlError> {
    match statement.visit(&mut Queries) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

struct Queries;

impl VisitorMut for Queries {
    type Break = Box<SqlError>;

    fn pre_visit_query(&mut self, query: &mut Query) -> Flow {
        let named = match &mut *query.body {
            SetExpr::Select(select) => {
                match refuse_elsewhere(select).and_then(|()| named_windows(select)) {
                    Ok(named) => named,
                    Err(error) => return ControlFlow::Break(Box::new(error)),
                }
            }
            _ => return ControlFlow::Continue(()),
        };
        let mut windows = Windows { named, depth: 0 };
        VisitMut::visit(&mut query.body, &mut windows)?;
        VisitMut::visit(&mut query.order_by, &mut windows)
    }
}

/// 42P20 for window functions where rows are still being chosen.
fn refuse_elsewhere(select: &Select) -> Result<(), SqlError> {
    let clauses = [("WHERE", &select.selection), ("HAVING", &select.having)];
    for (clause, condition) in clauses {
        let Some(condition) = condition else { continue };
        if Visit::visit(condition, &mut Calls { depth: 0 }).is_break() {
            let message = format!("window functions are not allowed in {clause}");
            return Err(SqlError::new(SqlState::WINDOWING_ERROR, message));
        }
    }
    Ok(())
}

/// Finds window functions of one expression, not of the subqueries it holds.
struct Calls {
    depth: usize,
}

impl Visitor for Calls {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) if self.depth == 0 && function.over.is_some() => {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

/// The windows of a WINDOW clause, each complete.
fn named_windows(select: &mut Select) -> Result<Vec<(String, WindowSpec)>, SqlError> {
    let mut named: Vec<(String, WindowSpec)> = Vec::new();
    for NamedWindowDefinition(name, definition) in &mut select.named_window {
        if let NamedWindowExpr::WindowSpec(window) = definition {
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

/// Completes the windows of one query, not of those inside it.
struct Windows {
    named: Vec<(String, WindowSpec)>,
    depth: usize,
}

impl VisitorMut for Windows {
    type Break = Box<SqlError>;

    fn pre_visit_query(&mut self, _: &mut Query) -> Flow {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> Flow {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> Flow {
        if self.depth == 0
            && let Expr::Function(function) = expr
            && let Some(WindowType::WindowSpec(window)) = &mut function.over
            && let Err(error) = inherit(window, &self.named)
        {
            return ControlFlow::Break(Box::new(error));
        }
        ControlFlow::Continue(())
    }
}
