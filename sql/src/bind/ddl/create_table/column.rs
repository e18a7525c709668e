//! Columns of CREATE TABLE and ADD COLUMN.

use crate::bind::ddl::constraint::Constraint;
use crate::bind::ddl::create_table::syntax::table_constraint;
use crate::bind::ddl::create_table::{COLUMNS_MAX, ColumnDefinition, ColumnOption, ColumnType};
use crate::bind::ddl::family::family_of;
use crate::bind::ddl::map_column;
use crate::bind::ddl::sequence::SequenceOption;
use crate::bind::ddl::{Ddl, QualifiedName};
use crate::bind::type_name;
use crate::catalog::model::{Column, ColumnDefault, Identity, Table};
use crate::catalog::stored_sql::StoredSql;
use crate::error::{SqlError, SqlState};
use crate::scan::versions::TIMESTAMP_COLUMN;
use crate::session::response::WireType;
use crate::types::oid;
use datafusion::sql::sqlparser::ast::{DataType as TypeName, Expr};
use terrane_client::ids::ColumnId;
use terrane_client::types::DataType;

/// Names no column can have: PostgreSQL's, and ours.
const SYSTEM_COLUMNS: &[&str] =
    &["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid", TIMESTAMP_COLUMN];

/// 42701 for the name of a system column.
pub(crate) fn check_system_column(name: &str) -> Result<(), SqlError> {
    match SYSTEM_COLUMNS.contains(&name) {
        true => Err(SqlError::new(
            SqlState::DUPLICATE_COLUMN,
            format!("column name \"{name}\" conflicts with a system column name"),
        )),
        false => Ok(()),
    }
}

/// The column type of a type on the wire.
pub(super) fn storable(wire_type: WireType, column: &str) -> Result<DataType, SqlError> {
    if let Some(data_type) = oid::data_type(wire_type.oid, wire_type.modifier) {
        return Ok(data_type);
    }
    let base = oid::base(wire_type.oid);
    let name = base.map_or_else(|| wire_type.oid.to_string(), |base| base.sql_name.to_owned());
    if base.is_some_and(|base| base.category == 'P') {
        let message = format!("column \"{column}\" has pseudo-type {name}");
        return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
    }
    Err(SqlError::unsupported(format!("columns of type {name} are not supported")))
}

/// The fractional digits of a second that a type of one value has, where it says so and it has not all.
pub(crate) fn precision(wire_type: WireType) -> Option<u8> {
    match (wire_type.oid, wire_type.modifier) {
        (oid::TIME | oid::TIMESTAMP | oid::TIMESTAMPTZ, digits) => u8::try_from(digits).ok(),
        _ => None,
    }
}

/// Adds a nullable column without anything.
pub(super) fn push_column(
    table: &mut Table,
    name: &str,
    data_type: DataType,
) -> Result<ColumnId, SqlError> {
    check_system_column(name)?;
    if table.column_by_name(name).is_some() {
        let message = format!("column \"{name}\" specified more than once");
        return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
    }
    if table.columns.len() >= COLUMNS_MAX {
        let message = format!("tables can have at most {COLUMNS_MAX} columns");
        return Err(SqlError::new(SqlState::TOO_MANY_COLUMNS, message));
    }
    let id = table.next_column_id();
    table.columns.push(Column { id, ..Column::nullable(name, data_type) });
    Ok(id)
}

/// The type an identity column must have.
pub(crate) fn identity_type(data_type: &DataType) -> Result<DataType, SqlError> {
    match data_type {
        DataType::Int2 | DataType::Int4 | DataType::Int8 => Ok(data_type.clone()),
        _ => Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "identity column type must be smallint, integer, or bigint",
        )),
    }
}

/// What a column's options come to, each given at most once.
#[derive(Default)]
struct Chosen {
    nullable: Option<bool>,
    default: Option<Expr>,
    identity: Option<(bool, Vec<SequenceOption>)>,
    collation: Option<QualifiedName>,
    family: Option<String>,
}

impl Chosen {
    /// Takes an option; gives back what is a constraint of the table.
    fn take(
        &mut self,
        option: ColumnOption,
        column: &str,
        table: &str,
    ) -> Result<Option<ColumnOption>, SqlError> {
        let twice = |what: &str| {
            let message = format!("{what} specified for column \"{column}\" of table \"{table}\"");
            Err(SqlError::syntax(message))
        };
        match option {
            ColumnOption::Null | ColumnOption::NotNull => {
                let nullable = option == ColumnOption::Null;
                if self.nullable.replace(nullable).is_some_and(|before| before != nullable) {
                    return Err(SqlError::syntax(format!(
                        "conflicting NULL/NOT NULL declarations for column \"{column}\" of table \
                         \"{table}\""
                    )));
                }
            }
            ColumnOption::Default(expr) => {
                if self.default.replace(expr).is_some() {
                    return twice("multiple default values");
                }
            }
            ColumnOption::Identity { always, options } => {
                if self.identity.replace((always, options)).is_some() {
                    return twice("multiple identity specifications");
                }
            }
            ColumnOption::Collate(name) => {
                if self.collation.replace(name).is_some() {
                    return Err(SqlError::syntax("multiple COLLATE clauses not allowed"));
                }
            }
            ColumnOption::Family(name) => {
                if self.family.replace(name).is_some() {
                    return twice("multiple families");
                }
            }
            constraint => return Ok(Some(constraint)),
        }
        if self.default.is_some() && self.identity.is_some() {
            return twice("both default and identity");
        }
        if self.identity.is_some() && self.nullable == Some(true) {
            return Err(SqlError::syntax(format!(
                "conflicting NULL/NOT NULL declarations for column \"{column}\" of table \"{table}\""
            )));
        }
        Ok(None)
    }
}

