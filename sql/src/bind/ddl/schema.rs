//! CREATE SCHEMA and ALTER SCHEMA.

use crate::bind::ddl::Ddl;
use crate::bind::ddl::cursor::{Cursor, Parsed};
use crate::catalog::model::Schema;
use crate::catalog::objects::Object;
use crate::error::{SqlError, SqlState};
use std::sync::Arc;

/// CREATE SCHEMA.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateSchema {
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
    /// Its name; `None` is the owner's.
    pub name: Option<String>,
    /// AUTHORIZATION: the owner, `None` for the current user.
    pub owner: Option<String>,
}

/// ALTER SCHEMA.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterSchema {
    /// Its name.
    pub name: String,
    /// What changes.
    pub change: SchemaChange,
}

/// What changes of a schema.
#[derive(Clone, Debug, PartialEq)]
pub enum SchemaChange {
    /// RENAME TO.
    Rename(String),
    /// OWNER TO; `None` is the current user.
    Owner(Option<String>),
}

pub(crate) fn parse_create(cursor: &mut Cursor<'_, '_>) -> Parsed<CreateSchema> {
    let if_not_exists = cursor.if_not_exists();
    let name = match cursor.sees(&["AUTHORIZATION"]) {
        true => None,
        false => Some(cursor.ident()?),
    };
    let owner = match cursor.take(&["AUTHORIZATION"]) {
        true => cursor.role()?,
        false => None,
    };
    if !cursor.at_end() {
        return cursor.unsupported("CREATE SCHEMA with its elements");
    }
    Ok(CreateSchema { if_not_exists, name, owner })
}

pub(crate) fn parse_alter(cursor: &mut Cursor<'_, '_>) -> Parsed<AlterSchema> {
    let name = cursor.ident()?;
    let change = if cursor.take(&["RENAME", "TO"]) {
        SchemaChange::Rename(cursor.ident()?)
    } else {
        cursor.expect(&["OWNER", "TO"])?;
        SchemaChange::Owner(cursor.role()?)
    };
    Ok(AlterSchema { name, change })
}

fn check_name(name: &str) -> Result<(), SqlError> {
    if !name.starts_with("pg_") {
        return Ok(());
    }
    let message = format!("unacceptable schema name \"{name}\"");
    Err(SqlError::new(SqlState::RESERVED_NAME, message)
        .with_detail("The prefix \"pg_\" is reserved for system schemas."))
}

impl Ddl<'_> {
    pub async fn create_schema(
        &mut self,
        statement: CreateSchema,
    ) -> Result<&'static str, SqlError> {
        let CreateSchema { if_not_exists, name, owner } = statement;
        let tag = "CREATE SCHEMA";
        let owner_oid = self.role(owner.as_deref())?;
        let own_name = || {
            let role = self.catalog().role(owner_oid);
            role.map_or_else(String::new, |role| role.name.to_string())
        };
        let name = name.unwrap_or_else(own_name);
        check_name(&name)?;
        if self.catalog().schema_by_name(&name).is_some() {
            let message = format!("schema \"{name}\" already exists");
            let error = SqlError::new(SqlState::DUPLICATE_SCHEMA, message);
            return if if_not_exists { self.skipping(error).map(|()| tag) } else { Err(error) };
        }
        let oid = self.oid().await?;
        let schema = Schema { oid, name: name.into(), owner: owner_oid, comment: None };
        self.tx.put(Object::Schema(Arc::new(schema)));
        Ok(tag)
    }

    pub fn alter_schema(&mut self, statement: AlterSchema) -> Result<&'static str, SqlError> {
        let AlterSchema { name, change } = statement;
        let oid = self.schema(&name)?;
        self.check_user_schema(oid)?;
        match change {
            SchemaChange::Owner(role) => {
                self.role(role.as_deref())?;
            }
            SchemaChange::Rename(to) => {
                check_name(&to)?;
                if self.catalog().schema_by_name(&to).is_some() {
                    let message = format!("schema \"{to}\" already exists");
                    return Err(SqlError::new(SqlState::DUPLICATE_SCHEMA, message));
                }
                if let Some(schema) = self.catalog().schema(oid).cloned() {
                    let renamed = Schema { name: to.into(), ..(*schema).clone() };
                    self.tx.put(Object::Schema(Arc::new(renamed)));
                }
            }
        }
        Ok("ALTER SCHEMA")
    }
}
