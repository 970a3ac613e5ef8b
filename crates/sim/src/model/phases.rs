//! How far a carrier knows of a binding, and what follows from that.

use maskline_domain::binding::Phase;
use maskline_domain::{Binding, EndCause, Event, Timestamp};

/// How far a carrier knows of it; none where none must.
pub fn phase(binding: &Binding) -> Option<Phase> {
    binding.provision.as_ref().map(|provision| provision.phase)
}

/// Whether the carrier is to hold it no more.
pub fn is_let_go(binding: &Binding) -> bool {
    matches!(phase(binding), Some(Phase::Releasing { .. }))
}

/// Whether the carrier is to hold it no more for another reason than its time.
pub fn is_unbound(binding: &Binding) -> bool {
    match phase(binding) {
        Some(Phase::Releasing { cause, .. }) => cause != EndCause::Expired,
        _ => false,
    }
}

/// Whether a carrier is asked for a change of it.
pub fn is_changing(binding: &Binding) -> bool {
    phase(binding) == Some(Phase::Changing)
}

/// Whether calls go by it as long as it is not over.
pub fn carries_calls(binding: &Binding) -> bool {
    phase(binding) != Some(Phase::Reserved) && !is_let_go(binding)
}

/// Whether it keeps others out of what it claims.
pub fn keeps_others_out(binding: &Binding, now: Timestamp) -> bool {
    binding.expires_at > now || binding.provision.is_some()
}

/// Whether it is over and nothing was done about that.
pub fn is_due(binding: &Binding, now: Timestamp) -> bool {
    binding.expires_at <= now && !is_let_go(binding)
}

/// Whether a carrier must be told of a change.
pub fn must_be_told(before: &Binding, after: &Binding) -> bool {
    before.a != after.a || before.b != after.b || before.expires_at != after.expires_at
}

/// Whether an event says that something is over because its time has come.
pub fn ends_by_time(event: &Event) -> bool {
    let cause = match event {
        Event::Ended { cause, .. }
        | Event::ProvisionChanged {
            phase: Phase::Releasing { cause, .. },
            ..
        } => Some(*cause),
        _ => None,
    };
    cause == Some(EndCause::Expired)
}
