//! round(), trunc(), ceil(), floor() and div().
//!
//! A numeric keeps its digits: it rounds half away from zero, and shows as many fractional digits as were asked
//! for. DataFusion's round() goes through floats. A float rounds half to even. Integers are floats here, as in
//! PostgreSQL, unless a number of digits is asked for.
//!
//! A result's scale is part of its type, which must not change while a plan is optimised: [`with_scale`] states it as
//! a third argument, before anything is folded.

use super::arithmetic::decimal_shape;
use super::undefined;
use crate::error::{SqlError, SqlState};
use crate::plan::errors::external;
use arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    ArrowNativeTypeOp, DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType,
    Decimal256Type, Field, FieldRef, Float64Type, Int64Type, i256,
};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
    lit,
};
use std::sync::Arc;

/// Where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Direction {
    Nearest,
    Zero,
    Up,
    Down,
}

/// One of the functions.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Rounding {
    name: &'static str,
    direction: Direction,
    signature: Signature,
}

impl Rounding {
    /// All of them.
    pub fn all() -> [Self; 5] {
        let of = |name, direction| Self {
            name,
            direction,
            signature: Signature::user_defined(Volatility::Immutable),
        };
        [
            of("round", Direction::Nearest),
            of("trunc", Direction::Zero),
            of("ceil", Direction::Up),
            of("ceiling", Direction::Up),
            of("floor", Direction::Down),
        ]
    }

    fn takes_digits(&self) -> bool {
        matches!(self.direction, Direction::Nearest | Direction::Zero)
    }

    /// The scale of a numeric result: 0, or the third argument's.
    fn scale(given: &DataType, arguments: &[Option<&ScalarValue>]) -> i8 {
        match arguments {
            [_] => 0,
            [_, _, Some(ScalarValue::Int8(Some(scale)))] => *scale,
            _ => shape(given).1,
        }
    }

    fn float(&self, value: f64) -> f64 {
        match self.direction {
            Direction::Nearest => value.round_ties_even(),
            Direction::Zero => value.trunc(),
            Direction::Up => value.ceil(),
            Direction::Down => value.floor(),
        }
    }

    /// A numeric of a scale, rounded to so many fractional digits and brought to another scale.
    fn numeric(&self, value: i256, scale: i8, digits: i64, to: i8) -> Option<i256> {
        let dropped = (i64::from(scale) - digits).max(0);
        let rounded = match ten_to(dropped) {
            // Less than half of the last place that is kept, whatever it is.
            None => i256::ZERO,
            Some(unit) => {
                let rest = value.mod_checked(unit).ok()?;
                let whole = value.sub_checked(rest).ok()?;
                let twice = rest.checked_abs()?.add_checked(rest.checked_abs()?).ok()?;
                let away = match self.direction {
                    Direction::Nearest => twice >= unit,
                    Direction::Zero => false,
                    Direction::Up => rest > i256::ZERO,
                    Direction::Down => rest < i256::ZERO,
                };
                match (away, rest < i256::ZERO) {
                    (false, _) => whole,
                    (true, false) => whole.add_checked(unit).ok()?,
                    (true, true) => whole.sub_checked(unit).ok()?,
                }
            }
        };
        match i64::from(to) - i64::from(scale) {
            0 => Some(rounded),
            more @ 1.. => rounded.mul_checked(ten_to(more)?).ok(),
            // Zeros by now.
            fewer => rounded.div_checked(ten_to(-fewer)?).ok(),
        }
    }

    fn numerics(
        &self,
        values: &ArrayRef,
        digits: Option<&PrimitiveArray<Int64Type>>,
        result: &DataType,
    ) -> Result<ArrayRef> {
        let (scale, to) = (shape(values.data_type()).1, shape(result).1);
        let wide = cast(values, &DataType::Decimal256(DECIMAL256_MAX_PRECISION, scale))?;
        let wide = wide.as_primitive::<Decimal256Type>();
        let round = |value, digits| self.numeric(value, scale, digits, to).ok_or_else(overflow);
        let rounded: PrimitiveArray<Decimal256Type> = match digits {
            None => wide.try_unary(|value| round(value, 0))?,
            Some(digits) => wide
                .iter()
                .zip(digits)
                .map(|pair| match pair {
                    (Some(value), Some(digits)) => round(value, digits).map(Some),
                    _ => Ok(None),
                })
                .collect::<Result<_>>()?,
        };
        let rounded = rounded.with_precision_and_scale(DECIMAL256_MAX_PRECISION, to)?;
        cast(&(Arc::new(rounded) as ArrayRef), result)
    }
}

/// round() and trunc() of a numeric to a number of digits, with the scale of the result behind them: as many digits
/// as are asked for, where that is written, else those of the argument. `None` for other calls.
pub fn with_scale(call: &ScalarFunction, given: &DataType) -> Option<ScalarFunction> {
    let [number, digits] = call.args.as_slice() else { return None };
    if !matches!(call.func.name(), "round" | "trunc") {
        return None;
    }
    let scale = match written(digits) {
        Some(digits) => digits.clamp(0, i64::from(DECIMAL256_MAX_PRECISION)) as i8,
        None => shape(given).1,
    };
    let args = vec![number.clone(), digits.clone(), lit(scale)];
    Some(ScalarFunction { func: Arc::clone(&call.func), args })
}

