//! Looks at the ledger now and then, and says in `/readyz` when it cannot do its work.

use std::time::Duration;

use super::Stop;
use crate::telemetry::Readiness;
use crate::writer::{Ledger, Running};

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Watches until `stop` is told.
pub async fn run(ledger: Ledger, readiness: Readiness, stop: Stop) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    let mut told = std::pin::pin!(stop.told());
    loop {
        tokio::select! {
            biased;
            () = &mut told => return,
            _ = ticks.tick() => {}
        }
        let status = ledger.status();
        if status.takes_commands {
            readiness.clear("writer");
        } else {
            readiness.block("writer", "the disk takes no writes");
        }
        if status.clocks_disagree {
            let why = "the wall clock and the monotonic clock have come apart; no expiry is \
                       written until they agree or `maskline clock trust` confirms the wall clock";
            readiness.block("clock", why);
        } else {
            readiness.clear("clock");
        }
    }
}

/// Resolves when the writer has ended by itself, which only a fault can make it do.
pub async fn writer_ended(running: &Running) {
    while !running.has_ended() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
