//! Statements PostgreSQL has and Terrane has not: refused by name, not as syntax errors.

use crate::bind::ddl::DdlStatement;
use crate::bind::ddl::cursor::{Cursor, Parsed};

/// Kinds of objects there are none of, after CREATE, ALTER and DROP. Longer ones first.
const KINDS: &[&[&str]] = &[
    &["MATERIALIZED", "VIEW"],
    &["FOREIGN", "DATA", "WRAPPER"],
    &["FOREIGN", "TABLE"],
    &["DEFAULT", "PRIVILEGES"],
    &["EVENT", "TRIGGER"],
    &["ACCESS", "METHOD"],
    &["TEXT", "SEARCH"],
    &["USER", "MAPPING"],
    &["LARGE", "OBJECT"],
    &["OWNED", "BY"],
    &["CONSTRAINT", "TRIGGER"],
    &["OPERATOR"],
    &["AGGREGATE"],
    &["CAST"],
    &["COLLATION"],
    &["CONVERSION"],
    &["DATABASE"],
    &["DOMAIN"],
    &["EXTENSION"],
    &["FUNCTION"],
    &["GROUP"],
    &["LANGUAGE"],
    &["POLICY"],
    &["PROCEDURE"],
    &["PUBLICATION"],
    &["ROLE"],
    &["ROUTINE"],
    &["RULE"],
    &["SERVER"],
    &["STATISTICS"],
    &["SUBSCRIPTION"],
    &["SYSTEM"],
    &["TABLESPACE"],
    &["TRANSFORM"],
    &["TRIGGER"],
    &["TYPE"],
    &["USER"],
];

/// Statements of their own, by their first words.
const STATEMENTS: &[&[&str]] = &[
    &["GRANT"],
    &["REVOKE"],
    &["REASSIGN", "OWNED"],
    &["SECURITY", "LABEL"],
    &["REFRESH", "MATERIALIZED", "VIEW"],
    &["IMPORT", "FOREIGN", "SCHEMA"],
    &["CLUSTER"],
];

/// What may stand between the verb and the kind.
const MODIFIERS: &[&str] = &["TRUSTED", "PROCEDURAL", "RECURSIVE", "GLOBAL", "LOCAL"];

/// After CREATE, ALTER or DROP and nothing that is supported.
pub(super) fn after<T>(cursor: &mut Cursor<'_, '_>, verb: &str) -> Parsed<T> {
    while MODIFIERS.iter().any(|word| cursor.take(&[word])) {}
    match KINDS.iter().find(|kind| cursor.sees(kind)) {
        Some(kind) => cursor.unsupported(format!("{verb} {}", kind.join(" "))),
        None => cursor.fail("the kind of an object"),
    }
}

/// Whole statements that are refused; `None` for what is not DDL.
pub(super) fn parse(cursor: &mut Cursor<'_, '_>) -> Parsed<Option<DdlStatement>> {
    match STATEMENTS.iter().find(|words| cursor.sees(words)) {
        Some(words) => cursor.unsupported(words.join(" ")),
        None => Ok(None),
    }
}