/// A number that is written out.
fn written(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Literal(ScalarValue::Int16(value), _) => value.map(i64::from),
        Expr::Literal(ScalarValue::Int32(value), _) => value.map(i64::from),
        Expr::Literal(ScalarValue::Int64(value), _) => *value,
        Expr::Negative(inner) => written(inner).map(|value| -value),
        Expr::Cast(cast) => written(&cast.expr),
        _ => None,
    }
}

fn overflow() -> DataFusionError {
    external(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format"))
}

/// `None` where a numeric has not as many digits.
fn ten_to(power: i64) -> Option<i256> {
    let power =
        u32::try_from(power).ok().filter(|power| *power <= u32::from(DECIMAL256_MAX_PRECISION))?;
    i256::from_i128(10).pow_checked(power).ok()
}

fn cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let options = CastOptions { safe: false, ..Default::default() };
    cast_with_options(array, to, &options).map_err(|_| overflow())
}

/// Those of an integer are a bigint's.
fn shape(data_type: &DataType) -> (u8, i8) {
    decimal_shape(data_type).unwrap_or((20, 0))
}

fn is_decimal(data_type: &DataType) -> bool {
    decimal_shape(data_type).is_some()
}

fn decimal(precision: i64, scale: i8) -> DataType {
    let precision = precision.clamp(1, i64::from(DECIMAL256_MAX_PRECISION)) as u8;
    match precision {
        0..=DECIMAL128_MAX_PRECISION => DataType::Decimal128(precision, scale),
        _ => DataType::Decimal256(DECIMAL256_MAX_PRECISION, scale),
    }
}

impl ScalarUDFImpl for Rounding {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, args: &[DataType]) -> Result<Vec<DataType>> {
        let is_number = |t: &DataType| t.is_integer() || t.is_floating() || is_decimal(t);
        match args {
            [number] if is_decimal(number) => Ok(vec![number.clone()]),
            [DataType::Utf8 | DataType::Utf8View | DataType::Null] => Ok(vec![DataType::Float64]),
            [number] if is_number(number) => Ok(vec![DataType::Float64]),
            [number, digits]
                if self.takes_digits()
                    && (digits.is_integer() || digits.is_null())
                    && (is_decimal(number) || number.is_integer() || number.is_null()) =>
            {
                let number = if is_decimal(number) { number.clone() } else { decimal(20, 0) };
                Ok(vec![number, DataType::Int64])
            }
            [number, digits, scale] => {
                let mut types = self.coerce_types(&[number.clone(), digits.clone()])?;
                types.push(scale.clone());
                Ok(types)
            }
            _ => Err(external(undefined::function(self.name, args))),
        }
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        Ok(args[0].clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let given = args.arg_fields[0].data_type();
        let result = match is_decimal(given) {
            false => given.clone(),
            true => {
                let (precision, had) = shape(given);
                let scale = Self::scale(given, args.scalar_arguments);
                // Rounding up may take one digit more.
                decimal(i64::from(precision) - i64::from(had) + i64::from(scale) + 1, scale)
            }
        };
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name, result, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = match scalar {
            true => args.args.iter().map(|arg| arg.to_array(1)).collect::<Result<Vec<_>>>()?,
            false => ColumnarValue::values_to_arrays(&args.args)?,
        };
        let rounded: ArrayRef = match is_decimal(arrays[0].data_type()) {
            false => {
                let floats = arrays[0].as_primitive::<Float64Type>();
                Arc::new(floats.unary::<_, Float64Type>(|value| self.float(value)))
            }
            true => {
                let digits = arrays.get(1).map(|digits| digits.as_primitive::<Int64Type>());
                self.numerics(&arrays[0], digits, args.return_field.data_type())?
            }
        };
        match scalar {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&rounded, 0)?)),
            false => Ok(ColumnarValue::Array(rounded)),
        }
    }
}

/// div(): the quotient of two numerics without its fraction.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Div {
    signature: Signature,
}

impl Default for Div {
    fn default() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Div {
    fn name(&self) -> &str {
        "div"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, args: &[DataType]) -> Result<Vec<DataType>> {
        let is_exact = |t: &DataType| t.is_integer() || is_decimal(t) || t.is_null();
        let [left, right] = args else { return Err(external(undefined::function("div", args))) };
        if !is_exact(left) || !is_exact(right) {
            return Err(external(undefined::function("div", args)));
        }
        // One scale for both, so that it falls out of the quotient.
        let common =
            DataType::Decimal256(DECIMAL256_MAX_PRECISION, shape(left).1.max(shape(right).1));
        Ok(vec![common.clone(), common])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Decimal256(DECIMAL256_MAX_PRECISION, 0))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (left, right) =
            (args.args[0].to_array(args.number_rows)?, args.args[1].to_array(args.number_rows)?);
        let zero = || external(SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero"));
        let quotients: PrimitiveArray<Decimal256Type> = left
            .as_primitive::<Decimal256Type>()
            .iter()
            .zip(right.as_primitive::<Decimal256Type>())
            .map(|pair| match pair {
                (Some(_), Some(i256::ZERO)) => Err(zero()),
                (Some(left), Some(right)) => {
                    left.div_checked(right).map(Some).map_err(|_| overflow())
                }
                _ => Ok(None),
            })
            .collect::<Result<_>>()?;
        Ok(ColumnarValue::Array(Arc::new(
            quotients.with_precision_and_scale(DECIMAL256_MAX_PRECISION, 0)?,
        )))
    }
}
