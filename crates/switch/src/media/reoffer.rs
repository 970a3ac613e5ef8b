//! Offers after the first exchange (RFC 3264 section 8): one side's offer is made to the other one, or a side is
//! offered what the other one's media is.

use super::Media;
use super::call_codec::CallCodec;
use super::unfit::Unfit;
use maskline_domain::call::Side;
use maskline_sip::sdp::{Audio, Description, Direction};
use std::net::IpAddr;

impl Media {
    /// Takes a new offer of one side, to be offered to the other.
    ///
    /// # Errors
    /// The status that refuses it: one offer too many.
    pub fn take_offer(&mut self, side: Side, offer: Description) -> Result<(), u16> {
        if self.offered.is_some() {
            return Err(491);
        }
        self.offered = Some((side, offer));
        Ok(())
    }

    /// The offer of this side is over: it was refused, or is not waited for any more.
    pub fn forget_offer(&mut self, side: Side) {
        self.offered.take_if(|(by, _)| *by == side);
    }

    /// Whether this side is to answer what the other one has offered.
    pub fn owes_reply(&self, side: Side) -> bool {
        matches!(&self.offered, Some((by, _)) if *by == side.other())
    }

    /// What the other side has just offered, for this one.
    pub fn offer_to(&mut self, side: Side) -> Option<Vec<u8>> {
        let ours = self.address(side)?;
        let (_, offer) = self.offered.as_ref().filter(|(by, _)| *by != side)?;
        let party = self.party(side);
        let audio = match &party.theirs {
            Some(theirs) => offer.audio.renumbered(&theirs.audio),
            None => offer.audio.clone(),
        };
        let audio = party.codecs.only(audio)?;
        Some(self.party_mut(side).ours.offer(&audio, ours))
    }

    /// Takes one side's answer to what the other one offered, and gives the answer for that one.
    pub fn take_reply(
        &mut self,
        side: Side,
        body: &[u8],
        named: Option<IpAddr>,
    ) -> Result<Vec<u8>, Unfit> {
        let answer = self.party(side).read(body, named)?;
        let offerer = side.other();
        let ours = self.address(offerer).ok_or(Unfit::Codec)?;
        let offered = self.offered.take_if(|(by, _)| *by == offerer);
        let (_, offer) = offered.ok_or(Unfit::Codec)?;
        let offered = self.party(side).codecs.only(offer.audio.clone());
        let agreed = CallCodec::of(&offered.ok_or(Unfit::Codec)?, &answer.audio)?;
        let direction = offer.audio.direction;
        let party = self.party_mut(offerer);
        let reply = party.ours.answer(&offer, &answer.audio, &agreed, ours);
        let flipped = agreed.flipped(&offer.audio);
        party.offer(offer, agreed.offerer());
        self.party_mut(side)
            .answer(direction, answer, agreed.answerer());
        for party in [&mut self.caller, &mut self.callee] {
            party.codec = Some(agreed.codec());
            party.is_renewed = true;
        }
        // Before the answer the caller is the one who has offered.
        let agreed = match offerer {
            Side::Caller => agreed,
            Side::Callee => flipped,
        };
        if let Some(ring_tone) = &mut self.ring_tone {
            ring_tone.body = self.caller.ours.said().to_vec();
            ring_tone.agreed = agreed.clone();
        }
        self.agreed = Some(agreed);
        Ok(reply)
    }

    /// The other side's media as it is, for a side that asks for it or must hear that it has changed.
    pub fn offer_what_is(&mut self, side: Side) -> Option<Vec<u8>> {
        let (audio, ours) = (self.what_is(side)?, self.address(side)?);
        Some(self.party_mut(side).ours.offer(&audio, ours))
    }

    /// The one codec that was agreed on, since the other side is not asked and nothing is transcoded; keys and
    /// comfort noise only where both know them.
    fn what_is(&self, side: Side) -> Option<Audio> {
        let (party, other) = (self.party(side), self.party(side.other()));
        let (theirs, said) = (&party.theirs.as_ref()?.audio, &other.theirs.as_ref()?.audio);
        let both_know_keys = [party, other].iter().all(|party| {
            party
                .payloads
                .is_some_and(|payloads| payloads.events.is_some())
        });
        // A side that only reacts to a hold would not hold by itself: whoever held may resume
        // (RFC 6337 section 5.3). Where both hold, what a side does at the end of its own hold is open.
        let direction = match (other.holds, party.holds) {
            (false, _) => Direction::SendRecv,
            (true, false) => said.direction,
            (true, true) => Direction::SendOnly,
        };
        let audio = Audio {
            noise: said.noise && theirs.noise,
            direction,
            ..self.agreed.as_ref()?.only(said.clone())
        };
        let audio = match both_know_keys {
            true => audio,
            false => audio.without_events(),
        };
        Some(audio.renumbered(theirs))
    }

    /// Takes one side's answer to what it was offered as it is. Says whether it holds the call now and did
    /// not before, or the other way round.
    pub fn take_answer_to_what_is(
        &mut self,
        side: Side,
        body: &[u8],
        named: Option<IpAddr>,
    ) -> Result<bool, Unfit> {
        let answer = self.party(side).read(body, named)?;
        let offer = self.what_is(side).ok_or(Unfit::Codec)?;
        let agreed = CallCodec::of(&offer, &answer.audio)?;
        let party = self.party_mut(side);
        party.codec = Some(agreed.codec());
        party.is_renewed = true;
        Ok(party.answer(offer.direction, answer, agreed.answerer()))
    }
}
