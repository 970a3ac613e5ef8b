//! Commands that change a small world of one pool.

use maskline_domain::binding::Extras;
use maskline_domain::{BindRequest, Command, Envelope, PhoneNumber, Product, SubsId, Timestamp};
use maskline_fixtures::domain::{self as fixtures, POOL, bind_request, party, x};

pub fn operator(command: impl Into<Command>) -> Envelope {
    fixtures::operator(command.into())
}

pub fn bind(a: u64, at: Option<PhoneNumber>, expires_at: Timestamp) -> Envelope {
    operator(Box::new(BindRequest {
        x: at,
        expires_at,
        extras: Extras {
            out_id: Some(format!("order of {a}").into()),
            extend: Some(format!("more of {a}").into()),
            ..Extras::default()
        },
        ..bind_request(POOL, Product::Axn, party(a), None)
    }))
}

pub fn unbind(subs_id: SubsId, x: PhoneNumber) -> Envelope {
    operator(fixtures::unbind(subs_id, x))
}

/// A command that the rules refuse without any event.
pub fn hopeless() -> Envelope {
    unbind(SubsId(1), x(0))
}
