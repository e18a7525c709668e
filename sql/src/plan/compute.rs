//! Where queries compute: on threads of their own.
//!
//! A worker that polls a join for seconds is one that reads no socket and fires no timer, and tokio leaves
//! its driver with that worker. Were connections served by the same threads, a cancel request, and every
//! other session, would wait for the query to pause. Contract: the stream that [`on`] answers is driven
//! by the given runtime, is at most [`BATCHES_AHEAD`] batches ahead of its reader, and ends when it
//! is dropped.

use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream, execute_stream};
use futures::StreamExt;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Batches that are made before the reader has asked for them.
const BATCHES_AHEAD: usize = 2;

/// Starts a plan on the threads of a runtime.
pub fn on(
    runtime: &Handle,
    plan: Arc<dyn ExecutionPlan>,
    task: Arc<TaskContext>,
) -> Result<SendableRecordBatchStream> {
    // Operators spawn tasks when they start, on the runtime that is entered.
    let _entered = runtime.enter();
    let mut batches = execute_stream(plan, task)?;
    let mut receiver = RecordBatchReceiverStream::builder(batches.schema(), BATCHES_AHEAD);
    let sender = receiver.tx();
    let drive = async move {
        let failed = loop {
            match batches.next().await {
                Some(Ok(batch)) => {
                    if sender.send(Ok(batch)).await.is_err() {
                        return Ok(());
                    }
                }
                Some(Err(error)) => break error,
                None => return Ok(()),
            }
        };
        // What the query held is given back before its error is told: the client may try again at once.
        drop(batches);
        // A reader that is gone needs no error.
        let _ = sender.send(Err(failed)).await;
        Ok(())
    };
    receiver.spawn_on(drive, runtime);
    Ok(receiver.build())
}
