//! How anyone reaches data: finds the tablets of a key or range, asks their servers, and puts the answers
//! together. The master is never asked.
//!
//! Contract: the calls mean what [`TabletService`]'s do, for a table whose tablets may be on any servers
//! and may move while a call is under way. A location is cached until its server answers NotServing; then
//! it is looked up again in METADATA, a few times, with growing pauses. A read of several servers is at one
//! timestamp on all of them (rule 24).
//!
//! Three levels, always: the lock service names the server of METADATA's root tablet, the root the other
//! tablets of METADATA, and those the tablets of every other table.

mod cache;
mod delete_range;
mod modify;
mod scan;
mod service;

pub use cache::Location;

use crate::error::TabletError;
use crate::ids::{CommitTs, RequestId, StorageId};
use crate::lock::LockService;
use crate::metadata::{ROOT_KEY, TabletRow, codec, settled, tablet_rows};
use crate::read::{GetRequest, GetResponse, KeyRange};
use crate::row::Row;
use crate::service::{TabletService, TimestampPin};
use bytes::Bytes;
use cache::LocationCache;
use futures::StreamExt;
use futures::future::try_join_all;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Locations read from METADATA at once: the one asked for and its right neighbours.
const PREFETCH_TABLETS: u64 = 32;
/// Times a call is sent before NotServing is passed on.
const ATTEMPTS_MAX: u32 = 8;
/// The pause before the third attempt; it doubles with each. The second comes at once, since a stale
/// location is the usual reason. In all a tablet may be nowhere for about a second.
const PAUSE_FIRST: Duration = Duration::from_millis(10);

/// Finds a server by its name in METADATA.
pub trait ServerDirectory: Send + Sync {
    /// The server, or `None` if it is not known (any more).
    fn server(&self, name: &str) -> Option<Arc<dyn TabletService>>;
}

/// One server, whatever its name: one process's directory.
impl<F: Fn(&str) -> Option<Arc<dyn TabletService>> + Send + Sync> ServerDirectory for F {
    fn server(&self, name: &str) -> Option<Arc<dyn TabletService>> {
        self(name)
    }
}

/// Reaches every table's tablets. Cheap to clone; clones share the cache.
#[derive(Clone)]
pub struct TabletClient {
    inner: Arc<Inner>,
}

struct Inner {
    locks: Arc<dyn LockService>,
    servers: Arc<dyn ServerDirectory>,
    cache: LocationCache,
    client: u64,
    requests: AtomicU64,
}

impl TabletClient {
    /// A client of a cluster. `client` is chosen at random when the process starts: it names this client in
    /// request ids.
    pub fn new(
        client: u64,
        locks: Arc<dyn LockService>,
        servers: Arc<dyn ServerDirectory>,
    ) -> Self {
        let cache = LocationCache::default();
        let requests = AtomicU64::new(1);
        Self { inner: Arc::new(Inner { locks, servers, cache, client, requests }) }
    }

    /// A request id never used before.
    pub fn request_id(&self) -> RequestId {
        let number = self.inner.requests.fetch_add(1, Ordering::Relaxed);
        RequestId { client: self.inner.client, number }
    }

    /// The tablet that holds a row key; UnknownTable where METADATA has none.
    pub async fn locate(&self, table: StorageId, key: &[u8]) -> Result<Arc<Location>, TabletError> {
        if let Some(location) = self.inner.cache.find(table, key) {
            return Ok(location);
        }
        match table {
            StorageId::METADATA => self.locate_metadata(key).await,
            _ => self.look_up(table, key).await,
        }
    }

    /// The tablets that meet a range, in key order.
    pub async fn tablets(
        &self,
        table: StorageId,
        range: &KeyRange,
    ) -> Result<Vec<Arc<Location>>, TabletError> {
        let mut found = Vec::new();
        let mut next = Some(range.start.clone());
        while let Some(start) = next.take() {
            if found.is_empty() || range.end.as_ref().is_none_or(|end| start < *end) {
                let mut location = self.locate(table, &start).await?;
                next = location.range.end.clone();
                if !found.is_empty() && location.range.start < start {
                    // What is known of it is from before its split, what is known of its left neighbour from
                    // after: no key twice.
                    Arc::make_mut(&mut location).range.start = start;
                }
                found.push(location);
            }
        }
        Ok(found)
    }

