//! JSON made of values: to_json(), row_to_json(), json_build_object(), json_build_array(), and what json_agg() and
//! json_object_agg() become.
//!
//! An aggregate is spelled as an `array_agg` of the values as JSON (`bind/rewrite`), which these functions
//! join: order, FILTER and DISTINCT are array_agg's own.

use crate::error::{SqlError, SqlState};
use crate::functions::cast::convert;
use crate::functions::undefined;
use crate::plan::errors::external;
use crate::session::info::SessionInfo;
use crate::session::response::WireType;
use crate::types::json_tree::Json;
use crate::types::jsonb::write_string;
use crate::types::oid;
use arrow::array::{Array, ArrayRef, AsArray, StringViewArray, StringViewBuilder};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// The names of those that take any values.
pub const NAMES: [&str; 7] = [
    "to_json",
    "to_jsonb",
    "row_to_json",
    "json_build_object",
    "jsonb_build_object",
    "json_build_array",
    "jsonb_build_array",
];

/// The longest text: 1 GiB, as in PostgreSQL.
const TEXT_BYTES_MAX: usize = 1 << 30;

/// What is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Shape {
    /// One value.
    Value,
    /// One value, which is a row.
    Row,
    /// An object of keys and values in turn.
    Object,
    /// An array of all arguments.
    Array,
    /// An array of an array's elements, which are JSON.
    JoinedArray,
    /// An object of an array of keys and one of values, which are JSON.
    JoinedObject,
}

/// One of the functions.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Build {
    name: &'static str,
    shape: Shape,
    /// jsonb, which has a normal form; else json.
    binary: bool,
    signature: Signature,
}

impl Build {
    /// All of them.
    pub fn all() -> Vec<Self> {
        let of = |name, shape, binary| Self {
            name,
            shape,
            binary,
            // Stable: text of a timestamp with time zone depends on the session's TimeZone.
            signature: Signature::user_defined(Volatility::Stable),
        };
        vec![
            of("to_json", Shape::Value, false),
            of("to_jsonb", Shape::Value, true),
            of("row_to_json", Shape::Row, false),
            of("json_build_object", Shape::Object, false),
            of("jsonb_build_object", Shape::Object, true),
            of("json_build_array", Shape::Array, false),
            of("jsonb_build_array", Shape::Array, true),
            of("json_join_array", Shape::JoinedArray, false),
            of("jsonb_join_array", Shape::JoinedArray, true),
            of("json_join_object", Shape::JoinedObject, false),
            of("jsonb_join_object", Shape::JoinedObject, true),
        ]
    }

    fn check(&self, count: usize) -> Result<()> {
        let fits = match self.shape {
            Shape::Value | Shape::Row | Shape::JoinedArray => count == 1,
            Shape::JoinedObject => count == 2,
            Shape::Object | Shape::Array => true,
        };
        if !fits {
            return Err(external(SqlError::new(
                SqlState::UNDEFINED_FUNCTION,
                format!("function {} with {count} arguments does not exist", self.name),
            )));
        }
        if self.shape == Shape::Object && count % 2 == 1 {
            return Err(external(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "argument list must have even number of elements",
            )));
        }
        Ok(())
    }
}

