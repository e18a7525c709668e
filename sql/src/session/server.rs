//! What all sessions of one frontend share.

use super::advisory::AdvisoryLocks;
use super::client::ClientSession;
use super::info::SessionInfo;
use super::plans::PlanCache;
use super::service::{Credential, Login, SessionService};
use super::settings::Settings;
use crate::catalog::store::CatalogStore;
use crate::error::{SqlError, SqlState};
use crate::functions;
use crate::plan::errors;
use crate::plan::rules;
use crate::scan::split::Splits;
use crate::scan::statement::StatementContext;
use crate::session::backends::{Backend, Backends};
use crate::session::races::Races;
use chrono::DateTime;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::prelude::SessionConfig;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use terrane_client::ids::RequestId;
use terrane_client::master::MasterService;
use terrane_client::service::TabletService;
use terrane_env::Env;
use tokio::runtime::Handle;

/// The user there is until roles are built.
pub const SUPERUSER: &str = "terrane";
/// The database, and its alias.
const DATABASES: [&str; 2] = ["terrane", "postgres"];
/// Memory of all running queries together, in bytes.
const QUERY_MEMORY_BYTES_DEFAULT: usize = 512 << 20;
const TEMPORARY_BYTES_DEFAULT: u64 = 16 << 30;
/// Tables of fewer stored bytes are read by one thread: starting more takes about as long as reading them.
const SPLIT_BYTES_MIN_DEFAULT: u64 = 8 << 20;
/// Consumers of memory that an out-of-memory error names.
const CONSUMERS_NAMED: usize = 3;

/// How a frontend is set up.
#[derive(Clone, Debug)]
pub struct SqlOptions {
    /// Memory of all running queries together, in bytes; past it sorts and aggregates spill, and what
    /// cannot spill fails with 53200.
    pub query_memory_bytes: usize,
    /// Where queries spill to.
    pub temporary_dir: PathBuf,
    /// What all running queries together may spill, in bytes; past it they fail with 53400. What they spill is beside the
    /// data, which needs room, too.
    pub temporary_bytes: u64,
    /// The password verifier of the superuser; without one, loopback clients are trusted.
    pub password_verifier: Option<String>,
    /// Threads that read one large table at once.
    pub scan_threads: usize,
    /// Tables of fewer stored bytes are read by one thread.
    pub split_bytes_min: u64,
    /// The runtime whose threads compute queries; without, those that serve connections do, and a query that
    /// does not pause holds up cancel requests and other sessions.
    pub compute: Option<Handle>,
}

impl Default for SqlOptions {
    fn default() -> Self {
        Self {
            query_memory_bytes: QUERY_MEMORY_BYTES_DEFAULT,
            temporary_dir: std::env::temp_dir(),
            temporary_bytes: TEMPORARY_BYTES_DEFAULT,
            password_verifier: None,
            scan_threads: std::thread::available_parallelism().map_or(1, usize::from),
            split_bytes_min: SPLIT_BYTES_MIN_DEFAULT,
            compute: None,
        }
    }
}

/// A frontend.
pub struct SqlServer {
    /// Clock, random numbers.
    pub env: Env,
    /// Where data is.
    pub tablets: Arc<dyn TabletService>,
    /// Where storages come from.
    pub master: Arc<dyn MasterService>,
    /// What there is.
    pub catalog: Arc<CatalogStore>,
    /// pg_advisory_lock() and its kin.
    pub advisory: AdvisoryLocks,
    /// When it was opened: microseconds since 1970-01-01 UTC.
    pub started_micros: i64,
    /// Prepared statements, for whoever prepares the same text again.
    pub(super) plans: PlanCache,
    /// Turns for statements that lost a row.
    pub(super) races: Races,
    /// Where large tables are cut.
    pub(super) splits: Arc<Splits>,
    base: SessionState,
    options: SqlOptions,
    client: u64,
    requests: AtomicU64,
    sessions: AtomicU64,
    transactions: AtomicI64,
}

impl SqlServer {
    /// A frontend over tablets, with the catalog they hold.
    pub async fn open(
        env: Env,
        tablets: Arc<dyn TabletService>,
        master: Arc<dyn MasterService>,
        options: SqlOptions,
    ) -> Result<Arc<Self>, SqlError> {
        let checks = Arc::new(crate::bind::checks::Checks::new(base_state(&options)?));
        let catalog =
            CatalogStore::open(Arc::clone(&tablets), Arc::clone(&master), checks, &env).await?;
        let base = base_state(&options)?;
        let splits = Splits::new(env.clone(), options.scan_threads, options.split_bytes_min);
        let client = env.random.next_u64();
        Ok(Arc::new(Self {
            advisory: AdvisoryLocks::default(),
            started_micros: env.clock.now_micros(),
            transactions: AtomicI64::new(env.clock.now_micros()),
            env,
            tablets,
            master,
            catalog: Arc::new(catalog),
            plans: PlanCache::default(),
            races: Races::default(),
            splits: Arc::new(splits),
            base,
            options,
            client,
            requests: AtomicU64::new(1),
            sessions: AtomicU64::new(1),
        }))
    }

