//! Evaluates expressions over one row.
//!
//! Contract: for an expression whose types are as [`super::binary_result`] and [`super::can_cast`] have
//! them, the value and the error are PostgreSQL's. Anything else is [`ExprError::IllTyped`], never a panic.
//! AND, OR, CASE, COALESCE and IN evaluate from left to right and only as far as needed.

mod arithmetic;
mod cast;
mod datetime;

use super::{BinaryOp, Expr, ExprError, map};
use crate::ids::ColumnId;
use crate::types::DataType;
use crate::value::Value;
use std::cmp::Ordering;

/// Expressions nested deeper than this are refused: evaluation recurses, and a stack is finite.
pub const EXPR_DEPTH_MAX: usize = 256;

/// The row an expression is evaluated over.
pub trait RowView {
    /// A column of the row, key columns included; what was never written is the column's missing value.
    fn column(&self, id: ColumnId) -> Result<Value, ExprError>;

    /// A column of the row proposed by INSERT … ON CONFLICT.
    fn excluded(&self, id: ColumnId) -> Result<Value, ExprError> {
        Err(ExprError::IllTyped(format!("no proposed row to read column {} from", id.0)))
    }
}

/// No row to read: for expressions of constants.
pub struct NoRow;

impl RowView for NoRow {
    fn column(&self, id: ColumnId) -> Result<Value, ExprError> {
        Err(ExprError::IllTyped(format!("column {} outside of a row", id.0)))
    }
}

/// The expression's value over `row`.
pub fn evaluate(expr: &Expr, row: &dyn RowView) -> Result<Value, ExprError> {
    Evaluator { row }.value(expr, 0)
}

/// True where a boolean expression is true: not false and not NULL.
pub fn is_true(expr: &Expr, row: &dyn RowView) -> Result<bool, ExprError> {
    let evaluator = Evaluator { row };
    Ok(evaluator.truth(expr, 0)? == Some(true))
}

struct Evaluator<'a> {
    row: &'a dyn RowView,
}

