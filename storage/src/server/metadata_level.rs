//! METADATA's tablets at a start: the root, and those whose rows the root has.
//!
//! Order (rule 18): the root's row comes from the lock service, its newer rows from METADATA's log; the root says which tablets
//! METADATA has, and to which of them the log's other records belong; those say everything else. METADATA is this server's, all of
//! it: who takes the root takes the others, under the same generation.
//!
//! What was under way among METADATA's tablets is finished, or taken back, before what was under way among others: those steps
//! are edits of METADATA's rows. A root that is whole is cut ([`terrane_client::metadata::root`]), so that everywhere else there are
//! three levels.
//!
//! Fault model: a crash before the root's new value is durable leaves a whole root, and a row in it that nobody heeds; after it, the
//! other tablet's row is there, since it was waited for.

use super::TabletServer;
use super::files::TableFiles;
use super::requests::Requests;
use super::sorting::{Maxima, Recovered, Sorter, named};
use super::split;
use crate::log::Record;
use crate::memtable::{Memtable, RangeDelete};
use crate::scan::{Piece, Scan, ScanOptions};
use crate::tablet::Tablet;
use crate::tablet::directory::{HeldSchemas, TabletDirectory};
use crate::tablet::group_version::GroupVersion;
use crate::tablet::version::Version;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use terrane_client::error::TabletError;
use terrane_client::ids::{CommitTs, LocalityGroupId, RequestId, StorageId};
use terrane_client::lock::Outcome;
use terrane_client::metadata::edit::{self, Edit as RowEdit};
use terrane_client::metadata::events::{self, EventKind};
use terrane_client::metadata::{self, ROOT_KEY, TabletRow, codec, root, settled, tablet_rows};
use terrane_client::program::{Atomicity, ModifyRequest};
use terrane_client::read::KeyRange;
use terrane_client::service::TabletName;
use terrane_env::Env;

/// Puts METADATA's tablets together.
pub(super) struct MetadataLevel<'a> {
    pub(super) env: &'a Env,
    pub(super) tablets: &'a TabletDirectory,
    pub(super) files: &'a TableFiles,
    pub(super) requests: &'a Requests,
    pub(super) memtable_bytes: &'a AtomicUsize,
    pub(super) now_micros: i64,
}

/// METADATA as a start finds it.
pub(super) struct FoundMetadata {
    /// Every tablet of every table as it stands, METADATA's own included.
    pub(super) rows: Vec<TabletRow>,
    /// Of each of METADATA's tablets but the root how many rows were in the log.
    pub(super) replayed: Vec<(TabletName, usize)>,
}

impl MetadataLevel<'_> {
    /// Serves METADATA's tablets, with what was in the log.
    pub(super) fn open(
        &self,
        root: Recovered,
        others: &[Record],
        maxima: &mut Maxima,
    ) -> Result<FoundMetadata, TabletError> {
        let root_row = root.row.clone();
        let mut rows = vec![root_row.clone()];
        let of_root = stored_rows(&*self.serve(root)?)?;
        rows.extend(of_root.into_iter().filter(|row| root::heeds(&root_row, row)));
        if root::is_whole(&root_row) {
            return Ok(FoundMetadata { rows, replayed: Vec::new() });
        }
        let tablets = settled(rows.clone());
        check_tiled(&tablets)?;
        let sorter = Sorter::new(tablets.into_iter().skip(1).collect(), maxima);
        others.iter().try_for_each(|record| sorter.take(record))?;
        let mut replayed = Vec::new();
        for recovered in sorter.into_found() {
            replayed.push((named(&recovered.row), recovered.memtable.rows()));
            let tablet = self.serve(recovered)?;
            rows.extend(stored_rows(&tablet)?);
        }
        Ok(FoundMetadata { rows, replayed })
    }

    fn serve(
        &self,
        Recovered { row, memtable, .. }: Recovered,
    ) -> Result<Arc<Tablet>, TabletError> {
        self.memtable_bytes.fetch_add(memtable.bytes(), Ordering::Relaxed);
        let group = LocalityGroupId::default();
        let runs = self.files.open_runs(&row, group)?;
        self.requests.recovered_in(&runs, self.now_micros)?;
        let group = GroupVersion::new(group, memtable, runs);
        let version = Version::new(row.gc_floor, vec![group]);
        let schemas = HeldSchemas::new(Arc::new(metadata::schema()).into());
        let tablet = Arc::new(Tablet::new(row, version, self.env.clock.monotonic()));
        self.tablets.add(tablet.clone(), schemas);
        Ok(tablet)
    }
}

