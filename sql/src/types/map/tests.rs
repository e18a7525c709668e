use super::*;
use crate::session::info::SessionInfo;

fn typed(key: DataType, value: DataType) -> MapType {
    MapType::new(key, value).expect("scalars")
}

/// Read, written, and written again from the cell.
fn round(text: &str, of: &MapType) -> Result<String, SqlError> {
    let info = SessionInfo::default();
    let value = parse(text, of, info.input())?;
    let Value::Map(entries) = &value else { panic!("{value:?}") };
    let (mut written, mut of_cell) = (Vec::new(), Vec::new());
    write(entries, of, &info.style, &mut written);
    write_cell(&to_cell(&value, of)?, of, &info.style, &mut of_cell)?;
    assert_eq!(written, of_cell);
    Ok(String::from_utf8(written).expect("UTF-8"))
}

fn hstore(text: &str) -> String {
    round(text, &MapType::hstore()).expect("an hstore")
}

/// As PostgreSQL 15's hstore answers, but for the order of keys of unlike lengths.
#[test]
fn hstore_as_postgresql_reads_it() {
    assert_eq!(hstore(""), "");
    assert_eq!(hstore("  a=>1 ,b => 2"), r#""a"=>"1", "b"=>"2""#);
    assert_eq!(hstore("a=>1,"), r#""a"=>"1""#);
    assert_eq!(hstore(",a=>1"), r#"",a"=>"1""#);
    assert_eq!(hstore("a=>1,,b=>2"), r#"",b"=>"2", "a"=>"1""#);
    assert_eq!(
        hstore(r#""a"=>"N\"ULL", b=>null, c=>"null", NULL=>x, d=>nuLL, e=>"""#),
        r#""NULL"=>"x", "a"=>"N\"ULL", "b"=>NULL, "c"=>"null", "d"=>NULL, "e"=>"""#
    );
    assert_eq!(hstore(r#""a\\b"=>"c\\d","e\"f"=>"g""#), r#""a\\b"=>"c\\d", "e\"f"=>"g""#);
    assert_eq!(
        hstore(r#"a=>1,a=>2, bb=>1, b=>3, ""=>x"#),
        r#"""=>"x", "a"=>"1", "b"=>"3", "bb"=>"1""#
    );
}

#[test]
fn what_is_no_hstore() {
    let error = |text: &str| round(text, &MapType::hstore()).expect_err(text).to_string();
    let end = "syntax error in hstore: unexpected end of string";
    for text in ["a", "a=", "a=>", "a=>\"b", "a=>\\"] {
        assert!(error(text).contains(end), "{text}: {}", error(text));
    }
    let near = |what: &str, at: usize| format!("near \"{what}\" at position {at}");
    assert!(error("=>1").contains(&near("=", 0)));
    assert!(error("a=b").contains(&near("b", 2)));
    assert!(error("a=>1 b=>2").contains(&near("b", 5)));
    assert!(error("é=>1 ü").contains(&near("ü", 6)));
}

#[test]
fn objects() {
    let of = typed(DataType::Text, DataType::Int8);
    assert_eq!(
        round(r#"{"b": 2, "a": null, "b": "3"}"#, &of).expect("a map"),
        r#"{"a": null, "b": 3}"#
    );
    assert_eq!(round("{}", &of).expect("a map"), "{}");
    for wrong in ["", "[1]", "3", r#"{"a": "x"}"#, r#"{"a": 1.5}"#, r#"{"a": [1]}"#] {
        assert!(round(wrong, &of).is_err(), "{wrong}");
    }
    let of = typed(DataType::Int4, DataType::Bytea);
    let text = r#"{"10":"\\x00ff", "9":"\\x"}"#;
    assert_eq!(round(text, &of).expect("a map"), r#"{"9": "\\x", "10": "\\x00ff"}"#);
    let of = typed(DataType::Date, DataType::Timestamp);
    let text = r#"{"2026-01-02":"2026-01-02 03:04:05"}"#;
    assert_eq!(round(text, &of).expect("a map"), r#"{"2026-01-02": "2026-01-02T03:04:05"}"#);
    let of = typed(DataType::Bool, DataType::Jsonb);
    let text = r#"{"t":{"b":1,"a":[2]}, "no":"x"}"#;
    assert_eq!(round(text, &of).expect("a map"), r#"{"false": "x", "true": {"a": [2], "b": 1}}"#);
    let of = typed(DataType::Text, DataType::Float8);
    assert_eq!(round(r#"{"a":"NaN","b":-0}"#, &of).expect("a map"), r#"{"a": "NaN", "b": 0}"#);
}

/// A cell whose type the plan has lost is shown as what it is.
#[test]
fn a_cell_knows_its_type() {
    let of = typed(DataType::Text, DataType::Int8);
    let entries = vec![(Value::Text("a".to_owned()), Value::Int8(1))];
    let cell = to_cell(&Value::Map(entries), &of).expect("fits");
    let mut out = Vec::new();
    write_cell(&cell, &MapType::hstore(), &TextStyle::default(), &mut out).expect("a map");
    assert_eq!(out, br#"{"a": 1}"#);
    assert!(open(&cell, &MapType::hstore()).is_err());
}
