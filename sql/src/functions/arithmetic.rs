//! `+ - * / %` as PostgreSQL computes them.
//!
//! DataFusion's own operators wrap on overflow, give infinities on division by zero and widen decimals
//! their way. Here: the result of two integers is the wider one's type, 22003 on overflow and 22012 on
//! division by zero, also of floats; numerics keep their digits (rule 39); dates, timestamps and intervals
//! combine as PostgreSQL's operators do.

use super::{schema_name, temporal};
use crate::error::{SqlError, SqlState};
use crate::plan::errors::external;
use arrow::array::{Array, ArrayRef, AsArray, Datum, Scalar};
use arrow::compute::kernels::{cast as arrow_cast, numeric};
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Float32Type, Float64Type,
};
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// An arithmetic operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ArithmeticOp {
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
}

impl ArithmeticOp {
    /// As SQL writes it.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Add => "pg_add",
            Self::Subtract => "pg_subtract",
            Self::Multiply => "pg_multiply",
            Self::Divide => "pg_divide",
            Self::Modulo => "pg_modulo",
        }
    }
}

/// Fractional digits at least of a numeric quotient, as in PostgreSQL.
const QUOTIENT_SCALE_MIN: i8 = 16;
/// Fractional digits at most of a numeric result: leaves 36 for the integer part.
const NUMERIC_SCALE_MAX: i8 = 40;

/// The function behind an operator.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Arithmetic {
    op: ArithmeticOp,
    signature: Signature,
}

impl Arithmetic {
    /// The function of `op`.
    pub fn new(op: ArithmeticOp) -> Self {
        Self { op, signature: Signature::user_defined(Volatility::Immutable) }
    }

    fn undefined(&self, left: &DataType, right: &DataType) -> DataFusionError {
        external(SqlError::new(
            SqlState::UNDEFINED_FUNCTION,
            format!(
                "operator does not exist: {} {} {}",
                shown(left),
                self.op.symbol(),
                shown(right)
            ),
        ))
    }
}

/// A type as PostgreSQL's messages name it.
fn shown(arrow: &DataType) -> String {
    crate::types::oid::format_type(crate::types::oid::of_arrow(arrow).oid, None)
}

impl ScalarUDFImpl for Arithmetic {
    fn name(&self) -> &str {
        self.op.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        schema_name::bounded(self.name(), args)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn coerce_types(&self, args: &[DataType]) -> Result<Vec<DataType>> {
        let [left, right] = args else {
            return Err(DataFusionError::Internal("arithmetic of two operands".to_owned()));
        };
        let (left, right) = (known(left, right), known(right, left));
        if let Some(types) = temporal::operands(self.op, &left, &right) {
            return Ok(types);
        }
        let common = common_number(&left, &right).ok_or_else(|| self.undefined(&left, &right))?;
        Ok(match common {
            // Each decimal keeps its own scale, so that no digit is invented.
            Common::Decimal => vec![as_decimal(&left), as_decimal(&right)],
            Common::Same(data_type) => vec![data_type.clone(), data_type],
        })
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        let [left, right] = args else {
            return Err(DataFusionError::Internal("arithmetic of two operands".to_owned()));
        };
        if let Some(result) = temporal::result(self.op, left, right) {
            return Ok(result);
        }
        match (decimal_shape(left), decimal_shape(right)) {
            (Some(left), Some(right)) => Ok(decimal_result(self.op, left, right)),
            _ => Ok(left.clone()),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = args.args.as_slice() else {
            return Err(DataFusionError::Internal("arithmetic of two operands".to_owned()));
        };
        let result = args.return_field.data_type();
        let both_scalar =
            matches!((left, right), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
        let array = if temporal::result(self.op, &left.data_type(), &right.data_type()).is_some() {
            let info = crate::session::info::of(&args.config_options);
            temporal::compute(self.op, left, right, args.number_rows, &info.style.time_zone)?
        } else {
            let (left, right) = (Operand::new(left)?, Operand::new(right)?);
            compute(self.op, &left, &right, result).map_err(|e| named(e, result))?
        };
        Ok(match both_scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?),
            false => ColumnarValue::Array(array),
        })
    }
}

/// The type an untyped NULL takes beside `other`.
fn known(data_type: &DataType, other: &DataType) -> DataType {
    match (data_type, other) {
        (DataType::Null, DataType::Null) => DataType::Int32,
        (DataType::Null, other) => other.clone(),
        _ => data_type.clone(),
    }
}

enum Common {
    Decimal,
    Same(DataType),
}

/// The type two numbers are computed in; `None` where one is not a number.
fn common_number(left: &DataType, right: &DataType) -> Option<Common> {
    use DataType::{Float32, Float64};
    let number = |t: &DataType| t.is_integer() || t.is_floating() || decimal_shape(t).is_some();
    if !number(left) || !number(right) {
        return None;
    }
    Some(match (left, right) {
        (Float32, Float32) => Common::Same(Float32),
        (l, r) if l.is_floating() || r.is_floating() => Common::Same(Float64),
        (l, r) if l.is_integer() && r.is_integer() => Common::Same(wider(l, r)),
        _ => Common::Decimal,
    })
}

fn wider(left: &DataType, right: &DataType) -> DataType {
    let rank = |t: &DataType| match t {
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => 2,
        DataType::UInt16 | DataType::Int32 => 4,
        _ => 8,
    };
    match rank(left).max(rank(right)) {
        2 => DataType::Int16,
        4 => DataType::Int32,
        _ => DataType::Int64,
    }
}

/// Precision and scale; `None` for what is no numeric.
pub(super) fn decimal_shape(data_type: &DataType) -> Option<(u8, i8)> {
    match data_type {
        DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => Some((*p, *s)),
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) => Some((*p, *s)),
        _ => None,
    }
}

