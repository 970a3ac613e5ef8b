//! What the switch knows of a live call besides its state: legs, media, and the record as it grows.

use super::{Lease, MediaEnd, MediaPath};
use crate::calls::Trunk;
use crate::calls::call::{Call, Closing};
use crate::calls::ending::Reason;
use maskline_domain::{Binding, PhoneNumber};
use maskline_sip::endpoint::LegId;
use maskline_sip::sdp::{self, Agreement, Audio, Description};
use maskline_store::records::call::CallRecord;

pub(super) struct Live {
    pub call: Call,
    pub record: CallRecord,
    pub x: PhoneNumber,
    pub caller_leg: LegId,
    pub callee_leg: Option<LegId>,
    pub callee: Option<PhoneNumber>,
    pub trunk_out: Option<Trunk>,
    pub max_forwards: u8,
    pub media: Media,
    pub scheduled: Option<u64>,
}

impl Live {
    /// A record copies the facts of its binding, since the binding may change or end.
    pub fn take_binding(&mut self, binding: &Binding) {
        let record = &mut self.record;
        record.product = Some(binding.product.name().to_owned());
        record.subs_id = Some(binding.subs_id);
        record.a = Some(binding.a);
        record.b = binding.b;
        record.out_id = binding.extras.out_id.as_deref().map(str::to_owned);
        record.out_order_id = binding.extras.out_order_id.as_deref().map(str::to_owned);
    }

    pub fn take_closing(&mut self, closing: &Closing) {
        let record = &mut self.record;
        record.dialled_at = closing.milestones.dialled;
        record.ringing_at = closing.milestones.ringing;
        record.answered_at = closing.milestones.answered;
        record.released_at = closing.milestones.released;
        record.situation = Some(closing.ending.reason.name().to_owned());
        record.release_by = Some(closing.released_by.name().to_owned());
        record.sip_status = Some(closing.ending.status);
        record.q850_cause = Some(closing.ending.q850);
    }
}

/// How far the two sides have agreed on media.
pub(super) enum Media {
    /// The caller offered nothing that we carry.
    Unusable,
    /// The caller's offer.
    Offered(Description),
    /// We have ports, and have offered on.
    Leased {
        offer: Description,
        lease: Lease,
        session: u64,
    },
    /// The callee answered.
    Agreed {
        offer: Description,
        lease: Lease,
        session: u64,
        answer: Audio,
        agreement: Agreement,
    },
}

impl Media {
    pub fn from_offer(sdp: &[u8]) -> Self {
        sdp::parse(sdp).map_or(Self::Unusable, Self::Offered)
    }

    pub fn is_usable(&self) -> bool {
        !matches!(self, Self::Unusable)
    }

    /// Takes the ports and gives the offer for the callee.
    pub fn lease(&mut self, lease: Lease, session: u64) -> Option<Vec<u8>> {
        let Self::Offered(offer) = std::mem::replace(self, Self::Unusable) else {
            return None;
        };
        let text = sdp::offer(&offer.audio, lease.callee, session);
        *self = Self::Leased {
            offer,
            lease,
            session,
        };
        Some(text)
    }

    /// Takes the callee's SDP. An answer without one repeats what was agreed before it. Gives the path of
    /// the media if that is new.
    pub fn take_answer(&mut self, sdp: &[u8]) -> Result<Option<MediaPath>, Reason> {
        if sdp.is_empty() && matches!(self, Self::Agreed { .. }) {
            return Ok(None);
        }
        let answer = sdp::parse(sdp).map_err(|_| Reason::NoCommonCodec)?.audio;
        let (Self::Leased { offer, .. } | Self::Agreed { offer, .. }) = &*self else {
            return Err(Reason::NoCommonCodec);
        };
        let agreement = sdp::agree(&offer.audio, &answer).map_err(|_| Reason::NoCommonCodec)?;
        let end = |audio: &Audio, payloads| MediaEnd {
            address: audio.address,
            payloads,
            law: Some(agreement.codec.law()),
            direction: audio.direction,
            nat: false,
            version: 0,
        };
        let path = MediaPath {
            caller: Some(end(&offer.audio, agreement.offerer)),
            callee: Some(end(&answer, agreement.answerer)),
        };
        *self = match std::mem::replace(self, Self::Unusable) {
            Self::Leased {
                offer,
                lease,
                session,
            }
            | Self::Agreed {
                offer,
                lease,
                session,
                ..
            } => Self::Agreed {
                offer,
                lease,
                session,
                answer,
                agreement,
            },
            other => other,
        };
        Ok(Some(path))
    }

    /// The answer for the caller, once the callee has given one.
    pub fn answer(&self) -> Option<Vec<u8>> {
        let Self::Agreed {
            offer,
            lease,
            session,
            answer,
            agreement,
        } = self
        else {
            return None;
        };
        Some(sdp::answer(
            offer,
            answer,
            agreement,
            lease.caller,
            *session,
        ))
    }
}