impl ScalarUDFImpl for Build {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, args: &[DataType]) -> Result<Vec<DataType>> {
        self.check(args.len())?;
        match args {
            [arg] if self.shape == Shape::Row && !matches!(arg, DataType::Struct(_)) => {
                Err(external(undefined::function(self.name, args)))
            }
            _ => Ok(args.to_vec()),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        let wire_type = oid::wire(if self.binary { oid::JSONB } else { oid::JSON }, -1);
        Ok(Arc::new(oid::with_type(Field::new(self.name, DataType::Utf8View, true), wire_type)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let info = crate::session::info::of(&args.config_options);
        let rows = args.number_rows;
        let arrays: Vec<(ArrayRef, WireType)> = args
            .args
            .iter()
            .zip(&args.arg_fields)
            .map(|(arg, field)| Ok((arg.to_array(rows)?, oid::of_field(field))))
            .collect::<Result<_>>()?;
        let built = match self.shape {
            Shape::JoinedArray | Shape::JoinedObject => joined(self.shape, &arrays, rows),
            _ => self.of_values(&arrays, rows, &info),
        };
        let built = built.map_err(external)?;
        let mut out = StringViewBuilder::new();
        for text in built {
            match text {
                Some(text) if self.binary => {
                    out.append_value(Json::parse(&text).map_err(external)?.jsonb());
                }
                text => out.append_option(text),
            }
        }
        Ok(ColumnarValue::Array(Arc::new(out.finish())))
    }
}

impl Build {
    fn of_values(
        &self,
        arrays: &[(ArrayRef, WireType)],
        rows: usize,
        info: &SessionInfo,
    ) -> std::result::Result<Vec<Option<String>>, SqlError> {
        let columns: Vec<Column> = arrays
            .iter()
            .map(|(array, wire_type)| Column::new(array, *wire_type, info))
            .collect::<std::result::Result<_, _>>()?;
        (0..rows)
            .map(|row| {
                let mut out = String::new();
                match self.shape {
                    Shape::Value | Shape::Row if columns[0].is_null(row) => return Ok(None),
                    Shape::Value | Shape::Row => columns[0].write(row, &mut out),
                    Shape::Array => {
                        out.push('[');
                        for (at, column) in columns.iter().enumerate() {
                            out.push_str(if at > 0 { ", " } else { "" });
                            column.write(row, &mut out);
                        }
                        out.push(']');
                    }
                    _ => {
                        out.push('{');
                        for (at, pair) in columns.chunks_exact(2).enumerate() {
                            out.push_str(if at > 0 { ", " } else { "" });
                            let key = pair[0].key(row).ok_or_else(|| null_key(2 * at + 1))?;
                            write_string(key, &mut out);
                            out.push_str(" : ");
                            pair[1].write(row, &mut out);
                        }
                        out.push('}');
                    }
                }
                Ok(Some(out))
            })
            .collect()
    }
}

fn null_key(argument: usize) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("argument {argument} cannot be null"))
        .with_hint("Object keys should be text.")
}

/// How a type's text becomes JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As it is: numbers, booleans, JSON.
    Bare,
    /// Bare where it is a finite number, else a string.
    Number,
    /// A string.
    Quoted,
    /// A string with a `T` between date and time.
    Moment,
    /// The same, and minutes behind the hours of the zone: `2024-01-01T12:00:00+00:00`.
    Instant,
}

enum Column {
    Nulls,
    Texts { texts: StringViewArray, form: Form },
    Lists { array: ArrayRef, elements: Box<Column> },
    Rows { rows: ArrayRef, fields: Vec<(String, Column)> },
}

impl Column {
    fn new(
        array: &ArrayRef,
        wire_type: WireType,
        info: &SessionInfo,
    ) -> std::result::Result<Self, SqlError> {
        if array.data_type().is_null() {
            return Ok(Self::Nulls);
        }
        if let Some(lists) = array.as_list_opt::<i32>() {
            let element = oid::element_of(wire_type.oid)
                .unwrap_or_else(|| oid::of_arrow(lists.values().data_type()).oid);
            let elements = Self::new(lists.values(), oid::wire(element, -1), info)?;
            return Ok(Self::Lists { array: Arc::clone(array), elements: Box::new(elements) });
        }
        if let Some(rows) = array.as_struct_opt() {
            let fields = rows.fields().iter().zip(rows.columns());
            let fields = fields.map(|(field, values)| {
                Ok((field.name().clone(), Self::new(values, oid::of_field(field), info)?))
            });
            let fields = fields.collect::<std::result::Result<_, SqlError>>()?;
            return Ok(Self::Rows { rows: Arc::clone(array), fields });
        }
        if oid::is_map(wire_type.oid) {
            let json = convert::array(array, wire_type, oid::wire(oid::JSON, -1), info)?;
            return Ok(Self::Texts { texts: json.as_string_view().clone(), form: Form::Bare });
        }
        let form = match wire_type.oid {
            oid::BOOL | oid::JSON | oid::JSONB => Form::Bare,
            oid::INT2 | oid::INT4 | oid::INT8 | oid::FLOAT4 | oid::FLOAT8 | oid::NUMERIC => {
                Form::Number
            }
            oid::TIMESTAMP => Form::Moment,
            oid::TIMESTAMPTZ => Form::Instant,
            _ => Form::Quoted,
        };
        let texts = convert::array(array, wire_type, oid::wire(oid::TEXT, -1), info)?;
        let texts = arrow::compute::cast(&texts, &DataType::Utf8View)
            .map_err(|error| SqlError::internal(error.to_string()))?;
        Ok(Self::Texts { texts: texts.as_string_view().clone(), form })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Nulls => true,
            Self::Texts { texts, .. } => texts.is_null(row),
            Self::Lists { array, .. } | Self::Rows { rows: array, .. } => array.is_null(row),
        }
    }

    fn key(&self, row: usize) -> Option<&str> {
        match self {
            Self::Texts { texts, .. } if texts.is_valid(row) => Some(texts.value(row)),
            _ => None,
        }
    }

    fn write(&self, row: usize, out: &mut String) {
        if self.is_null(row) {
            out.push_str("null");
            return;
        }
        match self {
            Self::Nulls => out.push_str("null"),
            Self::Texts { texts, form } => {
                let text = texts.value(row);
                let finite = || text.bytes().last().is_some_and(|byte| byte.is_ascii_digit());
                match form {
                    Form::Bare => out.push_str(text),
                    Form::Number if finite() => out.push_str(text),
                    Form::Moment => write_string(&text.replacen(' ', "T", 1), out),
                    Form::Instant => write_string(&with_minutes(text), out),
                    Form::Number | Form::Quoted => write_string(text, out),
                }
            }
            Self::Lists { array, elements } => {
                let lists = array.as_list::<i32>();
                let offsets = lists.value_offsets();
                out.push('[');
                for at in offsets[row]..offsets[row + 1] {
                    out.push_str(if at > offsets[row] { "," } else { "" });
                    elements.write(at as usize, out);
                }
                out.push(']');
            }
            Self::Rows { fields, .. } => {
                out.push('{');
                for (at, (name, values)) in fields.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    write_string(name, out);
                    out.push(':');
                    values.write(row, out);
                }
                out.push('}');
            }
        }
    }
}

