//! Type names of SQL text as PostgreSQL's types.

use crate::error::{SqlError, SqlState};
use crate::session::response::WireType;
use crate::types::oid;
use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, CharacterLength, DataType, ExactNumberInfo, ObjectName, TimezoneInfo,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;
use terrane_client::types::{DataType as StoredType, MapType, MapTypeError};

/// The longest varchar(n) and char(n), as in PostgreSQL.
const LENGTH_MAX: u64 = 10_485_760;
/// What a length adds to make its type modifier.
const VARIABLE_HEADER: i32 = 4;

/// The type a name means: 42704 where there is none.
pub fn resolve(data_type: &DataType) -> Result<WireType, SqlError> {
    let plain = |type_oid| Ok(oid::wire(type_oid, -1));
    match data_type {
        DataType::Boolean | DataType::Bool => plain(oid::BOOL),
        DataType::SmallInt(None) | DataType::Int2(None) => plain(oid::INT2),
        DataType::Integer(None) | DataType::Int(None) | DataType::Int4(None) => plain(oid::INT4),
        DataType::BigInt(None) | DataType::Int8(None) => plain(oid::INT8),
        DataType::Real | DataType::Float4 => plain(oid::FLOAT4),
        DataType::DoublePrecision | DataType::Float8 => plain(oid::FLOAT8),
        DataType::Double(ExactNumberInfo::None) => plain(oid::FLOAT8),
        DataType::Float(info) => float(info),
        DataType::Numeric(info) | DataType::Decimal(info) | DataType::Dec(info) => numeric(info),
        DataType::Text => plain(oid::TEXT),
        DataType::String(None) => plain(oid::TEXT),
        DataType::Varchar(length)
        | DataType::CharacterVarying(length)
        | DataType::CharVarying(length) => sized(oid::VARCHAR, length.as_ref(), None),
        DataType::Char(length) | DataType::Character(length) => {
            sized(oid::BPCHAR, length.as_ref(), Some(1))
        }
        DataType::Bytea => plain(oid::BYTEA),
        DataType::Date => plain(oid::DATE),
        DataType::Time(digits, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            Ok(oid::wire(oid::TIME, fraction(*digits)))
        }
        DataType::Time(..) => {
            Err(SqlError::unsupported("type time with time zone is not supported"))
        }
        DataType::Timestamp(digits, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            Ok(oid::wire(oid::TIMESTAMP, fraction(*digits)))
        }
        DataType::Timestamp(digits, _) => Ok(oid::wire(oid::TIMESTAMPTZ, fraction(*digits))),
        DataType::Interval { .. } => plain(oid::INTERVAL),
        DataType::Uuid => plain(oid::UUID),
        DataType::JSON => plain(oid::JSON),
        DataType::JSONB => plain(oid::JSONB),
        DataType::Regclass => plain(oid::REGCLASS),
        DataType::Array(element) => array(element),
        DataType::Custom(name, modifiers) => custom(name, modifiers),
        other => Err(unknown(&other.to_string())),
    }
}

/// The modifier of a type with so many fractional digits of a second: never more than there are.
fn fraction(digits: Option<u64>) -> i32 {
    digits.map_or(-1, |digits| digits.min(6) as i32)
}

fn unknown(name: &str) -> SqlError {
    let name = name.to_ascii_lowercase();
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{name}\" does not exist"))
}

fn float(info: &ExactNumberInfo) -> Result<WireType, SqlError> {
    match info {
        ExactNumberInfo::None => Ok(oid::wire(oid::FLOAT8, -1)),
        ExactNumberInfo::Precision(1..=24) => Ok(oid::wire(oid::FLOAT4, -1)),
        ExactNumberInfo::Precision(25..=53) => Ok(oid::wire(oid::FLOAT8, -1)),
        ExactNumberInfo::Precision(0) => Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "precision for type float must be at least 1 bit",
        )),
        _ => Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "precision for type float must be less than 54 bits",
        )),
    }
}

