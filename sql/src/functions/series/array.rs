//! The array behind a `generate_series` whose arguments vary: DataFusion's, of int4 where they all are.

use crate::error::{SqlError, SqlState};
use crate::plan::errors::external;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::error::Result;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct ArraySeries {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl ArraySeries {
    /// Over DataFusion's.
    pub fn new(inner: Arc<ScalarUDF>) -> Self {
        Self { inner, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

/// Elements at most of the arrays of one batch: the whole array is made before its first row is read.
const ELEMENTS_MAX: i128 = 1 << 25;

/// Refuses arrays that would not fit in memory. The series in FROM has no such limit.
fn check_length(bounds: &[ColumnarValue], rows: usize) -> Result<()> {
    let columns: Vec<ArrayRef> =
        bounds.iter().map(|bound| bound.to_array(rows)).collect::<Result<_>>()?;
    let value = |column: usize, row: usize| {
        let column = columns.get(column)?.as_primitive::<Int64Type>();
        column.is_valid(row).then(|| i128::from(column.value(row)))
    };
    let elements = |row: usize| {
        let step = if columns.len() > 2 { value(2, row)? } else { 1 };
        let (first, last) = (value(0, row)?, value(1, row)?);
        (last - first).checked_div(step).map(|steps| (steps + 1).max(0))
    };
    let total: i128 = (0..rows).filter_map(elements).sum();
    if total <= ELEMENTS_MAX {
        return Ok(());
    }
    let told = SqlError::new(SqlState::OUT_OF_MEMORY, "out of memory")
        .with_detail(format!("A series of {total} elements is held in memory here."))
        .with_hint("In FROM, generate_series() of constants makes its rows as they are read.");
    Err(external(told))
}

fn list_of_int8() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true)))
}

impl ScalarUDFImpl for ArraySeries {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, args: &[DataType]) -> Result<Vec<DataType>> {
        if args.iter().all(|t| matches!(t, DataType::Int16 | DataType::Int32)) {
            return Ok(vec![DataType::Int32; args.len()]);
        }
        let field = |t: &DataType| -> FieldRef { Arc::new(Field::new("", t.clone(), true)) };
        let fields: Vec<FieldRef> = args.iter().map(field).collect();
        let coerced = fields_with_udf(&fields, &*self.inner)?;
        Ok(coerced.iter().map(|field| field.data_type().clone()).collect())
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        self.inner.return_type(args)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if !args.args.iter().all(|arg| arg.data_type().is_integer()) {
            return self.inner.invoke_with_args(args);
        }
        let result = args.return_field.data_type().clone();
        args.args = args
            .args
            .iter()
            .map(|arg| arg.cast_to(&DataType::Int64, None))
            .collect::<Result<_>>()?;
        check_length(&args.args, args.number_rows)?;
        args.return_field = Arc::new(Field::new(self.name(), list_of_int8(), true));
        // What lies between int4s is one.
        self.inner.invoke_with_args(args)?.cast_to(&result, None)
    }
}
