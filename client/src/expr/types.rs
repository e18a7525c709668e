//! Which operands each operator takes, and the type it yields.

use super::{BinaryOp, Expr};
use crate::types::DataType;
use crate::value::Value;

impl Expr {
    /// The expression's type.
    pub fn data_type(&self) -> &DataType {
        match self {
            Expr::Literal(_, data_type)
            | Expr::Column(_, data_type)
            | Expr::Excluded(_, data_type)
            | Expr::Parameter(_, data_type)
            | Expr::Negate(_, data_type)
            | Expr::Coalesce(_, data_type)
            | Expr::Cast(_, data_type) => data_type,
            Expr::Binary { result, .. }
            | Expr::Case { result, .. }
            | Expr::MapGet { result, .. } => result,
            Expr::MapPut { map, .. } | Expr::MapConcat(map, _) | Expr::MapRemove(map, _) => {
                map.data_type()
            }
            Expr::MapHas(..)
            | Expr::And(_)
            | Expr::Or(_)
            | Expr::Not(_)
            | Expr::IsNull(_)
            | Expr::InList(..) => &DataType::Bool,
        }
    }

    /// The expressions directly inside this one.
    pub fn children(&self) -> Vec<&Expr> {
        match self {
            Expr::Literal(..) | Expr::Column(..) | Expr::Excluded(..) | Expr::Parameter(..) => {
                Vec::new()
            }
            Expr::Binary { left, right, .. } => vec![left, right],
            Expr::And(all) | Expr::Or(all) | Expr::Coalesce(all, _) => all.iter().collect(),
            Expr::Not(e) | Expr::Negate(e, _) | Expr::IsNull(e) | Expr::Cast(e, _) => vec![e],
            Expr::Case { branches, otherwise, .. } => branches
                .iter()
                .flat_map(|(condition, value)| [condition, value])
                .chain(otherwise.as_deref())
                .collect(),
            Expr::InList(e, list) => std::iter::once(&**e).chain(list).collect(),
            Expr::MapGet { map, key, .. } | Expr::MapHas(map, key) | Expr::MapRemove(map, key) => {
                vec![map, key]
            }
            Expr::MapConcat(map, other) => vec![map, other],
            Expr::MapPut { map, key, value } => vec![map, key, value],
        }
    }

    /// The expression with its parameters' values in place. A parameter without a value stays.
    pub fn bind(&self, values: &[Value]) -> Expr {
        self.replaced(&mut |expr| match expr {
            Expr::Parameter(at, data_type) => {
                values.get(*at).map(|value| Expr::Literal(value.clone(), data_type.clone()))
            }
            _ => None,
        })
    }

    /// The expression with what `with` has in the place of it or of expressions inside it.
    pub fn replaced(&self, with: &mut dyn FnMut(&Expr) -> Option<Expr>) -> Expr {
        if let Some(other) = with(self) {
            return other;
        }
        let mut one = |expr: &Expr| Box::new(expr.replaced(with));
        match self {
            Expr::Literal(..) | Expr::Column(..) | Expr::Excluded(..) | Expr::Parameter(..) => {
                self.clone()
            }
            Expr::Binary { op, left, right, result } => {
                Expr::Binary { op: *op, left: one(left), right: one(right), result: result.clone() }
            }
            Expr::And(exprs) => Expr::And(each_replaced(exprs, with)),
            Expr::Or(exprs) => Expr::Or(each_replaced(exprs, with)),
            Expr::Not(expr) => Expr::Not(one(expr)),
            Expr::Negate(expr, data_type) => Expr::Negate(one(expr), data_type.clone()),
            Expr::IsNull(expr) => Expr::IsNull(one(expr)),
            Expr::Coalesce(exprs, data_type) => {
                Expr::Coalesce(each_replaced(exprs, with), data_type.clone())
            }
            Expr::Case { branches, otherwise, result } => Expr::Case {
                branches: branches
                    .iter()
                    .map(|(condition, value)| (*one(condition), *one(value)))
                    .collect(),
                otherwise: otherwise.as_deref().map(one),
                result: result.clone(),
            },
            Expr::InList(expr, list) => {
                let expr = one(expr);
                Expr::InList(expr, each_replaced(list, with))
            }
            Expr::Cast(expr, data_type) => Expr::Cast(one(expr), data_type.clone()),
            Expr::MapGet { map, key, result } => {
                Expr::MapGet { map: one(map), key: one(key), result: result.clone() }
            }
            Expr::MapHas(map, key) => Expr::MapHas(one(map), one(key)),
            Expr::MapConcat(map, other) => Expr::MapConcat(one(map), one(other)),
            Expr::MapPut { map, key, value } => {
                Expr::MapPut { map: one(map), key: one(key), value: one(value) }
            }
            Expr::MapRemove(map, key) => Expr::MapRemove(one(map), one(key)),
        }
    }

