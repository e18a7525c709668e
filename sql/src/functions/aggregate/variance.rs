//! `variance(x)`, `stddev(x)` and their kin: of integers and numerics exact, numeric, with 16 digits behind the point.
//!
//! As PostgreSQL does: sums of the values and of their squares are kept without loss, and divided at the end. Floats
//! are DataFusion's.

use super::super::exact::{self, fixed::Fixed};
use super::replayed::Replayed;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DECIMAL256_MAX_PRECISION, DataType, Decimal256Type, Field, FieldRef, Int64Type,
};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, Signature,
    Volatility,
};
use num_bigint::BigInt;
use std::sync::Arc;

/// Digits behind the point of a result, as of an average.
const SCALE: i8 = 16;

/// One of the functions.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Variance {
    name: &'static str,
    root: bool,
    sample: bool,
    /// DataFusion's, of floats.
    inner: Arc<AggregateUDF>,
    signature: Signature,
}

impl Variance {
    /// One of this name, of a sample or of all there is, over DataFusion's.
    pub fn new(name: &'static str, root: bool, sample: bool, inner: Arc<AggregateUDF>) -> Self {
        Self {
            name,
            root,
            sample,
            inner,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }

    fn exact(&self, operand: &DataType) -> Result<Box<dyn Accumulator>> {
        let scale = match operand {
            DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => *scale,
            _ => 0,
        };
        let (root, sample) = (self.root, self.sample);
        Ok(Box::new(Sums { root, sample, scale, ..Sums::default() }))
    }
}

fn is_exact(operand: &DataType) -> bool {
    !operand.is_floating()
}

fn operand<'a>(args: &'a AccumulatorArgs<'_>) -> &'a DataType {
    args.expr_fields[0].data_type()
}

impl AggregateUDFImpl for Variance {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [operand] = types else { return Err(super::undefined(self.name, types)) };
        Ok(vec![match operand {
            DataType::Int16 | DataType::Int32 | DataType::Int64 => DataType::Int64,
            DataType::Decimal128(..) | DataType::Decimal256(..) => operand.clone(),
            DataType::Float32 | DataType::Float64 | DataType::Null => DataType::Float64,
            _ => return Err(super::undefined(self.name, types)),
        }])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(match is_exact(&types[0]) {
            true => DataType::Decimal256(DECIMAL256_MAX_PRECISION, SCALE),
            false => DataType::Float64,
        })
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        match is_exact(operand(&args)) {
            true => self.exact(operand(&args)),
            false => self.inner.inner().accumulator(args),
        }
    }

    fn create_sliding_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn Accumulator>> {
        match is_exact(operand(&args)) {
            true => self.exact(operand(&args)),
            false => {
                let inner = Arc::clone(&self.inner);
                Ok(Replayed::over(&args, move |args| inner.inner().accumulator(args)))
            }
        }
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        if !is_exact(args.input_fields[0].data_type()) {
            return self.inner.inner().state_fields(args);
        }
        let field = |part: &str, data_type| {
            Arc::new(Field::new(format!("{}[{part}]", args.name), data_type, true))
        };
        Ok(vec![
            field("count", DataType::Int64),
            field("sum", DataType::Utf8),
            field("squares", DataType::Utf8),
        ])
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !is_exact(operand(&args)) && self.inner.inner().groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        self.inner.inner().create_groups_accumulator(args)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// Sums of unscaled values.
#[derive(Debug, Default)]
struct Sums {
    root: bool,
    sample: bool,
    scale: i8,
    count: i64,
    sum: BigInt,
    squares: BigInt,
}

impl Sums {
    /// Adds a column's values, `sign` being 1, or takes them away.
    fn add(&mut self, values: &ArrayRef, sign: i64) -> Result<()> {
        let mut one = |value: BigInt| {
            self.count += sign;
            self.squares += &value * &value * sign;
            self.sum += value * sign;
        };
        if let Some(integers) = values.as_primitive_opt::<Int64Type>() {
            integers.iter().flatten().for_each(|value| one(value.into()));
            return Ok(());
        }
        let wide = cast(values, &DataType::Decimal256(DECIMAL256_MAX_PRECISION, self.scale))?;
        for value in wide.as_primitive::<Decimal256Type>().iter().flatten() {
            one(match value.to_i128() {
                Some(value) => value.into(),
                None => BigInt::from_signed_bytes_le(&value.to_le_bytes()),
            });
        }
        Ok(())
    }

    fn result(&self) -> Option<Fixed> {
        let divisor = if self.sample { self.count - 1 } else { self.count };
        if divisor <= 0 {
            return None;
        }
        let count = BigInt::from(self.count);
        let spread = &count * &self.squares - &self.sum * &self.sum;
        let spread = Fixed::new(spread, 2 * i64::from(self.scale));
        let divisor = Fixed::new(count * divisor, 0);
        if spread.is_zero() {
            return Some(spread);
        }
        let scale = exact::quotient_scale(&spread, &divisor);
        let variance = spread.quotient(&divisor, scale);
        Some(if self.root { variance.root(scale) } else { variance })
    }
}

fn broken() -> DataFusionError {
    DataFusionError::Internal("the state of a variance is broken".to_owned())
}

impl Accumulator for Sums {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(&values[0], 1)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(&values[0], -1)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = match self.result() {
            None => None,
            Some(result) => {
                let digits = result.to_scale(SCALE.into()).unscaled().to_string();
                let overflow = || crate::plan::errors::external(exact::overflow());
                Some(digits.parse().map_err(|_| overflow())?)
            }
        };
        Ok(ScalarValue::Decimal256(value, DECIMAL256_MAX_PRECISION, SCALE))
    }

    fn size(&self) -> usize {
        size_of_val(self) + (self.sum.bits() + self.squares.bits()) as usize / 8
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![
            ScalarValue::Int64(Some(self.count)),
            ScalarValue::Utf8(Some(self.sum.to_string())),
            ScalarValue::Utf8(Some(self.squares.to_string())),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [counts, sums, squares] = states else { return Err(broken()) };
        let (counts, sums) = (counts.as_primitive::<Int64Type>(), sums.as_string::<i32>());
        let squares = squares.as_string::<i32>();
        let number = |text: &str| text.parse::<BigInt>().map_err(|_| broken());
        for row in (0..counts.len()).filter(|row| !counts.is_null(*row)) {
            self.count += counts.value(row);
            self.sum += number(sums.value(row))?;
            self.squares += number(squares.value(row))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Int64Array;

    fn shown(sums: &mut Sums) -> String {
        sums.evaluate().unwrap().to_string()
    }

    #[test]
    fn merges_and_retracts() {
        let column = |values: Vec<i64>| -> ArrayRef { Arc::new(Int64Array::from(values)) };
        let mut all = Sums { root: true, sample: true, ..Sums::default() };
        let mut half = Sums::default();
        half.update_batch(&[column(vec![3, 4, 5, 100])]).unwrap();
        half.retract_batch(&[column(vec![100])]).unwrap();
        all.update_batch(&[column(vec![1])]).unwrap();
        assert_eq!(shown(&mut all), ScalarValue::Decimal256(None, 76, 16).to_string());
        all.update_batch(&[column(vec![2])]).unwrap();
        let state: Vec<ArrayRef> =
            half.state().unwrap().iter().map(|part| part.to_array().unwrap()).collect();
        all.merge_batch(&state).unwrap();
        let wanted = "15811388300841897".parse().ok();
        assert_eq!(shown(&mut all), ScalarValue::Decimal256(wanted, 76, 16).to_string());
    }
}
