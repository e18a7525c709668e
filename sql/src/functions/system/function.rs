//! One system information function as DataFusion calls it.
//!
//! A function is a table of overloads told apart by the number and types of their arguments; of several that
//! take a call, the one with the fewest conversions is called. Rows are computed one by one: these functions
//! are asked about catalogs and the session, or do so much for a row that the loop does not matter.

use super::reg;
use crate::catalog::system::rows::{Builder, Cell};
use crate::catalog::system::{Facts, facts};
use crate::error::{SqlError, SqlState};
use crate::functions::cast::convert::midnights;
use crate::functions::undefined;
use crate::plan::errors::{self, external};
use crate::plan::values;
use crate::types::datetime::zone;
use crate::types::oid;
use crate::types::text::{self, InputContext};
use arrow::array::{Array, ArrayRef, AsArray, new_empty_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DataType, Field, FieldRef, Int64Type, TimeUnit, TimestampMicrosecondType, UInt32Type, i256,
};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use terrane_client::interval::Interval;
use terrane_client::numeric::Numeric;
use terrane_client::types::DataType as ValueType;
use terrane_client::value::Value;

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text, or what PostgreSQL casts to it.
    Text,
    /// int8, or what is narrower.
    Int,
    /// A boolean.
    Bool,
    /// An oid; text is read as this type, one of [`oid::is_oid_like`].
    Oid(u32),
    /// A value of this storable type, or what PostgreSQL casts to it by itself.
    Of(u32),
}

impl Kind {
    fn arrow(self, given: &DataType) -> DataType {
        let is_text = is_text(given);
        match self {
            Self::Text => DataType::Utf8View,
            Self::Int => DataType::Int64,
            Self::Bool => DataType::Boolean,
            Self::Oid(_) | Self::Of(_) if is_text => DataType::Utf8View,
            Self::Oid(_) => DataType::UInt32,
            // Only a session's time zone makes an instant of it, and infinite dates are infinite.
            Self::Of(oid::TIMESTAMPTZ | oid::TIMESTAMP) if is_wall_time(given) => given.clone(),
            // As many digits behind the point as it has.
            Self::Of(oid::NUMERIC) if given.is_decimal() => given.clone(),
            Self::Of(type_oid) => oid::arrow(type_oid, -1),
        }
    }

    fn is_moment(self) -> bool {
        matches!(self, Self::Of(oid::TIMESTAMPTZ | oid::TIMESTAMP))
    }

    /// What converting an argument costs; `None` where there is no such conversion.
    fn cost(self, given: &DataType) -> Option<u32> {
        let is_text = is_text(given);
        match self {
            _ if given.is_null() => Some(0),
            Self::Text => Some(if is_text { 0 } else { 6 }),
            Self::Int => Some(if given.is_integer() { 0 } else { 6 }),
            Self::Bool => Some(if *given == DataType::Boolean { 0 } else { 6 }),
            Self::Oid(_) => Some(if *given == DataType::UInt32 { 0 } else { 2 }),
            // A literal without a type yet.
            Self::Of(_) if is_text => Some(1),
            Self::Of(type_oid) => value_cost(type_oid, given),
        }
    }
}

/// A date, or a time of one, on the wall of no zone in particular.
fn is_wall_time(given: &DataType) -> bool {
    matches!(given, DataType::Date32 | DataType::Timestamp(_, None))
}

fn is_text(given: &DataType) -> bool {
    matches!(given, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8)
}

/// PostgreSQL's implicit casts between numbers and between dates.
fn value_cost(target: u32, given: &DataType) -> Option<u32> {
    let exact = oid::arrow(target, -1);
    if *given == exact {
        return Some(0);
    }
    match (target, given) {
        (oid::TEXT_ARRAY, DataType::List(element)) if is_text(element.data_type()) => Some(0),
        (oid::BYTEA, DataType::Binary) => Some(0),
        (oid::NUMERIC, DataType::Decimal128(..) | DataType::Decimal256(..)) => Some(0),
        (oid::INT4, DataType::Int16) => Some(1),
        (oid::INT8, given) if given.is_integer() => Some(2),
        (oid::FLOAT8, DataType::Float32) => Some(1),
        (oid::FLOAT8, given) if given.is_integer() || given.is_numeric() => Some(2),
        (oid::NUMERIC, given) if given.is_integer() => Some(3),
        (oid::TIMESTAMPTZ, DataType::Timestamp(_, Some(_))) => Some(0),
        (oid::TIMESTAMPTZ, DataType::Date32) => Some(1),
        (oid::TIMESTAMP, DataType::Date32) => Some(2),
        (oid::TIMESTAMPTZ, DataType::Timestamp(_, None)) => Some(3),
        _ => None,
    }
}

