//! Which syntax is a point statement's: one table, a WHERE that says what every key column equals.

use super::operand::{KeyOperands, Operand};
use crate::catalog::model::{OnCommit, Persistence};
use crate::session::client::ClientSession;
use crate::session::modify::{Target, folded};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Ident, ObjectName, Query, Select, SelectFlavor, SelectItem,
    SetExpr, TableFactor, TableWithJoins,
};
use terrane_client::ids::ColumnId;

/// The body of a query that is nothing but its body: no WITH, ORDER BY, LIMIT, locks.
pub fn plain_body(query: &Query) -> Option<&SetExpr> {
    match query {
        Query {
            with: None,
            body,
            order_by: None,
            limit_clause: None,
            fetch: None,
            locks,
            for_clause: None,
            settings: None,
            format_clause: None,
            pipe_operators,
        } if locks.is_empty() && pipe_operators.is_empty() => Some(body),
        _ => None,
    }
}

/// The parts of `SELECT items FROM table WHERE selection`; `None` where the query says anything else.
pub fn plain_select(query: &Query) -> Option<(&[SelectItem], &TableFactor, &Expr)> {
    let SetExpr::Select(select) = plain_body(query)? else { return None };
    let Select {
        select_token: _,
        optimizer_hints: _,
        distinct: None,
        select_modifiers: None,
        top: None,
        top_before_distinct: _,
        projection,
        exclude: None,
        into: None,
        from,
        lateral_views,
        prewhere: None,
        selection: Some(selection),
        connect_by,
        group_by: GroupByExpr::Expressions(group_by, modifiers),
        cluster_by,
        distribute_by,
        sort_by,
        having: None,
        named_window,
        qualify: None,
        window_before_qualify: _,
        value_table_mode: None,
        flavor: SelectFlavor::Standard,
    } = &**select
    else {
        return None;
    };
    let nothing_else = lateral_views.is_empty()
        && connect_by.is_empty()
        && group_by.is_empty()
        && modifiers.is_empty()
        && cluster_by.is_empty()
        && distribute_by.is_empty()
        && sort_by.is_empty()
        && named_window.is_empty();
    match from.as_slice() {
        [table] if nothing_else => Some((projection, plain_table(table)?, selection)),
        _ => None,
    }
}

/// A table without joins.
pub fn plain_table(table: &TableWithJoins) -> Option<&TableFactor> {
    table.joins.is_empty().then_some(&table.relation)
}

/// The table of a plain reference, with what changing it needs.
pub fn target(session: &mut ClientSession, relation: &TableFactor) -> Option<Target> {
    let TableFactor::Table {
        name,
        alias,
        args: None,
        with_hints,
        version: None,
        with_ordinality: false,
        partitions,
        json_path: None,
        sample: None,
        index_hints,
    } = relation
    else {
        return None;
    };
    let alias = match alias {
        None => None,
        Some(alias) if alias.columns.is_empty() => Some(&alias.name),
        Some(_) => return None,
    };
    if !is_user_table(name) {
        return None;
    }
    if !with_hints.is_empty() || !partitions.is_empty() || !index_hints.is_empty() {
        return None;
    }
    let target = Target::find(session, name, alias).ok()?;
    if ends_with_statement(&target) {
        return None;
    }
    // A constraint that the tablets cannot evaluate is the general road's business.
    (target.table.checks.len() == target.schema.checks.len()).then_some(target)
}

/// True for a table whose rows end with their transaction, which is COMMIT's business.
pub fn ends_with_statement(target: &Target) -> bool {
    target.table.persistence == Persistence::Temporary(OnCommit::DeleteRows)
}

/// False for names that may be a system catalog's.
pub fn is_user_table(name: &ObjectName) -> bool {
    let parts: Option<Vec<String>> =
        name.0.iter().map(|part| part.as_ident().map(folded)).collect();
    match parts.as_deref() {
        Some([name]) => !name.starts_with("pg_"),
        Some([schema, _]) => schema != "pg_catalog" && schema != "information_schema",
        _ => false,
    }
}

/// The column an expression names, if it is one of the table's.
pub fn column(expr: &Expr, target: &Target) -> Option<ColumnId> {
    let name = match expr {
        Expr::Nested(inner) => return column(inner, target),
        Expr::Identifier(name) => name,
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [table, name] if folded(table) == target.alias => name,
            _ => return None,
        },
        _ => return None,
    };
    column_named(name, target)
}

/// A live column.
pub fn column_named(name: &Ident, target: &Target) -> Option<ColumnId> {
    target.column(name).ok().map(|column| column.id)
}

/// A WHERE taken apart: what each key column equals, and what else must hold.
pub struct Pinned {
    /// The key.
    pub key: KeyOperands,
    /// The other conjuncts, as one expression.
    pub rest: Option<Expr>,
}

/// Takes a WHERE apart; `None` where it does not say what the whole key is.
pub fn pinned(selection: &Expr, target: &Target, types: &[u32]) -> Option<Pinned> {
    let key = &target.schema.key;
    if key.is_empty() {
        return None;
    }
    let mut conjuncts = Vec::new();
    split(selection, &mut conjuncts);
    let mut found: Vec<Option<Operand>> = vec![None; key.len()];
    let mut rest: Option<Expr> = None;
    for conjunct in conjuncts {
        if let Some((place, operand)) = equality(conjunct, target, types)
            && found[place].is_none()
        {
            found[place] = Some(operand);
            continue;
        }
        let conjunct = conjunct.clone();
        rest = Some(match rest {
            None => conjunct,
            Some(before) => Expr::BinaryOp {
                left: Box::new(before),
                op: BinaryOperator::And,
                right: Box::new(Expr::Nested(Box::new(conjunct))),
            },
        });
    }
    let operands: Option<Vec<Operand>> = found.into_iter().collect();
    Some(Pinned { key: KeyOperands(operands?), rest })
}

fn split<'a>(expr: &'a Expr, conjuncts: &mut Vec<&'a Expr>) {
    match expr {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            split(left, conjuncts);
            split(right, conjuncts);
        }
        Expr::Nested(inner) => split(inner, conjuncts),
        other => conjuncts.push(other),
    }
}

/// `key column = operand`, either way round: the column's place in the key, and the operand.
fn equality(conjunct: &Expr, target: &Target, types: &[u32]) -> Option<(usize, Operand)> {
    let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = conjunct else { return None };
    let (id, operand) = match column(left, target) {
        Some(id) => (id, right),
        None => (column(right, target)?, left),
    };
    let place = target.schema.key_position(id)?;
    let data_type = &target.schema.column(id)?.data_type;
    Some((place, Operand::compared(operand, data_type, types)?))
}
