//! `FROM t(with_history => true, …)` and `FROM t(cells => true, …)`: the versions of a table's rows.
//!
//! ```text
//! with_history => true     a row for each time that some cell of it was written at
//! cells => true            a row for each version of each cell
//! latest_n => 3            of each column of a row so many of the newest
//! after, before => time    only what was written after, or before: a timestamptz, as FOR SYSTEM_TIME takes one
//! ```
//!
//! A table's name with such arguments is no function's. The arguments are worked out here, before anything is planned, and
//! what is left of them is the table's version, in a form that cannot be written in SQL: a call of [`CALL`].
//! [`crate::plan::versions`] plans it.

use super::as_of;
use super::names::folded;
use super::rewrite;
use crate::error::{SqlError, SqlState};
use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgOperator, FunctionArguments, Query,
    TableFactor, TableFunctionArgs, TableVersion, UnaryOperator, Value, ValueWithSpan, Visit,
    VisitMut, Visitor, VisitorMut,
};
use terrane_client::ids::CommitTs;

/// The function that stands for the versions of a table.
const CALL: &str = "__terrane_versions";

/// The arguments' names.
const NAMES: [&str; 5] = ["with_history", "cells", "latest_n", "after", "before"];

/// What is read of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Its rows as they are, with `_timestamp`.
    Dated,
    /// A row for each time of each row.
    Rows,
    /// A row for each cell.
    Cells,
}

impl Kind {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Dated, "dated"), (Self::Rows, "rows"), (Self::Cells, "cells")];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }
}

/// A time among the arguments.
#[derive(Clone, Debug, PartialEq)]
pub enum Time {
    /// It is not given.
    Any,
    /// Worked out.
    At(CommitTs),
    /// An expression with parameters that have no values yet, of type timestamptz.
    Parameters(Expr),
}

/// The arguments, worked out.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// What is read.
    pub kind: Kind,
    /// Of each column so many.
    pub latest_n: Option<u32>,
    /// Written after.
    pub after: Time,
    /// Written before.
    pub before: Time,
    /// The table as it was.
    pub as_of: Option<as_of::BoundTime>,
}

type Flow = ControlFlow<Box<SqlError>>;

/// True for arguments of this kind.
fn are_versions(args: &TableFunctionArgs) -> bool {
    let name = |arg: &FunctionArg| named(arg).is_some_and(|(name, _)| NAMES.contains(&&*name));
    args.settings.is_none() && args.args.iter().any(name)
}

/// True where a reference of a table asks for its versions.
pub fn is_history(factor: &TableFactor) -> bool {
    matches!(factor, TableFactor::Table { args: Some(args), .. } if are_versions(args))
}

/// An argument with its name.
fn named(arg: &FunctionArg) -> Option<(String, &FunctionArgExpr)> {
    let (name, arg, operator) = match arg {
        FunctionArg::Named { name, arg, operator } => (folded(name), arg, operator),
        FunctionArg::ExprNamed { name: Expr::Identifier(name), arg, operator } => {
            (folded(name), arg, operator)
        }
        _ => return None,
    };
    let is_name =
        matches!(operator, FunctionArgOperator::RightArrow | FunctionArgOperator::Assignment);
    is_name.then_some((name, arg))
}

/// Puts versions in place of arguments. `value` answers what an expression is worth, as a timestamptz, or `None` while
/// parameters have no values.
pub fn bind(
    query: &mut Query,
    value: impl FnMut(&Expr) -> Result<Option<CommitTs>, SqlError>,
) -> Result<(), SqlError> {
    struct Tables<F>(F);
    impl<F: FnMut(&Expr) -> Result<Option<CommitTs>, SqlError>> VisitorMut for Tables<F> {
        type Break = Box<SqlError>;

        fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> Flow {
            let TableFactor::Table { args: given, version, with_ordinality, .. } = factor else {
                return ControlFlow::Continue(());
            };
            let Some(args) = given.as_ref().filter(|args| are_versions(args)) else {
                return ControlFlow::Continue(());
            };
            let call = match *with_ordinality {
                true => Err(SqlError::unsupported("versions WITH ORDINALITY are not supported")),
                false => call_of(&args.args, &mut self.0),
            };
            match call {
                Ok(call) => {
                    (*given, *version) = (None, Some(TableVersion::Function(call)));
                    ControlFlow::Continue(())
                }
                Err(error) => ControlFlow::Break(Box::new(error)),
            }
        }
    }
    match query.visit(&mut Tables(value)) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

fn call_of(
    args: &[FunctionArg],
    value: &mut impl FnMut(&Expr) -> Result<Option<CommitTs>, SqlError>,
) -> Result<Expr, SqlError> {
    let wrong = |message: String| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message);
    let mut given: Vec<(String, &Expr)> = Vec::new();
    for arg in args {
        let Some((name, arg)) = named(arg) else {
            return Err(SqlError::syntax("positional argument cannot follow named argument"));
        };
        if !NAMES.contains(&&*name) {
            let known = NAMES.join(", ");
            return Err(wrong(format!("unrecognized parameter \"{name}\"")).with_hint(known));
        }
        if given.iter().any(|(other, _)| *other == name) {
            return Err(SqlError::syntax(format!("argument name \"{name}\" used more than once")));
        }
        let FunctionArgExpr::Expr(expr) = arg else {
            return Err(wrong(format!("\"{name}\" takes a value")));
        };
        given.push((name, expr));
    }
    let of = |name: &str| given.iter().find(|(known, _)| known == name).map(|(_, expr)| *expr);
    let is_true = |name: &str| match of(name) {
        None => Ok(false),
        Some(expr) => boolean(expr).ok_or_else(|| wrong(format!("\"{name}\" is true or false"))),
    };
    let kind = match (is_true("with_history")?, is_true("cells")?) {
        (true, false) => Kind::Rows,
        (false, true) => Kind::Cells,
        (true, true) => return Err(wrong("with_history and cells exclude each other".to_owned())),
        (false, false)
            if given.iter().all(|(name, _)| name == "with_history" || name == "cells") =>
        {
            return Ok(call(Kind::Dated, null(), [null(), null()], null()));
        }
        (false, false) => {
            let message = "latest_n, after and before need with_history => true or cells => true";
            return Err(wrong(message.to_owned()));
        }
    };
    let latest_n = match of("latest_n") {
        None => null(),
        Some(expr) => {
            let count = number(expr).filter(|count| *count >= 1);
            let count = count.ok_or_else(|| wrong("\"latest_n\" is a number from 1".to_owned()))?;
            text(count.to_string())
        }
    };
    let mut time = |name: &str| match of(name) {
        None => Ok(null()),
        Some(expr) => as_of::time(expr, &mut *value),
    };
    let times = [time("after")?, time("before")?];
    Ok(call(kind, latest_n, times, null()))
}