fn numeric(info: &ExactNumberInfo) -> Result<WireType, SqlError> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => return Ok(oid::wire(oid::NUMERIC, -1)),
        ExactNumberInfo::Precision(precision) => (*precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
    };
    if !(1..=1000).contains(&precision) {
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("NUMERIC precision {precision} must be between 1 and 1000"),
        ));
    }
    if precision > u64::from(terrane_client::types::NUMERIC_PRECISION_MAX) {
        return Err(SqlError::unsupported(format!(
            "numeric of {precision} digits is not supported: the limit is {}",
            terrane_client::types::NUMERIC_PRECISION_MAX
        )));
    }
    if scale < 0 || scale as u64 > precision {
        return Err(SqlError::unsupported(format!(
            "numeric scale {scale} outside of 0 to {precision} is not supported"
        )));
    }
    Ok(oid::wire(oid::NUMERIC, oid::numeric_modifier(precision as u8, scale as i8)))
}

fn sized(
    type_oid: u32,
    length: Option<&CharacterLength>,
    default: Option<u64>,
) -> Result<WireType, SqlError> {
    let length = match length {
        Some(CharacterLength::IntegerLength { length, unit: _ }) => Some(*length),
        Some(CharacterLength::Max) => return Err(unknown("max")),
        None => default,
    };
    let name = if type_oid == oid::VARCHAR { "varchar" } else { "char" };
    match length {
        None => Ok(oid::wire(type_oid, -1)),
        Some(0) => Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("length for type {name} must be at least 1"),
        )),
        Some(n) if n > LENGTH_MAX => Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("length for type {name} cannot exceed {LENGTH_MAX}"),
        )),
        Some(n) => Ok(oid::wire(type_oid, n as i32 + VARIABLE_HEADER)),
    }
}

fn array(element: &ArrayElemTypeDef) -> Result<WireType, SqlError> {
    let element = match element {
        ArrayElemTypeDef::SquareBracket(element, _)
        | ArrayElemTypeDef::AngleBracket(element)
        | ArrayElemTypeDef::Parenthesis(element) => resolve(element)?,
        ArrayElemTypeDef::None => return Err(unknown("array")),
    };
    // int[][] is the same type as int[].
    if oid::element_of(element.oid).is_some() {
        return Ok(element);
    }
    let array = oid::array_of(element.oid).ok_or_else(|| unknown("array"))?;
    Ok(oid::wire(array, element.modifier))
}

/// `map(k, v)`: the parser has its types as strings.
fn map(key: &str, value: &str) -> Result<WireType, SqlError> {
    let read = |name: &str| -> Result<StoredType, SqlError> {
        let parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(name);
        let parsed = parser.and_then(|mut parser| {
            let parsed = parser.parse_data_type()?;
            parser.expect_token(&Token::EOF)?;
            Ok(parsed)
        });
        let wire_type = resolve(&parsed.map_err(|_| unknown(name))?)?;
        oid::data_type(wire_type.oid, wire_type.modifier)
            .ok_or_else(|| SqlError::unsupported(format!("maps of type {name} are not supported")))
    };
    let map = MapType::new(read(key)?, read(value)?).map_err(|error| {
        let hint = match error {
            MapTypeError::Key(_) => "The key of a map has a type that a primary key can have.",
            _ => "The value of a map has a type that is no array and no map.",
        };
        SqlError::unsupported(error.to_string()).with_hint(hint)
    })?;
    Ok(oid::of(&StoredType::Map(Box::new(map))))
}

fn custom(name: &ObjectName, modifiers: &[String]) -> Result<WireType, SqlError> {
    let mut parts: Vec<String> = name
        .0
        .iter()
        .filter_map(|part| part.as_ident())
        .map(|ident| match ident.quote_style {
            Some(_) => ident.value.clone(),
            None => ident.value.to_ascii_lowercase(),
        })
        .collect();
    if parts.len() == 2 && parts[0] == "pg_catalog" {
        parts.remove(0);
    }
    let [name] = parts.as_slice() else { return Err(unknown(&name.to_string())) };
    if let ("map", [key, value]) = (name.as_str(), modifiers) {
        return map(key, value);
    }
    let base = oid::base_by_name(name).ok_or_else(|| unknown(name))?;
    let modifier = match (base.oid, modifiers) {
        (_, []) => -1,
        (oid::VARCHAR | oid::BPCHAR, [length]) => {
            let length = length.parse().map_err(|_| unknown(name))?;
            let length = CharacterLength::IntegerLength { length, unit: None };
            return sized(base.oid, Some(&length), None);
        }
        _ => {
            return Err(SqlError::syntax(format!(
                "type modifier is not allowed for type \"{name}\""
            )));
        }
    };
    Ok(oid::wire(base.oid, modifier))
}
