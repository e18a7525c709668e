//! The catalog at start: created if there is none, read, checked, and cleaned of what never committed.

use crate::catalog::model::{Database, Role, Schema};
use crate::catalog::objects::{Object, Objects};
use crate::catalog::oid::Oid;
use crate::catalog::rows::{self, Alteration, FORMAT, Row, damaged};
use crate::catalog::snapshot::Catalog;
use crate::catalog::store::{CatalogStore, CheckCompiler};
use crate::catalog::system::terrane;
use crate::catalog::system_tables::{
    SCHEMA_VERSION, catalog_column, catalog_schema, counters_schema,
};
use crate::error::SqlError;
use crate::plan::errors::of_tablet;
use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int32Type, Int64Type};
use futures::TryStreamExt;
use std::sync::Arc;
use terrane_client::error::TabletError;
use terrane_client::ids::{CommitTs, StorageId};
use terrane_client::master::MasterService;
use terrane_client::program::{Atomicity, ModifyRequest};
use terrane_client::read::{KeyRange, Projected, ScanRequest};
use terrane_client::schema::TableSchema;
use terrane_client::service::TabletService;
use terrane_env::Env;

/// What the catalog table holds.
pub(super) struct Stored {
    pub catalog: Arc<Catalog>,
    pub alterations: Vec<Alteration>,
    /// The commit that wrote the version row; `None` before the first.
    pub commit: Option<(u64, u64)>,
}

impl CatalogStore {
    /// Reads the catalog, creating it on the first start. Storages nothing refers to are dropped.
    pub async fn open(
        tablets: Arc<dyn TabletService>,
        master: Arc<dyn MasterService>,
        checks: Arc<dyn CheckCompiler>,
        env: &Env,
    ) -> Result<Self, SqlError> {
        let store = Self::new(tablets, master, checks, env);
        store.create_missing(catalog_schema()).await?;
        store.create_missing(counters_schema()).await?;
        let mut stored = store.load().await?;
        if stored.commit.is_none() {
            store.write_initial().await?;
            stored = store.load().await?;
        }
        let dangling = stored.catalog.dangling();
        if let Some(oid) = dangling.first() {
            return Err(damaged(format!("object {oid} refers to what is not there")));
        }
        store.publish(stored.catalog);
        store.take_back(&stored.alterations).await?;
        let mut live = store.snapshot().storages();
        live.extend([StorageId::CATALOG, StorageId::SEQUENCES]);
        store.master.retain_tables(&live).await.map_err(of_tablet)?;
        Ok(store)
    }

    async fn create_missing(&self, schema: TableSchema) -> Result<(), SqlError> {
        let probe = ScanRequest {
            versions: Default::default(),
            table: schema.storage,
            schema_version: schema.version,
            read_ts: None,
            ranges: vec![KeyRange::all()],
            projection: Vec::new(),
            map_parts: Default::default(),
            predicates: Vec::new(),
            limit: Some(1),
            reverse: false,
            batch_rows_max: 1,
        };
        match self.tablets.read(probe).await {
            Ok(_) => Ok(()),
            Err(TabletError::NotServing { .. } | TabletError::UnknownTable { .. }) => {
                self.create_storage(schema, &[]).await
            }
            Err(error) => Err(of_tablet(error)),
        }
    }