/// 54000 for a text longer than PostgreSQL's longest.
fn check_length(text: &str) -> std::result::Result<(), SqlError> {
    if text.len() <= TEXT_BYTES_MAX {
        return Ok(());
    }
    let detail = format!("A text of more than {TEXT_BYTES_MAX} bytes is not made.");
    Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "out of memory").with_detail(detail))
}

/// An instant as XML Schema writes it.
pub(crate) fn with_minutes(text: &str) -> String {
    let moment = text.replacen(' ', "T", 1);
    let (moment, era) = match moment.strip_suffix(" BC") {
        Some(moment) => (moment, " BC"),
        None => (moment.as_str(), ""),
    };
    let hours_only = moment.len().checked_sub(3).and_then(|at| moment.as_bytes().get(at));
    let minutes = if matches!(hours_only, Some(b'+' | b'-')) { ":00" } else { "" };
    format!("{moment}{minutes}{era}")
}

/// Joins what array_agg gathered; NULL where that is.
fn joined(
    shape: Shape,
    arrays: &[(ArrayRef, WireType)],
    rows: usize,
) -> std::result::Result<Vec<Option<String>>, SqlError> {
    let gathered = |at: usize, row: usize| -> std::result::Result<_, SqlError> {
        let (array, _) = &arrays[at];
        let Some(list) = array.as_list_opt::<i32>() else {
            return match array.data_type().is_null() {
                true => Ok(None),
                false => Err(SqlError::internal("values to join that are no array")),
            };
        };
        if list.is_null(row) {
            return Ok(None);
        }
        let texts = arrow::compute::cast(&list.value(row), &DataType::Utf8View)
            .map_err(|error| SqlError::internal(error.to_string()))?;
        Ok(Some(texts.as_string_view().clone()))
    };
    (0..rows)
        .map(|row| {
            let Some(values) = gathered(0, row)? else { return Ok(None) };
            let mut out = String::new();
            if shape == Shape::JoinedArray {
                out.push('[');
                for (at, value) in values.iter().enumerate() {
                    out.push_str(if at > 0 { ", " } else { "" });
                    out.push_str(value.unwrap_or("null"));
                    check_length(&out)?;
                }
                out.push(']');
                return Ok(Some(out));
            }
            let Some(of_keys) = gathered(1, row)? else { return Ok(None) };
            out.push_str("{ ");
            for (at, (key, value)) in values.iter().zip(of_keys.iter()).enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                let key = key.ok_or_else(|| {
                    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "field name must not be null")
                })?;
                write_string(key, &mut out);
                out.push_str(" : ");
                out.push_str(value.unwrap_or("null"));
                check_length(&out)?;
            }
            out.push_str(" }");
            Ok(Some(out))
        })
        .collect()
}
