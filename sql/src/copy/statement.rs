//! COPY's grammar. sqlparser's own reads inline data behind `FROM STDIN` and knows fewer options; this one
//! reads PostgreSQL 15's, the forms of before 9.0 included, with the same parser's tokens.

use super::options::{RawOption, RawValue};
use datafusion::sql::sqlparser::ast::{Expr, Ident, ObjectName, Query};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

/// What is copied.
#[derive(Clone, Debug, PartialEq)]
pub enum CopySource {
    /// A table, and its columns where they are named.
    Table(ObjectName, Vec<Ident>),
    /// A query's result: TO only.
    Query(Box<Query>),
}

/// Where the data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyTarget {
    /// STDIN or STDOUT: the client.
    Client,
    /// A file of the server's.
    File(String),
    /// A program of the server's.
    Program(String),
}

/// A COPY statement.
#[derive(Clone, Debug, PartialEq)]
pub struct CopyStatement {
    /// What is copied.
    pub source: CopySource,
    /// True for FROM.
    pub from: bool,
    /// Where the data is.
    pub target: CopyTarget,
    /// Options as written, names in lower case.
    pub options: Vec<RawOption>,
    /// WHERE of COPY FROM.
    pub filter: Option<Expr>,
}

type Result<T> = std::result::Result<T, ParserError>;

/// True where the next statement is a COPY.
pub fn is_copy(parser: &Parser<'_>) -> bool {
    parser.peek_keyword(Keyword::COPY)
}

/// Reads a COPY statement, up to its semicolon or the end.
pub fn parse(parser: &mut Parser<'_>) -> Result<CopyStatement> {
    parser.expect_keyword(Keyword::COPY)?;
    let mut options = Vec::new();
    if parser.parse_keyword(Keyword::BINARY) {
        options.push(named("format", "binary"));
    }
    let source = source(parser)?;
    let is_table = matches!(source, CopySource::Table(..));
    let from = match parser.parse_one_of_keywords(&[Keyword::FROM, Keyword::TO]) {
        Some(Keyword::FROM) if is_table => true,
        Some(Keyword::TO) => false,
        _ => return parser.expected_ref("FROM or TO", parser.peek_token_ref()),
    };
    let target = target(parser, from)?;
    if word(parser, "using") {
        expect_word(parser, "delimiters")?;
        options.push(RawOption { name: "delimiter".to_owned(), value: string(parser)? });
    }
    let _ = parser.parse_keyword(Keyword::WITH);
    if parser.consume_token(&Token::LParen) {
        options.extend(parser.parse_comma_separated(option)?);
        parser.expect_token(&Token::RParen)?;
    } else {
        while let Some(option) = old_option(parser)? {
            options.push(option);
        }
    }
    let filter = match from && parser.parse_keyword(Keyword::WHERE) {
        true => Some(parser.parse_expr()?),
        false => None,
    };
    Ok(CopyStatement { source, from, target, options, filter })
}

fn named(name: &str, value: &str) -> RawOption {
    RawOption { name: name.to_owned(), value: RawValue::Word(value.to_owned()) }
}

fn source(parser: &mut Parser<'_>) -> Result<CopySource> {
    if parser.consume_token(&Token::LParen) {
        let query = parser.parse_query()?;
        parser.expect_token(&Token::RParen)?;
        return Ok(CopySource::Query(query));
    }
    let table = parser.parse_object_name(false)?;
    let columns = match parser.consume_token(&Token::LParen) {
        true => {
            let columns = parser.parse_comma_separated(Parser::parse_identifier)?;
            parser.expect_token(&Token::RParen)?;
            columns
        }
        false => Vec::new(),
    };
    Ok(CopySource::Table(table, columns))
}

fn target(parser: &mut Parser<'_>, from: bool) -> Result<CopyTarget> {
    let client = if from { Keyword::STDIN } else { Keyword::STDOUT };
    if parser.parse_keyword(client) {
        return Ok(CopyTarget::Client);
    }
    if parser.parse_keyword(Keyword::PROGRAM) {
        return Ok(CopyTarget::Program(parser.parse_literal_string()?));
    }
    Ok(CopyTarget::File(parser.parse_literal_string()?))
}

/// Takes the next token if it is this word, keyword or not.
fn word(parser: &mut Parser<'_>, wanted: &str) -> bool {
    let found = matches!(
        &parser.peek_token_ref().token,
        Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(wanted)
    );
    if found {
        parser.advance_token();
    }
    found
}

fn expect_word(parser: &mut Parser<'_>, wanted: &str) -> Result<()> {
    match word(parser, wanted) {
        true => Ok(()),
        false => parser.expected_ref(wanted, parser.peek_token_ref()),
    }
}

fn string(parser: &mut Parser<'_>) -> Result<RawValue> {
    Ok(RawValue::Word(parser.parse_literal_string()?))
}

fn column_name(ident: Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value,
        None => ident.value.to_lowercase(),
    }
}

/// `name [value]` inside parentheses.
fn option(parser: &mut Parser<'_>) -> Result<RawOption> {
    let name = column_name(parser.parse_identifier()?);
    let value = match parser.peek_token_ref().token.clone() {
        Token::Comma | Token::RParen => RawValue::None,
        Token::Mul => {
            parser.advance_token();
            RawValue::Star
        }
        Token::LParen => {
            parser.advance_token();
            let list = parser.parse_comma_separated(Parser::parse_identifier)?;
            parser.expect_token(&Token::RParen)?;
            RawValue::List(list.into_iter().map(column_name).collect())
        }
        Token::Number(digits, _) => {
            parser.advance_token();
            RawValue::Word(digits)
        }
        Token::Word(w) => {
            parser.advance_token();
            RawValue::Word(match w.quote_style {
                Some(_) => w.value,
                None => w.value.to_lowercase(),
            })
        }
        _ => string(parser)?,
    };
    Ok(RawOption { name, value })
}

/// One option of the syntax before 9.0, which has no parentheses.
fn old_option(parser: &mut Parser<'_>) -> Result<Option<RawOption>> {
    let flags = [
        ("binary", "format", "binary"),
        ("csv", "format", "csv"),
        ("freeze", "freeze", "true"),
        ("header", "header", "true"),
    ];
    for (text, name, value) in flags {
        if word(parser, text) {
            return Ok(Some(named(name, value)));
        }
    }
    for name in ["delimiter", "null", "quote", "escape"] {
        if word(parser, name) {
            let _ = parser.parse_keyword(Keyword::AS);
            return Ok(Some(RawOption { name: name.to_owned(), value: string(parser)? }));
        }
    }
    if word(parser, "encoding") {
        return Ok(Some(RawOption { name: "encoding".to_owned(), value: string(parser)? }));
    }
    if !word(parser, "force") {
        return Ok(None);
    }
    let name = if word(parser, "quote") {
        "force_quote"
    } else {
        let not = word(parser, "not");
        expect_word(parser, "null")?;
        if not { "force_not_null" } else { "force_null" }
    };
    let value = match name == "force_quote" && parser.consume_token(&Token::Mul) {
        true => RawValue::Star,
        false => {
            let list = parser.parse_comma_separated(Parser::parse_identifier)?;
            RawValue::List(list.into_iter().map(column_name).collect())
        }
    };
    Ok(Some(RawOption { name: name.to_owned(), value }))
}
