//! Constants and parameters as values of a column.

use crate::catalog::model::Column;
use crate::error::{SqlError, SqlState};
use crate::plan::errors;
use crate::session::info::SessionInfo;
use crate::session::modify::assign;
use crate::session::parameter::data_type_of;
use crate::session::prepared::parameter_number;
use crate::types::{oid, text};
use bytes::Bytes;
use datafusion::sql::sqlparser::ast::{Expr, UnaryOperator, Value as Literal, ValueWithSpan};
use terrane_client::expr::{self, Expr as Lowered, NoRow, can_cast};
use terrane_client::key;
use terrane_client::schema::TableSchema;
use terrane_client::types::DataType;
use terrane_client::value::Value;

/// A constant or a parameter.
#[derive(Clone, Debug)]
pub enum Operand {
    /// A value of the column's type.
    Constant(Value),
    /// A parameter, by its place from 0, and the type it comes in.
    Parameter(usize, DataType),
}

/// A parameter's place and type.
fn parameter(expr: &Expr, types: &[u32]) -> Option<(usize, u32, DataType)> {
    let at = parameter_number(expr)?;
    let type_oid = *types.get(at)?;
    if oid::is_oid_like(type_oid) {
        return None;
    }
    Some((at, type_oid, data_type_of(type_oid).ok()?))
}

impl Operand {
    /// A value on its way into a column, where its assignment means here what it means to the planner.
    pub fn assigned(expr: &Expr, column: &Column, types: &[u32]) -> Option<Self> {
        if matches!(column.data_type, DataType::Char(_)) || column.precision.is_some() {
            return None;
        }
        if let Some((at, type_oid, from)) = parameter(expr, types) {
            let is_same = from == column.data_type;
            let target = oid::of(&column.data_type).oid;
            let casts =
                || assign::is_assignable(type_oid, target) && can_cast(&from, &column.data_type);
            return (is_same || casts()).then_some(Self::Parameter(at, from));
        }
        if matches!(column.data_type, DataType::Varchar(Some(_))) {
            return None;
        }
        constant(expr, &column.data_type).map(Self::Constant)
    }

    /// A value that a key column is compared with: of the column's type, or another integer.
    pub fn compared(expr: &Expr, data_type: &DataType, types: &[u32]) -> Option<Self> {
        let data_type = comparable(data_type)?;
        match parameter(expr, types) {
            Some((at, _, from)) => {
                let alike = comparable(&from)? == data_type
                    || (is_integer(&from) && is_integer(&data_type));
                alike.then_some(Self::Parameter(at, from))
            }
            None => constant(expr, &data_type).map(Self::Constant),
        }
    }

    /// The value to store in a column of this type; errors are those of PostgreSQL's assignment.
    pub fn to_store(&self, values: &[Value], data_type: &DataType) -> Result<Value, SqlError> {
        match self {
            Self::Constant(value) => Ok(value.clone()),
            Self::Parameter(at, from) => {
                let value = given(values, *at)?;
                if from == data_type || value.is_null() {
                    return Ok(value.clone());
                }
                let literal = Box::new(Lowered::Literal(value.clone(), from.clone()));
                let cast = Lowered::Cast(literal, data_type.clone());
                expr::evaluate(&cast, &NoRow).map_err(|error| errors::of_expr(&error))
            }
        }
    }

    /// As an expression of the tablets' language, of this type.
    pub fn lowered(&self, data_type: &DataType) -> Lowered {
        match self {
            Self::Constant(value) => Lowered::Literal(value.clone(), data_type.clone()),
            Self::Parameter(at, from) => {
                let parameter = Lowered::Parameter(*at, from.clone());
                match from == data_type {
                    true => parameter,
                    false => Lowered::Cast(Box::new(parameter), data_type.clone()),
                }
            }
        }
    }

