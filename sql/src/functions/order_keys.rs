//! What comparisons compare of types whose values Arrow orders otherwise than PostgreSQL, or calls unequal.
//!
//! | function | of | its key |
//! |---|---|---|
//! | `pg_interval_order` | intervals | microseconds, with months of 30 days |
//! | `pg_jsonb_order` | jsonb | text that compares as the value does |
//! | `pg_float_order` | floats | the value, -0 being 0 |
//!
//! Of an array the key is the array of its elements' keys.

use crate::plan::errors::external;
use crate::types::json_order;
use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Float32Array, Float64Array, ListArray,
    StringViewBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Field, Float32Type, Float64Type, IntervalMonthDayNanoType, IntervalUnit,
};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::{Arc, LazyLock};
use terrane_client::interval::Interval;

const LENGTH: DataType = DataType::Decimal128(38, 0);

/// Of intervals.
pub static INTERVAL: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| OrderKey::of(Kind::Interval));
/// Of jsonb.
pub static JSONB: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| OrderKey::of(Kind::Jsonb));
/// Of floats.
pub static FLOAT: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| OrderKey::of(Kind::Float));

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Interval,
    Jsonb,
    Float,
}

impl Kind {
    /// The type of a type's keys.
    fn key_type(self, of: &DataType) -> Result<DataType> {
        Ok(match (self, of) {
            (_, DataType::List(element)) => {
                DataType::new_list(self.key_type(element.data_type())?, true)
            }
            (_, DataType::Null) => DataType::Null,
            (Self::Interval, DataType::Interval(IntervalUnit::MonthDayNano)) => LENGTH,
            (Self::Jsonb, DataType::Utf8View | DataType::Utf8 | DataType::LargeUtf8) => {
                DataType::Utf8View
            }
            (Self::Float, DataType::Float32 | DataType::Float64) => of.clone(),
            _ => return Err(DataFusionError::Internal(format!("{self:?} order of {of}"))),
        })
    }

    fn keys(self, values: &ArrayRef) -> Result<ArrayRef> {
        if let Some(lists) = values.as_list_opt::<i32>() {
            let keys = self.keys(lists.values())?;
            let element = Arc::new(Field::new_list_field(keys.data_type().clone(), true));
            let (offsets, nulls) = (lists.offsets().clone(), lists.nulls().cloned());
            return Ok(Arc::new(ListArray::try_new(element, offsets, keys, nulls)?));
        }
        Ok(match (self, values.data_type()) {
            (_, DataType::Null) => Arc::clone(values),
            (Self::Interval, _) => lengths(values)?,
            (Self::Jsonb, _) => {
                let texts = cast(values, &DataType::Utf8View)?;
                let mut keys = StringViewBuilder::new();
                for text in texts.as_string_view() {
                    keys.append_option(text.map(json_order::key).transpose().map_err(external)?);
                }
                Arc::new(keys.finish())
            }
            // The sum of -0 and 0 is 0, and there is one NaN.
            (Self::Float, DataType::Float32) => {
                let floats: &Float32Array = values.as_primitive::<Float32Type>();
                let key = |float: f32| if float.is_nan() { f32::NAN } else { float + 0.0 };
                Arc::new(floats.unary::<_, Float32Type>(key))
            }
            (Self::Float, _) => {
                let floats: &Float64Array = values.as_primitive::<Float64Type>();
                let key = |float: f64| if float.is_nan() { f64::NAN } else { float + 0.0 };
                Arc::new(floats.unary::<_, Float64Type>(key))
            }
        })
    }
}

fn lengths(values: &ArrayRef) -> Result<ArrayRef> {
    let lengths: Decimal128Array = values
        .as_primitive::<IntervalMonthDayNanoType>()
        .iter()
        .map(|interval| {
            let interval = interval?;
            let micros = interval.nanoseconds / 1_000;
            let (months, days) = (interval.months, interval.days);
            Some(Interval { months, days, micros }.comparable_micros())
        })
        .collect();
    Ok(Arc::new(lengths.with_precision_and_scale(38, 0)?))
}

/// One of the functions.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OrderKey {
    kind: Kind,
    signature: Signature,
}

impl OrderKey {
    fn of(kind: Kind) -> Arc<ScalarUDF> {
        let signature = Signature::any(1, Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(Self { kind, signature }))
    }
}

impl ScalarUDFImpl for OrderKey {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Interval => "pg_interval_order",
            Kind::Jsonb => "pg_jsonb_order",
            Kind::Float => "pg_float_order",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        self.kind.key_type(&args[0])
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let keys = self.kind.keys(&arrays[0])?;
        match args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_))) {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&keys, 0)?)),
            false => Ok(ColumnarValue::Array(keys)),
        }
    }
}
