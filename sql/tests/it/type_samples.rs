//! Every sample of `data/type_samples.tsv`, made by PostgreSQL 15's input and output functions, gives the
//! same text, or the same SQLSTATE and message, here; and what is given out reads back the same, in text
//! and in binary.

use bytes::Bytes;
use terrane_client::types::DataType;
use terrane_sql::types::style::{
    ByteaOutput, DateOrder, DateStyle, IntervalStyle, TextStyle, TimeZone,
};
use terrane_sql::types::text::{InputContext, parse, to_string};
use terrane_sql::types::{binary, column::ColumnBuilder, datetime::zone, integer};

const SAMPLES: &str = include_str!("../data/type_samples.tsv");

fn data_type(name: &str) -> DataType {
    if let Some(element) = name.strip_suffix("[]") {
        return DataType::Array(Box::new(data_type(element)));
    }
    let (base, modifiers) = match name.split_once('(') {
        Some((base, rest)) => (base, rest.trim_end_matches(')')),
        None => (name, ""),
    };
    let numbers: Vec<i32> = modifiers.split(',').filter_map(|n| n.parse().ok()).collect();
    match base {
        "boolean" => DataType::Bool,
        "smallint" => DataType::Int2,
        "integer" => DataType::Int4,
        "bigint" => DataType::Int8,
        "real" => DataType::Float4,
        "double precision" => DataType::Float8,
        "numeric" => DataType::Numeric(
            numbers.first().map(|p| (*p as u8, numbers.get(1).copied().unwrap_or(0) as i8)),
        ),
        "text" => DataType::Text,
        "varchar" => DataType::Varchar(numbers.first().map(|n| *n as u32)),
        "char" => DataType::Char(numbers[0] as u32),
        "bytea" => DataType::Bytea,
        "date" => DataType::Date,
        "time" => DataType::Time,
        "timestamp" => DataType::Timestamp,
        "timestamptz" => DataType::TimestampTz,
        "interval" => DataType::Interval,
        "uuid" => DataType::Uuid,
        "json" => DataType::Json,
        "jsonb" => DataType::Jsonb,
        other => panic!("{other}"),
    }
}

fn style(settings: &str) -> TextStyle {
    let mut style = TextStyle::default();
    for (name, value) in settings.split(';').filter_map(|s| s.split_once('=')) {
        match (name, value) {
            ("datestyle", list) => {
                for word in list.split(", ") {
                    match word {
                        "ISO" => style.date_style = DateStyle::Iso,
                        "SQL" => style.date_style = DateStyle::Sql,
                        "German" => style.date_style = DateStyle::German,
                        "Postgres" => style.date_style = DateStyle::Postgres,
                        "MDY" => style.date_order = DateOrder::Mdy,
                        "DMY" => style.date_order = DateOrder::Dmy,
                        "YMD" => style.date_order = DateOrder::Ymd,
                        other => panic!("{other}"),
                    }
                }
            }
            ("TimeZone", name) => style.time_zone = zone::by_name(name).unwrap(),
            ("extra_float_digits", n) => style.extra_float_digits = n.parse().unwrap(),
            ("bytea_output", _) => style.bytea_output = ByteaOutput::Escape,
            ("intervalstyle", "iso_8601") => style.interval_style = IntervalStyle::Iso8601,
            ("intervalstyle", "sql_standard") => style.interval_style = IntervalStyle::SqlStandard,
            ("intervalstyle", _) => style.interval_style = IntervalStyle::PostgresVerbose,
            other => panic!("{other:?}"),
        }
    }
    style
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push(match chars.next().unwrap() {
                't' => '\t',
                'n' => '\n',
                'r' => '\r',
                other => other,
            }),
            c => out.push(c),
        }
    }
    out
}

struct Sample {
    type_name: &'static str,
    settings: &'static str,
    input: String,
    expected: String,
}

fn samples() -> Vec<Sample> {
    let lines = SAMPLES.lines().filter(|l| !l.is_empty());
    let all: Vec<_> = lines
        .map(|line| {
            let parts: Vec<&'static str> = line.split('\t').collect();
            let [type_name, settings, input, expected] = parts[..] else { panic!("{line}") };
            Sample { type_name, settings, input: unescape(input), expected: unescape(expected) }
        })
        .collect();
    assert!(all.len() > 1400, "{}", all.len());
    all
}

fn answer(sample: &Sample) -> String {
    if sample.type_name == "oid" {
        return match integer::parse_oid(&sample.input) {
            Ok(value) => format!("={value}"),
            Err(error) => format!("!{} {}", error.state.0, error.message),
        };
    }
    let data_type = data_type(sample.type_name);
    let style = style(sample.settings);
    let context = InputContext { style: &style, now_micros: 981_173_106_000_000 };
    match parse(&sample.input, &data_type, context) {
        Ok(value) => format!("={}", to_string(&value, &data_type, &style)),
        Err(error) => format!("!{} {}", error.state.0, error.message),
    }
}

