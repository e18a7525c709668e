//! Pushed predicates over whole columns: what of them can be said with Arrow's kernels.
//!
//! Contract: a row that [`Predicate::select`] leaves out is one for which a conjunct is false or NULL. The
//! converse does not hold: a conjunct that is not understood here is dropped when compiled, and the
//! frontend filters again. Nothing here can fail on a row: no arithmetic, no casts.
//!
//! Comparisons are SQL's: NaN is the greatest float and equal to itself, -0 equals 0, text is compared
//! by byte, char(n) without trailing blanks (it is stored without them).

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Scalar};
use arrow::compute::kernels::cmp;
use arrow::compute::{and_kleene, is_null, not, or_kleene};
use arrow::datatypes::{Float32Type, Float64Type};
use arrow::error::ArrowError;
use std::sync::Arc;
use terrane_client::columns::ColumnBuilder;
use terrane_client::expr::{BinaryOp, Expr};
use terrane_client::ids::ColumnId;
use terrane_client::schema::TableSchema;
use terrane_client::types::DataType;
use terrane_client::value::{Value, canonical_f32, canonical_f64};

/// Constants of an IN list at most; longer ones are left to the frontend.
const IN_LIST_MAX: usize = 32;

/// The conjuncts that can be evaluated here.
#[derive(Clone, Debug, Default)]
pub struct Predicate {
    conjuncts: Vec<Test>,
    columns: Vec<ColumnId>,
}

/// A condition on one row, three-valued.
#[derive(Clone, Debug)]
pub(super) enum Test {
    /// `column op constant`
    Compare {
        column: ColumnId,
        op: BinaryOp,
        constant: Constant,
    },
    /// `column IN (constants)`
    In {
        column: ColumnId,
        constants: Vec<Constant>,
    },
    /// `column IS NULL`
    IsNull(ColumnId),
    /// A boolean column.
    Is(ColumnId),
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
}

/// A constant of a column's type.
#[derive(Clone, Debug)]
pub(super) struct Constant {
    pub(super) value: Value,
    array: Scalar<ArrayRef>,
}

/// Columns by id, all of one length.
pub trait Columns {
    /// The column's array, of its type's Arrow form.
    fn column(&self, id: ColumnId) -> Result<&ArrayRef, ArrowError>;
}

impl Predicate {
    /// Compiles what can be evaluated here of `conjuncts` over rows of `schema`.
    pub fn compile(conjuncts: &[Expr], schema: &TableSchema) -> Self {
        let mut compiled = Self::default();
        for conjunct in conjuncts {
            compiled.add(conjunct, schema);
        }
        for test in &compiled.conjuncts {
            test.collect_columns(&mut compiled.columns);
        }
        compiled.columns.sort_unstable();
        compiled.columns.dedup();
        compiled
    }

    fn add(&mut self, conjunct: &Expr, schema: &TableSchema) {
        match conjunct {
            // Each part of a conjunction may be dropped by itself.
            Expr::And(parts) => parts.iter().for_each(|part| self.add(part, schema)),
            _ => self.conjuncts.extend(Test::compile(conjunct, schema)),
        }
    }

    /// True where every row passes.
    pub fn is_empty(&self) -> bool {
        self.conjuncts.is_empty()
    }

    /// The columns it reads, ascending.
    pub fn columns(&self) -> &[ColumnId] {
        &self.columns
    }

    /// The conjuncts.
    pub(super) fn conjuncts(&self) -> &[Test] {
        &self.conjuncts
    }

    /// The rows that pass: no NULLs in the answer. `None` where every row does.
    pub fn select(&self, columns: &dyn Columns) -> Result<Option<BooleanArray>, ArrowError> {
        let mut selected: Option<BooleanArray> = None;
        for test in &self.conjuncts {
            let truth = test.evaluate(columns)?;
            let all = match selected {
                None => truth,
                Some(before) => and_kleene(&before, &truth)?,
            };
            if all.true_count() == 0 {
                return Ok(Some(BooleanArray::from(vec![false; all.len()])));
            }
            selected = Some(all);
        }
        Ok(selected.filter(|rows| rows.true_count() < rows.len()).map(|rows| match rows.nulls() {
            None => rows,
            Some(valid) => BooleanArray::new(rows.values() & valid.inner(), None),
        }))
    }
}

impl Test {
    fn compile(expr: &Expr, schema: &TableSchema) -> Option<Self> {
        Some(match expr {
            Expr::Binary { op, left, right, .. } if op.is_comparison() => {
                match (&**left, &**right) {
                    (Expr::Column(column, _), Expr::Literal(value, of)) => {
                        let constant = Constant::new(*column, value, of, schema)?;
                        Self::Compare { column: *column, op: *op, constant }
                    }
                    (Expr::Literal(value, of), Expr::Column(column, _)) => {
                        let constant = Constant::new(*column, value, of, schema)?;
                        Self::Compare { column: *column, op: flip(*op), constant }
                    }
                    _ => return None,
                }
            }
            Expr::InList(e, list) if (1..=IN_LIST_MAX).contains(&list.len()) => {
                let Expr::Column(column, _) = &**e else { return None };
                let constants: Option<Vec<Constant>> = list
                    .iter()
                    .map(|item| match item {
                        Expr::Literal(value, of) => Constant::new(*column, value, of, schema),
                        _ => None,
                    })
                    .collect();
                Self::In { column: *column, constants: constants? }
            }
            Expr::IsNull(e) => match &**e {
                Expr::Column(column, _) => Self::IsNull(schema.column(*column)?.id),
                _ => return None,
            },
            Expr::Column(column, DataType::Bool) => {
                Self::Is(schema.column(*column).filter(|c| c.data_type == DataType::Bool)?.id)
            }
            Expr::And(parts) => Self::All(Self::compile_each(parts, schema)?),
            Expr::Or(parts) => Self::Any(Self::compile_each(parts, schema)?),
            Expr::Not(e) => Self::Not(Box::new(Self::compile(e, schema)?)),
            _ => return None,
        })
    }

