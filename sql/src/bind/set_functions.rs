//! Functions that return a set, and the arrays that hold their columns.
//!
//! `unnest` makes rows of arrays, in a select list and in FROM; a function that is listed here is called
//! through it. Of the other functions in FROM some are the planner's own, and the rest give one row.

use super::rewrite::call;
use datafusion::sql::sqlparser::ast::Expr;

/// Functions that are planned as tables, whose columns have names of their own.
const TABLES: &[&str] = &["pg_get_keywords", "pg_partition_ancestors", "pg_partition_tree"];

/// A set-returning function.
#[derive(Debug)]
pub struct SetFunction {
    name: &'static str,
    /// The columns it has in FROM, each with the function of the same arguments that makes an array of them.
    columns: &'static [(&'static str, &'static str)],
    /// The function that makes one array of its rows, for a select list; `None` where it is not called there.
    pub rows: Option<&'static str>,
}

const ALL: &[SetFunction] = &[
    SetFunction {
        name: "generate_series",
        columns: &[("generate_series", "generate_series")],
        rows: Some("generate_series"),
    },
    SetFunction {
        name: "generate_subscripts",
        columns: &[("generate_subscripts", "array_subscripts")],
        rows: Some("array_subscripts"),
    },
    SetFunction {
        name: "_pg_expandarray",
        columns: &[("x", "array_or_empty"), ("n", "array_ordinals")],
        rows: Some("array_expanded"),
    },
    SetFunction {
        name: "regexp_split_to_table",
        columns: &[("regexp_split_to_table", "regexp_split_to_array")],
        rows: Some("regexp_split_to_array"),
    },
    SetFunction {
        name: "pg_options_to_table",
        columns: &[("option_name", "option_names"), ("option_value", "option_values")],
        rows: None,
    },
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
        self.columns.iter().map(|(_, array)| call(array, args.to_vec())).collect()
    }

    /// The names of its columns.
    pub fn column_names(&self) -> impl Iterator<Item = &'static str> {
        self.columns.iter().map(|(name, _)| *name)
    }
}
