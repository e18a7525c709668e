//! What a map is while it is carried: a view of its bytes, in a row of that one view.
//!
//! To copy a view is to copy 16 bytes. DataFusion's joins also repeat a row of their left side as a scalar, and the
//! scalar of a view has bytes of its own; that of a row has not.

use crate::types::oid;
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, BinaryViewBuilder, LargeBinaryArray,
    LargeBinaryBuilder, StructArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema};
use datafusion::error::{DataFusionError, Result};
use std::sync::{Arc, LazyLock};

/// Bytes of a block that views point into: an offset into it is four bytes.
const BLOCK_BYTES_MAX: usize = i32::MAX as usize;

static FIELDS: LazyLock<Fields> =
    LazyLock::new(|| Fields::from(vec![Field::new("carried map", DataType::BinaryView, true)]));

/// True for the type that maps have in scans and functions.
pub(super) fn is_map(data_type: &DataType) -> bool {
    *data_type == DataType::LargeBinary
}

/// True for the type of maps that are carried.
pub(super) fn is_carried(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Struct(fields) if *fields == *FIELDS)
}

/// What maps can be turned into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// What joins carry.
    Carried,
    /// Views alone, which can be compared.
    View,
    /// What scans give out.
    Cells,
}

impl Form {
    pub(super) fn data_type(self) -> DataType {
        match self {
            Self::Carried => DataType::Struct(FIELDS.clone()),
            Self::View => DataType::BinaryView,
            Self::Cells => DataType::LargeBinary,
        }
    }

    /// Maps in this form.
    pub(super) fn of(self, maps: &ArrayRef) -> Result<ArrayRef> {
        let views = views(maps)?;
        Ok(match self {
            Self::Carried => {
                let nulls = views.nulls().cloned();
                Arc::new(StructArray::try_new(FIELDS.clone(), vec![Arc::new(views)], nulls)?)
            }
            Self::View => Arc::new(views),
            Self::Cells => Arc::new(cells(&views)),
        })
    }
}

/// The columns of a schema that are carried.
pub(super) fn carried_columns(schema: &Schema) -> Vec<usize> {
    let is = |at: &usize| is_carried(schema.field(*at).data_type());
    (0..schema.fields().len()).filter(is).collect()
}

/// The schema, with some of its columns in a form of maps.
pub(super) fn retyped(schema: &Schema, columns: &[usize], to: Form) -> Schema {
    let field = |(at, field): (usize, &FieldRef)| {
        if !columns.contains(&at) {
            return Arc::clone(field);
        }
        let cells = field.as_ref().clone().with_data_type(Form::Cells.data_type());
        // Views would be bytea.
        let of = (to == Form::View).then(|| oid::of_field(&cells));
        let field = cells.with_data_type(to.data_type());
        Arc::new(match of {
            Some(of) => oid::with_type(field, of),
            None => field,
        })
    };
    let fields: Fields = schema.fields().iter().enumerate().map(field).collect();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}

fn cells_of(maps: &ArrayRef) -> Result<&LargeBinaryArray> {
    maps.as_binary_opt::<i64>()
        .ok_or_else(|| DataFusionError::Internal("maps that are no cells".to_owned()))
}

/// Views of the cells of maps.
fn view_cells(cells: &LargeBinaryArray) -> Result<BinaryViewArray> {
    let too_large = || DataFusionError::Internal("a map of over 2 GB".to_owned());
    // An offset is never negative.
    let offsets: Vec<usize> =
        cells.value_offsets().iter().map(|at| usize::try_from(*at).unwrap_or_default()).collect();
    let mut views = BinaryViewBuilder::with_capacity(cells.len());
    let mut row = 0;
    while row < cells.len() {
        let start = offsets[row];
        let fits = |next: &usize| offsets[*next] - start <= BLOCK_BYTES_MAX;
        let end = (row + 1..=cells.len()).take_while(fits).last().ok_or_else(too_large)?;
        let bytes = cells.values().slice_with_length(start, offsets[end] - start);
        let block = views.append_block(bytes);
        for row in row..end {
            if cells.is_null(row) {
                views.append_null();
                continue;
            }
            let [from, length] = [offsets[row] - start, offsets[row + 1] - offsets[row]]
                .map(|bytes| u32::try_from(bytes).map_err(|_| too_large()));
            views.try_append_view(block, from?, length?)?;
        }
        row = end;
    }
    Ok(views.finish())
}

/// Views of maps, whatever form they have.
fn views(maps: &ArrayRef) -> Result<BinaryViewArray> {
    if let Some(views) = maps.as_binary_view_opt() {
        return Ok(views.clone());
    }
    let Some(rows) = maps.as_struct_opt().filter(|_| is_carried(maps.data_type())) else {
        return view_cells(cells_of(maps)?);
    };
    let views = rows.column(0).as_binary_view();
    // A join's NULL beside a row without a match is the row's.
    let Some(nulls) = rows.nulls() else { return Ok(views.clone()) };
    let nulls = NullBuffer::union(Some(nulls), views.nulls());
    Ok(BinaryViewArray::try_new(views.views().clone(), views.data_buffers().to_vec(), nulls)?)
}

/// Bytes of the map of a row.
pub(super) fn map_bytes(views: &BinaryViewArray, row: usize) -> usize {
    // The lower four bytes of a view are its length; that of NULL may be anything.
    match views.is_null(row) {
        true => 0,
        false => (views.views()[row] & u128::from(u32::MAX)) as usize,
    }
}

/// Maps as they were before they were carried: each row with its own bytes.
fn cells(views: &BinaryViewArray) -> LargeBinaryArray {
    let bytes = (0..views.len()).map(|row| map_bytes(views, row)).sum();
    let mut cells = LargeBinaryBuilder::with_capacity(views.len(), bytes);
    for map in views {
        cells.append_option(map);
    }
    cells.finish()
}
