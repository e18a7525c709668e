//! INSERT.

use super::apply::{Changed, Proposed, encode_key};
use super::assign;
use super::conflict::{self, Conflict};
use super::defaults::fill_defaults;
use super::target::Target;
use super::typed_cells::{check_cells, type_cell, type_unknown};
use super::with::Scope;
use super::{Done, returning};
use crate::catalog::model::{Column, Identity};
use crate::error::{SqlError, SqlState};
use crate::parse::Overriding;
use crate::plan::planner;
use crate::session::cancel::Cancel;
use crate::session::client::ClientSession;
use crate::session::info::SessionInfo;
use crate::session::response::CommandTag;
use crate::session::select::{self, Bound};
use crate::session::statement::Described;
use crate::types::oid;
use arrow::array::{Array, ArrayRef};
use arrow::record_batch::RecordBatch;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Insert, OnConflict as AstOnConflict, OnInsert, Query, SelectItem, SetExpr,
    TableObject, Value as AstValue, ValueWithSpan,
};
use futures::TryStreamExt;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use terrane_client::cell;
use terrane_client::columns::value_at;
use terrane_client::ids::ColumnId;
use terrane_client::program::{Action, Guard, Returning, RowProgram};
use terrane_client::row::{CellsBuilder, PackedCells};
use terrane_client::schema::TableSchema;
use terrane_client::types::DataType;
use terrane_client::value::Value;

/// What an INSERT is made of, once it is known to say nothing else.
struct Parts {
    target: Target,
    /// The columns given, in the order of the source's.
    columns: Vec<Column>,
    source: Option<Box<Query>>,
    /// False where the columns are all of the table's.
    listed: bool,
    overriding: Option<Overriding>,
    conflict: Option<AstOnConflict>,
    returning: Option<Vec<SelectItem>>,
}

fn parts(session: &mut ClientSession, insert: Insert) -> Result<Parts, SqlError> {
    let Insert {
        insert_token: _,
        optimizer_hints: _,
        or: None,
        ignore: false,
        into: _,
        table: TableObject::TableName(name),
        table_alias,
        columns,
        overwrite: false,
        source,
        assignments,
        partitioned: None,
        after_columns,
        has_table_keyword: false,
        on,
        returning,
        output: None,
        replace_into: false,
        priority: None,
        insert_alias: None,
        settings: None,
        format_clause: None,
        multi_table_insert_type: None,
        multi_table_into_clauses,
        ..
    } = insert
    else {
        return Err(SqlError::unsupported("this form of INSERT is not supported"));
    };
    if !assignments.is_empty() || !after_columns.is_empty() || !multi_table_into_clauses.is_empty()
    {
        return Err(SqlError::unsupported("this form of INSERT is not supported"));
    }
    let alias = table_alias.as_ref().map(|alias| &alias.alias);
    let target = Target::find(session, &name, alias)?;
    let listed = !columns.is_empty();
    let columns: Vec<Column> = match columns.is_empty() {
        true => target.table.live_columns().cloned().collect(),
        false => {
            let mut taken = HashSet::new();
            let mut chosen = Vec::new();
            for name in &columns {
                let ident = name.0.last().and_then(|part| part.as_ident());
                let ident = ident.ok_or_else(|| SqlError::syntax("a column name is expected"))?;
                let column = target.column(ident)?;
                if !taken.insert(column.id) {
                    return Err(SqlError::new(
                        SqlState::DUPLICATE_COLUMN,
                        format!("column \"{}\" specified more than once", column.name),
                    ));
                }
                chosen.push(column.clone());
            }
            chosen
        }
    };
    let conflict = match on {
        None => None,
        Some(OnInsert::OnConflict(conflict)) => Some(conflict),
        Some(_) => return Err(SqlError::unsupported("ON DUPLICATE KEY UPDATE is not supported")),
    };
    Ok(Parts { target, columns, source, listed, overriding: None, conflict, returning })
}

