//! The tablets a server serves, by table and key.
//!
//! Lookups clone one [`Arc`] under a read lock; loading and unloading replace a table's entry whole, so a
//! lookup sees a table's tablets as they were at one moment.

use super::Tablet;
use super::layout::GroupLayout;
use crate::scan::GroupGc;
use hashbrown::HashMap;
use parking_lot::RwLock;
use std::sync::Arc;
use terrane_client::error::TabletError;
use terrane_client::ids::{ColumnId, LocalityGroupId, StorageId};
use terrane_client::read::KeyRange;
use terrane_client::schema::{LocalityGroup, TableSchema, TableSchemas};

/// The schemas a table's tablets accept calls with (rule 10).
#[derive(Clone, Debug)]
pub struct HeldSchemas {
    /// The newest.
    pub current: Arc<TableSchema>,
    /// The one before, until every frontend has moved on.
    pub previous: Option<Arc<TableSchema>>,
    /// The newest with the columns that only the one before has: what is stored, and what rows that are
    /// written again keep. A DDL that dropped a column may not have committed.
    pub widest: Arc<TableSchema>,
    /// Its value columns, ascending.
    pub columns: Arc<[ColumnId]>,
    /// Its locality groups; of a schema that is settled, the newest's alone.
    pub layout: Arc<GroupLayout>,
}

impl HeldSchemas {
    /// The schemas of a table, and what follows from them.
    pub fn new(TableSchemas { current, previous }: TableSchemas) -> Self {
        let mut widest = TableSchema::clone(&current);
        for column in previous.iter().flat_map(|previous| &previous.columns) {
            if let Err(place) = widest.columns.binary_search_by_key(&column.id, |column| column.id)
            {
                widest.columns.insert(place, column.clone());
            }
        }
        let older = previous.iter().filter(|_| !current.is_settled);
        for group in older.flat_map(|previous| &previous.groups) {
            if widest.group(group.id).is_none() {
                widest.groups.push(group.clone());
            }
        }
        let columns = widest.value_columns().map(|column| column.id).collect();
        let layout = Arc::new(GroupLayout::new(&widest));
        Self { current, previous, widest: Arc::new(widest), columns, layout }
    }

    /// A locality group, as the newest schema that has it says.
    pub fn group(&self, id: LocalityGroupId) -> Option<&LocalityGroup> {
        self.widest.group(id)
    }

    /// The policies by which a merge of a group may drop something: the newest schema's, and until that is settled
    /// those of the one before, too.
    pub fn gc(&self, id: LocalityGroupId) -> Vec<GroupGc> {
        let previous = self.previous.iter().filter(|_| !self.current.is_settled);
        [&self.current].into_iter().chain(previous).map(|schema| GroupGc::new(schema, id)).collect()
    }

    /// The schema a call was planned with.
    pub fn at(&self, table: StorageId, version: u32) -> Result<&Arc<TableSchema>, TabletError> {
        if self.current.version == version {
            return Ok(&self.current);
        }
        match &self.previous {
            Some(previous) if previous.version == version => Ok(previous),
            _ => Err(TabletError::SchemaChanged {
                table,
                asked: version,
                current: self.current.version,
            }),
        }
    }

    fn replacing(current: Arc<TableSchema>, previous: Option<Arc<TableSchema>>) -> Self {
        Self::new(TableSchemas { current, previous })
    }

    /// The schemas after a newer one came. The same version again replaces it: the DDL that staged it before
    /// never committed. An older one is late and changes nothing.
    fn raised(&self, schema: Arc<TableSchema>) -> Option<Self> {
        use std::cmp::Ordering;
        match schema.version.cmp(&self.current.version) {
            Ordering::Less => None,
            Ordering::Equal => Some(Self::replacing(schema, self.previous.clone())),
            Ordering::Greater => Some(Self::replacing(schema, Some(self.current.clone()))),
        }
    }
}

/// A table as this server serves it.
#[derive(Debug)]
pub struct ServedTable {
    /// Its id.
    pub storage: StorageId,
    /// Shared with the entries that replace this one.
    schemas: Arc<RwLock<Arc<HeldSchemas>>>,
    /// Ascending by start, not overlapping.
    tablets: Vec<Arc<Tablet>>,
    broken: Arc<BrokenTables>,
}

/// Tables of which a tablet could not be loaded, and why.
type BrokenTables = RwLock<HashMap<StorageId, TabletError>>;

