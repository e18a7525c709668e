//! Where in a statement an error is: the position PostgreSQL tells, found by the name the error is about.
//!
//! The planner's errors say which column, relation, function or literal they mean, not where it stands. The
//! first place where the statement says so is taken. Only queries and statements that change rows are looked
//! at: PostgreSQL's errors about DDL have no position.

use super::{Ast, ParsedStatement};
use crate::error::{SqlError, SqlState};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

/// A statement to find places in.
pub struct Place(Option<(String, u32)>);

impl Place {
    /// Places in a statement.
    pub fn of(statement: &ParsedStatement) -> Self {
        let looked_at = matches!(statement.ast, Ast::Sql(_));
        Self(looked_at.then(|| (statement.text.clone(), statement.start)))
    }

    /// The error with its position, if it has a place.
    pub fn told(&self, error: SqlError) -> SqlError {
        let Some((text, start)) = &self.0 else { return error };
        if error.position.is_some() {
            return error;
        }
        match find(text, &error) {
            Some(at) => error.at(start + at + 1),
            None => error,
        }
    }
}

/// Characters before the place of an error.
fn find(text: &str, error: &SqlError) -> Option<u32> {
    let message = error.message.as_str();
    let quoted = || message.split('"').nth(1);
    let wanted: Vec<&str> = match error.state {
        SqlState::UNDEFINED_COLUMN | SqlState::AMBIGUOUS_COLUMN | SqlState::DUPLICATE_COLUMN => {
            match quoted() {
                Some(name) => vec![name],
                None => message.strip_prefix("column ")?.split(' ').next()?.split('.').collect(),
            }
        }
        SqlState::UNDEFINED_TABLE => quoted()?.split('.').collect(),
        SqlState::UNDEFINED_FUNCTION => {
            let call = message.strip_prefix("function ")?;
            call.split('(').next()?.split('.').collect()
        }
        SqlState::INVALID_TEXT_REPRESENTATION => {
            return literal(text, message.split_once(": \"")?.1.strip_suffix('"')?);
        }
        SqlState::UNDEFINED_OBJECT if message.starts_with("type ") => vec![quoted()?],
        _ => return None,
    };
    let tokens = tokens(text)?;
    let last_twice = error.state == SqlState::DUPLICATE_COLUMN;
    let mut places = (0..tokens.len()).filter(|at| says(&tokens[*at..], &wanted));
    let at = if last_twice { places.nth(1)? } else { places.next()? };
    position(text, &tokens[at])
}

/// True where the tokens start with a name's parts, dots between them.
fn says(tokens: &[TokenWithSpan], parts: &[&str]) -> bool {
    parts.iter().enumerate().all(|(at, part)| {
        let dotted =
            at == 0 || tokens.get(2 * at - 1).is_some_and(|token| token.token == Token::Period);
        let named = tokens.get(2 * at).is_some_and(|token| match &token.token {
            Token::Word(word) if word.quote_style.is_some() => word.value == *part,
            Token::Word(word) => word.value.to_lowercase() == *part,
            _ => false,
        });
        dotted && named
    })
}

fn literal(text: &str, value: &str) -> Option<u32> {
    let tokens = tokens(text)?;
    let at = tokens.iter().find(|token| match &token.token {
        Token::SingleQuotedString(found) | Token::EscapedStringLiteral(found) => found == value,
        _ => false,
    })?;
    position(text, at)
}

fn tokens(text: &str) -> Option<Vec<TokenWithSpan>> {
    let mut tokens = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location().ok()?;
    tokens.retain(|token| !matches!(token.token, Token::Whitespace(_)));
    Some(tokens)
}

fn position(text: &str, token: &TokenWithSpan) -> Option<u32> {
    let lines = super::LineIndex::new(text);
    let offset = lines.offset(token.span.start);
    Some(text[..offset].chars().count() as u32)
}
