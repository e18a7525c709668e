//! Arguments of functions of maps: maps, keys, arrays of keys, each of the map's own types.

use super::Role;
use crate::error::{SqlError, SqlState};
use crate::functions::cast::convert;
use crate::plan::errors::external;
use crate::session::info::SessionInfo;
use crate::session::modify::assign;
use crate::session::response::WireType;
use crate::types::{map, oid};
use arrow::array::{Array, ArrayRef, AsArray, BinaryViewArray, LargeBinaryArray};
use arrow::datatypes::{DataType, Field};
use datafusion::error::Result as PlanResult;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};
use std::sync::Arc;
use terrane_client::cell::map::encode_key;
use terrane_client::cell::{self, MapCell};
use terrane_client::columns::value_at;
use terrane_client::types::{DataType as ValueType, MapType};

/// The map type of a field that has one.
pub(super) fn map_type(field: impl AsRef<Field>) -> Option<MapType> {
    let stated = oid::of_field(field.as_ref());
    oid::map_type(stated.oid, stated.modifier)
}

/// True for text, which a literal without a type is too, and for NULL.
pub(super) fn is_unknown(field: impl AsRef<Field>) -> bool {
    let field = field.as_ref();
    field.data_type().is_null() || is_text(oid::of_field(field).oid)
}

fn is_text(type_oid: u32) -> bool {
    matches!(type_oid, oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME | oid::UNKNOWN)
}

/// True where a value of a field can be a map, a key or an array of keys.
pub(super) fn fits(field: impl AsRef<Field>, role: Role, of: &MapType) -> bool {
    let field = field.as_ref();
    let stated = oid::of_field(field);
    if is_unknown(field) {
        return true;
    }
    match role {
        Role::Map => map_type(field).is_some_and(|found| found == *of),
        Role::Key => is_key(stated.oid, of),
        Role::Keys => {
            let is_null = |list: &DataType| match list {
                DataType::List(element) => element.data_type().is_null(),
                _ => false,
            };
            is_null(field.data_type())
                || oid::element_of(stated.oid).is_some_and(|element| is_key(element, of))
        }
    }
}

/// True for what PostgreSQL would cast to the key's type by itself, and for integers of any width: those that do
/// not fit are out of range.
fn is_key(type_oid: u32, of: &MapType) -> bool {
    let key = oid::of(of.key()).oid;
    let is_integer = |of| matches!(of, oid::INT2 | oid::INT4 | oid::INT8);
    let is_number = |of| is_integer(of) || matches!(of, oid::NUMERIC);
    let is_float = |of| matches!(of, oid::FLOAT4 | oid::FLOAT8);
    type_oid == key
        || is_text(type_oid)
        || (is_integer(type_oid) && is_number(key))
        || (is_number(type_oid) && is_float(key))
        || (is_float(type_oid) && is_float(key))
        || (type_oid == oid::NUMERIC && key == oid::NUMERIC)
        || (type_oid == oid::DATE && matches!(key, oid::TIMESTAMP | oid::TIMESTAMPTZ))
        || (type_oid == oid::TIMESTAMP && key == oid::TIMESTAMPTZ)
}

/// 42804 for a value that a map of this type cannot be given.
pub(super) fn check_value(field: impl AsRef<Field>, of: &MapType) -> PlanResult<()> {
    let field = field.as_ref();
    let (given, value) = (oid::of_field(field), oid::of(of.value()));
    if is_unknown(field) || assign::is_assignable(given.oid, value.oid) {
        return Ok(());
    }
    let [given, value] = [given, value].map(|of| oid::format_type(of.oid, None));
    let message = format!(
        "subscripted assignment to {of} requires type {value} but expression is of type {given}"
    );
    Err(external(
        SqlError::new(SqlState::DATATYPE_MISMATCH, message)
            .with_hint("You will need to rewrite or cast the expression."),
    ))
}

/// What a function is given.
pub(super) struct Given<'a> {
    pub args: &'a ScalarFunctionArgs,
    pub of: &'a MapType,
    pub rows: usize,
    pub info: &'a SessionInfo,
}

