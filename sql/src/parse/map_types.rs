//! `map(k, v)` as a type's name, with its types as strings: `map('text','numeric(10,2)')`.
//!
//! Between a type's parentheses sqlparser reads words and numbers only, and drops the commas; `map(k, v)` has whole
//! types there. PostgreSQL has no function of this name, and what is respelled are names of types only.

use crate::bind::type_name;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// No type's name has more tokens.
const TOKENS_MAX: usize = 12;

/// Respells the types of maps.
pub(super) fn respell(tokens: &mut Vec<TokenWithSpan>) {
    let mut at = 0;
    while at < tokens.len() {
        let found = match super::tokens::plain_word(&tokens[at].token) {
            Some(word) if word.eq_ignore_ascii_case("map") => types_behind(tokens, at + 1),
            _ => None,
        };
        if let Some((range, parts)) = found {
            let span = tokens[range.start].span;
            let [key, value] = parts.map(Token::SingleQuotedString);
            let spelt = [key, Token::Comma, value].map(|token| TokenWithSpan::new(token, span));
            tokens.splice(range, spelt);
        }
        at += 1;
    }
}

/// The tokens between the parentheses that come next, and the two types they name.
fn types_behind(
    tokens: &[TokenWithSpan],
    from: usize,
) -> Option<(std::ops::Range<usize>, [String; 2])> {
    let is_blank = |token: &&TokenWithSpan| matches!(token.token, Token::Whitespace(_));
    let open = from + tokens.get(from..)?.iter().take_while(is_blank).count();
    (tokens.get(open)?.token == Token::LParen).then_some(())?;
    let mut depth = 0;
    let mut read = 0;
    let mut parts = vec![String::new()];
    for (at, token) in tokens.iter().enumerate().skip(open + 1) {
        match &token.token {
            Token::Whitespace(_) => continue,
            Token::RParen if depth == 0 => {
                let parts: [String; 2] = parts.try_into().ok()?;
                return parts.iter().all(|part| is_type(part)).then_some((open + 1..at, parts));
            }
            Token::Comma if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            Token::Comma | Token::Word(_) | Token::Number(..) => {}
            _ => return None,
        }
        read += 1;
        (read <= TOKENS_MAX).then_some(())?;
        let part = parts.last_mut()?;
        if !part.is_empty() && matches!(token.token, Token::Word(_)) {
            part.push(' ');
        }
        part.push_str(&token.token.to_string());
    }
    None
}

fn is_type(name: &str) -> bool {
    let parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(name);
    let parsed = parser.and_then(|mut parser| {
        let parsed = parser.parse_data_type()?;
        parser.expect_token(&Token::EOF)?;
        Ok(parsed)
    });
    // A type that is there but cannot be used is told so where it is resolved.
    parsed.is_ok_and(|parsed| match type_name::resolve(&parsed) {
        Ok(_) => true,
        Err(error) => error.state != crate::error::SqlState::UNDEFINED_OBJECT,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::tokenizer::Tokenizer;

    fn respelt(sql: &str) -> String {
        let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location();
        let mut tokens = tokens.expect("tokens");
        respell(&mut tokens);
        tokens.iter().map(|token| token.token.to_string()).collect()
    }

    #[test]
    fn types_become_strings() {
        assert_eq!(respelt("x::map(text, bigint)"), "x::map('text','bigint')");
        assert_eq!(
            respelt("a MAP (varchar( 10 ),NUMERIC(10, 2)), b int"),
            "a MAP ('varchar(10)','NUMERIC(10,2)'), b int"
        );
        assert_eq!(
            respelt("map(date, timestamp with time zone)[]"),
            "map('date','timestamp with time zone')[]"
        );
    }

    #[test]
    fn what_names_no_types_stays() {
        for same in ["map(a, b)", "map", "map(text)", "map(text, int, int)", "x.map(1, 2)", "map("]
        {
            assert_eq!(respelt(same), same);
        }
    }
}
