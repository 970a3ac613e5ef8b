//! Writing down what came of asking a carrier, and what a customer is told of it.

use maskline_domain::Refusal;
use maskline_domain::binding::{Phase, Provision};
use maskline_domain::ops::{SettleProvision, Settlement};
use maskline_domain::provisioning::{Answer, Settled};
use maskline_journal::pipeline::{SubmitError, Touch};

use super::{Failed, by_job};
use crate::ledger::Ledger;

/// What came of writing a settlement down.
#[derive(Debug, Clone)]
pub(super) enum Written {
    /// It is durable.
    Done,
    /// Something was decided before: an end, or an answer.
    Superseded {
        /// Whether the carrier holds what was asked for.
        is_held: bool,
    },
    /// It is not durable, or nobody knows.
    Not(SubmitError),
}

/// Writes a settlement down, once.
pub(super) async fn write(ledger: &Ledger, settled: Settled) -> Written {
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
                |known: &Provision| known.phase == Phase::Confirmed && known.held == Some(fence);
            let held = ledger.read(Touch::Scan, move |state, _| {
                state.provision(subs_id).is_some_and(is_confirmed)
            });
            let is_held = held.await.unwrap_or(false);
            Written::Superseded { is_held }
        }
        Err(error) => Written::Not(error),
    }
}

/// What a customer is told who waited for it.
///
/// # Errors
/// [`Failed`].
pub(super) fn told(settled: &Settled, written: &Written) -> Result<(), Failed> {
    let refusal = match (settled.settlement, written, settled.answer) {
        (_, Written::Not(error), _) => return Err(error.clone().into()),
        (Settlement::Done, Written::Done | Written::Superseded { is_held: true }, _) => {
            return Ok(());
        }
        (_, Written::Superseded { .. }, _) => Refusal::CarrierUnavailable,
        (_, Written::Done, Answer::Refused | Answer::Stale) => Refusal::CarrierRefused,
        (_, Written::Done, Answer::Unclear) => Refusal::CarrierUnclear,
        (_, Written::Done, _) => Refusal::CarrierUnavailable,
    };
    Err(refusal.into())
}
