//! What depends on what is dropped: refused (2BP01), or dropped too.
//!
//! A view depends on every relation and column its query refers to, a DEFAULT on the sequences it
//! draws from, everything on its schema. Indexes, constraints and owned sequences belong to their table
//! or column and go with it without a word.

use crate::bind::ddl::Ddl;
use crate::catalog::model::Table;
use crate::catalog::objects::Object;
use crate::catalog::oid::Oid;
use crate::catalog::search_path::SearchPath;
use crate::catalog::snapshot::Catalog;
use crate::catalog::store::Fence;
use crate::error::{SqlError, SqlState};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use terrane_client::ids::ColumnId;

/// Something that is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// A table, view or sequence.
    Relation(Oid),
    /// A column of a table.
    Column(Oid, ColumnId),
    /// A column's DEFAULT.
    Default(Oid, ColumnId),
    /// An index of a table.
    Index(Oid, Oid),
    /// A schema.
    Schema(Oid),
}

/// Everything that goes, and why.
pub(crate) struct Cascade<'a> {
    catalog: &'a Catalog,
    path: &'a SearchPath,
    /// For each relation, who refers to it, and to which column.
    referrers: BTreeMap<Oid, Vec<(Subject, Option<ColumnId>)>>,
    dropped: BTreeSet<Subject>,
    queue: VecDeque<Subject>,
    /// Dependents that were not named themselves, with what they depend on.
    reports: Vec<(Subject, Subject)>,
}

impl<'a> Cascade<'a> {
    /// Follows dependencies from `subjects`.
    pub fn new(catalog: &'a Catalog, path: &'a SearchPath, subjects: &[Subject]) -> Self {
        let mut referrers: BTreeMap<Oid, Vec<_>> = BTreeMap::new();
        for object in catalog.objects() {
            let texts: Vec<_> = match object {
                Object::View(view) => vec![(Subject::Relation(view.oid), &view.query)],
                Object::Table(table) => defaults_of(table).collect(),
                _ => Vec::new(),
            };
            for (referrer, sql) in texts {
                for reference in sql.references() {
                    let list = referrers.entry(reference.relation).or_default();
                    list.push((referrer, reference.column));
                }
            }
        }
        let mut cascade = Self {
            catalog,
            path,
            referrers,
            dropped: subjects.iter().copied().collect(),
            queue: subjects.iter().copied().collect(),
            reports: Vec::new(),
        };
        while let Some(subject) = cascade.queue.pop_front() {
            cascade.follow(subject);
        }
        cascade
    }

    fn follow(&mut self, subject: Subject) {
        match subject {
            Subject::Relation(oid) => {
                let owned: Vec<_> =
                    self.catalog.sequences_of_table(oid).map(|sequence| sequence.oid).collect();
                owned.into_iter().for_each(|oid| self.add_silently(Subject::Relation(oid)));
                self.add_referrers(subject, oid, None);
            }
            Subject::Column(oid, column) => {
                let owned: Vec<_> = self
                    .catalog
                    .sequences_of_table(oid)
                    .filter(|s| s.owned_by.is_some_and(|owner| owner.column == column))
                    .map(|sequence| sequence.oid)
                    .collect();
                owned.into_iter().for_each(|oid| self.add_silently(Subject::Relation(oid)));
                self.add_referrers(subject, oid, Some(column));
            }
            Subject::Schema(oid) => {
                let inside: Vec<_> = self
                    .catalog
                    .relations_of(oid)
                    .filter_map(|(_, reference)| self.catalog.object(reference.oid()))
                    .map(Object::oid)
                    .collect();
                for oid in inside {
                    let owned = self.catalog.sequence(oid).is_some_and(|s| s.owned_by.is_some());
                    match owned {
                        true => self.add_silently(Subject::Relation(oid)),
                        false => self.add(Subject::Relation(oid), subject),
                    }
                }
            }
            Subject::Default(..) | Subject::Index(..) => {}
        }
    }

    fn add_referrers(&mut self, on: Subject, relation: Oid, column: Option<ColumnId>) {
        let all = self.referrers.get(&relation).cloned().unwrap_or_default();
        for (referrer, referred) in all {
            if column.is_none() || referred == column {
                self.add(referrer, on);
            }
        }
    }

    fn add(&mut self, dependent: Subject, on: Subject) {
        // A DEFAULT goes with its column or table.
        if let Subject::Default(table, column) = dependent {
            let owner = [Subject::Relation(table), Subject::Column(table, column)];
            if owner.iter().any(|owner| self.dropped.contains(owner)) {
                return;
            }
        }
        if self.dropped.insert(dependent) {
            self.queue.push_back(dependent);
            self.reports.push((dependent, on));
        }
    }

    fn add_silently(&mut self, dependent: Subject) {
        if self.dropped.insert(dependent) {
            self.queue.push_back(dependent);
        }
    }

    /// Everything that goes.
    pub fn dropped(&self) -> &BTreeSet<Subject> {
        &self.dropped
    }

