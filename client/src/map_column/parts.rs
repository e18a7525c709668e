//! Which entries of a row's maps a read wants.
//!
//! A read of part of a map gives a map of that part: whatever looks at no other key finds in it what it would find in
//! the whole map. So nobody above storage needs to know which of the two it has.

use crate::cell::map::encode_key;
use crate::ids::ColumnId;
use crate::read::KeyRange;
use crate::schema::TableSchema;
use crate::types::MapType;
use crate::value::Value;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// Of one map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapPart {
    /// All entries.
    Whole,
    /// Those with these encoded map keys.
    Keys(BTreeSet<Bytes>),
    /// Those whose encoded map keys are in a range.
    Range(KeyRange),
}

/// Of the maps of a row. Columns that are not named are wanted whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapParts(pub BTreeMap<ColumnId, MapPart>);

impl MapPart {
    /// No entry.
    pub const NOTHING: Self = Self::Keys(BTreeSet::new());

    /// The entry of a key; the whole map where none is named.
    pub fn of_key(key: Option<&Value>, of: &MapType) -> Self {
        match key {
            // NULL, and what is no key of this type, is in no map.
            Some(key) => Self::Keys(encode_key(key, of).into_iter().map(Bytes::from).collect()),
            None => Self::Whole,
        }
    }

    /// True where the entry of an encoded key is in it.
    pub fn contains(&self, key: &[u8]) -> bool {
        match self {
            MapPart::Whole => true,
            MapPart::Keys(keys) => keys.contains(key),
            MapPart::Range(range) => range.contains(key),
        }
    }

    /// True where `other` is all in this.
    pub fn covers(&self, other: &MapPart) -> bool {
        match (self, other) {
            (MapPart::Whole, _) => true,
            (MapPart::Keys(keys), MapPart::Keys(others)) => keys.is_superset(others),
            (one, other) => one == other,
        }
    }

    /// What has all that either has.
    pub fn union(self, other: MapPart) -> MapPart {
        match (self, other) {
            (MapPart::Keys(mut keys), MapPart::Keys(more)) => {
                keys.extend(more);
                MapPart::Keys(keys)
            }
            (one, other) if one == other => one,
            _ => MapPart::Whole,
        }
    }
}

impl MapParts {
    /// Nothing of any map of a table.
    pub fn nothing(schema: &TableSchema) -> Self {
        let maps = schema.columns.iter().filter(|column| column.is_map());
        Self(maps.map(|column| (column.id, MapPart::NOTHING)).collect())
    }

    /// Wants this part of a map, too; of one that was not named, no other.
    pub fn add(&mut self, column: ColumnId, part: MapPart) {
        let known = self.0.remove(&column).unwrap_or(MapPart::NOTHING);
        self.0.insert(column, known.union(part));
    }

    /// Wants what either wants. Both name the same maps, or all are wanted whole.
    pub fn union(mut self, other: Self) -> Self {
        if self.0.is_empty() || other.0.is_empty() {
            return Self::default();
        }
        for (column, part) in other.0 {
            self.add(column, part);
        }
        self
    }

    /// What is wanted of a map.
    pub fn of(&self, column: ColumnId) -> &MapPart {
        self.0.get(&column).unwrap_or(&MapPart::Whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(of: &[&'static str]) -> MapPart {
        MapPart::Keys(of.iter().map(|key| Bytes::from_static(key.as_bytes())).collect())
    }

    #[test]
    fn a_union_leaves_nothing_out() {
        assert_eq!(keys(&["a"]).union(keys(&["b", "a"])), keys(&["a", "b"]));
        let range = MapPart::Range(KeyRange { start: "a".into(), end: None });
        assert_eq!(range.clone().union(range.clone()), range);
        assert_eq!(range.union(keys(&["a"])), MapPart::Whole);
        assert_eq!(keys(&[]).union(MapPart::Whole), MapPart::Whole);
    }
}
