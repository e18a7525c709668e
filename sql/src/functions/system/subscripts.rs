//! The subscripts of arrays, as arrays: what generate_subscripts() and _pg_expandarray() make rows of.

use super::array::first_subscript;
use crate::types::oid;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, ListArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Int64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// What is made of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    /// `array_subscripts(array, dimension [, reverse])`: its subscripts.
    Subscripts,
    /// `array_ordinals(array)`: 1, 2, 3 …, whatever its first subscript is.
    Ordinals,
    /// `array_expanded(array)`: its elements as x, each with its ordinal as n.
    Expanded,
}

/// One of these functions.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct OfSubscripts {
    kind: Kind,
    signature: Signature,
}

impl OfSubscripts {
    /// All of them.
    pub fn all() -> [Self; 3] {
        let new = |kind, signature| Self { kind, signature };
        let any = |args| Signature::any(args, Volatility::Immutable);
        let two_or_three = Signature::variadic_any(Volatility::Immutable);
        [
            new(Kind::Subscripts, two_or_three),
            new(Kind::Ordinals, any(1)),
            new(Kind::Expanded, any(1)),
        ]
    }

    fn element(&self, array: &Field) -> Result<FieldRef> {
        let DataType::List(element) = array.data_type() else {
            return Err(DataFusionError::Plan(format!("{} of no array", self.name())));
        };
        let number = |name| Field::new(name, DataType::Int32, true);
        Ok(Arc::new(match self.kind {
            Kind::Subscripts | Kind::Ordinals => number("item"),
            Kind::Expanded => {
                let wire_type = oid::of_field(array).oid;
                let x = Field::new("x", element.data_type().clone(), true);
                let x = match oid::element_of(wire_type) {
                    Some(element) => oid::with_type(x, oid::wire(element, -1)),
                    None => x,
                };
                let fields = Fields::from(vec![x, number("n")]);
                Field::new("item", DataType::Struct(fields), true)
            }
        }))
    }
}

impl ScalarUDFImpl for OfSubscripts {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Subscripts => "array_subscripts",
            Kind::Ordinals => "array_ordinals",
            Kind::Expanded => "array_expanded",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Err(DataFusionError::Internal("return_field_from_args is called instead".to_owned()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let wanted = match self.kind {
            Kind::Subscripts => 2..=3,
            Kind::Ordinals | Kind::Expanded => 1..=1,
        };
        if !wanted.contains(&args.arg_fields.len()) {
            return Err(DataFusionError::Plan(format!("{} of other arguments", self.name())));
        }
        let element = self.element(&args.arg_fields[0])?;
        Ok(Arc::new(Field::new(self.name(), DataType::List(element), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let arrays = args.args[0].to_array(rows)?;
        let Some(list) = arrays.as_list_opt::<i32>() else {
            return Err(DataFusionError::Plan(format!("{} of no array", self.name())));
        };
        let element = self.element(&args.arg_fields[0])?;
        let made = match self.kind {
            Kind::Subscripts => {
                let choice = Choice::of(&args)?;
                choice.subscripts(list, first_subscript(&args.arg_fields[0]), element)?
            }
            Kind::Ordinals => ordinals(list, element)?,
            Kind::Expanded => expanded(list, element)?,
        };
        Ok(ColumnarValue::Array(Arc::new(made)))
    }
}

/// The arguments of generate_subscripts() beside its array.
struct Choice {
    dimension: ArrayRef,
    reverse: Option<BooleanArray>,
}

impl Choice {
    fn of(args: &ScalarFunctionArgs) -> Result<Self> {
        let dimension = args.args[1].to_array(args.number_rows)?;
        let dimension = cast(&dimension, &DataType::Int64).map_err(DataFusionError::from)?;
        let reverse = match args.args.get(2) {
            Some(reverse) => {
                let reverse = reverse.to_array(args.number_rows)?;
                let reverse = cast(&reverse, &DataType::Boolean).map_err(DataFusionError::from)?;
                Some(reverse.as_boolean().clone())
            }
            None => None,
        };
        Ok(Self { dimension, reverse })
    }

    /// None where an argument is NULL or there is no such dimension.
    fn subscripts(&self, list: &ListArray, first: i32, element: FieldRef) -> Result<ListArray> {
        let dimension = self.dimension.as_primitive::<Int64Type>();
        let reversed = |row| self.reverse.as_ref().map(|r| r.is_valid(row).then(|| r.value(row)));
        let mut offsets = vec![0];
        let mut numbers: Vec<i32> = Vec::new();
        for row in 0..list.len() {
            let there = list.is_valid(row) && dimension.is_valid(row) && dimension.value(row) == 1;
            let length = if there { list.value_length(row) } else { 0 };
            let subscripts = first..first + length;
            match reversed(row) {
                Some(None) => {}
                Some(Some(true)) => numbers.extend(subscripts.rev()),
                Some(Some(false)) | None => numbers.extend(subscripts),
            }
            offsets.push(numbers.len() as i32);
        }
        let numbers = Arc::new(Int32Array::from(numbers));
        let offsets = OffsetBuffer::new(offsets.into());
        ListArray::try_new(element, offsets, numbers, None).map_err(DataFusionError::from)
    }
}

/// 1, 2, 3 … for each list.
fn ordinals(list: &ListArray, element: FieldRef) -> Result<ListArray> {
    let lengths = lengths(list);
    let numbers: Int32Array =
        lengths.iter().flat_map(|length| 1..=*length as i32).map(Some).collect();
    let offsets = OffsetBuffer::from_lengths(lengths);
    ListArray::try_new(element, offsets, Arc::new(numbers), None).map_err(DataFusionError::from)
}

fn lengths(list: &ListArray) -> Vec<usize> {
    let length = |row| if list.is_valid(row) { list.value_length(row) as usize } else { 0 };
    (0..list.len()).map(length).collect()
}

/// Each list's elements with their ordinals.
fn expanded(list: &ListArray, element: FieldRef) -> Result<ListArray> {
    let DataType::Struct(fields) = element.data_type() else {
        return Err(DataFusionError::Internal("array_expanded makes rows".to_owned()));
    };
    let values: Vec<ArrayRef> =
        (0..list.len()).filter(|row| list.is_valid(*row)).map(|row| list.value(row)).collect();
    let parts: Vec<&dyn Array> = values.iter().map(AsRef::as_ref).collect();
    let values = match parts.is_empty() {
        true => arrow::array::new_empty_array(fields[0].data_type()),
        false => arrow::compute::concat(&parts).map_err(DataFusionError::from)?,
    };
    let ordinals = ordinals(list, Arc::clone(&fields[1]))?;
    let columns = vec![values, Arc::clone(ordinals.values())];
    let rows =
        StructArray::try_new(fields.clone(), columns, None).map_err(DataFusionError::from)?;
    let offsets = OffsetBuffer::from_lengths(lengths(list));
    ListArray::try_new(element, offsets, Arc::new(rows), None).map_err(DataFusionError::from)
}
