//! `regclass`, `regtype` and their kin: identifiers that are written as names.

use super::function::{Arg, Definition, Kind, Overload};
use crate::bind::type_name;
use crate::catalog::objects::Object;
use crate::catalog::oid::Oid;
use crate::catalog::quote::{quote_ident, split_names};
use crate::catalog::snapshot::Relation;
use crate::catalog::system::rows::Cell;
use crate::catalog::system::{Facts, procs, relations, types};
use crate::error::{SqlError, SqlState};
use crate::types::oid;
use arrow::array::{Array, ArrayRef, AsArray, ListArray, StringViewBuilder, UInt32Builder};
use arrow::datatypes::{DataType, Field, UInt32Type};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use std::sync::Arc;

/// The function behind the system column `tableoid`.
pub const TABLE_OID: &str = "table_oid";

const TEXT: &[Kind] = &[Kind::Text];

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new("to_regclass", &[Overload::new(TEXT, oid::REGCLASS, to_regclass)]),
    Definition::new("to_regtype", &[Overload::new(TEXT, oid::REGTYPE, to_regtype)]),
    Definition::new("to_regnamespace", &[Overload::new(TEXT, oid::REGNAMESPACE, to_regnamespace)]),
    Definition::new("to_regrole", &[Overload::new(TEXT, oid::REGROLE, to_regrole)]),
    Definition::new("to_regproc", &[Overload::new(TEXT, oid::REGPROC, to_regproc)]),
    Definition::new(TABLE_OID, &[Overload::new(&[Kind::Oid(oid::REGCLASS)], oid::OID, table_oid)]),
];

/// A table's identifier; a view has no such column.
fn table_oid(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let oid = Oid(args[0].oid());
    match facts.catalog.relation(oid) {
        Some(Relation::View(_)) => Err(no_tableoid()),
        Some(Relation::System(relation)) if relation.is_view => Err(no_tableoid()),
        _ => Ok(oid.into()),
    }
}

fn no_tableoid() -> SqlError {
    SqlError::new(SqlState::UNDEFINED_COLUMN, "column \"tableoid\" does not exist")
}

fn found(text: &str, type_oid: u32, facts: &Facts) -> Result<Cell<'static>, SqlError> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(Cell::Null);
    }
    match parse(text, type_oid, facts) {
        Ok(oid) => Ok(oid.into()),
        Err(error) if error.state == SqlState::INVALID_NAME => Err(error),
        Err(_) => Ok(Cell::Null),
    }
}

fn to_regclass(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    found(args[0].text(), oid::REGCLASS, facts)
}

fn to_regtype(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    found(args[0].text(), oid::REGTYPE, facts)
}

fn to_regnamespace(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    found(args[0].text(), oid::REGNAMESPACE, facts)
}

fn to_regrole(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    found(args[0].text(), oid::REGROLE, facts)
}

fn to_regproc(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    found(args[0].text(), oid::REGPROC, facts)
}

/// True for the types whose text is a name.
pub fn is_named(type_oid: u32) -> bool {
    oid::is_oid_like(type_oid) && !matches!(type_oid, oid::OID | oid::XID | oid::CID)
}

fn undefined(state: SqlState, what: &str, text: &str) -> SqlError {
    SqlError::new(state, format!("{what} \"{text}\" does not exist"))
}

/// Reads an identifier of a type: a number, `-` for none, or a name.
pub fn parse(text: &str, type_oid: u32, facts: &Facts) -> Result<u32, SqlError> {
    let text = text.trim();
    if text == "-" && is_named(type_oid) {
        return Ok(0);
    }
    if let Ok(number) = text.parse::<i64>() {
        // PostgreSQL takes negative numbers for their bits.
        let fits = i64::from(i32::MIN)..=i64::from(u32::MAX);
        return match fits.contains(&number) {
            true => Ok(number as u32),
            false => Err(SqlError::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!("value \"{text}\" is out of range for type oid"),
            )),
        };
    }
    if !is_named(type_oid) {
        let name = oid::format_type(type_oid, None);
        return Err(SqlError::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("invalid input syntax for type {name}: \"{text}\""),
        ));
    }
    if type_oid == oid::REGTYPE {
        return parse_type(text, facts);
    }
    let names = split_names(text, '.')
        .filter(|names| !names.is_empty())
        .ok_or_else(|| SqlError::new(SqlState::INVALID_NAME, "invalid name syntax"))?;
    match type_oid {
        oid::REGCLASS => parse_class(&names, facts).map(|oid| oid.0),
        oid::REGNAMESPACE | oid::REGROLE => parse_single(text, &names, type_oid, facts),
        oid::REGPROC | oid::REGPROCEDURE => parse_proc(text, &names, type_oid),
        other => {
            let name = oid::format_type(other, None);
            Err(SqlError::unsupported(format!("names of type {name} are not supported")))
        }
    }
}

