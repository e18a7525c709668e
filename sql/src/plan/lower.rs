//! Planned expressions in the tablets' language, where both mean the same (rule 27).
//!
//! What lowers runs under the row's lock, so it needs no second look at the row. What does not lower is
//! computed by the frontend and guarded by the row's version. Operands of unlike integer types are widened;
//! every other mixture of types stays with the frontend.

use crate::functions::{cast, map};
use crate::plan::values;
use crate::types::oid;
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use terrane_client::expr::{BinaryOp, Expr as Lowered, binary_result, can_cast};
use terrane_client::types::DataType;
use terrane_client::value::Value;

/// Finds what a column reference means for a row program: a column of the row, or of EXCLUDED.
pub type ColumnOf<'a> = &'a dyn Fn(&Column) -> Option<Lowered>;

/// Lowers an expression; `None` where it cannot be said in the tablets' language.
pub fn lower(expr: &Expr, column_of: ColumnOf<'_>) -> Option<Lowered> {
    match expr {
        Expr::Column(column) => column_of(column),
        Expr::Alias(alias) => lower(&alias.expr, column_of),
        Expr::Literal(scalar, metadata) => {
            let stated = metadata
                .as_ref()
                .and_then(|metadata| oid::parse_metadata(metadata.inner().get(oid::METADATA_KEY)?));
            let wire_type = stated.unwrap_or_else(|| oid::of_arrow(&scalar.data_type()));
            literal(scalar, oid::data_type(wire_type.oid, wire_type.modifier)?)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (left, right) = (lower(left, column_of)?, lower(right, column_of)?);
            match op {
                Operator::And => Some(Lowered::And(vec![left, right])),
                Operator::Or => Some(Lowered::Or(vec![left, right])),
                other => binary(comparison(*other)?, left, right),
            }
        }
        Expr::Negative(inner) => negative(lower(inner, column_of)?),
        Expr::Not(inner) => Some(Lowered::Not(Box::new(lower(inner, column_of)?))),
        Expr::IsNull(inner) => Some(Lowered::IsNull(Box::new(lower(inner, column_of)?))),
        Expr::IsNotNull(inner) => {
            let is_null = Lowered::IsNull(Box::new(lower(inner, column_of)?));
            Some(Lowered::Not(Box::new(is_null)))
        }
        Expr::Between(between) => {
            let value = lower(&between.expr, column_of)?;
            let low = binary(BinaryOp::GtEq, value.clone(), lower(&between.low, column_of)?)?;
            let high = binary(BinaryOp::LtEq, value, lower(&between.high, column_of)?)?;
            let both = Lowered::And(vec![low, high]);
            Some(if between.negated { Lowered::Not(Box::new(both)) } else { both })
        }
        Expr::InList(list) => {
            let value = lower(&list.expr, column_of)?;
            let mut any = Vec::new();
            for item in &list.list {
                any.push(binary(BinaryOp::Eq, value.clone(), lower(item, column_of)?)?);
            }
            let any = Lowered::Or(any);
            Some(if list.negated { Lowered::Not(Box::new(any)) } else { any })
        }
        Expr::Cast(cast) => {
            let target = oid::of_field(&cast.field);
            to_type(lower(&cast.expr, column_of)?, &oid::data_type(target.oid, target.modifier)?)
        }
        Expr::Placeholder(parameter) => {
            let at: usize = parameter.id.strip_prefix('$')?.parse().ok()?;
            let wire_type = oid::of_field(parameter.field.as_deref()?);
            let data_type = oid::data_type(wire_type.oid, wire_type.modifier)?;
            Some(Lowered::Parameter(at.checked_sub(1)?, data_type))
        }
        Expr::ScalarFunction(call) => function(call.func.name(), &call.args, column_of),
        _ => None,
    }
}

