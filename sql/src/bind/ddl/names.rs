//! Names in DDL: what they refer to, where new objects go, and the names PostgreSQL makes up.

use crate::bind::ddl::{Ddl, QualifiedName};
use crate::catalog::model::{Sequence, Table};
use crate::catalog::oid::Oid;
use crate::catalog::snapshot::{Catalog, Relation};
use crate::error::{SqlError, SqlState};
use std::sync::Arc;

/// PostgreSQL's limit for names it makes up: NAMEDATALEN - 1.
const NAME_BYTES_MAX: usize = 63;

/// What a statement expects a name to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationKind {
    /// A table.
    Table,
    /// A view.
    View,
    /// A sequence.
    Sequence,
    /// An index.
    Index,
}

impl RelationKind {
    /// What PostgreSQL's messages call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::View => "view",
            Self::Sequence => "sequence",
            Self::Index => "index",
        }
    }

    /// The kind of a relation.
    pub fn of(relation: &Relation) -> Self {
        match relation {
            Relation::Table(_) => Self::Table,
            Relation::View(_) => Self::View,
            Relation::Sequence(_) => Self::Sequence,
            Relation::Index(..) => Self::Index,
            Relation::System(relation) if relation.is_view => Self::View,
            Relation::System(_) => Self::Table,
        }
    }
}

/// Where a new relation goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// Its schema.
    pub schema: Oid,
    /// True where that is the session's temporary one.
    pub temporary: bool,
}

/// 42P01: a relation that is not there.
pub(crate) fn undefined_relation(name: &QualifiedName) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist"))
}

/// 42809: another kind of relation than the statement is about.
pub(crate) fn wrong_kind(relation: &Relation, wanted: &str) -> SqlError {
    let article = if wanted.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    let message = format!("\"{}\" is not {article} {wanted}", relation.name());
    SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
}

/// 42701: a column that is there already.
pub(crate) fn duplicate_column(name: &str, relation: &str) -> SqlError {
    let message = format!("column \"{name}\" of relation \"{relation}\" already exists");
    SqlError::new(SqlState::DUPLICATE_COLUMN, message)
}

/// 42703: a column that is not there.
pub(crate) fn undefined_column(name: &str, relation: &str) -> SqlError {
    let message = format!("column \"{name}\" of relation \"{relation}\" does not exist");
    SqlError::new(SqlState::UNDEFINED_COLUMN, message)
}

/// 42P07: a relation that is there already.
pub(crate) fn duplicate_relation(name: &str) -> SqlError {
    SqlError::new(SqlState::DUPLICATE_TABLE, format!("relation \"{name}\" already exists"))
}

impl Ddl<'_> {
    /// What a name stands for; `None` where nothing has it. A schema that is not there is no error here:
    /// IF EXISTS covers it.
    pub fn find(&self, name: &QualifiedName) -> Result<Option<Relation>, SqlError> {
        self.check_database(name)?;
        let catalog = self.catalog();
        Ok(match &name.schema {
            None => catalog.resolve(self.context.path, &name.name),
            Some(schema) => catalog
                .schema_by_name(schema)
                .and_then(|schema| catalog.relation_in(schema.oid, &name.name)),
        })
    }

    /// The relation a name stands for, or 42P01.
    pub fn relation(&self, name: &QualifiedName) -> Result<Relation, SqlError> {
        self.find(name)?.ok_or_else(|| undefined_relation(name))
    }

    /// The table a name stands for, or 42P01 or 42809.
    pub fn table(&self, name: &QualifiedName) -> Result<Arc<Table>, SqlError> {
        match self.relation(name)? {
            Relation::Table(table) => Ok(table),
            other => Err(wrong_kind(&other, "table")),
        }
    }

    fn check_database(&self, name: &QualifiedName) -> Result<(), SqlError> {
        let Some(database) = &name.database else { return Ok(()) };
        let own = self.catalog().database().is_some_and(|own| *own.name == **database);
        match own || database == "postgres" {
            true => Ok(()),
            false => Err(SqlError::unsupported(format!(
                "cross-database references are not implemented: \"{name}\""
            ))),
        }
    }

    /// Where a new relation of this name goes. Makes the session's temporary schema where it is needed.
    pub async fn target(
        &mut self,
        name: &QualifiedName,
        temporary: bool,
    ) -> Result<Target, SqlError> {
        self.check_database(name)?;
        let explicit = name.schema.as_deref();
        let named_temporary = explicit.is_some_and(|schema| schema == "pg_temp");
        if temporary && explicit.is_some() && !named_temporary {
            let message = "cannot create temporary relation in non-temporary schema";
            return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
        }
        let first = self.context.path.names().next().filter(|_| explicit.is_none());
        if temporary || named_temporary || first == Some("pg_temp") {
            return Ok(Target { schema: self.temporary_schema().await?, temporary: true });
        }
        let schema = match explicit {
            Some(schema) => self.schema(schema)?,
            None => {
                let schema = self.catalog().creation_schema(self.context.path);
                schema.map(|schema| schema.oid).ok_or_else(|| {
                    let message = "no schema has been selected to create in";
                    SqlError::new(SqlState::INVALID_SCHEMA_NAME, message)
                })?
            }
        };
        self.check_user_schema(schema)?;
        let temporary = self.catalog().temporary().is_some_and(|temp| temp.schema == schema);
        Ok(Target { schema, temporary })
    }

    async fn temporary_schema(&mut self) -> Result<Oid, SqlError> {
        if let Some(temporary) = self.catalog().temporary() {
            return Ok(temporary.schema);
        }
        let oid = self.oid().await?;
        self.tx.create_temporary_schema(oid, self.context.session, Oid::SUPERUSER);
        Ok(oid)
    }

    /// The schema with this name, or 3F000.
    pub fn schema(&self, name: &str) -> Result<Oid, SqlError> {
        let found = self.catalog().schema_by_name(name);
        found.map(|schema| schema.oid).ok_or_else(|| {
            let message = format!("schema \"{name}\" does not exist");
            SqlError::new(SqlState::INVALID_SCHEMA_NAME, message)
        })
    }

    /// 42501 for the system's own schemas.
    pub fn check_user_schema(&self, schema: Oid) -> Result<(), SqlError> {
        let system = [Oid::PG_CATALOG, Oid::PG_TOAST, Oid::INFORMATION_SCHEMA, Oid::TERRANE];
        if !system.contains(&schema) {
            return Ok(());
        }
        let name = self.catalog().schema(schema).map_or("", |schema| &*schema.name);
        let message = format!("permission denied for schema {name}");
        Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message)
            .with_detail("System catalog modifications are currently disallowed."))
    }

    /// 42P07 where a schema has a relation of this name.
    pub fn check_free(&self, schema: Oid, name: &str) -> Result<(), SqlError> {
        match self.catalog().relation_in(schema, name) {
            Some(_) => Err(duplicate_relation(name)),
            None => Ok(()),
        }
    }

    /// The role a statement names, which must exist: 42704.
    pub fn role(&self, name: Option<&str>) -> Result<Oid, SqlError> {
        let Some(name) = name else { return Ok(Oid::SUPERUSER) };
        let role = self.catalog().role_by_name(name).map(|role| role.oid);
        role.ok_or_else(|| {
            SqlError::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist"))
        })
    }
}

