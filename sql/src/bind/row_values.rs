//! Row values: `(a, b) = (1, 2)`, `(a, b) < (c, d)`, `(a, b) IN ((1, 2), (3, 4))`, `ROW (a, b) IS NULL`.
//!
//! DataFusion compares single values. A comparison of rows becomes what the standard defines it to be: pairs
//! joined by AND and OR, from left to right, with SQL's three values.

use super::rewrite::call;
use super::template::{self, Part};
use crate::error::{SqlError, SqlState};
use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Query,
    SelectItem, SetExpr, Value, VisitMut, VisitorMut,
};

/// Replaces the comparisons of rows in a statement.
pub fn compare(statement: &mut impl VisitMut) -> Result<(), SqlError> {
    match statement.visit(&mut Comparisons) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

/// The fields of a row value; `None` for anything else.
pub fn fields(expr: &Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Tuple(fields) => Some(fields.clone()),
        Expr::Nested(inner) => fields(inner),
        Expr::Function(function) => row_constructor(function),
        _ => None,
    }
}

/// The fields of `ROW (a, b)`.
pub fn row_constructor(function: &Function) -> Option<Vec<Expr>> {
    let [name] = function.name.0.as_slice() else { return None };
    if !name.as_ident().is_some_and(|name| name.value.eq_ignore_ascii_case("row")) {
        return None;
    }
    let FunctionArguments::List(list) = &function.args else { return None };
    let value = |arg: &FunctionArg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    list.args.iter().map(value).collect()
}

/// `(SELECT a, b FROM …)` as one subquery for each of its columns.
pub fn taken_apart(query: &Query, wanted: usize) -> Result<Vec<Expr>, SqlError> {
    if let SetExpr::Select(select) = &*query.body {
        let plain = |item: &SelectItem| {
            matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. })
        };
        if select.projection.iter().all(plain) && select.projection.len() != wanted {
            return Err(SqlError::syntax("number of columns does not match number of values"));
        }
    }
    let names: Vec<String> = (0..wanted).map(|at| format!("__column{at}")).collect();
    let columns = names.join(", ");
    // The whole query for each: one of its items alone might not aggregate as all of them do.
    let one = |name: &String| {
        let text = format!("SELECT (SELECT {name} FROM (SELECT 1) AS __rows({columns}))");
        template::expression(&text, &[("__rows", Part::Rows(query))])
    };
    names.iter().map(one).collect()
}

struct Comparisons;

impl VisitorMut for Comparisons {
    type Break = Box<SqlError>;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Box<SqlError>> {
        match compared(expr) {
            Ok(Some(replacement)) => *expr = replacement,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(Box::new(error)),
        }
        ControlFlow::Continue(())
    }
}

fn compared(expr: &Expr) -> Result<Option<Expr>, SqlError> {
    Ok(match expr {
        Expr::BinaryOp { left, op, right } => match (fields(left), fields(right)) {
            (Some(left), Some(right)) => Some(operator(&left, op, &right)?),
            (Some(row), None) => match &**right {
                Expr::Subquery(query) if row.len() > 1 => {
                    Some(operator(&row, op, &taken_apart(query, row.len())?)?)
                }
                _ => None,
            },
            (None, Some(row)) => match &**left {
                Expr::Subquery(query) if row.len() > 1 => {
                    Some(operator(&taken_apart(query, row.len())?, op, &row)?)
                }
                _ => None,
            },
            _ => None,
        },
        Expr::IsDistinctFrom(left, right) => match (fields(left), fields(right)) {
            (Some(left), Some(right)) => Some(distinct(&left, &right)?),
            _ => None,
        },
        Expr::IsNotDistinctFrom(left, right) => match (fields(left), fields(right)) {
            (Some(left), Some(right)) => {
                Some(pairs("NOT ($1)", "", &[distinct(&left, &right)?], &[])?)
            }
            _ => None,
        },
        Expr::InList { expr, list, negated } => match fields(expr) {
            Some(probe) => Some(in_list(&probe, list, *negated)?),
            None => None,
        },
        Expr::IsNull(inner) => match fields(inner) {
            Some(row) => Some(all_null(&row, true)?),
            None => None,
        },
        Expr::IsNotNull(inner) => match fields(inner) {
            Some(row) => Some(all_null(&row, false)?),
            None => None,
        },
        _ => None,
    })
}

