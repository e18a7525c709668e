//! Aggregates that differ from DataFusion's: what an integer column adds up to or averages at is a numeric in
//! PostgreSQL, so that it neither wraps nor loses digits; string_agg() orders its values itself; array_agg()
//! knows their types; several others go over frames that move.

mod array_agg;
mod avg;
mod interval_avg;
mod moving;
mod replayed;
mod string_agg;
mod sum;
mod variance;
mod widened;

use crate::plan::errors::external;
use arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::execution::registry::FunctionRegistry;
use datafusion::logical_expr::AggregateUDF;
use std::sync::Arc;

/// Puts them in the place of DataFusion's.
pub fn register(state: &mut SessionState) -> Result<()> {
    state.register_udaf(AggregateUDF::new_from_impl(sum::Sum::default()).into())?;
    state.register_udaf(AggregateUDF::new_from_impl(avg::Avg::default()).into())?;
    let array_agg = array_agg::ArrayAgg::new(state.udaf("array_agg")?);
    state.register_udaf(AggregateUDF::new_from_impl(array_agg).into())?;
    state.register_udaf(AggregateUDF::new_from_impl(string_agg::StringAgg::default()).into())?;
    for name in moving::NAMES {
        let moving = moving::Moving::new(state.udaf(name)?);
        state.register_udaf(AggregateUDF::new_from_impl(moving).into())?;
    }
    // Before ours take their names.
    let [var, var_pop] = [state.udaf("var")?, state.udaf("var_pop")?];
    let [stddev, stddev_pop] = [state.udaf("stddev")?, state.udaf("stddev_pop")?];
    for (name, root, sample, of_floats) in [
        ("variance", false, true, &var),
        ("var_samp", false, true, &var),
        ("var_pop", false, false, &var_pop),
        ("stddev", true, true, &stddev),
        ("stddev_samp", true, true, &stddev),
        ("stddev_pop", true, false, &stddev_pop),
    ] {
        let variance = variance::Variance::new(name, root, sample, Arc::clone(of_floats));
        state.register_udaf(AggregateUDF::new_from_impl(variance).into())?;
    }
    Ok(())
}

fn undefined(name: &str, types: &[DataType]) -> DataFusionError {
    external(super::undefined::function(name, types))
}
