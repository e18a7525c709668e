//! Functions in FROM, in words DataFusion knows.
//!
//! They lose a `pg_catalog.` in front. Those that return a set become `unnest` of the arrays behind them; those
//! that list partitions become empty queries, because there are none; any other is a query of one row.

use super::{call, cast_call, strip_catalog};
use crate::bind::names;
use crate::bind::set_functions::{self, SetFunction};
use crate::bind::type_name;
use crate::catalog::system::procs;
use crate::error::{SqlError, SqlState};
use crate::functions::system::array::OR_EMPTY;
use crate::session::response::WireType;
use crate::types::oid;
use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, Query, SelectItem, SetExpr, TableAlias,
    TableAliasColumnDef, TableFactor, TableFunctionArgs, Value, visit_expressions,
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
pub(super) fn rewrite(factor: &mut TableFactor) -> Result<(), SqlError> {
    called_as_table(factor);
    if let TableFactor::UNNEST { array_exprs, .. } = factor {
        *array_exprs = told_apart(std::mem::take(array_exprs));
        return number(factor, "unnest");
    }
    let TableFactor::Table { name, alias, args: Some(args), with_ordinality, .. } = factor else {
        return Ok(());
    };
    strip_catalog(name);
    let called = name.to_string().to_ascii_lowercase();
    let Some(given) = args.args.iter().map(|arg| plain(arg).cloned()).collect::<Option<Vec<_>>>()
    else {
        return Err(SqlError::unsupported("named arguments in FROM are not supported"));
    };
    let arrays = match (called.as_str(), set_functions::find(&called)) {
        ("unnest", _) => given,
        // The planner's own takes constants, and takes no memory for them.
        ("generate_series", _) if !*with_ordinality && !given.iter().any(varies) => {
            return Ok(());
        }
        (_, Some(set)) => set.arrays(&given),
        (_, None) if set_functions::is_table(&called) => return planned(factor, &called),
        (_, None) => return one_row(factor, &called, given),
    };
    let unnest = TableFactor::UNNEST {
        alias: alias.take().map(|alias| column_too(alias, arrays.len())),
        array_exprs: told_apart(arrays),
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: *with_ordinality,
    };
    *factor = unnest;
    number(factor, &called)
}

/// The planner's `unnest` refuses two arrays that are written alike, and columns of relations to the left in
/// `ARRAY[…]`.
fn told_apart(mut arrays: Vec<Expr>) -> Vec<Expr> {
    for array in &mut arrays {
        if mentions_columns(array)
            && let Expr::Array(list) = array
        {
            *array = call("make_array", std::mem::take(&mut list.elem));
        }
    }
    for at in 1..arrays.len() {
        while arrays[..at].contains(&arrays[at]) {
            let array = std::mem::replace(&mut arrays[at], Expr::value(Value::Null));
            arrays[at] = call(OR_EMPTY, vec![array]);
        }
    }
    arrays
}

/// A function that is planned as a table, or is empty.
fn planned(factor: &mut TableFactor, called: &str) -> Result<(), SqlError> {
    let TableFactor::Table { alias, with_ordinality, .. } = factor else { return Ok(()) };
    let Some((_, sql)) = EMPTY.iter().find(|(name, _)| *name == called) else { return Ok(()) };
    let mut subquery = crate::parse::query(sql)?;
    if !*with_ordinality
        && called == "pg_partition_ancestors"
        && let SetExpr::Select(select) = &mut *subquery.body
    {
        select.projection.truncate(1);
    }
    *factor = derived(subquery, alias.take(), false);
    Ok(())
}

/// A function that gives one value is a query of one row.
fn one_row(factor: &mut TableFactor, called: &str, args: Vec<Expr>) -> Result<(), SqlError> {
    let TableFactor::Table { name, alias, with_ordinality, .. } = factor else { return Ok(()) };
    check_of_one_row(called)?;
    if alias.iter().flat_map(|alias| &alias.columns).any(|column| column.data_type.is_some()) {
        let message = "a column definition list is only allowed for functions returning \"record\"";
        return Err(SqlError::syntax(message));
    }
    let lateral = args.iter().any(mentions_columns);
    let mut subquery = crate::parse::query(match with_ordinality {
        true => "SELECT f() AS value, CAST(1 AS bigint) AS ordinality",
        false => "SELECT f() AS value",
    })?;
    if let SetExpr::Select(select) = &mut *subquery.body
        && let Some(SelectItem::ExprWithAlias { expr, .. }) = select.projection.first_mut()
    {
        let mut value = call(called, args);
        if let Expr::Function(function) = &mut value {
            function.name = name.clone();
        }
        *expr = value;
    }
    let mut alias = alias.take().unwrap_or_else(|| named(called));
    name_all(&mut alias, &[], *with_ordinality);
    *factor = derived(subquery, Some(alias), lateral);
    Ok(())
}

/// Refuses what PostgreSQL knows to be no function of one row.
fn check_of_one_row(called: &str) -> Result<(), SqlError> {
    let mut known = procs::named(called).peekable();
    let Some(first) = known.peek() else { return Ok(()) };
    let refused = |state, kind: &str| {
        Err(SqlError::new(state, format!("{kind} functions are not allowed in functions in FROM")))
    };
    match first.kind {
        'a' => return refused(SqlState::GROUPING_ERROR, "aggregate"),
        'w' => return refused(SqlState::WINDOWING_ERROR, "window"),
        _ => {}
    }
    match known.all(|function| function.returns_set || function.returns == oid::RECORD) {
        true => Err(SqlError::unsupported(format!("{called}() in FROM is not supported"))),
        false => Ok(()),
    }
}

