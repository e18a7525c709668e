//! The one expression language of row programs, CHECK constraints and pushed predicates (rule 27).
//!
//! Typed: every node knows its result type, operands already have the operator's input types (the
//! frontend inserts [`Expr::Cast`]s as PostgreSQL would). Three-valued logic, PostgreSQL's errors:
//! integer overflow 22003, division by zero 22012, a failing cast 22P02 or 22003. What cannot be said here
//! is evaluated by the frontend, whose program then carries [`crate::program::Guard::Version`].
//!
//! [`evaluate`] is here and not with the tablet server because the frontend needs the same one: inside a
//! transaction block it runs the block's programs against its own buffer (rule 29).

mod columns;
mod eval;
mod map;
mod ranges;
mod types;

pub use eval::{EXPR_DEPTH_MAX, NoRow, RowView, evaluate, is_true};
pub(crate) use map::{put as put_entry, remove as remove_entry};
pub use ranges::{exact_ranges_of, ranges_of};
pub use types::{binary_result, can_cast};

use crate::cell::CellError;
use crate::ids::ColumnId;
use crate::numeric::NumericError;
use crate::types::DataType;
use crate::value::Value;
use serde::{Deserialize, Serialize};

/// An expression over one row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Expr {
    /// A constant of this type.
    Literal(Value, DataType),
    /// A column of the row, key columns included.
    Column(ColumnId, DataType),
    /// A column of the row proposed by INSERT … ON CONFLICT.
    Excluded(ColumnId, DataType),
    /// `left op right`; both have the same type, but for date and interval arithmetic.
    Binary {
        /// The operator.
        op: BinaryOp,
        /// Left operand.
        left: Box<Expr>,
        /// Right operand.
        right: Box<Expr>,
        /// The result's type.
        result: DataType,
    },
    /// `left AND right AND …`
    And(Vec<Expr>),
    /// `left OR right OR …`
    Or(Vec<Expr>),
    /// `NOT e`
    Not(Box<Expr>),
    /// `-e`
    Negate(Box<Expr>, DataType),
    /// `e IS NULL`
    IsNull(Box<Expr>),
    /// `COALESCE(…)`
    Coalesce(Vec<Expr>, DataType),
    /// `CASE WHEN c THEN v … ELSE e END`
    Case {
        /// Conditions and values.
        branches: Vec<(Expr, Expr)>,
        /// ELSE; `None` is NULL.
        otherwise: Option<Box<Expr>>,
        /// The result's type.
        result: DataType,
    },
    /// `e IN (…)` over constants and expressions of e's type.
    InList(Box<Expr>, Vec<Expr>),
    /// The *assignment* cast of e to a type, where [`can_cast`] has it. As PostgreSQL on storing: what is
    /// too long for varchar(n) or char(n) is 22001 unless only blanks are cut, a numeric is rounded to its
    /// declared scale, floats round half to even into integers and numerics half away from zero. (SQL's
    /// explicit CAST truncates text silently: the frontend does that itself.)
    Cast(Box<Expr>, DataType),
    /// `map -> key`: the key's value; NULL where the map does not have it.
    MapGet {
        /// The map.
        map: Box<Expr>,
        /// The key, of the map's key type.
        key: Box<Expr>,
        /// The type of the map's values.
        result: DataType,
    },
    /// `map ? key`: whether the map has the key, with a value or with NULL.
    MapHas(Box<Expr>, Box<Expr>),
    /// `map || map`: of keys that both have the right one's values.
    MapConcat(Box<Expr>, Box<Expr>),
    /// The map with this entry, in place of one that it has: `SET map['key'] = value`.
    MapPut {
        /// The map.
        map: Box<Expr>,
        /// The key, of the map's key type.
        key: Box<Expr>,
        /// The value, of the type of the map's values.
        value: Box<Expr>,
    },
    /// `map - key`: the map without the key.
    MapRemove(Box<Expr>, Box<Expr>),
    /// A parameter of a prepared statement, by its place from 0, of this type. [`Expr::bind`] puts its value
    /// in; evaluating one that is left is [`ExprError::IllTyped`].
    Parameter(usize, DataType),
}

/// Binary operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Modulo,
    /// `||` of text, bytea or arrays
    Concat,
    /// `=`
    Eq,
    /// `<>`
    NotEq,
    /// `<`
    Lt,
    /// `<=`
    LtEq,
    /// `>`
    Gt,
    /// `>=`
    GtEq,
    /// `IS DISTINCT FROM`
    DistinctFrom,
    /// `IS NOT DISTINCT FROM`
    NotDistinctFrom,
}

/// Why an expression failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExprError {
    /// A value does not fit its type (22003).
    #[error("{0} out of range")]
    OutOfRange(String),
    /// 22012
    #[error("division by zero")]
    DivisionByZero,
    /// 22001
    #[error("value too long for type {0}")]
    TooLong(String),
    /// A date, timestamp or interval does not fit (22008).
    #[error("{0} out of range")]
    DateTimeOutOfRange(String),
    /// The time between moments that are none (22008).
    #[error("cannot subtract infinite {0}")]
    InfiniteDifference(&'static str),
    /// Nested deeper than [`EXPR_DEPTH_MAX`] (54001).
    #[error("expression is nested too deeply")]
    TooDeep,
    /// A value over [`crate::cell::CELL_BYTES_MAX`] (54000).
    #[error("value of {0} bytes is too large")]
    TooLarge(usize),
    /// Not of the type (22P02).
    #[error("invalid input: {0}")]
    InvalidInput(String),
    /// An entry of a map was to be written whose key is NULL (22004).
    #[error("null value not allowed for map key")]
    NullMapKey,
    /// Types that do not fit together: a planner's mistake (XX000).
    #[error("expression is ill-typed: {0}")]
    IllTyped(String),
}

impl From<CellError> for ExprError {
    fn from(error: CellError) -> Self {
        match error {
            CellError::OutOfRange(data_type) => Self::OutOfRange(data_type.to_string()),
            CellError::TooLarge { size } => Self::TooLarge(size),
            other => Self::IllTyped(other.to_string()),
        }
    }
}

impl From<NumericError> for ExprError {
    fn from(error: NumericError) -> Self {
        match error {
            NumericError::OutOfRange => Self::OutOfRange("numeric".to_owned()),
            NumericError::DivisionByZero => Self::DivisionByZero,
            NumericError::Invalid(_) => Self::InvalidInput(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
