//! 42883 for a call that no function takes.

use crate::error::{SqlError, SqlState};
use crate::plan::errors::external;
use crate::types::oid;
use arrow::datatypes::{DataType, Field};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

/// `function name(types) does not exist`, the types as SQL names them.
pub fn function(name: &str, types: &[DataType]) -> SqlError {
    named(name, &types.iter().map(sql_name).collect::<Vec<_>>())
}

/// The same, the types by their names.
pub fn named(name: &str, types: &[impl AsRef<str>]) -> SqlError {
    let types: Vec<&str> = types.iter().map(AsRef::as_ref).collect();
    let message = format!("function {name}({}) does not exist", types.join(", "));
    SqlError::new(SqlState::UNDEFINED_FUNCTION, message).with_hint(
        "No function matches the given name and argument types. You might need to add explicit type casts.",
    )
}

/// A type as SQL names it.
pub fn sql_name(data_type: &DataType) -> &'static str {
    let wire_type = oid::of_field(&Field::new("", data_type.clone(), true));
    oid::base(wire_type.oid).map_or("unknown", |base| base.sql_name)
}

/// A function that there is not: it takes no arguments, whatever they are, and says so with their types.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Undefined {
    name: String,
    signature: Signature,
}

impl Undefined {
    /// Of a name that nothing has.
    pub fn new(name: &str) -> Self {
        let signature = Signature::user_defined(Volatility::Volatile);
        Self { name: name.to_owned(), signature }
    }
}

impl ScalarUDFImpl for Undefined {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, args: &[DataType]) -> Result<Vec<DataType>> {
        Err(external(function(&self.name, args)))
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        Err(external(function(&self.name, args)))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(external(function(&self.name, &[])))
    }
}
