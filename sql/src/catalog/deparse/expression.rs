//! Expressions in PostgreSQL's notation: fully parenthesised, or pretty.

use crate::bind::ddl::expression::normalized;
use crate::bind::type_name;
use crate::catalog::deparse::coerce::{self, Node, Printed, operands, settled, to_type};
use crate::catalog::quote::quote_ident;
use crate::session::response::WireType;
use crate::types::oid;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, Array, BinaryOperator, CaseWhen, CastKind, DataType, Expr, Interval, Query,
    Subscript, TypedString, UnaryOperator, Value, ValueWithSpan,
};

/// Where names of columns get their types.
pub(super) trait Scope {
    /// The type of a column; `None` where it is not known.
    fn column(&self, qualifier: Option<&str>, name: &str) -> Option<WireType>;

    /// Prints a query inside the expression, indented by this many blanks.
    fn query(&self, query: &Query, _indent: usize, _pretty: bool) -> String {
        query.to_string()
    }
}

/// Prints expressions.
pub(super) struct Printer<'a> {
    pub scope: &'a dyn Scope,
    pub pretty: bool,
    /// Blanks at the start of new lines.
    pub indent: usize,
}

/// What an expression is an operand of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Parent {
    /// An operator, and whether as its left operand.
    Operator(Option<char>, bool),
    /// IS NULL, IS TRUE, IS DISTINCT FROM, = ANY.
    Test,
    And,
    Or,
    Not,
}

