//! CREATE TABLE and CREATE TABLE AS.

mod column;
mod like;
mod storage_options;
mod syntax;

pub(crate) use column::check_system_column;
pub(crate) use column::identity_type;
pub(crate) use storage_options::{INDEX_PARAMETERS, is_table_parameter, kept_options};
pub use syntax::{
    ColumnDefinition, ColumnOption, ColumnType, CreateTable, CreateTableAs, Element, LikeOption,
    TableAttributes,
};
pub(crate) use syntax::{parse, parse_add_identity, parse_column, parse_identity_kind};

use crate::bind::ddl::constraint::{Constraint, ConstraintKind, KeyPart};
use crate::bind::ddl::family::{
    FamilyDefinition, check_expiry, check_key_families, declare_family, declare_group, put_columns,
};
use crate::bind::ddl::history;
use crate::bind::ddl::map_column;
use crate::bind::ddl::names::{Target, duplicate_relation};
use crate::bind::ddl::tablets;
use crate::bind::ddl::{Ddl, DdlAction, QualifiedName};
use crate::catalog::model::{HistoryStart, OnCommit, Persistence, Table};
use crate::catalog::oid::Oid;
use crate::error::{SqlError, SqlState};
use crate::types::oid;
use terrane_client::schema::HISTORY_DEFAULT_MICROS;

/// Columns of a table at most, as in PostgreSQL.
pub(crate) const COLUMNS_MAX: usize = 1600;

/// Declares the locality groups and families of a new table; the families' columns are still to be put in.
fn declare_families(
    table: &mut Table,
    elements: &[Element],
) -> Result<Vec<FamilyDefinition>, SqlError> {
    for element in elements {
        if let Element::LocalityGroup(group) = element {
            declare_group(table, group, false)?;
        }
    }
    let mut families = Vec::new();
    for element in elements {
        if let Element::Family(family) = element {
            declare_family(table, family, false)?;
            families.push(family.clone());
        }
    }
    Ok(families)
}

