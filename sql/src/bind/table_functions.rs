//! Functions in FROM: `generate_series(1, 3) AS i`, `unnest(array[1, 2]) AS x`.
//!
//! The one column of such a function has the name of its alias, or of the function where there is none. DataFusion
//! calls it after itself.

use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{
    Ident, TableAlias, TableAliasColumnDef, TableFactor, VisitMut, VisitorMut,
};

const SERIES: &str = "generate_series";
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
            TableFactor::Table { name, alias, args: Some(_), with_ordinality: false, .. }
            | TableFactor::Function { name, alias, with_ordinality: false, .. } => {
                let function = name.0.last().and_then(|part| part.as_ident());
                if function.is_some_and(|name| name.value.eq_ignore_ascii_case(SERIES)) {
                    name_column(alias, SERIES);
                }
            }
            TableFactor::UNNEST {
                alias,
                array_exprs,
                with_offset: false,
                with_ordinality: false,
                ..
            } if array_exprs.len() == 1 => name_column(alias, UNNEST),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn name_column(alias: &mut Option<TableAlias>, function: &str) {
    let alias = alias.get_or_insert_with(|| TableAlias {
        explicit: true,
        name: Ident::new(function),
        columns: Vec::new(),
        at: None,
    });
    if alias.columns.is_empty() {
        let name = alias.name.clone();
        alias.columns.push(TableAliasColumnDef { name, data_type: None });
    }
}