/// An argument of one row.
#[derive(Clone, Debug, PartialEq)]
pub enum Arg {
    /// NULL: only functions that are not strict see it.
    Null,
    /// Of [`Kind::Text`].
    Text(String),
    /// Of [`Kind::Int`].
    Int(i64),
    /// Of [`Kind::Bool`].
    Bool(bool),
    /// Of [`Kind::Oid`].
    Oid(u32),
    /// Of [`Kind::Of`].
    Value(Value),
}

impl Arg {
    /// The text of a text argument.
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Value(Value::Text(text)) => text,
            _ => "",
        }
    }

    /// The identifier of an oid argument.
    pub fn oid(&self) -> u32 {
        match self {
            Self::Oid(oid) => *oid,
            _ => 0,
        }
    }

    /// The number of an integer argument.
    pub fn int(&self) -> i64 {
        match self {
            Self::Int(value) | Self::Value(Value::Int8(value)) => *value,
            Self::Value(Value::Int4(value)) => i64::from(*value),
            _ => 0,
        }
    }

    /// The number of a float argument.
    pub fn float(&self) -> f64 {
        match self {
            Self::Value(Value::Float8(value)) => *value,
            _ => 0.0,
        }
    }

    /// The microseconds of a time, a timestamp or an instant.
    pub fn micros(&self) -> i64 {
        match self {
            Self::Value(Value::Time(at) | Value::Timestamp(at) | Value::TimestampTz(at)) => *at,
            _ => 0,
        }
    }

    /// The interval of an interval argument.
    pub fn interval(&self) -> Interval {
        match self {
            Self::Value(Value::Interval(interval)) => *interval,
            _ => Interval::default(),
        }
    }

    /// The bytes of a bytea argument.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Value(Value::Bytea(bytes)) => bytes,
            _ => &[],
        }
    }

    /// The elements of an array of text.
    pub fn texts(&self) -> Vec<Option<String>> {
        let Self::Value(Value::Array(elements)) = self else { return Vec::new() };
        let text = |element: &Value| match element {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        };
        elements.iter().map(text).collect()
    }

    /// True for an argument that is.
    pub fn is_true(&self) -> bool {
        *self == Self::Bool(true)
    }
}

/// What computes one row.
pub type Compute = fn(&Facts, &[Arg]) -> std::result::Result<Cell<'static>, SqlError>;

/// One way to call a function.
#[derive(Debug)]
pub struct Overload {
    /// Its arguments.
    pub args: &'static [Kind],
    /// pg_type.oid of the result.
    pub returns: u32,
    /// NULL where an argument is NULL.
    pub strict: bool,
    /// Computes one row.
    pub compute: Compute,
}

impl Overload {
    /// A strict one.
    pub const fn new(args: &'static [Kind], returns: u32, compute: Compute) -> Self {
        Self { args, returns, strict: true, compute }
    }

    /// One that sees NULLs.
    pub const fn of_nulls(args: &'static [Kind], returns: u32, compute: Compute) -> Self {
        Self { args, returns, strict: false, compute }
    }
}

/// A function.
#[derive(Debug)]
pub struct Definition {
    /// Its name.
    pub name: &'static str,
    /// True where calling it does something.
    pub volatile: bool,
    /// Told apart by their arguments.
    pub overloads: &'static [Overload],
}

impl Definition {
    /// One that only tells.
    pub const fn new(name: &'static str, overloads: &'static [Overload]) -> Self {
        Self { name, volatile: false, overloads }
    }

    /// One that does something, or answers differently each time.
    pub const fn volatile(name: &'static str, overloads: &'static [Overload]) -> Self {
        Self { name, volatile: true, overloads }
    }
}

/// The function as DataFusion's.
#[derive(Debug)]
pub struct SystemFunction {
    definition: &'static Definition,
    signature: Signature,
}

impl PartialEq for SystemFunction {
    fn eq(&self, other: &Self) -> bool {
        self.definition.name == other.definition.name
    }
}

impl Eq for SystemFunction {}

impl Hash for SystemFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.definition.name.hash(state);
    }
}

impl SystemFunction {
    /// The function.
    pub fn new(definition: &'static Definition) -> Self {
        let volatility = match definition.volatile {
            true => Volatility::Volatile,
            false => Volatility::Stable,
        };
        Self { definition, signature: Signature::user_defined(volatility) }
    }