    fn compile_each(parts: &[Expr], schema: &TableSchema) -> Option<Vec<Self>> {
        let tests: Option<Vec<Self>> = parts.iter().map(|e| Self::compile(e, schema)).collect();
        tests.filter(|tests| !tests.is_empty())
    }

    fn collect_columns(&self, columns: &mut Vec<ColumnId>) {
        match self {
            Self::Compare { column, .. } | Self::In { column, .. } => columns.push(*column),
            Self::IsNull(column) | Self::Is(column) => columns.push(*column),
            Self::All(tests) | Self::Any(tests) => {
                tests.iter().for_each(|test| test.collect_columns(columns));
            }
            Self::Not(test) => test.collect_columns(columns),
        }
    }

    fn evaluate(&self, columns: &dyn Columns) -> Result<BooleanArray, ArrowError> {
        match self {
            Self::Compare { column, op, constant } => {
                compare(&canonical(columns.column(*column)?), *op, constant)
            }
            Self::In { column, constants } => {
                let values = canonical(columns.column(*column)?);
                fold(constants.iter().map(|c| compare(&values, BinaryOp::Eq, c)), or_kleene)
            }
            Self::IsNull(column) => is_null(columns.column(*column)?),
            Self::Is(column) => Ok(columns.column(*column)?.as_boolean().clone()),
            Self::All(tests) => fold(tests.iter().map(|test| test.evaluate(columns)), and_kleene),
            Self::Any(tests) => fold(tests.iter().map(|test| test.evaluate(columns)), or_kleene),
            Self::Not(test) => not(&test.evaluate(columns)?),
        }
    }
}

impl Constant {
    /// `None` where the constant is not of the column's type, or the type is not compared here.
    fn new(id: ColumnId, value: &Value, of: &DataType, schema: &TableSchema) -> Option<Self> {
        let data_type = &schema.column(id)?.data_type;
        let is_comparable = match data_type {
            DataType::Json | DataType::Jsonb | DataType::Interval => false,
            DataType::Array(_) | DataType::Map(_) => false,
            // text against char(n) compares with blanks: a cast says so, and is not seen here.
            DataType::Char(_) => matches!(of, DataType::Char(_)),
            _ => !matches!(of, DataType::Char(_)),
        };
        if !is_comparable {
            return None;
        }
        let value = match value {
            Value::Float4(v) => Value::Float4(canonical_f32(*v)),
            Value::Float8(v) => Value::Float8(canonical_f64(*v)),
            other => other.clone(),
        };
        let mut builder = ColumnBuilder::new(data_type, 1);
        // Fails for another type, and for digits that the column's scale cannot show.
        builder.append_value(&value).ok()?;
        Some(Self { value, array: Scalar::new(builder.finish()) })
    }
}

fn flip(op: BinaryOp) -> BinaryOp {
    match op {
        BinaryOp::Lt => BinaryOp::Gt,
        BinaryOp::LtEq => BinaryOp::GtEq,
        BinaryOp::Gt => BinaryOp::Lt,
        BinaryOp::GtEq => BinaryOp::LtEq,
        symmetric => symmetric,
    }
}

/// Arrow orders floats by IEEE 754's total order, which is SQL's once there is one zero and one NaN.
fn canonical(values: &ArrayRef) -> ArrayRef {
    if let Some(values) = values.as_primitive_opt::<Float64Type>() {
        return Arc::new(values.unary::<_, Float64Type>(canonical_f64));
    }
    if let Some(values) = values.as_primitive_opt::<Float32Type>() {
        return Arc::new(values.unary::<_, Float32Type>(canonical_f32));
    }
    values.clone()
}

fn compare(
    values: &ArrayRef,
    op: BinaryOp,
    constant: &Constant,
) -> Result<BooleanArray, ArrowError> {
    let constant = &constant.array;
    match op {
        BinaryOp::Eq => cmp::eq(values, constant),
        BinaryOp::NotEq => cmp::neq(values, constant),
        BinaryOp::Lt => cmp::lt(values, constant),
        BinaryOp::LtEq => cmp::lt_eq(values, constant),
        BinaryOp::Gt => cmp::gt(values, constant),
        BinaryOp::GtEq => cmp::gt_eq(values, constant),
        BinaryOp::DistinctFrom => cmp::distinct(values, constant),
        BinaryOp::NotDistinctFrom => cmp::not_distinct(values, constant),
        _ => Err(ArrowError::ComputeError(format!("{op:?} is no comparison"))),
    }
}

type Connective = fn(&BooleanArray, &BooleanArray) -> Result<BooleanArray, ArrowError>;

fn fold(
    mut parts: impl Iterator<Item = Result<BooleanArray, ArrowError>>,
    connective: Connective,
) -> Result<BooleanArray, ArrowError> {
    let none = || ArrowError::ComputeError("an empty connective".to_owned());
    let first = parts.next().ok_or_else(none)??;
    parts.try_fold(first, |all, part| connective(&all, &part?))
}

#[cfg(test)]
mod tests;