fn derived(subquery: Query, alias: Option<TableAlias>, lateral: bool) -> TableFactor {
    TableFactor::Derived { lateral, subquery: Box::new(subquery), alias, sample: None }
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

/// `unnest(…) WITH ORDINALITY` as a query that numbers the rows; one that gives columns the types that their
/// arrays do not have, too.
fn number(factor: &mut TableFactor, called: &str) -> Result<(), SqlError> {
    let TableFactor::UNNEST { alias, array_exprs, with_ordinality, .. } = factor else {
        return Ok(());
    };
    let numbered = std::mem::take(with_ordinality);
    let set = set_functions::find(called);
    let types: Vec<Option<WireType>> = match set {
        Some(set) => SetFunction::types(set).collect(),
        None => typed_arrays(array_exprs),
    };
    if !numbered && !types.iter().any(Option::is_some) {
        return Ok(());
    }
    let values: Vec<String> = (0..array_exprs.len()).map(|at| format!("value{at}")).collect();
    let values = values.join(", ");
    let ordinality = if numbered { ", row_number() OVER () AS ordinality" } else { "" };
    let text = format!("SELECT {values}{ordinality} FROM unnest(NULL) AS f({values})");
    let mut subquery = crate::parse::query(&text)?;
    let names: Vec<String> = match set {
        Some(set) => set.column_names().map(str::to_owned).collect(),
        None => names::twins(called, array_exprs.len()),
    };
    let mut outer = alias.take().unwrap_or_else(|| named(called));
    if set.is_some_and(|set| set.keeps_name) {
        name_each(&mut outer, &names);
    }
    name_all(&mut outer, &names, numbered);
    if let SetExpr::Select(select) = &mut *subquery.body {
        give_types(&mut select.projection, &types);
    }
    if let SetExpr::Select(select) = &mut *subquery.body
        && let Some(from) = select.from.first_mut()
        && let TableFactor::UNNEST { array_exprs: numbered, .. } = &mut from.relation
    {
        *numbered = std::mem::take(array_exprs);
    }
    *factor = derived(subquery, Some(outer), true);
    Ok(())
}

/// The types of arrays of JSON. What the subquery unnests is not looked at again.
fn typed_arrays(arrays: &mut [Expr]) -> Vec<Option<WireType>> {
    let mut types = Vec::with_capacity(arrays.len());
    for array in arrays {
        let element = json_of_array(array);
        if element.is_some() {
            let given = std::mem::replace(array, Expr::value(Value::Null));
            *array = call(OR_EMPTY, vec![given]);
        }
        types.push(element);
    }
    types
}

/// The type of the elements of an array that is cast to json[] or jsonb[]: Arrow knows them as text.
fn json_of_array(array: &Expr) -> Option<WireType> {
    match array {
        Expr::Nested(inner) => json_of_array(inner),
        Expr::Cast { data_type, .. } => json_element(type_name::resolve(data_type).ok()?),
        _ => None,
    }
}

/// The type of the elements of json[] or jsonb[].
pub(super) fn json_element(array: WireType) -> Option<WireType> {
    let element = oid::element_of(array.oid)?;
    matches!(element, oid::JSON | oid::JSONB).then(|| oid::wire(element, -1))
}

/// Casts the columns that have a type.
fn give_types(items: &mut [SelectItem], types: &[Option<WireType>]) {
    for (at, (item, to)) in items.iter_mut().zip(types).enumerate() {
        let (SelectItem::UnnamedExpr(expr), Some(to)) = (&mut *item, to) else { continue };
        let value = std::mem::replace(expr, Expr::value(Value::Null));
        *item = SelectItem::ExprWithAlias {
            expr: cast_call(value, *to),
            alias: Ident::new(format!("value{at}")),
        };
    }
}

fn named(function: &str) -> TableAlias {
    TableAlias { explicit: true, name: Ident::new(function), columns: Vec::new(), at: None }
}

/// Gives the columns that an alias leaves without a name those of the function.
fn name_each(alias: &mut TableAlias, names: &[String]) {
    for name in names.iter().skip(alias.columns.len()) {
        let name = Ident::with_quote('"', name);
        alias.columns.push(TableAliasColumnDef { name, data_type: None });
    }
}

/// Names the columns that an alias leaves without a name; one alone is called as its relation.
fn name_all(alias: &mut TableAlias, names: &[String], ordinality: bool) {
    let column = |name: Ident| TableAliasColumnDef { name, data_type: None };
    match names {
        [] | [_] if alias.columns.is_empty() => alias.columns.push(column(alias.name.clone())),
        _ => name_each(alias, names),
    }
    if ordinality && alias.columns.len() == names.len().max(1) {
        alias.columns.push(column(Ident::new("ordinality")));
    }
}

/// True for what is not the same whenever the statement runs.
fn varies(expr: &Expr) -> bool {
    let mut found = mentions_columns(expr);
    let _: ControlFlow<()> = visit_expressions(expr, |part| {
        let value = if let Expr::Value(value) = part { Some(&value.value) } else { None };
        found |= matches!(value, Some(Value::Placeholder(_)));
        ControlFlow::Continue(())
    });
    found
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
fn column_too(mut alias: TableAlias, columns: usize) -> TableAlias {
    if columns == 1 {
        name_all(&mut alias, &[], false);
    }
    alias
}

pub(super) fn plain(arg: &FunctionArg) -> Option<&Expr> {
    match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    }
}
