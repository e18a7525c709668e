//! One column cast from a type to a type.

use crate::error::{SqlError, SqlState};
use crate::functions::json::scalar::{Scalars, scalars};
use crate::functions::map;
use crate::functions::system::reg;
use crate::plan::{errors, values};
use crate::session::format::Format;
use crate::session::info::SessionInfo;
use crate::session::response::WireType;
use crate::types::cells::Cells;
use crate::types::datetime::calendar::split_micros;
use crate::types::datetime::infinity::{day_of, is_finite, midnight};
use crate::types::datetime::zone;
use crate::types::{oid, text};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, ListArray, PrimitiveArray, StringViewBuilder,
    TimestampMicrosecondArray, TimestampMicrosecondBuilder, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{CastOptions, cast_with_options, concat};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType as ArrowType, Date32Type, Float32Type, Float64Type, Int16Type,
    Int32Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType,
    TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use std::sync::Arc;
use terrane_client::types::DataType;
use terrane_client::value::Value;

const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// Casts a column.
pub fn array(
    array: &ArrayRef,
    source: WireType,
    target: WireType,
    info: &SessionInfo,
) -> Result<ArrayRef, SqlError> {
    if !array.data_type().is_null()
        && let Some(cast) = map::cast::array(array, source, target, info)
    {
        return cast;
    }
    let cast = unrounded(array, source, target, info)?;
    match (target.oid, target.modifier) {
        (oid::TIME | oid::TIMESTAMP | oid::TIMESTAMPTZ, digits @ 0..6) => rounded(&cast, digits),
        _ => Ok(cast),
    }
}

/// Microseconds to so many fractional digits of a second, half away from zero.
pub fn to_digits(micros: i64, digits: i32) -> i64 {
    let unit = 10i64.pow(6 - digits.unsigned_abs().min(6));
    match micros.rem_euclid(unit) {
        _ if !is_finite(micros) => micros,
        rest if 2 * rest > unit || (2 * rest == unit && micros > 0) => micros - rest + unit,
        rest => micros - rest,
    }
}

/// A column of times, rounded so.
pub fn rounded(times: &ArrayRef, digits: i32) -> Result<ArrayRef, SqlError> {
    let round = |micros| to_digits(micros, digits);
    // 24:00:00 is a time; an instant past the last one is not made by rounding.
    Ok(match times.data_type() {
        ArrowType::Time64(_) => Arc::new(
            times.as_primitive::<Time64MicrosecondType>().unary::<_, Time64MicrosecondType>(round),
        ),
        _ => {
            let micros = times.as_primitive::<TimestampMicrosecondType>();
            let rounded = micros.unary::<_, TimestampMicrosecondType>(round);
            Arc::new(rounded.with_timezone_opt(micros.timezone().map(str::to_owned)))
        }
    })
}

fn unrounded(
    array: &ArrayRef,
    source: WireType,
    target: WireType,
    info: &SessionInfo,
) -> Result<ArrayRef, SqlError> {
    let to = oid::arrow(target.oid, target.modifier);
    if array.data_type().is_null() {
        return Ok(new_null_array(&to, array.len()));
    }
    let from = array.data_type();
    if is_text(from) && oid::is_oid_like(target.oid) {
        return reg::identifiers(&as_views(array)?, target.oid, &info.facts);
    }
    if let (Some(lists), ArrowType::List(_)) = (array.as_list_opt::<i32>(), &to)
        && let (Some(from), Some(element)) =
            (oid::element_of(source.oid), oid::element_of(target.oid))
        && !oid::is_oid_like(element)
    {
        let element = oid::wire(element, target.modifier);
        return each_element(lists, oid::wire(from, -1), element, &to, info);
    }
    let element = oid::element_of(source.oid).unwrap_or(source.oid);
    if is_text(&to) && reg::is_named(element) {
        let named = reg::texts(array, source.oid, &info.facts)?;
        return sized_text(&to_text(&named, source, info)?, target);
    }
    let is_json = |type_oid: u32| matches!(type_oid, oid::JSON | oid::JSONB);
    if (is_json(source.oid) && !is_text(&to)) || (is_json(target.oid) && !is_text(from)) {
        return of_json(array, source, target, info);
    }
    match (is_text(from), is_text(&to)) {
        (true, true) => sized_text(array, target),
        (true, false) => from_text(array, target, info),
        (false, true) => sized_text(&to_text(array, source, info)?, target),
        (false, false) => between(array, &to, target, info),
    }
}

