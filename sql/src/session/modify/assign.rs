//! A value on its way into a column: PostgreSQL's assignment casts.
//!
//! What loses nothing but a fraction is converted; text into anything else is 42804, as is the like. A text
//! too long for varchar(n) or char(n) is 22001, unless only blanks are cut.

use crate::catalog::model::Column;
use crate::error::{SqlError, SqlState};
use crate::functions::cast::convert;
use crate::session::info::SessionInfo;
use crate::session::response::WireType;
use crate::types::{oid, string};
use arrow::array::{Array, ArrayRef, AsArray, ListArray, StringViewBuilder};
use std::sync::Arc;
use terrane_client::columns::value_at;
use terrane_client::types::DataType;
use terrane_client::value::Value;

/// Refuses (42804) what has no assignment cast. `None` for a source type is an untyped NULL.
pub fn check(column: &Column, source: WireType) -> Result<(), SqlError> {
    let target = oid::of(&column.data_type);
    if is_assignable(source.oid, target.oid) {
        return Ok(());
    }
    let (from, to) = (oid::format_type(source.oid, None), oid::format_type(target.oid, None));
    Err(SqlError::new(
        SqlState::DATATYPE_MISMATCH,
        format!("column \"{}\" is of type {to} but expression is of type {from}", column.name),
    )
    .with_hint("You will need to rewrite or cast the expression."))
}

/// True where a value of one type can be assigned to a column of another.
pub fn is_assignable(source: u32, target: u32) -> bool {
    let number = |t| {
        matches!(t, oid::INT2 | oid::INT4 | oid::INT8 | oid::FLOAT4 | oid::FLOAT8 | oid::NUMERIC)
    };
    let text = |t| matches!(t, oid::TEXT | oid::VARCHAR | oid::BPCHAR);
    let time = |t| matches!(t, oid::DATE | oid::TIMESTAMP | oid::TIMESTAMPTZ);
    source == target
        || (number(source) && number(target))
        // Everything can be assigned to text.
        || text(target)
        || (time(source) && time(target))
        || (matches!(source, oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::INTERVAL) && target == oid::TIME)
        || (source == oid::TIME && target == oid::INTERVAL)
        || (matches!(source, oid::JSON | oid::JSONB) && matches!(target, oid::JSON | oid::JSONB))
        // What clients send for a map, and what it is told to be on the wire.
        || oid::is_map(target) && (text(source) || matches!(source, oid::JSON | oid::JSONB))
        || oid::is_oid_like(source) && number(target)
        || match (oid::element_of(source), oid::element_of(target)) {
            (Some(source), Some(target)) => is_assignable(source, target),
            _ => false,
        }
}

/// Converts a column of values.
pub fn convert(
    values: &ArrayRef,
    source: WireType,
    column: &Column,
    info: &SessionInfo,
) -> Result<ArrayRef, SqlError> {
    if !values.data_type().is_null() {
        check(column, source)?;
    }
    as_type(values, source, &column.data_type, info)
}

/// Values as another type's: the cast of an assignment, which cuts blanks only.
pub fn as_type(
    values: &ArrayRef,
    source: WireType,
    data_type: &DataType,
    info: &SessionInfo,
) -> Result<ArrayRef, SqlError> {
    match data_type {
        DataType::Varchar(Some(_)) | DataType::Char(_) => {
            let text = convert::array(values, source, oid::wire(oid::TEXT, -1), info)?;
            fitted(&text, data_type)
        }
        DataType::Array(element)
            if matches!(**element, DataType::Varchar(Some(_)) | DataType::Char(_)) =>
        {
            let texts = convert::array(values, source, oid::wire(oid::TEXT_ARRAY, -1), info)?;
            let Some(lists) = texts.as_list_opt::<i32>() else {
                return Ok(texts);
            };
            let (field, offsets, elements, nulls) = lists.clone().into_parts();
            let lists = ListArray::try_new(field, offsets, fitted(&elements, element)?, nulls);
            Ok(Arc::new(lists.map_err(|error| SqlError::internal(error.to_string()))?))
        }
        _ => convert::array(values, source, oid::of(data_type), info),
    }
}

fn fitted(texts: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, SqlError> {
    let mut out = StringViewBuilder::new();
    for text in texts.as_string_view() {
        out.append_option(match (text, data_type) {
            (None, _) => None,
            (Some(text), DataType::Char(length)) => Some(string::bpchar(text, *length)?),
            (Some(text), DataType::Varchar(limit)) => Some(string::varchar(text, *limit)?),
            (Some(text), _) => Some(text),
        });
    }
    Ok(Arc::new(out.finish()))
}

/// One value of a column of values, assigned to a table's.
pub fn assigned_value(
    values: &ArrayRef,
    at: usize,
    source: WireType,
    column: &Column,
    info: &SessionInfo,
) -> Result<Value, SqlError> {
    let one = as_type(&values.slice(at, 1), source, &column.data_type, info)?;
    match one.is_null(0) {
        true => Ok(Value::Null),
        false => value_at(one.as_ref(), 0, &column.data_type)
            .map_err(|error| SqlError::internal(error.to_string())),
    }
}

/// 22003 for a number that a column of its type cannot hold.
pub fn out_of_range(column: &Column) -> SqlError {
    let name = oid::format_type(oid::of(&column.data_type).oid, None);
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{name} out of range"))
}
