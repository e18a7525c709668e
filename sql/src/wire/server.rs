//! Listening: one task per connection, a limit of connections, an orderly end.

use super::auth;
use super::backend::{self, Severity};
use super::connection::Connection;
use super::socket::Socket;
use super::startup::{Refused, Request, request};
use crate::error::{SqlError, SqlState};
use crate::session::backends::{Backend, Backends};
use crate::session::service::{Credential, Login, Session, SessionService};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use terrane_env::random::Random;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections that the kernel keeps for us.
const BACKLOG: u32 = 1024;
/// How long to rest after a failed accept: most often too many open files.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Limits of a server.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Connections at once; one more is told 53300.
    pub connections_max: usize,
    /// How long a client may take to log in.
    pub login_time_max: Duration,
    /// How long a shutdown waits for running statements to notice.
    pub shutdown_time_max: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            connections_max: 1000,
            login_time_max: Duration::from_secs(60),
            shutdown_time_max: Duration::from_secs(10),
        }
    }
}

/// Serves clients with a service's sessions.
pub struct Server<V> {
    service: V,
    config: ServerConfig,
    backends: Arc<Backends>,
    random: Arc<dyn Random>,
}

/// Removes a connection from the registry however its task ends, by a panic too.
struct Registration {
    backends: Arc<Backends>,
    pid: i32,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.backends.remove(self.pid);
    }
}

/// Binds an address, with keepalive and a long queue.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    // Accepted sockets inherit it: a client whose machine is gone is noticed some day.
    socket.set_keepalive(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl<V: SessionService> Server<V> {
    /// A server of this service. Cancel keys are drawn from `random`.
    pub fn new(service: V, config: ServerConfig, random: Arc<dyn Random>) -> Self {
        Self { service, config, backends: Arc::new(Backends::new()), random }
    }

    /// The service.
    pub fn service(&self) -> &V {
        &self.service
    }

    /// The connections there are.
    pub fn backends(&self) -> &Arc<Backends> {
        &self.backends
    }

    /// Accepts connections until `shutdown`, then ends those there are: each is told 57P01.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, shutdown: CancellationToken) {
        let tasks = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    // Answers are flushed whole; waiting for more to send would only delay them.
                    let _ = stream.set_nodelay(true);
                    let server = Arc::clone(&self);
                    tasks.spawn(async move { server.serve_stream(stream, Some(peer)).await });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_REST).await;
                }
            }
        }
        drop(listener);
        tasks.close();
        let ended = timeout(self.config.shutdown_time_max, async {
            // A client may be logging in just now: it is ended as soon as it is registered.
            while !tasks.is_empty() {
                for backend in self.backends.list() {
                    backend.terminate();
                }
                let _ = timeout(Duration::from_millis(50), tasks.wait()).await;
            }
        });
        if ended.await.is_err() {
            tracing::warn!(left = tasks.len(), "connections did not end in time");
        }
    }

    /// Serves one connection over any byte stream, from its first byte to its end.
    pub async fn serve_stream<S>(&self, stream: S, peer: Option<SocketAddr>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let mut socket = Socket::new(stream);
        let login = timeout(self.config.login_time_max, self.login(&mut socket, peer));
        match login.await {
            Ok(Ok(Some((session, backend, registration)))) => {
                Connection::new(socket, session, backend).run().await;
                drop(registration);
            }
            Ok(Err(Refused::Told(error))) => {
                backend::error(Severity::Fatal, &error, socket.output());
                let _ = timeout(self.config.login_time_max, socket.flush()).await;
            }
            // A cancel request, a client that has gone, or one that took too long.
            Ok(Ok(None) | Err(Refused::Silently)) | Err(_) => {}
        }
    }

    /// Startup, up to but without ReadyForQuery. `None` after a cancel request.
    async fn login<S>(
        &self,
        socket: &mut Socket<S>,
        peer: Option<SocketAddr>,
    ) -> Result<Option<(V::Session, Arc<Backend>, Registration)>, Refused>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let (login, secret_bytes) = match request(socket, peer).await? {
            Request::Cancel { pid, secret } => {
                self.backends.cancel_request(pid, &secret);
                return Ok(None);
            }
            Request::Login { login, secret_bytes } => (login, secret_bytes),
        };
        let (backend, registration, secret) = self.register(&login, secret_bytes)?;
        match self.service.credential(&login).await.map_err(Refused::Told)? {
            Credential::Trust => {}
            Credential::Scram(verifier) => auth::scram(socket, &login.user, &verifier).await?,
        }
        backend::authentication_ok(socket.output());
        let connected =
            self.service.connect(login, Arc::clone(&backend), Arc::clone(&self.backends));
        let mut session = connected.await.map_err(Refused::Told)?;
        for (name, value) in session.reported_parameters() {
            backend::parameter_status(name, &value, socket.output());
        }
        // Those are what it starts with, not changes.
        session.take_parameter_changes();
        backend::key_data(backend.pid, &secret, socket.output());
        Ok(Some((session, backend, registration)))
    }

    fn register(
        &self,
        login: &Login,
        secret_bytes: usize,
    ) -> Result<(Arc<Backend>, Registration, Vec<u8>), Refused> {
        let mut secret = vec![0; secret_bytes];
        self.random.fill(&mut secret);
        let backend = self.backends.register(
            self.config.connections_max,
            secret.clone(),
            login.user.clone(),
            login.database.clone(),
            login.peer,
        );
        let backend = backend.ok_or_else(|| {
            Refused::Told(SqlError::new(
                SqlState::TOO_MANY_CONNECTIONS,
                "sorry, too many clients already",
            ))
        })?;
        let backends = Arc::clone(&self.backends);
        let registration = Registration { backends, pid: backend.pid };
        Ok((backend, registration, secret))
    }
}
