//! Which entries of a row's maps a read wants.
//!
//! A read of part of a map gives a map of that part: whatever looks at no other key finds in it what it would find in
//! the whole map. So nobody above storage needs to know which of the two it has.

use crate::ids::ColumnId;
use crate::read::KeyRange;
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
