//! SQL text to statements: sqlparser with PostgreSQL's dialect, PostgreSQL's errors.
//!
//! Contract: [`statements`] returns every statement with its own text, or a 42601 with the position
//! of the token PostgreSQL would name. Nesting past [`NESTING_MAX`] is 54001, never a stack overflow.

use crate::bind::ddl::{self, DdlStatement};
use crate::copy::statement::{self as copy, CopyStatement};
use crate::error::{SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{Query, Statement};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError, ParserOptions};
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};
use dialect::Dialect;
use tokens::{Respelled, respell};

pub mod chains;
pub mod command;
mod dialect;
pub mod maintenance;
mod map_assignments;
mod map_types;
pub mod place;
mod qualified;
pub mod supported;
mod tokens;

use command::Command;
pub use tokens::Overriding;

/// Expressions and queries may nest this deep.
pub const NESTING_MAX: usize = 250;

/// So many operators may stand in a row: the tree of them is as deep.
const CHAIN_MAX: usize = NESTING_MAX;
/// AND, OR and UNION, which are balanced.
const LOGIC_CHAIN_MAX: usize = 10_000;

/// A statement.
#[derive(Clone, Debug)]
pub enum Ast {
    /// One that sqlparser reads.
    Sql(Box<Statement>),
    /// DDL, which we read ourselves.
    Ddl(Box<DdlStatement>),
    /// COPY, likewise.
    Copy(Box<CopyStatement>),
    /// About the session: prepared statements, cursors, locks, EXPLAIN.
    Command(Box<Command>),
    /// VACUUM, ANALYZE, CHECKPOINT.
    Maintenance(maintenance::Maintenance),
}

/// A statement and its own text.
#[derive(Clone, Debug)]
pub struct ParsedStatement {
    /// The statement.
    pub ast: Ast,
    /// Its text, without the semicolon.
    pub text: String,
    /// Characters of the whole text before this statement, for error positions.
    pub start: u32,
    /// INSERT … OVERRIDING.
    pub overriding: Option<Overriding>,
}

/// Parses a text of any number of statements.
pub fn statements(sql: &str) -> Result<Vec<ParsedStatement>, SqlError> {
    let lines = LineIndex::new(sql);
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql)
        .with_unescape(true)
        .tokenize_with_location()
        .map_err(|error| lines.error_at(error.location, error.message))?;
    let Respelled { tokens, overriding } = respell(tokens);
    check_nesting(&tokens)?;
    let chains = chains::measure(&tokens);
    let may_qualify = qualified::is_in(&tokens);
    if !chains.is_readable() {
        return Err(too_deep());
    }
    let dialect =
        Dialect::for_tokens(tokens.len()).with_table_versions(tokens::says_system_time(&tokens));
    let mut parser = Parser::new(&dialect)
        .with_recursion_limit(NESTING_MAX)
        .with_options(ParserOptions::new().with_unescape(true))
        .with_tokens_with_locations(tokens);
    let mut parsed = Vec::new();
    loop {
        while parser.consume_token(&Token::SemiColon) {}
        let first = parser.peek_token();
        if first.token == Token::EOF {
            return Ok(parsed);
        }
        let mut ast = match parse_one(&mut parser) {
            Ok(ast) => ast,
            Err(error) => return Err(parse_error(error, &parser, &lines)),
        };
        if !chains.is_short() {
            match &mut ast {
                Ast::Sql(statement) => match chains::balance(statement) {
                    true => {}
                    false => return Err(too_deep()),
                },
                _ => return Err(too_deep()),
            }
        }
        if may_qualify && let Ast::Sql(statement) = &mut ast {
            qualified::join(statement);
        }
        let next = parser.peek_token();
        if !matches!(next.token, Token::SemiColon | Token::EOF) {
            return Err(near(&next, &lines));
        }
        let start = lines.offset(first.span.start);
        let end = match next.token {
            Token::EOF => sql.len(),
            _ => lines.offset(next.span.start),
        };
        let text = sql[start..end].trim_end().to_owned();
        let overriding = overriding.iter().find(|(place, _)| {
            let place = lines.offset(*place);
            start <= place && place < end
        });
        parsed.push(ParsedStatement {
            ast,
            text,
            start: sql[..start].chars().count() as u32,
            overriding: overriding.map(|(_, kind)| *kind),
        });
    }
}

/// Refuses brackets that nest too deeply before the parser tries each of them more than once.
fn check_nesting(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    let mut depth: usize = 0;
    for token in tokens {
        match token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > NESTING_MAX {
            return Err(too_deep());
        }
    }
    Ok(())
}

fn too_deep() -> SqlError {
    SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded").with_hint(format!(
        "Statements nest at most {NESTING_MAX} levels deep, and as many operators stand in a row."
    ))
}

fn parse_one(parser: &mut Parser<'_>) -> Result<Ast, ParserError> {
    if copy::is_copy(parser) {
        return Ok(Ast::Copy(Box::new(copy::parse(parser)?)));
    }
    if let Some(statement) = maintenance::parse(parser)? {
        return Ok(Ast::Maintenance(statement));
    }
    if let Some(statement) = ddl::parse(parser)? {
        return Ok(Ast::Ddl(Box::new(statement)));
    }
    if let Some(command) = command::parse(parser)? {
        return Ok(Ast::Command(Box::new(command)));
    }
    let statement = match parser.peek_keyword(Keyword::TABLE) {
        true => Statement::Query(parser.parse_query()?),
        false => parser.parse_statement()?,
    };
    Ok(Ast::Sql(Box::new(statement)))
}

