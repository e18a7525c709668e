//! concat(), concat_ws() and format(): any values as text, NULLs left out.

use super::cast::convert;
use crate::catalog::quote::{quote_ident, quote_literal};
use crate::error::{SqlError, SqlState};
use crate::plan::errors::external;
use crate::session::response::WireType;
use crate::types::oid;
use arrow::array::{Array, ArrayRef, AsArray, StringViewArray, StringViewBuilder};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use std::iter::Peekable;
use std::str::Chars;
use std::sync::Arc;

/// The functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Joins {
    Concat,
    ConcatWs,
    Format,
}

/// One of them.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Concatenation {
    joins: Joins,
    signature: Signature,
}

impl Concatenation {
    /// All of them.
    pub fn all() -> [Self; 3] {
        // Stable: text of a timestamp with time zone depends on the session's TimeZone.
        [Joins::Concat, Joins::ConcatWs, Joins::Format]
            .map(|joins| Self { joins, signature: Signature::variadic_any(Volatility::Stable) })
    }

    fn row(&self, texts: &[StringViewArray], row: usize) -> Result<Option<String>, SqlError> {
        let text =
            |array: &StringViewArray| array.is_valid(row).then(|| array.value(row).to_owned());
        let mut values = texts.iter().map(text);
        match self.joins {
            Joins::Concat => Ok(Some(values.flatten().collect())),
            Joins::ConcatWs => {
                let Some(separator) = values.next().flatten() else { return Ok(None) };
                Ok(Some(values.flatten().collect::<Vec<_>>().join(&separator)))
            }
            Joins::Format => {
                let Some(template) = values.next().flatten() else { return Ok(None) };
                format(&template, &values.collect::<Vec<_>>()).map(Some)
            }
        }
    }
}

impl ScalarUDFImpl for Concatenation {
    fn name(&self) -> &str {
        match self.joins {
            Joins::Concat => "concat",
            Joins::ConcatWs => "concat_ws",
            Joins::Format => "format",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        let field = Field::new(self.name(), DataType::Utf8View, self.joins != Joins::Concat);
        Ok(Arc::new(oid::with_type(field, oid::wire(oid::TEXT, -1))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let info = crate::session::info::of(&args.config_options);
        let scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { args.number_rows };
        let mut texts = Vec::with_capacity(args.args.len());
        for (arg, field) in args.args.iter().zip(&args.arg_fields) {
            let array = arg.to_array(rows)?;
            let text = output(&array, oid::of_field(field), &info).map_err(external)?;
            texts.push(text.as_string_view().clone());
        }
        let mut out = StringViewBuilder::new();
        for row in 0..rows {
            out.append_option(self.row(&texts, row).map_err(external)?);
        }
        let out: ArrayRef = Arc::new(out.finish());
        Ok(match scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&out, 0)?),
            false => ColumnarValue::Array(out),
        })
    }
}

/// Values as their output functions write them: a cast to text writes booleans otherwise.
fn output(
    array: &ArrayRef,
    source: WireType,
    info: &crate::session::info::SessionInfo,
) -> Result<ArrayRef, SqlError> {
    if let Some(values) = array.as_boolean_opt() {
        let letters = values.iter().map(|value| value.map(|value| if value { "t" } else { "f" }));
        return Ok(Arc::new(letters.collect::<StringViewArray>()));
    }
    convert::array(array, source, oid::wire(oid::TEXT, -1), info)
}

fn wrong(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// format()'s arguments: those without a position are taken in turn.
struct Arguments<'a> {
    values: &'a [Option<String>],
    next: usize,
}

impl Arguments<'_> {
    fn take(&mut self, position: Option<usize>) -> Result<Option<String>, SqlError> {
        let at = match position {
            Some(0) => {
                return Err(wrong(
                    "format specifies argument 0, but arguments are numbered from 1",
                ));
            }
            Some(position) => position - 1,
            None => self.next,
        };
        self.next = at + 1;
        self.values.get(at).cloned().ok_or_else(|| wrong("too few arguments for format()"))
    }
}

type Template<'a> = Peekable<Chars<'a>>;

/// What stands between % and the type.
struct Specifier {
    position: Option<usize>,
    left: bool,
    width: usize,
}

/// format(): `%[position$][-][width]type`, where the type is s, I or L and the width may be `*` or `*n$`.
fn format(template: &str, args: &[Option<String>]) -> Result<String, SqlError> {
    let mut out = String::with_capacity(template.len());
    let mut rest = template.chars().peekable();
    let mut args = Arguments { values: args, next: 0 };
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        if rest.next_if_eq(&'%').is_some() {
            out.push('%');
            continue;
        }
        let Specifier { position, left, width } = specifier(&mut rest, &mut args)?;
        let kind = rest.next().ok_or_else(unterminated)?;
        let value = converted(kind, position, &mut args)?;
        let padding = " ".repeat(width.saturating_sub(value.chars().count()));
        match left {
            true => out.extend([value, padding]),
            false => out.extend([padding, value]),
        }
    }
    Ok(out)
}

fn unterminated() -> SqlError {
    wrong("unterminated format() type specifier")
}

fn specifier(rest: &mut Template<'_>, args: &mut Arguments<'_>) -> Result<Specifier, SqlError> {
    let mut position = None;
    let mut width = number(rest)?;
    if width.is_some() && rest.next_if_eq(&'$').is_some() {
        position = width.take();
    }
    let mut left = false;
    while width.is_none() && rest.next_if_eq(&'-').is_some() {
        left = true;
    }
    if width.is_none() && rest.next_if_eq(&'*').is_some() {
        let place = number(rest)?;
        if place.is_some() && rest.next_if_eq(&'$').is_none() {
            return Err(wrong("width argument position must be ended by \"$\""));
        }
        let text = args.take(place)?.unwrap_or_else(|| "0".to_owned());
        let wanted: i32 = text.parse().map_err(|_| too_wide())?;
        left |= wanted < 0;
        width = Some(wanted.unsigned_abs() as usize).filter(|width| *width <= WIDTH_MAX);
        width.ok_or_else(too_wide)?;
    } else if width.is_none() {
        width = number(rest)?;
    }
    Ok(Specifier { position, left, width: width.unwrap_or(0) })
}

fn converted(
    kind: char,
    position: Option<usize>,
    args: &mut Arguments<'_>,
) -> Result<String, SqlError> {
    match kind {
        's' => Ok(args.take(position)?.unwrap_or_default()),
        'I' => match args.take(position)? {
            Some(name) => Ok(quote_ident(&name)),
            None => Err(SqlError::new(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                "null values cannot be formatted as an SQL identifier",
            )),
        },
        'L' => {
            let text = args.take(position)?;
            Ok(text.map_or_else(|| "NULL".to_owned(), |text| quote_literal(&text)))
        }
        other => Err(wrong(format!("unrecognized format() type specifier \"{other}\""))
            .with_hint("For a single \"%\" use \"%%\".")),
    }
}

/// The widest that a value is filled up to: more would be a way to use up memory.
const WIDTH_MAX: usize = 64 << 20;

fn too_wide() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "number is out of range")
}

fn number(rest: &mut Template<'_>) -> Result<Option<usize>, SqlError> {
    let mut digits = String::new();
    while let Some(digit) = rest.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    if digits.is_empty() {
        return Ok(None);
    }
    match digits.parse() {
        Ok(number) if number <= WIDTH_MAX => Ok(Some(number)),
        _ => Err(too_wide()),
    }
}
