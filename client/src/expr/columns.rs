//! Which columns of the row an expression reads.

use super::Expr;
use crate::ids::ColumnId;

impl Expr {
    /// Calls `visit` with each column of the row that the expression reads; some may come twice.
    pub fn each_column(&self, visit: &mut dyn FnMut(ColumnId)) {
        match self {
            Expr::Column(id, _) => visit(*id),
            Expr::Literal(..) | Expr::Excluded(..) | Expr::Parameter(..) => {}
            Expr::Not(inner)
            | Expr::Negate(inner, _)
            | Expr::IsNull(inner)
            | Expr::Cast(inner, _) => {
                inner.each_column(visit);
            }
            Expr::Binary { left, right, .. } => {
                left.each_column(visit);
                right.each_column(visit);
            }
            Expr::And(all) | Expr::Or(all) | Expr::Coalesce(all, _) => {
                all.iter().for_each(|expr| expr.each_column(visit));
            }
            Expr::InList(inner, list) => {
                inner.each_column(visit);
                list.iter().for_each(|expr| expr.each_column(visit));
            }
            Expr::Case { branches, otherwise, .. } => {
                for (condition, value) in branches {
                    condition.each_column(visit);
                    value.each_column(visit);
                }
                if let Some(otherwise) = otherwise {
                    otherwise.each_column(visit);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::BinaryOp;
    use crate::types::DataType;
    use crate::value::Value;

    #[test]
    fn every_column_is_found_wherever_it_stands() {
        let column = |id| Expr::Column(ColumnId(id), DataType::Int8);
        let one = Expr::Literal(Value::Int8(1), DataType::Int8);
        let sum = Expr::Binary {
            op: BinaryOp::Add,
            left: Box::new(column(1)),
            right: Box::new(Expr::Negate(Box::new(column(2)), DataType::Int8)),
            result: DataType::Int8,
        };
        let case = Expr::Case {
            branches: vec![(Expr::IsNull(Box::new(column(3))), column(4))],
            otherwise: Some(Box::new(Expr::Coalesce(vec![column(5), one], DataType::Int8))),
            result: DataType::Int8,
        };
        let list = Expr::InList(Box::new(column(6)), vec![column(7)]);
        let excluded = Expr::Excluded(ColumnId(99), DataType::Int8);
        let all = Expr::And(vec![sum, Expr::Or(vec![case, list]), excluded]);
        let mut found = Vec::new();
        all.each_column(&mut |id| found.push(id.0));
        assert_eq!(found, [1, 2, 3, 4, 5, 6, 7]);
    }
}