/// `ROW (a, b) IS NULL`, and `IS NOT NULL`, which is no opposite: of all fields.
pub fn all_null(row: &[Expr], is_null: bool) -> Result<Expr, SqlError> {
    pairs(if is_null { "$1 IS NULL" } else { "$1 IS NOT NULL" }, " AND ", row, &[])
}

fn in_list(probe: &[Expr], list: &[Expr], negated: bool) -> Result<Expr, SqlError> {
    let mut alternatives = Vec::with_capacity(list.len());
    for item in list {
        let Some(row) = fields(item) else {
            return Err(SqlError::unsupported("a row value IN a list of single values"));
        };
        alternatives.push(equal(probe, &row)?);
    }
    let any = pairs("($1)", " OR ", &alternatives, &[])?;
    if negated { pairs("NOT ($1)", "", &[any], &[]) } else { Ok(any) }
}

fn operator(left: &[Expr], op: &BinaryOperator, right: &[Expr]) -> Result<Expr, SqlError> {
    match op {
        BinaryOperator::Eq => equal(left, right),
        BinaryOperator::NotEq => {
            same_length(left, right)?;
            pairs("$1 <> $2", " OR ", left, right)
        }
        BinaryOperator::Lt | BinaryOperator::LtEq | BinaryOperator::Gt | BinaryOperator::GtEq => {
            same_length(left, right)?;
            ordered(left, op, right)
        }
        BinaryOperator::Overlaps if left.len() == 2 && right.len() == 2 => {
            Ok(call("overlaps", left.iter().chain(right).cloned().collect()))
        }
        other => Err(SqlError::unsupported(format!("operator {other} of row values"))),
    }
}

/// `(a, b) = (c, d)`.
pub fn equal(left: &[Expr], right: &[Expr]) -> Result<Expr, SqlError> {
    same_length(left, right)?;
    pairs("$1 = $2", " AND ", left, right)
}

fn distinct(left: &[Expr], right: &[Expr]) -> Result<Expr, SqlError> {
    same_length(left, right)?;
    pairs("$1 IS DISTINCT FROM $2", " OR ", left, right)
}

/// The first pair that differs decides; the operator's equality counts where none does.
fn ordered(left: &[Expr], op: &BinaryOperator, right: &[Expr]) -> Result<Expr, SqlError> {
    let (strict, last) = match op {
        BinaryOperator::Lt | BinaryOperator::LtEq => ("<", op.to_string()),
        _ => (">", op.to_string()),
    };
    let mut pair = left.iter().zip(right).rev();
    let Some((left, right)) = pair.next() else {
        return Err(SqlError::unsupported("a comparison of empty row values"));
    };
    let mut whole = pairs(
        &format!("$1 {last} $2"),
        "",
        std::slice::from_ref(left),
        std::slice::from_ref(right),
    )?;
    for (left, right) in pair {
        let text = format!("SELECT (__left {strict} __right OR (__left = __right AND __rest))");
        whole = template::expression(
            &text,
            &[
                ("__left", Part::Value(left)),
                ("__right", Part::Value(right)),
                ("__rest", Part::Value(&whole)),
            ],
        )?;
    }
    Ok(whole)
}

fn same_length(left: &[Expr], right: &[Expr]) -> Result<(), SqlError> {
    if left.len() == right.len() {
        return Ok(());
    }
    Err(SqlError::new(SqlState::SYNTAX_ERROR, "unequal number of entries in row expressions"))
}

/// `one` for each pair, with `$1` and `$2` in place of its members, joined.
fn pairs(one: &str, joint: &str, left: &[Expr], right: &[Expr]) -> Result<Expr, SqlError> {
    if left.is_empty() {
        return Ok(Expr::value(Value::Null));
    }
    let names: Vec<(String, String)> =
        (0..left.len()).map(|at| (format!("__left{at}"), format!("__right{at}"))).collect();
    let text: Vec<String> =
        names.iter().map(|(left, right)| one.replace("$1", left).replace("$2", right)).collect();
    let mut parts: Vec<(&str, Part<'_>)> = Vec::with_capacity(2 * left.len());
    for (at, (left_name, right_name)) in names.iter().enumerate() {
        parts.push((left_name, Part::Value(&left[at])));
        if let Some(right) = right.get(at) {
            parts.push((right_name, Part::Value(right)));
        }
    }
    template::expression(&format!("SELECT ({})", text.join(joint)), &parts)
}
