//! Refused programs as PostgreSQL's errors, with the constraint's name and the row's values.

use super::rows::version_of;
use super::target::Target;
use crate::catalog::model::{Index, Table};
use crate::catalog::objects::Object;
use crate::catalog::snapshot::Catalog;
use crate::error::{SqlError, SqlState};
use crate::plan::errors;
use crate::plan::rows::column_value;
use crate::scan::versions::TIMESTAMP_COLUMN;
use crate::session::races;
use crate::types::text;
use terrane_client::error::TabletError;
use terrane_client::expr::ExprError;
use terrane_client::ids::{CommitTs, StorageId};
use terrane_client::key;
use terrane_client::program::{Current, RowError, RowProgram, evaluate};
use terrane_client::row::Row;
use terrane_client::schema::TableSchema;
use terrane_client::value::Value;

/// The error of a program that a tablet, or the block's own evaluation, refused.
pub fn violation(catalog: &Catalog, program: &RowProgram, error: &RowError) -> SqlError {
    let Some((table, index)) = owner(catalog, program.table) else {
        return SqlError::internal(format!("storage {}: {error}", program.table));
    };
    let mut violation = match error {
        RowError::AlreadyExists => already_exists(table, index, &program.key),
        RowError::NotNull(column) => {
            let name = table.column(*column).map_or("", |column| &*column.name).to_owned();
            let mut violation = SqlError::new(
                SqlState::NOT_NULL_VIOLATION,
                format!(
                    "null value in column \"{name}\" of relation \"{}\" violates not-null constraint",
                    table.name
                ),
            );
            violation.column = Some(name);
            violation
        }
        RowError::Check(name) => {
            let mut violation = SqlError::new(
                SqlState::CHECK_VIOLATION,
                format!(
                    "new row for relation \"{}\" violates check constraint \"{name}\"",
                    table.name
                ),
            );
            violation.constraint = Some(name.clone());
            violation
        }
        RowError::TimestampOutOfRange => {
            return SqlError::new(
                SqlState::DATETIME_FIELD_OVERFLOW,
                format!("\"{TIMESTAMP_COLUMN}\" is out of range"),
            )
            .with_detail(
                "A timestamp may be at most a minute ahead of the clock, and not infinite.",
            );
        }
        RowError::VersionChanged { .. } | RowError::NotMatched => {
            return lost(program.table, &program.key);
        }
        // The tablet's schema is another than the one the program was made for.
        RowError::Expr(ExprError::IllTyped(_)) => {
            let asked = program.schema_version;
            let changed =
                TabletError::SchemaChanged { table: program.table, asked, current: asked };
            return errors::of_tablet(changed);
        }
        RowError::Expr(error) => return errors::of_expr(error),
    };
    violation.schema = catalog.schema(table.schema).map(|schema| schema.name.to_string());
    violation.table = Some(table.name.to_string());
    violation
}

/// 40001 of a row that another commit has changed.
pub fn lost(table: StorageId, key: &[u8]) -> SqlError {
    let mut error = SqlError::new(
        SqlState::SERIALIZATION_FAILURE,
        "could not serialize access due to concurrent update",
    );
    error.lost_row = Some(races::place_of(table, key));
    error
}

/// The DETAIL of a row that a constraint refuses: `Failing row contains (1, null).`
pub fn failing_row(target: &Target, program: &RowProgram, found: Option<&Row>) -> Option<String> {
    let mut open = (*target.schema).clone();
    open.checks.clear();
    open.columns.iter_mut().for_each(|column| column.not_null = false);
    let current = Current { row: found, committed: version_of(found), now: CommitTs::MAX };
    let row = evaluate(program, &open, &open, current).ok()?.after?;
    shown_row(&open, &program.key, &row)
}

/// `Failing row contains (1, null).`
pub fn shown_row(schema: &TableSchema, key: &[u8], row: &Row) -> Option<String> {
    let mut texts = Vec::new();
    for column in &schema.columns {
        let text = match column_value(schema, column.id, key, row).ok()? {
            Value::Null => "null".to_owned(),
            value => text::to_string(&value, &column.data_type, &Default::default()),
        };
        texts.push(shortened(text));
    }
    Some(format!("Failing row contains ({}).", texts.join(", ")))
}

/// PostgreSQL shows so much of a value.
fn shortened(text: String) -> String {
    const SHOWN_BYTES: usize = 64;
    if text.len() <= SHOWN_BYTES {
        return text;
    }
    format!("{}...", &text[..text.floor_char_boundary(SHOWN_BYTES)])
}

/// The table, or the unique index of a table, that a storage belongs to.
fn owner(catalog: &Catalog, storage: StorageId) -> Option<(&Table, Option<&Index>)> {
    catalog.objects().find_map(|object| {
        let Object::Table(table) = object else { return None };
        if table.storage == storage {
            return Some((&**table, None));
        }
        let index = table.indexes.iter().find(|index| index.unique == Some(storage))?;
        Some((&**table, Some(index)))
    })
}

fn already_exists(table: &Table, index: Option<&Index>, row_key: &[u8]) -> SqlError {
    let schema = match index {
        None => Some(table.tablet_schema(Vec::new())),
        Some(index) => index.tablet_schema(table),
    };
    let name = match (index, &table.primary_key) {
        (Some(index), _) => index.name.to_string(),
        (None, Some(primary_key)) => primary_key.name.to_string(),
        (None, None) => String::new(),
    };
    let mut violation = SqlError::new(
        SqlState::UNIQUE_VIOLATION,
        format!("duplicate key value violates unique constraint \"{name}\""),
    );
    if let Some(detail) = schema.and_then(|schema| key_detail(&schema, row_key)) {
        violation = violation.with_detail(detail);
    }
    violation.constraint = Some(name);
    violation
}

/// `Key (a, b)=(1, 2) already exists.`
fn key_detail(schema: &TableSchema, row_key: &[u8]) -> Option<String> {
    let values = key::decode(row_key, &schema.key_shape()).ok()?;
    let mut names = Vec::new();
    let mut texts = Vec::new();
    for (key, value) in schema.key.iter().zip(&values) {
        let column = schema.column(key.column)?;
        names.push(column.name.clone());
        texts.push(match value {
            Value::Null => "null".to_owned(),
            value => text::to_string(value, &column.data_type, &Default::default()),
        });
    }
    Some(format!("Key ({})=({}) already exists.", names.join(", "), texts.join(", ")))
}
