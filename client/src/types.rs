//! SQL's column types and the physical form each is stored in.

use arrow::datatypes::{DataType as ArrowType, IntervalUnit, TimeUnit};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

mod map;

pub use map::{CODE_BITS as MAP_CODE_BITS, HSTORE_CODE, MapForm, MapType, MapTypeError};

/// Digits of a bare `numeric`, and of the widest declared one.
pub const NUMERIC_PRECISION_MAX: u8 = 76;
/// Fractional digits of a bare `numeric`; trailing zeros are trimmed when shown (rule 39).
pub const NUMERIC_BARE_SCALE: i8 = 20;

/// The type of a column or value, with its type modifier.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DataType {
    /// `boolean`
    Bool,
    /// `smallint`
    Int2,
    /// `integer`
    Int4,
    /// `bigint`
    Int8,
    /// `real`
    Float4,
    /// `double precision`
    Float8,
    /// `numeric(p, s)`; `None` is a bare `numeric`, held as `numeric(76, 20)`.
    Numeric(Option<(u8, i8)>),
    /// `text`
    Text,
    /// `varchar(n)` in characters; `None` has no limit.
    Varchar(Option<u32>),
    /// `char(n)`: stored without trailing blanks, shown padded (rule 39).
    Char(u32),
    /// `bytea`
    Bytea,
    /// `date`: days since 1970-01-01.
    Date,
    /// `time`: microseconds since midnight.
    Time,
    /// `timestamp`: microseconds since 1970-01-01 00:00, no zone.
    Timestamp,
    /// `timestamptz`: microseconds since 1970-01-01 00:00 UTC.
    TimestampTz,
    /// `interval`: months, days, microseconds.
    Interval,
    /// `uuid`
    Uuid,
    /// `json`: the text as given.
    Json,
    /// `jsonb`: the normalised text, PostgreSQL's key order.
    Jsonb,
    /// A one-dimensional array of an element type that is not itself an array.
    Array(Box<DataType>),
    /// `hstore` or `map(k, v)`: keys of one type, each with a value of another or NULL.
    Map(Box<MapType>),
}

/// How a value lies in a cell and in a column page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PhysicalType {
    /// One byte, 0 or 1.
    Bool,
    /// Little-endian two's complement of 2 bytes.
    Int2,
    /// Little-endian two's complement of 4 bytes.
    Int4,
    /// Little-endian two's complement of 8 bytes.
    Int8,
    /// Little-endian two's complement of 16 bytes.
    Int16,
    /// Little-endian two's complement of 32 bytes.
    Int32,
    /// IEEE 754, little-endian, 4 bytes.
    Float4,
    /// IEEE 754, little-endian, 8 bytes.
    Float8,
    /// 16 bytes as they are.
    Fixed16,
    /// Any number of bytes.
    Bytes,
}

impl PhysicalType {
    /// Bytes of one value, or `None` where it varies.
    pub fn width(self) -> Option<usize> {
        match self {
            Self::Bool => Some(1),
            Self::Int2 => Some(2),
            Self::Int4 | Self::Float4 => Some(4),
            Self::Int8 | Self::Float8 => Some(8),
            Self::Int16 | Self::Fixed16 => Some(16),
            Self::Int32 => Some(32),
            Self::Bytes => None,
        }
    }
}

/// PostgreSQL's `format_type`: `character varying(5)`, `integer[]`.
impl std::fmt::Display for DataType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self {
            Self::Bool => "boolean",
            Self::Int2 => "smallint",
            Self::Int4 => "integer",
            Self::Int8 => "bigint",
            Self::Float4 => "real",
            Self::Float8 => "double precision",
            Self::Numeric(None) => "numeric",
            Self::Numeric(Some((p, s))) => return write!(f, "numeric({p},{s})"),
            Self::Text => "text",
            Self::Varchar(None) => "character varying",
            Self::Varchar(Some(n)) => return write!(f, "character varying({n})"),
            Self::Char(n) => return write!(f, "character({n})"),
            Self::Bytea => "bytea",
            Self::Date => "date",
            Self::Time => "time without time zone",
            Self::Timestamp => "timestamp without time zone",
            Self::TimestampTz => "timestamp with time zone",
            Self::Interval => "interval",
            Self::Uuid => "uuid",
            Self::Json => "json",
            Self::Jsonb => "jsonb",
            Self::Array(element) => return write!(f, "{element}[]"),
            Self::Map(map) => return write!(f, "{map}"),
        };
        f.write_str(name)
    }
}

