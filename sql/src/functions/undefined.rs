//! 42883 for a call that no function takes.

use crate::error::{SqlError, SqlState};
use crate::types::oid;
use arrow::datatypes::{DataType, Field};

/// `function name(types) does not exist`, the types as SQL names them.
pub fn function(name: &str, types: &[DataType]) -> SqlError {
    let types: Vec<&str> = types.iter().map(sql_name).collect();
    let message = format!("function {name}({}) does not exist", types.join(", "));
    SqlError::new(SqlState::UNDEFINED_FUNCTION, message).with_hint(
        "No function matches the given name and argument types. You might need to add explicit type casts.",
    )
}

fn sql_name(data_type: &DataType) -> &'static str {
    let wire_type = oid::of_field(&Field::new("", data_type.clone(), true));
    oid::base(wire_type.oid).map_or("unknown", |base| base.sql_name)
}
