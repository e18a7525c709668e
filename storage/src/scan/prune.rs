//! What may be passed over because of its values: rule 11, in one place.
//!
//! A block's zone maps speak of the row versions in that block. They speak of the answer only where every one
//! of those versions *is* a row of the answer, and nothing else in the window is: where one source alone
//! covers the window and the block is clean at the read timestamp. Anywhere else, passing over a version by
//! its values would bring an older one back, or leave a row without its other columns.

use super::error::Result;
use super::predicate::{Constant, Predicate, Test};
use crate::sstable::{BlockInfo, Zone, ZoneValue};
use std::cmp::Ordering;
use terrane_client::cell;
use terrane_client::expr::BinaryOp;
use terrane_client::ids::{ColumnId, CommitTs};
use terrane_client::schema::{Column, TableSchema};
use terrane_client::types::PhysicalType;
use terrane_client::value::Value;

/// What else there is between the first and last key of some rows of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// No memtable and no other run has a row there.
    pub(super) is_alone: bool,
    /// A range tombstone of any source, newer than some version in the block, meets it.
    pub(super) has_tombstones: bool,
}

impl Window {
    /// True where every row of the block in the window is an answer at `at`, and there are no others: its
    /// pages are the answer, and its zone maps speak of it.
    pub(super) fn is_direct(self, block: &BlockInfo, at: CommitTs) -> bool {
        self.is_alone && !self.has_tombstones && block.is_clean() && block.max_ts <= at
    }
}

/// True where no row of a block in a direct window passes the predicate. `zone` gives a column's zone in
/// the block, `None` where nothing is known.
pub(super) fn excludes(
    predicate: &Predicate,
    schema: &TableSchema,
    block: &BlockInfo,
    zone: &dyn Fn(ColumnId) -> Result<Option<Zone>>,
) -> Result<bool> {
    let facts = Facts { schema, rows: block.rows, zone };
    for test in predicate.conjuncts() {
        if facts.is_never(test)? {
            return Ok(true);
        }
    }
    Ok(false)
}

struct Facts<'a> {
    schema: &'a TableSchema,
    rows: u32,
    zone: &'a dyn Fn(ColumnId) -> Result<Option<Zone>>,
}

/// What the rows of a block can have in one column.
struct Possible<'a> {
    column: &'a Column,
    zone: Zone,
    /// Some rows have no cell, and so the column's missing value.
    has_absent: bool,
}

