//! Early media, and offers before the answer: what is agreed is kept where it can be, so that the other side need
//! not be asked.

use super::Media;
use super::announcing::as_callee;
use super::call_codec::CallCodec;
use crate::MediaPath;
use maskline_domain::call::Side;
use maskline_sip::sdp::{Audio, Description};

/// What is known of the other side when one offers anew.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Across {
    /// It can be asked at once.
    Asked,
    /// It cannot be asked before the answer.
    Unasked,
    /// Nobody is there any more: the caller hears why.
    Nobody,
}

impl Media {
    /// Takes an offer of one side before the answer. Where the codec stays and the side gets what it wants, or
    /// where nobody can be asked, this is the answer to it; else none, and it is to be offered to the other
    /// side.
    ///
    /// # Errors
    /// The status that refuses it.
    pub fn take_early_offer(
        &mut self,
        side: Side,
        offer: Description,
        across: Across,
    ) -> Result<Option<Vec<u8>>, u16> {
        let kept = self.answer_to(side, &offer, across, true);
        let is_granted = |answer: &Audio| answer.direction == offer.audio.direction.reversed();
        let settled = match kept {
            Some((answer, agreed)) if is_granted(&answer) || across != Across::Asked => {
                Some((answer, agreed))
            }
            _ if across == Across::Asked => {
                if self.offered.is_some() {
                    return Err(491);
                }
                self.offered = Some((side, offer));
                return Ok(None);
            }
            _ => self.answer_to(side, &offer, across, false),
        };
        let (answer, agreed) = settled.ok_or(488_u16)?;
        let reply = self.settle(side, offer, &answer, agreed, across);
        reply.map(Some).ok_or(488)
    }

    /// Takes an offer of one side after the answer, if that side is only somewhere else: nothing of what the
    /// other one knows is another then, so that this is the answer. None if the other side is to be asked.
    pub fn take_move(&mut self, side: Side, offer: &Description) -> Option<Vec<u8>> {
        if self.offered.is_some() || self.is_late() {
            return None;
        }
        let (answer, agreed) = self.answer_to(side, offer, Across::Asked, true)?;
        let party = self.party(side);
        let before = &party.theirs.as_ref()?.audio;
        let knew_keys = party.payloads?.events.is_some();
        let is_move = offer.audio.direction == before.direction
            && answer.direction == before.direction.reversed()
            && offer.audio.noise == before.noise
            && agreed.offerer().events.is_some() == knew_keys;
        if !is_move {
            return None;
        }
        self.settle(side, offer.clone(), &answer, agreed, Across::Asked)
    }

    /// How an offer of one side is answered without asking the other, and what is agreed on then: the codec
    /// that is (`keeps`), or else any that the other side has offered itself.
    fn answer_to(
        &self,
        side: Side,
        offer: &Description,
        across: Across,
        keeps: bool,
    ) -> Option<(Audio, CallCodec)> {
        let said = match side {
            Side::Callee => match &self.caller.theirs {
                Some(theirs) => theirs.audio.clone(),
                // It has our offer, or will have.
                None => self.first_offer()?,
            },
            Side::Caller => match &self.callee.theirs {
                Some(theirs) if self.agreed.is_some() && across != Across::Nobody => {
                    theirs.audio.clone()
                }
                _ => as_callee(
                    &self.current_codec()?.only(offer.audio.clone()),
                    self.address(side)?,
                ),
            },
        };
        let mut answer = match keeps {
            true => self.current_codec()?.only(said),
            // What it was told of one codec alone it can answer with no other.
            false if self.ring_tone.is_some() || self.is_delayed || across == Across::Nobody => {
                return None;
            }
            false => said,
        };
        answer.direction = answer.direction.answering(offer.audio.direction);
        let agreed = CallCodec::of(&offer.audio, &answer).ok()?;
        Some((answer, agreed))
    }

    fn settle(
        &mut self,
        side: Side,
        offer: Description,
        answer: &Audio,
        agreed: CallCodec,
        across: Across,
    ) -> Option<Vec<u8>> {
        let address = self.address(side)?;
        // What the callee said before may have been of no use; this is.
        let has_callee =
            across != Across::Nobody && (side == Side::Callee || self.agreed.is_some());
        let party = self.party_mut(side);
        let reply = party.ours.answer(&offer, answer, &agreed, address);
        let flipped = agreed.flipped(&offer.audio);
        party.offer(offer, agreed.offerer());
        party.is_renewed = true;
        party.codec = Some(agreed.codec());
        let other = self.party_mut(side.other());
        // Its packets mean what it was told, whatever this side has.
        if other.ours.said().is_empty() || other.codec != Some(agreed.codec()) {
            other.payloads = other.theirs.is_some().then(|| agreed.answerer());
        }
        let for_caller = match side {
            Side::Caller => agreed,
            Side::Callee => flipped,
        };
        if side == Side::Caller
            && let Some(ring_tone) = &mut self.ring_tone
        {
            ring_tone.body = reply.clone();
            ring_tone.agreed = for_caller.clone();
        }
        match has_callee {
            true => self.agreed = Some(for_caller),
            false => self.alone = Some(for_caller),
        }
        Some(reply)
    }

    /// The codec that sounds now, whoever speaks.
    fn current_codec(&self) -> Option<&CallCodec> {
        let ring_tone = self.ring_tone.as_ref().map(|ring_tone| &ring_tone.agreed);
        self.agreed.as_ref().or(ring_tone).or(self.alone.as_ref())
    }

    /// Where media goes now: between the sides, or to the caller alone.
    pub fn path_now(&self, across: Across) -> Option<MediaPath> {
        let alone = || {
            let law = self.current_codec()?.law();
            Some(MediaPath {
                caller: Some(self.caller.end(law, false)?),
                callee: None,
            })
        };
        match across {
            Across::Nobody => alone(),
            _ => self.path().or_else(alone),
        }
    }

    /// The caller is told what was agreed.
    pub fn tell_caller(&mut self) {
        let codec = self.current_codec().map(CallCodec::codec);
        self.caller.codec = self.caller.codec.or(codec);
    }

    /// Whether this side believes in another codec than the call has.
    pub fn speaks_another(&self, side: Side) -> bool {
        let codec = self.agreed.as_ref().map(CallCodec::codec);
        let believed = self.party(side).codec;
        believed.is_some() && codec.is_some() && believed != codec
    }

    /// Whether this side must hear how the other one's media is, once both have answered, since exchanges
    /// before the answer went by without it. A caller without an exchange of its own hears it by our answer.
    pub fn is_behind(&self, side: Side) -> bool {
        let (party, other) = (self.party(side), self.party(side.other()));
        let can_be = match side {
            Side::Caller => self.caller.is_renewed,
            Side::Callee => self.caller.is_renewed || self.callee.is_renewed,
        };
        if side == Side::Caller && self.was_caller_answered_before_hold() {
            return true;
        }
        // Who holds by itself is told of the other one's hold when it resumes.
        let hold_is_news = !party.holds && party.was_told_of_hold() == Some(!other.holds);
        can_be
            && self.offered.is_none()
            && party.theirs.is_some()
            && (hold_is_news || self.speaks_another(side))
    }
}
