//! ADD COLUMN, DROP COLUMN, ALTER COLUMN.

use crate::bind::ddl::alter_table::{Altering, ColumnChange};
use crate::bind::ddl::create_table::ColumnDefinition;
use crate::bind::ddl::drop::Subject;
use crate::bind::ddl::expression::Place;
use crate::bind::ddl::map_column;
use crate::bind::ddl::names::{duplicate_column, undefined_column};
use crate::bind::ddl::{Ddl, DdlAction};
use crate::catalog::model::ColumnDefault;
use crate::catalog::objects::Object;
use crate::catalog::stored_sql::StoredSql;
use crate::error::{SqlError, SqlState};
use crate::types::oid;
use datafusion::sql::sqlparser::ast::{DataType as TypeName, Expr};
use terrane_client::ids::ColumnId;
use terrane_client::types::DataType;
use terrane_client::value::Value;

impl Ddl<'_> {
    pub(super) async fn alter_add_column(
        &mut self,
        altering: &mut Altering,
        column: ColumnDefinition,
        if_not_exists: bool,
    ) -> Result<(), SqlError> {
        let name = column.name.clone();
        if altering.table.column_by_name(&name).is_some() {
            let error = duplicate_column(&name, &altering.table.name);
            return if if_not_exists { self.skipping(error) } else { Err(error) };
        }
        let default = column.options.iter().find_map(|(_, option)| match option {
            crate::bind::ddl::create_table::ColumnOption::Default(expr) => Some(expr.clone()),
            _ => None,
        });
        let mut constraints = Vec::new();
        let id = self.add_column(&mut altering.table, column, &mut constraints).await?;
        map_column::bind(&mut altering.table)?;
        let (not_null, data_type, has_default, identity) = match altering.table.column(id) {
            Some(column) => (
                column.not_null,
                column.data_type.clone(),
                column.default.is_some(),
                column.identity.is_some(),
            ),
            None => return Err(SqlError::internal("ADD COLUMN added no column")),
        };
        let mut missing = Value::Null;
        if identity || (has_default && default.is_none()) {
            // Each row gets a value of its own.
            altering.rewrite = true;
        } else if let Some(expr) = default.filter(|_| has_default) {
            let constant =
                self.context.analyzer.constant(&expr, &data_type, self.catalog()).await?;
            match constant {
                Some(value) => {
                    let column = altering.table.column(id);
                    missing = column.map_or(Value::Null, |column| column.rounded(value));
                }
                None => altering.rewrite = true,
            }
        }
        let filled = altering.rewrite || !missing.is_null();
        if not_null && !filled {
            altering.fence = true;
            let table = altering.table.oid;
            altering.validate.push(DdlAction::ValidateNotNull { table, column: id });
        }
        if let Some(column) = altering.table.column_mut(id) {
            column.missing = missing;
        }
        for constraint in constraints {
            self.alter_add_constraint(altering, constraint).await?;
        }
        Ok(())
    }

    pub(in crate::bind::ddl) async fn alter_drop_column(
        &mut self,
        altering: &mut Altering,
        name: &str,
        if_exists: bool,
        cascade: bool,
    ) -> Result<(), SqlError> {
        let Some(id) = altering.table.column_by_name(name).map(|column| column.id) else {
            let error = undefined_column(name, &altering.table.name);
            return if if_exists { self.skipping(error) } else { Err(error) };
        };
        if altering.old.column(id).is_some() {
            self.put_altered(altering).await?;
            self.drop_dependents(Subject::Column(altering.table.oid, id), cascade).await?;
            self.take_altered(altering);
        }
        let table = &mut altering.table;
        if table.key_position(id).is_some() {
            table.primary_key = None;
            altering.rewrite = true;
        }
        let oid = table.oid;
        table.indexes.retain(|index| !index.uses_column(oid, id));
        table.checks.retain(|check| !check.sql.depends_on(oid, Some(id)));
        let mut family_of_map = None;
        if let Some(column) = table.column_mut(id) {
            column.dropped = true;
            column.name = format!("........pg.dropped.{}........", id.0).into();
            (column.not_null, column.default) = (false, None);
            (column.identity, column.comment) = (None, None);
            column.missing = Value::Null;
            if column.data_type.is_map() {
                family_of_map = Some(std::mem::take(&mut column.family));
            }
        }
        if let Some(family) = family_of_map {
            table.families.remove_with_group(family);
        }
        altering.using.remove(&id);
        Ok(())
    }

    pub(super) async fn alter_column(
        &mut self,
        altering: &mut Altering,
        name: &str,
        change: ColumnChange,
    ) -> Result<(), SqlError> {
        let id = altering.column(name)?;
        match change {
            ColumnChange::SetDefault(expr) => self.set_default(altering, id, name, &expr).await,
            ColumnChange::DropDefault => {
                refuse_identity(altering, id, name, "DROP IDENTITY")?;
                with_column(altering, id, |column| column.default = None);
                Ok(())
            }
            ColumnChange::SetNotNull => {
                let already = altering.table.column(id).is_some_and(|column| column.not_null);
                if !already {
                    with_column(altering, id, |column| column.not_null = true);
                    altering.fence = true;
                    let table = altering.table.oid;
                    altering.validate.push(DdlAction::ValidateNotNull { table, column: id });
                }
                Ok(())
            }
            ColumnChange::DropNotNull => {
                if altering.table.key_position(id).is_some() {
                    let message = format!("column \"{name}\" is in a primary key");
                    return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
                }
                refuse_identity(altering, id, name, "")?;
                with_column(altering, id, |column| column.not_null = false);
                Ok(())
            }
            ColumnChange::Type { data_type, using } => {
                self.change_type(altering, id, name, &data_type, using).await
            }
            ColumnChange::AddIdentity { always, options } => {
                self.add_identity(altering, id, name, always, &options).await
            }
            ColumnChange::SetIdentity { always, options } => {
                self.set_identity(altering, id, name, always, &options).await
            }
            ColumnChange::DropIdentity { if_exists } => {
                self.drop_identity(altering, id, name, if_exists)
            }
            ColumnChange::Ignored(clause) => {
                self.ignored(clause, "storage is laid out otherwise here");
                Ok(())
            }
        }
    }

    async fn set_default(
        &mut self,
        altering: &mut Altering,
        id: ColumnId,
        name: &str,
        expr: &Expr,
    ) -> Result<(), SqlError> {
        refuse_identity(altering, id, name, "DROP IDENTITY")?;
        let Some(data_type) = altering.table.column(id).map(|column| column.data_type.clone())
        else {
            return Ok(());
        };
        let default = match self.default_expression(expr, name, &data_type).await? {
            Some(sql) => Some(ColumnDefault { oid: self.oid().await?, sql }),
            None => None,
        };
        with_column(altering, id, |column| column.default = default);
        Ok(())
    }

    async fn change_type(
        &mut self,
        altering: &mut Altering,
        id: ColumnId,
        name: &str,
        type_name: &TypeName,
        using: Option<Expr>,
    ) -> Result<(), SqlError> {
        let (to, precision) = self.column_type(type_name, name)?;
        let Some(column) = altering.table.column(id).cloned() else { return Ok(()) };
        self.refuse_viewed(altering, id, name)?;
        let from = column.data_type.clone();
        if using.is_none() && from == to && column.precision == precision {
            return Ok(());
        }
        let analyzer = self.context.analyzer;
        if using.is_none() && !analyzer.is_assignable(oid::of(&from), &to) {
            let message = format!("column \"{name}\" cannot be cast automatically to type {to}");
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message)
                .with_hint(format!("You might need to specify \"USING {name}::{to}\".")));
        }
        let key = altering.table.key_position(id).is_some();
        let indexed = altering
            .table
            .indexes
            .iter()
            .any(|index| index.unique.is_some() && index.uses_column(altering.table.oid, id));
        if (key || indexed) && !to.is_key_type() {
            let message = format!("column \"{name}\" of type {to} in a key is not supported");
            return Err(SqlError::unsupported(message));
        }
        // More digits of a second change no value.
        let finer = from == to
            && precision.is_none_or(|to| column.precision.is_some_and(|from| from <= to));
        if using.is_none() && (finer || (!key && !indexed && is_widening(&from, &to))) {
            with_column(altering, id, |column| {
                (column.data_type, column.precision) = (to, precision);
            });
            return Ok(());
        }
        let sql = match using {
            Some(expr) => {
                let old = altering.old.clone();
                let (sql, wire) = self.table_expression(&expr, &old, Place::Using).await?;
                if wire.oid != oid::UNKNOWN && !analyzer.is_assignable(wire, &to) {
                    let message = format!(
                        "result of USING clause for column \"{name}\" cannot be cast automatically \
                         to type {to}"
                    );
                    return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message)
                        .with_hint("You might need to add an explicit cast."));
                }
                StoredSql::new(format!("CAST(({}) AS {to})", sql.as_str()))
            }
            None => {
                let reference = StoredSql::column(altering.table.oid, id);
                StoredSql::new(format!("CAST({reference} AS {to})"))
            }
        };
        altering.using.insert(id, sql);
        altering.rewrite = true;
        with_column(altering, id, |column| {
            (column.data_type, column.precision) = (to, precision);
            column.missing = Value::Null;
        });
        Ok(())
    }

    /// 0A000 where a view depends on the column.
    fn refuse_viewed(&self, altering: &Altering, id: ColumnId, name: &str) -> Result<(), SqlError> {
        let oid = altering.table.oid;
        let viewing = self.catalog().objects().find_map(|object| match object {
            Object::View(view) if view.query.depends_on(oid, Some(id)) => Some(view),
            _ => None,
        });
        match viewing {
            None => Ok(()),
            Some(view) => {
                Err(SqlError::unsupported("cannot alter type of a column used by a view or rule")
                    .with_detail(format!(
                        "rule _RETURN on view {} depends on column \"{name}\"",
                        view.name
                    )))
            }
        }
    }
}

