//! Long synchronous work inside an asynchronous caller.

use tokio::runtime::{Handle, RuntimeFlavor};

/// Runs `work` here, after telling a multi-threaded runtime to let another thread take this one's tasks.
/// Outside such a runtime it just runs.
pub fn in_place<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