    /// `ranges`, which are disjoint and ascend, cut at the edges of tablets: one entry a tablet that meets
    /// them, in key order. What a parallel scan makes its partitions of.
    pub async fn partitions(
        &self,
        table: StorageId,
        ranges: &[KeyRange],
    ) -> Result<Vec<Partition>, TabletError> {
        let mut partitions: Vec<Partition> = Vec::new();
        for range in ranges.iter().filter(|range| !range.is_empty()) {
            for tablet in self.tablets(table, range).await? {
                let cut = range.intersect(&tablet.range);
                match partitions.last_mut() {
                    Some(last) if last.tablet.range == tablet.range => last.ranges.push(cut),
                    _ => partitions.push(Partition { tablet, ranges: vec![cut] }),
                }
            }
        }
        Ok(partitions)
    }

    /// METADATA's root from the lock service, its other tablets from the root.
    async fn locate_metadata(&self, key: &[u8]) -> Result<Arc<Location>, TabletError> {
        let gone = || TabletError::NotServing { table: StorageId::METADATA };
        let root = self.inner.locks.get(ROOT_KEY).await?.ok_or_else(gone)?;
        let root = codec::parse_state(&root.value)?;
        let holds = root.contains(key);
        let location = self.inner.cache.insert(Location::of(&root));
        if holds { Ok(location) } else { self.look_up(StorageId::METADATA, key).await }
    }

    /// Reads METADATA from the row of the tablet that holds `key` onwards.
    async fn look_up(&self, table: StorageId, key: &[u8]) -> Result<Arc<Location>, TabletError> {
        let mut from = codec::first_key_after(table, key)?;
        let end = codec::table_end(table);
        loop {
            // Boxed: METADATA's own tablets are found by the same function, one level up.
            let tablet = Box::pin(self.locate(StorageId::METADATA, &from)).await?;
            let wanted = KeyRange { start: from.clone(), end: end.clone() };
            let wanted = wanted.intersect(&tablet.range);
            let rows = self.metadata_rows(&tablet, &wanted, Some(PREFETCH_TABLETS)).await?;
            let is_empty = rows.is_empty();
            // A tablet that is being split is its children already.
            let found: Vec<_> = settled(rows).iter().map(Location::of).collect();
            let first = found.iter().find(|location| location.range.contains(key)).cloned();
            for location in found {
                self.inner.cache.insert(location);
            }
            if let Some(first) = first {
                return Ok(self.inner.cache.find(table, key).unwrap_or_else(|| Arc::new(first)));
            }
            match &tablet.range.end {
                Some(next) if is_empty && end.as_ref().is_none_or(|end| next < end) => {
                    from = next.clone();
                }
                _ => return Err(TabletError::UnknownTable { table }),
            }
        }
    }

    async fn metadata_rows(
        &self,
        tablet: &Location,
        range: &KeyRange,
        limit: Option<u64>,
    ) -> Result<Vec<TabletRow>, TabletError> {
        let request = tablet_rows::request(range.clone(), limit, PREFETCH_TABLETS as usize);
        let mut answer = self.server(StorageId::METADATA, &tablet.server)?.read(request).await?;
        let mut rows = Vec::new();
        while let Some(batch) = answer.batches.next().await {
            tablet_rows::add_rows(&batch?, &mut rows)?;
        }
        Ok(rows)
    }

    fn server(&self, table: StorageId, name: &str) -> Result<Arc<dyn TabletService>, TabletError> {
        self.inner.servers.server(name).ok_or(TabletError::NotServing { table })
    }

    /// After a failed attempt: forgets what may be stale and pauses, if the call is worth sending again.
    async fn retry(&self, attempt: &mut u32, error: TabletError) -> Result<(), TabletError> {
        let TabletError::NotServing { table } = &error else { return Err(error) };
        *attempt += 1;
        if *attempt >= ATTEMPTS_MAX {
            return Err(error);
        }
        self.inner.cache.forget(*table);
        if *attempt > 1 {
            // METADATA may be what has moved.
            self.inner.cache.forget(StorageId::METADATA);
            tokio::time::sleep(PAUSE_FIRST * (1 << (*attempt - 2))).await;
        }
        Ok(())
    }

    /// Reads rows by key, as [`TabletService::get`].
    pub async fn get(&self, mut request: GetRequest) -> Result<GetResponse, TabletError> {
        let mut attempt = 0;
        loop {
            match self.try_get(&mut request).await {
                Ok(response) => return Ok(response),
                Err(error) => self.retry(&mut attempt, error).await?,
            }
        }
    }