fn parse_class(names: &[String], facts: &Facts) -> Result<Oid, SqlError> {
    let catalog = &facts.catalog;
    let found = match names {
        [name] => catalog.resolve(&facts.path, name),
        [schema, name] | [_, schema, name] => {
            let schema = catalog.schema_by_name(schema);
            schema.and_then(|schema| catalog.relation_in(schema.oid, name))
        }
        _ => None,
    };
    found
        .map(|relation| relation.oid())
        .ok_or_else(|| undefined(SqlState::UNDEFINED_TABLE, "relation", &names.join(".")))
}

fn parse_single(
    text: &str,
    names: &[String],
    type_oid: u32,
    facts: &Facts,
) -> Result<u32, SqlError> {
    let [name] = names else {
        return Err(SqlError::new(SqlState::INVALID_NAME, "invalid name syntax"));
    };
    if type_oid == oid::REGNAMESPACE {
        let schema = facts.catalog.schema_by_name(name);
        return schema
            .map(|schema| schema.oid.0)
            .ok_or_else(|| undefined(SqlState::INVALID_SCHEMA_NAME, "schema", text));
    }
    let role = facts.catalog.role_by_name(name);
    role.map(|role| role.oid.0).ok_or_else(|| undefined(SqlState::UNDEFINED_OBJECT, "role", text))
}

fn parse_type(text: &str, facts: &Facts) -> Result<u32, SqlError> {
    let missing = || undefined(SqlState::UNDEFINED_OBJECT, "type", text);
    if let Some(names) = split_names(text, '.') {
        let name = match names.as_slice() {
            [name] => Some(name),
            [schema, name] if schema == "pg_catalog" => Some(name),
            _ => None,
        };
        if let Some((found, _)) = name.and_then(|name| types::by_name(name)) {
            return Ok(found);
        }
        if let Ok(class) = parse_class(&names, facts) {
            let row_type = match facts.catalog.object(class) {
                Some(Object::Table(table)) => Some(table.row_type.0),
                Some(Object::View(view)) => Some(view.row_type.0),
                _ => None,
            };
            return row_type.ok_or_else(missing);
        }
    }
    let parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(text);
    let data_type = parser
        .and_then(|mut parser| parser.parse_data_type())
        .map_err(|_| SqlError::syntax(format!("syntax error at or near \"{text}\"")))?;
    type_name::resolve(&data_type).map(|found| found.oid).map_err(|_| missing())
}

fn parse_proc(text: &str, names: &[String], type_oid: u32) -> Result<u32, SqlError> {
    if type_oid == oid::REGPROCEDURE {
        return Err(SqlError::unsupported("names of type regprocedure are not supported"));
    }
    let name = match names {
        [name] => name,
        [schema, name] if schema == "pg_catalog" => name,
        _ => return Err(undefined(SqlState::UNDEFINED_FUNCTION, "function", text)),
    };
    let mut found = procs::named(name);
    match (found.next(), found.next()) {
        (Some(proc), None) => Ok(proc.oid),
        (None, _) => Err(undefined(SqlState::UNDEFINED_FUNCTION, "function", text)),
        (Some(_), Some(_)) => Err(SqlError::new(
            SqlState::AMBIGUOUS_FUNCTION,
            format!("more than one function named \"{text}\""),
        )),
    }
}

