//! The names of a query's columns, as PostgreSQL gives them (its FigureColname).
//!
//! DataFusion names an expression by its text and refuses two of one name. Here every unnamed item of
//! a select list gets PostgreSQL's name as its alias; a name already taken gets [`TWIN`] and a number behind it,
//! which [`shown`] takes off again where names leave for the client.

use super::rewrite;
use super::type_name;
use crate::types::oid;
use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, Expr, Ident, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, TableFactor, Value, ValueWithSpan, VisitMut,
    VisitorMut,
};
use std::collections::HashSet;

/// Stands between a name and the number that makes it unique. Not a character clients write.
pub const TWIN: char = '\u{1}';
/// What PostgreSQL calls a column it has no name for.
pub const UNNAMED: &str = "?column?";

/// A column's name as the client sees it.
pub fn shown(name: &str) -> &str {
    name.split_once(TWIN).map_or(name, |(name, _)| name)
}

/// The names of several columns that share one, as they are told apart here.
pub fn twins(name: &str, count: usize) -> Vec<String> {
    let twin = |at| if at == 0 { name.to_owned() } else { format!("{name}{TWIN}{at}") };
    (0..count).map(twin).collect()
}

/// Names the items of every select list in a statement.
pub fn name_outputs(statement: &mut impl VisitMut) {
    let _: ControlFlow<()> = statement.visit(&mut Namer);
}

struct Namer;

impl VisitorMut for Namer {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived { lateral: true, subquery, .. } = factor
            && let SetExpr::Select(select) = &mut *subquery.body
        {
            name_columns(&mut select.projection);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        name_items(&mut select.projection);
        ControlFlow::Continue(())
    }
}

/// Names the columns, too: those of an outer relation have other names by themselves.
fn name_columns(items: &mut [SelectItem]) {
    for item in items {
        if let SelectItem::UnnamedExpr(expr) = item
            && let Some(name) = figure(expr).filter(|_| is_column(expr))
        {
            let expr = std::mem::replace(expr, Expr::value(Value::Null));
            *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', name) };
        }
    }
}

fn name_items(items: &mut [SelectItem]) {
    let mut taken: HashSet<String> = HashSet::new();
    let starred: Vec<Option<String>> = items.iter().filter_map(starred).collect();
    for (at, item) in items.iter_mut().enumerate() {
        match item {
            SelectItem::UnnamedExpr(expr) => {
                let name = figure(expr).unwrap_or_else(|| UNNAMED.to_owned());
                let column = is_column(expr);
                let twin = !taken.insert(name.clone()) || (column && is_starred(expr, &starred));
                if column && !twin {
                    continue;
                }
                let alias = if twin { format!("{name}{TWIN}{at}") } else { name };
                let expr = std::mem::replace(expr, Expr::value(Value::Null));
                *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', alias) };
            }
            SelectItem::ExprWithAlias { alias, expr: _ } => {
                let name = folded(alias);
                if !taken.insert(name.clone()) {
                    *alias = Ident::with_quote('"', format!("{name}{TWIN}{at}"));
                }
            }
            _ => {}
        }
    }
}

/// The relation of `t.*`; none for `*`.
fn starred(item: &SelectItem) -> Option<Option<String>> {
    match item {
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
            Some(name.0.last().and_then(|part| part.as_ident()).map(folded))
        }
        SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => Some(None),
        _ => None,
    }
}

/// True where a column may be among those of an asterisk.
fn is_starred(column: &Expr, starred: &[Option<String>]) -> bool {
    let relation = match column {
        Expr::CompoundIdentifier(parts) => parts.iter().rev().nth(1).map(folded),
        _ => None,
    };
    starred.iter().any(|of| of.is_none() || relation.is_none() || *of == relation)
}

/// True for a column, which keeps its name by itself.
fn is_column(expr: &Expr) -> bool {
    match expr {
        Expr::Identifier(ident) => !is_call(ident),
        Expr::CompoundIdentifier(_) => true,
        _ => false,
    }
}

/// True for a word that PostgreSQL reserves for a call without brackets.
pub fn is_call(ident: &Ident) -> bool {
    let words = ["current_schema", "current_role"];
    ident.quote_style.is_none() && words.iter().any(|word| ident.value.eq_ignore_ascii_case(word))
}

/// A name as PostgreSQL folds it.
pub fn folded(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

/// The name an expression gives its column, if it gives one.
pub fn figure(expr: &Expr) -> Option<String> {
    strong(expr).or_else(|| weak(expr))
}

/// A name that stays through a cast or CASE around it.
fn strong(expr: &Expr) -> Option<String> {
    let fixed = |name: &str| Some(name.to_owned());
    match expr {
        Expr::Identifier(ident) => Some(folded(ident)),
        Expr::CompoundIdentifier(parts) => parts.last().map(folded),
        Expr::CompoundFieldAccess { root, access_chain } => match access_chain.last() {
            Some(AccessExpr::Dot(Expr::Identifier(field))) => Some(folded(field)),
            _ => strong(root),
        },
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => strong(inner),
        // A parameter's value.
        Expr::Function(_) if rewrite::cast_target(expr).is_some() => None,
        Expr::Function(function) => {
            function.name.0.last().and_then(|part| part.as_ident()).map(folded)
        }
        Expr::Cast { expr: inner, .. } => strong(inner),
        Expr::Case { else_result: Some(result), .. } => strong(result),
        Expr::Exists { .. } => fixed("exists"),
        Expr::Subquery(query) => of_query(query),
        Expr::Array(_) => fixed("array"),
        Expr::Extract { .. } => fixed("extract"),
        Expr::Ceil { .. } => fixed("ceil"),
        Expr::Floor { .. } => fixed("floor"),
        Expr::Position { .. } => fixed("position"),
        Expr::Substring { shorthand: true, .. } => fixed("substr"),
        Expr::Substring { .. } => fixed("substring"),
        Expr::Overlay { .. } => fixed("overlay"),
        Expr::Trim { .. } => fixed("btrim"),
        Expr::AtTimeZone { .. } => fixed("timezone"),
        Expr::BinaryOp { op: BinaryOperator::Overlaps, .. } => fixed("overlaps"),
        Expr::Tuple(_) => fixed("row"),
        _ => None,
    }
}

/// A name that an outer cast replaces by its own.
fn weak(expr: &Expr) -> Option<String> {
    match expr {
        Expr::CompoundFieldAccess { root, .. } => weak(root),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => weak(inner),
        Expr::Cast { data_type, .. } => type_of(data_type),
        Expr::TypedString(typed) => type_of(&typed.data_type),
        Expr::Interval(_) => Some("interval".to_owned()),
        Expr::Case { .. } => Some("case".to_owned()),
        Expr::Value(ValueWithSpan { value: Value::Boolean(_), .. }) => Some("bool".to_owned()),
        _ => None,
    }
}

fn type_of(data_type: &datafusion::sql::sqlparser::ast::DataType) -> Option<String> {
    let wire_type = type_name::resolve(data_type).ok()?;
    let named = oid::element_of(wire_type.oid).unwrap_or(wire_type.oid);
    oid::base(named).map(|base| base.name.to_owned()).filter(|name| !name.is_empty())
}

fn of_query(query: &Query) -> Option<String> {
    match &*query.body {
        SetExpr::Select(select) => match select.projection.first()? {
            SelectItem::UnnamedExpr(expr) => figure(expr),
            SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
            _ => None,
        },
        SetExpr::Query(query) => of_query(query),
        _ => None,
    }
}