    async fn try_get(&self, request: &mut GetRequest) -> Result<GetResponse, TabletError> {
        let groups = self.by_server(request.table, request.keys.iter()).await?;
        if let [(server, _)] = &groups[..] {
            return self.server(request.table, server)?.get(request.clone()).await;
        }
        if request.read_ts.is_none() {
            let servers = groups.iter().map(|(server, _)| server.clone()).collect();
            request.read_ts = Some(self.newest_timestamp(request.table, servers).await?);
        }
        let calls = groups.iter().map(|(server, places)| {
            let keys = places.iter().map(|place| request.keys[*place].clone()).collect();
            let part = GetRequest { keys, ..request.clone() };
            async move { self.server(part.table, server)?.get(part).await }
        });
        let answers = try_join_all(calls).await?;
        let mut rows: Vec<Option<Row>> = vec![None; request.keys.len()];
        for ((_, places), answer) in groups.iter().zip(answers) {
            for (place, row) in places.iter().zip(answer.rows) {
                rows[*place] = row;
            }
        }
        let read_ts = request.read_ts.unwrap_or_default();
        Ok(GetResponse { read_ts, rows })
    }

    /// The places of the keys of each server. No keys: the server of the table's first tablet.
    async fn by_server(
        &self,
        table: StorageId,
        keys: impl Iterator<Item = &Bytes>,
    ) -> Result<Vec<(Arc<str>, Vec<usize>)>, TabletError> {
        let mut groups: Vec<(Arc<str>, Vec<usize>)> = Vec::new();
        for (place, key) in keys.enumerate() {
            let location = self.locate(table, key).await?;
            match groups.iter_mut().find(|(server, _)| *server == location.server) {
                Some((_, places)) => places.push(place),
                None => groups.push((location.server.clone(), vec![place])),
            }
        }
        if groups.is_empty() {
            groups.push((self.locate(table, &[]).await?.server.clone(), Vec::new()));
        }
        Ok(groups)
    }

    async fn newest_timestamp(
        &self,
        table: StorageId,
        servers: Vec<Arc<str>>,
    ) -> Result<CommitTs, TabletError> {
        let calls = servers
            .iter()
            .map(|server| async move { self.server(table, server)?.read_timestamp().await });
        let answers = try_join_all(calls).await?;
        Ok(answers.into_iter().max().unwrap_or(CommitTs::ABSENT))
    }

    /// The servers of all tablets of these tables, METADATA's if there are none.
    async fn servers_of(
        &self,
        tables: &[StorageId],
    ) -> Result<BTreeMap<Arc<str>, StorageId>, TabletError> {
        let tables = if tables.is_empty() { &[StorageId::METADATA] } else { tables };
        let mut servers = BTreeMap::new();
        for table in tables {
            for tablet in self.tablets(*table, &KeyRange::all()).await? {
                servers.insert(tablet.server.clone(), *table);
            }
        }
        Ok(servers)
    }

    /// What a statement that reads these tables reads at: the newest timestamp of the servers it will ask
    /// (rule 24).
    pub async fn read_timestamp_of(&self, tables: &[StorageId]) -> Result<CommitTs, TabletError> {
        let mut newest = CommitTs::ABSENT;
        for server in self.every_server(tables).await? {
            newest = newest.max(server.read_timestamp().await?);
        }
        Ok(newest)
    }

    /// Keeps a timestamp readable in these tables until the pins are dropped.
    pub async fn pin_timestamp_of(
        &self,
        tables: &[StorageId],
        at: CommitTs,
    ) -> Result<Vec<TimestampPin>, TabletError> {
        let mut pins = Vec::new();
        for server in self.every_server(tables).await? {
            pins.push(server.pin_timestamp(at).await?);
        }
        Ok(pins)
    }

    /// Every server of these tables, looked up again where a name is no longer known.
    async fn every_server(
        &self,
        tables: &[StorageId],
    ) -> Result<Vec<Arc<dyn TabletService>>, TabletError> {
        let mut attempt = 0;
        loop {
            let found = match self.servers_of(tables).await {
                Ok(names) => names.iter().map(|(name, table)| self.server(*table, name)).collect(),
                Err(error) => Err(error),
            };
            match found {
                Ok(servers) => return Ok(servers),
                Err(error) => self.retry(&mut attempt, error).await?,
            }
        }
    }
}

/// A tablet, and the part of a scan that is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The tablet.
    pub tablet: Arc<Location>,
    /// Disjoint, ascending, all inside the tablet.
    pub ranges: Vec<KeyRange>,
}

#[cfg(test)]
mod tests;
