//! Arrays as sets: `&&`, `@>`, the sorted elements of one, and those that mode() and percentile_disc() pick.
//!
//! Elements are told apart by Arrow's row format. NULL is like nothing, not even NULL.

use crate::error::{SqlError, SqlState};
use crate::plan::errors::external;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{SortOptions, cast, concat, partition, sort, sort_to_indices, take};
use arrow::datatypes::{DataType, FieldRef, Float64Type};
use arrow::row::{RowConverter, SortField};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

/// The function that sorts an array's elements.
pub const SORTED: &str = "array_sorted";
/// The function behind mode().
pub const MODE: &str = "array_mode";

static OVERLAPS: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(Comparison::new(false))));
static CONTAINS: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(Comparison::new(true))));

/// `a && b`
pub fn overlaps() -> Arc<ScalarUDF> {
    Arc::clone(&OVERLAPS)
}

/// `a @> b`
pub fn contains() -> Arc<ScalarUDF> {
    Arc::clone(&CONTAINS)
}

/// `a && b` or `a @> b`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Comparison {
    contains: bool,
    signature: Signature,
}

impl Comparison {
    fn new(contains: bool) -> Self {
        Self { contains, signature: Signature::any(2, Volatility::Immutable) }
    }

    fn compare(&self, left: &ArrayRef, right: &ArrayRef) -> Result<bool> {
        // Of unlike widths, as `smallint[] && integer[]` would be.
        let right = match left.data_type() == right.data_type() {
            true => Arc::clone(right),
            false => cast(right, left.data_type())?,
        };
        let converter = RowConverter::new(vec![SortField::new(left.data_type().clone())])?;
        let left_rows = converter.convert_columns(std::slice::from_ref(left))?;
        let right_rows = converter.convert_columns(std::slice::from_ref(&right))?;
        let there: HashSet<_> = (0..left.len())
            .filter(|at| left.is_valid(*at))
            .map(|at| left_rows.row(at).as_ref().to_vec())
            .collect();
        let found = |at: usize| right.is_valid(at) && there.contains(right_rows.row(at).as_ref());
        Ok(match self.contains {
            true => (0..right.len()).all(found),
            false => (0..right.len()).any(found),
        })
    }
}

impl ScalarUDFImpl for Comparison {
    fn name(&self) -> &str {
        if self.contains { "arraycontains" } else { "arrayoverlap" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let (left, right) = (args.args[0].to_array(rows)?, args.args[1].to_array(rows)?);
        let (Some(left), Some(right)) = (left.as_list_opt::<i32>(), right.as_list_opt::<i32>())
        else {
            // NULL beside an array.
            return Ok(ColumnarValue::Scalar(ScalarValue::Boolean(None)));
        };
        let compared: BooleanArray = (0..rows)
            .map(|row| match left.is_valid(row) && right.is_valid(row) {
                true => self.compare(&left.value(row), &right.value(row)).map(Some),
                false => Ok(None),
            })
            .collect::<Result<_>>()?;
        Ok(ColumnarValue::Array(Arc::new(compared)))
    }
}

/// `array_sorted(array, 'asc' | 'desc', 'first' | 'last')`: the elements of an array that are distinct already, unless
/// a fourth argument has their keys: those sort, and tell apart.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Sorted {
    signature: Signature,
}

