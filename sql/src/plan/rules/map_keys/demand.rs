//! What of a map is looked at, as a scan is told it.
//!
//! Entries that are asked for one by one are read one by one; as soon as a range is among them, one range that has
//! them all is. More than what is asked for is never wrong.

use super::table_source;
use crate::plan::values;
use crate::scan::predicate;
use crate::types::map;
use crate::types::style::TextStyle;
use crate::types::text::InputContext;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::Transformed;
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan};
use std::collections::BTreeSet;
use std::sync::Arc;
use terrane_client::cell::map::encode_key;
use terrane_client::expr::ranges_of;
use terrane_client::ids::{ColumnId, LocalityGroupId, StorageId};
use terrane_client::key::single_range;
use terrane_client::map_column::{MapPart, MapParts};
use terrane_client::read::KeyRange;
use terrane_client::schema::{CellGc, Column, KeyColumn, TableSchema};
use terrane_client::types::{DataType, MapType};
use terrane_client::value::Value;

/// What of a column is looked at.
#[derive(Clone, Debug)]
pub(super) enum Demand {
    /// Some entries, maybe none.
    Entries(Vec<Wanted>),
    /// All of it.
    Whole,
}

/// Entries of a map.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    /// That of a key.
    Key(ScalarValue),
    /// Those of an array of keys.
    Keys(ScalarValue),
    /// Those of the keys of another map.
    KeysOf(ScalarValue),
    /// Those for which all of these are true, of the column [`KEY`].
    Where(Vec<Expr>),
}

/// What conditions on an entry call its key.
pub(super) const KEY: &str = "key";

impl Demand {
    pub(super) const NOTHING: Self = Self::Entries(Vec::new());

    pub(super) fn of(wanted: Wanted) -> Self {
        Self::Entries(vec![wanted])
    }

    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Entries(wanted) if wanted.is_empty())
    }

    pub(super) fn add(&mut self, other: Demand) {
        match (self, other) {
            (Self::Entries(wanted), Self::Entries(more)) => wanted.extend(more),
            (known, _) => *known = Self::Whole,
        }
    }
}

/// A scan that reads no more of its maps than is looked at.
pub(super) fn narrowed(scan: TableScan, demand: &[Demand]) -> Result<Transformed<LogicalPlan>> {
    let Some(source) = table_source(&scan) else {
        return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
    };
    let mut parts = MapParts::default();
    for (field, demand) in scan.projected_schema.fields().iter().zip(demand) {
        let column = source.column_of(field.name()).and_then(|id| source.table().column(id));
        if let (Some(column), Demand::Entries(wanted)) = (column, demand)
            && let DataType::Map(of) = &column.data_type
            && let Some(part) = part_of(wanted, of)
        {
            parts.0.insert(column.id, part);
        }
    }
    if parts.0.is_empty() {
        return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
    }
    let source = provider_as_source(Arc::new(source.with_map_parts(parts)));
    Ok(Transformed::yes(LogicalPlan::TableScan(TableScan { source, ..scan })))
}

/// `None` where that is, or cannot be told not to be, the whole map.
pub(super) fn part_of(wanted: &[Wanted], of: &MapType) -> Option<MapPart> {
    let mut keys = BTreeSet::new();
    let mut ranges: Vec<KeyRange> = Vec::new();
    for wanted in wanted {
        match wanted {
            Wanted::Key(key) => keys.extend(encoded(key, of)?),
            Wanted::Keys(list) => {
                for key in elements(list)? {
                    keys.extend(encoded(&key, of)?);
                }
            }
            Wanted::KeysOf(map) => {
                for key in keys_of(map, of)? {
                    keys.insert(encode_key(&key, of).ok()?.into());
                }
            }
            Wanted::Where(conditions) => {
                let (singles, wide): (Vec<_>, Vec<_>) = ranges_where(conditions, of)
                    .into_iter()
                    .partition(|range| *range == single_range(range.start.clone()));
                keys.extend(singles.into_iter().map(|range| range.start));
                ranges.extend(wide);
            }
        }
    }
    if ranges.is_empty() {
        return Some(MapPart::Keys(keys));
    }
    ranges.extend(keys.into_iter().map(single_range));
    let start = ranges.iter().map(|range| range.start.clone()).min()?;
    // `None` is the end of the map.
    let end: Option<Vec<_>> = ranges.into_iter().map(|range| range.end).collect();
    let range = KeyRange { start, end: end.and_then(|ends| ends.into_iter().max()) };
    (range != KeyRange::all()).then_some(MapPart::Range(range))
}

/// A key's encoding. NULL is a key that no map has, and gives none.
fn encoded(key: &ScalarValue, of: &MapType) -> Option<Option<bytes::Bytes>> {
    match values::from_scalar(key, of.key())? {
        Value::Null => Some(None),
        key => Some(Some(encode_key(&key, of).ok()?.into())),
    }
}

/// The elements of an array; none of NULL.
fn elements(list: &ScalarValue) -> Option<Vec<ScalarValue>> {
    let ScalarValue::List(list) = list else { return list.is_null().then(Vec::new) };
    let rows = ScalarValue::convert_array_to_scalar_vec(&**list).ok()?;
    Some(rows.into_iter().flatten().flatten().collect())
}

/// The keys of a map, or of text that reads as an hstore: how a `map(k, v)` is read is the session's to say.
fn keys_of(map: &ScalarValue, of: &MapType) -> Option<Vec<Value>> {
    let of_map = DataType::Map(Box::new(of.clone()));
    let value = match map {
        ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
            let context = InputContext { style: &TextStyle::default(), now_micros: 0 };
            (*of == MapType::hstore()).then(|| map::parse(text, of, context).ok()).flatten()?
        }
        map => values::from_scalar(map, &of_map)?,
    };
    match value {
        Value::Null => Some(Vec::new()),
        Value::Map(entries) => Some(entries.into_iter().map(|(key, _)| key).collect()),
        _ => None,
    }
}

/// The ranges of encoded map keys that conditions leave: a map's key is encoded as the only column of a primary key is.
fn ranges_where(conditions: &[Expr], of: &MapType) -> Vec<KeyRange> {
    let id = ColumnId(1);
    let key = Column {
        id,
        name: KEY.to_owned(),
        data_type: of.key().clone(),
        not_null: true,
        group: LocalityGroupId(0),
        missing: Value::Null,
        gc: CellGc::default(),
    };
    let entries = TableSchema {
        storage: StorageId(0),
        version: 0,
        name: String::new(),
        columns: vec![key],
        key: vec![KeyColumn { column: id, descending: false }],
        groups: Vec::new(),
        checks: Vec::new(),
        history_micros: 0,
        is_settled: true,
        purge_within_micros: None,
        dropped: Vec::new(),
        tablet_bytes_max: None,
    };
    let key = |name: &str| (name == KEY).then_some(id);
    let convert = |condition: &Expr| {
        predicate::convert(condition, &entries, &key)
            .or_else(|| predicate::implied(condition, &entries, &key))
    };
    let predicates: Vec<_> = conditions.iter().filter_map(convert).collect();
    ranges_of(&entries, &predicates)
}
