//! The types of maps: `hstore`, and `map(k, v)` with keys and values of declared types.
//!
//! A map type is told by two numbers, as every PostgreSQL type is by its OID and modifier ([`MapType::code`]):
//!
//! ```text
//! code     : bits 0-3 the key's type, 4-8 the value's type, 9-27 the key's modifier; hstore is HSTORE_CODE
//! modifier : the value's modifier, as PostgreSQL's atttypmod has it; -1 for none
//! ```
//!
//! The numbers are written in catalogs and in the cells of maps: a type keeps its number for ever.

use super::DataType;
use serde::{Deserialize, Serialize};

/// The code of `hstore`, which no pair of types has.
pub const HSTORE_CODE: u32 = (1 << CODE_BITS) - 1;
/// Bits of a code.
pub const CODE_BITS: u32 = 28;
/// The longest `varchar(n)` and `char(n)` of a key: a key of more bytes would be no key.
const KEY_LENGTH_MAX: u32 = 0xffff;
const KEY_BITS: u32 = 4;
const VALUE_BITS: u32 = 5;

/// How a map is written and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MapForm {
    /// `"k"=>"v"`, with text on both sides.
    Hstore,
    /// A JSON object.
    Typed,
}

/// The type of a map.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MapType {
    form: MapForm,
    key: DataType,
    value: DataType,
}

/// Why two types are not those of a map.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MapTypeError {
    /// No value of this type can be a key.
    #[error("type {0} cannot be the key of a map")]
    Key(DataType),
    /// A map holds scalars only.
    #[error("type {0} cannot be the value of a map")]
    Value(DataType),
}

impl MapType {
    /// `hstore`
    pub fn hstore() -> Self {
        Self { form: MapForm::Hstore, key: DataType::Text, value: DataType::Text }
    }

    /// `map(key, value)`
    pub fn new(key: DataType, value: DataType) -> Result<Self, MapTypeError> {
        let is_short = match key {
            DataType::Varchar(Some(n)) | DataType::Char(n) => (1..=KEY_LENGTH_MAX).contains(&n),
            _ => true,
        };
        if !key.is_key_type() || key_number(&key).is_none() || !is_short {
            return Err(MapTypeError::Key(key));
        }
        if value_number(&value).is_none() {
            return Err(MapTypeError::Value(value));
        }
        Ok(Self { form: MapForm::Typed, key, value })
    }

    /// How values of the type are written.
    pub fn form(&self) -> MapForm {
        self.form
    }

    /// The type of the keys, which a primary key could have.
    pub fn key(&self) -> &DataType {
        &self.key
    }

    /// The type of the values.
    pub fn value(&self) -> &DataType {
        &self.value
    }

    /// The numbers that stand for this type: below `1 << CODE_BITS`, and a modifier.
    pub fn code(&self) -> (u32, i32) {
        if self.form == MapForm::Hstore {
            return (HSTORE_CODE, -1);
        }
        let numbers = key_number(&self.key).zip(value_number(&self.value));
        let Some((key, value)) = numbers else {
            unreachable!("a map type has types that were checked when it was made");
        };
        let key_modifier = match self.key {
            DataType::Numeric(modifier) => {
                let (precision, scale) = DataType::numeric_shape(modifier);
                u32::from(precision) << 8 | u32::from(scale.unsigned_abs())
            }
            DataType::Varchar(Some(n)) | DataType::Char(n) => n,
            _ => 0,
        };
        let code = key | value << KEY_BITS | key_modifier << (KEY_BITS + VALUE_BITS);
        (code, value_modifier(&self.value))
    }

    /// The type that these numbers stand for.
    pub fn from_code(code: u32, modifier: i32) -> Option<Self> {
        if code == HSTORE_CODE {
            return Some(Self::hstore());
        }
        let key_modifier = code >> (KEY_BITS + VALUE_BITS);
        let key = match code & ((1 << KEY_BITS) - 1) {
            6 => {
                let precision = u8::try_from(key_modifier >> 8).ok()?;
                let scale = i8::try_from(key_modifier & 0xff).ok()?;
                DataType::Numeric(Some((precision, scale)))
            }
            8 => DataType::Varchar((key_modifier > 0).then_some(key_modifier)),
            9 => DataType::Char(key_modifier),
            number => plain(number)?,
        };
        let value = match code >> KEY_BITS & ((1 << VALUE_BITS) - 1) {
            6 => DataType::Numeric(numeric_shape(modifier)),
            8 => DataType::Varchar(length(modifier)),
            9 => DataType::Char(length(modifier).unwrap_or(0)),
            number => plain(number)?,
        };
        Self::new(key, value).ok().filter(|found| found.code().0 == code)
    }
}

