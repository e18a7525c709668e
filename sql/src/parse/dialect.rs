//! PostgreSQL's dialect with an end to the parser's patience.
//!
//! sqlparser reads a word first as the start of a construct (`CASE`, `ARRAY[`, `CAST(`) and, where that fails, as
//! a name. In a text with a fault at its heart both are tried at every level, which takes 2^levels steps.
//! Contract: what [`PostgreSqlDialect`] reads, [`Dialect`] reads alike, and `t FOR SYSTEM_TIME AS OF …` too; a text that is tried [`TRIES_PER_TOKEN`]
//! times as often as it has tokens is refused as nested too deeply.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr};
use datafusion::sql::sqlparser::dialect::{self, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::{Keyword, RESERVED_FOR_COLUMN_ALIAS};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;
use std::any::TypeId;
use std::cell::Cell;

/// How often the start of an expression may be tried, for each token of the text. A well-formed text
/// needs three or four.
const TRIES_PER_TOKEN: usize = 32;

/// The dialect for one text.
#[derive(Debug)]
pub struct Dialect {
    postgres: PostgreSqlDialect,
    /// The text says FOR SYSTEM_TIME. Elsewhere the words that sqlparser looks for behind a table's name (AT,
    /// BEFORE, CHANGES) may be aliases, as in PostgreSQL.
    table_versions: bool,
    tries_left: Cell<usize>,
}

impl Dialect {
    /// The dialect for a text of so many tokens.
    pub fn for_tokens(tokens: usize) -> Self {
        let tries_left = Cell::new((tokens + 1).saturating_mul(TRIES_PER_TOKEN));
        Self { postgres: PostgreSqlDialect {}, table_versions: false, tries_left }
    }

    /// The same for a text that may say FOR SYSTEM_TIME.
    pub fn with_table_versions(self, table_versions: bool) -> Self {
        Self { table_versions, ..self }
    }

    /// The bounds of BETWEEN SYMMETRIC, which come in any order.
    fn between(
        &self,
        parser: &mut Parser<'_>,
        expr: &Expr,
        negated: bool,
        symmetric: bool,
    ) -> Result<Expr, ParserError> {
        let precedence = dialect::Dialect::prec_value(self, Precedence::Between);
        let low = parser.parse_subexpr(precedence)?;
        parser.expect_keyword(Keyword::AND)?;
        let high = parser.parse_subexpr(precedence)?;
        let within = |low: &Expr, high: &Expr| {
            let (low, high) = (Box::new(low.clone()), Box::new(high.clone()));
            Box::new(Expr::Between { expr: Box::new(expr.clone()), negated, low, high })
        };
        if !symmetric {
            return Ok(*within(&low, &high));
        }
        let op = if negated { BinaryOperator::And } else { BinaryOperator::Or };
        let (left, right) = (within(&low, &high), within(&high, &low));
        Ok(Expr::Nested(Box::new(Expr::BinaryOp { left, op, right })))
    }

    /// `LIKE ANY (array)` and its kin, as operators that sqlparser knows before ANY and ALL.
    fn like_each(
        &self,
        parser: &mut Parser<'_>,
        expr: &Expr,
        op: BinaryOperator,
        at: usize,
    ) -> Option<Result<Expr, ParserError>> {
        let all = is_word(parser, at, "all");
        let is_some = is_word(parser, at, "some");
        let listed = parser.peek_nth_token(at + 1).token == Token::LParen;
        if !listed || !(all || is_some || is_word(parser, at, "any")) {
            return None;
        }
        (0..=at).for_each(|_| parser.advance_token());
        let precedence = dialect::Dialect::prec_value(self, Precedence::Like);
        let right = parser.parse_subexpr(precedence);
        let left = Box::new(expr.clone());
        Some(right.map(|right| {
            // The parentheses are ANY's own.
            let right = match right {
                Expr::Nested(array) => array,
                other => Box::new(other),
            };
            match all {
                true => Expr::AllOp { left, compare_op: op, right },
                false => Expr::AnyOp { left, compare_op: op, right, is_some },
            }
        }))
    }

    /// IS [NOT] DISTINCT FROM, whose right side ends before AND and OR; sqlparser reads on to the end.
    fn distinct(&self, parser: &mut Parser<'_>, expr: &Expr) -> Option<Result<Expr, ParserError>> {
        let negated = is_word(parser, 1, "not");
        let at = 1 + usize::from(negated);
        if !is_word(parser, at, "distinct") || !is_word(parser, at + 1, "from") {
            return None;
        }
        (0..at + 2).for_each(|_| parser.advance_token());
        let precedence = dialect::Dialect::prec_value(self, Precedence::Is);
        let left = Box::new(expr.clone());
        Some(parser.parse_subexpr(precedence).map(|right| match negated {
            true => Expr::IsNotDistinctFrom(left, Box::new(right)),
            false => Expr::IsDistinctFrom(left, Box::new(right)),
        }))
    }
}

/// What LIKE or ILIKE is as an operator.
fn pattern_operator(parser: &Parser<'_>, at: usize, negated: bool) -> Option<BinaryOperator> {
    match (is_word(parser, at, "like"), is_word(parser, at, "ilike"), negated) {
        (true, _, false) => Some(BinaryOperator::PGLikeMatch),
        (true, _, true) => Some(BinaryOperator::PGNotLikeMatch),
        (_, true, false) => Some(BinaryOperator::PGILikeMatch),
        (_, true, true) => Some(BinaryOperator::PGNotILikeMatch),
        _ => None,
    }
}

fn is_word(parser: &Parser<'_>, at: usize, wanted: &str) -> bool {
    let token = parser.peek_nth_token(at);
    matches!(&token.token, Token::Word(word)
        if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted))
}