/// PostgreSQL's makeObjectName: `name1_name2_label`, the longer of the two names cut until it fits.
pub(crate) fn object_name(name1: &str, name2: Option<&str>, label: &str) -> String {
    let overhead = 1 + label.len() + name2.map_or(0, |_| 1);
    let available = NAME_BYTES_MAX.saturating_sub(overhead);
    let (mut size1, mut size2) = (name1.len(), name2.map_or(0, str::len));
    while size1 + size2 > available {
        if size1 > size2 {
            size1 -= 1;
        } else {
            size2 -= 1;
        }
    }
    let cut = |text: &str, size: usize| text[..text.floor_char_boundary(size)].to_owned();
    let mut made = cut(name1, size1);
    if let Some(name2) = name2 {
        made.push('_');
        made.push_str(&cut(name2, size2));
    }
    made.push('_');
    made.push_str(label);
    made
}

/// The first made-up name that is free: `t_a_key`, `t_a_key1`, `t_a_key2`, …
pub(crate) fn free_name(
    name1: &str,
    name2: Option<&str>,
    label: &str,
    is_taken: impl Fn(&str) -> bool,
) -> String {
    let mut made = object_name(name1, name2, label);
    let mut pass = 0;
    while is_taken(&made) {
        pass += 1;
        made = object_name(name1, name2, &format!("{label}{pass}"));
    }
    made
}

/// PostgreSQL's ChooseIndexNameAddition: the columns' names put together, `expr` for expressions.
pub(crate) fn columns_addition<'a>(columns: impl Iterator<Item = &'a str>) -> String {
    let mut made = String::new();
    for column in columns {
        if !made.is_empty() {
            made.push('_');
        }
        made.push_str(column);
        if made.len() > NAME_BYTES_MAX {
            break;
        }
    }
    made
}

/// True where a schema has a constraint of this name: PostgreSQL makes up names that are unique in the
/// whole schema, although they need not be.
pub(crate) fn has_constraint(catalog: &Catalog, schema: Oid, name: &str) -> bool {
    catalog.relations_of(schema).any(|(_, reference)| {
        catalog.table(reference.oid()).is_some_and(|table| table.has_constraint(name))
    })
}

/// The sequence, or 42809.
pub(crate) fn as_sequence(relation: Relation) -> Result<Arc<Sequence>, SqlError> {
    match relation {
        Relation::Sequence(sequence) => Ok(sequence),
        other => Err(wrong_kind(&other, "sequence")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_names_are_cut_as_postgresql_cuts_them() {
        assert_eq!(object_name("t", None, "pkey"), "t_pkey");
        assert_eq!(object_name("t", Some("a_b"), "key"), "t_a_b_key");
        let long = "x".repeat(63);
        let made = object_name(&long, Some("col"), "seq");
        assert_eq!(made, format!("{}_col_seq", "x".repeat(55)));
        let made = object_name(&long, Some(&long), "check");
        assert_eq!(made.len(), 63);
        let accents = "é".repeat(40);
        assert!(object_name(&accents, None, "pkey").len() <= 63);
    }

    #[test]
    fn made_up_names_count_until_one_is_free() {
        let taken = ["t_a_key", "t_a_key1"];
        let made = free_name("t", Some("a"), "key", |name| taken.contains(&name));
        assert_eq!(made, "t_a_key2");
    }
}