    /// The value to look a key up by; `None` where nothing can be equal to it.
    fn to_find(&self, values: &[Value], data_type: &DataType) -> Result<Option<Value>, SqlError> {
        let value = match self {
            Self::Constant(value) => value,
            Self::Parameter(at, _) => given(values, *at)?,
        };
        let wide = match value {
            Value::Null => return Ok(None),
            Value::Int2(v) => i64::from(*v),
            Value::Int4(v) => i64::from(*v),
            Value::Int8(v) => *v,
            other => return Ok(Some(other.clone())),
        };
        Ok(match data_type {
            DataType::Int2 => i16::try_from(wide).ok().map(Value::Int2),
            DataType::Int4 => i32::try_from(wide).ok().map(Value::Int4),
            _ => Some(Value::Int8(wide)),
        })
    }
}

fn given(values: &[Value], at: usize) -> Result<&Value, SqlError> {
    values.get(at).ok_or_else(|| {
        SqlError::new(SqlState::UNDEFINED_PARAMETER, format!("there is no parameter ${}", at + 1))
    })
}

fn is_integer(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int2 | DataType::Int4 | DataType::Int8)
}

/// The type under which a key column is compared, where equal bytes are what SQL calls equal values.
fn comparable(data_type: &DataType) -> Option<DataType> {
    use DataType::*;
    match data_type {
        Varchar(_) | Text => Some(Text),
        Bool | Int2 | Int4 | Int8 | Float4 | Float8 | Bytea | Date | Time | Timestamp
        | TimestampTz | Uuid => Some(data_type.clone()),
        _ => None,
    }
}

/// A literal as a value of a type. Dates and times are left out: what `'now'` or `'01/02/03'` mean is a
/// question of the moment.
fn constant(expr: &Expr, data_type: &DataType) -> Option<Value> {
    use DataType::{Bool, Int2, Int4, Int8, Json, Jsonb, Text, Uuid, Varchar};
    match expr {
        Expr::Nested(inner) => constant(inner, data_type),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } if is_integer(data_type) => {
            let digits = integer_digits(expr)?;
            parse(&format!("-{digits}"), data_type)
        }
        Expr::Value(ValueWithSpan { value, .. }) => match value {
            Literal::Null => Some(Value::Null),
            Literal::Boolean(value) if *data_type == Bool => Some(Value::Bool(*value)),
            Literal::Number(..) if is_integer(data_type) => parse(integer_digits(expr)?, data_type),
            Literal::SingleQuotedString(text) | Literal::EscapedStringLiteral(text) => {
                let plain = matches!(
                    data_type,
                    Text | Varchar(None) | Int2 | Int4 | Int8 | Bool | Uuid | Json | Jsonb
                );
                plain.then(|| parse(text, data_type)).flatten()
            }
            _ => None,
        },
        _ => None,
    }
}

fn integer_digits(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(ValueWithSpan { value: Literal::Number(digits, _), .. })
            if digits.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            Some(digits)
        }
        _ => None,
    }
}

/// The input function; what it refuses is the general road's to report.
fn parse(text: &str, data_type: &DataType) -> Option<Value> {
    text::parse(text, data_type, SessionInfo::default().input()).ok()
}

/// A row key whose columns are operands.
#[derive(Clone, Debug)]
pub struct KeyOperands(pub Vec<Operand>);

impl KeyOperands {
    /// The encoded key; `None` where no row can have it.
    pub fn encode(
        &self,
        values: &[Value],
        schema: &TableSchema,
    ) -> Result<Option<Bytes>, SqlError> {
        let shape = schema.key_shape();
        let mut found = Vec::with_capacity(self.0.len());
        for (operand, (data_type, _)) in self.0.iter().zip(&shape) {
            match operand.to_find(values, data_type)? {
                Some(value) => found.push(value),
                None => return Ok(None),
            }
        }
        match key::encode(&found, &shape) {
            Ok(key) => Ok(Some(key)),
            // No stored key is that long.
            Err(key::KeyError::TooLarge { .. }) => Ok(None),
            Err(error) => Err(SqlError::internal(error.to_string())),
        }
    }
}
