//! Reads of tables as they were: which times can be read, and that they stay readable while they are.
//!
//! Whether a time can be read is asked whenever a plan is made executable, by the clock of that moment: a plan or a
//! prepared statement that is run again is asked again. What the tablets still hold does not count (rule 7).

use super::statement::StatementContext;
use crate::catalog::model::History;
use crate::error::{SqlError, SqlState};
use crate::types::style::TextStyle;
use crate::types::text;
use std::fmt;
use terrane_client::error::TabletError;
use terrane_client::ids::CommitTs;
use terrane_client::service::TimestampPin;
use terrane_client::types::DataType;
use terrane_client::value::Value;

/// When a reference of a table reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsOf {
    /// At a time.
    Time(CommitTs),
    /// At one that parameters will say: such a plan is not run.
    Parameters,
}

impl fmt::Display for AsOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(at) => f.write_str(&shown(*at, &TextStyle::default())),
            Self::Parameters => f.write_str("a parameter"),
        }
    }
}

/// A timestamp as the session writes it.
pub fn shown(at: CommitTs, style: &TextStyle) -> String {
    text::to_string(&Value::TimestampTz(at.0), &DataType::TimestampTz, style)
}

/// 72000 for what a table's history does not reach, 22023 for what is still to come.
pub fn check(
    table: &str,
    history: History,
    at: CommitTs,
    now_micros: i64,
    style: &TextStyle,
) -> Result<(), SqlError> {
    if at.0 > now_micros {
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("cannot read table \"{table}\" as of {}", shown(at, style)),
        )
        .with_detail("That time is in the future."));
    }
    let oldest = history.oldest(now_micros);
    match at < oldest {
        true => Err(too_old(table, at, oldest, style)),
        false => Ok(()),
    }
}

fn too_old(table: &str, at: CommitTs, oldest: CommitTs, style: &TextStyle) -> SqlError {
    let (at, oldest) = (shown(at, style), shown(oldest, style));
    SqlError::new(
        SqlState::SNAPSHOT_TOO_OLD,
        format!(
            "cannot read table \"{table}\" as of {at}: the oldest time that can be read is {oldest}"
        ),
    )
    .with_hint("ALTER TABLE … SET (history = …) says how far back a table can be read.")
}

/// A tablet's error to a read of the past.
pub fn of_tablet(table: &str, at: CommitTs, style: &TextStyle, error: TabletError) -> SqlError {
    match error {
        // VACUUM has let more go than the history says.
        TabletError::HistoryGone { oldest, .. } => too_old(table, at, oldest, style),
        other => crate::plan::errors::of_tablet(other),
    }
}

/// A time in the past that is being read: what is needed for it is kept until this is dropped.
pub struct Past {
    at: CommitTs,
    table: String,
    style: TextStyle,
    _pin: TimestampPin,
}

impl Past {
    /// Makes sure that a table can be read at a time, from now on for as long as it takes.
    pub async fn open(
        context: &StatementContext,
        table: &str,
        history: History,
        at: CommitTs,
        style: &TextStyle,
    ) -> Result<Self, SqlError> {
        // Held before it is checked: nothing can go in between.
        let pin = context.tablets.pin_timestamp(at).await;
        let pin = pin.map_err(crate::plan::errors::of_tablet)?;
        check(table, history, at, context.env.clock.now_micros(), style)?;
        Ok(Self { at, table: table.to_owned(), style: style.clone(), _pin: pin })
    }

    /// The time.
    pub fn at(&self) -> CommitTs {
        self.at
    }

    /// What a tablet's error means to this read.
    pub fn error(&self, error: TabletError) -> SqlError {
        of_tablet(&self.table, self.at, &self.style, error)
    }
}

impl fmt::Debug for Past {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Past").field("at", &self.at).finish_non_exhaustive()
    }
}

impl fmt::Display for Past {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(self.at, &self.style))
    }
}
