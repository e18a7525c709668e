//! Walks over a statement's syntax: each calls a function for the nodes of one kind. The first error ends a walk.

use crate::error::SqlError;
use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{Expr, Query, Select, Visit, VisitMut, Visitor, VisitorMut};

type Flow = ControlFlow<Box<SqlError>>;

fn flow(result: Result<(), SqlError>) -> Flow {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(Box::new(error)),
    }
}

fn result(flow: Flow) -> Result<(), SqlError> {
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

/// Every query, an outer one before those in it.
pub fn queries(
    part: &mut impl VisitMut,
    change: impl FnMut(&mut Query) -> Result<(), SqlError>,
) -> Result<(), SqlError> {
    struct Queries<F>(F);
    impl<F: FnMut(&mut Query) -> Result<(), SqlError>> VisitorMut for Queries<F> {
        type Break = Box<SqlError>;

        fn pre_visit_query(&mut self, query: &mut Query) -> Flow {
            flow((self.0)(query))
        }
    }
    result(part.visit(&mut Queries(change)))
}

/// Every query, those in another before it.
pub fn inner_queries_first(
    part: &mut impl VisitMut,
    change: impl FnMut(&mut Query) -> Result<(), SqlError>,
) -> Result<(), SqlError> {
    struct Queries<F>(F);
    impl<F: FnMut(&mut Query) -> Result<(), SqlError>> VisitorMut for Queries<F> {
        type Break = Box<SqlError>;

        fn post_visit_query(&mut self, query: &mut Query) -> Flow {
            flow((self.0)(query))
        }
    }
    result(part.visit(&mut Queries(change)))
}

/// Every SELECT, an outer one before those in it.
pub fn selects(
    part: &mut impl VisitMut,
    change: impl FnMut(&mut Select) -> Result<(), SqlError>,
) -> Result<(), SqlError> {
    struct Selects<F>(F);
    impl<F: FnMut(&mut Select) -> Result<(), SqlError>> VisitorMut for Selects<F> {
        type Break = Box<SqlError>;

        fn pre_visit_select(&mut self, select: &mut Select) -> Flow {
            flow((self.0)(select))
        }
    }
    result(part.visit(&mut Selects(change)))
}

/// Every expression of a part, operands first, but for those of the subqueries it holds.
pub fn own_expressions(
    part: &mut impl VisitMut,
    change: impl FnMut(&mut Expr) -> Result<(), SqlError>,
) -> Result<(), SqlError> {
    struct Own<F> {
        change: F,
        subqueries: usize,
    }
    impl<F: FnMut(&mut Expr) -> Result<(), SqlError>> VisitorMut for Own<F> {
        type Break = Box<SqlError>;

        fn pre_visit_query(&mut self, _: &mut Query) -> Flow {
            self.subqueries += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &mut Query) -> Flow {
            self.subqueries -= 1;
            ControlFlow::Continue(())
        }

        fn post_visit_expr(&mut self, expr: &mut Expr) -> Flow {
            match self.subqueries {
                0 => flow((self.change)(expr)),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    result(part.visit(&mut Own { change, subqueries: 0 }))
}

/// True where an expression of a part passes the test, those of the subqueries it holds not asked.
pub fn any_own_expression(part: &impl Visit, test: impl FnMut(&Expr) -> bool) -> bool {
    struct Own<F> {
        test: F,
        subqueries: usize,
    }
    impl<F: FnMut(&Expr) -> bool> Visitor for Own<F> {
        type Break = ();

        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.subqueries += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.subqueries -= 1;
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match self.subqueries == 0 && (self.test)(expr) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        }
    }
    part.visit(&mut Own { test, subqueries: 0 }).is_break()
}