/// Runs an INSERT.
pub async fn insert(
    session: &mut ClientSession,
    insert: Insert,
    overriding: Option<Overriding>,
    scope: &Scope,
    cancel: &Cancel,
) -> Result<Done, SqlError> {
    session.check_writable("INSERT")?;
    let mut parts = parts(session, insert)?;
    parts.overriding = overriding;
    if let Some(source) = &mut parts.source {
        scope.put_before(source);
    }
    let rows = source_rows(session, &parts, &scope.bound, cancel).await?;
    let conflict = match &parts.conflict {
        Some(conflict) => Some(conflict::bind(session, &parts.target, conflict)?),
        None => None,
    };
    let mut programs = Vec::with_capacity(rows.len());
    for row in &rows {
        let hidden = session.next_hidden_key();
        programs.push(insert_program(&parts.target, row, conflict.as_ref(), hidden)?);
    }
    let sought = match &conflict {
        Some(Conflict::Sought(sought)) => Some(sought),
        _ => None,
    };
    let shown =
        parts.returning.as_ref().map(|items| session.returned_parts(&parts.target, items, false));
    let proposed = Proposed { programs, sought, shown };
    let changed = session.apply(&parts.target, proposed, cancel).await?;
    let rows: Vec<Changed> = changed.into_iter().filter(|row| row.applied).collect();
    let tag = CommandTag::Insert(rows.len() as u64);
    let Parts { target, returning, .. } = parts;
    Ok(Done { target, returning, rows, joined: Vec::new(), tag })
}

/// The table and RETURNING.
pub fn returning_of(
    session: &mut ClientSession,
    insert: &Insert,
) -> Result<(Target, Option<Vec<SelectItem>>), SqlError> {
    let parts = parts(session, insert.clone())?;
    Ok((parts.target, parts.returning))
}

/// EXPLAIN's line, and the query the rows come from.
pub fn explained(
    session: &mut ClientSession,
    insert: &Insert,
) -> Result<(String, Option<(Query, Bound)>), SqlError> {
    let parts = parts(session, insert.clone())?;
    let line = format!("Insert on {}", parts.target.table.name);
    let source = parts.source.filter(|source| !matches!(&*source.body, SetExpr::Values(_)));
    Ok((line, source.map(|source| (*source, Vec::new()))))
}

/// One row of values, by column.
pub type Values = BTreeMap<ColumnId, Value>;

/// The rows to insert, defaults filled in.
async fn source_rows(
    session: &mut ClientSession,
    parts: &Parts,
    bound: &Bound,
    cancel: &Cancel,
) -> Result<Vec<Values>, SqlError> {
    let mut rows = match &parts.source {
        // DEFAULT VALUES
        None => vec![Values::new()],
        Some(source) => match literal_rows(session, parts, source)? {
            Some(rows) => rows,
            None => query_rows(session, parts, source.clone(), bound, cancel).await?,
        },
    };
    let table = Arc::clone(&parts.target.table);
    fill_defaults(session, &table, &mut rows, cancel).await?;
    Ok(rows)
}

fn check_width(parts: &Parts, given: usize) -> Result<(), SqlError> {
    if given > parts.columns.len() {
        return Err(SqlError::syntax("INSERT has more expressions than target columns"));
    }
    if parts.listed && given < parts.columns.len() {
        return Err(SqlError::syntax("INSERT has more target columns than expressions"));
    }
    Ok(())
}

/// The word DEFAULT.
pub fn is_default(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(Ident { value, quote_style: None, .. })
        if value.eq_ignore_ascii_case("default"))
}

/// VALUES of literals only: no planner needed. `None` where something is to be computed.
fn literal_rows(
    session: &mut ClientSession,
    parts: &Parts,
    source: &Query,
) -> Result<Option<Vec<Values>>, SqlError> {
    let SetExpr::Values(values) = &*source.body else { return Ok(None) };
    let plain = source.with.is_none()
        && source.order_by.is_none()
        && source.limit_clause.is_none()
        && source.fetch.is_none();
    if !plain {
        return Ok(None);
    }
    let info = session.info();
    let mut rows = Vec::with_capacity(values.rows.len());
    let width = values.rows.first().map_or(0, |row| row.content.len());
    for row in &values.rows {
        let cells = &row.content;
        check_width(parts, cells.len())?;
        if cells.len() != width {
            return Err(SqlError::syntax("VALUES lists must all be the same length"));
        }
        let mut found = Values::new();
        for (cell, column) in cells.iter().zip(&parts.columns) {
            if is_default(cell) {
                continue;
            }
            let Some(value) = literal(cell, column, &info)? else { return Ok(None) };
            if takes_given(parts, column)? {
                found.insert(column.id, value);
            }
        }
        rows.push(found);
    }
    Ok(Some(rows))
}