fn as_decimal(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Decimal128(..) | DataType::Decimal256(..) => data_type.clone(),
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => DataType::Decimal128(5, 0),
        DataType::UInt16 | DataType::Int32 => DataType::Decimal128(10, 0),
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) => DataType::Decimal128(*p, *s),
        _ => DataType::Decimal128(19, 0),
    }
}

/// Digits and scale of a numeric result: exact where 76 digits allow it.
fn decimal_result(op: ArithmeticOp, left: (u8, i8), right: (u8, i8)) -> DataType {
    let integer_digits = |(p, s): (u8, i8)| i32::from(p) - i32::from(s);
    let scale = match op {
        ArithmeticOp::Multiply => (left.1 + right.1).min(NUMERIC_SCALE_MAX),
        ArithmeticOp::Divide => left.1.max(right.1).max(QUOTIENT_SCALE_MIN),
        _ => left.1.max(right.1),
    };
    let digits = match op {
        ArithmeticOp::Multiply => integer_digits(left) + integer_digits(right),
        ArithmeticOp::Divide => integer_digits(left) + i32::from(right.1),
        _ => integer_digits(left).max(integer_digits(right)) + 1,
    };
    let precision = digits + i32::from(scale);
    if precision <= i32::from(DECIMAL128_MAX_PRECISION) {
        DataType::Decimal128(precision.max(1) as u8, scale)
    } else {
        DataType::Decimal256(DECIMAL256_MAX_PRECISION, scale)
    }
}

/// An operand as Arrow's kernels take it: a column, or one value for all rows.
enum Operand {
    Array(ArrayRef),
    Scalar(Scalar<ArrayRef>),
}

impl Operand {
    fn new(value: &ColumnarValue) -> Result<Self> {
        Ok(match value {
            ColumnarValue::Array(array) => Self::Array(array.clone()),
            ColumnarValue::Scalar(scalar) => Self::Scalar(scalar.to_scalar()?),
        })
    }

    fn cast(&self, to: &DataType) -> Result<Self, ArrowError> {
        let options = arrow_cast::CastOptions { safe: false, ..Default::default() };
        Ok(match self {
            Self::Array(array) => Self::Array(arrow_cast::cast_with_options(array, to, &options)?),
            Self::Scalar(scalar) => {
                let (array, _) = scalar.get();
                Self::Scalar(Scalar::new(arrow_cast::cast_with_options(array, to, &options)?))
            }
        })
    }

    fn datum(&self) -> &dyn Datum {
        match self {
            Self::Array(array) => array,
            Self::Scalar(scalar) => scalar,
        }
    }

    fn array(&self) -> &dyn Array {
        self.datum().get().0
    }
}

fn compute(
    op: ArithmeticOp,
    left: &Operand,
    right: &Operand,
    result: &DataType,
) -> Result<ArrayRef, ArrowError> {
    if let DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) = result {
        return decimals(op, left, right, *scale, result);
    }
    if result.is_floating() {
        return floats(op, left, right);
    }
    kernel(op, left.datum(), right.datum())
}

