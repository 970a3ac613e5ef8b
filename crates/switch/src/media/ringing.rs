//! A ring tone of ours: the caller is answered before the callee has said anything of its media.

use super::Media;
use super::announcing::as_callee;
use super::call_codec::CallCodec;
use crate::MediaPath;
use maskline_domain::call::Side;
use maskline_sip::sdp::Audio;

/// The answer that the caller had so that it heard a tone. Whatever the callee says later, it stays the
/// answer to that offer (RFC 3261 section 13.2.1).
pub(super) struct RingToneAnswer {
    pub body: Vec<u8>,
    pub agreed: CallCodec,
}

impl Media {
    /// From now on a callee is offered all codecs that there are, or only the one in which the caller will hear
    /// a tone.
    pub fn set_toned(&mut self, toned: bool) {
        self.is_toned = toned;
    }

    /// Whether the callee was offered fewer codecs for the sake of a tone.
    pub fn is_narrowed_for_tone(&self) -> bool {
        let codecs = |offer: Option<Audio>| offer.map(|it| (it.codecs, it.pass_through));
        self.is_toned
            && codecs(self.first_offer()) != codecs(self.whole_offer_by(&self.callee.codecs))
    }

    /// What is left for the callee of what it could be offered first.
    pub(super) fn toned(&self, mut audio: Audio) -> Audio {
        if let Some(ring_tone) = &self.ring_tone {
            audio.noise = false;
            return ring_tone.agreed.only(audio);
        }
        if self.is_toned && !self.is_delayed && !audio.codecs.is_empty() {
            audio.codecs.truncate(1);
            audio.pass_through.clear();
            // The caller is answered without.
            audio.noise = false;
        }
        audio
    }

    /// Whether the caller was answered for a tone, and the callee has held the call since, which that answer
    /// could not tell.
    pub(super) fn was_caller_answered_before_hold(&self) -> bool {
        self.ring_tone.is_some() && self.callee.holds
    }

    /// Whether a tone can be played to the caller. Not where it wants our offer, nor where the callee was offered
    /// nothing that we can speak, nor over the callee.
    pub fn takes_tone(&self) -> bool {
        self.tone_answer().is_some()
    }

    fn tone_answer(&self) -> Option<(Audio, CallCodec)> {
        let (offer, lease) = (self.first_offer()?, self.lease?);
        let offered = self.caller.theirs.as_ref();
        let offered = offered.filter(|_| !self.is_delayed && !self.is_callee_heard())?;
        let answered = as_callee(&offer, lease.caller);
        let agreed = CallCodec::of(&offered.audio, &answered).ok()?;
        agreed.law()?;
        Some((answered, agreed))
    }

    /// An answer of our own, so that the caller hears a tone; none where it takes none.
    pub fn ring(&mut self) -> Option<(Vec<u8>, MediaPath)> {
        let (answered, agreed) = self.tone_answer()?;
        let (offered, lease) = (self.caller.theirs.as_ref()?, self.lease?);
        let ours = &mut self.caller.ours;
        let body = ours.answer(offered, &answered, &agreed, lease.caller);
        self.caller.payloads = Some(agreed.offerer());
        self.caller.codec = Some(agreed.codec());
        self.ring_tone = Some(RingToneAnswer { body, agreed });
        let (body, alone) = self.ring_tone_answer()?;
        // A callee that has said where it listens need not say so again when it answers.
        Some((body, self.path().unwrap_or(alone)))
    }

    /// The answer that the caller had for a tone, and the way to it alone.
    pub(super) fn ring_tone_answer(&self) -> Option<(Vec<u8>, MediaPath)> {
        let ring_tone = self.ring_tone.as_ref()?;
        let path = MediaPath {
            caller: self.party(Side::Caller).end(ring_tone.agreed.law(), false),
            callee: None,
        };
        Some((ring_tone.body.clone(), path))
    }
}