impl Printer<'_> {
    /// A whole expression; `target` is the type of the column it is for.
    pub fn top(&self, expr: &Expr, target: Option<WireType>) -> String {
        let printed = self.print(expr);
        match (&printed.untyped, target) {
            (Some(literal), Some(target)) => {
                coerce::constant(literal, oid::wire(target.oid, -1)).text
            }
            _ => settled(printed).text,
        }
    }

    /// An expression without a context that gives literals a type.
    pub fn whole(&self, expr: &Expr) -> String {
        settled(self.print(expr)).text
    }

    pub fn print(&self, expr: &Expr) -> Printed {
        match expr {
            Expr::Nested(inner) => self.print(inner),
            Expr::Identifier(ident) => {
                let name = normalized(ident);
                let wire_type = self.scope.column(None, &name);
                Printed { wire_type, ..Printed::simple(quote_ident(&name), None) }
            }
            Expr::CompoundIdentifier(parts) => {
                let names: Vec<_> = parts.iter().map(normalized).collect();
                let wire_type = match names.as_slice() {
                    [.., qualifier, name] => self.scope.column(Some(qualifier), name),
                    _ => None,
                };
                let quoted: Vec<_> = names.iter().map(|name| quote_ident(name)).collect();
                Printed { wire_type, ..Printed::simple(quoted.join("."), None) }
            }
            Expr::Value(ValueWithSpan { value, .. }) => value_text(value),
            Expr::TypedString(TypedString { data_type, value, .. }) => match &value.value {
                Value::SingleQuotedString(text) => self.typed(text, data_type, expr),
                _ => Printed::simple(expr.to_string(), None),
            },
            Expr::Interval(Interval { value, leading_field: None, .. }) => match &**value {
                Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => {
                    coerce::constant(text, oid::wire(oid::INTERVAL, -1))
                }
                _ => Printed::simple(expr.to_string(), Some(oid::INTERVAL)),
            },
            Expr::Cast {
                kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, ..
            } => self.cast(expr, data_type),
            Expr::UnaryOp { op, expr } => self.unary(*op, expr),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                self.boolean(left, right, Node::And)
            }
            Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
                self.boolean(left, right, Node::Or)
            }
            Expr::BinaryOp { left, op, right } => self.binary(left, &operator_name(op), right),
            Expr::Like { negated, expr, pattern, escape_char: None, .. } => {
                self.binary(expr, if *negated { "!~~" } else { "~~" }, pattern)
            }
            Expr::ILike { negated, expr, pattern, escape_char: None, .. } => {
                self.binary(expr, if *negated { "!~~*" } else { "~~*" }, pattern)
            }
            Expr::Between { expr, negated, low, high } => self.between(expr, *negated, low, high),
            Expr::InList { expr, list, negated } => self.in_list(expr, list, *negated),
            Expr::IsNull(inner) => self.test(inner, "IS NULL"),
            Expr::IsNotNull(inner) => self.test(inner, "IS NOT NULL"),
            Expr::IsTrue(inner) => self.test(inner, "IS TRUE"),
            Expr::IsNotTrue(inner) => self.test(inner, "IS NOT TRUE"),
            Expr::IsFalse(inner) => self.test(inner, "IS FALSE"),
            Expr::IsNotFalse(inner) => self.test(inner, "IS NOT FALSE"),
            Expr::IsUnknown(inner) => self.test(inner, "IS UNKNOWN"),
            Expr::IsNotUnknown(inner) => self.test(inner, "IS NOT UNKNOWN"),
            Expr::IsDistinctFrom(left, right) => self.distinct(left, right, false),
            Expr::IsNotDistinctFrom(left, right) => self.distinct(left, right, true),
            Expr::AnyOp { left, compare_op, right, .. } => self.any(left, compare_op, right, "ANY"),
            Expr::AllOp { left, compare_op, right } => self.any(left, compare_op, right, "ALL"),
            Expr::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref())
            }
            Expr::Array(Array { elem, .. }) => self.array(elem),
            Expr::CompoundFieldAccess { root, access_chain } => {
                self.access(root, access_chain, expr)
            }
            Expr::Exists { subquery, negated } => self.exists(subquery, *negated),
            Expr::Subquery(query) => Printed::simple(format!("({})", self.subquery(query)), None),
            Expr::InSubquery { expr, subquery, negated } => {
                self.in_subquery(expr, subquery, *negated)
            }
            Expr::Function(function) => self.function(function),
            _ => self.special_call(expr),
        }
    }

    /// An operand, in parentheses where the pretty form needs them; the plain form has its own.
    pub fn operand(&self, printed: &Printed, parent: Parent) -> String {
        match self.pretty && !is_simple(printed.node, parent) {
            true => format!("({})", printed.text),
            false => printed.text.clone(),
        }
    }

    /// What the plain form puts in parentheses.
    pub fn own_parentheses(&self, text: String) -> String {
        if self.pretty { text } else { format!("({text})") }
    }

    pub fn subquery(&self, query: &Query) -> String {
        self.scope.query(query, self.indent, self.pretty)
    }

    fn typed(&self, text: &str, data_type: &DataType, whole: &Expr) -> Printed {
        match type_name::resolve(data_type) {
            Ok(wire_type) => coerce::constant(text, wire_type),
            Err(_) => Printed::simple(whole.to_string(), None),
        }
    }

    fn cast(&self, expr: &Expr, data_type: &DataType) -> Printed {
        let inner = self.print(expr);
        let Ok(to) = type_name::resolve(data_type) else {
            let text = format!("({})::{data_type}", inner.text);
            return Printed::simple(text, None);
        };
        match &inner.untyped {
            Some(literal) if to.modifier < 0 => coerce::constant(literal, to),
            Some(literal) => {
                let bare = coerce::constant(literal, oid::wire(to.oid, -1));
                coerce::cast(bare, to, self.pretty)
            }
            // NULL and empty arrays are constants of the type.
            None if inner.text == "NULL" || inner.text == "ARRAY[]" => {
                let name = oid::format_type(to.oid, Some(to.modifier));
                Printed {
                    wire_type: Some(to),
                    ..Printed::simple(format!("{}::{name}", inner.text), None)
                }
            }
            None if inner.wire_type == Some(to) => inner,
            None => coerce::cast(inner, to, self.pretty),
        }
    }

    fn unary(&self, op: UnaryOperator, expr: &Expr) -> Printed {
        if let (UnaryOperator::Minus, Expr::Value(ValueWithSpan { value, .. })) = (op, expr)
            && let Value::Number(digits, _) = value
        {
            return coerce::negative(digits);
        }
        let inner = self.print(expr);
        if op == UnaryOperator::Not {
            let text = format!("NOT {}", self.operand(&settled(inner), Parent::Not));
            let text = self.own_parentheses(text);
            return Printed { node: Node::Not, ..Printed::simple(text, Some(oid::BOOL)) };
        }
        let operand = self.operand(&inner, Parent::Operator(None, false));
        let text = self.own_parentheses(format!("{op} {operand}"));
        let wire_type = inner.wire_type;
        Printed { wire_type, node: Node::Operator(None), ..Printed::simple(text, None) }
    }

    fn boolean(&self, left: &Expr, right: &Expr, node: Node) -> Printed {
        let (word, parent) = match node {
            Node::Or => ("OR", Parent::Or),
            _ => ("AND", Parent::And),
        };
        // A chain of one connective is one node.
        let mut parts = Vec::new();
        flatten(left, word, &mut parts);
        flatten(right, word, &mut parts);
        let texts: Vec<_> = parts
            .into_iter()
            .map(|part| self.operand(&settled(self.print(part)), parent))
            .collect();
        let text = self.own_parentheses(texts.join(&format!(" {word} ")));
        Printed { node, ..Printed::simple(text, Some(oid::BOOL)) }
    }

    fn binary(&self, left: &Expr, operator: &str, right: &Expr) -> Printed {
        self.binary_of(self.print(left), operator, self.print(right))
    }

    fn binary_of(&self, left: Printed, operator: &str, right: Printed) -> Printed {
        let (left, right) = operands(left, right, operator, self.pretty);
        let kind = operator.chars().next().filter(|c| operator.len() == 1 && "+-*/%".contains(*c));
        let result = coerce::result(&left, &right, operator);
        let text = format!(
            "{} {operator} {}",
            self.operand(&left, Parent::Operator(kind, true)),
            self.operand(&right, Parent::Operator(kind, false))
        );
        let text = self.own_parentheses(text);
        Printed { node: Node::Operator(kind), ..Printed::simple(text, result) }
    }

    fn between(&self, expr: &Expr, negated: bool, low: &Expr, high: &Expr) -> Printed {
        let (first, second, word, node, parent) = match negated {
            false => (">=", "<=", "AND", Node::And, Parent::And),
            true => ("<", ">", "OR", Node::Or, Parent::Or),
        };
        let low = self.binary(expr, first, low);
        let high = self.binary(expr, second, high);
        let text = format!("{} {word} {}", self.operand(&low, parent), self.operand(&high, parent));
        Printed { node, ..Printed::simple(self.own_parentheses(text), Some(oid::BOOL)) }
    }

    fn in_list(&self, expr: &Expr, list: &[Expr], negated: bool) -> Printed {
        let (operator, word) = if negated { ("<>", "ALL") } else { ("=", "ANY") };
        if let [only] = list {
            return self.binary(expr, operator, only);
        }
        let left = self.print(expr);
        let items: Vec<_> = list.iter().map(|item| self.print(item)).collect();
        let varchar = left.type_oid() == Some(oid::VARCHAR);
        let element =
            left.wire_type.map(|t| oid::wire(t.oid, -1)).or_else(|| coerce::common(&items));
        let element = element.unwrap_or(oid::wire(oid::TEXT, -1));
        let items = items.into_iter().map(|item| to_type(item, element, self.pretty).text);
        let mut array = format!("ARRAY[{}]", items.collect::<Vec<_>>().join(", "));
        let mut left = left;
        if varchar {
            array = match self.pretty {
                true => format!("{array}::text[]"),
                false => format!("({array})::text[]"),
            };
            left = coerce::cast(left, oid::wire(oid::TEXT, -1), self.pretty);
        }
        let left = self.operand(&left, Parent::Test);
        let text = self.own_parentheses(format!("{left} {operator} {word} ({array})"));
        Printed { node: Node::Any, ..Printed::simple(text, Some(oid::BOOL)) }
    }

    fn any(&self, left: &Expr, operator: &BinaryOperator, right: &Expr, word: &str) -> Printed {
        let left = settled(self.print(left));
        let right = self.print(right);
        let text = format!(
            "{} {} {word} ({})",
            self.operand(&left, Parent::Test),
            operator_name(operator),
            right.text
        );
        let text = self.own_parentheses(text);
        Printed { node: Node::Any, ..Printed::simple(text, Some(oid::BOOL)) }
    }

    fn test(&self, expr: &Expr, test: &str) -> Printed {
        let inner = settled(self.print(expr));
        let text = format!("{} {test}", self.operand(&inner, Parent::Test));
        let text = self.own_parentheses(text);
        Printed { node: Node::Test, ..Printed::simple(text, Some(oid::BOOL)) }
    }

    fn distinct(&self, left: &Expr, right: &Expr, negated: bool) -> Printed {
        let (left, right) = operands(self.print(left), self.print(right), "=", self.pretty);
        let text = format!(
            "{} IS DISTINCT FROM {}",
            self.operand(&left, Parent::Test),
            self.operand(&right, Parent::Test)
        );
        let text = self.own_parentheses(text);
        let text = match negated {
            false => text,
            true => self.own_parentheses(format!("NOT {text}")),
        };
        Printed { node: Node::Test, ..Printed::simple(text, Some(oid::BOOL)) }
    }

    fn case(
        &self,
        operand: Option<&Expr>,
        conditions: &[CaseWhen],
        otherwise: Option<&Expr>,
    ) -> Printed {
        let results: Vec<_> = conditions
            .iter()
            .map(|when| &when.result)
            .chain(otherwise)
            .map(|expr| self.print(expr))
            .collect();
        let common = coerce::common(&results).unwrap_or(oid::wire(oid::TEXT, -1));
        let mut results = results.into_iter().map(|value| to_type(value, common, self.pretty).text);
        let operand_printed = operand.map(|operand| self.print(operand));
        let blanks = " ".repeat(self.indent);
        let mut text = format!("\n{blanks}CASE");
        if let Some(operand) = &operand_printed {
            text.push_str(&format!(" {}", operand.text));
        }
        for when in conditions {
            let condition = match &operand_printed {
                Some(operand) => {
                    operands(operand.clone(), self.print(&when.condition), "=", self.pretty).1
                }
                None => settled(self.print(&when.condition)),
            };
            let result = results.next().unwrap_or_default();
            text.push_str(&format!("\n{blanks}    WHEN {} THEN {result}", condition.text));
        }
        let otherwise = match results.next() {
            Some(result) => result,
            None => format!("NULL::{}", oid::format_type(common.oid, None)),
        };
        text.push_str(&format!("\n{blanks}    ELSE {otherwise}\n{blanks}END"));
        Printed { wire_type: Some(common), ..Printed::simple(text, None) }
    }

    fn array(&self, elements: &[Expr]) -> Printed {
        let items: Vec<_> = elements.iter().map(|element| self.print(element)).collect();
        let common = match items.is_empty() {
            true => return Printed::simple("ARRAY[]", None),
            false => coerce::common(&items).unwrap_or(oid::wire(oid::TEXT, -1)),
        };
        let texts = items.into_iter().map(|item| to_type(item, common, self.pretty).text);
        let text = format!("ARRAY[{}]", texts.collect::<Vec<_>>().join(", "));
        Printed::simple(text, oid::array_of(common.oid))
    }

    fn access(&self, root: &Expr, chain: &[AccessExpr], whole: &Expr) -> Printed {
        let mut printed = self.print(root);
        for access in chain {
            let AccessExpr::Subscript(Subscript::Index { index }) = access else {
                return Printed::simple(whole.to_string(), None);
            };
            let element = printed.type_oid().and_then(oid::element_of);
            printed = Printed::simple(format!("{}[{}]", printed.text, self.whole(index)), element);
        }
        printed
    }

    fn exists(&self, query: &Query, negated: bool) -> Printed {
        let text = self.own_parentheses(format!("EXISTS ({})", self.subquery(query)));
        let (text, node) = match negated {
            false => (text, Node::Test),
            true => {
                let inner = if self.pretty { format!("({text})") } else { text };
                (self.own_parentheses(format!("NOT {inner}")), Node::Not)
            }
        };
        Printed { node, ..Printed::simple(text, Some(oid::BOOL)) }
    }

    fn in_subquery(&self, expr: &Expr, query: &Query, negated: bool) -> Printed {
        let left = settled(self.print(expr));
        let left = self.operand(&left, Parent::Test);
        let text = self.own_parentheses(format!("{left} IN ({})", self.subquery(query)));
        let (text, node) = match negated {
            false => (text, Node::Test),
            true => {
                let inner = if self.pretty { format!("({text})") } else { text };
                (self.own_parentheses(format!("NOT {inner}")), Node::Not)
            }
        };
        Printed { node, ..Printed::simple(text, Some(oid::BOOL)) }
    }
}

