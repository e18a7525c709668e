//! `terrane.split()` and its kin: what is done with a table's tablets on request.
//!
//! They act at once and outside of the transaction, as VACUUM does: a ROLLBACK takes nothing back, and no answer of any
//! query changes. The parts of a key are values as INSERT takes them, of the leading columns of the primary key.

use super::function::{Arg, Definition, Kind, Overload};
use super::reg;
use crate::catalog::model::Table;
use crate::catalog::oid::Oid;
use crate::catalog::snapshot::Relation;
use crate::catalog::system::Facts;
use crate::catalog::system::rows::Cell;
use crate::error::{SqlError, SqlState};
use crate::functions::undefined;
use crate::plan::errors::{self, external};
use crate::session::info::{self, SessionInfo};
use crate::session::modify::assign;
use crate::session::modify::key_error;
use crate::session::response::WireType;
use crate::session::services::{Services, wait};
use crate::types::oid;
use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Field, FieldRef, UInt32Type};
use bytes::Bytes;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;
use terrane_client::ids::StorageId;
use terrane_client::key;
use terrane_client::value::Value;

type Sql<T> = std::result::Result<T, SqlError>;

const CLASS: Kind = Kind::Oid(oid::REGCLASS);

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::volatile("terrane.compact", &[Overload::new(&[CLASS], oid::VOID, compact)]),
    Definition::volatile("terrane.flush", &[Overload::new(&[CLASS], oid::VOID, flush)]),
];

/// Major compaction: VACUUM of one table.
fn compact(facts: &Facts, args: &[Arg]) -> Sql<Cell<'static>> {
    let services = writing(facts, "compact")?;
    for storage in table(facts, args[0].oid())?.storages() {
        services.cancel.check()?;
        wait(services.server.tablets.compact(storage)).map_err(errors::of_tablet)?;
    }
    Ok("".into())
}

/// Minor compaction: CHECKPOINT of one table.
fn flush(facts: &Facts, args: &[Arg]) -> Sql<Cell<'static>> {
    let services = writing(facts, "flush")?;
    for storage in table(facts, args[0].oid())?.storages() {
        services.cancel.check()?;
        wait(services.server.tablets.flush(Some(storage))).map_err(errors::of_tablet)?;
    }
    Ok("".into())
}

fn table(facts: &Facts, class: u32) -> Sql<Arc<Table>> {
    match facts.catalog.relation(Oid(class)) {
        Some(Relation::Table(table)) => Ok(table),
        Some(other) => Err(SqlError::new(
            SqlState::WRONG_OBJECT_TYPE,
            format!("\"{}\" is not a table", facts.catalog.shown_name(&facts.path, &other)),
        )),
        None => Err(SqlError::new(
            SqlState::UNDEFINED_TABLE,
            format!("could not open relation with OID {class}"),
        )),
    }
}

fn writing<'a>(facts: &'a Facts, function: &str) -> Sql<&'a Services> {
    let services = facts.services()?;
    if services.read_only {
        let message = format!("cannot execute terrane.{function}() in a read-only transaction");
        return Err(SqlError::new(SqlState::READ_ONLY_SQL_TRANSACTION, message));
    }
    Ok(services)
}

/// What becomes of the place in a table that a key names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Change {
    /// A tablet begins there from now on.
    Split,
    /// No tablet does.
    Merge,
}

/// terrane.split(table, key part …) and terrane.merge(table, key part …): how many tablets the table has then.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct AtKey {
    name: &'static str,
    change: Change,
    signature: Signature,
}

impl AtKey {
    /// Both functions.
    pub(super) fn all() -> [Self; 2] {
        [("terrane.split", Change::Split), ("terrane.merge", Change::Merge)].map(
            |(name, change)| {
                let signature = Signature::user_defined(Volatility::Volatile);
                Self { name, change, signature }
            },
        )
    }

    /// The parts of a split's key; a merge without a key is of the whole table.
    fn takes(&self, args: &[DataType]) -> bool {
        let is_table = args.first().is_some_and(|first| {
            let text = matches!(first, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8);
            text || first.is_null() || *first == DataType::UInt32 || first.is_integer()
        });
        is_table && (args.len() > 1 || self.change == Change::Merge)
    }

