//! SELECT of one row.

use super::Execution;
use super::apply::PointError;
use super::encode;
use super::operand::KeyOperands;
use super::shape::{self, Pinned};
use crate::bind::names;
use crate::catalog::model::History;
use crate::error::{SqlError, SqlState};
use crate::plan::errors;
use crate::scan::as_of;
use crate::scan::unread_maps::{Incomplete, UnreadMaps};
use crate::session::block::Isolation;
use crate::session::client::ClientSession;
use crate::session::modify::{Target, folded, lower_condition};
use crate::session::response::{CommandTag, PackedResponse, Response, ResultColumn};
use crate::types::oid;
use bytes::Bytes;
use datafusion::sql::sqlparser::ast::{Query, SelectItem, WildcardAdditionalOptions};
use std::sync::Arc;
use terrane_client::error::TabletError;
use terrane_client::expr::{self, Expr as Lowered};
use terrane_client::ids::ColumnId;
use terrane_client::map_column::MapParts;
use terrane_client::program::RowReader;
use terrane_client::read::GetRequest;
use terrane_client::row::Row;
use terrane_client::schema::TableSchema;

/// `SELECT columns FROM table WHERE key = … [AND …]`.
pub struct PointRead {
    schema: Arc<TableSchema>,
    history: History,
    key: KeyOperands,
    condition: Option<Lowered>,
    /// The result's columns, by id.
    output: Vec<ColumnId>,
    columns: Arc<[ResultColumn]>,
    /// The value columns to get: the result's and the condition's, ascending.
    wanted: Arc<[ColumnId]>,
}

impl PointRead {
    /// See [`super::recognise`].
    pub fn recognise(session: &mut ClientSession, query: &Query, types: &[u32]) -> Option<Self> {
        let (items, relation, selection) = shape::plain_select(query)?;
        let target = shape::target(session, relation)?;
        let (output, columns) = outputs(items, &target)?;
        let Pinned { key, rest } = shape::pinned(selection, &target, types)?;
        let condition = match &rest {
            None => None,
            Some(rest) => Some(lower_condition(session, &target, rest, types).ok()??),
        };
        let (history, schema) = (target.table.history(), target.schema);
        let mut wanted = output.clone();
        if let Some(condition) = &condition {
            columns_of(condition, &mut wanted);
        }
        wanted.retain(|id| schema.key_position(*id).is_none());
        wanted.sort_unstable();
        wanted.dedup();
        Some(Self { schema, history, key, condition, output, columns, wanted: wanted.into() })
    }

    /// The result's columns.
    pub fn columns(&self) -> &Arc<[ResultColumn]> {
        &self.columns
    }

    /// Runs it.
    pub async fn run(
        &self,
        session: &mut ClientSession,
        execution: Execution<'_>,
    ) -> Result<Response, PointError> {
        let mut data = Vec::new();
        let mut rows = 0;
        if let Some(key) = self.key.encode(execution.values, &self.schema)?
            && let Some(row) = self.find(session, &key).await?
            && self.holds(&key, &row, &execution)?
        {
            let reader = self.reader(&key, &row);
            let (formats, style) = (&execution.formats, session.settings.style());
            encode::data_row(&reader, &self.output, formats, style, &mut data)?;
            rows = 1;
        }
        Ok(Response::Packed(PackedResponse {
            columns: Arc::clone(&self.columns),
            formats: execution.formats,
            data: data.into(),
            rows,
            tag: CommandTag::RowsSent("SELECT"),
        }))
    }

