//! ALTER TABLE: changes of columns and constraints.
//!
//! The actions of one statement are applied one after the other to a copy of the table, which is put in at
//! the end. What only touches names and defaults is a catalog write; what has to see every row fences the
//! table and leaves a [`DdlAction`]; what changes keys or stored types goes into a new storage
//! (rule 34).

mod column;
mod finish;
mod identity;
mod syntax;

pub(crate) use syntax::parse;
pub use syntax::{AlterAction, AlterTable, ColumnChange};

use crate::bind::ddl::constraint::{Constraint, ConstraintKind};
use crate::bind::ddl::create_table::{is_table_parameter, kept_options};
use crate::bind::ddl::drop::Subject;
use crate::bind::ddl::family::check_expiry;
use crate::bind::ddl::history;
use crate::bind::ddl::names::{undefined_column, undefined_relation, wrong_kind};
use crate::bind::ddl::tablets;
use crate::bind::ddl::{Ddl, DdlAction};
use crate::catalog::model::Table;
use crate::catalog::oid::Oid;
use crate::catalog::snapshot::Relation;
use crate::catalog::stored_sql::StoredSql;
use crate::error::{SqlError, SqlState};
use std::collections::BTreeMap;
use std::sync::Arc;
use terrane_client::ids::ColumnId;
use terrane_client::schema::HISTORY_DEFAULT_MICROS;

/// 42704: a constraint that is not there.
pub(crate) fn undefined_constraint(name: &str, table: &str) -> SqlError {
    let message = format!("constraint \"{name}\" of relation \"{table}\" does not exist");
    SqlError::new(SqlState::UNDEFINED_OBJECT, message)
}

/// A table being altered.
pub(super) struct Altering {
    /// As it was.
    pub old: Arc<Table>,
    /// As it is so far.
    pub table: Table,
    /// True where rows have to be looked at: others wait.
    pub fence: bool,
    /// True where rows have to be copied into a new storage.
    pub rewrite: bool,
    /// For a rewrite: columns computed from the old row.
    pub using: BTreeMap<ColumnId, StoredSql>,
    /// What rows have to be checked for.
    pub validate: Vec<DdlAction>,
    /// Unique indexes that are new.
    pub new_unique: Vec<Oid>,
}

impl Altering {
    /// The column with this name, or 42703.
    pub fn column(&self, name: &str) -> Result<ColumnId, SqlError> {
        let found = self.table.column_by_name(name).map(|column| column.id);
        found.ok_or_else(|| undefined_column(name, &self.table.name))
    }
}

