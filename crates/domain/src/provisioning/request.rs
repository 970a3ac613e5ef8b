//! What a carrier is told, and what it may answer; how both are written is the business of each kind.

use crate::binding::{Binding, Phase, SubsId};
use crate::clock::Timestamp;
use crate::number::PhoneNumber;
use crate::pool::PoolKey;
use crate::product::Product;

/// A request about one binding. The same binding and revision are the same request, which a carrier carries out once
/// however often it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The binding.
    pub subs_id: SubsId,
    /// 1 for the first request about this binding, one more for each further one.
    pub revision: u32,
    /// Grows from request to request about any binding. A carrier keeps the newest of each X and refuses older ones, so
    /// that what comes late undoes nothing.
    pub fence: u64,
    /// The X number.
    pub x: PhoneNumber,
    /// What is asked.
    pub operation: Operation,
}

/// What is asked of a carrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Hold a binding that is new.
    Bind(Terms),
    /// Hold it on these terms from now on, whether it is held or not.
    Update(Terms),
    /// Hold it no more.
    Unbind,
}

impl Operation {
    /// Its name, as protocols and metrics have it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bind(_) => "bind",
            Self::Update(_) => "update",
            Self::Unbind => "unbind",
        }
    }
}

/// What a carrier must know of a binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The pool of X.
    pub pool: PoolKey,
    /// The product.
    pub product: Product,
    /// The protected party.
    pub a: PhoneNumber,
    /// The other party, or the default callee of A.
    pub b: Option<PhoneNumber>,
    /// The first moment at which the binding is over.
    pub expires_at: Timestamp,
}

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// It was carried out, now or before.
    Done,
    /// It was refused, and nothing has changed.
    Refused,
    /// A newer fence of this X is known there, and nothing has changed.
    Stale,
    /// There is no connection, so it was not sent.
    NotSent,
    /// No answer, or one that says no more than that there is trouble: whether it was carried out is not known.
    Unavailable,
    /// An answer that says nothing known.
    Unclear,
}

impl Answer {
    /// Each of them.
    pub const ALL: [Self; 6] = [
        Self::Done,
        Self::Refused,
        Self::Stale,
        Self::NotSent,
        Self::Unavailable,
        Self::Unclear,
    ];

    /// Its name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Stale => "stale",
            Self::NotSent => "not_sent",
            Self::Unavailable => "unavailable",
            Self::Unclear => "unclear",
        }
    }
}

/// A binding that a carrier says it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldThere {
    /// The X number.
    pub x: PhoneNumber,
    /// The binding.
    pub subs_id: SubsId,
    /// Of the newest request about it that was carried out.
    pub revision: u32,
    /// The fence of that request.
    pub fence: u64,
}

impl Request {
    /// What the carrier of a binding is to be told now; nothing where none must be told, or it holds what it should.
    pub fn of(binding: &Binding) -> Option<Self> {
        let provision = binding.provision.as_deref()?;
        let terms = |of: &Binding| {
            Some(Terms {
                pool: binding.owner.as_ref()?.pool.clone(),
                product: of.product,
                a: of.a,
                b: of.b,
                expires_at: of.expires_at,
            })
        };
        let operation = match provision.phase {
            Phase::Confirmed => return None,
            Phase::Reserved => Operation::Bind(terms(binding)?),
            Phase::Renewing => Operation::Update(terms(binding)?),
            Phase::Changing => Operation::Update(terms(provision.proposed.as_deref()?)?),
            Phase::Releasing { .. } => Operation::Unbind,
        };
        Some(Self {
            subs_id: binding.subs_id,
            revision: provision.revision,
            fence: provision.fence,
            x: binding.x,
            operation,
        })
    }
}
