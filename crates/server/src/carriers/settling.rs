//! Writing down what came of asking a carrier.

use maskline_domain::binding::{Phase, Provision};
use maskline_domain::ops::SettleProvision;
use maskline_domain::provisioning::{Settled, Written};
use maskline_journal::pipeline::{SubmitError, Touch};

use super::by_job;
use crate::ledger::Ledger;

/// Writes a settlement down, once.
pub(super) async fn write(ledger: &Ledger, settled: Settled) -> Written<SubmitError> {
    let Settled {
        subs_id,
        fence,
        settlement,
        ..
    } = settled;
    let command = SettleProvision {
        subs_id,
        fence,
        settlement,
    };
    match ledger.submit(by_job(command)).await {
        Ok(()) => Written::Done,
        Err(SubmitError::Refused(_)) => {
            let is_confirmed =
                |known: Provision| known.phase == Phase::Confirmed && known.held == Some(fence);
            let held = ledger.read(Touch::Scan, move |state, _| {
                state.provision(subs_id).is_some_and(is_confirmed)
            });
            let is_held = held.await.unwrap_or(false);
            Written::Superseded { is_held }
        }
        Err(error) => Written::Not {
            // Then this process is about to end, and the next start settles it.
            again: error != SubmitError::Closed,
            error,
        },
    }
}