/// Arrays, by casting their elements.
fn each_element(
    lists: &ListArray,
    source: WireType,
    target: WireType,
    to: &ArrowType,
    info: &SessionInfo,
) -> Result<ArrayRef, SqlError> {
    let internal = |error: ArrowError| SqlError::internal(error.to_string());
    let ArrowType::List(field) = to else {
        return Err(SqlError::internal("a cast of arrays to what is none"));
    };
    // Not what lies before, after and between: it may be what no cast takes.
    let rows = (0..lists.len()).filter(|row| lists.is_valid(*row)).map(|row| lists.value(row));
    let rows: Vec<ArrayRef> = rows.collect();
    let parts: Vec<&dyn Array> = rows.iter().map(AsRef::as_ref).collect();
    let elements = match parts.as_slice() {
        [] => lists.values().slice(0, 0),
        parts => concat(parts).map_err(internal)?,
    };
    let cast = array(&elements, source, target, info)?;
    let cast = arrow_cast(&cast, field.data_type(), target)?;
    let length = |row| if lists.is_valid(row) { lists.value_length(row) as usize } else { 0 };
    let offsets = OffsetBuffer::from_lengths((0..lists.len()).map(length));
    let nulls = lists.nulls().cloned();
    let lists = ListArray::try_new(Arc::clone(field), offsets, cast, nulls).map_err(internal)?;
    Ok(Arc::new(lists))
}

fn is_text(data_type: &ArrowType) -> bool {
    matches!(data_type, ArrowType::Utf8 | ArrowType::Utf8View | ArrowType::LargeUtf8)
}

/// jsonb as a number or boolean; between JSON and any other type there is no cast but text.
fn of_json(
    array: &ArrayRef,
    source: WireType,
    target: WireType,
    info: &SessionInfo,
) -> Result<ArrayRef, SqlError> {
    let numbers =
        [oid::INT2, oid::INT4, oid::INT8, oid::FLOAT4, oid::FLOAT8, oid::NUMERIC, oid::BOOL];
    if source.oid != oid::JSONB || !numbers.contains(&target.oid) {
        let [from, to] = [source.oid, target.oid].map(|of| oid::format_type(of, None));
        let message = format!("cannot cast type {from} to {to}");
        return Err(SqlError::new(SqlState::CANNOT_COERCE, message));
    }
    match scalars(&as_views(array)?, target)? {
        Scalars::Booleans(booleans) => Ok(booleans),
        // Through numeric: it rounds where integers are made of it.
        Scalars::Numbers(texts) => {
            let numeric = oid::wire(oid::NUMERIC, -1);
            unrounded(&from_text(&texts, numeric, info)?, numeric, target, info)
        }
    }
}

fn as_views(array: &ArrayRef) -> Result<ArrayRef, SqlError> {
    arrow_cast(array, &ArrowType::Utf8View, oid::wire(oid::TEXT, -1))
}

/// An explicit cast cuts text to the target's length; JSON is checked.
fn sized_text(array: &ArrayRef, target: WireType) -> Result<ArrayRef, SqlError> {
    let views = as_views(array)?;
    let data_type = oid::data_type(target.oid, target.modifier);
    let length = match data_type {
        // A bpchar without a length takes all.
        Some(DataType::Char(0)) => usize::MAX,
        Some(DataType::Varchar(Some(length)) | DataType::Char(length)) => length as usize,
        Some(json @ (DataType::Json | DataType::Jsonb)) => {
            return parse_each(&views, &json, &SessionInfo::default());
        }
        _ => return Ok(views),
    };
    let is_char = matches!(data_type, Some(DataType::Char(_)));
    let mut out = StringViewBuilder::new();
    for text in views.as_string_view() {
        out.append_option(text.map(|text| {
            let cut = text.char_indices().nth(length).map_or(text, |(at, _)| &text[..at]);
            if is_char { cut.trim_end_matches(' ') } else { cut }
        }));
    }
    Ok(Arc::new(out.finish()))
}

