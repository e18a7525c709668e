//! COPY's formats against PostgreSQL 15: every sample of `data/copy_samples.jsonl`, whole and cut into
//! pieces, gives the same rows, the same bytes on the way back, or the same error.

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use futures::{StreamExt, TryStreamExt, stream};
use proptest::prelude::*;
use std::sync::Arc;
use terrane_client::types::DataType;
use terrane_client::value::Value;
use terrane_sql::copy::options::{
    Columns, CopyFormat, CopyHeader, CopyOptions, RawOption, RawValue,
};
use terrane_sql::copy::reader::{CopyBatch, CopyColumn, CopyReader};
use terrane_sql::copy::statement::{self, CopySource, CopyTarget};
use terrane_sql::copy::writer::CopyWriter;
use terrane_sql::error::SqlError;
use terrane_sql::session::format::Format;
use terrane_sql::session::response::ResultColumn;
use terrane_sql::types::cells::Cells;
use terrane_sql::types::column::ColumnBuilder;
use terrane_sql::types::style::TextStyle;
use terrane_sql::types::{fuzz, oid};

const SAMPLES: &str = include_str!("../data/copy_samples.jsonl");
const COLUMNS: [&str; 3] = ["a", "b", "c"];

fn table_columns() -> Columns<'static> {
    Columns { table: Some("t"), all: &COLUMNS, copied: &COLUMNS }
}

fn columns() -> Vec<CopyColumn> {
    let types = [DataType::Int4, DataType::Text, DataType::Text];
    COLUMNS
        .into_iter()
        .zip(types)
        .map(|(name, data_type)| CopyColumn { name: name.to_owned(), data_type, precision: None })
        .collect()
}

fn result_columns(columns: &[CopyColumn]) -> Arc<[ResultColumn]> {
    columns
        .iter()
        .map(|c| ResultColumn {
            name: c.name.clone(),
            wire_type: oid::of(&c.data_type),
            table_oid: 0,
            attnum: 0,
        })
        .collect()
}

fn parse(sql: &str) -> statement::CopyStatement {
    let dialect = PostgreSqlDialect {};
    let mut parser = Parser::new(&dialect).try_with_sql(sql).unwrap();
    assert!(statement::is_copy(&parser));
    statement::parse(&mut parser).unwrap_or_else(|e| panic!("{sql}: {e}"))
}

fn raw_options(options: &str, direction: &str) -> Vec<RawOption> {
    let clause = if options.is_empty() { String::new() } else { format!("WITH ({options})") };
    parse(&format!("COPY t {direction} {clause}")).options
}

fn read(
    options: &CopyOptions,
    columns: Vec<CopyColumn>,
    data: &[u8],
    cut: usize,
) -> Result<Vec<CopyBatch>, SqlError> {
    let style = Arc::new(TextStyle::default());
    let mut reader = CopyReader::new(options, "t", columns, style, 0);
    let mut batches = Vec::new();
    for part in data.chunks(cut) {
        reader.feed(part, &mut batches)?;
    }
    let rows = reader.finish(&mut batches)?;
    assert_eq!(rows, batches.iter().map(|b| b.lines.len() as u64).sum::<u64>());
    Ok(batches)
}

fn texts(batches: &[CopyBatch], columns: &[CopyColumn]) -> Vec<Vec<Option<String>>> {
    let style = Arc::new(TextStyle::default());
    let mut rows = Vec::new();
    for batch in batches {
        let cells: Vec<Cells> = batch
            .rows
            .columns()
            .iter()
            .zip(columns)
            .map(|(a, c)| Cells::new(a, oid::of(&c.data_type), Format::Text, &style).unwrap())
            .collect();
        for row in 0..batch.rows.num_rows() {
            let cell = |c: &Cells| {
                let mut out = Vec::new();
                c.write(row, &mut out).unwrap();
                (!c.is_null(row)).then(|| String::from_utf8(out).unwrap())
            };
            rows.push(cells.iter().map(cell).collect());
        }
    }
    rows
}

/// CopyData messages' payloads.
fn written(
    options: CopyOptions,
    columns: &[CopyColumn],
    batches: Vec<RecordBatch>,
) -> Vec<Vec<u8>> {
    let style = Arc::new(TextStyle::default());
    let writer = CopyWriter::new(options, result_columns(columns), style);
    let batches = stream::iter(batches.into_iter().map(Ok)).boxed();
    let data = writer.respond(batches).data;
    let parts: Vec<Bytes> = futures::executor::block_on(data.try_collect()).unwrap();
    let all = parts.concat();
    let mut rest = all.as_slice();
    let mut messages = Vec::new();
    while let [b'd', a, b, c, d, tail @ ..] = rest {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize - 4;
        messages.push(tail[..length].to_vec());
        rest = &tail[length..];
    }
    assert!(rest.is_empty());
    messages
}

fn bytes_of(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}

