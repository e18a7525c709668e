//! Strategies for property tests: values of every type, with the awkward ones often.

use crate::cell::map;
use crate::interval::Interval;
use crate::numeric::Numeric;
use crate::types::{DataType, MapType};
use crate::value::Value;
use arrow::datatypes::i256;
use proptest::prelude::*;

/// Every type a key column can have.
pub fn key_type() -> BoxedStrategy<DataType> {
    prop_oneof![
        Just(DataType::Bool),
        Just(DataType::Int2),
        Just(DataType::Int4),
        Just(DataType::Int8),
        Just(DataType::Float4),
        Just(DataType::Float8),
        Just(DataType::Numeric(Some((10, 2)))),
        Just(DataType::Numeric(Some((38, 38)))),
        Just(DataType::Text),
        Just(DataType::Varchar(Some(40))),
        Just(DataType::Char(12)),
        Just(DataType::Bytea),
        Just(DataType::Date),
        Just(DataType::Time),
        Just(DataType::Timestamp),
        Just(DataType::TimestampTz),
        Just(DataType::Uuid),
    ]
    .boxed()
}

/// Every type.
pub fn any_type() -> BoxedStrategy<DataType> {
    let scalar = prop_oneof![
        6 => key_type(),
        1 => Just(DataType::Numeric(None)),
        1 => Just(DataType::Numeric(Some((76, 0)))),
        1 => Just(DataType::Interval),
        1 => Just(DataType::Json),
        1 => Just(DataType::Jsonb),
    ]
    .boxed();
    let map = (key_type(), scalar.clone())
        .prop_filter_map("a map's types", |(key, value)| MapType::new(key, value).ok())
        .prop_map(|map| DataType::Map(Box::new(map)));
    let array = scalar.clone().prop_map(|t| DataType::Array(Box::new(t)));
    prop_oneof![6 => scalar, 2 => array, 1 => map].boxed()
}

macro_rules! integers {
    ($type:ty) => {
        prop_oneof![
            any::<$type>(),
            -2..3 as $type,
            Just(<$type>::MIN),
            Just(<$type>::MIN + 1),
            Just(<$type>::MAX),
            Just(<$type>::MAX - 1),
        ]
    };
}

macro_rules! floats {
    ($type:ident) => {
        prop_oneof![
            any::<$type>(),
            Just(0.0),
            Just(-0.0),
            Just(1.5),
            Just(-2.5),
            Just($type::NAN),
            Just(-$type::NAN),
            Just($type::INFINITY),
            Just($type::NEG_INFINITY),
            Just($type::MAX),
            Just($type::MIN_POSITIVE),
        ]
    };
}

fn numeric(precision: u8, scale: i8) -> BoxedStrategy<Value> {
    let limit = i256::from_i128(10).wrapping_pow(u32::from(precision));
    (any::<[u8; 32]>(), 0..=precision)
        .prop_map(move |(bytes, digits)| {
            let limit = limit.min(i256::from_i128(10).wrapping_pow(u32::from(digits)));
            let unscaled = i256::from_le_bytes(bytes).wrapping_rem(limit);
            Value::Numeric(Numeric { unscaled, scale })
        })
        .boxed()
}

fn bytes() -> BoxedStrategy<Vec<u8>> {
    let awkward = prop::sample::select(vec![0u8, 1, 2, 0x20, 0x61, 0x7f, 0x80, 0xfe, 0xff]);
    prop::collection::vec(prop_oneof![3 => awkward, 1 => any::<u8>()], 0..7).boxed()
}

fn text() -> BoxedStrategy<String> {
    let awkward =
        prop::sample::select(vec!['\u{1}', ' ', 'a', 'b', '~', 'ä', '\u{ff}', '🦀', '\u{0}']);
    prop::collection::vec(awkward, 0..6).prop_map(|chars| chars.into_iter().collect()).boxed()
}

/// A value of `data_type`, never NULL; elements of arrays may be.
pub fn value_of(data_type: &DataType) -> BoxedStrategy<Value> {
    match data_type {
        DataType::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        DataType::Int2 => integers!(i16).prop_map(Value::Int2).boxed(),
        DataType::Int4 => integers!(i32).prop_map(Value::Int4).boxed(),
        DataType::Int8 => integers!(i64).prop_map(Value::Int8).boxed(),
        DataType::Float4 => floats!(f32).prop_map(Value::Float4).boxed(),
        DataType::Float8 => floats!(f64).prop_map(Value::Float8).boxed(),
        DataType::Numeric(modifier) => {
            let (precision, scale) = DataType::numeric_shape(*modifier);
            numeric(precision, scale)
        }
        DataType::Char(_) => {
            text().prop_map(|text| Value::Text(text.trim_end_matches(' ').to_owned())).boxed()
        }
        DataType::Text | DataType::Varchar(_) | DataType::Json | DataType::Jsonb => {
            text().prop_map(Value::Text).boxed()
        }
        DataType::Bytea => bytes().prop_map(|bytes| Value::Bytea(bytes.into())).boxed(),
        DataType::Date => integers!(i32).prop_map(Value::Date).boxed(),
        DataType::Time => (0..=86_400_000_000i64).prop_map(Value::Time).boxed(),
        DataType::Timestamp => integers!(i64).prop_map(Value::Timestamp).boxed(),
        DataType::TimestampTz => integers!(i64).prop_map(Value::TimestampTz).boxed(),
        DataType::Interval => {
            (integers!(i32), integers!(i32), -1_000_000_000_000i64..1_000_000_000_000)
                .prop_map(|(months, days, micros)| {
                    Value::Interval(Interval { months, days, micros })
                })
                .boxed()
        }
        DataType::Uuid => any::<[u8; 16]>().prop_map(Value::Uuid).boxed(),
        DataType::Map(of) => {
            let entry = (value_of(of.key()), nullable(of.value()));
            prop::collection::vec(entry, 0..8)
                .prop_map(|entries| Value::Map(map::in_order(entries)))
                .boxed()
        }
        DataType::Array(element) => {
            prop::collection::vec(nullable(element), 0..20).prop_map(Value::Array).boxed()
        }
    }
}

/// A value of `data_type`, or NULL.
pub fn nullable(data_type: &DataType) -> BoxedStrategy<Value> {
    prop_oneof![1 => Just(Value::Null), 4 => value_of(data_type)].boxed()
}
