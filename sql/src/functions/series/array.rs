//! The array behind a `generate_series` whose arguments vary. Of integers it is DataFusion's, of int4 where they all are.

use super::numerics::{self, Numerics};
use super::{Moments, operand_oids};
use crate::error::{SqlError, SqlState};
use crate::functions::cast;
use crate::plan::errors::external;
use crate::session::info::{self, SessionInfo};
use crate::types::oid;
use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, ListArray, TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
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
    check_elements((0..rows).filter_map(elements).sum())
}

/// 53200 for more elements than are held at once.
pub fn check_elements(total: i128) -> Result<()> {
    if total <= ELEMENTS_MAX {
        return Ok(());
    }
    let told = SqlError::new(SqlState::OUT_OF_MEMORY, "out of memory")
        .with_detail(format!("A series of {total} elements is held in memory here."))
        .with_hint("In FROM, generate_series() of constants makes its rows as they are read.");
    Err(external(told))
}

/// The arrays of some rows: what `members` adds for each of them.
fn lists(
    args: &ScalarFunctionArgs,
    mut members: impl FnMut(&[ScalarValue], &mut dyn FnMut() -> Result<()>) -> Result<()>,
) -> Result<OffsetBuffer<i32>> {
    let columns: Vec<ArrayRef> =
        args.args.iter().map(|arg| arg.to_array(args.number_rows)).collect::<Result<_>>()?;
    let mut lengths = Vec::with_capacity(args.number_rows);
    let mut total = 0;
    for row in 0..args.number_rows {
        let values: Vec<ScalarValue> = columns
            .iter()
            .map(|column| ScalarValue::try_from_array(column, row))
            .collect::<Result<_>>()?;
        let mut length = 0;
        members(&values, &mut || {
            (length, total) = (length + 1, total + 1);
            check_elements(total)
        })?;
        lengths.push(length);
    }
    Ok(OffsetBuffer::from_lengths(lengths))
}

fn moments(args: &ScalarFunctionArgs, element: &FieldRef) -> Result<ColumnarValue> {
    let SessionInfo { style, .. } = info::of(&args.config_options);
    let DataType::Timestamp(_, zone) = element.data_type() else {
        return exec_err!("a series of moments of another type");
    };
    let style = zone.as_ref().map(|_| &*style);
    let mut all = Vec::new();
    let offsets = lists(args, |values, count| {
        let [first, last, step] = values else { return Ok(()) };
        let mut moments = Moments::new(first, last, step)?;
        while let Some(moment) = moments.take(style) {
            count()?;
            all.push(moment);
        }
        Ok(())
    })?;
    let values = TimestampMicrosecondArray::from(all).with_timezone_opt(zone.clone());
    let list = ListArray::try_new(Arc::clone(element), offsets, Arc::new(values), None)?;
    Ok(ColumnarValue::Array(Arc::new(list)))
}

fn numbers(args: &ScalarFunctionArgs, element: &FieldRef) -> Result<ColumnarValue> {
    let mut all = Vec::new();
    let offsets = lists(args, |values, count| {
        for number in Numerics::new(values)? {
            count()?;
            all.push(number);
        }
        Ok(())
    })?;
    let values = Decimal128Array::from(all).with_data_type(element.data_type().clone());
    let list = ListArray::try_new(Arc::clone(element), offsets, Arc::new(values), None)?;
    Ok(ColumnarValue::Array(Arc::new(list)))
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
        if args.len() == 3 && operand_oids(args).is_some() {
            // Texts among them become moments and intervals as PostgreSQL reads them.
            return Ok(args.to_vec());
        }
        if let Some(common) = numerics::common_type(args) {
            return Ok(vec![common; args.len()]);
        }
        if args.iter().all(|t| matches!(t, DataType::Int16 | DataType::Int32)) {
            return Ok(vec![DataType::Int32; args.len()]);
        }
        let field = |t: &DataType| -> FieldRef { Arc::new(Field::new("", t.clone(), true)) };
        let fields: Vec<FieldRef> = args.iter().map(field).collect();
        let coerced = fields_with_udf(&fields, &*self.inner)?;
        Ok(coerced.iter().map(|field| field.data_type().clone()).collect())
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        if let Some([point, ..]) = operand_oids(args) {
            let element = oid::arrow(point, -1);
            return Ok(DataType::List(Arc::new(Field::new_list_field(element, true))));
        }
        if let Some(common) = numerics::common_type(args) {
            return Ok(DataType::List(Arc::new(Field::new_list_field(common, true))));
        }
        self.inner.return_type(args)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let types: Vec<DataType> =
            args.iter().map(|arg| arg.get_type(info.schema())).collect::<Result<_>>()?;
        let Some(oids) = operand_oids(&types) else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        if types.iter().zip(oids).all(|(given, wanted)| *given == oid::arrow(wanted, -1)) {
            return Ok(ExprSimplifyResult::Original(args));
        }
        let typed = |(arg, type_oid)| cast::to(arg, oid::wire(type_oid, -1));
        let typed = args.into_iter().zip(oids).map(typed).collect();
        let series = ScalarUDF::new_from_impl(Self::new(Arc::clone(&self.inner)));
        Ok(ExprSimplifyResult::Simplified(series.call(typed)))
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.return_field.data_type() {
            DataType::List(element) if matches!(element.data_type(), DataType::Timestamp(..)) => {
                return moments(&args, element);
            }
            DataType::List(element) if element.data_type().is_decimal() => {
                return numbers(&args, element);
            }
            _ => {}
        }
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
