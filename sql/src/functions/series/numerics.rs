//! `generate_series` over numerics: a step is added until the end is passed.

use crate::error::{SqlError, SqlState};
use crate::plan::errors::external;
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use datafusion::common::ScalarValue;
use datafusion::error::Result;

/// The type that holds every member of a series between arguments of these types; `None` where none is a numeric.
pub fn common_type(types: &[DataType]) -> Option<DataType> {
    let scale = |data_type: &DataType| match data_type {
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => Some(*scale),
        _ => None,
    };
    let known = |t: &DataType| scale(t).is_some() || t.is_integer() || t.is_null();
    let scale = types.iter().filter_map(scale).max()?;
    types.iter().all(known).then_some(DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale))
}

/// From where to where, and how; in units of the type's last digit.
#[derive(Clone, Copy, Debug)]
pub struct Numerics {
    next: Option<i128>,
    last: i128,
    step: i128,
}

impl Numerics {
    /// Between arguments of one [`common_type`]. There is nothing between NULLs.
    pub fn new(args: &[ScalarValue]) -> Result<Self> {
        let mut numbers = [None; 3];
        let mut scale = 0;
        for (number, arg) in numbers.iter_mut().zip(args) {
            let ScalarValue::Decimal128(given, _, digits) = arg else { continue };
            (*number, scale) = (*given, u32::try_from(*digits).unwrap_or(0));
        }
        if args.len() == 2 {
            numbers[2] = 10_i128.checked_pow(scale);
        }
        let [Some(first), Some(last), Some(step)] = numbers else {
            return Ok(Self { next: None, last: 0, step: 1 });
        };
        if step == 0 {
            let message = "step size cannot equal zero";
            return Err(external(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)));
        }
        Ok(Self { next: Some(first), last, step })
    }
}

impl Iterator for Numerics {
    type Item = i128;

    fn next(&mut self) -> Option<i128> {
        let at = self.next?;
        let passed = if self.step > 0 { at > self.last } else { at < self.last };
        if passed {
            self.next = None;
            return None;
        }
        self.next = at.checked_add(self.step);
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(args: &[i128]) -> Vec<i128> {
        let args: Vec<_> = args.iter().map(|n| ScalarValue::Decimal128(Some(*n), 38, 1)).collect();
        Numerics::new(&args).unwrap().collect()
    }

    #[test]
    fn steps_go_up_and_down_and_are_one_by_themselves() {
        assert_eq!(series(&[15, 30, 5]), [15, 20, 25, 30]);
        assert_eq!(series(&[15, 32]), [15, 25]);
        assert_eq!(series(&[30, 15, -10]), [30, 20]);
        assert_eq!(series(&[30, 15]), [0; 0]);
        let zero = ScalarValue::Decimal128(Some(0), 38, 1);
        assert!(Numerics::new(&[zero.clone(), zero.clone(), zero]).is_err());
    }
}
