//! jsonb that is one number or one boolean, cast to a type of SQL.

use crate::error::{SqlError, SqlState};
use crate::session::response::WireType;
use crate::types::json_tree::{Json, Kind};
use crate::types::oid;
use arrow::array::{ArrayRef, AsArray, BooleanArray, StringViewBuilder};
use std::sync::Arc;

/// What the documents of a column hold.
pub enum Scalars {
    /// Booleans.
    Booleans(ArrayRef),
    /// Numbers, as text that numeric reads.
    Numbers(ArrayRef),
}

/// The scalars of a column of jsonb, for a cast to `target`.
pub fn scalars(documents: &ArrayRef, target: WireType) -> Result<Scalars, SqlError> {
    let name = oid::format_type(target.oid, None);
    let refused = |json: &Json| {
        let what = match &json.kind {
            Kind::Null => "null",
            Kind::Bool(_) => "boolean",
            Kind::Number(_) => "numeric",
            Kind::String(_) => "string",
            Kind::Array(_) => "array",
            Kind::Object(_) => "object",
        };
        let message = format!("cannot cast jsonb {what} to type {name}");
        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
    };
    let documents = documents.as_string_view().iter();
    let parsed = documents.map(|text| text.map(Json::parse).transpose());
    if target.oid == oid::BOOL {
        let booleans: BooleanArray = parsed
            .map(|json| match json? {
                None => Ok(None),
                Some(Json { kind: Kind::Bool(value), .. }) => Ok(Some(value)),
                Some(other) => Err(refused(&other)),
            })
            .collect::<Result<_, SqlError>>()?;
        return Ok(Scalars::Booleans(Arc::new(booleans)));
    }
    let mut numbers = StringViewBuilder::new();
    for json in parsed {
        match json? {
            None => numbers.append_null(),
            Some(Json { kind: Kind::Number(digits), .. }) => numbers.append_value(digits),
            Some(other) => return Err(refused(&other)),
        }
    }
    Ok(Scalars::Numbers(Arc::new(numbers.finish())))
}