    /// The name of the next modify.
    pub fn next_request(&self) -> RequestId {
        RequestId { client: self.client, number: self.requests.fetch_add(1, Ordering::Relaxed) }
    }

    /// A number no other session of this frontend has.
    pub fn next_session(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::Relaxed)
    }

    /// A number greater than any that a transaction of this frontend was given, also before a restart.
    pub fn next_transaction(&self) -> i64 {
        self.transactions.fetch_add(1, Ordering::Relaxed)
    }

    /// This frontend's number, part of hidden row keys.
    pub fn client(&self) -> u64 {
        self.client
    }

    /// Functions and rules, without a session's settings.
    pub fn base(&self) -> &SessionState {
        &self.base
    }

    /// The threads that compute.
    pub(super) fn compute(&self) -> Option<Handle> {
        self.options.compute.clone()
    }

    /// DataFusion's state to plan with, where nothing is read.
    pub fn describing(&self, info: SessionInfo) -> SessionState {
        let started_micros = info.now_micros;
        let mut state = self.base.clone();
        state.config_mut().options_mut().extensions.insert(info);
        // Functions of a physical plan get their options from here.
        let options = Arc::clone(state.config_options());
        let properties = state.execution_props_mut();
        properties.config_options = Some(options);
        // What now() is, the whole block long.
        properties.query_execution_start_time = DateTime::from_timestamp_micros(started_micros);
        state
    }

    /// DataFusion's state for one statement.
    pub fn state(&self, info: SessionInfo, statement: Arc<StatementContext>) -> SessionState {
        let mut state = self.describing(info);
        state.config_mut().set_extension(statement);
        state
    }
}

/// DataFusion with PostgreSQL's functions in place of its own.
fn base_state(options: &SqlOptions) -> Result<SessionState, SqlError> {
    let mut config = SessionConfig::new()
        .with_target_partitions(1)
        .with_information_schema(false)
        .with_collect_statistics(false);
    let settings = config.options_mut();
    settings.optimizer.enable_round_robin_repartition = false;
    settings.sql_parser.enable_subquery_sort_elimination = false;
    settings.execution.time_zone = Some("UTC".to_owned());
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime(options)?)
        .with_default_features()
        .with_optimizer_rules(rules::logical())
        .with_physical_optimizer_rules(rules::physical())
        .with_analyzer_rule(Arc::new(rules::multiplied_rows::MultipliedRows))
        .with_analyzer_rule(Arc::new(rules::value_order::ValueOrder))
        .build();
    functions::register(state).map_err(errors::of_datafusion)
}

fn runtime(options: &SqlOptions) -> Result<Arc<RuntimeEnv>, SqlError> {
    let named = NonZeroUsize::new(CONSUMERS_NAMED).expect("it is not zero");
    let pool = TrackConsumersPool::new(FairSpillPool::new(options.query_memory_bytes), named);
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(pool))
        .with_temp_file_path(&options.temporary_dir)
        .with_max_temp_directory_size(options.temporary_bytes)
        .build_arc()
        .map_err(errors::of_datafusion)
}

/// Makes sessions of a frontend.
#[derive(Clone)]
pub struct SqlSessions(pub Arc<SqlServer>);

impl SessionService for SqlSessions {
    type Session = ClientSession;

    async fn credential(&self, login: &Login) -> Result<Credential, SqlError> {
        match &self.0.options.password_verifier {
            Some(verifier) => Ok(Credential::Scram(verifier.clone())),
            None if login.peer.is_none_or(|peer| peer.ip().is_loopback()) => Ok(Credential::Trust),
            None => Err(SqlError::new(
                SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                "no password is set, so only loopback clients may connect",
            )),
        }
    }

    async fn connect(
        &self,
        login: Login,
        backend: Arc<Backend>,
        backends: Arc<Backends>,
    ) -> Result<ClientSession, SqlError> {
        if !DATABASES.contains(&login.database.as_str()) {
            return Err(SqlError::new(
                SqlState::INVALID_CATALOG_NAME,
                format!("database \"{}\" does not exist", login.database),
            ));
        }
        let settings = Settings::new(&login.settings)?;
        Ok(ClientSession::new(Arc::clone(&self.0), login, backend, backends, settings))
    }
}