    fn run(&self, class: u32, parts: &[Part<'_>], info: &SessionInfo) -> Sql<i64> {
        let facts = &info.facts;
        let services = writing(facts, self.change.name())?;
        let table = table(facts, class)?;
        let tablets = &services.server.tablets;
        let at = match parts {
            [] => None,
            parts => Some(key_of(&table, parts, info)?),
        };
        match (self.change, at) {
            (Change::Split, Some(at)) => {
                wait(tablets.split(table.storage, at)).map_err(errors::of_tablet)?;
            }
            (Change::Merge, Some(at)) => {
                wait(tablets.merge(table.storage, at)).map_err(errors::of_tablet)?;
            }
            (_, None) => {
                for at in starts(services, table.storage)? {
                    services.cancel.check()?;
                    wait(tablets.merge(table.storage, at)).map_err(errors::of_tablet)?;
                }
            }
        }
        let count = starts(services, table.storage)?.len() + 1;
        Ok(i64::try_from(count).unwrap_or(i64::MAX))
    }
}

impl Change {
    fn name(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::Merge => "merge",
        }
    }
}

/// Where a storage's tablets begin, but for the first.
fn starts(services: &Services, storage: StorageId) -> Sql<Vec<Bytes>> {
    let status = wait(services.server.tablets.status()).map_err(errors::of_tablet)?;
    let rows = status.into_iter().map(|status| status.row).filter(|row| row.table == storage);
    let mut starts: Vec<Bytes> =
        rows.map(|row| Bytes::from(row.start)).filter(|start| !start.is_empty()).collect();
    starts.sort_unstable();
    Ok(starts)
}

/// A part of a key: a value of one row, and its type.
struct Part<'a> {
    values: &'a ArrayRef,
    row: usize,
    source: WireType,
}

/// The parts as the beginning of a row key.
fn key_of(table: &Table, parts: &[Part<'_>], info: &SessionInfo) -> Sql<Bytes> {
    let schema = table.tablet_schema(Vec::new());
    let columns = table.key().iter().filter_map(|key| table.column(key.column));
    let columns: Vec<_> = columns.collect();
    if columns.is_empty() {
        let message = format!("table \"{}\" has no primary key", table.name);
        let error = SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message);
        return Err(error.with_detail("Its rows have hidden keys, in the order they came in."));
    }
    if parts.len() > columns.len() {
        let (given, has) = (parts.len(), columns.len());
        let message = format!(
            "{given} parts of a key were given, and the primary key of table \"{}\" has {has}",
            table.name
        );
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    let mut values = Vec::with_capacity(parts.len());
    for (part, column) in parts.iter().zip(columns) {
        if part.values.data_type().is_null() || part.values.is_null(part.row) {
            let message = format!("the part of the key for column \"{}\" is null", column.name);
            return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, message));
        }
        // A literal whose type is not known yet is text here: it is read as the column's type.
        if !matches!(part.source.oid, oid::TEXT | oid::UNKNOWN) {
            assign::check(column, part.source)?;
        }
        let value: Value =
            assign::assigned_value(part.values, part.row, part.source, column, info)?;
        values.push(column.rounded(value));
    }
    key::encode_prefix(&values, &schema.key_shape()).map_err(|error| key_error(&schema, error))
}

impl ScalarUDFImpl for AtKey {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, args: &[DataType]) -> Result<Vec<DataType>> {
        if !self.takes(args) {
            return Err(external(undefined::function(self.name, args)));
        }
        let mut types = args.to_vec();
        types[0] = match &args[0] {
            given if given.is_integer() => DataType::UInt32,
            _ => DataType::Utf8View,
        };
        Ok(types)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        let field = Field::new(self.name, DataType::Int64, true);
        Ok(Arc::new(oid::with_type(field, oid::wire(oid::INT8, -1))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let info = info::of(&args.config_options);
        let rows = args.number_rows;
        let arrays =
            args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<ArrayRef>>>()?;
        let sources: Vec<WireType> =
            args.arg_fields.iter().map(|field| oid::of_field(field)).collect();
        let mut counts = Vec::with_capacity(rows);
        for row in 0..rows {
            let Some(class) = class(&arrays[0], row, &info.facts).map_err(external)? else {
                counts.push(None);
                continue;
            };
            let parts = arrays.iter().zip(&sources).skip(1);
            let parts: Vec<Part<'_>> =
                parts.map(|(values, source)| Part { values, row, source: *source }).collect();
            counts.push(Some(self.run(class, &parts, &info).map_err(external)?));
        }
        Ok(ColumnarValue::Array(Arc::new(Int64Array::from(counts))))
    }
}

/// The relation that an argument names, by identifier or by name.
fn class(argument: &ArrayRef, row: usize, facts: &Facts) -> Sql<Option<u32>> {
    if argument.data_type().is_null() || argument.is_null(row) {
        return Ok(None);
    }
    match argument.data_type() {
        DataType::UInt32 => Ok(Some(argument.as_primitive::<UInt32Type>().value(row))),
        _ => reg::parse(argument.as_string_view().value(row), oid::REGCLASS, facts).map(Some),
    }
}
