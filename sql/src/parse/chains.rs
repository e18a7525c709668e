//! Chains of operators: `a OR b OR c …`, `1 + 1 + 1 …`, `SELECT … UNION ALL SELECT …`.
//!
//! The parser reads one in a loop, and makes a tree of it as deep as the chain is long, which whoever walks the tree
//! pays for with stack. Contract: what [`check`] lets pass and [`balance`] has changed is no deeper than a few hundred
//! levels. AND, OR and UNION, where it does not matter what is done first, become balanced trees; other chains
//! are limited.

use super::{CHAIN_MAX, LOGIC_CHAIN_MAX};
use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Query, SetExpr, SetOperator, SetQuantifier, Statement, Value, Values,
    VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// Shorter chains stay as they were read: their types are then found from left to right.
const BALANCED_FROM: usize = 64;

/// The longest chains of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Longest {
    /// Of AND and OR.
    pub logic: usize,
    /// Of other operators.
    pub operators: usize,
    /// Of UNION, INTERSECT and EXCEPT.
    pub sets: usize,
}

impl Longest {
    fn join(&mut self, other: Self) {
        self.logic = self.logic.max(other.logic);
        self.operators = self.operators.max(other.operators);
        self.sets = self.sets.max(other.sets);
    }

    /// True where the tree of a text is shallow enough to be read.
    pub fn is_readable(self) -> bool {
        self.operators <= CHAIN_MAX && self.logic <= LOGIC_CHAIN_MAX && self.sets <= LOGIC_CHAIN_MAX
    }

    /// True where no chain needs to be balanced.
    pub fn is_short(self) -> bool {
        self.logic <= CHAIN_MAX && self.sets <= CHAIN_MAX
    }
}

/// What a token does to the chains around it.
enum Role {
    Opens,
    Closes,
    /// Ends an expression.
    Ends,
    /// Ends a statement.
    Separates,
    Logic,
    Operator,
    Set,
    None,
}

fn role(token: &Token) -> Role {
    match token {
        Token::LParen | Token::LBracket | Token::LBrace => Role::Opens,
        Token::RParen | Token::RBracket | Token::RBrace => Role::Closes,
        Token::Comma => Role::Ends,
        Token::SemiColon => Role::Separates,
        Token::Word(word) if word.quote_style.is_none() => {
            match word.value.to_ascii_uppercase().as_str() {
                "AND" | "OR" => Role::Logic,
                "UNION" | "INTERSECT" | "EXCEPT" | "MINUS" => Role::Set,
                "SELECT" | "FROM" | "WHERE" | "HAVING" | "ON" | "SET" | "VALUES" | "WHEN"
                | "THEN" | "ELSE" => Role::Ends,
                "IS" | "ISNULL" | "NOTNULL" | "IN" | "LIKE" | "ILIKE" | "SIMILAR" | "BETWEEN"
                | "AT" | "COLLATE" | "XOR" | "OPERATOR" | "OVERLAPS" | "DIV" | "REGEXP"
                | "RLIKE" | "GLOB" | "JOIN" => Role::Operator,
                _ => Role::None,
            }
        }
        Token::EOF
        | Token::Word(_)
        | Token::Number(..)
        | Token::Whitespace(_)
        | Token::Period
        | Token::Placeholder(_)
        | Token::SingleQuotedString(_)
        | Token::DollarQuotedString(_)
        | Token::EscapedStringLiteral(_) => Role::None,
        _ => Role::Operator,
    }
}

/// Measures the chains of a text.
pub fn measure(tokens: &[TokenWithSpan]) -> Longest {
    let mut longest = Longest::default();
    // One for each bracket that is open.
    let mut open = vec![Longest::default()];
    for token in tokens {
        let Some(here) = open.last_mut() else { break };
        match role(&token.token) {
            Role::Opens => open.push(Longest::default()),
            Role::Closes => {
                if open.len() > 1 {
                    open.pop();
                }
            }
            Role::Ends => *here = Longest { sets: here.sets, ..Longest::default() },
            Role::Separates => *here = Longest::default(),
            Role::Logic => *here = Longest { logic: here.logic + 1, operators: 0, ..*here },
            Role::Operator => here.operators += 1,
            Role::Set => *here = Longest { sets: here.sets + 1, ..Longest::default() },
            Role::None => {}
        }
        if let Some(here) = open.last() {
            longest.join(*here);
        }
    }
    longest
}

/// Makes balanced trees of the long chains in a statement; false where one is left that cannot be.
pub fn balance(statement: &mut Statement) -> bool {
    statement.visit(&mut Balance).is_continue()
}

struct Balance;

impl VisitorMut for Balance {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        balance_union(&mut query.body);
        let mut depth = 0;
        let mut spine = &*query.body;
        while let SetExpr::SetOperation { left, .. } = spine {
            depth += 1;
            spine = left;
        }
        match depth > CHAIN_MAX {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        balance_logic(expr);
        ControlFlow::Continue(())
    }
}

