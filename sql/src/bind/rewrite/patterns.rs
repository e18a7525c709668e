//! LIKE … ESCAPE and SIMILAR TO in words DataFusion knows: LIKE with backslashes, `~`.

use super::call;
use crate::error::SqlError;
use crate::functions::patterns;
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Value, ValueWithSpan};

/// Rewrites one expression, its parts already rewritten.
pub(super) fn rewrite(expr: &mut Expr) -> Result<(), SqlError> {
    match expr {
        Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
            if let Some(escape) = escape_char.take() {
                **pattern = match (literal(pattern), text(&escape.value)) {
                    (Some(pattern), Some(escape)) => string(patterns::like(pattern, escape)?),
                    _ => {
                        let args = vec![(**pattern).clone(), Expr::Value(escape)];
                        call(patterns::LIKE_ESCAPE, args)
                    }
                };
            }
            match literal(pattern).is_some_and(ends_open) {
                true => Err(patterns::ends_with_escape()),
                false => Ok(()),
            }
        }
        Expr::SimilarTo { negated, expr: value, pattern, escape_char } => {
            let op = match negated {
                true => BinaryOperator::PGRegexNotMatch,
                false => BinaryOperator::PGRegexMatch,
            };
            let escape = escape_char.as_ref().map_or(Some("\\"), |escape| text(&escape.value));
            let regex = match (literal(pattern), escape) {
                (Some(pattern), Some(escape)) => string(patterns::similar(pattern, escape)?),
                _ => {
                    let escape = escape_char.take().map(Expr::Value);
                    let args = std::iter::once((**pattern).clone()).chain(escape).collect();
                    call(patterns::SIMILAR, args)
                }
            };
            let left = std::mem::replace(value, Box::new(Expr::value(Value::Null)));
            let matched = Expr::BinaryOp { left, op, right: Box::new(regex) };
            *expr = Expr::Nested(Box::new(matched));
            Ok(())
        }
        _ => Ok(()),
    }
}

fn string(text: String) -> Expr {
    Expr::value(Value::SingleQuotedString(text))
}

fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(ValueWithSpan { value, .. }) => text(value),
        _ => None,
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(text),
        _ => None,
    }
}

/// True for a pattern that ends in an escape of nothing.
fn ends_open(pattern: &str) -> bool {
    let backslashes = pattern.bytes().rev().take_while(|byte| *byte == b'\\').count();
    backslashes % 2 == 1
}