impl Ddl<'_> {
    pub async fn create_table(&mut self, statement: CreateTable) -> Result<&'static str, SqlError> {
        let CreateTable { name, if_not_exists, elements, attributes } = statement;
        let tag = "CREATE TABLE";
        let Some(target) = self.new_relation(&name, attributes.temporary, if_not_exists).await?
        else {
            return Ok(tag);
        };
        let (mut table, split_at) = self.empty_table(&name, target, attributes).await?;
        let mut constraints = Vec::new();
        // Families may be named before they are declared.
        let families = declare_families(&mut table, &elements)?;
        for element in elements {
            match element {
                Element::Family(_) | Element::LocalityGroup(_) => {}
                Element::Column(column) => {
                    self.add_column(&mut table, column, &mut constraints).await?;
                }
                Element::Constraint(constraint) => constraints.push(constraint),
                Element::Like(source, options) => {
                    self.copy_table(&mut table, &source, &options, &mut constraints).await?;
                }
            }
        }
        self.add_constraints(&mut table, constraints).await?;
        check_key_families(&table)?;
        for family in &families {
            put_columns(&mut table, family)?;
        }
        map_column::bind(&mut table)?;
        check_expiry(&table)?;
        if let Some(split_at) = split_at {
            table.split_keys = tablets::split_keys(&table, &split_at)?;
        }
        self.create_index_storages(&table).await?;
        self.context.store.create_table_storage(self.tx, table).await?;
        Ok(tag)
    }

    /// Where a new relation goes; `None` where IF NOT EXISTS skips it.
    async fn new_relation(
        &mut self,
        name: &QualifiedName,
        temporary: bool,
        if_not_exists: bool,
    ) -> Result<Option<Target>, SqlError> {
        let target = self.target(name, temporary).await?;
        if self.catalog().relation_in(target.schema, &name.name).is_none() {
            return Ok(Some(target));
        }
        let error = duplicate_relation(&name.name);
        if !if_not_exists {
            return Err(error);
        }
        self.skipping(error)?;
        Ok(None)
    }

    /// A table without columns, and where it is to be cut into tablets once it has a key.
    async fn empty_table(
        &mut self,
        name: &QualifiedName,
        target: Target,
        attributes: TableAttributes,
    ) -> Result<(Table, Option<String>), SqlError> {
        let persistence = match (target.temporary, attributes.on_commit) {
            (true, on_commit) => Persistence::Temporary(on_commit.unwrap_or_default()),
            (false, None) => Persistence::Permanent,
            (false, Some(OnCommit::PreserveRows | OnCommit::DeleteRows | OnCommit::Drop)) => {
                let message = "ON COMMIT can only be used on temporary tables";
                return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
            }
        };
        let (times, tablets, options) = self.table_options(attributes)?;
        let history_micros = times.history.map_or(HISTORY_DEFAULT_MICROS, |history| history.micros);
        let purge_within_micros = times.purge_within.map(|within| within.micros);
        history::check(history_micros, purge_within_micros)?;
        let table = Table {
            oid: self.oid().await?,
            row_type: self.oid().await?,
            row_array_type: self.oid().await?,
            schema: target.schema,
            name: name.name.as_str().into(),
            owner: Oid::SUPERUSER,
            persistence,
            storage: self.context.store.allocate_storage().await?,
            schema_version: 1,
            columns: Vec::new(),
            primary_key: None,
            indexes: Vec::new(),
            checks: Vec::new(),
            families: Default::default(),
            history_micros,
            purge_within_micros,
            history_start: HistoryStart::NEW_STORAGE,
            tablet_bytes_max: tablets.bytes_max,
            split_keys: Vec::new(),
            options,
            comment: None,
        };
        Ok((table, tablets.split_at))
    }

    /// The constraints of a new table: CHECKs as written, then the primary key, then UNIQUEs, of which one
    /// that says no more than another is left out.
    async fn add_constraints(
        &mut self,
        table: &mut Table,
        constraints: Vec<Constraint>,
    ) -> Result<(), SqlError> {
        let mut keys: Vec<(Option<String>, Vec<KeyPart>)> = Vec::new();
        let mut uniques: Vec<(Option<String>, Vec<KeyPart>)> = Vec::new();
        for Constraint { name, kind } in constraints {
            match kind {
                ConstraintKind::Check(expr) => {
                    self.add_check(table, name, &expr).await?;
                }
                ConstraintKind::PrimaryKey(parts) => keys.push((name, parts)),
                ConstraintKind::Unique(parts) => uniques.push((name, parts)),
            }
        }
        for (name, parts) in &keys {
            self.set_primary_key(table, name.clone(), parts).await?;
        }
        let mut made: Vec<Vec<KeyPart>> = keys.into_iter().map(|(_, parts)| parts).collect();
        for (name, parts) in uniques {
            // PostgreSQL keeps the first of equal ones, unless the later one has a name of its own.
            if name.is_none() && made.contains(&parts) {
                continue;
            }
            self.add_unique(table, name, &parts).await?;
            made.push(parts);
        }
        table.indexes.sort_by_key(|index| index.oid);
        Ok(())
    }

    /// Creates the hidden tables of a new table's unique indexes.
    pub async fn create_index_storages(&mut self, table: &Table) -> Result<(), SqlError> {
        for index in &table.indexes {
            self.context.store.create_index_storage(self.tx, table, index).await?;
        }
        Ok(())
    }

    pub async fn create_table_as(
        &mut self,
        statement: CreateTableAs,
    ) -> Result<&'static str, SqlError> {
        let CreateTableAs { name, if_not_exists, columns, attributes, query, with_data } =
            statement;
        let tag = "CREATE TABLE AS";
        let Some(target) = self.new_relation(&name, attributes.temporary, if_not_exists).await?
        else {
            return Ok(tag);
        };
        let analyzer = self.context.analyzer;
        let described = analyzer.query_columns(&query, self.catalog()).await?;
        if columns.len() > described.len() {
            return Err(SqlError::syntax("too many column names were specified"));
        }
        let (mut table, split_at) = self.empty_table(&name, target, attributes).await?;
        let names = columns.into_iter().map(Some).chain(std::iter::repeat(None));
        for ((own_name, wire_type), given) in described.into_iter().zip(names) {
            let name = given.unwrap_or(own_name);
            // An untyped literal becomes text, as in PostgreSQL.
            let wire_type = match wire_type.oid {
                oid::UNKNOWN => oid::wire(oid::TEXT, -1),
                _ => wire_type,
            };
            let data_type = column::storable(wire_type, &name)?;
            let id = column::push_column(&mut table, &name, data_type)?;
            if let Some(column) = table.column_mut(id) {
                column.precision = column::precision(wire_type);
            }
        }
        map_column::bind(&mut table)?;
        if let Some(split_at) = split_at {
            // There is no key: this is refused.
            table.split_keys = tablets::split_keys(&table, &split_at)?;
        }
        let oid = table.oid;
        self.context.store.create_table_storage(self.tx, table).await?;
        if with_data {
            self.actions.push(DdlAction::InsertQuery { table: oid, query });
        }
        Ok(tag)
    }
}
