//! DataFusion filters as predicates of the tablets' language, where both mean the same.
//!
//! A predicate goes down only where it cannot fail and compares values of one type: a cast that can
//! raise, a volatile function or a subquery stays above. What does not convert is simply not pushed.

use crate::plan::{lower, values};
use datafusion::logical_expr::{BinaryExpr, Expr, Like, Operator};
use terrane_client::expr::{BinaryOp, Expr as Predicate};
use terrane_client::ids::ColumnId;
use terrane_client::schema::TableSchema;
use terrane_client::types::DataType;
use terrane_client::value::Value;

/// Converts a filter over the table's columns.
pub fn convert(
    filter: &Expr,
    schema: &TableSchema,
    column_of: &dyn Fn(&str) -> Option<ColumnId>,
) -> Option<Predicate> {
    Converter { schema, column_of }.boolean(filter)
}

/// What a filter that does not convert implies: what starts with a prefix lies between that and what comes after it.
/// A weaker predicate than the filter, and so one to be filtered again.
pub fn implied(
    filter: &Expr,
    schema: &TableSchema,
    column_of: &dyn Fn(&str) -> Option<ColumnId>,
) -> Option<Predicate> {
    let Expr::Like(Like { negated: false, expr, pattern, escape_char, case_insensitive: false }) =
        filter
    else {
        return None;
    };
    let (column, data_type) = Converter { schema, column_of }.column(expr)?;
    let pattern = match (&data_type, &**pattern) {
        (DataType::Text | DataType::Varchar(_), Expr::Literal(pattern, _)) => {
            pattern.try_as_str()??
        }
        _ => return None,
    };
    let prefix = prefix_of(pattern, escape_char.unwrap_or('\\'));
    if prefix.is_empty() {
        return None;
    }
    let after = after(&prefix);
    let text = |text| Predicate::Literal(Value::Text(text), data_type.clone());
    let mut both = vec![compare(BinaryOp::GtEq, column.clone(), text(prefix))];
    both.extend(after.map(|after| compare(BinaryOp::Lt, column, text(after))));
    Some(Predicate::And(both))
}

/// What a pattern of LIKE starts with, before anything that stands for more than itself.
fn prefix_of(pattern: &str, escape: char) -> String {
    let mut prefix = String::new();
    let mut rest = pattern.chars();
    while let Some(next) = rest.next() {
        match next {
            '%' | '_' => break,
            next if next == escape => match rest.next() {
                Some(escaped) => prefix.push(escaped),
                None => break,
            },
            next => prefix.push(next),
        }
    }
    prefix
}

/// The least text that is above all that starts with `prefix`; `None` where there is none.
fn after(prefix: &str) -> Option<String> {
    let mut after: Vec<char> = prefix.chars().collect();
    while let Some(last) = after.pop() {
        // Surrogates are no characters.
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            last => char::from_u32(u32::from(last) + 1),
        };
        if let Some(next) = next {
            after.push(next);
            return Some(after.into_iter().collect());
        }
    }
    None
}

struct Converter<'a> {
    schema: &'a TableSchema,
    column_of: &'a dyn Fn(&str) -> Option<ColumnId>,
}

impl Converter<'_> {
    fn boolean(&self, filter: &Expr) -> Option<Predicate> {
        match filter {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                Some(Predicate::And(vec![self.boolean(left)?, self.boolean(right)?]))
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
                Some(Predicate::Or(vec![self.boolean(left)?, self.boolean(right)?]))
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => self.comparison(left, *op, right),
            Expr::Not(inner) => Some(Predicate::Not(Box::new(self.boolean(inner)?))),
            Expr::IsNull(inner) => Some(Predicate::IsNull(Box::new(self.column(inner)?.0))),
            Expr::IsNotNull(inner) => {
                let is_null = Predicate::IsNull(Box::new(self.column(inner)?.0));
                Some(Predicate::Not(Box::new(is_null)))
            }
            Expr::Between(between) => {
                let low = self.comparison(&between.expr, Operator::GtEq, &between.low)?;
                let high = self.comparison(&between.expr, Operator::LtEq, &between.high)?;
                let both = Predicate::And(vec![low, high]);
                Some(if between.negated { Predicate::Not(Box::new(both)) } else { both })
            }
            Expr::InList(list) => {
                let (column, data_type) = self.column(&list.expr)?;
                let items: Option<Vec<_>> =
                    list.list.iter().map(|item| literal(item, &data_type)).collect();
                let within = Predicate::InList(Box::new(column), items?);
                Some(if list.negated { Predicate::Not(Box::new(within)) } else { within })
            }
            Expr::Column(_) => match self.column(filter)? {
                (column, DataType::Bool) => Some(column),
                _ => None,
            },
            _ => None,
        }
    }

    fn comparison(&self, left: &Expr, op: Operator, right: &Expr) -> Option<Predicate> {
        let op = lower::comparison(op)?;
        if let Some((column, data_type)) = self.column(left) {
            let value = literal(right, &data_type)?;
            return Some(compare(op, column, value));
        }
        let (column, data_type) = self.column(right)?;
        let value = literal(left, &data_type)?;
        Some(compare(op.mirrored(), column, value))
    }

    fn column(&self, expr: &Expr) -> Option<(Predicate, DataType)> {
        let Expr::Column(column) = expr else { return None };
        let id = (self.column_of)(&column.name)?;
        let data_type = self.schema.column(id)?.data_type.clone();
        Some((Predicate::Column(id, data_type.clone()), data_type))
    }
}

fn compare(op: BinaryOp, left: Predicate, right: Predicate) -> Predicate {
    let result = DataType::Bool;
    Predicate::Binary { op, left: Box::new(left), right: Box::new(right), result }
}

fn literal(expr: &Expr, data_type: &DataType) -> Option<Predicate> {
    let Expr::Literal(scalar, _) = expr else { return None };
    let value = values::from_scalar(scalar, data_type)?;
    Some(Predicate::Literal(value, data_type.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_where_a_pattern_says_more() {
        assert_eq!(prefix_of("com.cnn%", '\\'), "com.cnn");
        assert_eq!(prefix_of("a\\%b_c", '\\'), "a%b");
        assert_eq!(prefix_of("a!_b\\%", '!'), "a_b\\");
        assert_eq!(prefix_of("%x", '\\'), "");
    }

    #[test]
    fn what_comes_after_a_prefix_is_text() {
        assert_eq!(after("ab").as_deref(), Some("ac"));
        assert_eq!(after("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(after("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(after("\u{10ffff}"), None);
        assert!(after("z\u{7f}").unwrap().as_bytes() > "z\u{7f}\u{10ffff}".as_bytes());
    }
}
