//! The one expression language of row programs, CHECK constraints and pushed predicates (rule 27).
//!
//! Typed: every node knows its result type, operands already have the operator's input types (the
//! frontend inserts [`Expr::Cast`]s as PostgreSQL would). Three-valued logic, PostgreSQL's errors:
//! integer overflow 22003, division by zero 22012, a failing cast 22P02 or 22003. What cannot be said here
//! is evaluated by the frontend, whose program then carries [`crate::program::Guard::Version`].

use crate::ids::ColumnId;
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
    /// `CAST(e AS type)`, explicit: numeric kinds into each other, and a length into varchar(n) and char(n).
    Cast(Box<Expr>, DataType),
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
    /// Not of the type (22P02).
    #[error("invalid input: {0}")]
    InvalidInput(String),
    /// Types that do not fit together: a planner's mistake (XX000).
    #[error("expression is ill-typed: {0}")]
    IllTyped(String),
}