    /// The row, as the block sees it.
    async fn find(
        &self,
        session: &mut ClientSession,
        key: &Bytes,
    ) -> Result<Option<Row>, PointError> {
        let table = self.schema.storage;
        let past = session.settings.read_at();
        let mut read_ts = past;
        if let Some(at) = past {
            let (name, now) = (&self.schema.name, session.server.env.clock.now_micros());
            as_of::check(name, self.history, at, now, session.settings.style())?;
        } else if let Some(block) = &session.block {
            if let Some(row) = block.overlay.row(table, key) {
                block.overlay.note_row_read(table, key);
                let (Some(row), Some(unread)) = (row, block.overlay.unread(table, key)) else {
                    return Ok(row.clone());
                };
                let (tablets, pinned) = (&*session.server.tablets, block.pinned.as_ref());
                let (key, row, unread) = (key.clone(), row.clone(), unread.clone());
                let maps = UnreadMaps {
                    tablets,
                    schema: &self.schema,
                    read_ts: pinned.map(|(pinned, _)| *pinned),
                    columns: Some(&self.wanted),
                    parts: &MapParts::default(),
                };
                let complete = maps.complete(vec![Incomplete { key, row, unread }]).await?;
                return Ok(complete.into_iter().next().map(|(_, row)| row));
            }
            if block.isolation == Isolation::RepeatableRead {
                read_ts = Some(Box::pin(session.read_timestamp()).await?);
            }
        }
        let request = GetRequest {
            table,
            schema_version: self.schema.version,
            read_ts,
            keys: vec![key.clone()],
            columns: Some(Arc::clone(&self.wanted)),
            map_parts: Default::default(),
        };
        let mut response = match (session.server.tablets.get(request).await, past) {
            (Err(error @ TabletError::HistoryGone { .. }), Some(at)) => {
                let style = session.settings.style();
                return Err(as_of::of_tablet(&self.schema.name, at, style, error).into());
            }
            (response, _) => response?,
        };
        match response.rows.pop() {
            Some(row) => Ok(row),
            None => Err(SqlError::internal("a point read answered no row").into()),
        }
    }

    fn reader<'a>(&'a self, key: &'a Bytes, row: &'a Row) -> RowReader<'a> {
        RowReader { schema: &self.schema, key, cells: Some(&row.cells), excluded: None }
    }

    fn holds(&self, key: &Bytes, row: &Row, execution: &Execution<'_>) -> Result<bool, SqlError> {
        let Some(condition) = &self.condition else { return Ok(true) };
        let condition = condition.bind(execution.values);
        expr::is_true(&condition, &self.reader(key, row)).map_err(|error| errors::of_expr(&error))
    }
}

/// The result's columns: by id, and as the client is told of them.
fn outputs(items: &[SelectItem], target: &Target) -> Option<(Vec<ColumnId>, Arc<[ResultColumn]>)> {
    let mut ids = Vec::new();
    let mut columns = Vec::new();
    let mut push = |id: ColumnId, name: String| {
        let data_type = &target.schema.column(id)?.data_type;
        let wire_type = oid::of(data_type);
        ids.push(id);
        columns.push(ResultColumn { name, wire_type, table_oid: 0, attnum: 0 });
        Some(())
    };
    for item in items {
        match item {
            SelectItem::Wildcard(options) if is_plain(options) => {
                for column in &target.schema.columns {
                    push(column.id, column.name.clone())?;
                }
            }
            SelectItem::UnnamedExpr(expr) => {
                push(shape::column(expr, target)?, names::figure(expr)?)?;
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                push(shape::column(expr, target)?, folded(alias))?;
            }
            _ => return None,
        }
    }
    (!ids.is_empty()).then(|| (ids, columns.into()))
}

fn is_plain(options: &WildcardAdditionalOptions) -> bool {
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike: None,
        opt_exclude: None,
        opt_except: None,
        opt_replace: None,
        opt_rename: None,
        opt_alias: None,
    } = options
    else {
        return false;
    };
    true
}

/// Adds the columns an expression reads.
fn columns_of(expr: &Lowered, found: &mut Vec<ColumnId>) {
    if let Lowered::Column(id, _) = expr {
        found.push(*id);
    }
    for child in expr.children() {
        columns_of(child, found);
    }
}

/// A stored cell that is no value of its column.
pub(super) fn damaged(table: &TableSchema, error: &dyn std::fmt::Display) -> SqlError {
    SqlError::new(SqlState::DATA_CORRUPTED, format!("row of table {}: {error}", table.name))
}
