//! greatest() and least() of values that are compared by keys: `pg_greatest(key, …, value, …)`.

use arrow::array::{Array, ArrayRef, make_comparator};
use arrow::compute::{SortOptions, interleave};
use arrow::datatypes::{DataType, FieldRef};
use core::cmp::Ordering;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use std::sync::{Arc, LazyLock};

/// The value of the greatest key, of equal ones the first; NULLs do not count.
pub static GREATEST: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Extreme::of(Ordering::Greater));
/// The value of the least key.
pub static LEAST: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Extreme::of(Ordering::Less));

#[derive(Debug, PartialEq, Eq, Hash)]
struct Extreme {
    wanted: Ordering,
    signature: Signature,
}

impl Extreme {
    fn of(wanted: Ordering) -> Arc<ScalarUDF> {
        let signature = Signature::variadic_any(Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(Self { wanted, signature }))
    }
}

impl ScalarUDFImpl for Extreme {
    fn name(&self) -> &str {
        if self.wanted == Ordering::Greater { "pg_greatest" } else { "pg_least" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        let value = args.get(args.len() / 2);
        value.cloned().ok_or_else(|| DataFusionError::Plan(format!("{} of nothing", self.name())))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let value = args.arg_fields[args.arg_fields.len() / 2].as_ref().clone();
        Ok(Arc::new(value.with_name(self.name()).with_nullable(true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let arrays: Vec<ArrayRef> =
            args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<_>>()?;
        let (keys, values) = arrays.split_at(arrays.len() / 2);
        let mut chosen: Vec<(usize, usize)> = (0..rows).map(|row| (0, row)).collect();
        for (at, candidate) in keys.iter().enumerate().skip(1) {
            let comparators = keys[..at].iter().map(|best| {
                make_comparator(candidate, best, SortOptions::default())
                    .map_err(DataFusionError::from)
            });
            let comparators = comparators.collect::<Result<Vec<_>>>()?;
            for (row, (best, _)) in chosen.iter_mut().enumerate() {
                let better = candidate.is_valid(row)
                    && (keys[*best].is_null(row) || comparators[*best](row, row) == self.wanted);
                if better {
                    *best = at;
                }
            }
        }
        let values: Vec<&dyn Array> = values.iter().map(AsRef::as_ref).collect();
        Ok(ColumnarValue::Array(interleave(&values, &chosen)?))
    }
}