    fn overload(&self, given: &[DataType]) -> Result<&'static Overload> {
        let cost = |overload: &Overload| -> Option<u32> {
            let pairs = overload.args.iter().zip(given);
            let costs = pairs.map(|(kind, given)| kind.cost(given));
            (overload.args.len() == given.len()).then(|| costs.sum()).flatten()
        };
        let callable = self.definition.overloads.iter().filter_map(|overload| {
            let cost = cost(overload)?;
            Some((cost, overload))
        });
        let found = callable.min_by_key(|(cost, _)| *cost).map(|(_, overload)| overload);
        found.ok_or_else(|| external(undefined::function(self.definition.name, given)))
    }
}

impl ScalarUDFImpl for SystemFunction {
    fn name(&self) -> &str {
        self.definition.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, args: &[DataType]) -> Result<Vec<DataType>> {
        let overload = self.overload(args)?;
        Ok(overload.args.iter().zip(args).map(|(kind, given)| kind.arrow(given)).collect())
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        Ok(oid::arrow(self.overload(args)?.returns, -1))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<_> = args.arg_fields.iter().map(|f| f.data_type().clone()).collect();
        let overload = self.overload(&types)?;
        let wire_type = oid::wire(overload.returns, -1);
        let field = Field::new(self.name(), oid::arrow(overload.returns, -1), true);
        Ok(Arc::new(oid::with_type(field, wire_type)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let types: Vec<_> = args.args.iter().map(ColumnarValue::data_type).collect();
        let overload = self.overload(&types)?;
        let facts = facts::of(&args.config_options);
        let scalar = !self.definition.volatile
            && args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { args.number_rows };
        let columns = overload
            .args
            .iter()
            .zip(&args.args)
            .map(|(kind, arg)| Column::new(*kind, arg, rows))
            .collect::<Result<Vec<_>>>()?;
        let array = compute(overload, &columns, rows, &facts).map_err(external)?;
        match scalar {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)),
            false => Ok(ColumnarValue::Array(array)),
        }
    }
}

fn compute(
    overload: &Overload,
    columns: &[Column],
    rows: usize,
    facts: &Facts,
) -> std::result::Result<ArrayRef, SqlError> {
    let mut output = Output::new(overload.returns);
    let mut args = Vec::with_capacity(columns.len());
    let mut meter = Meter::default();
    for row in 0..rows {
        args.clear();
        for column in columns {
            args.push(column.arg(row, facts)?);
        }
        let cell = match overload.strict && args.contains(&Arg::Null) {
            true => Cell::Null,
            false => (overload.compute)(facts, &args)?,
        };
        meter.count(&cell, facts)?;
        output.push(cell)?;
    }
    output.finish()
}

/// The texts that a batch of calls has made: they are held together, so they are bounded, and a cancelled statement
/// makes no more of them.
#[derive(Default)]
struct Meter {
    bytes: usize,
    checked_bytes: usize,
}

impl Meter {
    const BYTES_MAX: usize = 512 << 20;
    const CHECKED_EVERY: usize = 1 << 20;

    fn count(&mut self, made: &Cell<'_>, facts: &Facts) -> std::result::Result<(), SqlError> {
        self.bytes += match made {
            Cell::Text(text) => text.len(),
            Cell::Owned(text) => text.len(),
            _ => 0,
        };
        if self.bytes - self.checked_bytes < Self::CHECKED_EVERY {
            return Ok(());
        }
        self.checked_bytes = self.bytes;
        if let Some(services) = &facts.services {
            services.cancel.check()?;
        }
        match self.bytes > Self::BYTES_MAX {
            true => Err(SqlError::new(SqlState::OUT_OF_MEMORY, "out of memory").with_detail(
                "The texts that a function makes for a batch of rows are held together.",
            )),
            false => Ok(()),
        }
    }
}

/// The results of all rows.
enum Output {
    Cells(Builder),
    /// Of a type that system relations have no column of.
    Values(ValueType, Vec<ScalarValue>),
}

impl Output {
    fn new(returns: u32) -> Self {
        match (Builder::new(&oid::arrow(returns, -1)), oid::data_type(returns, -1)) {
            (Builder::Nulls(..), Some(data_type)) => Self::Values(data_type, Vec::new()),
            (builder, _) => Self::Cells(builder),
        }
    }