    /// 2BP01 where something depends on the subjects that was not named with them.
    pub fn restrict(&self, subjects: &[Subject]) -> Result<(), SqlError> {
        if self.reports.is_empty() {
            return Ok(());
        }
        let message = match subjects {
            [one] => {
                format!("cannot drop {} because other objects depend on it", self.describe(*one))
            }
            _ => "cannot drop desired object(s) because other objects depend on them".to_owned(),
        };
        let lines = self.reports.iter().map(|(dependent, on)| {
            format!("{} depends on {}", self.describe(*dependent), self.describe(*on))
        });
        Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
            .with_detail(listed(lines.collect()))
            .with_hint("Use DROP ... CASCADE to drop the dependent objects too."))
    }

    /// The NOTICE of CASCADE.
    pub fn notice(&self) -> Option<SqlError> {
        let lines: Vec<_> = self
            .reports
            .iter()
            .map(|(dependent, _)| format!("drop cascades to {}", self.describe(*dependent)))
            .collect();
        let state = SqlState("00000");
        match lines.len() {
            0 => None,
            1 => lines.into_iter().next().map(|line| SqlError::new(state, line)),
            n => {
                let message = format!("drop cascades to {n} other objects");
                Some(SqlError::new(state, message).with_detail(listed(lines)))
            }
        }
    }

    /// An object as PostgreSQL's messages call it.
    fn describe(&self, subject: Subject) -> String {
        match subject {
            Subject::Relation(oid) | Subject::Index(_, oid) => match self.catalog.relation(oid) {
                Some(relation) => {
                    format!("{} {}", relation.kind(), self.catalog.shown_name(self.path, &relation))
                }
                None => format!("relation {oid}"),
            },
            Subject::Column(table, column) => self.describe_column("column", table, column),
            Subject::Default(table, column) => {
                self.describe_column("default value for column", table, column)
            }
            Subject::Schema(oid) => {
                let name = self.catalog.schema(oid).map_or("", |schema| &*schema.name);
                format!("schema {name}")
            }
        }
    }

    fn describe_column(&self, what: &str, table: Oid, column: ColumnId) -> String {
        let name = self.catalog.table(table).and_then(|table| table.column(column));
        let name = name.map_or("", |column| &*column.name);
        format!("{what} {name} of {}", self.describe(Subject::Relation(table)))
    }
}

/// At most a hundred lines, as PostgreSQL reports them.
fn listed(lines: Vec<String>) -> String {
    const LINES_MAX: usize = 100;
    let more = lines.len().saturating_sub(LINES_MAX);
    let mut text = lines.into_iter().take(LINES_MAX).collect::<Vec<_>>().join("\n");
    if more > 0 {
        text.push_str(&format!("\nand {more} other objects (see server log for list)"));
    }
    text
}

fn defaults_of(
    table: &Table,
) -> impl Iterator<Item = (Subject, &crate::catalog::stored_sql::StoredSql)> {
    table.live_columns().filter_map(|column| {
        let default = column.default.as_ref()?;
        Some((Subject::Default(table.oid, column.id), &default.sql))
    })
}

impl Ddl<'_> {
    /// Drops subjects and, with CASCADE, what depends on them; otherwise 2BP01 if anything does.
    pub async fn drop_subjects(
        &mut self,
        subjects: Vec<Subject>,
        cascade: bool,
    ) -> Result<(), SqlError> {
        for subject in &subjects {
            self.check_removable(*subject)?;
        }
        let catalog = self.catalog().clone();
        let all = Cascade::new(&catalog, self.context.path, &subjects);
        match cascade {
            true => {
                if let Some(notice) = all.notice() {
                    self.notice(notice);
                }
            }
            false => all.restrict(&subjects)?,
        }
        for subject in all.dropped() {
            self.remove(*subject).await?;
        }
        Ok(())
    }

    /// Refuses what is another object's inside.
    fn check_removable(&self, subject: Subject) -> Result<(), SqlError> {
        let refuse = |what: String, by: String| {
            let message = format!("cannot drop {what} because {by} requires it");
            Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
                .with_hint(format!("You can drop {by} instead.")))
        };
        match subject {
            Subject::Relation(oid) => {
                let Some(sequence) = self.catalog().sequence(oid) else { return Ok(()) };
                let Some(owner) = sequence.owned_by.filter(|owner| owner.identity) else {
                    return Ok(());
                };
                let table = self.catalog().table(owner.table);
                let column = table.and_then(|table| table.column(owner.column));
                let column = column.map_or("", |column| &*column.name);
                let table = table.map_or("", |table| &*table.name);
                refuse(
                    format!("sequence {}", sequence.name),
                    format!("column {column} of table {table}"),
                )
            }
            Subject::Index(table, oid) => {
                let Some(table) = self.catalog().table(table) else { return Ok(()) };
                let name = match table.index(oid) {
                    Some(index) if index.constraint.is_none() => return Ok(()),
                    Some(index) => &index.name,
                    None => match &table.primary_key {
                        Some(key) => &key.name,
                        None => return Ok(()),
                    },
                };
                let by = format!("constraint {name} on table {}", table.name);
                refuse(format!("index {name}"), by)
            }
            Subject::Column(..) | Subject::Default(..) | Subject::Schema(_) => Ok(()),
        }
    }

    async fn remove(&mut self, subject: Subject) -> Result<(), SqlError> {
        let changed = |table: Oid, ddl: &Self| ddl.catalog().table(table).map(|t| (**t).clone());
        match subject {
            Subject::Relation(oid) | Subject::Schema(oid) => self.tx.remove(oid),
            Subject::Default(table, column) => {
                if let Some(mut table) = changed(table, self) {
                    if let Some(column) = table.column_mut(column) {
                        column.default = None;
                    }
                    self.context.store.put_table(self.tx, table, Fence::Open).await?;
                }
            }
            Subject::Index(table, index) => {
                if let Some(mut table) = changed(table, self) {
                    table.indexes.retain(|other| other.oid != index);
                    self.context.store.put_table(self.tx, table, Fence::Open).await?;
                }
            }
            // ALTER TABLE takes its own columns out.
            Subject::Column(..) => {}
        }
        Ok(())
    }
}
