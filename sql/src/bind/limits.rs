//! `FETCH FIRST n ROWS ONLY` is `LIMIT n`.

use crate::error::SqlError;
use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{Expr, LimitClause, Query, Value, VisitMut, VisitorMut};

/// Replaces FETCH in every query of a statement. `WITH TIES` and `PERCENT` were refused before.
pub fn of_fetch(statement: &mut impl VisitMut) -> Result<(), SqlError> {
    match statement.visit(&mut Queries) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

struct Queries;

impl VisitorMut for Queries {
    type Break = Box<SqlError>;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Box<SqlError>> {
        let Some(fetch) = query.fetch.take() else { return ControlFlow::Continue(()) };
        let rows =
            fetch.quantity.unwrap_or_else(|| Expr::value(Value::Number("1".to_owned(), false)));
        match &mut query.limit_clause {
            None => {
                query.limit_clause = Some(LimitClause::LimitOffset {
                    limit: Some(rows),
                    offset: None,
                    limit_by: Vec::new(),
                });
            }
            Some(LimitClause::LimitOffset { limit: limit @ None, .. }) => *limit = Some(rows),
            Some(_) => {
                let error = SqlError::syntax("multiple LIMIT clauses not allowed");
                return ControlFlow::Break(Box::new(error));
            }
        }
        ControlFlow::Continue(())
    }
}
