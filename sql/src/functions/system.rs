//! PostgreSQL's system information functions, over the statement's [`Facts`].
//!
//! | module | what it holds |
//! |---|---|
//! | `acl` | acldefault() |
//! | [`advisory`] | pg_advisory_lock() and its kin |
//! | [`array`] | array_upper(), array_lower(), what `ARRAY(SELECT …)` needs |
//! | [`function`] | one such function as DataFusion calls it: row by row, typed by a table of overloads |
//! | [`reg`] | `regclass`, `regtype` and their kin: names to identifiers and back |
//! | [`clock`] | now() and its kin |
//! | [`sequence`] | nextval() and its kin |
//! | [`session`] | version(), current_schema(), current_setting() … |
//! | [`size`] | pg_table_size() and its kin |
//! | `tablets` | terrane.split() and its kin |
//! | `subscripts` | what generate_subscripts() and _pg_expandarray() make rows of |
//! | [`visible`] | pg_table_is_visible() and its kin |
//! | [`definition`] | pg_get_viewdef() and its kin, format_type() |
//! | [`routine`] | pg_get_function_arguments() and its kin |
//! | [`description`] | obj_description() and its kin |
//! | [`privilege`] | has_table_privilege() and its kin |
//!
//! [`Facts`]: crate::catalog::system::Facts

mod acl;
mod advisory;
pub mod array;
mod clock;
mod definition;
mod description;
pub mod function;
mod privilege;
pub mod reg;
mod routine;
mod sequence;
mod session;
mod size;
mod subscripts;
mod tablets;
mod visible;

use super::{
    bytes, dates, encoding, format, json, map, numbers, overlaps, padding, patterns, regexp,
    type_of::TypeOf,
};
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::execution::registry::FunctionRegistry;
use datafusion::logical_expr::ScalarUDF;
use function::{Definition, SystemFunction};
use std::sync::Arc;

/// Adds the functions to a state, in place of DataFusion's of the same names.
pub fn register(state: &mut SessionState) -> Result<()> {
    let lists: [&[Definition]; 23] = [
        acl::FUNCTIONS,
        advisory::FUNCTIONS,
        clock::FUNCTIONS,
        sequence::FUNCTIONS,
        size::FUNCTIONS,
        tablets::FUNCTIONS,
        bytes::FUNCTIONS,
        encoding::FUNCTIONS,
        dates::FUNCTIONS,
        overlaps::FUNCTIONS,
        numbers::FUNCTIONS,
        padding::FUNCTIONS,
        regexp::FUNCTIONS,
        patterns::FUNCTIONS,
        format::FUNCTIONS,
        session::FUNCTIONS,
        visible::FUNCTIONS,
        visible::SHIPPED,
        definition::FUNCTIONS,
        routine::FUNCTIONS,
        description::FUNCTIONS,
        privilege::FUNCTIONS,
        reg::FUNCTIONS,
    ];
    let typed = [
        ScalarUDF::new_from_impl(TypeOf::default()),
        ScalarUDF::new_from_impl(array::OrEmpty::default()),
        ScalarUDF::new_from_impl(array::Bound::upper()),
        ScalarUDF::new_from_impl(array::Bound::lower()),
        ScalarUDF::new_from_impl(array::Bound::length()),
    ];
    for function in subscripts::OfSubscripts::all() {
        state.register_udf(Arc::new(ScalarUDF::new_from_impl(function)))?;
    }
    for function in tablets::AtKey::all() {
        state.register_udf(Arc::new(ScalarUDF::new_from_impl(function)))?;
    }
    for function in typed {
        state.register_udf(Arc::new(function))?;
    }
    let lists = lists.into_iter().chain(json::FUNCTIONS).chain([map::build::FUNCTIONS]);
    for definition in lists.flatten() {
        state.register_udf(Arc::new(ScalarUDF::new_from_impl(SystemFunction::new(definition))))?;
    }
    Ok(())
}
