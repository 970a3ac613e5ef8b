//! Looks at the ledger and the calls now and then, and says in `/readyz` when they cannot do their work.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::calls::CallsHandle;
use crate::clocks;
use crate::http_server::connections::Connections;
use crate::ledger::{Ledger, Running};
use crate::telemetry::{LogLimit, Readiness};

const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often connections closed or refused at a bound are logged at most.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// The listeners whose connections are watched.
pub struct Watched {
    /// The customers'.
    pub api: Arc<Connections>,
    /// The operators'.
    pub admin: Arc<Connections>,
}

/// Watches until `stop` is cancelled.
pub async fn run(
    ledger: Ledger,
    calls: CallsHandle,
    connections: Watched,
    readiness: Readiness,
    stop: CancellationToken,
) {
    let mut counts = [
        ConnectionCount::new("api_connections", connections.api),
        ConnectionCount::new("admin_connections", connections.admin),
    ];
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    let mut told = std::pin::pin!(stop.cancelled());
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
        for count in &mut counts {
            count.look(&readiness);
        }
        readiness.note("trunks", troubled_trunks(&calls));
        match calls.media().trouble() {
            Some(trouble) => readiness.block("media", trouble),
            None => readiness.clear("media"),
        }
    }
}

/// What is told of a listener whose connections are at a bound: a note at once, a line in the log now and
/// then. It does not make the service unready, since then whoever opens connections could do that.
struct ConnectionCount {
    part: &'static str,
    connections: Arc<Connections>,
    /// Those that were closed or refused.
    limit: LogLimit,
}

impl ConnectionCount {
    fn new(part: &'static str, connections: Arc<Connections>) -> Self {
        Self {
            part,
            connections,
            limit: LogLimit::new(LOG_EVERY),
        }
    }

    fn look(&mut self, readiness: &Readiness) {
        let Some(trouble) = self.connections.recent_refusals() else {
            readiness.note(self.part, None);
            return;
        };
        let bounds = self.connections.bounds();
        let source = trouble
            .source
            .map_or_else(|| "a proxy".to_owned(), |source| source.to_string());
        // Nobody proves who they are before they are told this, so it names no address.
        let note = format!(
            "connections at a bound ({} in all, {} of one address) were closed or refused within the last \
             minute; the log names the last of them",
            bounds.total_max, bounds.per_source_max
        );
        readiness.note(self.part, Some(note));
        self.limit.count(trouble.count);
        let now = Duration::from_millis(clocks::read().monotonic_ms);
        if let Some(count) = self.limit.take(now) {
            tracing::warn!(
                listener = self.part,
                count,
                last = source,
                total_max = bounds.total_max,
                per_address_max = bounds.per_source_max,
                "connections were closed or refused at a bound"
            );
        }
    }
}

/// The trunks that calls cannot be sent to, each with its reason.
fn troubled_trunks(calls: &CallsHandle) -> Option<String> {
    let told: Vec<String> = calls
        .trunks()
        .into_iter()
        .filter_map(|trunk| Some(format!("{}: {}", trunk.name, trunk.trouble?)))
        .collect();
    (!told.is_empty()).then(|| told.join("; "))
}

/// Resolves when the writer has ended by itself, which only a fault can make it do.
pub async fn writer_ended(running: &Running) {
    while !running.has_ended() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::serve::ledger_options;
    use maskline_media::Threads;

    #[tokio::test]
    async fn a_media_thread_that_has_ended_makes_the_service_unready() {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, running) = Ledger::open(ledger_options(&Settings::default(), dir.path()))
            .await
            .unwrap();
        let (calls_handle, readiness) = (CallsHandle::default(), Readiness::default());
        let stop = CancellationToken::new();
        let connections = Connections::new(crate::admin::CONNECTIONS);
        let watched = Watched {
            api: connections.clone(),
            admin: connections,
        };
        let watching = run(
            ledger,
            calls_handle.clone(),
            watched,
            readiness.clone(),
            stop.clone(),
        );
        let watching = tokio::spawn(watching);
        calls_handle.set_media(Threads {
            ended: 1,
            ..Threads::default()
        });
        await_ready(&readiness, false).await;
        calls_handle.set_media(Threads::default());
        await_ready(&readiness, true).await;
        stop.cancel();
        watching.await.unwrap();
        running.close().await;
    }

    async fn await_ready(readiness: &Readiness, ready: bool) {
        let turned = async {
            while readiness.is_ready() != ready {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), turned)
            .await
            .expect("it looks twice a second");
    }
}
