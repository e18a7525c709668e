//! Reads DDL's grammar off sqlparser's tokens.
//!
//! DDL has a grammar of its own here, because sqlparser's reads many dialects and not all of PostgreSQL's:
//! what this grammar does not read is a syntax error, so no clause is ever dropped silently. Expressions,
//! queries and type names are sqlparser's.

use crate::bind::type_name;
use datafusion::sql::sqlparser::ast::{ColumnOption, DataType, Expr, Ident, Query};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, Word};

/// A name that may have a schema in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QualifiedName {
    /// The database, where one is written.
    pub database: Option<String>,
    /// The schema, where one is written.
    pub schema: Option<String>,
    /// The name.
    pub name: String,
}

impl std::fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for part in [&self.database, &self.schema].into_iter().flatten() {
            write!(f, "{part}.")?;
        }
        f.write_str(&self.name)
    }
}

/// What parsing answers.
pub(crate) type Parsed<T> = Result<T, ParserError>;

/// PostgreSQL 15's reserved words: no names of tables, columns and the like unless quoted. Ascending.
const RESERVED: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "binary",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "group",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "natural",
    "not",
    "notnull",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "outer",
    "overlaps",
    "placing",
    "primary",
    "references",
    "returning",
    "right",
    "select",
    "session_user",
    "similar",
    "some",
    "symmetric",
    "table",
    "tablesample",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
];

/// A place in the tokens of one statement.
pub(crate) struct Cursor<'a, 'p> {
    parser: &'a mut Parser<'p>,
    unsupported: Option<String>,
}

impl<'a, 'p> Cursor<'a, 'p> {
    /// Reads from where the parser stands.
    pub fn new(parser: &'a mut Parser<'p>) -> Self {
        Self { parser, unsupported: None }
    }

    /// Gives up on a statement because of a clause PostgreSQL has and Terrane has not: 0A000.
    pub fn unsupported<T>(&mut self, clause: impl Into<String>) -> Parsed<T> {
        self.unsupported = Some(clause.into());
        Err(ParserError::ParserError("not supported".to_owned()))
    }

    /// The clause the statement was given up for; its other tokens are skipped.
    pub fn take_unsupported(&mut self) -> Option<String> {
        let clause = self.unsupported.take()?;
        while !self.at_end() {
            self.parser.advance_token();
        }
        Some(clause)
    }

    /// True where the `nth` token from here is this word, unquoted. Words are given in upper case.
    pub fn is(&self, nth: usize, word: &str) -> bool {
        match &self.parser.peek_nth_token_ref(nth).token {
            Token::Word(Word { value, quote_style: None, .. }) => value.eq_ignore_ascii_case(word),
            _ => false,
        }
    }