fn from_text(array: &ArrayRef, target: WireType, info: &SessionInfo) -> Result<ArrayRef, SqlError> {
    if oid::element_of(target.oid).is_some_and(oid::is_oid_like) {
        let numbers = parse_each(&as_views(array)?, &int8_array(), info)?;
        return arrow_cast(&numbers, &oid::arrow(target.oid, target.modifier), target);
    }
    // Types that are text to Arrow.
    let read_as = match oid::element_of(target.oid) {
        Some(oid::CHAR | oid::NAME | oid::ACLITEM) => oid::TEXT_ARRAY,
        _ => target.oid,
    };
    let data_type = oid::data_type(read_as, target.modifier).ok_or_else(|| {
        let name = oid::format_type(target.oid, None);
        SqlError::new(SqlState::CANNOT_COERCE, format!("cannot cast type text to {name}"))
    })?;
    parse_each(&as_views(array)?, &data_type, info)
}

fn int8_array() -> DataType {
    DataType::Array(Box::new(DataType::Int8))
}

fn parse_each(
    views: &ArrayRef,
    data_type: &DataType,
    info: &SessionInfo,
) -> Result<ArrayRef, SqlError> {
    if views.is_empty() {
        return Ok(arrow::array::new_empty_array(&data_type.arrow()));
    }
    let scalars: Vec<ScalarValue> = views
        .as_string_view()
        .iter()
        .map(|text| {
            let value = match text {
                None => Value::Null,
                Some(text) => text::parse(text, data_type, info.input())?,
            };
            values::to_scalar(&value, data_type).map_err(errors::of_datafusion)
        })
        .collect::<Result<_, _>>()?;
    ScalarValue::iter_to_array(scalars).map_err(errors::of_datafusion)
}

/// Text as the type's output function writes it.
fn to_text(array: &ArrayRef, source: WireType, info: &SessionInfo) -> Result<ArrayRef, SqlError> {
    if is_text(array.data_type()) {
        return as_views(array);
    }
    let cells = Cells::new(array, source, Format::Text, &info.style)?;
    let mut out = StringViewBuilder::new();
    let mut buffer = Vec::new();
    for row in 0..array.len() {
        if cells.is_null(row) {
            out.append_null();
            continue;
        }
        buffer.clear();
        match array.as_boolean_opt() {
            // The cast of a boolean spells it out; its output function does not.
            Some(booleans) => {
                buffer.extend_from_slice(if booleans.value(row) { b"true" } else { b"false" });
            }
            None => cells.write(row, &mut buffer)?,
        }
        let text = std::str::from_utf8(&buffer)
            .map_err(|_| SqlError::internal("a type's text output is not UTF-8"))?;
        out.append_value(text);
    }
    Ok(Arc::new(out.finish()))
}