/// METADATA's tablets, the root first, have every key once: else what has no tablet would be taken for garbage.
fn check_tiled(tablets: &[TabletRow]) -> Result<(), TabletError> {
    let meet = |pair: &[TabletRow]| pair[0].end.as_ref() == Some(&pair[1].start);
    let is_last = tablets.last().is_some_and(|last| last.end.is_none());
    match is_last && tablets.windows(2).all(meet) {
        true => Ok(()),
        false => Err(TabletError::Unavailable(
            "METADATA's tablets leave keys out, or have some twice: see terrane check".to_owned(),
        )),
    }
}

/// The rows that a tablet of METADATA has.
fn stored_rows(tablet: &Tablet) -> Result<Vec<TabletRow>, TabletError> {
    let schema = Arc::new(metadata::schema());
    let request = tablet_rows::request(tablet.range.clone(), None, 1024);
    let sources = tablet.version().default_group().sources.clone();
    let groups = vec![(LocalityGroupId::default(), sources)];
    let pieces = vec![Piece { groups, range: tablet.range.clone() }];
    let options = ScanOptions::default();
    let mut rows = Vec::new();
    for batch in Scan::new(&request, schema, CommitTs::MAX, pieces, options, Arc::default())? {
        tablet_rows::add_rows(&batch?, &mut rows)?;
    }
    Ok(rows)
}

impl TabletServer {
    /// Makes METADATA what every other step expects: nothing under way among its tablets, cut, all of it this server's.
    pub(super) async fn take_metadata(
        &self,
        found: &FoundMetadata,
        opening_for: Duration,
    ) -> Result<(), TabletError> {
        let of_metadata = || found.rows.iter().filter(|row| row.table == StorageId::METADATA);
        for row in of_metadata().filter(|row| row.split.is_some()) {
            self.roll_forward(&named(row)).await?;
        }
        for row in of_metadata().filter(|row| row.merge.is_some()) {
            self.settle_merge(&named(row)).await?;
        }
        self.cut_root().await?;
        for (name, rows) in &found.replayed {
            self.take_metadata_tablet(name, *rows, opening_for).await?;
        }
        Ok(())
    }

    async fn take_metadata_tablet(
        &self,
        name: &TabletName,
        replayed_rows: usize,
        opening_for: Duration,
    ) -> Result<(), TabletError> {
        let not_serving = || TabletError::NotServing { table: name.table };
        let tablet = self.served(name).ok_or_else(not_serving)?;
        let before = self.read_row(name)?.ok_or_else(not_serving)?;
        if before.generation > self.lease.generation {
            let text = "another server has taken a tablet of METADATA".to_owned();
            return Err(TabletError::Unavailable(text));
        }
        let mut happened: Vec<_> = self.recovery(replayed_rows, opening_for).into_iter().collect();
        let began = self.env.clock.monotonic().saturating_sub(opening_for);
        happened.push(self.event(EventKind::Load, "start", began, 0));
        let edit = RowEdit::new(&before, |row| {
            self.own(row, self.lease.generation);
            events::add(&mut row.events, happened.iter().cloned());
        })?;
        match self.write_row(&edit).await? {
            true => {
                tablet.set_row(edit.row);
                Ok(())
            }
            false => Err(TabletError::Unavailable(
                "a tablet of METADATA changed hands meanwhile".to_owned(),
            )),
        }
    }