/// `hstore`, `map(text,bigint)`: as format_type shows it.
impl std::fmt::Display for MapType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.form {
            MapForm::Hstore => f.write_str("hstore"),
            MapForm::Typed => write!(f, "map({},{})", self.key, self.value),
        }
    }
}

fn key_number(data_type: &DataType) -> Option<u32> {
    value_number(data_type).filter(|number| *number < 1 << KEY_BITS)
}

fn value_number(data_type: &DataType) -> Option<u32> {
    Some(match data_type {
        DataType::Bool => 0,
        DataType::Int2 => 1,
        DataType::Int4 => 2,
        DataType::Int8 => 3,
        DataType::Float4 => 4,
        DataType::Float8 => 5,
        DataType::Numeric(_) => 6,
        DataType::Text => 7,
        DataType::Varchar(_) => 8,
        DataType::Char(_) => 9,
        DataType::Bytea => 10,
        DataType::Date => 11,
        DataType::Time => 12,
        DataType::Timestamp => 13,
        DataType::TimestampTz => 14,
        DataType::Uuid => 15,
        DataType::Interval => 16,
        DataType::Json => 17,
        DataType::Jsonb => 18,
        DataType::Array(_) | DataType::Map(_) => return None,
    })
}

/// The type of a number, of those without a modifier.
fn plain(number: u32) -> Option<DataType> {
    Some(match number {
        0 => DataType::Bool,
        1 => DataType::Int2,
        2 => DataType::Int4,
        3 => DataType::Int8,
        4 => DataType::Float4,
        5 => DataType::Float8,
        7 => DataType::Text,
        10 => DataType::Bytea,
        11 => DataType::Date,
        12 => DataType::Time,
        13 => DataType::Timestamp,
        14 => DataType::TimestampTz,
        15 => DataType::Uuid,
        16 => DataType::Interval,
        17 => DataType::Json,
        18 => DataType::Jsonb,
        _ => return None,
    })
}

/// pg_attribute.atttypmod of a value's type.
fn value_modifier(data_type: &DataType) -> i32 {
    match data_type {
        DataType::Numeric(Some((precision, scale))) => {
            (i32::from(*precision) << 16 | (i32::from(*scale) & 0x7ff)) + 4
        }
        DataType::Varchar(Some(n)) | DataType::Char(n) => {
            i32::try_from(*n).map_or(-1, |n| n.saturating_add(4))
        }
        _ => -1,
    }
}

fn numeric_shape(modifier: i32) -> Option<(u8, i8)> {
    let bits = modifier.checked_sub(4).filter(|bits| *bits >= 0)?;
    let scale = ((bits & 0x7ff) ^ 0x400) - 0x400;
    Some((u8::try_from(bits >> 16).ok()?, i8::try_from(scale).ok()?))
}

fn length(modifier: i32) -> Option<u32> {
    u32::try_from(modifier.checked_sub(4)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arbitrary;
    use proptest::prelude::*;

    proptest! {
        /// A type and its numbers are one another's, and its name says its types.
        #[test]
        fn numbers_stand_for_types(data_type in arbitrary::any_type()) {
            let DataType::Map(map) = data_type else { return Ok(()) };
            let (code, modifier) = map.code();
            prop_assert!(code < HSTORE_CODE);
            prop_assert_eq!(MapType::from_code(code, modifier), Some(*map));
        }

        /// Any numbers are those of a type or of none.
        #[test]
        fn no_numbers_panic(code in any::<u32>(), modifier in any::<i32>()) {
            let _ = MapType::from_code(code, modifier);
        }
    }

    #[test]
    fn names() {
        assert_eq!(MapType::hstore().to_string(), "hstore");
        let map = MapType::new(DataType::Text, DataType::Numeric(Some((10, 2)))).expect("scalars");
        assert_eq!(map.to_string(), "map(text,numeric(10,2))");
        assert_eq!(MapType::from_code(HSTORE_CODE, -1), Some(MapType::hstore()));
    }

    #[test]
    fn types_that_make_no_map() {
        let bare = DataType::Numeric(None);
        let refused = MapType::new(bare.clone(), DataType::Text);
        assert_eq!(refused, Err(MapTypeError::Key(bare.clone())));
        assert!(MapType::new(DataType::Jsonb, DataType::Text).is_err());
        assert!(MapType::new(DataType::Varchar(Some(70_000)), DataType::Text).is_err());
        assert!(MapType::new(DataType::Text, DataType::Array(Box::new(bare.clone()))).is_err());
        assert!(MapType::new(DataType::Text, bare).is_ok());
    }
}
