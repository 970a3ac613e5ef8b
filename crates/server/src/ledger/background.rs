//! Threads that work behind the writer: checkpoints, snapshots and the history of bindings. Each has a runtime
//! of its own and a low priority, so that nobody who waits for an answer waits for them.

use std::future::Future;
use std::io;
use std::thread::JoinHandle;

/// How far behind other threads they stand: a nice value, as setpriority(2) takes it.
const NICENESS: i32 = 10;

/// Runs what `task` makes on a thread of this name, until it has ended.
///
/// # Errors
/// When the system gives no thread, or nothing to wait with.
pub(super) fn spawn<F: Future<Output = ()>>(
    name: &str,
    task: impl FnOnce() -> F + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            lower_priority();
            runtime.block_on(task());
        })
}

/// Lowers the priority of the calling thread.
fn lower_priority() {
    // On Linux this concerns the calling thread alone.
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "a background thread keeps its priority");
    }
}
