//! COPY TO: a query's rows in COPY's format.

use super::relation;
use crate::catalog::quote::quote_ident;
use crate::catalog::snapshot::Relation;
use crate::copy::options::{Columns, CopyOptions};
use crate::copy::statement::{CopySource, CopyStatement};
use crate::copy::writer::CopyWriter;
use crate::error::SqlError;
use crate::parse;
use crate::plan::{errors, planner};
use crate::session::cancel::Cancel;
use crate::session::client::ClientSession;
use crate::session::modify::Target;
use crate::session::response::Response;
use crate::session::select;
use datafusion::sql::sqlparser::ast::{Ident, ObjectName, Query};
use futures::{StreamExt, TryStreamExt};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Runs COPY TO.
pub async fn run(
    session: &mut ClientSession,
    statement: CopyStatement,
    cancel: &Cancel,
) -> Result<Response, SqlError> {
    let CopyStatement { source, from: _, target: _, options: raw, filter: _ } = statement;
    let (query, table) = match source {
        CopySource::Query(query) => (*query, None),
        CopySource::Table(name, columns) => table_query(session, &name, &columns)?,
    };
    let context = session.statement_context(cancel).await?;
    let state = session.state(context);
    let plan = session.plan(&state, query, Vec::new(), &BTreeMap::new())?;
    let columns = planner::result_columns(&plan);
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let options = match &table {
        Some((target, columns)) => relation::options(target, columns, &raw, false)?,
        None => {
            let columns = Columns { table: None, all: &names, copied: &names };
            CopyOptions::check(&raw, columns, false)?
        }
    };
    let rows = select::start(&plan, &state).await?.map_err(errors::of_datafusion).boxed();
    let style = Arc::clone(session.settings.style());
    Ok(Response::CopyOut(CopyWriter::new(options, columns, style).respond(rows)))
}

type TableColumns = (Target, Vec<crate::catalog::model::Column>);

/// The query of a table's rows. A system relation, which is no table of the catalog's, is left to the
/// planner to find.
fn table_query(
    session: &mut ClientSession,
    name: &ObjectName,
    columns: &[Ident],
) -> Result<(Query, Option<TableColumns>), SqlError> {
    let list = |names: Vec<String>| match names.is_empty() {
        true => "*".to_owned(),
        false => names.join(", "),
    };
    let Some(found) = relation::find(session, name) else {
        let names = columns.iter().map(ToString::to_string).collect();
        return Ok((parse::query(&format!("SELECT {} FROM {name}", list(names)))?, None));
    };
    relation::check_kind(&found, false)?;
    let Relation::Table(table) = &found else {
        return Err(SqlError::internal("a relation of another kind"));
    };
    let target = Target::of(session, table)?;
    let columns = relation::columns(&target, columns)?;
    let names = columns.iter().map(|column| quote_ident(&column.name)).collect();
    let query = parse::query(&format!("SELECT {} FROM {name}", list(names)))?;
    Ok((query, Some((target, columns))))
}