impl Ddl<'_> {
    pub async fn alter_table(&mut self, statement: AlterTable) -> Result<&'static str, SqlError> {
        let AlterTable { if_exists, name, actions } = statement;
        let tag = "ALTER TABLE";
        let Some(relation) = self.find(&name)? else {
            let error = undefined_relation(&name);
            return if if_exists { self.skipping(error).map(|()| tag) } else { Err(error) };
        };
        let old = match relation {
            Relation::Table(table) => table,
            other => return Err(wrong_kind(&other, "table")),
        };
        self.check_user_schema(old.schema)?;
        let mut altering = Altering {
            table: (*old).clone(),
            old,
            fence: false,
            rewrite: false,
            using: BTreeMap::new(),
            validate: Vec::new(),
            new_unique: Vec::new(),
        };
        for action in actions {
            self.alter(&mut altering, action).await?;
        }
        check_expiry(&altering.table)?;
        history::check(altering.table.history_micros, altering.table.purge_within_micros)?;
        self.finish_altering(altering).await?;
        Ok(tag)
    }

    async fn alter(
        &mut self,
        altering: &mut Altering,
        action: AlterAction,
    ) -> Result<(), SqlError> {
        match action {
            AlterAction::AddColumn { if_not_exists, column } => {
                self.alter_add_column(altering, column, if_not_exists).await
            }
            AlterAction::DropColumn { if_exists, name, cascade } => {
                self.alter_drop_column(altering, &name, if_exists, cascade).await
            }
            AlterAction::AlterColumn { name, change } => {
                self.alter_column(altering, &name, change).await
            }
            AlterAction::AddConstraint(constraint) => {
                self.alter_add_constraint(altering, constraint).await
            }
            AlterAction::DropConstraint { if_exists, name, cascade: _ } => {
                self.alter_drop_constraint(altering, &name, if_exists)
            }
            AlterAction::RenameConstraint(from, to) => {
                // The copy is put in and taken out again, because renaming works on what is there.
                self.put_altered(altering).await?;
                let table = altering.old.clone();
                self.rename_constraint(&table, &from, &to)?;
                self.take_altered(altering);
                Ok(())
            }
            AlterAction::Family(change) => self.alter_family(altering, change).await,
            AlterAction::ValidateConstraint(name) => match altering.table.has_constraint(&name) {
                true => Ok(()),
                false => Err(undefined_constraint(&name, &altering.table.name)),
            },
            AlterAction::SetOptions(options) => self.set_options(altering, options),
            AlterAction::ResetOptions(names) => {
                let is_reset = |option: &String| {
                    names.iter().any(|name| option.split('=').next() == Some(name))
                };
                altering.table.options.retain(|option| !is_reset(option));
                if names.iter().any(|name| history::is_history(name)) {
                    altering.table.set_history(HISTORY_DEFAULT_MICROS);
                }
                if names.iter().any(|name| history::is_purge_within(name)) {
                    altering.table.set_purge_within(None);
                }
                if names.iter().any(|name| tablets::is_size(name)) {
                    altering.table.tablet_bytes_max = None;
                }
                if names.iter().any(|name| tablets::is_split_at(name)) {
                    altering.table.split_keys.clear();
                }
                Ok(())
            }
            AlterAction::Ignored(clause, why) => {
                self.ignored(clause, why);
                Ok(())
            }
        }
    }

    fn set_options(
        &mut self,
        altering: &mut Altering,
        options: Vec<(String, Option<String>)>,
    ) -> Result<(), SqlError> {
        let (times, others) = history::take(options)?;
        let (tablets, others) = tablets::take(others)?;
        if tablets.split_at.is_some() {
            let error = SqlError::unsupported("\"split_at\" of a table that is there");
            return Err(error.with_hint("Call terrane.split(table, key)."));
        }
        if tablets.bytes_max.is_some() {
            altering.table.tablet_bytes_max = tablets.bytes_max;
        }
        let mut kept = kept_options(self, others, is_table_parameter)?;
        kept.extend(tablets.shown);
        if let Some(history) = times.history {
            altering.table.set_history(history.micros);
            kept.push(history.shown);
        }
        if let Some(within) = times.purge_within {
            altering.table.set_purge_within(Some(within.micros));
            kept.push(within.shown);
        }
        for option in kept {
            let name = option.split('=').next().unwrap_or_default().to_owned();
            let is_same = |other: &String| other.split('=').next() == Some(&*name);
            altering.table.options.retain(|other| !is_same(other));
            altering.table.options.push(option);
        }
        Ok(())
    }

    async fn alter_add_constraint(
        &mut self,
        altering: &mut Altering,
        constraint: Constraint,
    ) -> Result<(), SqlError> {
        let Constraint { name, kind } = constraint;
        let table = &mut altering.table;
        match kind {
            ConstraintKind::Check(expr) => {
                let constraint = self.add_check(table, name, &expr).await?;
                altering.fence = true;
                let table = table.oid;
                altering.validate.push(DdlAction::ValidateCheck { table, constraint });
            }
            ConstraintKind::Unique(parts) => {
                let index = self.add_unique(table, name, &parts).await?;
                altering.fence = true;
                altering.new_unique.push(index);
            }
            ConstraintKind::PrimaryKey(parts) => {
                self.set_primary_key(table, name, &parts).await?;
                altering.rewrite = true;
                for part in parts {
                    let column = altering.column(&part.column)?;
                    let table = altering.table.oid;
                    altering.validate.push(DdlAction::ValidateNotNull { table, column });
                }
            }
        }
        Ok(())
    }

    fn alter_drop_constraint(
        &mut self,
        altering: &mut Altering,
        name: &str,
        if_exists: bool,
    ) -> Result<(), SqlError> {
        let table = &mut altering.table;
        if !table.has_constraint(name) {
            let error = undefined_constraint(name, &table.name);
            return if if_exists { self.skipping(error) } else { Err(error) };
        }
        if table.primary_key.as_ref().is_some_and(|key| *key.name == *name) {
            table.primary_key = None;
            altering.rewrite = true;
        }
        table.checks.retain(|check| *check.name != *name);
        table.indexes.retain(|index| index.constraint.is_none() || *index.name != *name);
        Ok(())
    }

    /// Drops what depends on a column or, without CASCADE, refuses (2BP01).
    pub(super) async fn drop_dependents(
        &mut self,
        subject: Subject,
        cascade: bool,
    ) -> Result<(), SqlError> {
        self.drop_subjects(vec![subject], cascade).await
    }
}
