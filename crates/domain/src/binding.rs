//! Bindings: which two parties an X number joins, and on what terms.

mod provision;

pub use self::provision::{Phase, Provision};

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::account::AccountId;
use crate::clock::Timestamp;
use crate::inventory::hash_of;
use crate::number::PhoneNumber;
use crate::pool::{Pool, PoolKey};
use crate::product::{Claim, Product, Role, Slot};
use crate::ring_config::RingConfig;
use crate::subject::Part;

/// The id of a binding: decimal, ascending in time, below 2^53 so that
/// JavaScript reads it exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubsId(pub u64);

impl SubsId {
    /// The first id that could be given at `now`: a thousand to a millisecond.
    pub fn earliest_at(now: Timestamp) -> Self {
        Self(
            u64::try_from(now.millis())
                .unwrap_or(0)
                .saturating_mul(1000),
        )
    }

    /// Reads 1 to 19 decimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = (1..=19).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().ok().map(Self)).flatten()
    }
}

impl fmt::Display for SubsId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Who may not dial X (CallRestrict).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restriction {
    /// Nobody is stopped.
    #[default]
    None,
    /// A may not dial X.
    AMayNotDial,
    /// The other side (B, N, or the group) may not dial X.
    OthersMayNotDial,
}

/// A relation A–X–B.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// Its id.
    pub subs_id: SubsId,
    /// The product, which fixes the slots it claims.
    pub product: Product,
    /// The number shown between the parties.
    pub x: PhoneNumber,
    /// The protected party.
    pub a: PhoneNumber,
    /// The other party, or the default callee of A.
    pub b: Option<PhoneNumber>,
    /// When it was made.
    pub created_at: Timestamp,
    /// The first moment at which it is over.
    pub expires_at: Timestamp,
    /// Who may not dial.
    pub restriction: Restriction,
    /// Whether its calls are recorded.
    pub record: bool,
    /// Whether its calls go through speech recognition.
    pub speech_recognition: bool,
    /// Ring time in seconds; `None` takes the pool's.
    pub ring_timeout_s: Option<u8>,
    /// What else the customer gave with it.
    pub extras: Extras,
    /// Whose it is. The state knows it by the pool of X; what is kept of a
    /// binding after its end carries it along. Journals of before it was kept
    /// do not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// How far a carrier knows of it; none where none must be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provision: Option<Box<Provision>>,
}

/// Whose a binding is: the pool that its X is in, and the account of that
/// pool. Neither changes while the binding stands; afterwards X may come to
/// another pool, and the binding still is its former owner's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The pool.
    pub pool: PoolKey,
    /// The account that owns the pool.
    pub account: AccountId,
}

impl Owner {
    /// The owner of what is bound in a pool.
    pub fn of(pool: &Pool) -> Self {
        Self {
            pool: pool.key.clone(),
            account: pool.account.clone(),
        }
    }

    /// Whether this is that pool of that account: who names another one reads
    /// nothing.
    pub fn is(&self, account: &AccountId, pool: &PoolKey) -> bool {
        self.account == *account && self.pool == *pool
    }
}

/// What a binding carries besides the rules: seldom given, never decisive.
/// All of it is free text of the customer's, so any of it may name a person.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Extras {
    /// The customer's own value, returned in receipts.
    pub out_id: Option<Box<str>>,
    /// The customer's order id.
    pub out_order_id: Option<Box<str>>,
    /// Ring tones by scene.
    pub ring_config: Option<RingConfig>,
    /// Key dialogue after the call, JSON text as given.
    pub dtmf_config: Option<Box<str>>,
    /// Speech recognition model.
    pub speech_model: Option<Box<str>>,
    /// The vendor's undocumented extra (Extend).
    pub extend: Option<Box<str>>,
}

impl fmt::Debug for Extras {
    /// Which texts there are, without what they say.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = [
            ("out_id", self.out_id.is_some()),
            ("out_order_id", self.out_order_id.is_some()),
            ("ring_config", self.ring_config.is_some()),
            ("dtmf_config", self.dtmf_config.is_some()),
            ("speech_model", self.speech_model.is_some()),
            ("extend", self.extend.is_some()),
        ];
        let mut shown = f.debug_struct("Extras");
        for (name, _) in texts.iter().filter(|(_, is_there)| *is_there) {
            shown.field(name, &format_args!("***"));
        }
        shown.finish()
    }
}

