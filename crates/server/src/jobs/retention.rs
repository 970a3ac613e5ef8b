//! Deletes what is older than it may be. No command of the rules: what it deletes are records, which change no route.

use tokio_util::sync::CancellationToken;

use crate::config::JobSettings;
use crate::ledger::Ledger;

/// Deletes it until `stop` is cancelled, or returns at once when jobs are switched off. A round that is broken off is
/// gone on with by the next start.
pub async fn run(ledger: Ledger, settings: JobSettings, stop: CancellationToken) {
    if !settings.enabled {
        return;
    }
    tokio::select! {
        () = ledger.keep_retention() => {}
        () = stop.cancelled() => {}
    }
}