fn with_column(
    altering: &mut Altering,
    id: ColumnId,
    change: impl FnOnce(&mut crate::catalog::model::Column),
) {
    if let Some(column) = altering.table.column_mut(id) {
        change(column);
    }
}

fn refuse_identity(
    altering: &Altering,
    id: ColumnId,
    name: &str,
    instead: &str,
) -> Result<(), SqlError> {
    if altering.table.column(id).is_none_or(|column| column.identity.is_none()) {
        return Ok(());
    }
    let message =
        format!("column \"{name}\" of relation \"{}\" is an identity column", altering.table.name);
    let error = SqlError::syntax(message);
    Err(match instead {
        "" => error,
        instead => {
            error.with_hint(format!("Use ALTER TABLE ... ALTER COLUMN ... {instead} instead."))
        }
    })
}

/// True where stored values of `from` are stored values of `to` as they are (rule 34).
fn is_widening(from: &DataType, to: &DataType) -> bool {
    match (from, to) {
        (DataType::Varchar(_), DataType::Text | DataType::Varchar(None)) => true,
        (DataType::Text, DataType::Varchar(None)) => true,
        (DataType::Varchar(Some(from)), DataType::Varchar(Some(to))) => from <= to,
        (DataType::Numeric(Some((p, s))), DataType::Numeric(Some((to_p, to_s)))) => {
            s == to_s && p <= to_p && from.physical() == to.physical()
        }
        _ => false,
    }
}