    /// True where `test` holds for the expression or any inside it.
    pub fn any(&self, test: &mut dyn FnMut(&Expr) -> bool) -> bool {
        test(self) || self.children().into_iter().any(|child| child.any(test))
    }
}

fn each_replaced(exprs: &[Expr], with: &mut dyn FnMut(&Expr) -> Option<Expr>) -> Vec<Expr> {
    exprs.iter().map(|expr| expr.replaced(with)).collect()
}

impl BinaryOp {
    /// True for `=`, `<` and the like, whose result is boolean.
    pub fn is_comparison(self) -> bool {
        use BinaryOp::*;
        matches!(self, Eq | NotEq | Lt | LtEq | Gt | GtEq | DistinctFrom | NotDistinctFrom)
    }

    /// Of a comparison the one that says the same with its operands exchanged.
    pub fn mirrored(self) -> Self {
        match self {
            Self::Lt => Self::Gt,
            Self::LtEq => Self::GtEq,
            Self::Gt => Self::Lt,
            Self::GtEq => Self::LtEq,
            same => same,
        }
    }
}

/// The type of `left op right`, or `None` where the language has no such operator: the frontend then
/// evaluates it. `timestamptz` with `interval` is not here because days and months need the session's time
/// zone, json because it has no equality, jsonb because its equality is not that of its text.
pub fn binary_result(op: BinaryOp, left: &DataType, right: &DataType) -> Option<DataType> {
    use BinaryOp::*;
    use DataType::*;
    if op.is_comparison() {
        return (comparable(left) && same_family(left, right)).then_some(Bool);
    }
    let arithmetic = matches!(op, Add | Subtract | Multiply | Divide | Modulo);
    Some(match (op, left, right) {
        (_, Int2, Int2) if arithmetic => Int2,
        (_, Int4, Int4) if arithmetic => Int4,
        (_, Int8, Int8) if arithmetic => Int8,
        (Add | Subtract | Multiply | Divide, Float4, Float4) => Float4,
        (Add | Subtract | Multiply | Divide, Float8, Float8) => Float8,
        (_, Numeric(_), Numeric(_)) if arithmetic => Numeric(None),
        (Add | Subtract, Date, Int4) | (Add, Int4, Date) => Date,
        (Subtract, Date, Date) => Int4,
        (Add | Subtract, Date | Timestamp, Interval) | (Add, Interval, Date | Timestamp) => {
            Timestamp
        }
        (Add, Date, Time) | (Add, Time, Date) => Timestamp,
        (Subtract, Timestamp, Timestamp)
        | (Subtract, TimestampTz, TimestampTz)
        | (Subtract, Time, Time)
        | (Add | Subtract, Interval, Interval) => Interval,
        (Add | Subtract, Time, Interval) | (Add, Interval, Time) => Time,
        (Concat, Text | Varchar(_) | Char(_), Text | Varchar(_) | Char(_)) => Text,
        (Concat, Bytea, Bytea) => Bytea,
        (Concat, Array(a), Array(b)) if a == b => left.clone(),
        (Concat, Array(a), Array(b)) => match (&**a, &**b) {
            (Numeric(_), Numeric(_)) => Array(Box::new(Numeric(None))),
            (Text | Varchar(_), Text | Varchar(_)) => Array(Box::new(Text)),
            _ => return None,
        },
        _ => return None,
    })
}

fn comparable(data_type: &DataType) -> bool {
    match data_type {
        // Maps the frontend compares: what equals what depends on the value's type.
        DataType::Json | DataType::Jsonb | DataType::Map(_) => false,
        DataType::Array(element) => comparable(element),
        _ => true,
    }
}

/// The same type but for its modifier; text and varchar are one family, char(n) is its own.
fn same_family(left: &DataType, right: &DataType) -> bool {
    use DataType::*;
    match (left, right) {
        (Numeric(_), Numeric(_)) | (Char(_), Char(_)) => true,
        (Text | Varchar(_), Text | Varchar(_)) => true,
        (Array(a), Array(b)) => same_family(a, b),
        _ => left == right,
    }
}

/// True where [`Expr::Cast`] takes `from` to `to`.
pub fn can_cast(from: &DataType, to: &DataType) -> bool {
    use DataType::*;
    let number = |t: &DataType| matches!(t, Int2 | Int4 | Int8 | Float4 | Float8 | Numeric(_));
    let exact = |t: &DataType| matches!(t, Bool | Int2 | Int4 | Int8 | Numeric(_));
    let text = |t: &DataType| matches!(t, Text | Varchar(_) | Char(_));
    from == to
        || number(from) && number(to)
        || text(from) && text(to)
        || exact(from) && text(to)
        || matches!(
            (from, to),
            (Bool, Int4) | (Int4, Bool) | (Date, Timestamp) | (Timestamp, Date | Time)
        )
}
