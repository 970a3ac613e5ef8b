//! Writing down what came of asking a carrier.

use std::time::Duration;

use maskline_domain::Refusal;
use maskline_domain::binding::{Phase, Provision};
use maskline_domain::ops::{SettleProvision, Settlement};
use maskline_domain::provisioning::Answer;
use maskline_journal::pipeline::{SubmitError, Touch};
use tokio::time::sleep;

use super::{Failed, by_job};
use crate::ledger::Ledger;

/// How long to wait before it is tried again to write something down.
const REST: Duration = Duration::from_millis(500);

/// Settles a request, and says what a customer is told of it.
///
/// # Errors
/// [`Failed`]. A settlement that could not be written down now is written later.
pub(super) async fn settle(
    ledger: &Ledger,
    settlement: SettleProvision,
    answer: Answer,
) -> Result<(), Failed> {
    match ledger.submit(by_job(settlement)).await {
        Ok(()) => outcome(settlement.settlement, answer),
        // Something was decided before: an end, or an answer, which may have been the same one.
        Err(SubmitError::Refused(_)) => {
            let SettleProvision { subs_id, fence, .. } = settlement;
            let is_held = ledger.read(Touch::Scan, move |state, _| {
                let provision = state.provision(subs_id);
                let is_confirmed = |known: &Provision| {
                    known.phase == Phase::Confirmed && known.held == Some(fence)
                };
                provision.is_some_and(is_confirmed)
            });
            match (settlement.settlement, is_held.await) {
                (Settlement::Done, Ok(true)) => Ok(()),
                _ => Err(Refusal::CarrierUnavailable.into()),
            }
        }
        Err(error) => {
            let ledger = ledger.clone();
            tokio::spawn(async move { settle_later(&ledger, settlement).await });
            Err(error.into())
        }
    }
}

/// Tries until it is written down, or somebody else has decided.
async fn settle_later(ledger: &Ledger, settlement: SettleProvision) {
    loop {
        sleep(REST).await;
        match ledger.submit(by_job(settlement)).await {
            Ok(()) | Err(SubmitError::Refused(_) | SubmitError::Closed) => return,
            Err(error) => tracing::debug!(%error, "what a carrier answered cannot be written yet"),
        }
    }
}

fn outcome(settlement: Settlement, answer: Answer) -> Result<(), Failed> {
    let refusal = match (settlement, answer) {
        (Settlement::Done, _) => return Ok(()),
        (_, Answer::Refused | Answer::Stale) => Refusal::CarrierRefused,
        (_, Answer::Unclear) => Refusal::CarrierUnclear,
        (_, Answer::Done | Answer::NotSent | Answer::Unavailable) => Refusal::CarrierUnavailable,
    };
    Err(refusal.into())
}