fn function(name: &str, args: &[Expr], column_of: ColumnOf<'_>) -> Option<Lowered> {
    let op = match (name, args) {
        (cast::NAME, [value, Expr::Literal(target, _)]) => {
            let target = oid::parse_metadata(target.try_as_str()??)?;
            let target = oid::data_type(target.oid, target.modifier)?;
            // An explicit cast cuts text; the tablets' refuses it.
            if matches!(target, DataType::Varchar(Some(_)) | DataType::Char(_)) {
                return None;
            }
            return to_type(lower(value, column_of)?, &target);
        }
        ("coalesce", [_, ..]) => {
            let args: Vec<_> =
                args.iter().map(|arg| lower(arg, column_of)).collect::<Option<_>>()?;
            if is_map_column(&args[0]) {
                return args.into_iter().next();
            }
            let data_type = args[0].data_type().clone();
            let same = args.iter().all(|arg| *arg.data_type() == data_type);
            return same.then_some(Lowered::Coalesce(args, data_type));
        }
        (map::GET | map::EXISTS | map::CONCAT | map::DELETE, [map, operand]) => {
            return on_map(name, lower(map, column_of)?, lower(operand, column_of)?);
        }
        (map::PUT, [map, key, value]) => {
            return put(lower(map, column_of)?, lower(key, column_of)?, lower(value, column_of)?);
        }
        ("pg_add", _) => BinaryOp::Add,
        ("pg_subtract", _) => BinaryOp::Subtract,
        ("pg_multiply", _) => BinaryOp::Multiply,
        ("pg_divide", _) => BinaryOp::Divide,
        ("pg_modulo", _) => BinaryOp::Modulo,
        _ => return None,
    };
    let [left, right] = args else { return None };
    binary(op, lower(left, column_of)?, lower(right, column_of)?)
}

/// Lowers changes of a map column's entries, whatever is put and removed: `hole` gives what stands for an operand that
/// does not lower. `None` where the value is not made of the column itself.
pub fn lower_steps(
    expr: &Expr,
    column_of: ColumnOf<'_>,
    hole: &mut dyn FnMut(&Expr) -> Option<Lowered>,
) -> Option<Lowered> {
    let call = match expr {
        Expr::Alias(alias) => return lower_steps(&alias.expr, column_of, hole),
        Expr::Column(column) => return column_of(column).filter(is_map_column),
        Expr::ScalarFunction(call) => call,
        _ => return None,
    };
    let mut operand = |expr: &Expr| lower(expr, column_of).or_else(|| hole(expr));
    match (call.func.name(), &call.args[..]) {
        ("coalesce", [map, _, ..]) => lower_steps(map, column_of, hole),
        (name @ (map::CONCAT | map::DELETE), [map, other]) => {
            let other = operand(other)?;
            let map = lower_steps(map, column_of, hole)?;
            match (map.data_type(), other.data_type()) {
                (DataType::Map(of), DataType::Array(element))
                    if name == map::DELETE && **element == *of.key() =>
                {
                    Some(Lowered::MapRemove(Box::new(map), Box::new(other)))
                }
                _ => on_map(name, map, other),
            }
        }
        (map::PUT, [map, key, value]) => {
            let (key, value) = (operand(key)?, operand(value)?);
            put(lower_steps(map, column_of, hole)?, key, value)
        }
        _ => None,
    }
}

/// True for a column that is never NULL, as no map column of a row is.
fn is_map_column(value: &Lowered) -> bool {
    matches!(value, Lowered::Column(_, DataType::Map(_)))
}

fn put(map: Lowered, key: Lowered, value: Lowered) -> Option<Lowered> {
    let DataType::Map(of) = map.data_type().clone() else { return None };
    let (key, value) = (to_type(key, of.key())?, to_type(value, of.value())?);
    let [map, key, value] = [map, key, value].map(Box::new);
    Some(Lowered::MapPut { map, key, value })
}

