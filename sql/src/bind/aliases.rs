//! Tables that have an alias: by their own name they are not to be reached any more.

use super::names::folded;
use crate::error::{SqlError, SqlState};
use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{Query, TableFactor, Visit, Visitor};

/// The tables of a statement that have an alias, each with it.
#[derive(Default)]
pub struct Aliases {
    pairs: Vec<(String, String)>,
    /// The names that relations go by.
    names: Vec<String>,
}

impl Aliases {
    /// Of all of a query's relations, at any depth.
    pub fn of(query: &Query) -> Self {
        let mut found = Self::default();
        let _: ControlFlow<()> = Visit::visit(query, &mut found);
        found
    }

    /// Says of a table that was not found by its name why that is.
    pub fn explain(&self, error: SqlError) -> SqlError {
        let Some(table) = missing(&error) else { return error };
        let alias = self.pairs.iter().find(|(name, _)| name == table).map(|(_, alias)| alias);
        let hint = match alias {
            Some(alias) => format!("Perhaps you meant to reference the table alias \"{alias}\"."),
            None if self.names.iter().any(|name| name == table) => format!(
                "There is an entry for table \"{table}\", but it cannot be referenced from this part \
                 of the query."
            ),
            None => return error,
        };
        let message = format!("invalid reference to FROM-clause entry for table \"{table}\"");
        SqlError::new(SqlState::UNDEFINED_TABLE, message).with_hint(hint)
    }
}

fn missing(error: &SqlError) -> Option<&str> {
    let named = error.message.strip_prefix("missing FROM-clause entry for table \"")?;
    named.strip_suffix('"').filter(|_| error.state == SqlState::UNDEFINED_TABLE)
}

impl Visitor for Aliases {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let (name, alias) = match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                (name.0.last().and_then(|part| part.as_ident()).map(folded), alias)
            }
            TableFactor::Derived { alias, .. } => (None, alias),
            _ => return ControlFlow::Continue(()),
        };
        let alias = alias.as_ref().map(|alias| folded(&alias.name));
        match (name, alias) {
            (Some(name), Some(alias)) => {
                self.names.push(alias.clone());
                if name != alias {
                    self.pairs.push((name, alias));
                }
            }
            (name, alias) => self.names.extend(alias.or(name)),
        }
        ControlFlow::Continue(())
    }
}
