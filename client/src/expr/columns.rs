//! Which columns of the row an expression reads, and of map columns which entries.

use super::Expr;
use crate::ids::ColumnId;
use crate::value::Value;

impl Expr {
    /// Calls `visit` with each column of the row that the expression reads; some may come twice.
    pub fn each_column(&self, visit: &mut dyn FnMut(ColumnId)) {
        self.each_read(&mut |id, _| visit(id));
    }

    /// The same; where of a map column one entry is read, whose key is a constant, with that key.
    pub fn each_read(&self, visit: &mut dyn FnMut(ColumnId, Option<&Value>)) {
        match self {
            Expr::Column(id, _) => visit(*id, None),
            Expr::MapGet { map, key, .. } | Expr::MapHas(map, key) => match (&**map, &**key) {
                (Expr::Column(id, _), Expr::Literal(key, _)) => visit(*id, Some(key)),
                _ => {
                    map.each_read(visit);
                    key.each_read(visit);
                }
            },
            _ => self.children().into_iter().for_each(|child| child.each_read(visit)),
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