    /// Cuts a root that is whole. Nothing else is at work yet.
    async fn cut_root(&self) -> Result<(), TabletError> {
        let began = self.env.clock.monotonic();
        let served = self.tablets.table(StorageId::METADATA)?;
        let [whole] = served.tablets() else { return Ok(()) };
        // An older build would take what METADATA's other tablets name for garbage.
        let raised = self.directory.raise_format(&self.env);
        raised.map_err(|error| TabletError::Io(error.to_string()))?;
        let lost =
            || TabletError::Unavailable("another server has taken the root tablet".to_owned());
        let stored = self.lock.get(ROOT_KEY).await?.ok_or_else(lost)?;
        let before = codec::parse_state(&stored.value)?;
        if before.generation != self.lease.generation {
            return Err(lost());
        }
        let (mut root, mut rest) = root::cut(&before);
        for row in [&mut root, &mut rest] {
            events::add(&mut row.events, [self.event(EventKind::Split, "root", began, 0)]);
        }
        self.failpoint("root.before_rest")?;
        let request = ModifyRequest {
            request: RequestId::default(),
            programs: Arc::new(vec![edit::overwrite(&rest)?]),
            atomicity: Atomicity::AllOrNone,
        };
        let results = self.modify_unthrottled(&request).await?.results;
        if let Some(error) = results.into_iter().find_map(Result::err) {
            return Err(error.into());
        }
        self.failpoint("root.before_cut")?;
        match self.lock.commit(edit::root_transaction(&root, stored.revision)?).await? {
            Outcome::Committed(_) => {}
            Outcome::Conflict => return Err(lost()),
        }
        self.part_root(whole, [root, rest]);
        Ok(())
    }

    /// Puts the two in the whole root's place. Each gets its own part of the memtables: to share them, as after other splits,
    /// would have both flushed at once.
    fn part_root(&self, whole: &Tablet, rows: [TabletRow; 2]) {
        let _no_commits = self.line(whole.table).stop_commits();
        let version = whole.version();
        let memtables = &version.default_group().sources.memtables;
        let children = rows.map(|row| {
            let child = split::child(row, &version, self.env.clock.monotonic());
            let memtable = Arc::new(part_of(memtables, &child.range));
            self.memtable_bytes.fetch_add(memtable.bytes(), Ordering::Relaxed);
            child.change_version(|version| {
                let runs = version.default_group().sources.runs.clone();
                let group = GroupVersion::new(LocalityGroupId::default(), memtable, runs);
                Version::new(version.gc_floor, vec![group])
            });
            Arc::new(child)
        });
        let [root, rest] = children.each_ref().map(|child| child.row());
        self.files.references.replace(&[&whole.row()], &[&root, &rest]);
        self.tablets.replace(&[whole], &children);
        whole.retire(children.to_vec());
        self.let_go(memtables);
    }
}

/// What memtables, newest first, hold of a range.
fn part_of(memtables: &[Arc<Memtable>], range: &KeyRange) -> Memtable {
    let part = Memtable::new();
    for memtable in memtables.iter().rev() {
        let mut cursor = memtable.cursor();
        cursor.seek(&range.start);
        while let Some(key) = cursor.key().filter(|key| range.contains(key)) {
            let versions: Vec<_> = cursor.versions().collect();
            // They come newest first, and go in in commit order.
            for version in versions.into_iter().rev() {
                part.insert(key, version.seq, version.commit_ts, version.mutation);
            }
            cursor.next();
        }
        for delete in memtable.range_deletes() {
            let inside = delete.range.intersect(range);
            if !inside.is_empty() {
                part.delete_range(RangeDelete { range: inside, ..delete });
            }
        }
        part.remember_all(&memtable.request_ids());
    }
    part
}
