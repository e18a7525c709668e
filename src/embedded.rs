//! Every role below SQL on one data directory: the embedded lock service, the tablet server, the master.
//!
//! Order: the directory is locked, then the lock service opens, then the tablet server with the root and
//! METADATA, then the master, which has every other tablet loaded. Function calls stand where a cluster has
//! RPC; both run the same code: SQL finds tablets through METADATA and the location cache here, too.

use std::path::Path;
use std::sync::Arc;
use terrane_client::error::TabletError;
use terrane_client::locate::TabletClient;
use terrane_client::lock::{LockError, LockService};
use terrane_client::master::MasterService;
use terrane_client::service::TabletService;
use terrane_env::Env;
use terrane_master::Master;
use terrane_storage::lock_service::EmbeddedLockService;
use terrane_storage::server::{DataDirectory, DirectoryError, ServerOptions, TabletServer};

/// The one tablet server's name in METADATA.
const SERVER_NAME: &str = "embedded";

/// Why it does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The data directory is in use, of a newer format, or not one of ours.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The lock service cannot be opened.
    #[error("lock service: {0}")]
    Lock(#[from] LockError),
    /// The tablet server or the master cannot start.
    #[error(transparent)]
    Tablet(#[from] TabletError),
}

/// See the module's documentation.
pub struct Embedded {
    /// The way to the data.
    pub tablets: Arc<dyn TabletService>,
    /// Creates, drops and alters tables.
    pub master: Arc<dyn MasterService>,
    server: Arc<TabletServer>,
    running_master: Arc<Master>,
}

impl Embedded {
    /// Starts everything in `data`, which is made if it is missing.
    pub async fn start(env: Env, data: &Path, options: ServerOptions) -> Result<Self, StartError> {
        let directory = Arc::new(DataDirectory::open(&env, data)?);
        let lock: Arc<dyn LockService> =
            Arc::new(EmbeddedLockService::open(&env, &directory.lock_service())?);
        let server =
            TabletServer::open(env.clone(), directory, SERVER_NAME, Arc::clone(&lock), options)
                .await?;
        let master = Master::start(&env, Arc::clone(&lock), server.clone(), SERVER_NAME).await?;
        let only: Arc<dyn TabletService> = server.clone();
        let servers = move |name: &str| (name == SERVER_NAME).then(|| Arc::clone(&only));
        let client = TabletClient::new(env.random.next_u64(), lock, Arc::new(servers));
        Ok(Self {
            tablets: Arc::new(client),
            master: master.clone(),
            server,
            running_master: master,
        })
    }

    /// Stops in the reverse order. What was acknowledged is in the log; nothing is flushed.
    pub async fn stop(&self) -> Result<(), TabletError> {
        let stopped = self.running_master.stop().await;
        self.server.close().await;
        stopped
    }
}