impl Extras {
    /// Whether nothing was given.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Binding {
    /// A binding with what each must have, and nothing that a customer may leave out; its term ends with the first
    /// moment at which it is over. Whoever knows more sets it: `Binding { b, ..Binding::new(…) }`.
    pub fn new(
        subs_id: SubsId,
        product: Product,
        x: PhoneNumber,
        a: PhoneNumber,
        term: Range<Timestamp>,
    ) -> Self {
        Self {
            subs_id,
            product,
            x,
            a,
            b: None,
            created_at: term.start,
            expires_at: term.end,
            restriction: Restriction::default(),
            record: false,
            speech_recognition: false,
            ring_timeout_s: None,
            extras: Extras::default(),
            owner: None,
            provision: None,
        }
    }

    /// The slots that this binding claims on its X, as many as its product does.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + use<> {
        self.claims().map(|(_, slot)| slot)
    }

    /// The same, and by what it claims each.
    pub(crate) fn claims(&self) -> impl Iterator<Item = (Claim, Slot)> + use<> {
        self.product.claims(self.a, self.b)
    }

    /// The role of a caller who hit `slot`: the other side where it is none of this binding's.
    pub fn role_of(&self, slot: Slot) -> Role {
        let claim = self.product.claim_of(slot, self.a, self.b);
        claim.map_or(Role::Other, Claim::role)
    }

    /// Forgets one part: the number of a party, whose place tells that there was one, or the texts.
    pub fn erase(&mut self, part: Part) {
        match part {
            Part::A => self.a = PhoneNumber::ERASED,
            Part::B => self.b = Some(PhoneNumber::ERASED),
            Part::Texts => self.extras = Extras::default(),
        }
        if let Some(provision) = &mut self.provision {
            provision.proposed = None;
        }
    }

    /// Whether it tells of no party any more.
    pub fn is_erased(&self) -> bool {
        self.a.is_erased() && self.b.is_none_or(PhoneNumber::is_erased)
    }

    /// Whether calls go by it at `now`: it is not over, and a carrier that must know of it does.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        !self.is_over(now) && self.routes()
    }

    /// Whether a carrier that must know of it does; true where none must.
    pub fn routes(&self) -> bool {
        (self.provision.as_ref()).is_none_or(|provision| provision.phase.routes())
    }

    /// Whether it is over at `now`, swept or not.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.expires_at
    }

    /// A hash of the terms: equal where [`Binding::same_terms`] holds. A term that it leaves out costs only time.
    pub(crate) fn terms_hash(&self) -> u64 {
        let extras = &self.extras;
        hash_of(&(
            (self.product, self.a, self.b, self.expires_at),
            (self.restriction as u8, self.record, self.speech_recognition),
            (self.ring_timeout_s, &extras.out_id, &extras.out_order_id),
            extras.ring_config.as_ref().map(RingConfig::as_str),
            (&extras.dtmf_config, &extras.speech_model, &extras.extend),
        ))
    }

    /// Whether another request for a binding asks for the same as this one.
    pub(crate) fn same_terms(&self, other: &Binding) -> bool {
        let comparable = |binding: &Binding| Binding {
            subs_id: SubsId(0),
            x: self.x,
            created_at: Timestamp(0),
            provision: None,
            ..binding.clone()
        };
        comparable(self) == comparable(other)
    }
}

impl fmt::Debug for Binding {
    /// Numbers show masked; what the customer added does not show at all.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding")
            .field("subs_id", &self.subs_id.0)
            .field("product", &self.product)
            .field("x", &self.x)
            .field("a", &self.a)
            .field("b", &self.b)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// How a binding came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndCause {
    /// The customer ended it.
    Unbound,
    /// Its time was over.
    Expired,
    /// It never was in force: a carrier did not take it.
    NotProvisioned,
}
