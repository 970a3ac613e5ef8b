//! The first offer and its answer: from the caller's INVITE to the callee, and back.

use super::Media;
use super::call_codec::CallCodec;
use super::party::PartyMedia;
use super::unfit::Unfit;
use crate::codecs::Codecs;
use crate::media_reach::Reach;
use maskline_domain::call::Side;
use maskline_sip::sdp::{self, Audio, Description};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

impl Media {
    /// The offer for the callee, who is dialled by a trunk that may want another address and other codecs,
    /// and be behind NAT. `session` is a number for `o=`, since this is a new session. None if there is no
    /// codec that both trunks let be used.
    pub fn offer_by(
        &mut self,
        advertised: Option<IpAddr>,
        codecs: Codecs,
        reach: Reach,
        session: u64,
    ) -> Option<Vec<u8>> {
        let told = advertised.or(self.usual)?;
        self.lease.as_mut()?.callee.set_ip(told);
        self.agreed = None;
        self.callee = PartyMedia::new(session, codecs, reach);
        let (audio, ours) = (self.first_offer()?, self.lease?.callee);
        Some(self.callee.ours.offer(&audio, ours))
    }

    /// Whether a callee can be offered something that its trunk lets be used.
    pub fn fits(&self, codecs: &Codecs) -> bool {
        self.first_offer_by(codecs).is_some()
    }

    pub(super) fn first_offer(&self) -> Option<Audio> {
        self.first_offer_by(&self.callee.codecs)
    }

    /// What the callee is offered first: what the caller offers, or all that we have.
    fn first_offer_by(&self, codecs: &Codecs) -> Option<Audio> {
        self.whole_offer_by(codecs).map(|audio| self.toned(audio))
    }

    /// The same before anything is taken away for a ring tone.
    pub(super) fn whole_offer_by(&self, codecs: &Codecs) -> Option<Audio> {
        let audio = match &self.caller.theirs {
            Some(theirs) if !self.is_delayed => theirs.audio.clone(),
            // Where it is received is said when it is written.
            _ if self.is_delayed => {
                let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
                self.caller.codecs.only(Audio::ours(nowhere))?
            }
            _ => return None,
        };
        codecs.only(audio)
    }

    /// Takes the callee's answer. Says whether it brought anything new.
    pub fn take_answer(&mut self, answer: Description) -> Result<bool, Unfit> {
        // What it has offered itself, and we have answered, is no answer of its own.
        if self.callee.is_renewed && self.callee.theirs.as_ref() == Some(&answer) {
            return Ok(false);
        }
        let offer = self.first_offer().ok_or(Unfit::Codec)?;
        let agreed = CallCodec::of(&offer, &answer.audio)?;
        if !self.is_delayed && self.ring_tone.is_none() {
            self.caller.payloads = Some(agreed.offerer());
        }
        // The caller may have said something else since.
        let offered = self.callee.told_direction().unwrap_or(offer.direction);
        self.callee.answer(offered, answer, agreed.answerer());
        self.callee.codec = Some(agreed.codec());
        self.callee.is_renewed = false;
        self.agreed = Some(agreed);
        Ok(true)
    }

    /// What the caller is answered with, once the callee has: an answer, or our offer if it had none.
    pub fn answer(&mut self) -> Option<Vec<u8>> {
        // Another exchange has followed the first, or is under way: what is left to be told is told apart.
        if self.caller.is_renewed || self.owes_reply(Side::Caller) {
            return Some(self.caller.ours.said().to_vec());
        }
        if let Some((answer, _)) = self.ring_tone_answer() {
            return Some(answer);
        }
        let (agreed, lease) = (self.agreed.as_ref()?, self.lease?);
        let answered = &self.callee.theirs.as_ref()?.audio;
        if self.is_delayed {
            let narrow = sdp::Agreed::narrow(agreed, answered);
            return Some(self.caller.ours.offer(&narrow, lease.caller));
        }
        let offered = self.caller.theirs.as_ref()?;
        let mut ours = self.caller.ours.clone();
        let answer = ours.answer(offered, answered, agreed, lease.caller);
        // Another packet time of the callee's next machine is no reason to ask the caller anew.
        if ours.says_the_same_as(&self.caller.ours) {
            return Some(self.caller.ours.said().to_vec());
        }
        self.caller.ours = ours;
        Some(answer)
    }

    /// Whether the caller still owes us an answer to our offer.
    pub fn is_late(&self) -> bool {
        self.is_delayed && self.caller.theirs.is_none()
    }

    /// Takes the caller's answer to our offer in the answer. Says whether it puts the call on hold.
    pub fn take_late_answer(&mut self, body: &[u8], named: Option<IpAddr>) -> Result<bool, Unfit> {
        let answered = self.callee.theirs.as_ref().ok_or(Unfit::Codec)?;
        let agreed = self.agreed.as_ref().ok_or(Unfit::Codec)?;
        let offer = agreed.only(answered.audio.clone());
        let answer = self.caller.read(body, named)?;
        let agreed = CallCodec::of(&offer, &answer.audio)?;
        self.caller.codec = Some(agreed.codec());
        Ok(self
            .caller
            .answer(offer.direction, answer, agreed.answerer()))
    }
}
