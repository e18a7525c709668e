//! CREATE SEQUENCE and ALTER SEQUENCE, and the sequences of SERIAL and IDENTITY columns.

mod options;

pub use options::SequenceOption;
pub(crate) use options::{Shape, parse_options};

use crate::bind::ddl::cursor::{Cursor, Parsed};
use crate::bind::ddl::names::{self, RelationKind, as_sequence};
use crate::bind::ddl::rename;
use crate::bind::ddl::{Ddl, DdlStatement, QualifiedName};
use crate::catalog::Position;
use crate::catalog::model::{OnCommit, Persistence, Sequence, SequenceOwner, Table};
use crate::catalog::objects::Object;
use crate::catalog::oid::Oid;
use crate::catalog::snapshot::Relation;
use crate::error::{SqlError, SqlState};
use std::sync::Arc;
use terrane_client::ids::ColumnId;
use terrane_client::types::DataType;

/// CREATE SEQUENCE.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateSequence {
    /// TEMP.
    pub temporary: bool,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
    /// Its name.
    pub name: QualifiedName,
    /// Its options.
    pub options: Vec<SequenceOption>,
}

/// ALTER SEQUENCE with options.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterSequence {
    /// IF EXISTS.
    pub if_exists: bool,
    /// Its name.
    pub name: QualifiedName,
    /// What changes.
    pub options: Vec<SequenceOption>,
}

pub(crate) fn parse_create(cursor: &mut Cursor<'_, '_>, temporary: bool) -> Parsed<CreateSequence> {
    let if_not_exists = cursor.if_not_exists();
    let name = cursor.name()?;
    let options = parse_options(cursor)?;
    Ok(CreateSequence { temporary, if_not_exists, name, options })
}

pub(crate) fn parse_alter(cursor: &mut Cursor<'_, '_>) -> Parsed<DdlStatement> {
    let if_exists = cursor.if_exists();
    let name = cursor.name()?;
    if let Some(change) = rename::parse_change(cursor)? {
        let kind = RelationKind::Sequence;
        let alter = rename::AlterRelation { kind, if_exists, name, change };
        return Ok(DdlStatement::AlterRelation(alter));
    }
    let options = parse_options(cursor)?;
    if options.is_empty() {
        return cursor.fail("a sequence option");
    }
    Ok(DdlStatement::AlterSequence(AlterSequence { if_exists, name, options }))
}

/// A sequence to be made.
pub(crate) struct NewSequence<'a> {
    pub schema: Oid,
    pub name: String,
    pub persistence: Persistence,
    /// The type where the options name none.
    pub data_type: DataType,
    pub options: &'a [SequenceOption],
    pub owned_by: Option<SequenceOwner>,
}

