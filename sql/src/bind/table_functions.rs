//! Functions in FROM: `generate_series(1, 3) AS i`, `unnest(array[1, 2]) AS x`, `current_schema()`.
//!
//! The one column of such a function has the name of its alias, or of the function where there is none. DataFusion
//! calls it after itself. Functions of several columns have names for them.

use super::{names, set_functions};
use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, TableAlias, TableAliasColumnDef, TableFactor, VisitMut, VisitorMut,
};

const UNNEST: &str = "unnest";

/// Names the columns of the functions in every FROM of a statement.
pub fn name_columns(statement: &mut impl VisitMut) {
    let _: ControlFlow<()> = statement.visit(&mut Factors);
}

struct Factors;

impl VisitorMut for Factors {
    type Break = ();

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table {
                name, alias, args: Some(args), with_ordinality: false, ..
            } => {
                name_columns_of(alias, name, args.args.len());
            }
            TableFactor::Function { name, alias, args, with_ordinality: false, .. } => {
                name_columns_of(alias, name, args.len());
            }
            TableFactor::UNNEST {
                alias,
                array_exprs,
                with_offset: false,
                with_ordinality: false,
                ..
            } => match array_exprs.len() {
                1 => name_column(alias, UNNEST),
                several => name_twins(alias, several),
            },
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn name_columns_of(alias: &mut Option<TableAlias>, name: &ObjectName, args: usize) {
    let Some(function) = name.0.last().and_then(|part| part.as_ident()) else { return };
    if args > 1 && function.value.eq_ignore_ascii_case(UNNEST) {
        return name_twins(alias, args);
    }
    let several = match set_functions::find(&function.value) {
        Some(function) if function.keeps_name => function.column_names().collect::<Vec<_>>(),
        None if set_functions::is_table(&function.value) => return,
        _ => return name_column(alias, &function.value),
    };
    let alias = named(alias, &function.value);
    for name in several.into_iter().skip(alias.columns.len()) {
        alias.columns.push(TableAliasColumnDef { name: Ident::new(name), data_type: None });
    }
}

/// All columns of `unnest(a, b)` are called alike.
fn name_twins(alias: &mut Option<TableAlias>, count: usize) {
    let alias = named(alias, UNNEST);
    for name in names::twins(UNNEST, count).into_iter().skip(alias.columns.len()) {
        let name = Ident::with_quote('"', name);
        alias.columns.push(TableAliasColumnDef { name, data_type: None });
    }
}

/// Gives an item of FROM the function's name where it has no alias.
fn named<'a>(alias: &'a mut Option<TableAlias>, function: &str) -> &'a mut TableAlias {
    alias.get_or_insert_with(|| TableAlias {
        explicit: true,
        name: Ident::new(function),
        columns: Vec::new(),
        at: None,
    })
}

fn name_column(alias: &mut Option<TableAlias>, function: &str) {
    let alias = named(alias, function);
    if alias.columns.is_empty() {
        let name = alias.name.clone();
        alias.columns.push(TableAliasColumnDef { name, data_type: None });
    }
}