#[test]
fn text_is_as_postgresql_has_it() {
    let mut wrong = Vec::new();
    for sample in samples() {
        let found = answer(&sample);
        if found != sample.expected {
            wrong.push(format!(
                "{} [{}] {:?}: expected {:?}, found {found:?}",
                sample.type_name, sample.settings, sample.input, sample.expected
            ));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn values_survive_text_and_binary() {
    let iso = TextStyle::default();
    let mut count = 0;
    for sample in samples().iter().filter(|s| s.type_name != "oid") {
        let data_type = data_type(sample.type_name);
        let style = style(sample.settings);
        let context = InputContext { style: &style, now_micros: 0 };
        let Ok(value) = parse(&sample.input, &data_type, context) else { continue };
        let context = InputContext { style: &iso, now_micros: 0 };
        let text = to_string(&value, &data_type, &iso);
        let again = parse(&text, &data_type, context).unwrap_or_else(|e| panic!("{text:?}: {e}"));
        // NaN is not equal to itself; its text is.
        assert_eq!(format!("{value:?}"), format!("{again:?}"), "{text:?}");
        let mut bytes = Vec::new();
        binary::send(&value, &data_type, &mut bytes);
        let bytes = Bytes::from(bytes);
        let again = binary::receive(&bytes, &data_type)
            .unwrap_or_else(|e| panic!("{text:?} {bytes:?}: {e}"));
        assert_eq!(format!("{value:?}"), format!("{again:?}"), "{text:?}");
        count += 1;
    }
    assert!(count > 900, "{count}");
}

/// The way by Arrow builders gives what the way by values gives, errors included.
#[test]
fn builders_agree_with_values() {
    use terrane_sql::session::format::Format;
    use terrane_sql::types::{cells::Cells, oid};
    for sample in samples().iter().filter(|s| s.type_name != "oid") {
        let data_type = data_type(sample.type_name);
        let style = std::sync::Arc::new(style(sample.settings));
        let context = InputContext { style: &style, now_micros: 0 };
        let value = parse(&sample.input, &data_type, context);
        let mut builder = ColumnBuilder::new(&data_type, 3);
        builder.append_null();
        let built = builder.append_text(&sample.input, context);
        if let (Ok(value), Err(error)) = (&value, &built) {
            // Arrow's intervals are narrower.
            assert_eq!(error.message, "interval out of range", "{value:?}");
            continue;
        }
        assert_eq!(built.clone().err(), value.clone().err());
        let Ok(value) = value else { continue };
        let mut bytes = Vec::new();
        binary::send(&value, &data_type, &mut bytes);
        builder.append_binary(&bytes).unwrap();
        builder.append_value(&value).unwrap();
        let array = builder.finish();
        assert_eq!(array.data_type(), &data_type.arrow());
        for format in [Format::Text, Format::Binary] {
            let mut expected = Vec::new();
            match format {
                Format::Text => {
                    terrane_sql::types::text::write(&value, &data_type, &style, &mut expected);
                }
                Format::Binary => binary::send(&value, &data_type, &mut expected),
            }
            let cells = Cells::new(&array, oid::of(&data_type), format, &style).unwrap();
            assert!(cells.is_null(0));
            for row in 1..4 {
                let mut out = Vec::new();
                assert!(!cells.is_null(row));
                cells.write(row, &mut out).unwrap();
                assert_eq!(
                    String::from_utf8_lossy(&out),
                    String::from_utf8_lossy(&expected),
                    "{:?} {format:?}",
                    sample.input
                );
            }
        }
    }
}

#[test]
fn zone_names_in_any_case() {
    assert_eq!(zone::by_name("europe/berlin"), Some(TimeZone::Named(chrono_tz::Europe::Berlin)));
    assert_eq!(zone::by_name("nowhere"), None);
}

/// PostgreSQL's own bytes read as its text does, and are what is sent for it.
#[test]
fn binary_is_as_postgresql_has_it() {
    let style = TextStyle::default();
    let context = InputContext { style: &style, now_micros: 0 };
    let mut count = 0;
    for line in include_str!("../data/binary_samples.tsv").lines() {
        let [type_name, text, hex] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let byte = |i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap();
        let expected: Bytes = (0..hex.len()).step_by(2).map(byte).collect::<Vec<u8>>().into();
        let data_type = data_type(type_name);
        let value = parse(text, &data_type, context).unwrap();
        let mut sent = Vec::new();
        binary::send(&value, &data_type, &mut sent);
        assert_eq!(sent, expected, "{line}");
        let received = binary::receive(&expected, &data_type).unwrap();
        assert_eq!(format!("{received:?}"), format!("{value:?}"), "{line}");
        count += 1;
    }
    assert!(count > 80, "{count}");
}