fn balance_logic(expr: &mut Expr) {
    let op = match expr {
        Expr::BinaryOp { op: op @ (BinaryOperator::And | BinaryOperator::Or), .. } => op.clone(),
        _ => return,
    };
    let mut length = 1;
    let mut spine = &*expr;
    while let Expr::BinaryOp { left, op: next, .. } = spine
        && *next == op
    {
        length += 1;
        spine = left;
    }
    if length < BALANCED_FROM {
        return;
    }
    let mut operands = Vec::with_capacity(length);
    let mut rest = std::mem::replace(expr, Expr::value(Value::Null));
    loop {
        match rest {
            Expr::BinaryOp { left, op: next, right } if next == op => {
                operands.push(*right);
                rest = *left;
            }
            first => {
                operands.push(first);
                break;
            }
        }
    }
    let join = |left, right| Expr::BinaryOp {
        left: Box::new(left),
        op: op.clone(),
        right: Box::new(right),
    };
    if let Some(tree) = tree(operands, &join) {
        *expr = tree;
    }
}

fn balance_union(body: &mut SetExpr) {
    let (op, quantifier) = match body {
        SetExpr::SetOperation {
            op: op @ SetOperator::Union,
            set_quantifier:
                quantifier @ (SetQuantifier::All | SetQuantifier::None | SetQuantifier::Distinct),
            ..
        } => (*op, *quantifier),
        _ => return,
    };
    let mut length = 1;
    let mut spine = &*body;
    while let SetExpr::SetOperation { left, op: next, set_quantifier, .. } = spine
        && (*next, *set_quantifier) == (op, quantifier)
    {
        length += 1;
        spine = left;
    }
    if length < BALANCED_FROM {
        return;
    }
    let nothing =
        SetExpr::Values(Values { explicit_row: false, value_keyword: false, rows: Vec::new() });
    let mut operands = Vec::with_capacity(length);
    let mut rest = std::mem::replace(body, nothing);
    loop {
        match rest {
            SetExpr::SetOperation { op: next, set_quantifier, left, right }
                if (next, set_quantifier) == (op, quantifier) =>
            {
                operands.push(*right);
                rest = *left;
            }
            first => {
                operands.push(first);
                break;
            }
        }
    }
    let join = |left, right| SetExpr::SetOperation {
        op,
        set_quantifier: quantifier,
        left: Box::new(left),
        right: Box::new(right),
    };
    if let Some(tree) = tree(operands, &join) {
        *body = tree;
    }
}

/// A balanced tree of operands, of which the last comes first; `None` of none.
pub fn tree<T>(mut operands: Vec<T>, join: &dyn Fn(T, T) -> T) -> Option<T> {
    match operands.len() {
        0 | 1 => operands.pop(),
        count => {
            let first = operands.split_off(count / 2);
            let (left, right) = (tree(first, join)?, tree(operands, join)?);
            Some(join(left, right))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::parse;

    fn depth(sql: &str) -> usize {
        let text = format!("{:?}", parse::query(sql).unwrap());
        let mut depth = 0;
        let mut deepest = 0;
        for byte in text.bytes() {
            match byte {
                b'{' => depth += 1,
                b'}' => depth -= 1,
                _ => {}
            }
            deepest = deepest.max(depth);
        }
        deepest
    }

    #[test]
    fn long_chains_make_shallow_trees() {
        let ors = |n: usize| format!("SELECT {}", vec!["a = 1"; n].join(" OR "));
        assert!(depth(&ors(5000)) < depth(&ors(30)));
        let unions = |n: usize| vec!["SELECT 1"; n].join(" UNION ALL ");
        assert!(depth(&unions(5000)) < 100);
    }

    #[test]
    fn a_balanced_chain_has_its_operands_in_order() {
        let words: Vec<String> = (0..100).map(|n| format!("a = {n}")).collect();
        let sql = format!("SELECT {}", words.join(" AND "));
        assert_eq!(parse::query(&sql).unwrap().to_string(), sql);
    }

    #[test]
    fn chains_that_cannot_be_balanced_are_refused() {
        let chain = |op: &str, n: usize| format!("SELECT {}", vec!["1"; n].join(op));
        for op in [" + ", " || ", " IS NULL = ", "::int + ", " -> "] {
            assert!(parse::query(&chain(op, 100)).is_ok(), "{op}");
            let refused = parse::query(&chain(op, 3000)).unwrap_err();
            assert_eq!(refused.state.0, "54001", "{op}");
        }
        assert!(parse::query(&vec!["SELECT 1"; 3000].join(" EXCEPT ")).is_err());
        // A list of sums is no chain.
        assert!(parse::query(&format!("SELECT {}", vec!["1 + 1"; 3000].join(", "))).is_ok());
    }
}