fn flatten<'e>(expr: &'e Expr, word: &str, parts: &mut Vec<&'e Expr>) {
    match expr {
        Expr::BinaryOp { left, op, right } if op.to_string() == word => {
            flatten(left, word, parts);
            flatten(right, word, parts);
        }
        Expr::Nested(inner) => match &**inner {
            Expr::BinaryOp { op, .. } if op.to_string() == word => flatten(inner, word, parts),
            _ => parts.push(expr),
        },
        _ => parts.push(expr),
    }
}

fn value_text(value: &Value) -> Printed {
    match value {
        Value::Number(digits, _) => coerce::number(digits),
        Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => {
            Printed::untyped(text)
        }
        Value::DollarQuotedString(text) => Printed::untyped(&text.value),
        Value::Boolean(value) => {
            Printed::simple(if *value { "true" } else { "false" }, Some(oid::BOOL))
        }
        Value::Null => Printed::simple("NULL", None),
        other => Printed::simple(other.to_string(), None),
    }
}

/// An operator's name as PostgreSQL has it.
fn operator_name(op: &BinaryOperator) -> String {
    match op {
        BinaryOperator::PGCustomBinaryOperator(parts) => parts.last().cloned().unwrap_or_default(),
        other => other.to_string(),
    }
}

/// ruleutils' isSimpleNode: true where an operand needs no parentheses in the pretty form.
fn is_simple(node: Node, parent: Parent) -> bool {
    let low = |op: char| matches!(op, '+' | '-');
    match (node, parent) {
        (Node::Simple, _) => true,
        (Node::Operator(Some(op)), Parent::Operator(Some(of), left)) => {
            (!low(op) && low(of)) || (low(op) == low(of) && left)
        }
        (Node::Operator(_) | Node::Test, Parent::And | Parent::Or | Parent::Not) => true,
        (Node::And | Node::Not, Parent::And | Parent::Or) => true,
        (Node::Or, Parent::Or) => true,
        _ => false,
    }
}
