//! `tableoid`, the system column that says which table a row is of.
//!
//! A table in FROM whose `tableoid` is mentioned becomes a query that has such a column. Beside `*`, which
//! does not include it, it is refused. Runs before names are given to columns.

use super::as_of;
use super::names::folded;
use crate::error::SqlError;
use crate::functions::system::reg::TABLE_OID;
use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{
    Cte, Expr, Ident, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, TableAlias,
    TableFactor, TableWithJoins, Visit, VisitMut, Visitor, VisitorMut,
};
use std::collections::HashSet;

const NAME: &str = "tableoid";

type Flow = ControlFlow<Box<SqlError>>;

/// Gives the tables in every FROM of a statement the column where it is mentioned.
pub fn provide(query: &mut Query) -> Result<(), SqlError> {
    if !Mentions::in_query(query, NAME).any {
        return Ok(());
    }
    match VisitMut::visit(query, &mut Selects { ctes: cte_names(query) }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

/// What a piece of syntax says of a system column.
pub(super) struct Mentions {
    name: &'static str,
    depth: usize,
    pub(super) any: bool,
    /// Without the name of a table, outside of subqueries.
    pub(super) bare: bool,
    /// The names of tables before it, in subqueries too.
    pub(super) of: HashSet<String>,
}

impl Mentions {
    fn new(name: &'static str) -> Self {
        Self { name, depth: 0, any: false, bare: false, of: HashSet::new() }
    }

    /// Those in a whole query, which says only whether there are any.
    pub(super) fn in_query(query: &Query, name: &'static str) -> Self {
        let mut mentions = Self::new(name);
        let _: ControlFlow<()> = Visit::visit(query, &mut mentions);
        mentions
    }

    /// Those in one SELECT.
    pub(super) fn in_select(select: &Select, name: &'static str) -> Self {
        let mut mentions = Self::new(name);
        let _: ControlFlow<()> = Visit::visit(select, &mut mentions);
        mentions
    }
}

impl Visitor for Mentions {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(column) if folded(column) == self.name => {
                self.any = true;
                self.bare |= self.depth == 0;
            }
            Expr::CompoundIdentifier(parts) => {
                if let [.., table, column] = parts.as_slice()
                    && folded(column) == self.name
                {
                    self.any = true;
                    self.of.insert(folded(table));
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// The names that WITH gives.
#[derive(Default)]
struct Ctes {
    names: HashSet<String>,
}

impl Visitor for Ctes {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
        self.names.extend(ctes.map(|Cte { alias, .. }| folded(&alias.name)));
        ControlFlow::Continue(())
    }
}

/// The names that WITH gives in a query.
pub(super) fn cte_names(query: &Query) -> HashSet<String> {
    let mut ctes = Ctes::default();
    let _: ControlFlow<()> = Visit::visit(query, &mut ctes);
    ctes.names
}

struct Selects {
    ctes: HashSet<String>,
}

impl VisitorMut for Selects {
    type Break = Box<SqlError>;

    fn pre_visit_select(&mut self, select: &mut Select) -> Flow {
        let mentions = Mentions::in_select(select, NAME);
        if !mentions.any {
            return ControlFlow::Continue(());
        }
        // Without a table's name it is the only table's: a query in FROM may have a column of the name.
        let only = match select.from.as_slice() {
            [TableWithJoins { relation, joins }] => joins.is_empty() && self.is_table(relation),
            _ => false,
        };
        let wanted = |label: &str| mentions.of.contains(label) || (mentions.bare && only);
        let starred: Vec<Starred> = select.projection.iter().filter_map(starred).collect();
        for TableWithJoins { relation, joins } in &mut select.from {
            let joined = joins.iter_mut().map(|join| &mut join.relation);
            for factor in std::iter::once(relation).chain(joined) {
                if let Err(error) = self.complete(factor, &wanted, &starred) {
                    return ControlFlow::Break(Box::new(error));
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// `*` or `t.*`.
enum Starred {
    All,
    Of(String),
}

fn starred(item: &SelectItem) -> Option<Starred> {
    match item {
        SelectItem::Wildcard(_) => Some(Starred::All),
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
            Some(Starred::Of(name.0.last().and_then(|part| part.as_ident()).map(folded)?))
        }
        _ => None,
    }
}

impl Selects {
    fn is_table(&self, factor: &TableFactor) -> bool {
        match factor {
            TableFactor::Table { name, args: None, .. } => {
                let [part] = name.0.as_slice() else { return true };
                part.as_ident().is_some_and(|name| !self.ctes.contains(&folded(name)))
            }
            _ => false,
        }
    }

    fn complete(
        &self,
        factor: &mut TableFactor,
        wanted: &impl Fn(&str) -> bool,
        starred: &[Starred],
    ) -> Result<(), SqlError> {
        if let TableFactor::NestedJoin { table_with_joins, .. } = factor {
            let TableWithJoins { relation, joins } = &mut **table_with_joins;
            self.complete(relation, wanted, starred)?;
            return joins
                .iter_mut()
                .try_for_each(|join| self.complete(&mut join.relation, wanted, starred));
        }
        if !self.is_table(factor) {
            return Ok(());
        }
        let TableFactor::Table { name, alias, version, .. } = factor else { return Ok(()) };
        let Some(table) = name.0.last().and_then(|part| part.as_ident()) else { return Ok(()) };
        let label = alias.as_ref().map_or(table, |alias| &alias.name);
        if !wanted(&folded(label)) {
            return Ok(());
        }
        let is_starred = |star: &Starred| match star {
            Starred::All => true,
            Starred::Of(name) => *name == folded(label),
        };
        if starred.iter().any(is_starred) {
            return Err(SqlError::unsupported("tableoid beside * is not supported"));
        }
        let quoted = name.to_string().replace('\'', "''");
        let text = format!("SELECT *, {TABLE_OID}('{quoted}') AS {NAME} FROM {name}");
        let alias = alias.take().unwrap_or_else(|| plain_alias(table.clone()));
        let mut subquery = crate::parse::query(&text)?;
        as_of::move_into(version.take(), &mut subquery);
        *factor = TableFactor::Derived {
            lateral: false,
            subquery: Box::new(subquery),
            alias: Some(alias),
            sample: None,
        };
        Ok(())
    }
}

fn plain_alias(name: Ident) -> TableAlias {
    TableAlias { explicit: true, name, columns: Vec::new(), at: None }
}
