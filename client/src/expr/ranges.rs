//! The key ranges a WHERE clause implies.
//!
//! Contract: every row for which all conjuncts are true has its key in one of the ranges. They may hold more
//! rows: the predicates are evaluated again. They are disjoint, ascend, and are not empty, whatever the
//! directions of the key columns.
//!
//! How: each key column gets the set of its encoded values that the conjuncts allow. Leading columns with
//! finitely many values are multiplied out into key prefixes; the first column with intervals, or without
//! a constraint, ends that. A disjunction that is not about one column alone is the union of what each of
//! its sides implies together with the other conjuncts.

mod column_set;
mod exact;

pub use exact::exact_ranges_of;

use super::Expr;
use crate::key::{prefix_range, single_range, successor};
use crate::read::KeyRange;
use crate::schema::TableSchema;
use crate::value::Value;
use bytes::Bytes;
use column_set::{ColumnSet, column_set};

/// Ranges that one clause is multiplied out into at most; beyond, it is widened.
const RANGES_MAX: usize = 10_000;
/// Nesting of AND and OR that is looked into.
const DEPTH_MAX: usize = 32;

/// The ranges of `schema`'s keys in which all rows are for which every conjunct is true.
pub fn ranges_of(schema: &TableSchema, conjuncts: &[Expr]) -> Vec<KeyRange> {
    let implied = Implied { schema, sets: vec![None; schema.key.len()] };
    implied.ranges(conjuncts.iter().collect(), 0)
}

/// What is known so far: one set a key column, `None` where it is not constrained.
#[derive(Clone)]
struct Implied<'a> {
    schema: &'a TableSchema,
    sets: Vec<Option<ColumnSet>>,
}

impl Implied<'_> {
    fn ranges(mut self, conjuncts: Vec<&Expr>, depth: usize) -> Vec<KeyRange> {
        if depth > DEPTH_MAX {
            return self.product();
        }
        let mut conjuncts = conjuncts;
        let mut disjunctions = Vec::new();
        while let Some(conjunct) = conjuncts.pop() {
            match conjunct {
                Expr::And(all) => conjuncts.extend(all),
                Expr::Literal(Value::Bool(false) | Value::Null, _) => return Vec::new(),
                other => match column_set(self.schema, other) {
                    Some((position, set)) => self.narrow(position, set),
                    None => {
                        if let Expr::Or(sides) = other {
                            disjunctions.push(sides);
                        }
                    }
                },
            }
        }
        let mut ranges = self.clone().product();
        for sides in disjunctions {
            let mut union = Vec::new();
            for side in sides {
                union.extend(self.clone().ranges(vec![side], depth + 1));
                if union.len() > RANGES_MAX {
                    break;
                }
            }
            if union.len() <= RANGES_MAX {
                ranges = intersect(&ranges, &merged(union));
            }
        }
        ranges
    }

    fn narrow(&mut self, position: usize, set: ColumnSet) {
        let known = &mut self.sets[position];
        *known = Some(match known.take() {
            Some(known) => known.intersect(&set),
            None => set,
        });
    }

    /// Multiplies the columns' sets out.
    fn product(self) -> Vec<KeyRange> {
        let columns = self.sets.len();
        if self.sets.iter().flatten().any(ColumnSet::is_empty) {
            return Vec::new();
        }
        let mut prefixes = vec![Bytes::new()];
        let mut used = 0;
        for set in self.sets.into_iter().map_while(|set| set) {
            let many = prefixes.len().saturating_mul(set.len()) > RANGES_MAX;
            let set = if many { set.hull() } else { set };
            let Some(points) = set.points() else {
                return merged(intervals(&prefixes, &set));
            };
            prefixes = prefixes
                .iter()
                .flat_map(|prefix| points.iter().map(move |point| joined(prefix, point)))
                .collect();
            used += 1;
        }
        let whole = used == columns && columns > 0;
        let range = |key| if whole { single_range(key) } else { prefix_range(key) };
        prefixes.into_iter().map(range).collect()
    }
}

fn joined(prefix: &[u8], rest: &[u8]) -> Bytes {
    [prefix, rest].concat().into()
}

/// Each prefix with each of the next column's intervals.
fn intervals(prefixes: &[Bytes], set: &ColumnSet) -> Vec<KeyRange> {
    let mut ranges = Vec::with_capacity(prefixes.len() * set.len());
    for prefix in prefixes {
        for span in set.spans() {
            ranges.push(KeyRange {
                start: joined(prefix, &span.start),
                end: match &span.end {
                    Some(end) => Some(joined(prefix, end)),
                    None => successor(prefix),
                },
            });
        }
    }
    ranges
}

/// Sorted, without empty ranges, overlaps and seams.
fn merged(mut ranges: Vec<KeyRange>) -> Vec<KeyRange> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_by(|a, b| a.start.cmp(&b.start));
    let mut merged: Vec<KeyRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if last.end.as_ref().is_none_or(|end| *end >= range.start) => {
                // `None`, the greater end, is the smaller Option.
                last.end = match (last.end.take(), range.end) {
                    (Some(a), Some(b)) => Some(a.max(b)),
                    _ => None,
                };
            }
            _ => merged.push(range),
        }
    }
    merged
}

/// What is in both lists, which are disjoint and ascend.
fn intersect(a: &[KeyRange], b: &[KeyRange]) -> Vec<KeyRange> {
    let (mut i, mut j) = (0, 0);
    let mut both = Vec::new();
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        let common = x.intersect(y);
        if !common.is_empty() {
            both.push(common);
        }
        let x_ends_first = match (&x.end, &y.end) {
            (Some(x), Some(y)) => x <= y,
            (x, _) => x.is_some(),
        };
        if x_ends_first {
            i += 1;
        } else {
            j += 1;
        }
    }
    both
}

#[cfg(test)]
mod tests;