#[test]
fn copy_is_as_postgresql_has_it() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for line in SAMPLES.lines() {
        let sample: serde_json::Value = serde_json::from_str(line).unwrap();
        let options = sample["options"].as_str().unwrap();
        let data = bytes_of(sample["data"].as_str().unwrap());
        let raw = raw_options(options, "FROM STDIN");
        for cut in [1, 2, 3, 7, usize::MAX] {
            let checked = CopyOptions::check(&raw, table_columns(), true);
            let answer = checked.and_then(|o| Ok((read(&o, columns(), &data, cut)?, o)));
            let found = match answer {
                Ok((batches, mut o)) => {
                    let rows = serde_json::json!(texts(&batches, &columns()));
                    o.force_not_null.fill(false);
                    let batches = batches.into_iter().map(|b| b.rows).collect();
                    let out: Vec<String> = written(o, &columns(), batches)
                        .iter()
                        .map(|m| m.iter().map(|b| char::from(*b)).collect())
                        .collect();
                    // PostgreSQL puts the header of the binary format into the first row's message.
                    let expected: Vec<&str> = sample["out"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .filter_map(|p| p.as_str())
                        .collect();
                    let same = match options.contains("binary") {
                        true => out.concat() == expected.concat(),
                        false => out == expected,
                    };
                    if rows == sample["rows"] && same {
                        None
                    } else {
                        Some(format!("{rows} {out:?}"))
                    }
                }
                Err(e) => {
                    let found = serde_json::json!([e.state.0, e.message, e.hint, e.context]);
                    (found != sample["error"]).then(|| found.to_string())
                }
            };
            if let Some(found) = found {
                wrong.push(format!("cut {cut}: {line}\n    found {found}"));
                break;
            }
        }
        count += 1;
    }
    assert!(count > 150);
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn text_columns(count: usize) -> Vec<CopyColumn> {
    (0..count)
        .map(|i| CopyColumn { name: format!("c{i}"), data_type: DataType::Text, precision: None })
        .collect()
}

fn text_rows() -> impl Strategy<Value = Vec<Vec<Option<String>>>> {
    let pieces = ["\\", "\"", "\n", "\r", "\t", ",", "\\.", "\\N", "NULL", "ä", "plain text", " "];
    let piece = proptest::sample::select(pieces.to_vec());
    let text = proptest::collection::vec(piece, 0..5).prop_map(|parts| parts.concat());
    let cell = proptest::option::weighted(0.8, text);
    proptest::collection::vec(proptest::collection::vec(cell, 2..=2), 0..20)
}

/// One batch of text columns.
fn batch(columns: &[CopyColumn], rows: &[Vec<Option<String>>]) -> RecordBatch {
    let mut builders: Vec<_> =
        columns.iter().map(|c| ColumnBuilder::new(&c.data_type, rows.len())).collect();
    for row in rows {
        for (builder, cell) in builders.iter_mut().zip(row) {
            builder.append_value(&cell.clone().map_or(Value::Null, Value::Text)).unwrap();
        }
    }
    let fields = columns.iter().map(|c| oid::field(&c.name, &c.data_type, true));
    let schema = arrow::datatypes::Schema::new(fields.collect::<Vec<_>>());
    let arrays = builders.iter_mut().map(ColumnBuilder::finish).collect();
    RecordBatch::try_new(Arc::new(schema), arrays).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// What COPY TO writes COPY FROM reads, in every format, with any options, cut anywhere.
    #[test]
    fn what_is_written_reads_back(
        rows in text_rows(),
        choice in 0_usize..6,
        header in any::<bool>(),
        force in any::<bool>(),
        cut in 1_usize..40,
    ) {
        let (format, escape, null) = [
            (CopyFormat::Text, b'"', "\\N"),
            (CopyFormat::Csv, b'"', ""),
            (CopyFormat::Csv, b'\\', ""),
            (CopyFormat::Csv, b'\\', "\\N"),
            (CopyFormat::Csv, b'"', "NULL"),
            (CopyFormat::Binary, b'"', ""),
        ][choice];
        let mut options = CopyOptions::new(format, 2);
        if format != CopyFormat::Binary {
            options.null = null.to_owned();
            options.escape = escape;
            options.force_quote.fill(force);
            options.header = if header { CopyHeader::Match } else { CopyHeader::None };
        }
        let columns = text_columns(2);
        let data = written(options.clone(), &columns, vec![batch(&columns, &rows)]).concat();
        let again = read(&options, columns.clone(), &data, cut).unwrap();
        prop_assert_eq!(texts(&again, &columns), rows, "{:?}", String::from_utf8_lossy(&data));
    }

    #[test]
    fn any_bytes_are_survived(
        data in proptest::collection::vec(
            prop_oneof![
                proptest::sample::select(b"\\\"\n\r\t,.N01x{}'\0".to_vec()),
                any::<u8>(),
            ],
            0..200,
        ),
    ) {
        terrane_sql::copy::fuzz::fuzz_copy(&data);
        fuzz::fuzz_types(&data);
    }

    /// Texts near to what the types read: pieces of dates, numbers, intervals and JSON in any order.
    #[test]
    fn any_words_are_survived(
        choice in any::<u8>(),
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "2001-02-03", "04:05:06", "99999999999", "-", "+", ":", ".", "e", "1e9", "J", "T",
                "BC", "PST", "Europe/Berlin", "utc+3", "jan", "31", "now", "epoch", "allballs",
                "y", "d", "mm", "P", "1Y", "ago", "1.5", "day", "mon", "week", " ", "{", "}", "[",
                "]", ",", "\"", "\\u", "d83d", "null", "true", "0", "x", "infinity", "24:00:00",
                "23:59:60", "@", "ä", "290000", "5874897-12-31", "24:0:0.5", "-178000000 years",
            ]),
            0..8,
        ),
    ) {
        let mut data = vec![choice];
        data.extend(words.concat().bytes());
        fuzz::fuzz_types(&data);
    }
}

