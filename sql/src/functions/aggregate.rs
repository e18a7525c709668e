//! Aggregates whose types differ from DataFusion's: what an integer column adds up to or averages at is a
//! numeric in PostgreSQL, so that it neither wraps nor loses digits.

mod avg;
mod sum;
mod widened;

use crate::error::{SqlError, SqlState};
use crate::plan::errors::external;
use crate::types::oid;
use arrow::datatypes::{DataType, Field};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::execution::registry::FunctionRegistry;
use datafusion::logical_expr::AggregateUDF;

/// Puts them in the place of DataFusion's.
pub fn register(state: &mut SessionState) -> Result<()> {
    state.register_udaf(AggregateUDF::new_from_impl(sum::Sum::default()).into())?;
    state.register_udaf(AggregateUDF::new_from_impl(avg::Avg::default()).into())?;
    Ok(())
}

fn undefined(name: &str, types: &[DataType]) -> DataFusionError {
    let types: Vec<&str> = types.iter().map(sql_name).collect();
    let message = format!("function {name}({}) does not exist", types.join(", "));
    external(SqlError::new(SqlState::UNDEFINED_FUNCTION, message).with_hint(
        "No function matches the given name and argument types. You might need to add explicit type casts.",
    ))
}

fn sql_name(data_type: &DataType) -> &'static str {
    let wire_type = oid::of_field(&Field::new("", data_type.clone(), true));
    oid::base(wire_type.oid).map_or("unknown", |base| base.sql_name)
}
