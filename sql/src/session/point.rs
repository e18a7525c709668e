//! The fast road: statements about rows named by their whole primary key, and INSERT … VALUES, without the
//! planner.
//!
//! A statement is looked at once, when it is prepared: [`recognise`] takes it apart into a [`PointPlan`],
//! whose slots are constants and parameters. Running one puts values into slots, asks the tablets one
//! question, and writes DataRow messages from the packed cells of the answer.
//!
//! | module | what it holds |
//! |---|---|
//! | `operand` | constants and parameters as values of a column |
//! | `shape` | which syntax is a point statement's |
//! | `read`, `insert`, `change` | SELECT, INSERT, UPDATE and DELETE |
//! | `encode` | a stored row as a DataRow message |
//! | `apply` | row programs, committed at once or left to the block |
//!
//! Contract: what is recognised answers as the general road does: rows, counts, tags, errors. What cannot be
//! recognised with certainty is not an error here but `None`, and takes the general road, which also
//! words the errors. `SET terrane.enable_point_road = off` sends everything there; a test runs random
//! statements on both.
//!
//! A plan is good for one catalog and one state of the settings it depends on ([`Basis`]); afterwards the
//! statement is looked at anew.
//!
//! Commit: a write that is alone in its implicit block is sent to the tablets at once and answered when it
//! is durable: WHERE and SET are evaluated under the row's lock, so there is nothing to retry (rule 26). Any
//! other goes into the block like the general road's.

mod apply;
mod change;
mod encode;
mod insert;
mod operand;
mod read;
mod shape;

pub use apply::{Outcome, PointError};

use super::cancel::Cancel;
use super::client::ClientSession;
use super::format::Formats;
use super::info::SessionInfo;
use super::response::{Response, ResultColumn};
use super::settings::PlanSettings;
use crate::catalog::snapshot::Catalog;
use crate::parse::Ast;
use datafusion::sql::sqlparser::ast::Statement;
use std::sync::Arc;
use terrane_client::value::Value;

/// What a plan was made from.
#[derive(Clone)]
pub struct Basis {
    catalog: Arc<Catalog>,
    settings: Arc<PlanSettings>,
}

impl Basis {
    /// As the session's next statement sees it.
    pub(super) fn of(session: &ClientSession) -> Self {
        Self { catalog: session.current_catalog(), settings: Arc::clone(session.settings.plan()) }
    }

    /// True where a plan made from the one is good for the other.
    pub(super) fn is_same(&self, other: &Basis) -> bool {
        Arc::ptr_eq(&self.catalog, &other.catalog)
            && (Arc::ptr_eq(&self.settings, &other.settings) || self.settings == other.settings)
    }

    /// False where the catalog has one session's temporary objects, or what a block has staged.
    pub(super) fn is_shared(&self, session: &ClientSession) -> bool {
        Arc::ptr_eq(&self.catalog, &session.server.catalog.snapshot())
    }
}

/// A point statement, taken apart.
pub enum PointPlan {
    /// SELECT.
    Read(read::PointRead),
    /// INSERT … VALUES.
    Insert(insert::PointInsert),
    /// UPDATE or DELETE.
    Change(change::PointChange),
}

/// How one execution is asked for.
pub struct Execution<'a> {
    /// The parameters' values.
    pub values: &'a [Value],
    /// The result's formats.
    pub formats: Formats,
    /// True where nothing follows in the implicit block.
    pub alone: bool,
    /// Tripped when the statement is to end.
    pub cancel: &'a Cancel,
}

/// Takes a statement apart whose parameters have these types; `None` where it is for the general road.
pub(super) fn recognise(
    session: &mut ClientSession,
    statement: &Ast,
    types: &[u32],
) -> Option<PointPlan> {
    let Ast::Sql(statement) = statement else { return None };
    if !session.settings.plan().point_road {
        return None;
    }
    match &**statement {
        Statement::Query(query) => {
            read::PointRead::recognise(session, query, types).map(PointPlan::Read)
        }
        Statement::Insert(insert) => {
            insert::PointInsert::recognise(session, insert, types).map(PointPlan::Insert)
        }
        Statement::Update(update) => {
            change::PointChange::update(session, update, types).map(PointPlan::Change)
        }
        Statement::Delete(delete) => {
            change::PointChange::delete(session, delete, types).map(PointPlan::Change)
        }
        _ => None,
    }
}

impl PointPlan {
    /// The result's columns; `None` for no rows.
    pub fn columns(&self) -> Option<&Arc<[ResultColumn]>> {
        match self {
            Self::Read(read) => Some(read.columns()),
            Self::Insert(_) | Self::Change(_) => None,
        }
    }

    /// Runs it.
    pub(super) async fn run(
        &self,
        session: &mut ClientSession,
        execution: Execution<'_>,
    ) -> Result<Response, PointError> {
        match self {
            Self::Read(read) => read.run(session, execution).await,
            Self::Insert(insert) => insert.run(session, execution).await,
            Self::Change(change) => change.run(session, execution).await,
        }
    }
}

impl ClientSession {
    /// The catalog the next statement sees, without opening a block for it.
    pub(super) fn current_catalog(&self) -> Arc<Catalog> {
        match &self.block {
            Some(block) => Arc::clone(block.catalog.catalog()),
            None => self.published(),
        }
    }

    /// What functions see of the session, without opening a block: its time becomes the block's.
    pub(super) fn early_info(&mut self) -> SessionInfo {
        let now_micros = self.started_micros();
        let style = Arc::clone(self.settings.style());
        SessionInfo { style, now_micros, facts: self.facts() }
    }
}