/// Methods of which PostgreSQL's answer differs from the trait's own.
macro_rules! as_postgres {
    ($($name:ident($($argument:ident: $type:ty)?) -> $answer:ty;)*) => {
        $(fn $name(&self $(, $argument: $type)?) -> $answer {
            self.postgres.$name($($argument)?)
        })*
    };
}

impl dialect::Dialect for Dialect {
    fn dialect(&self) -> TypeId {
        // The parser asks for PostgreSQL's by its type.
        TypeId::of::<PostgreSqlDialect>()
    }

    fn parse_prefix(&self, _: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        match self.tries_left.get().checked_sub(1) {
            Some(left) => {
                self.tries_left.set(left);
                None
            }
            None => Some(Err(ParserError::RecursionLimitExceeded)),
        }
    }

    fn parse_infix(
        &self,
        parser: &mut Parser<'_>,
        expr: &Expr,
        _: u8,
    ) -> Option<Result<Expr, ParserError>> {
        if is_word(parser, 0, "is") {
            return self.distinct(parser, expr);
        }
        let negated = is_word(parser, 0, "not");
        let at = usize::from(negated);
        if let Some(op) = pattern_operator(parser, at, negated) {
            return self.like_each(parser, expr, op, at + 1);
        }
        let symmetric = is_word(parser, at + 1, "symmetric");
        if !is_word(parser, at, "between") || !(symmetric || is_word(parser, at + 1, "asymmetric"))
        {
            return None;
        }
        (0..at + 2).for_each(|_| parser.advance_token());
        Some(self.between(parser, expr, negated, symmetric))
    }

    fn is_column_alias(&self, kw: &Keyword, _: &mut Parser<'_>) -> bool {
        // `INSERT INTO t SELECT 5 ON CONFLICT …`
        *kw != Keyword::ON && !RESERVED_FOR_COLUMN_ALIAS.contains(kw)
    }

    fn supports_table_versioning(&self) -> bool {
        self.table_versions
    }

    fn supports_named_fn_args_with_assignment_operator(&self) -> bool {
        // `make_interval(days := 10)`
        true
    }

    fn supports_named_fn_args_with_expr_name(&self) -> bool {
        // `json_object('a': 1)`, for which each argument of each function would be read twice, and nested
        // ones 2^levels times.
        false
    }

    as_postgres! {
        identifier_quote_style(identifier: &str) -> Option<char>;
        is_delimited_identifier_start(ch: char) -> bool;
        is_identifier_start(ch: char) -> bool;
        is_identifier_part(ch: char) -> bool;
        supports_unicode_string_literal() -> bool;
        is_reserved_for_identifier(kw: Keyword) -> bool;
        is_custom_operator_part(ch: char) -> bool;
        get_next_precedence(parser: &Parser<'_>) -> Option<Result<u8, ParserError>>;
        supports_filter_during_aggregation() -> bool;
        supports_group_by_expr() -> bool;
        prec_value(prec: Precedence) -> u8;
        allow_extract_custom() -> bool;
        allow_extract_single_quotes() -> bool;
        supports_create_index_with_clause() -> bool;
        supports_explain_with_utility_options() -> bool;
        supports_listen_notify() -> bool;
        supports_factorial_operator() -> bool;
        supports_bitwise_shift_operators() -> bool;
        supports_comment_on() -> bool;
        supports_load_extension() -> bool;
        supports_named_fn_args_with_colon_operator() -> bool;
        supports_empty_projections() -> bool;
        supports_nested_comments() -> bool;
        supports_string_escape_constant() -> bool;
        supports_numeric_literal_underscores() -> bool;
        supports_array_typedef_with_brackets() -> bool;
        supports_geometric_types() -> bool;
        supports_set_names() -> bool;
        supports_alter_column_type_using() -> bool;
        supports_notnull_operator() -> bool;
        supports_interval_options() -> bool;
        supports_insert_table_alias() -> bool;
        supports_create_table_like_parenthesized() -> bool;
        supports_select_wildcard_with_alias() -> bool;
        supports_comma_separated_trim() -> bool;
        supports_xml_expressions() -> bool;
        supports_comment_optimizer_hint() -> bool;
    }
}
