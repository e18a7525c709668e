//! The server under test: where it is, and whether it is still there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

use super::{GRACE, SessionError};
use crate::server::Server;

/// How long a server may take to come back after a crash before it counts as gone.
const RETURN_LIMIT: Duration = Duration::from_secs(15);
/// How long one may take to be there at all.
const FIRST_LIMIT: Duration = Duration::from_secs(2);
/// The pause between two attempts to reach it.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// An embedded server is started again after a crash, so that one crash does not hide the rest of a run;
/// but not forever.
const RESTARTS_MAX: usize = 20;

/// Where statements go. Shared by all sessions.
#[derive(Debug)]
pub struct Target {
    state: Mutex<State>,
    /// Whether it has ever been reached.
    reached: AtomicBool,
    gone: OnceLock<String>,
    crashes: std::sync::Mutex<Vec<String>>,
}

#[derive(Debug)]
struct State {
    config: Config,
    server: Option<Server>,
}

impl Target {
    /// A server somewhere.
    pub fn remote(config: Config) -> Self {
        Self::new(config, None)
    }

    /// A server of our own, restarted when it crashes.
    pub fn embedded(server: Server) -> Self {
        Self::new(server.config().clone(), Some(server))
    }

    fn new(config: Config, server: Option<Server>) -> Self {
        Self {
            state: Mutex::new(State { config, server }),
            reached: AtomicBool::new(false),
            gone: OnceLock::new(),
            crashes: std::sync::Mutex::default(),
        }
    }

    /// Opens a connection; waits a while for a server that is coming back.
    pub async fn connect(&self) -> Result<(Client, JoinHandle<()>), SessionError> {
        let reached = self.reached.load(Ordering::Relaxed);
        let limit = if reached { RETURN_LIMIT } else { FIRST_LIMIT };
        let attempts = limit.as_millis() / RETRY_PAUSE.as_millis();
        let mut last = String::new();
        for _ in 0..attempts {
            if let Some(reason) = self.gone.get() {
                return Err(SessionError::Gone { reason: reason.clone() });
            }
            let config = self.living_config().await?;
            match tokio::time::timeout(GRACE, config.connect(NoTls)).await {
                Ok(Ok((client, connection))) => {
                    self.reached.store(true, Ordering::Relaxed);
                    // Its error reaches whoever waits for an answer; nobody else needs it.
                    let driver = tokio::spawn(async move {
                        let _ = connection.await;
                    });
                    return Ok((client, driver));
                }
                Ok(Err(error)) if may_pass(&error) => last = SessionError::from(error).to_string(),
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => last = format!("no answer within {} s", GRACE.as_secs()),
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        Err(self.give_up(format!("not reached for {} s: {last}", limit.as_secs())))
    }

    /// Why there is no server any more, if there is none.
    pub fn gone(&self) -> Option<&str> {
        self.gone.get().map(String::as_str)
    }

    /// How an embedded server died, once per death.
    pub fn crashes(&self) -> Vec<String> {
        self.crashes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends an embedded server, after noting whether it had died by itself.
    pub async fn stop(&self) {
        let mut state = self.state.lock().await;
        if let Some(mut server) = state.server.take() {
            if let Some(how) = server.death() {
                self.crashes.lock().unwrap_or_else(PoisonError::into_inner).push(how);
            }
            server.kill().await;
        }
    }

    /// The address of a server that lives as far as we know; an embedded one that died is started anew.
    async fn living_config(&self) -> Result<Config, SessionError> {
        let mut state = self.state.lock().await;
        let Some(server) = &mut state.server else { return Ok(state.config.clone()) };
        let Some(how) = server.death() else { return Ok(state.config.clone()) };
        let crashes = {
            let mut crashes = self.crashes.lock().unwrap_or_else(PoisonError::into_inner);
            crashes.push(how.clone());
            crashes.len()
        };
        if crashes > RESTARTS_MAX {
            return Err(self.give_up(format!("it died {crashes} times; the last time: {how}")));
        }
        match server.restart().await {
            Ok(()) => {
                state.config = server.config().clone();
                Ok(state.config.clone())
            }
            Err(error) => Err(self.give_up(format!("{how}; it does not start again: {error}"))),
        }
    }

    fn give_up(&self, reason: String) -> SessionError {
        let reason = self.gone.get_or_init(|| reason).clone();
        SessionError::Gone { reason }
    }
}

/// Whether another attempt may succeed: nobody listens (yet), or the server is starting or full.
fn may_pass(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        Some(code) => {
            *code == SqlState::CANNOT_CONNECT_NOW || *code == SqlState::TOO_MANY_CONNECTIONS
        }
        None => true,
    }
}