impl Ddl<'_> {
    /// The column type of a type name.
    pub fn column_type(
        &self,
        name: &TypeName,
        column: &str,
    ) -> Result<(DataType, Option<u8>), SqlError> {
        let wire_type = type_name::resolve(name)?;
        Ok((storable(wire_type, column)?, precision(wire_type)))
    }

    /// Adds a column to a table, with its sequence where it has one; its constraints are put into the list
    /// for the table's.
    pub async fn add_column(
        &mut self,
        table: &mut Table,
        definition: ColumnDefinition,
        constraints: &mut Vec<Constraint>,
    ) -> Result<ColumnId, SqlError> {
        let ColumnDefinition { name, column_type, options } = definition;
        let (data_type, precision) = match &column_type {
            ColumnType::Serial(2) => (DataType::Int2, None),
            ColumnType::Serial(4) => (DataType::Int4, None),
            ColumnType::Serial(_) => (DataType::Int8, None),
            ColumnType::Named(type_name) => self.column_type(type_name, &name)?,
        };
        let id = push_column(table, &name, data_type.clone())?;
        if let Some(column) = table.column_mut(id) {
            column.precision = precision;
        }
        let mut chosen = Chosen::default();
        for (constraint, option) in options {
            if let Some(option) = chosen.take(option, &name, &table.name)? {
                constraints.extend(table_constraint(constraint, option, &name));
            }
        }
        let collation = self.collation(chosen.collation, &data_type)?;
        let family = family_of(table, chosen.family.as_deref())?;
        let mut not_null = chosen.nullable == Some(false);
        let told = (not_null, chosen.default.is_some(), chosen.identity.is_some());
        map_column::check_options(&name, &data_type, told)?;
        let mut default = match &chosen.default {
            Some(expr) => self.default_expression(expr, &name, &data_type).await?,
            None => None,
        };
        if let ColumnType::Serial(_) = column_type {
            if chosen.default.is_some() || chosen.identity.is_some() {
                return Err(SqlError::syntax(format!(
                    "multiple default values specified for column \"{name}\" of table \"{}\"",
                    table.name
                )));
            }
            if chosen.nullable == Some(true) {
                return Err(SqlError::syntax(format!(
                    "conflicting NULL/NOT NULL declarations for column \"{name}\" of table \"{}\"",
                    table.name
                )));
            }
            let sequence =
                self.create_column_sequence(table, id, data_type.clone(), &[], false).await?;
            let reference = StoredSql::quoted_relation(sequence);
            default = Some(StoredSql::new(format!("nextval('{reference}'::regclass)")));
            not_null = true;
        }
        let default = match default {
            Some(sql) => Some(ColumnDefault { oid: self.oid().await?, sql }),
            None => None,
        };
        let mut identity = None;
        if let Some((always, options)) = chosen.identity {
            let data_type = identity_type(&data_type)?;
            self.create_column_sequence(table, id, data_type, &options, true).await?;
            identity = Some(if always { Identity::Always } else { Identity::ByDefault });
            not_null = true;
        }
        if let Some(column) = table.column_mut(id) {
            (column.not_null, column.default) = (not_null, default);
            (column.identity, column.collation, column.family) = (identity, collation, family);
        }
        Ok(id)
    }

    /// COLLATE: every collation there is orders by bytes (rule 39).
    fn collation(
        &self,
        name: Option<QualifiedName>,
        data_type: &DataType,
    ) -> Result<Option<String>, SqlError> {
        let Some(name) = name else { return Ok(None) };
        let is_text =
            matches!(data_type, DataType::Text | DataType::Varchar(_) | DataType::Char(_));
        if !is_text {
            let message = format!("collations are not supported by type {data_type}");
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message));
        }
        match name.name.as_str() {
            "default" => Ok(None),
            "C" | "POSIX" => Ok(Some(name.name)),
            other => Err(SqlError::unsupported(format!(
                "collation \"{other}\" is not supported; \"C\", \"POSIX\" and \"default\" are"
            ))),
        }
    }
}