/// An operator on a map and a key, or on two maps of one type.
fn on_map(name: &str, map: Lowered, operand: Lowered) -> Option<Lowered> {
    let DataType::Map(of) = map.data_type().clone() else { return None };
    if name == map::CONCAT {
        let is_alike = operand.data_type() == map.data_type();
        return is_alike.then(|| Lowered::MapConcat(Box::new(map), Box::new(operand)));
    }
    // Tablets refuse a key that is too long, and for the frontend it is one that no map has.
    if matches!(of.key(), DataType::Varchar(Some(_)) | DataType::Char(_)) {
        return None;
    }
    // Of an array of keys, or a map, the frontend takes care.
    let is_key = operand.data_type() == of.key() || to_type(operand.clone(), of.key()).is_some();
    if !is_key || matches!(operand.data_type(), DataType::Array(_) | DataType::Map(_)) {
        return None;
    }
    let (map, key) = (Box::new(map), Box::new(to_type(operand, of.key())?));
    Some(match name {
        map::GET => Lowered::MapGet { map, key, result: of.value().clone() },
        map::EXISTS => Lowered::MapHas(map, key),
        _ => Lowered::MapRemove(map, key),
    })
}

/// `-x`, which the tablets have as `0 - x`, for floats as `-1 * x`: minus zero is a value of theirs.
fn negative(value: Lowered) -> Option<Lowered> {
    let (op, operand) = match value.data_type() {
        DataType::Int2 => (BinaryOp::Subtract, Value::Int2(0)),
        DataType::Int4 => (BinaryOp::Subtract, Value::Int4(0)),
        DataType::Int8 => (BinaryOp::Subtract, Value::Int8(0)),
        DataType::Float4 => (BinaryOp::Multiply, Value::Float4(-1.0)),
        DataType::Float8 => (BinaryOp::Multiply, Value::Float8(-1.0)),
        _ => return None,
    };
    let operand = Lowered::Literal(operand, value.data_type().clone());
    binary(op, operand, value)
}

fn literal(scalar: &ScalarValue, data_type: DataType) -> Option<Lowered> {
    Some(Lowered::Literal(values::from_scalar(scalar, &data_type)?, data_type))
}

/// A comparison operator of the tablets' language; `None` for any other operator.
pub fn comparison(op: Operator) -> Option<BinaryOp> {
    Some(match op {
        Operator::Eq => BinaryOp::Eq,
        Operator::NotEq => BinaryOp::NotEq,
        Operator::Lt => BinaryOp::Lt,
        Operator::LtEq => BinaryOp::LtEq,
        Operator::Gt => BinaryOp::Gt,
        Operator::GtEq => BinaryOp::GtEq,
        Operator::IsDistinctFrom => BinaryOp::DistinctFrom,
        Operator::IsNotDistinctFrom => BinaryOp::NotDistinctFrom,
        _ => return None,
    })
}

fn binary(op: BinaryOp, left: Lowered, right: Lowered) -> Option<Lowered> {
    let (left, right) = alike(left, right)?;
    let result = binary_result(op, left.data_type(), right.data_type())?;
    Some(Lowered::Binary { op, left: Box::new(left), right: Box::new(right), result })
}

/// Both operands in one type.
fn alike(left: Lowered, right: Lowered) -> Option<(Lowered, Lowered)> {
    let (l, r) = (left.data_type().clone(), right.data_type().clone());
    if l == r || (l.is_text() && r.is_text()) {
        return Some((left, right));
    }
    let width = |t: &DataType| match t {
        DataType::Int2 => Some(2),
        DataType::Int4 => Some(4),
        DataType::Int8 => Some(8),
        _ => None,
    };
    match (width(&l)?, width(&r)?) {
        (a, b) if a < b => Some((to_type(left, &r)?, right)),
        _ => Some((left, to_type(right, &l)?)),
    }
}

/// A value in another type.
pub fn to_type(value: Lowered, target: &DataType) -> Option<Lowered> {
    if value.data_type() == target {
        return Some(value);
    }
    if !can_cast(value.data_type(), target) {
        return None;
    }
    if let Lowered::Literal(literal, _) = &value
        && literal.is_null()
    {
        return Some(Lowered::Literal(literal.clone(), target.clone()));
    }
    Some(Lowered::Cast(Box::new(value), target.clone()))
}