/// Writes an identifier of a type: the name, or the number where nothing has it.
pub fn name(value: u32, type_oid: u32, facts: &Facts) -> String {
    if value == 0 {
        return "-".to_owned();
    }
    let named = match type_oid {
        oid::REGCLASS => class_name(Oid(value), facts),
        oid::REGTYPE => Some(type_text(value, None, facts)).filter(|name| name != "???"),
        oid::REGNAMESPACE => {
            facts.catalog.schema(Oid(value)).map(|schema| quote_ident(&schema.name))
        }
        oid::REGROLE => facts.catalog.role(Oid(value)).map(|role| quote_ident(&role.name)),
        oid::REGPROC => procs::get(value).map(|proc| {
            let name = quote_ident(&proc.name);
            match procs::named(&proc.name).count() {
                1 => name,
                _ => format!("pg_catalog.{name}"),
            }
        }),
        oid::REGPROCEDURE => procs::get(value).map(|proc| {
            let args = proc.arguments.iter().map(|arg| oid::format_type(*arg, None));
            let args = args.collect::<Vec<_>>().join(",");
            format!("{}({args})", quote_ident(&proc.name))
        }),
        _ => None,
    };
    named.unwrap_or_else(|| value.to_string())
}

fn class_name(class: Oid, facts: &Facts) -> Option<String> {
    let relation: Relation = facts.catalog.relation(class)?;
    Some(facts.catalog.shown_name(&facts.path, &relation))
}

/// format_type(), row types included.
pub fn type_text(type_oid: u32, modifier: Option<i32>, facts: &Facts) -> String {
    let known = oid::format_type(type_oid, modifier);
    if known != "???" {
        return known;
    }
    if let Some(found) = types::get(type_oid) {
        let is_array = found.element != 0 && found.name.starts_with('_');
        if is_array {
            return format!("{}[]", type_text(found.element, modifier, facts));
        }
        let name = quote_ident(&found.name);
        return match found.schema == Oid::PG_CATALOG {
            true => name,
            false => format!("{}.{name}", facts.schema_name(found.schema)),
        };
    }
    let relation = facts.catalog.relation_of_row_type(Oid(type_oid));
    let relation = relation.and_then(|relation| facts.catalog.relation(relation));
    let Some(relation) = relation else { return known };
    let name = facts.catalog.shown_name(&facts.path, &relation);
    let row_type = match &relation {
        Relation::Table(table) => table.row_type,
        Relation::View(view) => view.row_type,
        _ => Oid(type_oid),
    };
    if row_type.0 == type_oid { name } else { format!("{name}[]") }
}

/// The system relation or the user's one with this identifier exists.
pub fn is_relation(class: Oid, facts: &Facts) -> bool {
    facts.catalog.relation(class).is_some() || relations::by_oid(class).is_some()
}

/// A column of identifiers, or of lists of them, as text.
pub fn texts(array: &ArrayRef, type_oid: u32, facts: &Facts) -> Result<ArrayRef, SqlError> {
    match array.data_type() {
        DataType::UInt32 => {
            let mut out = StringViewBuilder::new();
            for value in array.as_primitive::<UInt32Type>() {
                out.append_option(value.map(|value| name(value, type_oid, facts)));
            }
            Ok(Arc::new(out.finish()))
        }
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            let element = oid::element_of(type_oid).unwrap_or(oid::OID);
            let values = texts(lists.values(), element, facts)?;
            let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
            let nulls = lists.nulls().cloned();
            ListArray::try_new(field, lists.offsets().clone(), values, nulls)
                .map(|list| Arc::new(list) as ArrayRef)
                .map_err(|error| SqlError::internal(error.to_string()))
        }
        _ => Ok(Arc::clone(array)),
    }
}

/// A column of text as identifiers.
pub fn identifiers(array: &ArrayRef, type_oid: u32, facts: &Facts) -> Result<ArrayRef, SqlError> {
    let mut out = UInt32Builder::new();
    for text in array.as_string_view() {
        let value = text.map(|text| parse(text, type_oid, facts)).transpose()?;
        out.append_option(value);
    }
    Ok(Arc::new(out.finish()))
}
