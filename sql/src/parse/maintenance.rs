//! VACUUM, ANALYZE and CHECKPOINT.

use crate::bind::ddl::QualifiedName;
use crate::bind::ddl::cursor::{Cursor, Parsed};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

/// A statement about how data lies, not about what it says.
#[derive(Clone, Debug, PartialEq)]
pub enum Maintenance {
    /// VACUUM: a major compaction.
    Vacuum {
        /// The tables; none means all.
        tables: Vec<QualifiedName>,
    },
    /// ANALYZE: accepted; no statistics are kept.
    Analyze {
        /// The tables; none means all.
        tables: Vec<QualifiedName>,
    },
    /// CHECKPOINT: memtables become files.
    Checkpoint,
}

/// VACUUM's options, which change how it works and not what it does.
const OPTIONS: &[&str] = &["FULL", "FREEZE", "VERBOSE", "ANALYZE", "ANALYSE"];

/// Reads a maintenance statement, if one starts here. Leaves the parser after it.
pub fn parse(parser: &mut Parser<'_>) -> Result<Option<Maintenance>, ParserError> {
    let mut cursor = Cursor::new(parser);
    if cursor.take(&["CHECKPOINT"]) {
        return Ok(Some(Maintenance::Checkpoint));
    }
    let is_vacuum = cursor.take(&["VACUUM"]);
    if !is_vacuum && !cursor.take(&["ANALYZE"]) && !cursor.take(&["ANALYSE"]) {
        return Ok(None);
    }
    options(&mut cursor)?;
    let tables = match cursor.at_end() {
        true => Vec::new(),
        false => cursor.list(table)?,
    };
    Ok(Some(match is_vacuum {
        true => Maintenance::Vacuum { tables },
        false => Maintenance::Analyze { tables },
    }))
}

fn options(cursor: &mut Cursor<'_, '_>) -> Parsed<()> {
    if cursor.take_token(&Token::LParen) {
        cursor.list(|cursor| {
            cursor.any_ident()?;
            while !cursor.is_token(&Token::Comma) && !cursor.is_token(&Token::RParen) {
                cursor.any_ident()?;
            }
            Ok(())
        })?;
        return cursor.expect_token(&Token::RParen);
    }
    while OPTIONS.iter().any(|option| cursor.take(&[option])) {}
    Ok(())
}

/// A table, and the columns that are to be looked at.
fn table(cursor: &mut Cursor<'_, '_>) -> Parsed<QualifiedName> {
    let name = cursor.name()?;
    if cursor.is_token(&Token::LParen) {
        cursor.parenthesized(|cursor| cursor.ident())?;
    }
    Ok(name)
}
