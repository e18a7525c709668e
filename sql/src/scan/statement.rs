//! What every scan of one statement shares.
//!
//! Plans are cached and shared between sessions, so they hold no session's state: scans find it here,
//! as an extension of the task's SessionConfig, when they execute.

use super::overlay::Overlay;
use super::split::Splits;
use crate::session::cancel::Cancel;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use std::fmt;
use std::sync::Arc;
use terrane_client::ids::CommitTs;
use terrane_client::service::{TabletService, TimestampPin};
use terrane_env::Env;
use tokio::runtime::Handle;

/// One statement's reads: the same timestamp for every reference of every table (rule 24), but for those that
/// say FOR SYSTEM_TIME AS OF.
pub struct StatementContext {
    /// Where data is.
    pub tablets: Arc<dyn TabletService>,
    /// What the statement reads at.
    pub read_ts: CommitTs,
    /// `terrane.read_timestamp`: a time in the past, which each table is asked whether it can be read at.
    pub as_of: Option<CommitTs>,
    /// Keeps `read_ts` readable.
    pub pin: Option<TimestampPin>,
    /// The clock, above all.
    pub env: Env,
    /// What the transaction block has written so far.
    pub overlay: Arc<Overlay>,
    /// False where what is read only says which rows a change is about, which COMMIT asks again.
    pub shows: bool,
    /// Where large tables are cut.
    pub splits: Arc<Splits>,
    /// Tripped when the statement is to end.
    pub cancel: Cancel,
    /// `terrane.enable_pushdown`: off reads whole tables and must answer the same.
    pub pushdown: bool,
    /// The threads that compute; without, those of the caller.
    pub compute: Option<Handle>,
}

impl StatementContext {
    /// The context of the running task.
    pub fn of(task: &TaskContext) -> Result<Arc<Self>> {
        task.session_config().get_extension::<Self>().ok_or_else(|| {
            DataFusionError::Internal("a scan runs outside of a statement".to_owned())
        })
    }
}

impl fmt::Debug for StatementContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatementContext").field("read_ts", &self.read_ts).finish_non_exhaustive()
    }
}
