//! One system information function as DataFusion calls it.
//!
//! A function is a table of overloads told apart by their number of arguments. Rows are computed one by
//! one: these functions are asked about catalogs, not data.

use super::reg;
use crate::catalog::system::rows::{Builder, Cell};
use crate::catalog::system::{Facts, facts};
use crate::error::{SqlError, SqlState};
use crate::plan::errors::external;
use crate::types::oid;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, UInt32Type};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

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
}

impl Kind {
    fn arrow(self, given: &DataType) -> DataType {
        let is_text = matches!(given, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8);
        match self {
            Self::Text => DataType::Utf8View,
            Self::Int => DataType::Int64,
            Self::Bool => DataType::Boolean,
            Self::Oid(_) if is_text => DataType::Utf8View,
            Self::Oid(_) => DataType::UInt32,
        }
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
}

impl Arg {
    /// The text of a text argument.
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
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
            Self::Int(value) => *value,
            _ => 0,
        }
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
    /// By number of arguments.
    pub overloads: &'static [Overload],
}

impl Definition {
    /// One that only tells.
    pub const fn new(name: &'static str, overloads: &'static [Overload]) -> Self {
        Self { name, volatile: false, overloads }
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

    fn overload(&self, count: usize) -> Result<&'static Overload> {
        let found = self.definition.overloads.iter().find(|overload| overload.args.len() == count);
        found.ok_or_else(|| {
            external(SqlError::new(
                SqlState::UNDEFINED_FUNCTION,
                format!("function {} with {count} arguments does not exist", self.definition.name),
            ))
        })
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
        let overload = self.overload(args.len())?;
        Ok(overload.args.iter().zip(args).map(|(kind, given)| kind.arrow(given)).collect())
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        Ok(oid::arrow(self.overload(args.len())?.returns, -1))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let overload = self.overload(args.arg_fields.len())?;
        let wire_type = oid::wire(overload.returns, -1);
        let field = Field::new(self.name(), oid::arrow(overload.returns, -1), true);
        Ok(Arc::new(oid::with_type(field, wire_type)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let overload = self.overload(args.args.len())?;
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
    let mut builder = Builder::new(&oid::arrow(overload.returns, -1));
    let mut args = Vec::with_capacity(columns.len());
    for row in 0..rows {
        args.clear();
        for column in columns {
            args.push(column.arg(row, facts)?);
        }
        let cell = match overload.strict && args.contains(&Arg::Null) {
            true => Cell::Null,
            false => (overload.compute)(facts, &args)?,
        };
        builder
            .push(&cell)
            .ok_or_else(|| SqlError::internal("a function's result is not of its type"))?;
    }
    builder.finish()
}

/// One argument of all rows.
struct Column {
    kind: Kind,
    array: ArrayRef,
}

impl Column {
    fn new(kind: Kind, arg: &ColumnarValue, rows: usize) -> Result<Self> {
        let array = arg.to_array(rows)?;
        let to = kind.arrow(array.data_type());
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let array = match array.data_type() == &to {
            true => array,
            false => cast_with_options(&array, &to, &options).map_err(DataFusionError::from)?,
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
        })
    }
}
