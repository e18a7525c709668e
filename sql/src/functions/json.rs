//! Functions and operators of json and jsonb.
//!
//! | module | what it holds |
//! |---|---|
//! | [`access`] | parts of a document: `->`, `->>`, `#>`, `#>>` … |
//! | [`change`] | `@>`, `?`, `\|\|`, `-`, jsonb_set() … |
//! | [`build`] | to_json(), json_build_object(), json_agg() … |
//! | `rows` | what json_each() and its kin make rows of |
//! | [`scalar`] | jsonb cast to numbers and booleans |

mod access;
pub mod build;
mod change;
mod rows;
pub mod scalar;

use super::system::function::{Definition, Kind, SystemFunction};
use crate::types::oid;
use datafusion::logical_expr::ScalarUDF;
use datafusion::sql::sqlparser::ast::BinaryOperator;
use std::sync::{Arc, LazyLock};

const JSON: Kind = Kind::Of(oid::JSON);
const JSONB: Kind = Kind::Of(oid::JSONB);
const PATH: Kind = Kind::Of(oid::TEXT_ARRAY);
const INT: Kind = Kind::Int;

/// The functions by name.
pub(super) const FUNCTIONS: [&[Definition]; 4] =
    [access::OF_JSON, access::OF_JSONB, change::FUNCTIONS, rows::FUNCTIONS];

static ALL: LazyLock<Vec<Arc<ScalarUDF>>> = LazyLock::new(|| {
    let definitions = FUNCTIONS.into_iter().flatten();
    definitions.map(|each| Arc::new(ScalarUDF::new_from_impl(SystemFunction::new(each)))).collect()
});

fn function(name: &str) -> Option<Arc<ScalarUDF>> {
    ALL.iter().find(|function| function.name() == name).cloned()
}

/// What an operator on json or jsonb means.
pub struct Operation {
    /// The function.
    pub function: Arc<ScalarUDF>,
    /// True where the operands change places.
    pub swapped: bool,
    /// True where the other operand is jsonb as well, and a literal without a type is read so.
    pub of_two: bool,
}

/// The function behind an operator whose left operand (for `<@`, any) is of a type.
pub fn operation(op: &BinaryOperator, type_oid: u32) -> Option<Operation> {
    use BinaryOperator as B;
    let binary = match type_oid {
        oid::JSON => false,
        oid::JSONB => true,
        _ => return None,
    };
    let of_any = match (op, binary) {
        (B::Arrow, false) => Some("json_object_field"),
        (B::Arrow, true) => Some("jsonb_object_field"),
        (B::LongArrow, false) => Some("json_object_field_text"),
        (B::LongArrow, true) => Some("jsonb_object_field_text"),
        (B::HashArrow, false) => Some("json_part"),
        (B::HashArrow, true) => Some("jsonb_part"),
        (B::HashLongArrow, false) => Some("json_part_text"),
        (B::HashLongArrow, true) => Some("jsonb_part_text"),
        (B::Question, true) => Some("jsonb_exists"),
        (B::QuestionPipe, true) => Some("jsonb_exists_any"),
        (B::QuestionAnd, true) => Some("jsonb_exists_all"),
        (B::Minus, true) => Some("jsonb_delete"),
        (B::HashMinus, true) => Some("jsonb_delete_path"),
        _ => None,
    };
    if let Some(name) = of_any {
        return Some(Operation { function: function(name)?, swapped: false, of_two: false });
    }
    let (name, swapped) = match (op, binary) {
        (B::AtArrow, true) => ("jsonb_contains", false),
        (B::ArrowAt, true) => ("jsonb_contains", true),
        (B::StringConcat, true) => ("jsonb_concat", false),
        _ => return None,
    };
    Some(Operation { function: function(name)?, swapped, of_two: true })
}
