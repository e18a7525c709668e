//! `t.c['k']` as a subscript of the column `t.c`.
//!
//! The parser reads it as a value `t`, of which a field `c` is taken, and of that an entry: of the whole row, then. In
//! PostgreSQL the names before the first subscript are a column's, and a value's field is written `(t).c`.

use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{AccessExpr, Expr, Statement, visit_expressions_mut};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// True where there may be such a column: what is to be looked at is rare.
pub(super) fn is_in(tokens: &[TokenWithSpan]) -> bool {
    tokens.iter().any(|token| token.token == Token::LBracket)
        && tokens.iter().any(|token| token.token == Token::Period)
}

/// Puts the names together.
pub(super) fn join(statement: &mut Statement) {
    let _: ControlFlow<()> = visit_expressions_mut(statement, |expr| {
        if let Expr::CompoundFieldAccess { root, access_chain } = expr {
            let mut names = match &**root {
                Expr::Identifier(name) => vec![name.clone()],
                Expr::CompoundIdentifier(names) => names.clone(),
                _ => return ControlFlow::Continue(()),
            };
            let fields = access_chain.iter().map_while(|access| match access {
                AccessExpr::Dot(Expr::Identifier(name)) => Some(name.clone()),
                _ => None,
            });
            let fields: Vec<_> = fields.collect();
            if !fields.is_empty() {
                access_chain.drain(..fields.len());
                names.extend(fields);
                **root = Expr::CompoundIdentifier(names);
            }
        }
        ControlFlow::Continue(())
    });
}