impl ServedTable {
    /// The schema a call was planned with, or [`TabletError::SchemaChanged`].
    pub fn schema(&self, version: u32) -> Result<Arc<TableSchema>, TabletError> {
        self.schemas.read().at(self.storage, version).cloned()
    }

    /// The schemas held now.
    pub fn schemas(&self) -> Arc<HeldSchemas> {
        self.schemas.read().clone()
    }

    /// The newest schema.
    pub fn current_schema(&self) -> Arc<TableSchema> {
        self.schemas.read().current.clone()
    }

    /// The locality groups of a tablet that its table has dropped for good.
    pub fn dropped_groups(&self, tablet: &Tablet) -> Vec<LocalityGroupId> {
        // Held while both are looked at: a group is given to tablets before there is a schema that names it, and
        // must not be taken for one that was dropped meanwhile.
        let held = self.schemas.read();
        let schema = &held.current;
        let is_dropped = |id: &LocalityGroupId| schema.is_settled && schema.group(*id).is_none();
        let version = tablet.version();
        version.groups().iter().map(|group| group.id).filter(is_dropped).collect()
    }

    /// All tablets, ascending.
    pub fn tablets(&self) -> &[Arc<Tablet>] {
        &self.tablets
    }

    /// The tablet that holds a key.
    pub fn tablet_of(&self, key: &[u8]) -> Result<&Arc<Tablet>, TabletError> {
        let after = self.tablets.partition_point(|tablet| &tablet.range.start[..] <= key);
        after
            .checked_sub(1)
            .map(|place| &self.tablets[place])
            .filter(|tablet| tablet.range.contains(key))
            .ok_or_else(|| not_serving(&self.broken, self.storage))
    }

    /// The tablets that meet a range, ascending. An error if a part of the range is in none of them: a
    /// scan never leaves rows out silently.
    pub fn tablets_of(&self, range: &KeyRange) -> Result<&[Arc<Tablet>], TabletError> {
        let starts_before_end = |tablet: &Arc<Tablet>| match &range.end {
            None => true,
            Some(end) => tablet.range.start < *end,
        };
        let ends_after_start = |tablet: &Arc<Tablet>| match &tablet.range.end {
            None => true,
            Some(end) => *end > range.start,
        };
        let first = self.tablets.partition_point(|tablet| !ends_after_start(tablet));
        let last = self.tablets.partition_point(starts_before_end);
        if range.end.as_ref().is_some_and(|end| *end <= range.start) {
            return Ok(&[]);
        }
        let met = self.tablets.get(first..last).unwrap_or_default();
        let covered = met.first().is_some_and(|tablet| tablet.range.start <= range.start)
            && met.windows(2).all(|pair| pair[0].range.end.as_ref() == Some(&pair[1].range.start))
            && met.last().is_some_and(|tablet| match (&tablet.range.end, &range.end) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(tablet_end), Some(end)) => tablet_end >= end,
            });
        match covered {
            true => Ok(met),
            false => Err(not_serving(&self.broken, self.storage)),
        }
    }
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct TabletDirectory {
    tables: RwLock<HashMap<StorageId, Arc<ServedTable>>>,
    broken: Arc<BrokenTables>,
}

impl TabletDirectory {
    /// A table; or [`TabletError::NotServing`]; or why it could not be loaded.
    pub fn table(&self, storage: StorageId) -> Result<Arc<ServedTable>, TabletError> {
        if let Some(table) = self.get(storage) {
            return Ok(table);
        }
        Err(not_serving(&self.broken, storage))
    }

    /// Remembers why a tablet of a table could not be loaded.
    pub fn set_broken(&self, storage: StorageId, error: TabletError) {
        self.broken.write().insert(storage, error);
    }

    /// Forgets it.
    pub fn clear_broken(&self, storage: StorageId) {
        self.broken.write().remove(&storage);
    }

    /// A table, if any of its tablets is here.
    pub fn get(&self, storage: StorageId) -> Option<Arc<ServedTable>> {
        self.tables.read().get(&storage).cloned()
    }

    /// Every tablet, by table and start.
    pub fn all(&self) -> Vec<Arc<Tablet>> {
        let tables = self.tables.read();
        let mut ids: Vec<_> = tables.keys().copied().collect();
        ids.sort_unstable();
        ids.iter().flat_map(|id| tables[id].tablets.iter().cloned()).collect()
    }

