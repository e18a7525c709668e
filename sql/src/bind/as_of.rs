//! `FROM t FOR SYSTEM_TIME AS OF <expression>`: tables as they were.
//!
//! An expression has no columns and no subqueries, so it has one value for the statement, and that is worked out
//! here, before anything is planned: what is left in the tree is the time itself, in a form that [`crate::parse::supported`] refuses to read. DataFusion drops versions of
//! tables without a word; [`crate::plan::as_of`] plans those tables instead, and refuses an expression
//! that nobody has worked out.

use crate::bind::rewrite;
use crate::error::SqlError;
use crate::types::oid;
use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{
    Expr, Query, SetExpr, TableFactor, TableVersion, Value, ValueWithSpan, Visit, VisitMut,
    Visitor, VisitorMut,
};
use terrane_client::ids::CommitTs;

/// What a table's version says once it is bound.
#[derive(Clone, Debug, PartialEq)]
pub enum BoundTime {
    /// The time.
    Time(CommitTs),
    /// An expression with parameters that have no values yet, of type timestamptz.
    Parameters(Expr),
}

type Flow = ControlFlow<Box<SqlError>>;

/// Puts times in place of expressions. `value` answers what an expression is worth, as a timestamptz, or
/// `None` while parameters have no values.
pub fn bind(
    query: &mut Query,
    value: impl FnMut(&Expr) -> Result<Option<CommitTs>, SqlError>,
) -> Result<(), SqlError> {
    struct Versions<F>(F);
    impl<F: FnMut(&Expr) -> Result<Option<CommitTs>, SqlError>> VisitorMut for Versions<F> {
        type Break = Box<SqlError>;

        fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> Flow {
            let TableFactor::Table { version: Some(version), .. } = factor else {
                return ControlFlow::Continue(());
            };
            let TableVersion::ForSystemTimeAsOf(expr) = version else {
                return ControlFlow::Continue(());
            };
            match time(expr, &mut self.0) {
                Ok(at @ Expr::Value(_)) => *version = TableVersion::VersionAsOf(at),
                Ok(expr) => *version = TableVersion::ForSystemTimeAsOf(expr),
                Err(error) => return ControlFlow::Break(Box::new(error)),
            }
            ControlFlow::Continue(())
        }
    }
    match query.visit(&mut Versions(value)) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

/// What an expression is worth: the time as a text of microseconds, or the expression as a timestamptz while parameters have
/// no values.
pub(super) fn time(
    expr: &Expr,
    value: &mut impl FnMut(&Expr) -> Result<Option<CommitTs>, SqlError>,
) -> Result<Expr, SqlError> {
    let expr = as_timestamptz(expr);
    check(&expr)?;
    Ok(match value(&expr)? {
        Some(at) => Expr::value(Value::SingleQuotedString(at.0.to_string())),
        None => expr,
    })
}

/// What [`bind`] has left of a version.
pub fn bound(version: TableVersion) -> Result<BoundTime, SqlError> {
    match version {
        TableVersion::VersionAsOf(Expr::Value(ValueWithSpan {
            value: Value::SingleQuotedString(micros),
            ..
        })) => {
            let micros = micros.parse().map_err(|_| SqlError::internal("a time that is none"))?;
            Ok(BoundTime::Time(CommitTs(micros)))
        }
        TableVersion::ForSystemTimeAsOf(expr) => Ok(BoundTime::Parameters(expr)),
        other => Err(SqlError::internal(format!("a table's version {other} is not bound"))),
    }
}

/// Refuses FOR SYSTEM_TIME where a query is kept for later.
pub fn refuse(query: &Query, place: &str) -> Result<(), SqlError> {
    struct Versions;
    impl Visitor for Versions {
        type Break = ();

        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            match is_versioned(factor) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        }
    }
    match query.visit(&mut Versions) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => {
            let message = format!("FOR SYSTEM_TIME AS OF in {place} is not supported");
            Err(SqlError::unsupported(message))
        }
    }
}

/// True for a table as it was.
pub fn is_versioned(factor: &TableFactor) -> bool {
    matches!(factor, TableFactor::Table { version: Some(_), .. })
}

/// Gives the one table of a query the version.
pub fn move_into(version: Option<TableVersion>, query: &mut Query) {
    let SetExpr::Select(select) = &mut *query.body else { return };
    if let [table] = select.from.as_mut_slice()
        && let TableFactor::Table { version: place, .. } = &mut table.relation
    {
        *place = version;
    }
}

fn as_timestamptz(expr: &Expr) -> Expr {
    rewrite::cast_call(expr.clone(), oid::wire(oid::TIMESTAMPTZ, -1))
}

/// Refuses subqueries: the value would be another for each time they are read at.
fn check(expr: &Expr) -> Result<(), SqlError> {
    struct Subqueries;
    impl Visitor for Subqueries {
        type Break = ();

        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            ControlFlow::Break(())
        }
    }
    match expr.visit(&mut Subqueries) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => {
            Err(SqlError::unsupported("a subquery in FOR SYSTEM_TIME AS OF is not supported"))
        }
    }
}
