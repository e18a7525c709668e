//! `_timestamp`, the system column that says when a row was last written.
//!
//! A table in FROM whose `_timestamp` is mentioned is planned with such a column. `*` does not include it: it is taken out
//! again. A table with a column of this name has that one. Runs after versions are bound, which have the column anyway, and
//! before names are given to columns.

use super::names::folded;
use super::relation_columns::ColumnsOf;
use super::tableoid::{Mentions, cte_names};
use super::versions;
use crate::error::SqlError;
use crate::scan::versions::TIMESTAMP_COLUMN;
use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{
    ExcludeSelectItem, Ident, ObjectName, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, TableFactor, TableWithJoins, VisitMut, VisitorMut,
    WildcardAdditionalOptions,
};
use std::collections::HashSet;

/// Gives the tables in every FROM of a statement the column where it is mentioned.
pub fn provide(query: &mut Query, columns_of: ColumnsOf<'_>) -> Result<(), SqlError> {
    if !Mentions::in_query(query, TIMESTAMP_COLUMN).any {
        return Ok(());
    }
    let mut selects = Selects { ctes: cte_names(query), columns_of };
    let _: ControlFlow<()> = VisitMut::visit(query, &mut selects);
    Ok(())
}

struct Selects<'c> {
    ctes: HashSet<String>,
    columns_of: ColumnsOf<'c>,
}

impl VisitorMut for Selects<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mentions = Mentions::in_select(select, TIMESTAMP_COLUMN);
        if !mentions.any {
            return ControlFlow::Continue(());
        }
        // Without a table's name it is the only table's: a query in FROM may have a column of the name.
        let only = match select.from.as_slice() {
            [TableWithJoins { relation, joins }] => joins.is_empty() && self.is_table(relation),
            _ => false,
        };
        let wanted = |label: &str| mentions.of.contains(label) || (mentions.bare && only);
        let mut dated = HashSet::new();
        for TableWithJoins { relation, joins } in &mut select.from {
            let joined = joins.iter_mut().map(|join| &mut join.relation);
            for factor in std::iter::once(relation).chain(joined) {
                self.complete(factor, &wanted, &mut dated);
            }
        }
        if !dated.is_empty() {
            select.projection.iter_mut().for_each(|item| leave_out(item, &dated));
        }
        ControlFlow::Continue(())
    }
}

impl Selects<'_> {
    fn is_table(&self, factor: &TableFactor) -> bool {
        let TableFactor::Table { name, args: None, .. } = factor else { return false };
        let is_cte = match name.0.as_slice() {
            [part] => part.as_ident().is_some_and(|name| self.ctes.contains(&folded(name))),
            _ => false,
        };
        let has_own = |columns: Vec<String>| columns.iter().any(|name| name == TIMESTAMP_COLUMN);
        !is_cte && !(self.columns_of)(name).is_none_or(has_own)
    }

    fn complete(
        &self,
        factor: &mut TableFactor,
        wanted: &impl Fn(&str) -> bool,
        dated: &mut HashSet<String>,
    ) {
        if let TableFactor::NestedJoin { table_with_joins, .. } = factor {
            let TableWithJoins { relation, joins } = &mut **table_with_joins;
            self.complete(relation, wanted, dated);
            joins.iter_mut().for_each(|join| self.complete(&mut join.relation, wanted, dated));
            return;
        }
        if !self.is_table(factor) {
            return;
        }
        let TableFactor::Table { name, alias, version, .. } = factor else { return };
        let Some(table) = name.0.last().and_then(|part| part.as_ident()) else { return };
        let label = folded(alias.as_ref().map_or(table, |alias| &alias.name));
        if wanted(&label) && versions::date(version) {
            dated.insert(label);
        }
    }
}

/// Takes the column out of `*`.
fn leave_out(item: &mut SelectItem, dated: &HashSet<String>) {
    let options: &mut WildcardAdditionalOptions = match item {
        SelectItem::Wildcard(options) => options,
        SelectItem::QualifiedWildcard(
            SelectItemQualifiedWildcardKind::ObjectName(name),
            options,
        ) => {
            let table = name.0.last().and_then(|part| part.as_ident()).map(folded);
            match table.is_some_and(|table| dated.contains(&table)) {
                true => options,
                false => return,
            }
        }
        _ => return,
    };
    let name = ObjectName::from(vec![Ident::with_quote('"', TIMESTAMP_COLUMN)]);
    options.opt_exclude = Some(ExcludeSelectItem::Single(name));
}