/// Casts between types that are not text.
fn between(
    array: &ArrayRef,
    to: &ArrowType,
    target: WireType,
    info: &SessionInfo,
) -> Result<ArrayRef, SqlError> {
    let from = array.data_type();
    if from == to {
        return Ok(Arc::clone(array));
    }
    match (from, to) {
        (ArrowType::Float64, t) if t.is_integer() => {
            floats_to_integers(array.as_primitive::<Float64Type>().iter(), t, target)
        }
        (ArrowType::Float32, t) if t.is_integer() => {
            let floats = array.as_primitive::<Float32Type>().iter();
            floats_to_integers(floats.map(|v| v.map(f64::from)), t, target)
        }
        (ArrowType::Boolean, ArrowType::Int32) => {
            let integers: PrimitiveArray<Int32Type> =
                array.as_boolean().iter().map(|v| v.map(i32::from)).collect();
            Ok(Arc::new(integers))
        }
        (ArrowType::Int32, ArrowType::Boolean) => {
            let booleans: BooleanArray =
                array.as_primitive::<Int32Type>().iter().map(|v| v.map(|v| v != 0)).collect();
            Ok(Arc::new(booleans))
        }
        (ArrowType::Boolean, t) | (t, ArrowType::Boolean) if t.is_numeric() => {
            Err(no_cast(array, target))
        }
        (ArrowType::Date32 | ArrowType::Time64(_) | ArrowType::Timestamp(..), t)
        | (t, ArrowType::Date32 | ArrowType::Time64(_) | ArrowType::Timestamp(..))
            if t.is_numeric() =>
        {
            Err(no_cast(array, target))
        }
        (
            ArrowType::Float32 | ArrowType::Float64,
            ArrowType::Decimal128(..) | ArrowType::Decimal256(..),
        ) => from_text(&significant(array), target, info),
        (ArrowType::Decimal128(..) | ArrowType::Decimal256(..), t) if t.is_integer() => {
            // Through a numeric without fraction: Arrow rounds there, half away from zero.
            let whole = arrow_cast(array, &ArrowType::Decimal256(76, 0), target)?;
            arrow_cast(&whole, to, target)
        }
        (ArrowType::Timestamp(_, Some(_)), ArrowType::Timestamp(_, None)) => {
            Ok(local_times(array, info))
        }
        (ArrowType::Timestamp(_, zone), ArrowType::Date32 | ArrowType::Time64(_)) => {
            let local = match zone {
                Some(_) => local_times(array, info),
                None => Arc::clone(array),
            };
            Ok(part_of_local(&local, to))
        }
        (ArrowType::Date32, ArrowType::Timestamp(_, None)) => midnights(array),
        (ArrowType::Timestamp(_, None), ArrowType::Timestamp(_, Some(_))) => {
            instants(array, info, target)
        }
        (ArrowType::Date32, ArrowType::Timestamp(_, Some(_))) => {
            instants(&midnights(array)?, info, target)
        }
        (ArrowType::Interval(_), ArrowType::Time64(_)) => {
            let intervals = array.as_primitive::<IntervalMonthDayNanoType>();
            let micros = |i: IntervalMonthDayNano| (i.nanoseconds / 1_000).rem_euclid(DAY_MICROS);
            Ok(Arc::new(intervals.unary::<_, Time64MicrosecondType>(micros)))
        }
        (ArrowType::Time64(_), ArrowType::Interval(_)) => {
            let times = array.as_primitive::<Time64MicrosecondType>();
            let since = |at: i64| IntervalMonthDayNano::new(0, 0, at * 1_000);
            Ok(Arc::new(times.unary::<_, IntervalMonthDayNanoType>(since)))
        }
        (ArrowType::Float64, ArrowType::Float32) => {
            let mut out = Vec::with_capacity(array.len());
            for value in array.as_primitive::<Float64Type>() {
                let narrow = value.map(|value| value as f32);
                let what = match (value, narrow) {
                    (Some(value), Some(narrow)) if value.is_finite() && narrow.is_infinite() => {
                        "overflow"
                    }
                    (Some(value), Some(0.0)) if value != 0.0 => "underflow",
                    _ => {
                        out.push(narrow);
                        continue;
                    }
                };
                let message = format!("value out of range: {what}");
                return Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message));
            }
            Ok(Arc::new(out.into_iter().collect::<PrimitiveArray<Float32Type>>()))
        }
        _ => arrow_cast(array, to, target),
    }
}

/// Floats as text with as many digits as they are sure to have: those behind are not the number's.
fn significant(floats: &ArrayRef) -> ArrayRef {
    let mut out = StringViewBuilder::new();
    match floats.as_primitive_opt::<Float32Type>() {
        Some(floats) => {
            floats.iter().for_each(|v| out.append_option(v.map(|v| format!("{v:.5e}"))));
        }
        None => {
            let floats = floats.as_primitive::<Float64Type>();
            floats.iter().for_each(|v| out.append_option(v.map(|v| format!("{v:.14e}"))));
        }
    }
    Arc::new(out.finish())
}

/// Instants on the session's wall.
fn local_times(array: &ArrayRef, info: &SessionInfo) -> ArrayRef {
    let zone = &info.style.time_zone;
    let instants = array.as_primitive::<TimestampMicrosecondType>().iter();
    let local: TimestampMicrosecondArray =
        instants.map(|at| at.map(|at| zone::to_local(zone, at))).collect();
    Arc::new(local)
}