    fn push(&mut self, cell: Cell<'_>) -> std::result::Result<(), SqlError> {
        let pushed = match (self, cell) {
            (Self::Cells(builder), cell) => builder.push(&cell),
            (Self::Values(data_type, values), Cell::Value(value)) => {
                values.push(values::to_scalar(&value, data_type).map_err(errors::of_datafusion)?);
                Some(())
            }
            (Self::Values(data_type, values), Cell::Null) => {
                let null = values::to_scalar(&Value::Null, data_type);
                values.push(null.map_err(errors::of_datafusion)?);
                Some(())
            }
            (Self::Values(..), _) => None,
        };
        pushed.ok_or_else(|| SqlError::internal("a function's result is not of its type"))
    }

    fn finish(self) -> std::result::Result<ArrayRef, SqlError> {
        match self {
            Self::Cells(builder) => builder.finish(),
            Self::Values(data_type, values) if values.is_empty() => {
                Ok(new_empty_array(&data_type.arrow()))
            }
            Self::Values(_, values) => {
                ScalarValue::iter_to_array(values).map_err(errors::of_datafusion)
            }
        }
    }
}

/// One argument of all rows.
struct Column {
    kind: Kind,
    array: ArrayRef,
}

impl Column {
    fn new(kind: Kind, arg: &ColumnarValue, rows: usize) -> Result<Self> {
        let array = arg.to_array(rows)?;
        let to = match kind.arrow(array.data_type()) {
            wall if kind.is_moment() && is_wall_time(&wall) => {
                DataType::Timestamp(TimeUnit::Microsecond, None)
            }
            to => to,
        };
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let array = match (array.data_type(), &to) {
            (given, to) if given == to => array,
            (DataType::Date32, DataType::Timestamp(..)) => midnights(&array).map_err(external)?,
            _ => cast_with_options(&array, &to, &options).map_err(DataFusionError::from)?,
        };
        Ok(Self { kind, array })
    }

    fn arg(&self, row: usize, facts: &Facts) -> std::result::Result<Arg, SqlError> {
        if self.array.is_null(row) {
            return Ok(Arg::Null);
        }
        Ok(match (self.kind, self.array.data_type()) {
            (Kind::Text, _) => Arg::Text(self.array.as_string_view().value(row).to_owned()),
            (Kind::Int, _) => Arg::Int(self.array.as_primitive::<Int64Type>().value(row)),
            (Kind::Bool, _) => Arg::Bool(self.array.as_boolean().value(row)),
            (Kind::Oid(type_oid), DataType::Utf8View) => {
                let text = self.array.as_string_view().value(row);
                Arg::Oid(reg::parse(text, type_oid, facts)?)
            }
            (Kind::Oid(_), _) => Arg::Oid(self.array.as_primitive::<UInt32Type>().value(row)),
            (Kind::Of(type_oid), given) => self.value(row, type_oid, given, facts)?,
        })
    }

    /// A value of a storable type.
    fn value(
        &self,
        row: usize,
        type_oid: u32,
        given: &DataType,
        facts: &Facts,
    ) -> std::result::Result<Arg, SqlError> {
        let broken = || SqlError::internal("an argument of no storable type");
        let data_type = oid::data_type(type_oid, -1).ok_or_else(broken)?;
        if *given == DataType::Utf8View && data_type.arrow() != DataType::Utf8View {
            let text = self.array.as_string_view().value(row);
            let context = InputContext {
                style: facts.settings.style(),
                now_micros: facts.transaction_micros,
            };
            return Ok(Arg::Value(text::parse(text, &data_type, context)?));
        }
        if type_oid == oid::TIMESTAMPTZ && is_wall_time(given) {
            let local = self.array.as_primitive::<TimestampMicrosecondType>().value(row);
            let utc = zone::to_utc(&facts.settings.style().time_zone, local);
            return utc.map(|utc| Arg::Value(Value::TimestampTz(utc))).ok_or_else(|| {
                let message = "timestamp out of range";
                SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, message)
            });
        }
        let scalar =
            ScalarValue::try_from_array(&self.array, row).map_err(errors::of_datafusion)?;
        let numeric = |unscaled, scale| Ok(Arg::Value(Value::Numeric(Numeric { unscaled, scale })));
        match scalar {
            ScalarValue::Decimal128(Some(value), _, scale) => {
                return numeric(i256::from_i128(value), scale);
            }
            ScalarValue::Decimal256(Some(value), _, scale) => return numeric(value, scale),
            _ => {}
        }
        values::from_scalar(&scalar, &data_type).map(Arg::Value).ok_or_else(broken)
    }
}