impl Ddl<'_> {
    pub async fn create_sequence(
        &mut self,
        statement: CreateSequence,
    ) -> Result<&'static str, SqlError> {
        let CreateSequence { temporary, if_not_exists, name, options } = statement;
        let target = self.target(&name, temporary).await?;
        let tag = "CREATE SEQUENCE";
        if self.catalog().relation_in(target.schema, &name.name).is_some() {
            let error = names::duplicate_relation(&name.name);
            if !if_not_exists {
                return Err(error);
            }
            return self.skipping(error).map(|()| tag);
        }
        let persistence = match target.temporary {
            true => Persistence::Temporary(OnCommit::PreserveRows),
            false => Persistence::Permanent,
        };
        let owned_by = match owner_option(&options) {
            Some(Some(column)) => Some(self.owner(column, target.schema)?),
            Some(None) | None => None,
        };
        self.put_new_sequence(NewSequence {
            schema: target.schema,
            name: name.name,
            persistence,
            data_type: DataType::Int8,
            options: &options,
            owned_by,
        })
        .await?;
        Ok(tag)
    }

    /// Makes a sequence and puts it in.
    pub async fn put_new_sequence(&mut self, new: NewSequence<'_>) -> Result<Oid, SqlError> {
        let shape = Shape::new(new.data_type, new.options)?;
        let counter = self.context.store.allocate_storage().await?;
        let oid = self.oid().await?;
        if let Some(Some(restart)) = shape.restart {
            self.place(counter, restart).await?;
        }
        let sequence = Sequence {
            oid,
            schema: new.schema,
            name: new.name.into(),
            owner: Oid::SUPERUSER,
            persistence: new.persistence,
            counter,
            data_type: shape.data_type,
            start: shape.start,
            increment: shape.increment,
            min: shape.min,
            max: shape.max,
            cycle: shape.cycle,
            cache: shape.cache,
            owned_by: new.owned_by,
            comment: None,
        };
        self.tx.put(Object::Sequence(Arc::new(sequence)));
        Ok(oid)
    }

    async fn place(
        &self,
        counter: terrane_client::ids::StorageId,
        value: i64,
    ) -> Result<(), SqlError> {
        let position = Position { last: value, called: false };
        self.context.store.sequences().place(counter, position).await
    }

    pub async fn alter_sequence(
        &mut self,
        statement: AlterSequence,
    ) -> Result<&'static str, SqlError> {
        let AlterSequence { if_exists, name, options } = statement;
        let tag = "ALTER SEQUENCE";
        let Some(relation) = self.find(&name)? else {
            let error = names::undefined_relation(&name);
            return if if_exists { self.skipping(error).map(|()| tag) } else { Err(error) };
        };
        let sequence = as_sequence(relation)?;
        self.check_user_schema(sequence.schema)?;
        let mut altered = (*sequence).clone();
        if let Some(column) = owner_option(&options) {
            if sequence.owned_by.is_some_and(|owner| owner.identity) {
                let message = "cannot change ownership of identity sequence";
                return Err(SqlError::unsupported(message));
            }
            altered.owned_by = match column {
                Some(column) => Some(self.owner(column, sequence.schema)?),
                None => None,
            };
        }
        self.reshape_sequence(&mut altered, &options).await?;
        self.tx.put(Object::Sequence(Arc::new(altered)));
        Ok(tag)
    }

    /// Changes a sequence's shape and position as options say.
    pub async fn reshape_sequence(
        &self,
        sequence: &mut Sequence,
        options: &[SequenceOption],
    ) -> Result<(), SqlError> {
        let position = self.context.store.sequences().position(sequence).await?;
        let shape = Shape::altered(sequence, options, position.last)?;
        sequence.data_type = shape.data_type;
        (sequence.start, sequence.increment) = (shape.start, shape.increment);
        (sequence.min, sequence.max) = (shape.min, shape.max);
        (sequence.cycle, sequence.cache) = (shape.cycle, shape.cache);
        let moved = match shape.restart {
            Some(restart) => Position { last: restart.unwrap_or(sequence.start), called: false },
            // A sequence nobody took from yet stays where it stands, whatever START says from now on.
            None if !position.called => position,
            None => return Ok(()),
        };
        sequence.counter = self.context.store.allocate_storage().await?;
        self.context.store.sequences().place(sequence.counter, moved).await
    }

    /// The column of OWNED BY: of a table in the sequence's schema.
    fn owner(&self, column: &QualifiedName, schema: Oid) -> Result<SequenceOwner, SqlError> {
        let Some(table) = &column.schema else {
            let error = SqlError::syntax("invalid OWNED BY option");
            return Err(error.with_hint("Specify OWNED BY table.column or OWNED BY NONE."));
        };
        let table =
            QualifiedName { database: None, schema: column.database.clone(), name: table.clone() };
        let table = match self.relation(&table)? {
            Relation::Table(table) => table,
            other => {
                let message = format!("sequence cannot be owned by relation \"{}\"", other.name());
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
            }
        };
        if table.schema != schema {
            let message = "sequence must be in same schema as table it is linked to";
            return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
        }
        let found = table.column_by_name(&column.name);
        let found = found.ok_or_else(|| names::undefined_column(&column.name, &table.name))?;
        Ok(SequenceOwner { table: table.oid, column: found.id, identity: false })
    }

    /// The sequence of a SERIAL or IDENTITY column. Its name is made up, unless the options have one.
    pub async fn create_column_sequence(
        &mut self,
        table: &Table,
        column: ColumnId,
        data_type: DataType,
        options: &[SequenceOption],
        identity: bool,
    ) -> Result<Oid, SqlError> {
        let given = options.iter().find_map(|option| match option {
            SequenceOption::Name(name) => Some(name.name.clone()),
            _ => None,
        });
        let column_name = table.column(column).map(|column| column.name.clone());
        let name = match given {
            Some(name) => {
                self.check_free(table.schema, &name)?;
                name
            }
            None => self.free_index_name(table, column_name.as_deref(), "seq"),
        };
        self.put_new_sequence(NewSequence {
            schema: table.schema,
            name,
            persistence: match table.persistence {
                Persistence::Temporary(_) => Persistence::Temporary(OnCommit::PreserveRows),
                Persistence::Permanent => Persistence::Permanent,
            },
            data_type,
            options,
            owned_by: Some(SequenceOwner { table: table.oid, column, identity }),
        })
        .await
    }

    /// The NOTICE of IF [NOT] EXISTS.
    pub fn skipping(&mut self, mut error: SqlError) -> Result<(), SqlError> {
        error.message.push_str(", skipping");
        // That something is not there is no condition of its own to PostgreSQL; that it is there is.
        let missing = [
            SqlState::UNDEFINED_TABLE,
            SqlState::UNDEFINED_COLUMN,
            SqlState::UNDEFINED_OBJECT,
            SqlState::INVALID_SCHEMA_NAME,
        ];
        if missing.contains(&error.state) {
            error.state = SqlState("00000");
        }
        self.notice(error);
        Ok(())
    }
}

/// OWNED BY: a column, or NONE. The outer `None` is no such option.
fn owner_option(options: &[SequenceOption]) -> Option<Option<&QualifiedName>> {
    options.iter().rev().find_map(|option| match option {
        SequenceOption::OwnedBy(column) => Some(column.as_ref()),
        _ => None,
    })
}