impl Given<'_> {
    /// An argument, and its type; of one row where it is the same for all.
    fn array(&self, at: usize) -> Result<(ArrayRef, WireType, bool), SqlError> {
        let (array, is_same) = match &self.args.args[at] {
            ColumnarValue::Array(array) => (array.clone(), false),
            ColumnarValue::Scalar(scalar) => {
                (scalar.to_array().map_err(|error| SqlError::internal(error.to_string()))?, true)
            }
        };
        Ok((array, oid::of_field(&self.args.arg_fields[at]), is_same))
    }

    /// An argument as an array of a type.
    fn converted(&self, at: usize, to: WireType) -> Result<(ArrayRef, bool), SqlError> {
        let (array, from, is_same) = self.array(at)?;
        // A cast between times rounds; keys and maps are what they are.
        let array = match from == to && *array.data_type() == oid::arrow(to.oid, to.modifier) {
            true => array,
            false => convert::array(&array, from, to, self.info)?,
        };
        Ok((array, is_same))
    }

    /// An argument as maps.
    pub fn maps(&self, at: usize) -> Result<Maps<'_>, SqlError> {
        let to = oid::of(&ValueType::Map(Box::new(self.of.clone())));
        // Where a join repeats maps they come as views.
        if let ColumnarValue::Array(array) = &self.args.args[at]
            && let Some(views) = array.as_binary_view_opt()
            && oid::of_field(&self.args.arg_fields[at]) == to
        {
            return Ok(Maps { cells: Cells::Views(views.clone()), is_same: false, of: self.of });
        }
        let (array, is_same) = self.converted(at, to)?;
        let cells = array.as_binary_opt::<i64>().cloned();
        let cells = cells.ok_or_else(|| SqlError::internal("maps that are no cells"))?;
        Ok(Maps { cells: Cells::Whole(cells), is_same, of: self.of })
    }

    /// An argument as encoded keys to look for. One that is too long is a key that no map has.
    pub fn keys(&self, at: usize) -> Result<Keys, SqlError> {
        let (array, is_same) = self.converted(at, oid::of_any_length(self.of.key()))?;
        self.encoded(&array, is_same)
    }

    /// An argument as encoded keys of entries to be.
    pub fn new_keys(&self, at: usize) -> Result<Keys, SqlError> {
        let (array, from, is_same) = self.array(at)?;
        self.encoded(&assign::as_type(&array, from, self.of.key(), self.info)?, is_same)
    }

    fn encoded(&self, array: &ArrayRef, is_same: bool) -> Result<Keys, SqlError> {
        let keys = (0..array.len()).map(|row| key_at(array, row, self.of));
        Ok(Keys { keys: keys.collect::<Result<_, _>>()?, is_same })
    }

    /// An argument as arrays of encoded keys.
    pub fn lists(&self, at: usize) -> Result<Lists, SqlError> {
        let key = oid::of_any_length(self.of.key());
        let array = oid::array_of(key.oid)
            .ok_or_else(|| SqlError::internal("a type of keys without arrays"))?;
        let (array, is_same) = self.converted(at, oid::wire(array, key.modifier))?;
        let lists = array.as_list_opt::<i32>();
        let lists = lists.ok_or_else(|| SqlError::internal("keys that are no arrays"))?;
        let list = |row| {
            if lists.is_null(row) {
                return Ok(None);
            }
            let elements = lists.value(row);
            let keys = (0..elements.len()).map(|at| key_at(&elements, at, self.of));
            keys.collect::<Result<Vec<_>, SqlError>>().map(Some)
        };
        Ok(Lists { lists: (0..lists.len()).map(list).collect::<Result<_, _>>()?, is_same })
    }

    /// An argument as cells of values of entries to be.
    pub fn new_values(&self, at: usize) -> Result<Keys, SqlError> {
        let (array, from, is_same) = self.array(at)?;
        let value_type = self.of.value();
        let array = assign::as_type(&array, from, value_type, self.info)?;
        let cell = |row: usize| {
            let value = value_at(array.as_ref(), row, value_type)?;
            cell::encoded(&value, value_type)
        };
        let cells = (0..array.len()).map(|row| cell(row).map_err(|error| map::not_stored(&error)));
        Ok(Keys { keys: cells.collect::<Result<_, _>>()?, is_same })
    }

    /// The first argument as json or jsonb.
    pub fn as_text(&self, type_oid: u32) -> Result<ArrayRef, SqlError> {
        let maps = self.maps(0)?;
        let from = oid::of(&ValueType::Map(Box::new(self.of.clone())));
        let cells: ArrayRef = match maps.cells {
            Cells::Whole(cells) => Arc::new(cells),
            Cells::Views(views) => Arc::new(LargeBinaryArray::from_iter(&views)),
        };
        let json = convert::array(&cells, from, oid::wire(type_oid, -1), self.info)?;
        match maps.is_same && self.rows != 1 {
            true => Err(SqlError::internal("one map for many rows")),
            false => Ok(json),
        }
    }
}

fn key_at(array: &ArrayRef, row: usize, of: &MapType) -> Result<Option<Vec<u8>>, SqlError> {
    if array.is_null(row) {
        return Ok(None);
    }
    let key = value_at(array.as_ref(), row, of.key()).map_err(|e| map::not_stored(&e))?;
    // An encoding that no map has a key of.
    Ok(Some(encode_key(&key, of).unwrap_or_default()))
}

enum Cells {
    Whole(LargeBinaryArray),
    Views(BinaryViewArray),
}

impl Cells {
    fn get(&self, row: usize) -> Option<&[u8]> {
        match self {
            Self::Whole(cells) => cells.is_valid(row).then(|| cells.value(row)),
            Self::Views(views) => views.is_valid(row).then(|| views.value(row)),
        }
    }
}

/// Maps, by row.
pub(super) struct Maps<'a> {
    cells: Cells,
    is_same: bool,
    of: &'a MapType,
}

impl Maps<'_> {
    /// A row's map; `None` for NULL.
    pub fn get(&self, row: usize) -> Result<Option<MapCell<'_>>, SqlError> {
        let row = if self.is_same { 0 } else { row };
        self.cells.get(row).map(|cell| map::open(cell, self.of)).transpose()
    }
}

/// Encoded keys, or cells of values, by row.
pub(super) struct Keys {
    keys: Vec<Option<Vec<u8>>>,
    is_same: bool,
}

impl Keys {
    /// A row's key; `None` for NULL.
    pub fn get(&self, row: usize) -> Option<&[u8]> {
        self.keys.get(if self.is_same { 0 } else { row })?.as_deref()
    }
}

/// Arrays of encoded keys, by row.
pub(super) struct Lists {
    lists: Vec<Option<Vec<Option<Vec<u8>>>>>,
    is_same: bool,
}

impl Lists {
    /// A row's keys, NULLs among them; `None` for NULL.
    pub fn get(&self, row: usize) -> Option<&[Option<Vec<u8>>]> {
        self.lists.get(if self.is_same { 0 } else { row })?.as_deref()
    }
}