    /// Starts serving a tablet; its table's schemas move on to the current one of `schemas` if that is newer.
    pub fn add(&self, tablet: Arc<Tablet>, schemas: HeldSchemas) {
        let mut tables = self.tables.write();
        let storage = tablet.table;
        let schema = schemas.current.clone();
        let (schemas, mut tablets) = match tables.get(&storage) {
            Some(table) => (table.schemas.clone(), table.tablets.clone()),
            None => (Arc::new(RwLock::new(Arc::new(schemas))), Vec::new()),
        };
        tablets.retain(|other| other.range.end != tablet.range.end);
        tablets.push(tablet);
        raise(&schemas, &tablets, schema);
        tablets.sort_by(|a, b| a.range.start.cmp(&b.range.start));
        tables.insert(
            storage,
            Arc::new(ServedTable { storage, schemas, tablets, broken: self.broken.clone() }),
        );
    }

    /// Puts tablets in the place of others, one that was split or two that were merged: no lookup finds neither or both. Both lists
    /// ascend.
    ///
    /// # Panics
    /// Where they do not tile the same range: rows would be in no tablet, or in two.
    pub fn replace(&self, before: &[&Tablet], after: &[Arc<Tablet>]) {
        let tiled = tiled(before.iter().copied());
        let is_same = tiled.is_some() && tiled == self::tiled(after.iter().map(|tablet| &**tablet));
        assert!(is_same, "what takes the place of tablets tiles their range");
        let mut tables = self.tables.write();
        let Some(table) = before.first().and_then(|first| tables.get(&first.table)) else { return };
        let (storage, schemas) = (table.storage, table.schemas.clone());
        let is_replaced = |other: &Tablet| before.iter().any(|gone| std::ptr::eq(*gone, other));
        let others = table.tablets.iter().filter(|other| !is_replaced(other));
        let mut tablets: Vec<_> = others.chain(after).cloned().collect();
        tablets.sort_by(|a, b| a.range.start.cmp(&b.range.start));
        let layout = schemas.read().layout.clone();
        after.iter().for_each(|tablet| tablet.add_groups(&layout));
        tables.insert(
            storage,
            Arc::new(ServedTable { storage, schemas, tablets, broken: self.broken.clone() }),
        );
    }

    /// Stops serving a tablet.
    pub fn remove(&self, tablet: &Arc<Tablet>) {
        let mut tables = self.tables.write();
        let Some(table) = tables.get(&tablet.table) else { return };
        let tablets: Vec<_> =
            table.tablets.iter().filter(|other| !Arc::ptr_eq(other, tablet)).cloned().collect();
        if tablets.is_empty() {
            tables.remove(&tablet.table);
        } else {
            let (storage, schemas) = (table.storage, table.schemas.clone());
            tables.insert(
                storage,
                Arc::new(ServedTable { storage, schemas, tablets, broken: self.broken.clone() }),
            );
        }
    }

    /// Holds a newer schema of a table.
    pub fn set_schema(&self, schema: Arc<TableSchema>) -> Result<(), TabletError> {
        let table = self.table(schema.storage)?;
        raise(&table.schemas, &table.tablets, schema);
        Ok(())
    }
}

/// A key's tablet is not here: why it could not be loaded, if that was tried.
fn not_serving(broken: &BrokenTables, table: StorageId) -> TabletError {
    broken.read().get(&table).cloned().unwrap_or(TabletError::NotServing { table })
}

/// The range that tablets tile, which ascend; `None` where there is a gap, or more than one in a place.
fn tiled<'t>(tablets: impl Iterator<Item = &'t Tablet>) -> Option<KeyRange> {
    let mut whole: Option<KeyRange> = None;
    for tablet in tablets {
        whole = match whole {
            None => Some(tablet.range.clone()),
            Some(KeyRange { start, end }) if end.as_ref() == Some(&tablet.range.start) => {
                Some(KeyRange { start, end: tablet.range.end.clone() })
            }
            Some(_) => return None,
        };
    }
    whole
}

/// Moves a table's schemas on, if `schema` is newer. Its tablets have a group before anyone can write to it.
fn raise(schemas: &RwLock<Arc<HeldSchemas>>, tablets: &[Arc<Tablet>], schema: Arc<TableSchema>) {
    let mut held = schemas.write();
    let next = held.raised(schema).map_or_else(|| held.clone(), Arc::new);
    tablets.iter().for_each(|tablet| tablet.add_groups(&next.layout));
    *held = next;
}
