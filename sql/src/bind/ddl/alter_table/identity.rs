//! ALTER COLUMN … ADD GENERATED, SET GENERATED, DROP IDENTITY.

use crate::bind::ddl::Ddl;
use crate::bind::ddl::alter_table::Altering;
use crate::bind::ddl::create_table::identity_type;
use crate::bind::ddl::sequence::SequenceOption;
use crate::catalog::model::Identity;
use crate::catalog::objects::Object;
use crate::error::{SqlError, SqlState};
use std::sync::Arc;
use terrane_client::ids::ColumnId;

fn identity_of(always: bool) -> Identity {
    if always { Identity::Always } else { Identity::ByDefault }
}

fn prerequisite(message: String) -> SqlError {
    SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
}

impl Ddl<'_> {
    pub(super) async fn add_identity(
        &mut self,
        altering: &mut Altering,
        id: ColumnId,
        name: &str,
        always: bool,
        options: &[SequenceOption],
    ) -> Result<(), SqlError> {
        let table = &altering.table;
        let Some(column) = table.column(id) else { return Ok(()) };
        let of = format!("column \"{name}\" of relation \"{}\"", table.name);
        if !column.not_null {
            let message = format!("{of} must be declared NOT NULL before identity can be added");
            return Err(prerequisite(message));
        }
        if column.identity.is_some() {
            return Err(prerequisite(format!("{of} is already an identity column")));
        }
        if column.default.is_some() {
            return Err(prerequisite(format!("{of} already has a default value")));
        }
        let data_type = identity_type(&column.data_type)?;
        self.create_column_sequence(table, id, data_type, options, true).await?;
        if let Some(column) = altering.table.column_mut(id) {
            column.identity = Some(identity_of(always));
        }
        Ok(())
    }

    pub(super) async fn set_identity(
        &mut self,
        altering: &mut Altering,
        id: ColumnId,
        name: &str,
        always: Option<bool>,
        options: &[SequenceOption],
    ) -> Result<(), SqlError> {
        let table = &mut altering.table;
        let (oid, table_name) = (table.oid, table.name.clone());
        let column = table.column_mut(id).filter(|column| column.identity.is_some());
        let Some(column) = column else {
            let message =
                format!("column \"{name}\" of relation \"{table_name}\" is not an identity column");
            return Err(prerequisite(message));
        };
        if let Some(always) = always {
            column.identity = Some(identity_of(always));
        }
        if !options.is_empty()
            && let Some(sequence) = self.catalog().sequence_of_column(oid, id)
        {
            let mut sequence = (**sequence).clone();
            self.reshape_sequence(&mut sequence, options).await?;
            self.tx.put(Object::Sequence(Arc::new(sequence)));
        }
        Ok(())
    }

    pub(super) fn drop_identity(
        &mut self,
        altering: &mut Altering,
        id: ColumnId,
        name: &str,
        if_exists: bool,
    ) -> Result<(), SqlError> {
        let table = &mut altering.table;
        let (oid, table_name) = (table.oid, table.name.clone());
        let column = table.column_mut(id).filter(|column| column.identity.is_some());
        let Some(column) = column else {
            let message =
                format!("column \"{name}\" of relation \"{table_name}\" is not an identity column");
            let error = prerequisite(message);
            return if if_exists { self.skipping(error) } else { Err(error) };
        };
        column.identity = None;
        if let Some(sequence) = self.catalog().sequence_of_column(oid, id) {
            let oid = sequence.oid;
            self.tx.remove(oid);
        }
        Ok(())
    }
}
