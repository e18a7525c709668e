//! `SELECT t FROM t`, `row_to_json(t)`, `ROW (a, b)`: rows as values.
//!
//! A relation's name where a value is wanted is its row, unless a relation there has a column of that name. It
//! becomes a record with the names of its columns. Where those cannot be told the name is left to be refused; a row
//! of an outer join's other side, which may be no row, is refused.

use super::names::{folded, shown};
use super::relation_columns::{self, ColumnsOf};
use super::rewrite::call;
use super::row_values;
use super::walk;
use crate::error::SqlError;
use crate::functions::record;
use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident,
    JoinOperator, OrderByKind, Query, Select, SelectItem, SetExpr, TableFactor, TableWithJoins,
    Value, VisitMut, VisitorMut,
};

/// Spells out the rows in every query of a statement.
pub fn spell_out(statement: &mut impl VisitMut, columns_of: ColumnsOf<'_>) -> Result<(), SqlError> {
    let columns_of = relation_columns::with_ctes(statement, columns_of)?;
    walk::queries(statement, |query| {
        let Query { body, order_by, .. } = query;
        let SetExpr::Select(select) = &mut **body else { return Ok(()) };
        let rows = rows_of(select, &columns_of);
        if rows.is_empty() {
            return Ok(());
        }
        let outputs = outputs_of(select);
        let is_output =
            |expr: &Expr| matches!(expr, Expr::Identifier(name) if outputs.contains(&folded(name)));
        if let Some(order_by) = order_by
            && let OrderByKind::Expressions(items) = &mut order_by.kind
        {
            for item in items.iter_mut().filter(|item| !is_output(&item.expr)) {
                walk::own_expressions(&mut item.expr, |expr| refer(expr, &rows))?;
            }
        }
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(Expr::Identifier(name)) = item {
                let (expr, alias) = (Expr::Identifier(name.clone()), name.clone());
                *item = SelectItem::ExprWithAlias { expr, alias };
            }
        }
        // What is grouped by, and what DISTINCT ON tells apart, may be an output, too.
        let mut named: Vec<&mut Expr> = Vec::new();
        if let GroupByExpr::Expressions(items, _) = &mut select.group_by {
            named.extend(items);
        }
        if let Some(Distinct::On(items)) = &mut select.distinct {
            named.extend(items);
        }
        for item in named.into_iter().filter(|item| !is_output(item)) {
            walk::own_expressions(item, |expr| refer(expr, &rows))?;
        }
        walk::own_expressions(&mut select.projection, |expr| refer(expr, &rows))?;
        walk::own_expressions(&mut select.from, |expr| refer(expr, &rows))?;
        walk::own_expressions(&mut select.selection, |expr| refer(expr, &rows))?;
        walk::own_expressions(&mut select.having, |expr| refer(expr, &rows))?;
        walk::own_expressions(&mut select.named_window, |expr| refer(expr, &rows))
    })?;
    match statement.visit(&mut Constructors) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

/// The names that a select gives its outputs. One that is a column's or a row's own name is the same thing.
fn outputs_of(select: &Select) -> Vec<String> {
    let named = select.projection.iter().filter_map(|item| match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
        _ => None,
    });
    named.collect()
}

/// A relation whose row may be meant.
struct Row {
    relation: Ident,
    /// `None` where it may be no row.
    columns: Option<Vec<String>>,
}

fn rows_of(select: &Select, columns_of: ColumnsOf<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut taken: Vec<String> = Vec::new();
    for from in &select.from {
        let factors = std::iter::once(&from.relation).chain(from.joins.iter().map(|j| &j.relation));
        for (at, factor) in factors.enumerate() {
            let Some(columns) = relation_columns::of_factor(factor, columns_of) else {
                return Vec::new();
            };
            taken.extend(columns.iter().cloned());
            let plain = match factor {
                TableFactor::Table { args, .. } => args.is_none(),
                TableFactor::Derived { .. } => true,
                _ => false,
            };
            if let Some(relation) = relation_columns::name_of(factor).filter(|_| plain) {
                let columns = (!may_be_missing(from, at)).then_some(columns);
                rows.push(Row { relation: relation.clone(), columns });
            }
        }
    }
    rows.retain(|row| !taken.contains(&folded(&row.relation)));
    rows
}

