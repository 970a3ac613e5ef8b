//! What a supervisor such as systemd is told (sd_notify(3)): that the service is ready, reads its
//! settings again, is alive, or stops. Without a supervisor (`NOTIFY_SOCKET` unset) nothing is told.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

use crate::calls::CallsHandle;
use crate::ledger::Ledger;

/// Times within the supervisor's watchdog time that it is told; more than twice, since one may be late.
const TOLD_PER_WATCHDOG: u32 = 4;

/// The service serves.
pub fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("serving")]);
}

/// Settings are being read again; [`ready`] follows.
pub fn reloading() {
    // With Type=notify-reload the moment is needed; others pass it over.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// No new work is taken any more.
pub fn stopping() {
    tell(&[
        NotifyState::Stopping,
        NotifyState::Status("stopping: answering what was accepted"),
    ]);
}

/// Tells again and again that the service is alive, for as long as the supervisor wants it
/// (`WATCHDOG_USEC`) and this is polled: only while the ledger can be looked at and the loop of calls
/// answers. After `stop` is cancelled calls may end, and no more than this runtime is asked.
pub async fn keep_alive(ledger: Ledger, calls: CallsHandle, stop: CancellationToken) {
    let Some(watchdog) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    let every = (watchdog / TOLD_PER_WATCHDOG).max(Duration::from_millis(10));
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // Should a lock never come free, this waits for it, and the supervisor hears no more.
        let _ = ledger.status();
        if stop.is_cancelled() || calls.live_calls().await.is_some() || stop.is_cancelled() {
            tell(&[NotifyState::Watchdog]);
        } else {
            tracing::warn!("the loop of calls does not answer; the supervisor is not told");
        }
    }
}

fn tell(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        tracing::warn!(%error, "the supervisor cannot be told");
    }
}
