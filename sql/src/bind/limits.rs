//! `FETCH FIRST n ROWS ONLY` is `LIMIT n`.

use super::walk;
use crate::error::SqlError;
use datafusion::sql::sqlparser::ast::{Expr, LimitClause, Query, Value, VisitMut};

/// Replaces FETCH in every query of a statement. `WITH TIES` and `PERCENT` were refused before.
pub fn of_fetch(statement: &mut impl VisitMut) -> Result<(), SqlError> {
    walk::queries(statement, of_query)
}

fn of_query(query: &mut Query) -> Result<(), SqlError> {
    let Some(fetch) = query.fetch.take() else { return Ok(()) };
    let rows = fetch.quantity.unwrap_or_else(|| Expr::value(Value::Number("1".to_owned(), false)));
    match &mut query.limit_clause {
        None => {
            query.limit_clause = Some(LimitClause::LimitOffset {
                limit: Some(rows),
                offset: None,
                limit_by: Vec::new(),
            });
        }
        Some(LimitClause::LimitOffset { limit: limit @ None, .. }) => *limit = Some(rows),
        Some(_) => return Err(SqlError::syntax("multiple LIMIT clauses not allowed")),
    }
    Ok(())
}
