//! DataFusion filters as predicates of the tablets' language, where both mean the same.
//!
//! A predicate goes down only where it cannot fail and compares values of one type: a cast that can
//! raise, a volatile function or a subquery stays above. What does not convert is simply not pushed.

use crate::plan::{lower, values};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use terrane_client::expr::{BinaryOp, Expr as Predicate};
use terrane_client::ids::ColumnId;
use terrane_client::schema::TableSchema;
use terrane_client::types::DataType;

/// Converts a filter over the table's columns.
pub fn convert(
    filter: &Expr,
    schema: &TableSchema,
    column_of: &dyn Fn(&str) -> Option<ColumnId>,
) -> Option<Predicate> {
    Converter { schema, column_of }.boolean(filter)
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