impl Evaluator<'_> {
    fn value(&self, expr: &Expr, depth: usize) -> Result<Value, ExprError> {
        if depth > EXPR_DEPTH_MAX {
            return Err(ExprError::TooDeep);
        }
        let depth = depth + 1;
        match expr {
            Expr::Literal(value, _) => Ok(value.clone()),
            Expr::Column(id, _) => self.row.column(*id),
            Expr::Excluded(id, _) => self.row.excluded(*id),
            Expr::Parameter(at, _) => {
                Err(ExprError::IllTyped(format!("parameter {} has no value", at + 1)))
            }
            Expr::Binary { op, left, right, result } => {
                self.binary(*op, left, right, result, depth)
            }
            Expr::And(all) => self.connective(all, false, depth),
            Expr::Or(all) => self.connective(all, true, depth),
            Expr::Not(e) => Ok(boolean(self.truth(e, depth)?.map(|truth| !truth))),
            Expr::Negate(e, _) => arithmetic::negate(self.value(e, depth)?),
            Expr::IsNull(e) => Ok(Value::Bool(self.value(e, depth)?.is_null())),
            Expr::Coalesce(all, _) => self.coalesce(all, depth),
            Expr::Case { branches, otherwise, .. } => {
                self.case(branches, otherwise.as_deref(), depth)
            }
            Expr::InList(e, list) => self.in_list(e, list, depth),
            Expr::Cast(e, to) => cast::cast(self.value(e, depth)?, e.data_type(), to),
            Expr::MapGet { map, key, .. } => {
                map::get(self.value(map, depth)?, &self.value(key, depth)?)
            }
            Expr::MapHas(map, key) => map::has(&self.value(map, depth)?, &self.value(key, depth)?),
            Expr::MapConcat(map, other) => {
                map::concat(self.value(map, depth)?, self.value(other, depth)?)
            }
            Expr::MapPut { map, key, value } => {
                let (map, key) = (self.value(map, depth)?, self.value(key, depth)?);
                map::put(map, key, self.value(value, depth)?)
            }
            Expr::MapRemove(map, key) => {
                map::remove(self.value(map, depth)?, &self.value(key, depth)?)
            }
        }
    }

    fn truth(&self, expr: &Expr, depth: usize) -> Result<Option<bool>, ExprError> {
        match self.value(expr, depth)? {
            Value::Bool(truth) => Ok(Some(truth)),
            Value::Null => Ok(None),
            _ => Err(ExprError::IllTyped("a condition is not boolean".to_owned())),
        }
    }

    /// AND (`decisive` false) and OR (`decisive` true): the decisive value decides; else NULL, if any.
    fn connective(&self, all: &[Expr], decisive: bool, depth: usize) -> Result<Value, ExprError> {
        let mut seen_null = false;
        for expr in all {
            match self.truth(expr, depth)? {
                Some(truth) if truth == decisive => return Ok(Value::Bool(decisive)),
                Some(_) => {}
                None => seen_null = true,
            }
        }
        Ok(boolean((!seen_null).then_some(!decisive)))
    }

    fn coalesce(&self, all: &[Expr], depth: usize) -> Result<Value, ExprError> {
        for expr in all {
            let value = self.value(expr, depth)?;
            if !value.is_null() {
                return Ok(value);
            }
        }
        Ok(Value::Null)
    }

    fn case(
        &self,
        branches: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
        depth: usize,
    ) -> Result<Value, ExprError> {
        for (condition, value) in branches {
            if self.truth(condition, depth)? == Some(true) {
                return self.value(value, depth);
            }
        }
        otherwise.map_or(Ok(Value::Null), |otherwise| self.value(otherwise, depth))
    }

    fn in_list(&self, e: &Expr, list: &[Expr], depth: usize) -> Result<Value, ExprError> {
        let wanted = self.value(e, depth)?;
        if list.is_empty() {
            return Ok(Value::Bool(false));
        }
        if wanted.is_null() {
            return Ok(Value::Null);
        }
        let blanks = matches!(e.data_type(), DataType::Char(_));
        let mut seen_null = false;
        for candidate in list {
            let candidate = self.value(candidate, depth)?;
            if candidate.is_null() {
                seen_null = true;
            } else if compare(&wanted, &candidate, blanks)?.is_eq() {
                return Ok(Value::Bool(true));
            }
        }
        Ok(boolean((!seen_null).then_some(false)))
    }

    fn binary(
        &self,
        op: BinaryOp,
        left: &Expr,
        right: &Expr,
        result: &DataType,
        depth: usize,
    ) -> Result<Value, ExprError> {
        let a = self.value(left, depth)?;
        let b = self.value(right, depth)?;
        if op.is_comparison() {
            let blanks = matches!(left.data_type(), DataType::Char(_));
            return comparison(op, &a, &b, blanks).map(boolean);
        }
        let bare = |e: &Expr| matches!(e.data_type(), DataType::Numeric(None));
        let a = if bare(left) { arithmetic::undeclared(a) } else { a };
        let b = if bare(right) { arithmetic::undeclared(b) } else { b };
        arithmetic::binary(op, a, b, result)
    }
}

fn boolean(truth: Option<bool>) -> Value {
    truth.map_or(Value::Null, Value::Bool)
}

fn comparison(op: BinaryOp, a: &Value, b: &Value, blanks: bool) -> Result<Option<bool>, ExprError> {
    let distinct = matches!(op, BinaryOp::DistinctFrom | BinaryOp::NotDistinctFrom);
    let ordering = match (a.is_null(), b.is_null()) {
        (false, false) => compare(a, b, blanks)?,
        // NULL is distinct from everything but NULL; to every other operator it is unknown.
        (a_null, b_null) if distinct => a_null.cmp(&b_null),
        _ => return Ok(None),
    };
    Ok(Some(match op {
        BinaryOp::Eq | BinaryOp::NotDistinctFrom => ordering.is_eq(),
        BinaryOp::NotEq | BinaryOp::DistinctFrom => ordering.is_ne(),
        BinaryOp::Lt => ordering.is_lt(),
        BinaryOp::LtEq => ordering.is_le(),
        BinaryOp::Gt => ordering.is_gt(),
        BinaryOp::GtEq => ordering.is_ge(),
        _ => return Err(ExprError::IllTyped(format!("{op:?} is no comparison"))),
    }))
}

/// SQL's order of two values of one type. `blanks`: of char(n), where trailing blanks do not count.
fn compare(a: &Value, b: &Value, blanks: bool) -> Result<Ordering, ExprError> {
    if std::mem::discriminant(a) != std::mem::discriminant(b) {
        return Err(ExprError::IllTyped("values of two types are compared".to_owned()));
    }
    match (a, b) {
        (Value::Text(a), Value::Text(b)) if blanks => {
            Ok(a.trim_end_matches(' ').as_bytes().cmp(b.trim_end_matches(' ').as_bytes()))
        }
        _ => Ok(a.compare(b)),
    }
}
