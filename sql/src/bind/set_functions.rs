//! Functions that return a set, and the arrays that hold their columns.
//!
//! `unnest` makes rows of arrays, in a select list and in FROM; a function that is listed here is called
//! through it. Of the other functions in FROM some are the planner's own, and the rest give one row.

use super::rewrite::call;
use crate::session::response::WireType;
use crate::types::oid;
use datafusion::sql::sqlparser::ast::Expr;

/// Functions that are planned as tables, whose columns have names of their own.
const TABLES: &[&str] = &["pg_get_keywords", "pg_partition_ancestors", "pg_partition_tree"];

/// A set-returning function.
#[derive(Debug)]
pub struct SetFunction {
    name: &'static str,
    /// The columns it has in FROM.
    columns: &'static [SetColumn],
    /// True where its one column keeps its name whatever the alias is.
    pub keeps_name: bool,
    /// The function that makes one array of its rows, for a select list; `None` where it is not called there.
    pub rows: Option<&'static str>,
}

/// A column of such a function.
#[derive(Debug)]
struct SetColumn {
    name: &'static str,
    /// The function of the same arguments that makes an array of the column's values.
    array: &'static str,
    /// The column's type, where the array does not tell.
    type_oid: Option<u32>,
}

const fn column(name: &'static str, array: &'static str) -> SetColumn {
    SetColumn { name, array, type_oid: None }
}

const fn typed(name: &'static str, array: &'static str, type_oid: u32) -> SetColumn {
    SetColumn { name, array, type_oid: Some(type_oid) }
}

/// One whose column is called as itself.
macro_rules! one {
    ($name:literal, $array:literal) => {
        SetFunction {
            name: $name,
            columns: &[column($name, $array)],
            keeps_name: false,
            rows: Some($array),
        }
    };
}

/// One of JSON's elements.
macro_rules! elements {
    ($name:literal, $array:literal, $type_oid:expr) => {
        SetFunction {
            name: $name,
            columns: &[typed("value", $array, $type_oid)],
            keeps_name: true,
            rows: Some($array),
        }
    };
}

/// One of several columns.
macro_rules! several {
    ($name:literal, $($column:expr),*) => {
        SetFunction { name: $name, columns: &[$($column),*], keeps_name: true, rows: None }
    };
}

const ALL: &[SetFunction] = &[
    one!("generate_series", "generate_series"),
    one!("generate_subscripts", "array_subscripts"),
    SetFunction {
        name: "_pg_expandarray",
        columns: &[column("x", "array_or_empty"), column("n", "array_ordinals")],
        keeps_name: true,
        rows: Some("array_expanded"),
    },
    one!("regexp_split_to_table", "regexp_split_to_array"),
    one!("regexp_matches", "regexp_match_rows"),
    several!(
        "pg_options_to_table",
        column("option_name", "option_names"),
        column("option_value", "option_values")
    ),
    elements!("json_array_elements", "json_element_array", oid::JSON),
    elements!("json_array_elements_text", "json_element_text_array", oid::TEXT),
    one!("json_object_keys", "json_key_array"),
    several!(
        "json_each",
        column("key", "json_each_keys"),
        typed("value", "json_each_values", oid::JSON)
    ),
    several!(
        "json_each_text",
        column("key", "json_each_text_keys"),
        column("value", "json_each_texts")
    ),
    elements!("jsonb_array_elements", "jsonb_element_array", oid::JSONB),
    elements!("jsonb_array_elements_text", "jsonb_element_text_array", oid::TEXT),
    one!("skeys", "map_keys"),
    one!("svals", "map_values"),
    SetFunction {
        name: "each",
        columns: &[column("key", "map_keys"), column("value", "map_values")],
        keeps_name: true,
        rows: Some("map_entries"),
    },
    one!("jsonb_object_keys", "jsonb_key_array"),
    several!(
        "jsonb_each",
        column("key", "jsonb_each_keys"),
        typed("value", "jsonb_each_values", oid::JSONB)
    ),
    several!(
        "jsonb_each_text",
        column("key", "jsonb_each_text_keys"),
        column("value", "jsonb_each_texts")
    ),
];

/// The function of this name, however it is written.
pub fn find(name: &str) -> Option<&'static SetFunction> {
    ALL.iter().find(|function| function.name.eq_ignore_ascii_case(name))
}

/// True for a function that is planned as a table.
pub fn is_table(name: &str) -> bool {
    TABLES.iter().any(|table| table.eq_ignore_ascii_case(name))
}

impl SetFunction {
    /// Its columns' arrays for these arguments.
    pub fn arrays(&self, args: &[Expr]) -> Vec<Expr> {
        self.columns.iter().map(|column| call(column.array, args.to_vec())).collect()
    }

    /// The names of its columns.
    pub fn column_names(&self) -> impl Iterator<Item = &'static str> {
        self.columns.iter().map(|column| column.name)
    }

    /// The types of its columns, where their arrays do not tell.
    pub fn types(&self) -> impl Iterator<Item = Option<WireType>> {
        self.columns.iter().map(|column| column.type_oid.map(|type_oid| oid::wire(type_oid, -1)))
    }
}