impl Default for Sorted {
    fn default() -> Self {
        Self { signature: Signature::variadic_any(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Sorted {
    fn name(&self) -> &str {
        SORTED
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        Ok(args[0].clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(args.arg_fields[0].as_ref().clone().with_name(SORTED).with_nullable(true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let array = args.args[0].to_array(args.number_rows)?;
        let Some(list) = array.as_list_opt::<i32>() else {
            return Err(DataFusionError::Internal(format!("{SORTED} of no array")));
        };
        let says = |at: usize, word: &str| {
            let said = &args.args[at];
            matches!(said, ColumnarValue::Scalar(said) if said.try_as_str() == Some(Some(word)))
        };
        let options = SortOptions { descending: says(1, "desc"), nulls_first: says(2, "first") };
        let keys = match args.args.get(3) {
            Some(keys) => Some(keys.to_array(args.number_rows)?),
            None => None,
        };
        let keys = keys.as_ref().and_then(|keys| keys.as_list_opt::<i32>());
        let part = |row: usize| match (list.is_valid(row), keys) {
            (false, _) => Ok(list.value(row).slice(0, 0)),
            (true, None) => sort(&list.value(row), Some(options)).map_err(DataFusionError::from),
            (true, Some(keys)) => sorted_by(&list.value(row), &keys.value(row), options),
        };
        let parts: Vec<ArrayRef> = (0..list.len()).map(part).collect::<Result<_>>()?;
        if parts.is_empty() {
            return Ok(ColumnarValue::Array(array));
        }
        let offsets = OffsetBuffer::from_lengths(parts.iter().map(|part| part.len()));
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        let DataType::List(element) = list.data_type() else {
            return Err(DataFusionError::Internal(format!("{SORTED} of no array")));
        };
        let values = concat(&parts)?;
        let nulls = list.nulls().cloned();
        let sorted = ListArray::try_new(Arc::clone(element), offsets, values, nulls)?;
        Ok(ColumnarValue::Array(Arc::new(sorted)))
    }
}

/// The values in the order of their keys, of equal ones the first.
fn sorted_by(values: &ArrayRef, keys: &ArrayRef, options: SortOptions) -> Result<ArrayRef> {
    let order = sort_to_indices(keys, Some(options), None)?;
    let sorted = take(keys, &order, None)?;
    let runs = partition(&[sorted])?.ranges();
    let firsts: UInt32Array = runs.iter().map(|run| order.value(run.start)).collect();
    Ok(take(values, &firsts, None)?)
}

/// `array_mode(array)`: of a sorted array without NULLs the element it has most often, of several the first; and
/// `array_percentile(array, fraction)`: the first element that so much of the array does not go beyond.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Picked {
    mode: bool,
    signature: Signature,
}

impl Picked {
    /// Both.
    pub fn all() -> [Self; 2] {
        let of = |mode| Self { mode, signature: Signature::variadic_any(Volatility::Immutable) };
        [of(true), of(false)]
    }
}

/// Where the longest run of equal elements begins, of several the first.
fn longest_run(values: &ArrayRef) -> Result<Option<usize>> {
    let runs = partition(std::slice::from_ref(values))?.ranges();
    // Of equal lengths max_by_key() takes the last: from the end, the first.
    Ok(runs.iter().rev().max_by_key(|run| run.len()).map(|run| run.start))
}

/// The place of a percentile among so many values.
fn percentile(fraction: f64, count: usize) -> Result<Option<usize>> {
    if !(0.0..=1.0).contains(&fraction) {
        let message = format!("percentile value {fraction} is not between 0 and 1");
        return Err(external(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)));
    }
    let place = ((fraction * count as f64).ceil() as usize).saturating_sub(1);
    Ok((place < count).then_some(place))
}

impl ScalarUDFImpl for Picked {
    fn name(&self) -> &str {
        if self.mode { MODE } else { "array_percentile" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        match &args[0] {
            DataType::List(element) => Ok(element.data_type().clone()),
            _ => Err(DataFusionError::Plan(format!("{} of no array", self.name()))),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let array = args.args[0].to_array(rows)?;
        let none = || ScalarValue::try_from(args.return_field.data_type());
        let Some(list) = array.as_list_opt::<i32>() else {
            return Ok(ColumnarValue::Scalar(none()?));
        };
        // The keys of the elements, or fractions.
        let second = match args.args.get(1) {
            Some(second) => Some(second.to_array(rows)?),
            None => None,
        };
        let keys = second.as_ref().and_then(|keys| keys.as_list_opt::<i32>());
        let fractions = match &second {
            Some(fractions) if !self.mode => Some(cast(fractions, &DataType::Float64)?),
            _ => None,
        };
        let fractions = fractions.as_ref().map(|array| array.as_primitive::<Float64Type>());
        let pick = |row: usize| -> Result<ScalarValue> {
            if list.is_null(row) {
                return none();
            }
            let values = list.value(row);
            let place = match fractions {
                None => longest_run(&keys.map_or_else(|| values.clone(), |keys| keys.value(row)))?,
                Some(fractions) if fractions.is_null(row) => None,
                Some(fractions) => percentile(fractions.value(row), values.len())?,
            };
            place.map_or_else(none, |place| ScalarValue::try_from_array(&values, place))
        };
        let picked: Vec<ScalarValue> = (0..list.len()).map(pick).collect::<Result<_>>()?;
        match picked.is_empty() {
            true => Ok(ColumnarValue::Scalar(none()?)),
            false => Ok(ColumnarValue::Array(ScalarValue::iter_to_array(picked)?)),
        }
    }
}
