#![allow(clippy::unwrap_used)]
use super::*;

#[test]
fn each_statement_keeps_its_own_text() {
    let parsed = statements(" select 1 ;; select 'a;b' -- end\n; ").unwrap();
    let texts: Vec<_> = parsed.iter().map(|p| p.text.as_str()).collect();
    assert_eq!(texts, ["select 1", "select 'a;b' -- end"]);
    assert_eq!(parsed[1].start, 13);
}

#[test]
fn nothing_but_semicolons_is_no_statement() {
    assert!(statements(" ; -- nothing\n;").unwrap().is_empty());
}

#[test]
fn syntax_errors_name_the_token_and_its_position() {
    let error = statements("selec 1").unwrap_err();
    assert_eq!(
        (error.message.as_str(), error.position),
        ("syntax error at or near \"selec\"", Some(1))
    );
    let error = statements("select (").unwrap_err();
    assert_eq!(error.message, "syntax error at end of input");
    let error = statements("select 1 2").unwrap_err();
    assert_eq!(error.message, "syntax error at or near \"2\"");
}

#[test]
fn a_frame_that_excludes_rows_is_refused_by_name() {
    let sql = "SELECT sum(a) OVER (ORDER BY a ROWS 1 PRECEDING EXCLUDE TIES) FROM t";
    assert_eq!(statements(sql).unwrap_err().state, SqlState::FEATURE_NOT_SUPPORTED);
    assert_eq!(statements("SELECT 1 exclude ties").unwrap_err().state, SqlState::SYNTAX_ERROR);
}

#[test]
fn ten_thousand_parentheses_are_refused() {
    let sql = format!("select {}1{}", "(".repeat(10_000), ")".repeat(10_000));
    assert_eq!(statements(&sql).unwrap_err().state, SqlState::STATEMENT_TOO_COMPLEX);
}

#[test]
fn a_fault_inside_of_nested_constructs_does_not_take_exponential_time() {
    for opening in ["array[", "case when true then ", "cast(", "extract(", "coalesce(", "not "] {
        let sql = format!("select {}+", opening.repeat(200));
        statements(&sql).unwrap_err();
    }
}

#[test]
fn long_statements_are_read() {
    let chain = format!("select {}1", "case when a = 1 then 'x' else b end || ".repeat(200));
    assert_eq!(statements(&chain).unwrap().len(), 1);
    let nested = format!("select {}1{}", "coalesce(a, ".repeat(50), ")".repeat(50));
    assert_eq!(statements(&nested).unwrap().len(), 1);
    let values = format!("insert into t values {}(1, 'a')", "(1, 'a'), ".repeat(10_000));
    assert_eq!(statements(&values).unwrap().len(), 1);
}
