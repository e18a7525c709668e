//! DROP, and what goes with it.

mod cascade;

pub(crate) use cascade::Subject;

use crate::bind::ddl::cursor::{Cursor, Parsed};
use crate::bind::ddl::names::{RelationKind, wrong_kind};
use crate::bind::ddl::{Ddl, QualifiedName};
use crate::catalog::oid::Oid;
use crate::catalog::snapshot::Relation;
use crate::error::{SqlError, SqlState};

/// DROP.
#[derive(Clone, Debug, PartialEq)]
pub struct Drop {
    /// What kind of object.
    pub kind: DropKind,
    /// IF EXISTS.
    pub if_exists: bool,
    /// Which.
    pub names: Vec<QualifiedName>,
    /// CASCADE.
    pub cascade: bool,
}

/// What DROP drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropKind {
    /// Relations of one kind.
    Relation(RelationKind),
    /// Schemas.
    Schema,
    /// Objects of a kind of which there are none: nothing to do where IF EXISTS.
    Absent(&'static str),
}

/// Kinds of objects there are none of, whose DROP IF EXISTS has nothing to do.
const ABSENT: &[(&[&str], &str)] = &[
    (&["MATERIALIZED", "VIEW"], "materialized view"),
    (&["FOREIGN", "TABLE"], "foreign table"),
    (&["TYPE"], "type"),
    (&["DOMAIN"], "type"),
    (&["EXTENSION"], "extension"),
];

pub(crate) fn parse(cursor: &mut Cursor<'_, '_>) -> Parsed<Drop> {
    let kinds = [
        ("TABLE", DropKind::Relation(RelationKind::Table)),
        ("VIEW", DropKind::Relation(RelationKind::View)),
        ("SEQUENCE", DropKind::Relation(RelationKind::Sequence)),
        ("INDEX", DropKind::Relation(RelationKind::Index)),
        ("SCHEMA", DropKind::Schema),
    ];
    let kind = match kinds.into_iter().find(|(word, _)| cursor.take(&[word])) {
        Some((_, kind)) => kind,
        None => {
            let absent = ABSENT.iter().find(|(words, _)| {
                let n = words.len();
                cursor.sees(words) && cursor.is(n, "IF") && cursor.is(n + 1, "EXISTS")
            });
            let Some((words, name)) = absent else {
                return super::unsupported::after(cursor, "DROP");
            };
            cursor.expect(words)?;
            DropKind::Absent(name)
        }
    };
    if kind == DropKind::Relation(RelationKind::Index) {
        cursor.take(&["CONCURRENTLY"]);
    }
    let if_exists = cursor.if_exists();
    let names = cursor.list(Cursor::name)?;
    let cascade = cursor.cascade();
    Ok(Drop { kind, if_exists, names, cascade })
}

impl Ddl<'_> {
    pub async fn drop(&mut self, statement: Drop) -> Result<&'static str, SqlError> {
        let Drop { kind, if_exists, names, cascade } = statement;
        let (tag, subjects) = match kind {
            DropKind::Relation(kind) => {
                let mut subjects = Vec::new();
                for name in &names {
                    subjects.extend(self.drop_subject(kind, name, if_exists)?);
                }
                let tag = match kind {
                    RelationKind::Table => "DROP TABLE",
                    RelationKind::View => "DROP VIEW",
                    RelationKind::Sequence => "DROP SEQUENCE",
                    RelationKind::Index => "DROP INDEX",
                };
                (tag, subjects)
            }
            DropKind::Schema => {
                let mut subjects = Vec::new();
                for name in &names {
                    subjects.extend(self.schema_subject(name, if_exists)?);
                }
                ("DROP SCHEMA", subjects)
            }
            DropKind::Absent(kind) => {
                for name in &names {
                    let message = format!("{kind} \"{name}\" does not exist");
                    self.skipping(SqlError::new(SqlState("00000"), message))?;
                }
                let tag = match kind {
                    "materialized view" => "DROP MATERIALIZED VIEW",
                    "foreign table" => "DROP FOREIGN TABLE",
                    "extension" => "DROP EXTENSION",
                    _ => "DROP TYPE",
                };
                (tag, Vec::new())
            }
        };
        self.drop_subjects(subjects, cascade).await?;
        Ok(tag)
    }

    fn drop_subject(
        &mut self,
        kind: RelationKind,
        name: &QualifiedName,
        if_exists: bool,
    ) -> Result<Option<Subject>, SqlError> {
        let Some(relation) = self.find(name)? else {
            let missing = name
                .schema
                .as_ref()
                .filter(|schema| self.catalog().schema_by_name(schema).is_none());
            let error = match (missing, kind) {
                (Some(schema), _) => {
                    let message = format!("schema \"{schema}\" does not exist");
                    SqlError::new(SqlState::INVALID_SCHEMA_NAME, message)
                }
                (None, kind) => {
                    let message = format!("{} \"{}\" does not exist", kind.name(), name.name);
                    let state = match kind {
                        RelationKind::Index => SqlState::UNDEFINED_OBJECT,
                        _ => SqlState::UNDEFINED_TABLE,
                    };
                    SqlError::new(state, message)
                }
            };
            return if if_exists { self.skipping(error).map(|()| None) } else { Err(error) };
        };
        let actual = RelationKind::of(&relation);
        if actual != kind {
            let article = if actual == RelationKind::Index { "an" } else { "a" };
            let hint = format!(
                "Use DROP {} to remove {article} {}.",
                actual.name().to_uppercase(),
                actual.name()
            );
            return Err(wrong_kind(&relation, kind.name()).with_hint(hint));
        }
        self.check_user_schema(relation.schema())?;
        Ok(Some(match relation {
            Relation::Index(oid, table) => Subject::Index(table.oid, oid),
            other => Subject::Relation(other.oid()),
        }))
    }

    fn schema_subject(
        &mut self,
        name: &QualifiedName,
        if_exists: bool,
    ) -> Result<Option<Subject>, SqlError> {
        match self.schema(&name.name) {
            Ok(oid) => {
                if [Oid::PG_CATALOG, Oid::PG_TOAST, Oid::TERRANE].contains(&oid) {
                    let message = format!(
                        "cannot drop schema {} because it is required by the database system",
                        name.name
                    );
                    let state = SqlState::DEPENDENT_OBJECTS_STILL_EXIST;
                    return Err(SqlError::new(state, message));
                }
                self.check_user_schema(oid)?;
                if self.catalog().temporary().is_some_and(|temp| temp.schema == oid) {
                    return Err(SqlError::unsupported("dropping the temporary schema"));
                }
                Ok(Some(Subject::Schema(oid)))
            }
            Err(error) if if_exists => self.skipping(error).map(|()| None),
            Err(error) => Err(error),
        }
    }
}
