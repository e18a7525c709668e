//! CHECK constraints that cannot be said in the tablets' language (rule 35): evaluated here, on the rows as a
//! statement leaves them. Their programs carry the version of the row they were evaluated on.

use super::apply::Changed;
use super::returning::{ROW, images};
use super::rows::Rows;
use super::target::Target;
use super::violations::shown_row;
use crate::catalog::quote::quote_ident;
use crate::error::{SqlError, SqlState};
use crate::parse;
use crate::plan::errors;
use crate::plan::relations::RETURNED;
use crate::session::cancel::Cancel;
use crate::session::client::ClientSession;
use crate::session::select;
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use datafusion::catalog::TableProvider;
use futures::TryStreamExt;
use std::collections::BTreeMap;
use std::sync::Arc;
use terrane_client::ids::CommitTs;
use terrane_client::program::{Current, RowProgram};
use terrane_client::row::Row;

impl ClientSession {
    /// 23514 where a row that was written is refused by such a constraint.
    pub(super) async fn check_open(
        &mut self,
        target: &Target,
        changed: &[Changed],
        programs: &[RowProgram],
        rows: &Rows,
        cancel: &Cancel,
    ) -> Result<(), SqlError> {
        if target.open_checks.is_empty() {
            return Ok(());
        }
        let written: Vec<&Changed> =
            changed.iter().filter(|row| row.applied && row.after.is_some()).collect();
        if written.is_empty() {
            return Ok(());
        }
        let images: Arc<dyn TableProvider> = Arc::new(images(target, written.iter().copied())?);
        let name = quote_ident(&target.table.name);
        for (constraint, sql) in &target.open_checks {
            let query = parse::query(&format!(
                "SELECT \"{ROW}\" FROM \"{RETURNED}\" AS {name} WHERE NOT ({sql}) LIMIT 1"
            ))?;
            let context = self.statement_context(cancel).await?;
            let state = self.state(context);
            let bound = vec![(RETURNED, Arc::clone(&images))];
            let plan = self.plan(&state, query, bound, &BTreeMap::new())?;
            let batches: Vec<_> = select::start(&plan, &state)
                .await?
                .try_collect()
                .await
                .map_err(errors::of_datafusion)?;
            let Some(refused) = batches.iter().find(|batch| batch.num_rows() > 0) else {
                continue;
            };
            let at = refused.column(0).as_primitive::<Int64Type>().value(0) as usize;
            let Some(Changed { key, after, .. }) = written.get(at) else {
                return Err(self.refused_by(target, constraint, None));
            };
            let whole = match rows.is_partly_read(target.schema.storage, key) {
                true => self.whole_after(target, key, programs).await?,
                false => after.clone(),
            };
            let detail = whole.and_then(|row| shown_row(&target.schema, key, &row));
            return Err(self.refused_by(target, constraint, detail));
        }
        Ok(())
    }

    /// A row as its program leaves it, with the whole of its maps.
    async fn whole_after(
        &mut self,
        target: &Target,
        key: &Bytes,
        programs: &[RowProgram],
    ) -> Result<Option<Row>, SqlError> {
        let table = target.schema.storage;
        let rows = self.rows_of(target, vec![key.clone()]).await?;
        let found = rows.get(table, key);
        let is_of_row = |program: &&RowProgram| program.table == table && program.key == *key;
        let Some(program) = programs.iter().find(is_of_row) else { return Ok(found) };
        let now = CommitTs(self.server.env.clock.now_micros());
        let current = Current { row: found.as_ref(), committed: rows.committed(table, key), now };
        let left = self.evaluated(target, &mut program.clone(), current)?;
        Ok(left.and_then(|left| left.row))
    }

    fn refused_by(
        &mut self,
        target: &Target,
        constraint: &str,
        detail: Option<String>,
    ) -> SqlError {
        let mut error = SqlError::new(
            SqlState::CHECK_VIOLATION,
            format!(
                "new row for relation \"{}\" violates check constraint \"{constraint}\"",
                target.table.name
            ),
        );
        error.detail = detail;
        error.constraint = Some(constraint.to_owned());
        error.table = Some(target.table.name.to_string());
        let catalog = self.catalog();
        error.schema = catalog.schema(target.table.schema).map(|schema| schema.name.to_string());
        error
    }
}