/// 200,000 rows come out as batches of bounded size, numbered by line.
#[test]
fn batches_are_bounded() {
    let mut data = String::new();
    for i in 0..200_000 {
        data.push_str(&format!("{i}\tname {i}\t\\N\n"));
    }
    let options = CopyOptions::new(CopyFormat::Text, 3);
    let batches = read(&options, columns(), data.as_bytes(), 10_000).unwrap();
    assert!(batches.len() >= 200_000 / 8192);
    assert!(batches.iter().all(|b| b.rows.num_rows() <= 8192));
    let lines: Vec<u64> = batches.iter().flat_map(|b| b.lines.clone()).collect();
    assert_eq!(lines, (1..=200_000).collect::<Vec<_>>());
    let wide = format!("1\t{}\tx\n", "y".repeat(100_000)).repeat(100);
    let batches = read(&options, columns(), wide.as_bytes(), 8192).unwrap();
    assert!(batches.len() >= 9, "{}", batches.len());
}

fn options_of(pairs: &[(&str, &str)]) -> Vec<RawOption> {
    let option = |(name, value): &(&str, &str)| RawOption {
        name: (*name).to_owned(),
        value: RawValue::Word((*value).to_owned()),
    };
    pairs.iter().map(option).collect()
}

#[test]
fn statements() {
    let copy = parse("COPY s.t (a, \"B\") FROM STDIN");
    let CopySource::Table(name, columns) = &copy.source else { panic!() };
    assert_eq!((name.to_string().as_str(), columns.len()), ("s.t", 2));
    assert!(copy.from && copy.target == CopyTarget::Client && copy.options.is_empty());

    let copy = parse("copy (select 1 union all select 2) to stdout with (format csv, header)");
    assert!(matches!(copy.source, CopySource::Query(_)) && !copy.from);
    assert_eq!(copy.options[..1], options_of(&[("format", "csv")]));
    assert_eq!(copy.options[1].value, RawValue::None);

    assert!(parse("COPY t FROM '/tmp/x' WHERE a > 1").filter.is_some());
    let program = CopyTarget::Program("ls".to_owned());
    assert_eq!(parse("COPY t FROM PROGRAM 'ls'").target, program);
    for wrong in
        ["COPY t", "COPY (select 1) FROM STDIN", "COPY t FROM STDOUT", "COPY t TO STDOUT (x"]
    {
        let dialect = PostgreSqlDialect {};
        let mut parser = Parser::new(&dialect).try_with_sql(wrong).unwrap();
        assert!(statement::parse(&mut parser).is_err(), "{wrong}");
    }
    // Nothing behind it is taken for data.
    let dialect = PostgreSqlDialect {};
    let mut parser = Parser::new(&dialect).try_with_sql("COPY t FROM STDIN; SELECT 1").unwrap();
    statement::parse(&mut parser).unwrap();
    assert_eq!(parser.peek_token().to_string(), ";");
}

/// The forms of before 9.0, which psql's \copy and pg_dump still write.
#[test]
fn old_statements() {
    let copy = parse("COPY BINARY t TO STDOUT");
    assert_eq!(copy.options, options_of(&[("format", "binary")]));
    let copy = parse(
        "COPY t FROM STDIN WITH DELIMITER AS ';' NULL '' CSV HEADER QUOTE AS '''' ESCAPE '|' \
         FORCE NOT NULL a, b ENCODING 'utf8'",
    );
    let expected = options_of(&[
        ("delimiter", ";"),
        ("null", ""),
        ("format", "csv"),
        ("header", "true"),
        ("quote", "'"),
        ("escape", "|"),
    ]);
    assert_eq!(copy.options[..6], expected);
    assert_eq!(copy.options[6].name, "force_not_null");
    assert_eq!(copy.options[6].value, RawValue::List(vec!["a".into(), "b".into()]));
    assert_eq!(parse("COPY t TO STDOUT CSV FORCE QUOTE *").options[1].value, RawValue::Star);
}