impl DataType {
    /// Precision and scale of a numeric as held in memory: a bare one is (76, 20).
    pub fn numeric_shape(modifier: Option<(u8, i8)>) -> (u8, i8) {
        modifier.unwrap_or((NUMERIC_PRECISION_MAX, NUMERIC_BARE_SCALE))
    }

    /// Whether it is a map's: stored entry by entry.
    pub fn is_map(&self) -> bool {
        matches!(self, Self::Map(_))
    }

    /// The physical form of this type's cells.
    pub fn physical(&self) -> PhysicalType {
        match self {
            Self::Bool => PhysicalType::Bool,
            Self::Int2 => PhysicalType::Int2,
            Self::Int4 | Self::Date => PhysicalType::Int4,
            Self::Int8 | Self::Time | Self::Timestamp | Self::TimestampTz => PhysicalType::Int8,
            Self::Float4 => PhysicalType::Float4,
            Self::Float8 => PhysicalType::Float8,
            Self::Numeric(m) => match Self::numeric_shape(*m).0 {
                0..=38 => PhysicalType::Int16,
                _ => PhysicalType::Int32,
            },
            Self::Interval | Self::Uuid => PhysicalType::Fixed16,
            Self::Text | Self::Varchar(_) | Self::Char(_) | Self::Bytea => PhysicalType::Bytes,
            Self::Json | Self::Jsonb | Self::Array(_) | Self::Map(_) => PhysicalType::Bytes,
        }
    }

    /// The Arrow type a scan yields for this type. Strings and bytes are views, so that a scan can
    /// point into cached pages.
    pub fn arrow(&self) -> ArrowType {
        match self {
            Self::Bool => ArrowType::Boolean,
            Self::Int2 => ArrowType::Int16,
            Self::Int4 => ArrowType::Int32,
            Self::Int8 => ArrowType::Int64,
            Self::Float4 => ArrowType::Float32,
            Self::Float8 => ArrowType::Float64,
            Self::Numeric(m) => match Self::numeric_shape(*m) {
                (p @ 0..=38, s) => ArrowType::Decimal128(p, s),
                (p, s) => ArrowType::Decimal256(p, s),
            },
            Self::Text | Self::Varchar(_) | Self::Char(_) => ArrowType::Utf8View,
            Self::Json | Self::Jsonb => ArrowType::Utf8View,
            Self::Bytea => ArrowType::BinaryView,
            Self::Date => ArrowType::Date32,
            Self::Time => ArrowType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => ArrowType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampTz => {
                ArrowType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")))
            }
            Self::Interval => ArrowType::Interval(IntervalUnit::MonthDayNano),
            Self::Uuid => ArrowType::FixedSizeBinary(16),
            Self::Array(element) => ArrowType::new_list(element.arrow(), true),
            // The one type held so: an Arrow type alone tells maps from bytea.
            Self::Map(_) => ArrowType::LargeBinary,
        }
    }

    /// True where the type can be part of a primary key (rule 38).
    pub fn is_key_type(&self) -> bool {
        match self {
            Self::Numeric(m) => Self::numeric_shape(*m).0 <= 38,
            Self::Interval | Self::Json | Self::Jsonb | Self::Array(_) | Self::Map(_) => false,
            _ => true,
        }
    }

    /// True for the types whose values are UTF-8 text.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Text | Self::Varchar(_) | Self::Char(_) | Self::Json | Self::Jsonb)
    }
}