impl<'a> Facts<'a> {
    fn possible(&self, id: ColumnId) -> Result<Option<Possible<'a>>> {
        let (Some(column), Some(zone)) = (self.schema.column(id), (self.zone)(id)?) else {
            return Ok(None);
        };
        let cells = zone.values.saturating_add(zone.nulls);
        Ok(Some(Possible { column, has_absent: cells < self.rows, zone }))
    }

    /// True where the test is false or NULL for every row.
    fn is_never(&self, test: &Test) -> Result<bool> {
        Ok(match test {
            Test::Compare { column, op, constant } => {
                self.possible(*column)?.is_some_and(|p| p.never_compares(*op, constant))
            }
            Test::In { column, constants } => self
                .possible(*column)?
                .is_some_and(|p| constants.iter().all(|c| p.never_compares(BinaryOp::Eq, c))),
            Test::IsNull(column) => self.possible(*column)?.is_some_and(|p| p.is_never_null()),
            Test::Is(column) => self
                .possible(*column)?
                .is_some_and(|p| p.never_is(&Value::Bool(true), BinaryOp::Eq)),
            Test::All(tests) => self.any(tests)?,
            Test::Any(tests) => self.all(tests)?,
            Test::Not(inner) => match &**inner {
                Test::IsNull(column) => self.possible(*column)?.is_some_and(|p| p.is_always_null()),
                Test::Is(column) => self
                    .possible(*column)?
                    .is_some_and(|p| p.never_is(&Value::Bool(false), BinaryOp::Eq)),
                _ => false,
            },
        })
    }

    fn any(&self, tests: &[Test]) -> Result<bool> {
        for test in tests {
            if self.is_never(test)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn all(&self, tests: &[Test]) -> Result<bool> {
        for test in tests {
            if !self.is_never(test)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Possible<'_> {
    fn is_never_null(&self) -> bool {
        self.zone.nulls == 0 && (!self.has_absent || !self.column.missing.is_null())
    }

    fn is_always_null(&self) -> bool {
        self.zone.values == 0 && (!self.has_absent || self.column.missing.is_null())
    }

    fn never_compares(&self, op: BinaryOp, constant: &Constant) -> bool {
        self.never_is(&constant.value, op)
    }

    /// True where `value op constant` is true for no row's value.
    fn never_is(&self, constant: &Value, op: BinaryOp) -> bool {
        let op = match op {
            BinaryOp::NotDistinctFrom => BinaryOp::Eq,
            op => op,
        };
        if constant.is_null() || op == BinaryOp::DistinctFrom {
            return false;
        }
        let missing = &self.column.missing;
        if self.has_absent && !missing.is_null() && holds(op, missing.compare(constant)) {
            return false;
        }
        if self.zone.values == 0 {
            return true;
        }
        let Some(constant) = zone_value(constant, self.column) else { return false };
        // How the least and the greatest value compare with the constant, where known.
        let compare = |bound: &Option<crate::sstable::ZoneBound>| {
            bound.as_ref().and_then(|bound| compare(&bound.value, &constant))
        };
        let (min, max) = (compare(&self.zone.min), compare(&self.zone.max));
        let above = min == Some(Ordering::Greater);
        let below = max == Some(Ordering::Less);
        match op {
            BinaryOp::Eq => above || below,
            BinaryOp::Lt => min.is_some_and(Ordering::is_ge),
            BinaryOp::LtEq => above,
            BinaryOp::Gt => max.is_some_and(Ordering::is_le),
            BinaryOp::GtEq => below,
            BinaryOp::NotEq => min == Some(Ordering::Equal) && max == Some(Ordering::Equal),
            _ => false,
        }
    }
}

fn holds(op: BinaryOp, ordering: Ordering) -> bool {
    match op {
        BinaryOp::Eq => ordering.is_eq(),
        BinaryOp::NotEq => ordering.is_ne(),
        BinaryOp::Lt => ordering.is_lt(),
        BinaryOp::LtEq => ordering.is_le(),
        BinaryOp::Gt => ordering.is_gt(),
        BinaryOp::GtEq => ordering.is_ge(),
        // Not known here: it might.
        _ => true,
    }
}

/// A constant in the form of the column's zone bounds; `None` where it has none.
fn zone_value(value: &Value, column: &Column) -> Option<ZoneValue> {
    let bytes = cell::encoded(value, &column.data_type).ok()??;
    let sign = |bytes: &[u8]| if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
    fn widened<const N: usize>(bytes: &[u8], fill: u8) -> Option<[u8; N]> {
        let mut wide = [fill; N];
        let low = &bytes[..bytes.len().min(N)];
        wide[..low.len()].copy_from_slice(low);
        // What is cut off must only repeat the sign.
        let fits = bytes[low.len()..].iter().all(|byte| *byte == fill)
            && (bytes.len() <= N || (wide[N - 1] & 0x80 != 0) == (fill != 0));
        fits.then_some(wide)
    }
    Some(match column.data_type.physical() {
        PhysicalType::Bool => ZoneValue::Int(i64::from(*bytes.first()?)),
        PhysicalType::Int2 | PhysicalType::Int4 | PhysicalType::Int8 => {
            ZoneValue::Int(i64::from_le_bytes(widened(&bytes, sign(&bytes))?))
        }
        PhysicalType::Float4 => {
            ZoneValue::Float(f64::from(f32::from_le_bytes(bytes[..].try_into().ok()?)))
        }
        PhysicalType::Float8 => ZoneValue::Float(f64::from_le_bytes(bytes[..].try_into().ok()?)),
        PhysicalType::Int16 | PhysicalType::Int32 => {
            ZoneValue::Wide(i128::from_le_bytes(widened(&bytes, sign(&bytes))?))
        }
        PhysicalType::Fixed16 | PhysicalType::Bytes => ZoneValue::Bytes(bytes),
    })
}

/// How a bound compares with a constant; `None` where the file stores the column in another form.
fn compare(bound: &ZoneValue, constant: &ZoneValue) -> Option<Ordering> {
    match (bound, constant) {
        (ZoneValue::Int(a), ZoneValue::Int(b)) => Some(a.cmp(b)),
        (ZoneValue::Wide(a), ZoneValue::Wide(b)) => Some(a.cmp(b)),
        (ZoneValue::Bytes(a), ZoneValue::Bytes(b)) => Some(a.cmp(b)),
        // SQL's order: NaN is the greatest, and -0 equals 0.
        (ZoneValue::Float(a), ZoneValue::Float(b)) => {
            Some(a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan())))
        }
        _ => None,
    }
}
