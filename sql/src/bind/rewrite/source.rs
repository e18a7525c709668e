//! Functions in FROM, in words DataFusion knows.
//!
//! They lose a `pg_catalog.` in front. `unnest` becomes the planner's own; functions that list partitions
//! become empty queries, because there are none.

use super::{call, strip_catalog};
use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, SetExpr, TableAlias, TableAliasColumnDef, TableFactor,
    visit_expressions,
};

/// Set-returning functions that never return a row here, and what they would return.
const EMPTY: &[(&str, &str)] = &[
    (
        "pg_partition_ancestors",
        "SELECT CAST(NULL AS regclass) AS relid, CAST(NULL AS bigint) AS ordinality WHERE false",
    ),
    (
        "pg_partition_tree",
        "SELECT CAST(NULL AS regclass) AS relid, CAST(NULL AS regclass) AS parentrelid, \
         CAST(NULL AS boolean) AS isleaf, CAST(NULL AS int) AS level WHERE false",
    ),
];

/// Rewrites one item of FROM.
pub(super) fn rewrite(factor: &mut TableFactor) {
    let TableFactor::Table { name, alias, args: Some(args), with_ordinality, .. } = factor else {
        return;
    };
    strip_catalog(name);
    let called = name.to_string().to_ascii_lowercase();
    if called == "unnest" {
        let array_exprs = args.args.iter().filter_map(plain).cloned().collect::<Vec<_>>();
        if array_exprs.len() == args.args.len() {
            *factor = TableFactor::UNNEST {
                alias: alias.take().map(column_too),
                array_exprs,
                with_offset: false,
                with_offset_alias: None,
                with_ordinality: *with_ordinality,
            };
        }
        return;
    }
    if called == "generate_series" && args.args.iter().filter_map(plain).any(mentions_columns) {
        // The planner's own takes constants only.
        let bounds: Vec<_> = args.args.iter().filter_map(plain).cloned().collect();
        *factor = TableFactor::UNNEST {
            alias: alias.take().map(column_too),
            array_exprs: vec![call("generate_series", bounds)],
            with_offset: false,
            with_offset_alias: None,
            with_ordinality: *with_ordinality,
        };
        return;
    }
    let Some((_, sql)) = EMPTY.iter().find(|(name, _)| *name == called) else { return };
    let Ok(mut subquery) = crate::parse::query(sql) else { return };
    if !*with_ordinality
        && called == "pg_partition_ancestors"
        && let SetExpr::Select(select) = &mut *subquery.body
    {
        select.projection.truncate(1);
    }
    *factor = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(subquery),
        alias: alias.take(),
        sample: None,
    };
}

fn mentions_columns(expr: &Expr) -> bool {
    let mut found = false;
    let _: ControlFlow<()> = visit_expressions(expr, |part| {
        found |= matches!(part, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
        ControlFlow::Continue(())
    });
    found
}

/// A function's alias names its only column, too.
fn column_too(mut alias: TableAlias) -> TableAlias {
    if alias.columns.is_empty() {
        alias.columns.push(TableAliasColumnDef { name: alias.name.clone(), data_type: None });
    }
    alias
}

pub(super) fn plain(arg: &FunctionArg) -> Option<&Expr> {
    match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    }
}