/// True where an outer join may have no row of a relation of FROM.
fn may_be_missing(from: &TableWithJoins, at: usize) -> bool {
    let joined = |operator: &JoinOperator| match operator {
        JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => (false, true),
        JoinOperator::Right(_) | JoinOperator::RightOuter(_) => (true, false),
        JoinOperator::FullOuter(_) => (true, true),
        _ => (false, false),
    };
    let itself = at.checked_sub(1).is_some_and(|join| joined(&from.joins[join].join_operator).1);
    itself || from.joins[at..].iter().any(|join| joined(&join.join_operator).0)
}

fn refer(expr: &mut Expr, rows: &[Row]) -> Result<(), SqlError> {
    let find = |name: &Ident| rows.iter().find(|row| folded(&row.relation) == folded(name));
    if let Expr::Function(function) = expr
        && let FunctionArguments::List(list) = &mut function.args
    {
        for arg in &mut list.args {
            if let FunctionArg::Unnamed(argument @ FunctionArgExpr::QualifiedWildcard(_)) = arg
                && let FunctionArgExpr::QualifiedWildcard(name) = &*argument
                && let [part] = name.0.as_slice()
                && let Some(row) = part.as_ident().and_then(find)
            {
                *argument = FunctionArgExpr::Expr(record_of(row)?);
            }
        }
    }
    if let Expr::Identifier(name) = expr
        && let Some(row) = find(name)
    {
        *expr = record_of(row)?;
    }
    Ok(())
}

fn record_of(row: &Row) -> Result<Expr, SqlError> {
    let Some(columns) = &row.columns else {
        let relation = folded(&row.relation);
        return Err(SqlError::unsupported(format!(
            "the whole row of \"{relation}\", which an outer join may not find, is not supported"
        )));
    };
    Ok(made_of(columns.iter().map(|column| {
        let name = Ident::with_quote('"', column);
        (shown(column).to_owned(), Expr::CompoundIdentifier(vec![row.relation.clone(), name]))
    })))
}

fn made_of(fields: impl Iterator<Item = (String, Expr)>) -> Expr {
    let fields =
        fields.flat_map(|(name, value)| [Expr::value(Value::SingleQuotedString(name)), value]);
    call(record::NAME, fields.collect())
}

/// Makes records of `ROW (a, b)`, whose fields are called f1, f2, …; and of `t IS NULL` what it means of a row: that
/// all of its fields are.
struct Constructors;

impl VisitorMut for Constructors {
    type Break = Box<SqlError>;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        let tested = match expr {
            Expr::IsNull(inner) | Expr::IsNotNull(inner) => values_of(inner),
            _ => None,
        };
        if let Some(values) = tested {
            let is_null = matches!(expr, Expr::IsNull(_));
            match row_values::all_null(&values, is_null) {
                Ok(test) => *expr = test,
                Err(error) => return ControlFlow::Break(Box::new(error)),
            }
        }
        if let Expr::Function(function) = expr
            && let Some(fields) = row_values::row_constructor(function)
        {
            let named = fields.into_iter().enumerate();
            *expr = made_of(named.map(|(at, field)| (format!("f{}", at + 1), field)));
        }
        ControlFlow::Continue(())
    }
}

/// The values of a record's fields.
fn values_of(expr: &Expr) -> Option<Vec<Expr>> {
    let function = match expr {
        Expr::Nested(inner) => return values_of(inner),
        Expr::Function(function) => function,
        _ => return None,
    };
    let is_record = function.name.0.last()?.as_ident()?.value == record::NAME;
    let FunctionArguments::List(list) = &function.args else { return None };
    let values = list.args.iter().skip(1).step_by(2).map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(value.clone()),
        _ => None,
    });
    values.collect::<Option<Vec<Expr>>>().filter(|values| is_record && !values.is_empty())
}