fn kernel(op: ArithmeticOp, left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef, ArrowError> {
    match op {
        ArithmeticOp::Add => numeric::add(left, right),
        ArithmeticOp::Subtract => numeric::sub(left, right),
        ArithmeticOp::Multiply => numeric::mul(left, right),
        ArithmeticOp::Divide => numeric::div(left, right),
        ArithmeticOp::Modulo => numeric::rem(left, right),
    }
}

/// Computes in 256 bits, then narrows: intermediate results have room.
fn decimals(
    op: ArithmeticOp,
    left: &Operand,
    right: &Operand,
    scale: i8,
    result: &DataType,
) -> Result<ArrayRef, ArrowError> {
    let shape = |operand: &Operand| decimal_shape(operand.array().data_type()).unwrap_or((38, 0));
    let wide = |s: i8| DataType::Decimal256(DECIMAL256_MAX_PRECISION, s);
    let (left_scale, right_scale) = (shape(left).1, shape(right).1);
    let narrow = matches!(result, DataType::Decimal128(..))
        && !matches!(op, ArithmeticOp::Divide | ArithmeticOp::Multiply);
    let computed = if narrow {
        let as_result = |operand: &Operand| operand.cast(&DataType::Decimal128(38, scale));
        kernel(op, as_result(left)?.datum(), as_result(right)?.datum())?
    } else {
        match op {
            // Arrow's quotient has the dividend's scale and four digits more: give the dividend what
            // makes that the scale wanted.
            ArithmeticOp::Divide => {
                let dividend = left.cast(&wide((scale + 1).max(left_scale)))?;
                kernel(op, dividend.datum(), right.cast(&wide(right_scale))?.datum())?
            }
            _ => kernel(
                op,
                left.cast(&wide(left_scale))?.datum(),
                right.cast(&wide(right_scale))?.datum(),
            )?,
        }
    };
    let options = arrow_cast::CastOptions { safe: false, ..Default::default() };
    arrow_cast::cast_with_options(&computed, result, &options)
}

fn floats(op: ArithmeticOp, left: &Operand, right: &Operand) -> Result<ArrayRef, ArrowError> {
    if matches!(op, ArithmeticOp::Divide | ArithmeticOp::Modulo) && has_zero(right.array()) {
        return Err(ArrowError::DivideByZero);
    }
    let computed = kernel(op, left.datum(), right.datum())?;
    let overflowed =
        is_infinite(&computed) && !is_infinite(left.array()) && !is_infinite(right.array());
    if overflowed || (op == ArithmeticOp::Multiply && has_vanished(&computed, left, right)) {
        return Err(ArrowError::ArithmeticOverflow("overflow".to_owned()));
    }
    Ok(with_one_nan(computed))
}

/// The one NaN for all: what processors make of Infinity - Infinity has a sign, and is less than any number to Arrow.
fn with_one_nan(computed: ArrayRef) -> ArrayRef {
    match computed.data_type() {
        DataType::Float32 => {
            let one = |v: f32| if v.is_nan() { f32::NAN } else { v };
            Arc::new(computed.as_primitive::<Float32Type>().unary::<_, Float32Type>(one))
        }
        DataType::Float64 => {
            let one = |v: f64| if v.is_nan() { f64::NAN } else { v };
            Arc::new(computed.as_primitive::<Float64Type>().unary::<_, Float64Type>(one))
        }
        _ => computed,
    }
}

/// True where a product is too small to be told from zero.
fn has_vanished(products: &dyn Array, left: &Operand, right: &Operand) -> bool {
    has_zero(products) && !has_zero(left.array()) && !has_zero(right.array())
}

fn has_zero(array: &dyn Array) -> bool {
    match array.data_type() {
        DataType::Float32 => array.as_primitive::<Float32Type>().iter().any(|v| v == Some(0.0)),
        _ => array.as_primitive::<Float64Type>().iter().any(|v| v == Some(0.0)),
    }
}

fn is_infinite(array: &dyn Array) -> bool {
    match array.data_type() {
        DataType::Float32 => {
            array.as_primitive::<Float32Type>().iter().flatten().any(f32::is_infinite)
        }
        _ => array.as_primitive::<Float64Type>().iter().flatten().any(f64::is_infinite),
    }
}

/// Arrow's error in PostgreSQL's words.
fn named(error: ArrowError, result: &DataType) -> DataFusionError {
    match error {
        ArrowError::DivideByZero => {
            external(SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero"))
        }
        ArrowError::ArithmeticOverflow(_) | ArrowError::InvalidArgumentError(_) => {
            let message = match result {
                DataType::Int16 => "smallint out of range",
                DataType::Int32 => "integer out of range",
                DataType::Int64 => "bigint out of range",
                DataType::Decimal128(..) | DataType::Decimal256(..) => {
                    "value overflows numeric format"
                }
                _ => "value out of range: overflow",
            };
            external(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message))
        }
        other => DataFusionError::ArrowError(Box::new(other), None),
    }
}
