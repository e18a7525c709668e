//! Functions in FROM, in words DataFusion knows.
//!
//! They lose a `pg_catalog.` in front. `unnest` becomes the planner's own; functions that list partitions
//! become empty queries, because there are none.

use super::{call, strip_catalog};
use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, SetExpr, TableAlias,
    TableAliasColumnDef, TableFactor, TableFunctionArgs, visit_expressions,
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
    called_as_table(factor);
    let TableFactor::Table { name, alias, args: Some(args), with_ordinality, .. } = factor else {
        return;
    };
    strip_catalog(name);
    let called = name.to_string().to_ascii_lowercase();
    if *with_ordinality && matches!(called.as_str(), "unnest" | "generate_series") {
        if let Some(numbered) = numbered(&called, args, alias) {
            *factor = numbered;
        }
        return;
    }
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

/// `LATERAL f(…)` is `f(…)`: functions see what is to their left anyway.
fn called_as_table(factor: &mut TableFactor) {
    let TableFactor::Function { name, args, with_ordinality, alias, .. } = factor else { return };
    *factor = TableFactor::Table {
        name: name.clone(),
        alias: alias.take(),
        args: Some(TableFunctionArgs { args: std::mem::take(args), settings: None }),
        with_hints: Vec::new(),
        version: None,
        with_ordinality: *with_ordinality,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    };
}

/// `f(…) WITH ORDINALITY` as a query that numbers the function's rows.
fn numbered(
    function: &str,
    args: &TableFunctionArgs,
    alias: &Option<TableAlias>,
) -> Option<TableFactor> {
    let text = "SELECT value, row_number() OVER () AS ordinality FROM f(1) AS f(value)";
    let mut subquery = crate::parse::query(text).ok()?;
    let SetExpr::Select(select) = &mut *subquery.body else { return None };
    if let TableFactor::Table { name, args: called, .. } = &mut select.from.first_mut()?.relation {
        *name = ObjectName::from(vec![Ident::new(function)]);
        *called = Some(args.clone());
    }
    let mut alias = alias.clone().unwrap_or_else(|| TableAlias {
        explicit: true,
        name: Ident::new(function),
        columns: Vec::new(),
        at: None,
    });
    let column = |name: Ident| TableAliasColumnDef { name, data_type: None };
    if alias.columns.is_empty() {
        alias.columns.push(column(alias.name.clone()));
    }
    if alias.columns.len() == 1 {
        alias.columns.push(column(Ident::new("ordinality")));
    }
    let subquery = Box::new(subquery);
    Some(TableFactor::Derived { lateral: true, subquery, alias: Some(alias), sample: None })
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
