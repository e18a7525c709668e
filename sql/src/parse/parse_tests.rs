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
fn ten_thousand_parentheses_are_refused() {
    let sql = format!("select {}1{}", "(".repeat(10_000), ")".repeat(10_000));
    assert_eq!(statements(&sql).unwrap_err().state, SqlState::STATEMENT_TOO_COMPLEX);
}
