#![allow(clippy::unwrap_used)]

mod arithmetic;
mod casts;
mod datetime;
mod logic;
mod random;

use super::*;
use crate::ids::ColumnId;

/// A row without columns.
struct Nothing;

impl RowView for Nothing {
    fn column(&self, id: ColumnId) -> Result<Value, ExprError> {
        Err(ExprError::IllTyped(format!("no column {}", id.0)))
    }
}

fn eval(expr: &Expr) -> Result<Value, ExprError> {
    evaluate(expr, &Nothing)
}

fn lit(value: Value, data_type: DataType) -> Expr {
    Expr::Literal(value, data_type)
}

fn null(data_type: DataType) -> Expr {
    Expr::Literal(Value::Null, data_type)
}

fn truth(value: Option<bool>) -> Expr {
    lit(value.map_or(Value::Null, Value::Bool), DataType::Bool)
}

fn int4(value: i32) -> Expr {
    lit(Value::Int4(value), DataType::Int4)
}

fn float8(value: f64) -> Expr {
    lit(Value::Float8(value), DataType::Float8)
}

fn numeric(text: &str) -> Value {
    Value::Numeric(text.parse().unwrap())
}

fn string(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// `a op b`, with the result type the language gives it.
fn apply(op: BinaryOp, a: Expr, b: Expr) -> Result<Value, ExprError> {
    let result = binary_result(op, a.data_type(), b.data_type())
        .unwrap_or_else(|| panic!("no {op:?} of {} and {}", a.data_type(), b.data_type()));
    eval(&Expr::Binary { op, left: Box::new(a), right: Box::new(b), result })
}

fn cast(value: Value, from: DataType, to: DataType) -> Result<Value, ExprError> {
    assert!(can_cast(&from, &to), "{from} to {to}");
    eval(&Expr::Cast(Box::new(lit(value, from)), to))
}

fn out_of_range(what: &str) -> Result<Value, ExprError> {
    Err(ExprError::OutOfRange(what.to_owned()))
}