    /// True where these words come next.
    pub fn sees(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(nth, word)| self.is(nth, word))
    }

    /// Takes these words, if they come next.
    pub fn take(&mut self, words: &[&str]) -> bool {
        let found = self.sees(words);
        if found {
            words.iter().for_each(|_| self.parser.advance_token());
        }
        found
    }

    /// Takes these words, which must come next.
    pub fn expect(&mut self, words: &[&str]) -> Parsed<()> {
        match self.take(words) {
            true => Ok(()),
            false => self.fail(&words.join(" ")),
        }
    }

    /// Takes one of these words: its place in the list.
    pub fn one_of(&mut self, words: &[&str]) -> Parsed<usize> {
        match words.iter().position(|word| self.is(0, word)) {
            Some(place) => {
                self.parser.advance_token();
                Ok(place)
            }
            None => self.fail(&words.join(" or ")),
        }
    }

    /// Takes this token, if it comes next.
    pub fn take_token(&mut self, token: &Token) -> bool {
        self.parser.consume_token(token)
    }

    /// Takes this token, which must come next.
    pub fn expect_token(&mut self, token: &Token) -> Parsed<()> {
        match self.take_token(token) {
            true => Ok(()),
            false => self.fail(&token.to_string()),
        }
    }

    /// True where this token comes next.
    pub fn is_token(&self, token: &Token) -> bool {
        self.parser.peek_token_ref().token == *token
    }

    /// True where the `nth` token from here is this one.
    pub fn nth_is_token(&self, nth: usize, token: &Token) -> bool {
        self.parser.peek_nth_token_ref(nth).token == *token
    }

    /// True where the `nth` token from here can be a name.
    pub fn nth_is_name(&self, nth: usize) -> bool {
        match &self.parser.peek_nth_token_ref(nth).token {
            Token::Word(Word { quote_style: Some(_), .. }) => true,
            Token::Word(Word { value, quote_style: None, .. }) => {
                RESERVED.binary_search(&value.to_lowercase().as_str()).is_err()
            }
            _ => false,
        }
    }

    /// True where the `nth` token from here is by itself the name of a type.
    pub fn nth_is_type(&self, nth: usize) -> bool {
        let Token::Word(Word { value, quote_style: None, .. }) =
            &self.parser.peek_nth_token_ref(nth).token
        else {
            return false;
        };
        let parsed = Parser::new(&PostgreSqlDialect {}).try_with_sql(value);
        let data_type = parsed.and_then(|mut parser| parser.parse_data_type());
        data_type.is_ok_and(|data_type| type_name::resolve(&data_type).is_ok())
    }

    /// True at the end of the statement.
    pub fn at_end(&self) -> bool {
        self.is_token(&Token::EOF) || self.is_token(&Token::SemiColon)
    }

    /// A syntax error at the next token.
    pub fn fail<T>(&self, expected: &str) -> Parsed<T> {
        self.parser.expected(expected, self.parser.peek_token())
    }

    /// A name: folded to lower case unless quoted; reserved words have to be quoted.
    pub fn ident(&mut self) -> Parsed<String> {
        match &self.parser.peek_token_ref().token {
            Token::Word(Word { value, quote_style: None, .. })
                if RESERVED.binary_search(&value.to_lowercase().as_str()).is_ok() =>
            {
                self.fail("a name")
            }
            _ => self.any_ident(),
        }
    }

    /// A name after a dot or AS, where reserved words need no quotes.
    pub fn any_ident(&mut self) -> Parsed<String> {
        let name = match &self.parser.peek_token_ref().token {
            Token::Word(Word { value, quote_style: Some(_), .. }) if !value.is_empty() => {
                value.clone()
            }
            Token::Word(Word { value, quote_style: None, .. }) => value.to_lowercase(),
            _ => return self.fail("a name"),
        };
        self.parser.advance_token();
        Ok(name)
    }

    /// A name that may have a schema in front, and the database before that.
    pub fn name(&mut self) -> Parsed<QualifiedName> {
        let mut parts = vec![self.ident()?];
        while self.take_token(&Token::Period) {
            if parts.len() == 3 {
                return self.fail("a name of at most three parts");
            }
            parts.push(self.any_ident()?);
        }
        let name = parts.pop().unwrap_or_default();
        Ok(QualifiedName { schema: parts.pop(), database: parts.pop(), name })
    }

    /// Items separated by commas.
    pub fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.take_token(&Token::Comma) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Items separated by commas in parentheses.
    pub fn parenthesized<T>(&mut self, item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        self.expect_token(&Token::LParen)?;
        let items = self.list(item)?;
        self.expect_token(&Token::RParen)?;
        Ok(items)
    }

    /// An expression.
    pub fn expr(&mut self) -> Parsed<Expr> {
        self.parser.parse_expr()
    }

    /// A name as sqlparser has it.
    pub fn identifier(&mut self) -> Parsed<Ident> {
        self.parser.parse_identifier()
    }

    /// A call of a function, without what may follow it in an expression.
    pub fn function(&mut self) -> Parsed<Expr> {
        match self.parser.parse_prefix()? {
            expr @ Expr::Function(_) => Ok(expr),
            _ => self.fail("a function or an expression in parentheses"),
        }
    }

    /// `(expression)`.
    pub fn parenthesized_expr(&mut self) -> Parsed<Expr> {
        self.expect_token(&Token::LParen)?;
        let expr = self.expr()?;
        self.expect_token(&Token::RParen)?;
        Ok(expr)
    }

    /// DEFAULT and its expression, which ends before NOT NULL.
    pub fn default(&mut self) -> Parsed<Expr> {
        match self.parser.parse_optional_column_option()? {
            Some(ColumnOption::Default(expr)) => Ok(expr),
            _ => self.fail("DEFAULT"),
        }
    }

    /// A query.
    pub fn query(&mut self) -> Parsed<Box<Query>> {
        self.parser.parse_query()
    }

    /// A type name.
    pub fn data_type(&mut self) -> Parsed<DataType> {
        self.parser.parse_data_type()
    }

    /// A string literal.
    pub fn string(&mut self) -> Parsed<String> {
        self.parser.parse_literal_string()
    }

    /// True where an integer comes next.
    pub fn is_integer(&self) -> bool {
        matches!(self.parser.peek_token_ref().token, Token::Number(..) | Token::Minus | Token::Plus)
    }

    /// An integer with a sign.
    pub fn integer(&mut self) -> Parsed<i64> {
        let negative = self.take_token(&Token::Minus);
        if !negative {
            self.take_token(&Token::Plus);
        }
        let Token::Number(digits, _) = &self.parser.peek_token_ref().token else {
            return self.fail("an integer");
        };
        let sign = if negative { "-" } else { "" };
        let Ok(value) = format!("{sign}{digits}").parse() else { return self.fail("an integer") };
        self.parser.advance_token();
        Ok(value)
    }

    /// IF EXISTS.
    pub fn if_exists(&mut self) -> bool {
        self.take(&["IF", "EXISTS"])
    }

    /// IF NOT EXISTS.
    pub fn if_not_exists(&mut self) -> bool {
        self.take(&["IF", "NOT", "EXISTS"])
    }

    /// CASCADE or RESTRICT: true for CASCADE.
    pub fn cascade(&mut self) -> bool {
        let cascade = self.take(&["CASCADE"]);
        if !cascade {
            self.take(&["RESTRICT"]);
        }
        cascade
    }

    /// A role: CURRENT_USER and the like are `None`.
    pub fn role(&mut self) -> Parsed<Option<String>> {
        for word in ["CURRENT_USER", "CURRENT_ROLE", "SESSION_USER"] {
            if self.take(&[word]) {
                return Ok(None);
            }
        }
        self.ident().map(Some)
    }

    /// Options in parentheses after WITH: `name = value` or `name`. The value is kept as text.
    pub fn options(&mut self) -> Parsed<Vec<(String, Option<String>)>> {
        self.parenthesized(|cursor| {
            let mut name = cursor.any_ident()?;
            if cursor.take_token(&Token::Period) {
                name = format!("{name}.{}", cursor.any_ident()?);
            }
            let value = match cursor.take_token(&Token::Eq) {
                true => Some(cursor.option_value()?),
                false => None,
            };
            Ok((name, value))
        })
    }

    fn option_value(&mut self) -> Parsed<String> {
        let minus = self.take_token(&Token::Minus);
        let text = match &self.parser.peek_token_ref().token {
            Token::Number(text, _) | Token::SingleQuotedString(text) => text.clone(),
            Token::Word(word) => word.value.to_lowercase(),
            _ => return self.fail("a value"),
        };
        self.parser.advance_token();
        Ok(if minus { format!("-{text}") } else { text })
    }
}