fn boolean(expr: &Expr) -> Option<bool> {
    match expr {
        Expr::Value(ValueWithSpan { value: Value::Boolean(value), .. }) => Some(*value),
        _ => None,
    }
}

fn number(expr: &Expr) -> Option<u32> {
    match expr {
        Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) => digits.parse().ok(),
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } => number(expr),
        _ => None,
    }
}

fn null() -> Expr {
    Expr::value(Value::Null)
}

fn text(text: String) -> Expr {
    Expr::value(Value::SingleQuotedString(text))
}

fn call(kind: Kind, latest_n: Expr, [after, before]: [Expr; 2], as_of: Expr) -> Expr {
    rewrite::call(CALL, vec![text(kind.name().to_owned()), latest_n, after, before, as_of])
}

/// Gives a reference of a table the column `_timestamp`, as it is or as it was. False for one that asks for versions: it
/// has the column.
pub fn date(version: &mut Option<TableVersion>) -> bool {
    let as_of = match version {
        None => null(),
        Some(TableVersion::VersionAsOf(at)) => at.clone(),
        Some(TableVersion::ForSystemTimeAsOf(expr)) => expr.clone(),
        Some(_) => return false,
    };
    let call = call(Kind::Dated, null(), [null(), null()], as_of);
    *version = Some(TableVersion::Function(call));
    true
}

/// What [`bind`] and [`date`] have left of a reference's version; `None` where that is something else.
pub fn bound(version: &TableVersion) -> Result<Option<Bound>, SqlError> {
    let TableVersion::Function(Expr::Function(Function { name, args, .. })) = version else {
        return Ok(None);
    };
    let internal = || SqlError::internal("versions that are not bound");
    let FunctionArguments::List(list) = args else { return Err(internal()) };
    if name.to_string() != CALL {
        return Err(internal());
    }
    let args: Vec<&Expr> = list
        .args
        .iter()
        .filter_map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        })
        .collect();
    let [kind, latest_n, after, before, as_of] = args.as_slice() else { return Err(internal()) };
    let kind = literal(kind)
        .and_then(|name| Kind::ALL.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind));
    Ok(Some(Bound {
        kind: kind.ok_or_else(internal)?,
        latest_n: literal(latest_n).and_then(|count| count.parse().ok()),
        after: time_of(after)?,
        before: time_of(before)?,
        as_of: match time_of(as_of)? {
            Time::Any => None,
            Time::At(at) => Some(as_of::BoundTime::Time(at)),
            Time::Parameters(expr) => Some(as_of::BoundTime::Parameters(expr)),
        },
    }))
}

fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => Some(text),
        _ => None,
    }
}

fn time_of(expr: &Expr) -> Result<Time, SqlError> {
    match expr {
        Expr::Value(ValueWithSpan { value: Value::Null, .. }) => Ok(Time::Any),
        Expr::Value(_) => match literal(expr).and_then(|micros| micros.parse().ok()) {
            Some(micros) => Ok(Time::At(CommitTs(micros))),
            None => Err(SqlError::internal("a time that is none")),
        },
        other => Ok(Time::Parameters(other.clone())),
    }
}

/// Refuses versions where a query is kept for later.
pub fn refuse(query: &Query, place: &str) -> Result<(), SqlError> {
    struct Tables;
    impl Visitor for Tables {
        type Break = ();

        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            match is_history(factor) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        }
    }
    match query.visit(&mut Tables) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => {
            Err(SqlError::unsupported(format!("versions of a table in {place} are not supported")))
        }
    }
}
