//! Errors of the catalog's own reads and writes of tablets.

use crate::error::{SqlError, SqlState};
use terrane_client::error::TabletError;

/// A tablet's error as the statement that met it answers it.
pub(crate) fn of_tablet(error: TabletError) -> SqlError {
    let state = match &error {
        TabletError::NotServing { .. } | TabletError::Unavailable(_) => SqlState::ADMIN_SHUTDOWN,
        TabletError::UnknownTable { .. } => SqlState::UNDEFINED_TABLE,
        TabletError::PartlyApplied { .. } => SqlState::STATEMENT_COMPLETION_UNKNOWN,
        TabletError::SchemaChanged { .. } => SqlState::SERIALIZATION_FAILURE,
        TabletError::TooLarge { .. } => SqlState::PROGRAM_LIMIT_EXCEEDED,
        TabletError::DiskFull(_) => SqlState::DISK_FULL,
        TabletError::OutcomeUnknown(_) => SqlState::TRANSACTION_RESOLUTION_UNKNOWN,
        TabletError::Corruption { .. } => SqlState::DATA_CORRUPTED,
        TabletError::Io(_) => SqlState::IO_ERROR,
        TabletError::Unsupported(_) => SqlState::FEATURE_NOT_SUPPORTED,
        _ => SqlState::INTERNAL_ERROR,
    };
    SqlError::new(state, error.to_string())
}
