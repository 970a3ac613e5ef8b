//! Looks at the ledger and the calls now and then, and says in `/readyz` when they cannot do their work.

use std::time::Duration;

use super::Stop;
use crate::calls::Board;
use crate::telemetry::Readiness;
use crate::writer::{Ledger, Running};

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Watches until `stop` is told.
pub async fn run(ledger: Ledger, calls: Board, readiness: Readiness, stop: Stop) {
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
        match calls.media().trouble() {
            Some(trouble) => readiness.block("media", trouble),
            None => readiness.clear("media"),
        }
    }
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
    use crate::calls::media::Threads;
    use crate::serve::stop;
    use crate::writer::Options;

    #[tokio::test]
    async fn a_media_thread_that_has_ended_makes_the_service_unready() {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, running) = Ledger::open(Options::new(dir.path())).await.unwrap();
        let (board, readiness) = (Board::default(), Readiness::default());
        let (stopper, stop) = stop::channel();
        let watching = tokio::spawn(run(ledger, board.clone(), readiness.clone(), stop));
        board.set_media(Threads {
            ended: 1,
            ..Threads::default()
        });
        await_ready(&readiness, false).await;
        board.set_media(Threads::default());
        await_ready(&readiness, true).await;
        stopper.stop();
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
