//! Aggregates that differ from DataFusion's: what an integer column adds up to or averages at is a numeric in
//! PostgreSQL, so that it neither wraps nor loses digits; and string_agg() orders its values itself.

mod avg;
mod string_agg;
mod sum;
mod widened;

use crate::plan::errors::external;
use arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::execution::registry::FunctionRegistry;
use datafusion::logical_expr::AggregateUDF;

/// Puts them in the place of DataFusion's.
pub fn register(state: &mut SessionState) -> Result<()> {
    state.register_udaf(AggregateUDF::new_from_impl(sum::Sum::default()).into())?;
    state.register_udaf(AggregateUDF::new_from_impl(avg::Avg::default()).into())?;
    state.register_udaf(AggregateUDF::new_from_impl(string_agg::StringAgg::default()).into())?;
    Ok(())
}

fn undefined(name: &str, types: &[DataType]) -> DataFusionError {
    external(super::undefined::function(name, types))
}