/// The day, or the time of day, of local times. An infinite one has no time.
fn part_of_local(local: &ArrayRef, to: &ArrowType) -> ArrayRef {
    let local = local.as_primitive::<TimestampMicrosecondType>();
    match to {
        ArrowType::Date32 => Arc::new(local.unary::<_, Date32Type>(day_of)),
        _ => {
            let time = |at| is_finite(at).then(|| split_micros(at).1);
            let times = local.iter().map(|at| at.and_then(time));
            Arc::new(times.collect::<PrimitiveArray<Time64MicrosecondType>>())
        }
    }
}

/// The first moments of dates.
pub fn midnights(dates: &ArrayRef) -> Result<ArrayRef, SqlError> {
    let mut out = TimestampMicrosecondBuilder::with_capacity(dates.len());
    for days in dates.as_primitive::<Date32Type>() {
        out.append_option(match days.map(midnight) {
            Some(None) => {
                let message = "date out of range for timestamp";
                return Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, message));
            }
            midnight => midnight.flatten(),
        });
    }
    Ok(Arc::new(out.finish()))
}

/// When the session's wall showed these times.
fn instants(array: &ArrayRef, info: &SessionInfo, target: WireType) -> Result<ArrayRef, SqlError> {
    let mut out = TimestampMicrosecondBuilder::with_capacity(array.len());
    for local in array.as_primitive::<TimestampMicrosecondType>() {
        out.append_option(match local {
            None => None,
            Some(local) => {
                let utc = zone::to_utc(&info.style.time_zone, local);
                Some(utc.ok_or_else(|| out_of_range(target))?)
            }
        });
    }
    Ok(Arc::new(out.finish().with_timezone("UTC")))
}

fn floats_to_integers(
    values: impl Iterator<Item = Option<f64>>,
    to: &ArrowType,
    target: WireType,
) -> Result<ArrayRef, SqlError> {
    fn collect<T: ArrowPrimitiveType>(
        values: impl Iterator<Item = Option<f64>>,
        fits: impl Fn(f64) -> Option<T::Native>,
        target: WireType,
    ) -> Result<ArrayRef, SqlError> {
        let mut out = Vec::new();
        for value in values {
            out.push(match value {
                None => None,
                Some(v) => Some(fits(v.round_ties_even()).ok_or_else(|| out_of_range(target))?),
            });
        }
        Ok(Arc::new(out.into_iter().collect::<PrimitiveArray<T>>()))
    }
    // The bounds are exact as floats; at the upper one the integer does not fit any more.
    let within = |v: f64, bits: i32| v >= -(2f64.powi(bits)) && v < 2f64.powi(bits);
    match to {
        ArrowType::Int16 => {
            collect::<Int16Type>(values, |v| within(v, 15).then_some(v as i16), target)
        }
        ArrowType::Int32 => {
            collect::<Int32Type>(values, |v| within(v, 31).then_some(v as i32), target)
        }
        _ => collect::<Int64Type>(values, |v| within(v, 63).then_some(v as i64), target),
    }
}

fn arrow_cast(array: &ArrayRef, to: &ArrowType, target: WireType) -> Result<ArrayRef, SqlError> {
    let options = CastOptions { safe: false, ..Default::default() };
    if !arrow::compute::can_cast_types(array.data_type(), to) {
        return Err(no_cast(array, target));
    }
    cast_with_options(array, to, &options).map_err(|_| out_of_range(target))
}

fn no_cast(array: &ArrayRef, target: WireType) -> SqlError {
    let from = oid::format_type(oid::of_arrow(array.data_type()).oid, None);
    let to = oid::format_type(target.oid, None);
    SqlError::new(SqlState::CANNOT_COERCE, format!("cannot cast type {from} to {to}"))
}

fn out_of_range(target: WireType) -> SqlError {
    if target.oid == oid::NUMERIC && target.modifier >= 0 {
        return SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow");
    }
    let name = oid::format_type(target.oid, None);
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{name} out of range"))
}
