//! What the system relations and the catalog functions know of the session they are asked in.
//!
//! They reach functions as part of the statement's [`SessionInfo`](crate::session::info::SessionInfo).

use crate::catalog::oid::Oid;
use crate::catalog::search_path::SearchPath;
use crate::catalog::snapshot::Catalog;
use crate::error::SqlError;
use crate::session::backends::Backends;
use crate::session::info;
use crate::session::services::Services;
use crate::session::settings::Settings;
use datafusion::common::config::ConfigOptions;
use std::net::SocketAddr;
use std::sync::Arc;

/// A session, as far as catalog queries can tell.
#[derive(Clone, Debug)]
pub struct SessionFacts {
    /// The catalog with what the block has staged.
    pub catalog: Arc<Catalog>,
    /// Where unqualified names are looked up.
    pub path: SearchPath,
    /// Its settings.
    pub settings: Settings,
    /// current_user and session_user.
    pub user: String,
    /// current_database().
    pub database: String,
    /// pg_backend_pid().
    pub pid: i32,
    /// Where the client is; `None` in process.
    pub peer: Option<SocketAddr>,
    /// pg_postmaster_start_time(): microseconds since 1970-01-01 UTC.
    pub server_started_micros: i64,
    /// All connections.
    pub backends: Option<Arc<Backends>>,
    /// now(): when the transaction began, microseconds since 1970-01-01 UTC.
    pub transaction_micros: i64,
    /// statement_timestamp(): when the statement came.
    pub statement_micros: i64,
    /// What functions may do; `None` outside of a session.
    pub services: Option<Arc<Services>>,
}

impl SessionFacts {
    /// A schema's name.
    pub fn schema_name(&self, oid: Oid) -> &str {
        self.catalog.schema(oid).map_or("", |schema| &schema.name)
    }

    /// current_database(): the database under its own name, whatever alias the client used.
    pub fn database_name(&self) -> &str {
        self.catalog.database().map_or(&self.database, |database| &database.name)
    }

    /// What functions may do.
    pub fn services(&self) -> Result<&Services, SqlError> {
        self.services.as_deref().ok_or_else(|| SqlError::unsupported("this needs a session"))
    }

    /// The settings with what the statement has assigned so far.
    pub fn settings_now(&self) -> Result<Settings, SqlError> {
        match &self.services {
            Some(services) => services.memory.settings(&self.settings),
            None => Ok(self.settings.clone()),
        }
    }

    /// A role's name.
    pub fn role_name(&self, oid: Oid) -> &str {
        self.catalog.role(oid).map_or("", |role| &role.name)
    }
}

impl Default for SessionFacts {
    fn default() -> Self {
        Self {
            catalog: Arc::default(),
            path: SearchPath::default_for("terrane"),
            settings: Settings::default(),
            user: "terrane".to_owned(),
            database: "terrane".to_owned(),
            pid: 0,
            peer: None,
            server_started_micros: 0,
            backends: None,
            transaction_micros: 0,
            statement_micros: 0,
            services: None,
        }
    }
}

/// The facts, shared.
#[derive(Clone, Debug, Default)]
pub struct Facts(pub Arc<SessionFacts>);

impl std::ops::Deref for Facts {
    type Target = SessionFacts;

    fn deref(&self) -> &SessionFacts {
        &self.0
    }
}

/// The statement's facts; those of nobody outside of a session.
pub fn of(options: &ConfigOptions) -> Facts {
    info::of(options).facts
}