/// A literal as a value of a column; `None` for what has to be computed or converted.
fn literal(expr: &Expr, column: &Column, info: &SessionInfo) -> Result<Option<Value>, SqlError> {
    let parse = |text: &str| {
        let value = crate::types::text::parse(text, &column.data_type, info.input())?;
        Ok(Some(column.rounded(value)))
    };
    let is_number = |column: &Column| {
        use terrane_client::types::DataType::{Float4, Float8, Int2, Int4, Int8, Numeric};
        matches!(column.data_type, Int2 | Int4 | Int8 | Float4 | Float8 | Numeric(_))
    };
    match expr {
        Expr::Nested(inner) => literal(inner, column, info),
        Expr::Value(ValueWithSpan { value, .. }) => match value {
            AstValue::Null => Ok(Some(Value::Null)),
            AstValue::SingleQuotedString(text) | AstValue::EscapedStringLiteral(text) => {
                parse(text)
            }
            AstValue::Boolean(value)
                if column.data_type == terrane_client::types::DataType::Bool =>
            {
                Ok(Some(Value::Bool(*value)))
            }
            // A fraction into an integer rounds, which is not text input: leave it to the cast.
            AstValue::Number(digits, _)
                if is_number(column) && digits.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                match parse(digits) {
                    Err(error) if error.state == SqlState::NUMERIC_VALUE_OUT_OF_RANGE => {
                        Err(assign::out_of_range(column))
                    }
                    other => other,
                }
            }
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

/// True where a value given for the column is taken, false where its sequence has the say (OVERRIDING USER
/// VALUE); 428C9 for GENERATED ALWAYS.
fn takes_given(parts: &Parts, column: &Column) -> Result<bool, SqlError> {
    match (column.identity, parts.overriding) {
        (None, _) | (Some(_), Some(Overriding::SystemValue)) => Ok(true),
        (Some(_), Some(Overriding::UserValue)) => Ok(false),
        (Some(Identity::Always), None) => Err(SqlError::new(
            SqlState("428C9"),
            format!("cannot insert a non-DEFAULT value into column \"{}\"", column.name),
        )
        .with_detail(format!(
            "Column \"{}\" is an identity column defined as GENERATED ALWAYS.",
            column.name
        ))
        .with_hint("Use OVERRIDING SYSTEM VALUE to override.")),
        (Some(_), None) => Ok(true),
    }
}

/// Rows of a SELECT, or of VALUES that compute.
async fn query_rows(
    session: &mut ClientSession,
    parts: &Parts,
    mut source: Box<Query>,
    bound: &Bound,
    cancel: &Cancel,
) -> Result<Vec<Values>, SqlError> {
    let mut defaulted: HashSet<(usize, usize)> = HashSet::new();
    let is_values = matches!(&*source.body, SetExpr::Values(_));
    if let SetExpr::Values(values) = &mut *source.body {
        for (at, row) in values.rows.iter_mut().enumerate() {
            check_width(parts, row.content.len())?;
            for (cell_at, (cell, column)) in row.content.iter_mut().zip(&parts.columns).enumerate()
            {
                if is_default(cell) {
                    defaulted.insert((at, cell_at));
                    *cell = Expr::value(AstValue::Null);
                }
                type_cell(cell, column);
            }
        }
    } else if let SetExpr::Select(select) = &mut *source.body {
        for (item, column) in select.projection.iter_mut().zip(&parts.columns) {
            if let SelectItem::UnnamedExpr(expr) = item {
                type_unknown(expr, column);
            }
        }
    }
    let context = session.statement_context(cancel).await?;
    let state = session.state(context);
    let plan = session.plan(&state, *source, bound.clone(), &BTreeMap::new())?;
    let fields: Vec<_> = plan.schema().fields().iter().cloned().collect();
    check_width(parts, fields.len())?;
    if is_values {
        check_cells(&plan, &parts.columns)?;
    }
    let mut batches = select::start(&plan, &state).await?;
    let info = session.info();
    let mut rows = Vec::new();
    while let Some(batch) = batches.try_next().await.map_err(crate::plan::errors::of_datafusion)? {
        cancel.check()?;
        let columns: Vec<ArrayRef> = batch
            .columns()
            .iter()
            .zip(&fields)
            .zip(&parts.columns)
            .map(|((array, field), column)| {
                assign::convert(array, oid::of_field(field), column, &info)
            })
            .collect::<Result<_, _>>()?;
        append_rows(parts, &batch, &columns, &defaulted, &mut rows)?;
    }
    Ok(rows)
}

fn append_rows(
    parts: &Parts,
    batch: &RecordBatch,
    columns: &[ArrayRef],
    defaulted: &HashSet<(usize, usize)>,
    rows: &mut Vec<Values>,
) -> Result<(), SqlError> {
    for at in 0..batch.num_rows() {
        let row_at = rows.len();
        let mut row = Values::new();
        for (column_at, (array, column)) in columns.iter().zip(&parts.columns).enumerate() {
            if defaulted.contains(&(row_at, column_at)) {
                continue;
            }
            if !takes_given(parts, column)? {
                continue;
            }
            let value = match array.is_null(at) {
                true => Value::Null,
                false => value_at(array.as_ref(), at, &column.data_type)
                    .map_err(|error| SqlError::internal(error.to_string()))?,
            };
            row.insert(column.id, value);
        }
        rows.push(row);
    }
    Ok(())
}

/// A row's program.
pub fn insert_program(
    target: &Target,
    row: &Values,
    conflict: Option<&Conflict>,
    hidden_key: Vec<u8>,
) -> Result<RowProgram, SqlError> {
    let schema = &target.schema;
    let value_of = |id: ColumnId| row.get(&id).cloned().unwrap_or(Value::Null);
    let key = match schema.key.is_empty() {
        true => hidden_key.into(),
        false => {
            let values: Vec<Value> = schema.key.iter().map(|key| value_of(key.column)).collect();
            encode_key(&values, schema)?
        }
    };
    let cells = row_cells(schema, value_of)?;
    let (guard, condition, action) = match conflict {
        None | Some(Conflict::Sought(_)) => (Guard::Absent, None, Action::Put { cells }),
        Some(Conflict::Lowered { action, condition }) => {
            let upsert = Action::Upsert { insert: cells, conflict: action.clone() };
            (Guard::Any, condition.clone(), upsert)
        }
    };
    Ok(RowProgram {
        table: schema.storage,
        schema_version: schema.version,
        key,
        guard,
        condition: condition.map(Box::new),
        action,
        returning: Returning::Nothing,
    })
}

/// The table of an INSERT and the columns it gives; errors and refusals are those of running it.
pub fn insert_target(
    session: &mut ClientSession,
    insert: Insert,
) -> Result<(Target, Vec<Column>), SqlError> {
    let Parts { target, columns, .. } = parts(session, insert)?;
    Ok((target, columns))
}

/// Parameters standing alone in VALUES have their column's type.
pub fn describe(
    session: &mut ClientSession,
    insert: &Insert,
    types: &BTreeMap<usize, u32>,
    scope: &Scope,
) -> Result<Described, SqlError> {
    let mut parts = parts(session, insert.clone())?;
    if let Some(source) = &mut parts.source {
        scope.put_before(source);
    }
    let mut described = Described::default();
    if let Some(source) = &parts.source {
        match &*source.body {
            SetExpr::Values(values) => {
                for row in &values.rows {
                    for (cell, column) in row.content.iter().zip(&parts.columns) {
                        returning::note_parameter(cell, column, &mut described.parameters);
                    }
                }
            }
            body => {
                if let SetExpr::Select(select) = body {
                    let items = select.projection.iter().zip(&parts.columns);
                    for (item, column) in items {
                        if let SelectItem::UnnamedExpr(cell) = item {
                            let known = &mut described.parameters;
                            returning::note_parameter(cell, column, known);
                        }
                    }
                }
                let mut types = types.clone();
                types.extend(described.parameters.iter().map(|(at, found)| (*at, *found)));
                let state = session.describing();
                let query = (**source).clone();
                let plan = session.plan(&state, query, scope.bound.clone(), &types)?;
                described.parameters.extend(select::parameters_of(&plan)?);
            }
        }
    }
    if let Some(items) = parts.returning {
        let plan = returning::plan(session, &parts.target, items, &[], types)?;
        described.columns = Some(planner::result_columns(&plan));
    }
    Ok(described)
}

/// A whole row's cells: every column but the key's.
pub fn row_cells(
    schema: &TableSchema,
    value_of: impl Fn(ColumnId) -> Value,
) -> Result<PackedCells, SqlError> {
    let mut cells = CellsBuilder::default();
    let mut bytes = Vec::new();
    if schema.has_dated() {
        let stamp = cell::encoded(&value_of(ColumnId::STAMP), &DataType::TimestampTz)
            .map_err(|error| SqlError::internal(error.to_string()))?;
        if stamp.is_some() {
            cells.push(ColumnId::STAMP, stamp.as_deref());
        }
    }
    for column in schema.value_columns() {
        let value = value_of(column.id);
        if value == Value::Null {
            // An absent cell reads as the missing value, which may not be NULL.
            if column.missing != Value::Null {
                cells.push(column.id, None);
            }
            continue;
        }
        bytes.clear();
        cell::encode(&value, &column.data_type, &mut bytes)
            .map_err(|error| SqlError::internal(error.to_string()))?;
        cells.push(column.id, Some(&bytes));
    }
    Ok(cells.finish())
}
