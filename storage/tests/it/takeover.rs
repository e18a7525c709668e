//! A server that starts while the one before it still has an edit of the root under way.

use crate::world::*;
use async_trait::async_trait;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use terrane_client::error::TabletError;
use terrane_client::ids::Generation;
use terrane_client::lock::{
    Change, Compare, Lease, LockError, LockService, Outcome, Transaction, Versioned,
};
use terrane_client::metadata::{ROOT_KEY, codec};
use terrane_env::files::crash::CrashFileSystem;
use terrane_storage::server::{DataDirectory, ServerOptions, TabletServer};

/// Writes the root once more, in another's name, just before the first commit that compares with it.
struct LateEdit {
    inner: Arc<TestLocks>,
    generation: Generation,
    made: AtomicBool,
}

#[async_trait]
impl LockService for LateEdit {
    async fn get(&self, key: &str) -> Result<Option<Versioned>, LockError> {
        self.inner.get(key).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<(String, Versioned)>, LockError> {
        self.inner.list(prefix).await
    }

    async fn commit(&self, transaction: Transaction) -> Result<Outcome, LockError> {
        let of_root = transaction.compares.iter().any(|compare| compare.key == ROOT_KEY);
        if of_root && !self.made.swap(true, Ordering::Relaxed) {
            let stored = self.inner.get(ROOT_KEY).await?.unwrap();
            let mut row = codec::parse_state(&stored.value).unwrap();
            row.version += 1;
            row.generation = self.generation;
            let value = serde_json::to_vec(&row).unwrap().into();
            let late = Transaction {
                compares: vec![Compare { key: ROOT_KEY.to_owned(), revision: stored.revision }],
                changes: vec![Change::Put { key: ROOT_KEY.to_owned(), value }],
            };
            assert!(matches!(self.inner.commit(late).await?, Outcome::Committed(_)));
        }
        self.inner.commit(transaction).await
    }

    async fn acquire_lease(&self, holder: &str) -> Result<Lease, LockError> {
        self.inner.acquire_lease(holder).await
    }

    async fn release_lease(&self, lease: &Lease) -> Result<(), LockError> {
        self.inner.release_lease(lease).await
    }
}

async fn opened(
    disk: &CrashFileSystem,
    world: &World,
    generation: Generation,
) -> Result<Arc<TabletServer>, TabletError> {
    let env = terrane_env::Env::system().with_files(Arc::new(disk.clone()));
    let directory = Arc::new(DataDirectory::open(&env, Path::new("/data")).unwrap());
    let locks =
        LateEdit { inner: world.locks.snapshot(), generation, made: AtomicBool::new(false) };
    TabletServer::open(env, directory, SERVER, Arc::new(locks), ServerOptions::small()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_edit_of_an_older_server_is_taken_over() {
    let world = World::with_table(ServerOptions::small()).await;
    world.run(insert(1, 1)).await.unwrap();
    world.disk.halt();
    opened(&world.disk.kill_clone(), &world, Generation(1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_server_keeps_the_root() {
    let world = World::with_table(ServerOptions::small()).await;
    world.disk.halt();
    let refused = opened(&world.disk.kill_clone(), &world, Generation(1000)).await;
    match refused.map(|_| ()) {
        Err(TabletError::Unavailable(message)) => assert!(message.contains("root"), "{message}"),
        other => panic!("{other:?}"),
    }
}
