//! TRUNCATE: a new, empty storage instead of the old one (rule 34).

use crate::bind::ddl::cursor::{Cursor, Parsed};
use crate::bind::ddl::{Ddl, QualifiedName};
use crate::catalog::model::Table;
use crate::catalog::objects::Object;
use crate::error::SqlError;
use datafusion::sql::sqlparser::tokenizer::Token;
use std::sync::Arc;

/// TRUNCATE.
#[derive(Clone, Debug, PartialEq)]
pub struct Truncate {
    /// The tables.
    pub names: Vec<QualifiedName>,
    /// RESTART IDENTITY.
    pub restart_identity: bool,
}

pub(crate) fn parse(cursor: &mut Cursor<'_, '_>) -> Parsed<Truncate> {
    cursor.take(&["TABLE"]);
    let names = cursor.list(|cursor| {
        cursor.take(&["ONLY"]);
        let name = cursor.name()?;
        cursor.take_token(&Token::Mul);
        Ok(name)
    })?;
    let restart_identity = cursor.take(&["RESTART", "IDENTITY"]);
    if !restart_identity {
        cursor.take(&["CONTINUE", "IDENTITY"]);
    }
    // There are no foreign keys to cascade along.
    cursor.cascade();
    Ok(Truncate { names, restart_identity })
}

impl Ddl<'_> {
    pub async fn truncate(&mut self, statement: Truncate) -> Result<&'static str, SqlError> {
        let Truncate { names, restart_identity } = statement;
        for name in &names {
            let table = self.table(name)?;
            self.check_user_schema(table.schema)?;
            self.context.store.empty_table(self.tx, &table).await?;
            if restart_identity {
                self.restart_sequences(&table).await?;
            }
        }
        Ok("TRUNCATE TABLE")
    }

    /// RESTART IDENTITY: the sequences of the columns get new counters, so that ROLLBACK forgets it.
    async fn restart_sequences(&mut self, table: &Table) -> Result<(), SqlError> {
        let owned: Vec<_> = self.catalog().sequences_of_table(table.oid).cloned().collect();
        for sequence in owned {
            let mut restarted = (*sequence).clone();
            restarted.counter = self.context.store.allocate_storage().await?;
            self.tx.put(Object::Sequence(Arc::new(restarted)));
        }
        Ok(())
    }
}
