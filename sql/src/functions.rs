//! PostgreSQL's operators and functions where DataFusion's differ or are missing.
//!
//! | module | what it holds |
//! |---|---|
//! | [`aggregate`] | aggregates with PostgreSQL's types |
//! | [`arithmetic`] | `+ - * / %` with PostgreSQL's types, overflow and division by zero |
//! | [`array_literal`] | strings that are read as arrays |
//! | `array_places` | array_position(), cardinality() |
//! | [`array_sets`] | `&&` and `@>` of arrays, sorted elements |
//! | [`series`] | generate_series in FROM |
//! | [`temporal`] | arithmetic of dates, times and intervals |
//! | [`order_keys`] | what comparisons compare |
//! | [`extremes`] | greatest() and least() of what has such keys |
//! | [`operators`] | which operator means which function, for two operand types |
//! | [`cast`] | `CAST` |
//! | [`concatenation`] | concat(), concat_ws(), format() |
//! | [`dates`] | make_date(), age(), timezone() … |
//! | [`bytes`] | get_byte(), convert_to() … |
//! | `encoding` | encode(), decode() |
//! | [`format`] | to_char(), to_number(), to_date(), to_timestamp() |
//! | [`json`] | functions and operators of json and jsonb |
//! | `keywords` | pg_get_keywords() |
//! | [`letter_case`] | upper(), lower() |
//! | [`map`] | functions and operators of hstore and `map(k, v)` |
//! | [`measure`] | length() and its kin |
//! | [`mixture`] | floats among numerics, times with a zone among those without |
//! | [`numbers`] | sign(), gcd(), width_bucket() … |
//! | [`patterns`] | LIKE … ESCAPE, SIMILAR TO |
//! | [`record`] | rows as values |
//! | [`regexp`] | regexp_split_to_array(), regexp_count() … |
//! | [`regexp_rows`] | regexp_matches() |
//! | [`overlaps`] | OVERLAPS |
//! | [`padding`] | lpad(), repeat() |
//! | [`pass_through`] | what is said of a value |
//! | [`rounding`] | round(), trunc(), ceil(), floor(), div() |
//! | [`exact`] | sqrt(), exp(), ln() … of numerics |
//! | [`extract`] | EXTRACT, date_part() |
//! | [`conditional`] | coalesce(), greatest(), least(), nullif() |
//! | [`undefined`] | what is said of a call that no function takes |
//! | `schema_name` | names of the columns that operators compute |
//! | `subscript` | `array[n]`, `(row).field` |
//! | [`substring`] | substring() |
//! | [`type_of`] | pg_typeof() |
//! | [`system`] | system information functions |

pub mod aggregate;
pub mod arithmetic;
pub mod array_literal;
mod array_places;
pub mod array_sets;
mod bytes;
pub mod cast;
mod concatenation;
pub(crate) mod conditional;
mod dates;
mod encoding;
mod exact;
mod extract;
pub mod extremes;
mod format;
pub mod json;
mod keywords;
mod letter_case;
pub mod map;
mod measure;
pub(crate) mod mixture;
mod numbers;
pub mod operators;
pub mod order_keys;
mod overlaps;
mod padding;
pub mod pass_through;
pub mod patterns;
pub mod record;
mod regexp;
mod regexp_rows;
pub(crate) mod rounding;
mod schema_name;
pub mod series;
mod subscript;
mod substring;
pub(crate) mod system;
pub mod temporal;
pub mod type_of;
pub(crate) mod undefined;

use datafusion::error::Result;
use datafusion::execution::registry::FunctionRegistry;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::ScalarUDF;
use std::sync::Arc;

/// A state with PostgreSQL's functions over DataFusion's.
pub fn register(state: SessionState) -> Result<SessionState> {
    // Our planner decides about operators before DataFusion's do.
    let mut planners: Vec<Arc<dyn datafusion::logical_expr::planner::ExprPlanner>> =
        vec![Arc::new(operators::OperatorPlanner::default())];
    planners.extend(state.expr_planners().iter().cloned());
    let mut state =
        SessionStateBuilder::new_from_existing(state).with_expr_planners(planners).build();
    state.register_udf(Arc::new(ScalarUDF::new_from_impl(cast::Cast::default())))?;
    let array_literal = array_literal::ArrayLiteral::default();
    state.register_udf(Arc::new(ScalarUDF::new_from_impl(array_literal)))?;
    state.register_udf(Arc::new(ScalarUDF::new_from_impl(array_sets::Sorted::default())))?;
    state.register_udf(Arc::new(ScalarUDF::new_from_impl(record::Record::default())))?;
    for name in array_places::NAMES {
        let function = array_places::ArrayPlaces::new(state.udf(name)?);
        state.register_udf(Arc::new(ScalarUDF::new_from_impl(function)))?;
    }
    for function in array_sets::Picked::all() {
        state.register_udf(Arc::new(ScalarUDF::new_from_impl(function)))?;
    }
    state.register_udf(Arc::new(ScalarUDF::new_from_impl(regexp_rows::MatchRows::default())))?;
    let substring = substring::Substring::new(state.udf(substring::NAME)?);
    state.register_udf(Arc::new(ScalarUDF::new_from_impl(substring)))?;
    for function in letter_case::LetterCase::all() {
        state.register_udf(Arc::new(ScalarUDF::new_from_impl(function)))?;
    }
    system::register(&mut state)?;
    for function in concatenation::Concatenation::all() {
        state.register_udf(Arc::new(ScalarUDF::new_from_impl(function)))?;
    }
    for function in measure::Measure::all() {
        state.register_udf(Arc::new(ScalarUDF::new_from_impl(function)))?;
    }
    for function in map::all() {
        state.register_udf(function)?;
    }
    for function in json::build::Build::all() {
        state.register_udf(Arc::new(function.into()))?;
    }
    for function in rounding::Rounding::all() {
        state.register_udf(Arc::new(ScalarUDF::new_from_impl(function)))?;
    }
    state.register_udf(Arc::new(ScalarUDF::new_from_impl(rounding::Div::default())))?;
    for function in extract::Extract::all() {
        state.register_udf(Arc::new(ScalarUDF::new_from_impl(function)))?;
    }
    for name in conditional::NAMES {
        let function = conditional::Conditional::new(state.udf(name)?);
        state.register_udf(Arc::new(ScalarUDF::new_from_impl(function)))?;
    }
    let series = series::array::ArraySeries::new(state.udf(series::NAME)?);
    state.register_udf(Arc::new(ScalarUDF::new_from_impl(series)))?;
    aggregate::register(&mut state)?;
    if let Some(integers) = state.table_functions().get(series::NAME) {
        let series = series::Series::new(Arc::clone(integers.function()));
        state.register_udtf(series::NAME, Arc::new(series));
    }
    state.register_udtf(keywords::NAME, Arc::new(keywords::Keywords));
    Ok(state)
}