    /// Reads every row of the catalog table, at one timestamp.
    async fn load(&self) -> Result<Stored, SqlError> {
        let columns = [catalog_column::KIND, catalog_column::BODY];
        let mut projection: Vec<_> = columns.into_iter().map(Projected::Column).collect();
        projection.push(Projected::Version);
        let request = ScanRequest {
            versions: Default::default(),
            table: StorageId::CATALOG,
            schema_version: SCHEMA_VERSION,
            read_ts: None,
            ranges: vec![KeyRange::all()],
            projection,
            map_parts: Default::default(),
            predicates: Vec::new(),
            limit: None,
            reverse: false,
            batch_rows_max: 1024,
        };
        let mut scan = self.tablets.read(request).await.map_err(of_tablet)?.batches;
        let mut objects = Objects::default();
        for object in system_objects() {
            objects.put(object);
        }
        let mut catalog = Catalog::default();
        let (mut alterations, mut commit) = (Vec::new(), None);
        while let Some(batch) = scan.try_next().await.map_err(of_tablet)? {
            let kinds = batch.column(0).as_primitive_opt::<Int32Type>();
            let bodies = batch.column(1).as_string_view_opt();
            let versions = batch.column(2).as_primitive_opt::<Int64Type>();
            let (Some(kinds), Some(bodies), Some(versions)) = (kinds, bodies, versions) else {
                return Err(SqlError::internal(
                    "a scan of the catalog has other columns than asked",
                ));
            };
            for i in 0..batch.num_rows() {
                if bodies.is_null(i) {
                    return Err(damaged("a row has no body".to_owned()));
                }
                match rows::decode(kinds.value(i), bodies.value(i))? {
                    Row::Object(Object::Table(table)) => {
                        let table = table.committed(CommitTs(versions.value(i)));
                        objects.put(Object::Table(Arc::new(table)));
                    }
                    Row::Object(object) => objects.put(object),
                    Row::Alteration(alteration) => alterations.push(alteration),
                    Row::Version(body) if body.format > FORMAT => {
                        return Err(SqlError::unsupported(format!(
                            "the catalog has format {}; this server reads up to {FORMAT}",
                            body.format
                        )));
                    }
                    Row::Version(body) => {
                        catalog.version = body.version;
                        catalog.version_row = CommitTs(versions.value(i));
                        commit = Some(body.commit);
                    }
                }
            }
        }
        objects.put(schema_terrane(&objects));
        catalog.permanent = Arc::new(objects);
        Ok(Stored { catalog: Arc::new(catalog), alterations, commit })
    }

    /// Reads the catalog again: after a commit whose outcome is unknown, or that met another frontend's.
    pub(super) async fn reload(&self) -> Result<Stored, SqlError> {
        let stored = self.load().await?;
        self.publish(stored.catalog.clone());
        Ok(stored)
    }

    async fn write_initial(&self) -> Result<(), SqlError> {
        let mut programs = vec![rows::version_program(1, self.requests.next(), CommitTs::ABSENT)?];
        for object in initial_objects() {
            programs.push(rows::upsert_program(&object)?);
        }
        let request = ModifyRequest {
            request: self.requests.next(),
            programs: Arc::new(programs),
            atomicity: Atomicity::AllOrNone,
        };
        let response = self.tablets.modify_rows(request).await.map_err(of_tablet)?;
        match response.results.into_iter().find_map(Result::err) {
            None => Ok(()),
            Some(error) => Err(SqlError::internal(format!("the first catalog write: {error}"))),
        }
    }
}

fn schema(oid: Oid, name: &str, comment: Option<&str>) -> Object {
    Object::Schema(Arc::new(Schema {
        oid,
        name: name.into(),
        owner: Oid::SUPERUSER,
        comment: comment.map(str::to_owned),
    }))
}

/// The system's schema `terrane`. Where users made one of that name before there was this one, theirs keeps its name
/// and what is in it, and the system's has another until theirs is renamed or dropped, and the server restarted.
fn schema_terrane(stored: &Objects) -> Object {
    let name = match stored.schema_by_name(terrane::NAME) {
        None => terrane::NAME,
        Some(_) => terrane::NAME_BESIDE_USERS,
    };
    schema(Oid::TERRANE, name, Some(terrane::COMMENT))
}

/// The objects every database has and nobody can change: not stored.
fn system_objects() -> Vec<Object> {
    let owner = Role {
        oid: Oid::DATABASE_OWNER,
        name: "pg_database_owner".into(),
        superuser: false,
        login: false,
        comment: None,
    };
    vec![
        schema(Oid::PG_CATALOG, "pg_catalog", Some("system catalog schema")),
        schema(Oid::PG_TOAST, "pg_toast", Some("reserved schema for TOAST tables")),
        schema(Oid::INFORMATION_SCHEMA, "information_schema", None),
        Object::Role(Arc::new(owner)),
    ]
}

/// The objects the first start writes.
fn initial_objects() -> Vec<Object> {
    let public = Schema {
        oid: Oid::PUBLIC,
        name: "public".into(),
        owner: Oid::DATABASE_OWNER,
        comment: Some("standard public schema".to_owned()),
    };
    let superuser = Role {
        oid: Oid::SUPERUSER,
        name: "terrane".into(),
        superuser: true,
        login: true,
        comment: None,
    };
    let database = Database {
        oid: Oid::DATABASE,
        name: "terrane".into(),
        owner: Oid::SUPERUSER,
        comment: None,
    };
    vec![
        Object::Schema(Arc::new(public)),
        Object::Role(Arc::new(superuser)),
        Object::Database(Arc::new(database)),
    ]
}