/// Parses the text of one query, made by Terrane itself or stored in the catalog.
pub fn query(sql: &str) -> Result<Query, SqlError> {
    match statements(sql)?.pop().map(|statement| statement.ast) {
        Some(Ast::Sql(statement)) => match *statement {
            Statement::Query(query) => Ok(*query),
            _ => Err(SqlError::internal(format!("no query: {sql}"))),
        },
        _ => Err(SqlError::internal(format!("no query: {sql}"))),
    }
}

fn parse_error(error: ParserError, parser: &Parser<'_>, lines: &LineIndex<'_>) -> SqlError {
    match error {
        ParserError::RecursionLimitExceeded => too_deep(),
        ParserError::TokenizerError(message) => SqlError::syntax(message),
        ParserError::ParserError(message) => match location_of(&message) {
            Some(location) => match not_built(lines.sql.get(lines.offset(location)..)) {
                Some(clause) => SqlError::unsupported(format!("{clause} is not supported")),
                None => lines.error_at_token(location, &message),
            },
            None => {
                let token = parser.peek_token();
                match token.token {
                    Token::EOF => SqlError::syntax("syntax error at end of input"),
                    _ => near(&token, lines),
                }
            }
        },
    }
}

/// A clause of PostgreSQL's that the parser stopped at and that is not built.
fn not_built(rest: Option<&str>) -> Option<&'static str> {
    let mut words = rest?.split(|c: char| !c.is_ascii_alphabetic());
    let (first, second) = (words.next()?, words.find(|word| !word.is_empty())?);
    let is = |word: &str, wanted: &[&str]| wanted.iter().any(|w| word.eq_ignore_ascii_case(w));
    if is(first, &["SYSTEM"]) && is(second, &["TIME"]) {
        return Some("FOR SYSTEM_TIME of anything but a table's name, before its alias,");
    }
    let excludes = is(first, &["EXCLUDE"]) && is(second, &["CURRENT", "GROUP", "TIES", "NO"]);
    excludes.then_some("EXCLUDE of window frames")
}

/// sqlparser ends its messages with "at Line: 1, Column: 8".
fn location_of(message: &str) -> Option<Location> {
    let rest = &message[message.rfind(" at Line: ")? + " at Line: ".len()..];
    let (line, column) = rest.split_once(", Column: ")?;
    Some(Location { line: line.trim().parse().ok()?, column: column.trim().parse().ok()? })
}

fn near(token: &TokenWithSpan, lines: &LineIndex<'_>) -> SqlError {
    lines.error_at_token(token.span.start, "")
}

/// Finds byte offsets of sqlparser's (line, column) locations.
struct LineIndex<'a> {
    sql: &'a str,
    starts: Vec<usize>,
}

impl<'a> LineIndex<'a> {
    fn new(sql: &'a str) -> Self {
        let newlines = sql.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(newlines.map(|(at, _)| at + 1)).collect();
        Self { sql, starts }
    }

    /// The byte offset of a location; columns count characters from 1.
    fn offset(&self, location: Location) -> usize {
        let line = (location.line.max(1) - 1) as usize;
        let start = self.starts.get(line).copied().unwrap_or(self.sql.len());
        let column = (location.column.max(1) - 1) as usize;
        self.sql[start..].char_indices().nth(column).map_or(self.sql.len(), |(at, _)| start + at)
    }

    fn error_at(&self, location: Location, message: String) -> SqlError {
        let offset = self.offset(location);
        SqlError::syntax(message).at(self.sql[..offset].chars().count() as u32 + 1)
    }

    fn error_at_token(&self, location: Location, message: &str) -> SqlError {
        // Line 0 is sqlparser's way to say that the text ended.
        let offset = if location.line == 0 { self.sql.len() } else { self.offset(location) };
        let rest = self.sql[offset..].trim_end();
        let position = self.sql[..offset].chars().count() as u32 + 1;
        if rest.is_empty() {
            return SqlError::syntax("syntax error at end of input").at(position);
        }
        let word = token_text(rest);
        let error = SqlError::syntax(format!("syntax error at or near \"{word}\"")).at(position);
        match message.strip_prefix("Expected: ").and_then(|m| m.split_once(", found")) {
            Some((expected, _)) => error.with_detail(format!("Expected {expected}.")),
            None => error,
        }
    }
}

/// The token at the start of `rest`, as PostgreSQL quotes it.
fn token_text(rest: &str) -> &str {
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let mut chars = rest.char_indices();
    let Some((_, first)) = chars.next() else { return rest };
    let end = if word(first) {
        chars.find(|(_, c)| !word(*c)).map_or(rest.len(), |(at, _)| at)
    } else if first == '\'' || first == '"' {
        chars.find(|(_, c)| *c == first).map_or(rest.len(), |(at, _)| at + 1)
    } else {
        first.len_utf8()
    };
    &rest[..end]
}

#[cfg(test)]
#[path = "parse/parse_tests.rs"]
mod tests;
