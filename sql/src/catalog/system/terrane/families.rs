//! terrane.families: the families of every table, how their locality groups are stored, and what these take.
//!
//! Bytes are known by group. Families that share one share its bytes, and nobody knows whose they are: a family's own
//! are told where it has its group alone.

use super::{Definition, Source};
use crate::catalog::model::{DEFAULT_NAME, FamilyId, Index, Table};
use crate::catalog::objects::Object;
use crate::catalog::oid::Oid;
use crate::catalog::system::facts::Facts;
use crate::catalog::system::rows::{Cell, Rows};
use crate::error::SqlError;
use crate::types::style::TextStyle;
use crate::types::{oid, text};
use hashbrown::HashMap;
use terrane_client::ids::{LocalityGroupId, StorageId};
use terrane_client::interval::Interval;
use terrane_client::schema::{BlockFilter, CellGc, GcMode, LocalityGroup, PageCodec};
use terrane_client::status::{TabletStatus, distinct_files};
use terrane_client::types::DataType;
use terrane_client::value::Value;

const DAY_MICROS: i64 = 86_400_000_000;

pub(super) const DEFINITION: Definition = Definition {
    oid: Oid(8912),
    name: "families",
    columns: &[
        ("table_schema", oid::NAME, true),
        ("table_name", oid::NAME, true),
        ("table_oid", oid::OID, true),
        ("family", oid::TEXT, true),
        ("columns", oid::TEXT_ARRAY, true),
        ("locality_group", oid::TEXT, true),
        ("block_size", oid::INT8, false),
        ("compression", oid::TEXT, false),
        ("bloom", oid::TEXT, true),
        ("in_memory", oid::BOOL, true),
        ("max_versions", oid::INT4, true),
        ("ttl", oid::TEXT, false),
        ("gc", oid::TEXT, true),
        ("timestamps", oid::TEXT, true),
        ("group_disk_bytes", oid::INT8, true),
        ("group_memory_bytes", oid::INT8, true),
        ("disk_bytes", oid::INT8, false),
        ("memory_bytes", oid::INT8, false),
    ],
    rows: Source::Tablets(rows),
};

/// What a locality group takes.
#[derive(Clone, Copy, Default)]
struct Taken {
    disk_bytes: u64,
    memory_bytes: u64,
}

fn rows(rows: &mut Rows, facts: &Facts, tablets: &[TabletStatus]) -> Result<(), SqlError> {
    let taken = taken(tablets);
    for object in facts.catalog.objects() {
        let Object::Table(table) = object else { continue };
        let groups = table.families.groups();
        for (id, name, group) in families(table) {
            let Some(group) = groups.iter().find(|known| known.id == group) else { continue };
            let bytes = taken.get(&(table.storage, group.id)).copied().unwrap_or_default();
            let is_alone = families(table).filter(|(.., of)| *of == group.id).count() == 1;
            let own = is_alone.then_some(bytes);
            let gc = table.families.gc_of(id);
            let [block_size, compression, bloom, in_memory] = options(group);
            rows.push(&[
                facts.schema_name(table.schema).into(),
                (&*table.name).into(),
                table.oid.into(),
                name.into(),
                columns(table, id),
                Cell::Owned(group.name.clone()),
                block_size,
                compression,
                bloom,
                in_memory,
                gc.max_versions.into(),
                ttl(gc),
                mode(gc),
                if table.families.is_dated(id) { "client" } else { "server" }.into(),
                bytes.disk_bytes.into(),
                bytes.memory_bytes.into(),
                own.map(|own| own.disk_bytes).into(),
                own.map(|own| own.memory_bytes).into(),
            ])?;
        }
        for (index, storage) in table.unique_indexes() {
            let of_index = taken.get(&(storage, LocalityGroupId::default())).copied();
            let schema = facts.schema_name(table.schema);
            index_row(rows, schema, index, of_index.unwrap_or_default())?;
        }
    }
    Ok(())
}

/// What a unique index stores: keys, in a locality group that nobody has chosen. Its name is in the place of a table's.
fn index_row(rows: &mut Rows, schema: &str, index: &Index, bytes: Taken) -> Result<(), SqlError> {
    let group = LocalityGroup::default_group();
    let [block_size, compression, bloom, in_memory] = options(&group);
    rows.push(&[
        schema.into(),
        (&*index.name).into(),
        index.oid.into(),
        DEFAULT_NAME.into(),
        Cell::Texts(Vec::new()),
        Cell::Owned(group.name.clone()),
        block_size,
        compression,
        bloom,
        in_memory,
        group.marker_gc.max_versions.into(),
        ttl(group.marker_gc),
        mode(group.marker_gc),
        "server".into(),
        bytes.disk_bytes.into(),
        bytes.memory_bytes.into(),
        bytes.disk_bytes.into(),
        bytes.memory_bytes.into(),
    ])
}

/// Every family of a table with its name and its group, `default` first.
fn families(table: &Table) -> impl Iterator<Item = (FamilyId, &str, LocalityGroupId)> {
    let default = FamilyId::default();
    let default = (default, DEFAULT_NAME, table.families.group_of(default));
    let declared = table.families.declared().iter();
    [default].into_iter().chain(declared.map(|family| (family.id, &*family.name, family.group)))
}

/// The columns of a family; those of the key are in none.
fn columns(table: &Table, family: FamilyId) -> Cell<'static> {
    let columns = table
        .live_columns()
        .filter(|column| column.family == family && table.key_position(column.id).is_none());
    Cell::Texts(columns.map(|column| column.name.to_string()).collect())
}

/// As an interval is written. It has days and no months, of which there are several kinds.
fn ttl(gc: CellGc) -> Cell<'static> {
    let Some(micros) = gc.ttl_micros else { return Cell::Null };
    let (days, micros) = (micros / DAY_MICROS, micros % DAY_MICROS);
    let interval = Interval { months: 0, days: i32::try_from(days).unwrap_or(i32::MAX), micros };
    let style = TextStyle::default();
    Cell::Owned(text::to_string(&Value::Interval(interval), &DataType::Interval, &style))
}

fn mode(gc: CellGc) -> Cell<'static> {
    match gc.mode {
        GcMode::Any => "any".into(),
        GcMode::All => "all".into(),
    }
}

/// Block size, compression, bloom and in_memory, as WITH takes them; NULL where the server chooses.
fn options(group: &LocalityGroup) -> [Cell<'static>; 4] {
    let options = group.options;
    let codec = options.codec.map(|codec| match codec {
        PageCodec::None => "none",
        PageCodec::Lz4 => "lz4",
        PageCodec::Zstd => "zstd",
    });
    let filter = match options.filter {
        BlockFilter::None => "none",
        BlockFilter::Row => "row",
        BlockFilter::RowColumn => "rowcol",
    };
    [options.block_bytes.into(), codec.into(), filter.into(), options.in_memory.into()]
}

fn taken(tablets: &[TabletStatus]) -> HashMap<(StorageId, LocalityGroupId), Taken> {
    let mut taken: HashMap<_, Taken> = HashMap::new();
    for (table, group, file) in distinct_files(tablets) {
        taken.entry((table, group)).or_default().disk_bytes += file.size_bytes;
    }
    for tablet in tablets {
        for group in &tablet.groups {
            let of_group = taken.entry((tablet.row.table, group.group)).or_default();
            of_group.memory_bytes += group.memtable_bytes;
        }
    }
    taken
}
