//! What a program's expressions read of its row.

use super::{Action, OnConflict, Returning, RowProgram, each_read_of_assignment};
use crate::expr::Expr;
use crate::ids::ColumnId;
use crate::map_column::{MapPart, MapParts};
use crate::schema::{Column, TableSchema};
use crate::value::Value;

impl RowProgram {
    /// The assignments of an UPDATE, or of DO UPDATE.
    pub fn assignments(&self) -> &[(ColumnId, Expr)] {
        match &self.action {
            Action::Update { assignments }
            | Action::Upsert { conflict: OnConflict::DoUpdate { assignments }, .. } => assignments,
            _ => &[],
        }
    }

    /// Calls `visit` with each column that the condition and the assignments read; where of a map column one entry is
    /// read, whose key is a constant, with that key. What is assigned to is not read for that.
    pub fn each_read(&self, visit: &mut dyn FnMut(ColumnId, Option<&Value>)) {
        if let Some(condition) = &self.condition {
            condition.each_read(visit);
        }
        for (column, value) in self.assignments() {
            each_read_of_assignment(*column, value, visit);
        }
    }

    /// What it reads of the maps of a table whose constraints are `schema`'s: all maps are named.
    pub fn map_parts(&self, schema: &TableSchema) -> MapParts {
        let mut parts = MapParts::nothing(schema);
        if parts.0.is_empty() {
            return parts;
        }
        if self.returning == Returning::Row {
            return MapParts::default();
        }
        let mut read = |id: ColumnId, key: Option<&Value>| {
            if let Some(of) = schema.column(id).and_then(Column::map_type) {
                parts.add(id, MapPart::of_key(key, of));
            }
        };
        self.each_read(&mut read);
        schema.checks.iter().for_each(|check| check.expr.each_read(&mut read));
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::map::encode_key;
    use crate::map_column::MapPart::Whole;
    use crate::model::fixture::schema;
    use crate::program::Guard;
    use crate::types::{DataType, MapType};
    use bytes::Bytes;

    const M: ColumnId = ColumnId(9);

    fn with_map() -> TableSchema {
        let mut schema = schema();
        let mut column = schema.columns[1].clone();
        column.id = M;
        column.data_type = DataType::Map(Box::new(MapType::hstore()));
        schema.columns.push(column);
        schema
    }

    fn map() -> Box<Expr> {
        Box::new(Expr::Column(M, DataType::Map(Box::new(MapType::hstore()))))
    }

    fn text(text: &str) -> Box<Expr> {
        Box::new(Expr::Literal(Value::Text(text.to_owned()), DataType::Text))
    }

    fn keys(of: &[&str]) -> MapPart {
        let encoded = |key: &&str| {
            encode_key(&Value::Text((*key).to_owned()), &MapType::hstore()).unwrap().into()
        };
        MapPart::Keys(of.iter().map(encoded).collect())
    }

    fn update(assignments: Vec<(ColumnId, Expr)>) -> RowProgram {
        let schema = schema();
        RowProgram {
            table: schema.storage,
            schema_version: schema.version,
            key: Bytes::from_static(b"k"),
            guard: Guard::Any,
            condition: None,
            action: Action::Update { assignments },
            returning: Returning::Nothing,
        }
    }

    #[test]
    fn no_more_of_a_map_is_read_than_is_looked_at() {
        let schema = with_map();
        let part = |program: &RowProgram| program.map_parts(&schema).of(M).clone();
        let put = |value: Box<Expr>| Expr::MapPut { map: map(), key: text("k"), value };
        assert_eq!(part(&update(vec![(M, put(text("v")))])), keys(&[]));
        let get = Expr::MapGet { map: map(), key: text("j"), result: DataType::Text };
        assert_eq!(part(&update(vec![(M, put(Box::new(get)))])), keys(&["j"]));
        let has = |key| Some(Box::new(Expr::MapHas(map(), key)));
        let conditional = RowProgram { condition: has(text("c")), ..update(Vec::new()) };
        assert_eq!(part(&conditional), keys(&["c"]));
        let of_a_row = RowProgram { condition: has(map()), ..update(Vec::new()) };
        assert_eq!(part(&of_a_row), Whole);
        let shown = RowProgram { returning: Returning::Row, ..conditional.clone() };
        assert_eq!(part(&shown), Whole);
        let both = conditional.map_parts(&schema).union(update(Vec::new()).map_parts(&schema));
        assert_eq!(*both.of(M), keys(&["c"]));
        assert_eq!(*both.union(shown.map_parts(&schema)).of(M), Whole);
    }
}
