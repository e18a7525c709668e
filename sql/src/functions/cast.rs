//! `CAST` as PostgreSQL does it: `pg_cast(value, 'oid:modifier')`.
//!
//! Text goes through the types' input and output functions; numbers round (half away from zero for
//! numeric, half to even for floats) and fail with 22003 where DataFusion truncates or wraps; a length cuts
//! varchar(n) and char(n). The result's field carries the target type, which Arrow alone cannot name.

pub mod convert;

use crate::plan::errors::external;
use crate::session::response::WireType;
use crate::types::oid;
use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::FieldMetadata;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, lit,
};
use std::sync::Arc;

/// The function's name.
pub const NAME: &str = "pg_cast";

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Cast {
    signature: Signature,
}

impl Default for Cast {
    fn default() -> Self {
        // Stable: text of a timestamp with time zone depends on the session's TimeZone.
        Self { signature: Signature::any(2, Volatility::Stable) }
    }
}

impl ScalarUDFImpl for Cast {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Err(DataFusionError::Internal("pg_cast needs its arguments to tell its type".to_owned()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let target = target(args.scalar_arguments.get(1).copied().flatten())?;
        let arrow = oid::arrow(target.oid, target.modifier);
        let nullable = args.arg_fields.first().is_none_or(|field| field.is_nullable());
        Ok(Arc::new(oid::with_type(Field::new(NAME, arrow, nullable), target)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        invoke(&args)
    }
}

/// Converts the first argument to the type that the call returns.
pub(super) fn invoke(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let target = oid::of_field(&args.return_field);
    let source = oid::of_field(&args.arg_fields[0]);
    let info = crate::session::info::of(&args.config_options);
    let convert = |array: &ArrayRef| convert::array(array, source, target, &info).map_err(external);
    match &args.args[0] {
        ColumnarValue::Array(array) => {
            let cast = convert(array)?;
            Ok(ColumnarValue::Array(cast))
        }
        ColumnarValue::Scalar(scalar) => {
            let array: ArrayRef = scalar.to_array_of_size(1)?;
            let cast = convert(&array)?;
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&cast, 0)?))
        }
    }
}

/// The second argument: always a literal, put there by the binder.
fn target(argument: Option<&ScalarValue>) -> Result<WireType> {
    argument
        .and_then(|scalar| scalar.try_as_str().flatten())
        .and_then(oid::parse_metadata)
        .ok_or_else(|| DataFusionError::Internal("pg_cast without a target type".to_owned()))
}

/// A cast.
pub fn to(expr: Expr, target: WireType) -> Expr {
    let named = format!("{}:{}", target.oid, target.modifier);
    ScalarUDF::new_from_impl(Cast::default()).call(vec![expr, lit(named)])
}

/// A text literal read as a type: a literal of that type, its field saying so. Where reading it depends on
/// the catalog (`regclass`), the session's time zone and styles or the clock, a cast.
pub fn literal(text: &str, target: WireType) -> Result<Expr> {
    let Some(data_type) = oid::data_type(target.oid, target.modifier) else {
        return Ok(to(lit(text), target));
    };
    let info = crate::session::info::SessionInfo::default();
    let parsed = crate::types::text::parse(text, &data_type, info.input());
    // Without a digit it is a word, or a fault, wherever it is read.
    if !is_fixed(text, target.oid) && (parsed.is_ok() || text.bytes().any(|b| b.is_ascii_digit())) {
        return Ok(to(lit(text), target));
    }
    let value = parsed.map_err(external)?;
    let scalar = crate::plan::values::to_scalar(&value, &data_type)?;
    let field = oid::field("", &data_type, true);
    Ok(Expr::Literal(scalar, Some(FieldMetadata::new_from_field(&field))))
}

/// False for text that means one thing or another by session or by moment.
fn is_fixed(text: &str, type_oid: u32) -> bool {
    match oid::element_of(type_oid).unwrap_or(type_oid) {
        oid::DATE | oid::TIMESTAMP => {
            // Year first: every DateStyle reads that the same.
            let year = text.bytes().take_while(u8::is_ascii_digit).count();
            year >= 4 && text.as_bytes().get(year) == Some(&b'-')
        }
        oid::TIME => text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.')),
        oid::TIMESTAMPTZ | oid::INTERVAL => false,
        _ => true,
    }
}
