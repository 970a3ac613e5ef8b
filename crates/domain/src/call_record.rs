//! The call record (CDR): what is kept of a call, one a call.

use crate::call::{Closing, Milestone, Reached, Reason, Releaser};
use crate::{Binding, PhoneNumber, SubsId, Timestamp};
use std::fmt;

/// The situation of a call that its node could not close itself, since it died: its next start did.
pub const NODE_LOST: &str = "node_lost";

/// Every word that can stand in [`CallRecord::situation`].
pub fn situations() -> impl Iterator<Item = &'static str> {
    Reason::ALL.into_iter().map(Reason::name).chain([NODE_LOST])
}

/// Everything that is kept of a call. Fields that do not apply are `None`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct CallRecord {
    /// Our id of the call, unique.
    pub call_id: String,
    /// The node that carries it.
    pub node: String,
    /// That node's run, new with every start.
    pub boot: String,
    /// The account that owns the pool.
    pub account: Option<String>,
    /// The pool of X.
    pub pool: Option<String>,
    /// The binding's product.
    pub product: Option<String>,
    /// The binding that decided.
    pub subs_id: Option<SubsId>,
    /// The number dialled.
    pub x: Option<PhoneNumber>,
    /// Who dialled, if they said.
    pub caller: Option<PhoneNumber>,
    /// Whom we dialled.
    pub callee: Option<PhoneNumber>,
    /// A of the binding.
    pub a: Option<PhoneNumber>,
    /// B of the binding.
    pub b: Option<PhoneNumber>,
    /// The extension asked for.
    pub extension: Option<String>,
    /// The binding's OutId.
    pub out_id: Option<String>,
    /// The binding's OutOrderId.
    pub out_order_id: Option<String>,
    /// The trunk it came from.
    pub trunk_in: Option<String>,
    /// The trunk it went to.
    pub trunk_out: Option<String>,
    /// When the INVITE came.
    pub arrived_at: Timestamp,
    /// When the second leg was dialled. In an open row, and in one whose node
    /// was lost: when the row was made, right before dialling.
    pub dialled_at: Option<Timestamp>,
    /// When it rang.
    pub ringing_at: Option<Timestamp>,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// When it was over.
    pub released_at: Option<Timestamp>,
    /// How it went, in one word: one of [`situations`].
    pub situation: Option<String>,
    /// Who ended it: `caller`, `callee`, or `platform`.
    pub release_by: Option<String>,
    /// The SIP status that the caller got.
    pub sip_status: Option<u16>,
    /// The cause after Q.850.
    pub q850_cause: Option<u8>,
    /// Whether media came from one side only.
    pub one_way: Option<bool>,
    /// The recording's file, within the directory of recordings.
    pub recording: Option<String>,
    /// Packets, loss and jitter of each leg, as JSON.
    pub media: Option<String>,
    /// What was said, step by step and masked, as JSON.
    pub ladder: Option<String>,
}

impl fmt::Debug for CallRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallRecord")
            .field("call_id", &self.call_id)
            .field("subs_id", &self.subs_id)
            .field("x", &self.x)
            .field("arrived_at", &self.arrived_at)
            .field("released_at", &self.released_at)
            .field("situation", &self.situation)
            .finish_non_exhaustive()
    }
}

impl CallRecord {
    /// Takes the facts of the call's binding, since the binding may change or end.
    pub fn take_binding(&mut self, binding: &Binding) {
        self.product = Some(binding.product.name().to_owned());
        self.subs_id = Some(binding.subs_id);
        self.a = Some(binding.a);
        self.b = binding.b;
        self.out_id = binding.extras.out_id.as_deref().map(str::to_owned);
        self.out_order_id = binding.extras.out_order_id.as_deref().map(str::to_owned);
    }

    /// Takes when the call came to a milestone, so that its record tells it while it lasts.
    pub fn take_milestone(&mut self, reached: Reached) {
        match reached.milestone {
            Milestone::Ringing => self.ringing_at = Some(reached.at),
            Milestone::Answered => self.answered_at = Some(reached.at),
            Milestone::Started | Milestone::Ended | Milestone::Recorded => {}
        }
    }

    /// Takes that its node died with the call, as its next start finds it, and what was recorded of it.
    pub fn take_loss(&mut self, at: Timestamp, recording: Option<String>) {
        self.released_at = Some(at);
        self.situation = Some(NODE_LOST.to_owned());
        self.release_by = Some(Releaser::Platform.name().to_owned());
        self.recording = recording.or_else(|| self.recording.take());
    }

    /// Takes how the call went.
    pub fn take_closing(&mut self, closing: &Closing) {
        self.dialled_at = closing.milestones.dialled;
        self.ringing_at = closing.milestones.ringing;
        self.answered_at = closing.milestones.answered;
        self.released_at = closing.milestones.released;
        self.situation = Some(closing.ending.reason.name().to_owned());
        self.release_by = Some(closing.released_by.name().to_owned());
        self.sip_status = Some(closing.ending.status);
        self.q850_cause = Some(closing.ending.q850);
    }

    /// The row that is made durable before the second leg is dialled: should the node die, this is what is known
    /// of the call.
    pub fn opened(&self, now: Timestamp) -> Self {
        Self {
            dialled_at: Some(now),
            ..self.clone()
        }
    }

    /// Blanks what tells of a person, as in its row.
    pub fn erase(&mut self) {
        for number in [&mut self.caller, &mut self.callee, &mut self.a, &mut self.b] {
            *number = None;
        }
        self.erase_texts();
    }

    /// Blanks the customer's texts and what was told of the call, which may name anybody.
    pub fn erase_texts(&mut self) {
        for text in [&mut self.out_id, &mut self.out_order_id, &mut self.ladder] {
            *text = None;
        }
    }

    /// Blanks `number` wherever it is a party, as in its row.
    pub fn erase_number(&mut self, number: PhoneNumber) {
        let parties = [&mut self.caller, &mut self.callee, &mut self.a, &mut self.b];
        for party in parties {
            if *party == Some(number) {
                *party = None;
                self.ladder = None;
            }
        }
    }
}
