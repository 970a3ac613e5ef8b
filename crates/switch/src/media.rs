//! What each side has said of its media, what both agreed on, and the descriptions that each is given. What
//! crosses from one side to the other is an [`Audio`], never a description.

mod early;
mod ringing;
mod unfit;

use super::codecs::Codecs;
use super::media_reach::Reach;
use super::{Lease, MediaEnd, MediaPath, Unheard};
pub(super) use early::Across;
use maskline_domain::call::{Reason, Side};
use maskline_sip::g711::Law;
use maskline_sip::sdp::{
    self, Agreement, Audio, Codec, Description, Direction, LocalSession, PassThrough, Passing,
    Payloads,
};
use ringing::Rung;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
pub(super) use unfit::Unfit;

/// See the module.
pub(super) struct Media {
    /// Whether the caller's INVITE had no description: then it gets our offer in the answer.
    is_delayed: bool,
    lease: Option<Lease>,
    /// What the callee's side is told where its trunk wants no other address.
    usual: Option<IpAddr>,
    caller: Half,
    callee: Half,
    /// What the two sides agreed on last.
    agreed: Option<Agreed>,
    /// An offer of one side that waits for the other side's answer.
    offered: Option<(Side, Description)>,
    /// Whether the callee is offered only the codec of a ring tone that the caller is to hear.
    is_toned: bool,
    /// The answer that it had for that.
    rung: Option<Rung>,
    /// What the caller was told alone, to hear why nobody answers.
    alone: Option<Agreed>,
    /// Why the caller's INVITE cannot be used.
    unfit: Option<Unfit>,
}

/// One side.
struct Half {
    /// What we say to it.
    ours: LocalSession,
    /// What it said last.
    theirs: Option<Description>,
    /// What the numbers in its packets mean.
    payloads: Option<Payloads>,
    /// Whether it has put the call on hold by itself, not only because the other side has.
    holds: bool,
    /// The codec that it believes in.
    spoken: Option<Spoken>,
    /// Whether its last exchange was another than the first of its leg.
    is_renewed: bool,
    codecs: Codecs,
    reach: Reach,
    /// Counts its descriptions, and the answer to its call.
    version: u32,
}

impl Half {
    fn new(session: u64, codecs: Codecs, reach: Reach) -> Self {
        Self {
            codecs,
            ours: LocalSession::new(session),
            theirs: None,
            payloads: None,
            holds: false,
            spoken: None,
            is_renewed: false,
            reach,
            version: 0,
        }
    }

    /// Reads what this side says of its media, as far as its trunk lets it. `named` is the address that its host
    /// name stands for, if it has one.
    fn read(&self, body: &[u8], named: Option<IpAddr>) -> Result<Description, Unfit> {
        let can_speak = |ip| self.reach.can_speak_with(ip);
        let read = sdp::parse_within(body, &self.codecs.passing, named, can_speak);
        let mut read = read.map_err(|_| Unfit::Codec)?;
        if !can_speak(read.audio.address.ip()) {
            return Err(Unfit::Family);
        }
        // An address of IPv4 may be written as one of IPv6.
        let addresses = [Some(&mut read.audio.address), read.audio.rtcp.as_mut()];
        for address in addresses.into_iter().flatten() {
            address.set_ip(address.ip().to_canonical());
        }
        let audio = self.codecs.only(read.audio);
        read.audio = audio.ok_or(Unfit::Codec)?;
        Ok(read)
    }

    /// It has offered this, and it was taken.
    fn offer(&mut self, description: Description, payloads: Payloads) {
        self.holds = !description.audio.direction.receives();
        self.say(description, payloads);
    }

    /// It has answered an offer of this direction. Says whether it holds the call now and did not before, or
    /// the other way round. Where nobody sends there is nothing to hold, so that its answer tells nothing.
    fn answer(&mut self, offered: Direction, description: Description, payloads: Payloads) -> bool {
        let held = self.holds;
        if offered.sends() {
            self.holds = !description.audio.direction.receives();
        }
        self.say(description, payloads);
        self.holds != held
    }

    fn say(&mut self, description: Description, payloads: Payloads) {
        self.theirs = Some(description);
        self.payloads = Some(payloads);
        self.version += 1;
    }

    /// `takes_noise` says whether both sides have taken comfort noise.
    fn end(&self, law: Option<Law>, takes_noise: bool) -> Option<MediaEnd> {
        let audio = &self.theirs.as_ref()?.audio;
        Some(MediaEnd {
            address: audio.address,
            rtcp: audio.rtcp,
            noise: takes_noise,
            networks: Arc::clone(&self.reach.networks),
            sources: Arc::clone(&self.reach.sources),
            unheard: self.reach.unheard(audio.address.ip()),
            payloads: self.payloads?,
            law,
            direction: audio.direction,
            nat: self.reach.nat,
            version: self.version,
        })
    }
}

/// A codec, whatever its number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spoken {
    Known(Codec),
    Passed(PassThrough),
}

/// The one codec of a call.
#[derive(Clone)]
enum Agreed {
    Known(Agreement),
    Passed(Passing),
}

impl Agreed {
    fn of(offered: &Audio, answered: &Audio) -> Result<Self, Reason> {
        sdp::agree(offered, answered)
            .map(Self::Known)
            .or_else(|_| sdp::agree_passing(offered, answered).map(Self::Passed))
            .map_err(|_| Reason::NoCommonCodec)
    }

    fn offerer(&self) -> Payloads {
        match self {
            Self::Known(agreement) => agreement.offerer,
            Self::Passed(passing) => passing.offerer,
        }
    }

    fn answerer(&self) -> Payloads {
        match self {
            Self::Known(agreement) => agreement.answerer,
            Self::Passed(passing) => passing.answerer,
        }
    }

    /// What is left of `audio` with the one codec, under the number that `audio` has for it.
    fn only(&self, mut audio: Audio) -> Audio {
        match self {
            Self::Known(agreement) => {
                audio.codecs.retain(|(codec, _)| *codec == agreement.codec);
                audio.foreign.clear();
            }
            Self::Passed(passing) => {
                audio.codecs.clear();
                let codec = passing.format.codec;
                audio.foreign.retain(|format| format.codec == codec);
            }
        }
        audio
    }

    fn law(&self) -> Option<Law> {
        match self {
            Self::Known(agreement) => Some(agreement.codec.law()),
            Self::Passed(_) => None,
        }
    }
}

impl sdp::Agreed for Agreed {
    fn narrow(&self, audio: &Audio) -> Audio {
        match self {
            Self::Known(agreement) => agreement.narrow(audio),
            Self::Passed(passing) => passing.narrow(audio),
        }
    }
}

impl Media {
    /// The caller's INVITE had this body, whose host name stands for `named`, and came by a trunk that lets these
    /// codecs be used. `sessions` are numbers for `o=` that tell nothing, one for each side.
    pub fn from_offer(
        body: &[u8],
        named: Option<IpAddr>,
        codecs: Codecs,
        reach: Reach,
        sessions: [u64; 2],
    ) -> Self {
        let callee = Half::new(sessions[1], codecs.clone(), reach.clone());
        let mut caller = Half::new(sessions[0], codecs, reach);
        let read = caller.read(body, named);
        let unfit = read.as_ref().err().copied();
        caller.theirs = read.ok();
        let offered = caller.theirs.as_ref();
        caller.holds = offered.is_some_and(|offer| !offer.audio.direction.receives());
        Self {
            is_delayed: body.is_empty(),
            lease: None,
            usual: None,
            caller,
            callee,
            agreed: None,
            offered: None,
            is_toned: false,
            rung: None,
            alone: None,
            unfit,
        }
    }

    /// Reads what a side says, as far as its trunk lets it. Nothing has changed then: whatever is wrong with it
    /// must be found before it is taken.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn read(
        &self,
        side: Side,
        body: &[u8],
        named: Option<IpAddr>,
    ) -> Result<Description, Unfit> {
        self.half(side).read(body, named)
    }

    pub fn is_usable(&self) -> bool {
        self.is_delayed || self.caller.theirs.is_some()
    }

    /// Whether the sound is of a kind that we can speak and record.
    pub fn is_understood(&self) -> bool {
        self.agreed
            .as_ref()
            .is_none_or(|agreed| agreed.law().is_some())
    }

    /// Why the caller's INVITE cannot be used.
    pub fn why_unfit(&self) -> Option<Unfit> {
        self.unfit
    }

    /// The caller's INVITE cannot be used for what it does not show by itself.
    pub fn is_found_unfit(&mut self, why: Unfit) {
        self.unfit = Some(why);
    }

    /// Where this side said last that it receives.
    pub fn told(&self, side: Side) -> Option<SocketAddr> {
        let theirs = self.half(side).theirs.as_ref();
        theirs.map(|theirs| theirs.audio.address)
    }

    /// The call is answered: what is behind NAT may be found somewhere else now. Says whether that is news.
    pub fn seek_anew(&mut self) -> bool {
        for half in [&mut self.caller, &mut self.callee] {
            half.version += u32::from(half.reach.nat);
        }
        self.caller.reach.nat || self.callee.reach.nat
    }

    /// The caller's signalling is proven now. What it may be sent before it is heard, if that changes.
    pub fn prove_caller(&mut self) -> Option<Unheard> {
        if !self.caller.reach.prove() {
            return None;
        }
        let theirs = self.caller.theirs.as_ref()?;
        self.caller.reach.unheard(theirs.audio.address.ip())
    }

    /// The ports that it has.
    pub fn leased(&self) -> Option<Lease> {
        self.lease
    }

    pub fn is_leased(&self) -> bool {
        self.lease.is_some()
    }

    pub fn lease(&mut self, lease: Lease) {
        self.usual = Some(lease.callee.ip());
        self.lease = Some(lease);
    }

    /// Whether this side takes keys as RTP events that we write ourselves, which have a clock of 8 kHz.
    pub fn takes_events(&self, side: Side) -> bool {
        let is_at_8khz = match &self.agreed {
            Some(Agreed::Passed(passing)) => passing.events_hz == 8_000,
            _ => true,
        };
        let payloads = self.half(side).payloads;
        is_at_8khz && payloads.is_some_and(|payloads| payloads.events.is_some())
    }

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
        self.callee = Half::new(session, codecs, reach);
        let (audio, ours) = (self.first_offer()?, self.lease?.callee);
        Some(self.callee.ours.offer(&audio, ours))
    }

    /// Whether a callee can be offered something that its trunk lets be used.
    pub fn fits(&self, codecs: &Codecs) -> bool {
        self.first_offer_by(codecs).is_some()
    }

    fn first_offer(&self) -> Option<Audio> {
        self.first_offer_by(&self.callee.codecs)
    }

    /// What the callee is offered first: what the caller offers, or all that we have.
    fn first_offer_by(&self, codecs: &Codecs) -> Option<Audio> {
        self.whole_offer_by(codecs).map(|audio| self.toned(audio))
    }

    /// The same before anything is taken away for a ring tone.
    fn whole_offer_by(&self, codecs: &Codecs) -> Option<Audio> {
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

    /// Whether the callee means to send, by what it said last.
    pub fn is_callee_heard(&self) -> bool {
        let said = self.callee.theirs.as_ref();
        said.is_some_and(|said| said.audio.direction.sends())
    }

    /// Whether the caller wants to hear anything, by what it said last. One who has said nothing may.
    pub fn is_caller_listening(&self) -> bool {
        let said = self.caller.theirs.as_ref();
        said.is_none_or(|said| said.audio.direction.receives())
    }

    /// Whether the sides have agreed, so that an answer without SDP repeats what was agreed.
    pub fn is_agreed(&self) -> bool {
        self.agreed.is_some()
    }

    /// Takes the callee's answer. Says whether it brought anything new.
    pub fn take_answer(&mut self, answer: Description) -> Result<bool, Reason> {
        // What it has offered itself, and we have answered, is no answer of its own.
        if self.callee.is_renewed && self.callee.theirs.as_ref() == Some(&answer) {
            return Ok(false);
        }
        let offer = self.first_offer().ok_or(Reason::NoCommonCodec)?;
        let agreed = Agreed::of(&offer, &answer.audio)?;
        if !self.is_delayed && self.rung.is_none() {
            self.caller.payloads = Some(agreed.offerer());
        }
        // The caller may have said something else since.
        let offered = self.callee.told_direction().unwrap_or(offer.direction);
        self.callee.answer(offered, answer, agreed.answerer());
        self.callee.spoken = Some(agreed.spoken());
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
        if let Some((answer, _)) = self.rung_answer() {
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
    pub fn take_late_answer(&mut self, body: &[u8], named: Option<IpAddr>) -> Result<bool, Reason> {
        let answered = self.callee.theirs.as_ref().ok_or(Reason::Failed)?;
        let agreed = self.agreed.as_ref().ok_or(Reason::Failed)?;
        let offer = agreed.only(answered.audio.clone());
        let answer = self.caller.read(body, named)?;
        let agreed = Agreed::of(&offer, &answer.audio)?;
        self.caller.spoken = Some(agreed.spoken());
        Ok(self
            .caller
            .answer(offer.direction, answer, agreed.answerer()))
    }

    /// An answer of our own for the caller, so that it hears a prompt: what was agreed with a callee, or
    /// else the caller's first choice.
    pub fn answer_alone(&mut self) -> Option<(Vec<u8>, MediaPath)> {
        if let Some(answer) = self.rung_answer() {
            return Some(answer);
        }
        let lease = self.lease?;
        let agreed = match &self.agreed {
            Some(agreed) => agreed.clone(),
            None => {
                let offered = &self.caller.theirs.as_ref()?.audio;
                let agreed = Agreed::of(offered, &alone(offered, lease.caller)).ok()?;
                self.alone = Some(agreed.clone());
                agreed
            }
        };
        let law = Some(agreed.law()?);
        let offered = self.caller.theirs.as_ref()?;
        let answered = match &self.callee.theirs {
            Some(callee) if self.agreed.is_some() => Audio {
                // We speak where the callee did not.
                direction: match self.is_callee_heard() {
                    true => callee.audio.direction,
                    false => offered.audio.direction.reversed(),
                },
                ..callee.audio.clone()
            },
            _ => alone(&offered.audio, lease.caller),
        };
        let ours = &mut self.caller.ours;
        let body = ours.answer(offered, &answered, &agreed, lease.caller);
        self.caller.payloads = Some(agreed.offerer());
        let path = MediaPath {
            caller: self.caller.end(law, false),
            callee: None,
        };
        Some((body, path))
    }

    /// Where media goes, as soon as both sides have said what they want.
    pub fn path(&self) -> Option<MediaPath> {
        let law = self.agreed.as_ref()?.law();
        let knows_noise = |half: &Half| half.theirs.as_ref().is_some_and(|it| it.audio.noise);
        let both_know_noise = knows_noise(&self.caller) && knows_noise(&self.callee);
        Some(MediaPath {
            caller: Some(self.caller.end(law, both_know_noise)?),
            callee: Some(self.callee.end(law, both_know_noise)?),
        })
    }

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
        let half = self.half(side);
        let audio = match &half.theirs {
            Some(theirs) => offer.audio.renumbered(&theirs.audio),
            None => offer.audio.clone(),
        };
        let audio = half.codecs.only(audio)?;
        Some(self.half_mut(side).ours.offer(&audio, ours))
    }

    /// Takes one side's answer to what the other one offered, and gives the answer for that one.
    pub fn take_reply(
        &mut self,
        side: Side,
        body: &[u8],
        named: Option<IpAddr>,
    ) -> Result<Vec<u8>, Reason> {
        let answer = self.half(side).read(body, named)?;
        let offerer = side.other();
        let ours = self.address(offerer).ok_or(Reason::Failed)?;
        let offered = self.offered.take_if(|(by, _)| *by == offerer);
        let (_, offer) = offered.ok_or(Reason::Failed)?;
        let offered = self.half(side).codecs.only(offer.audio.clone());
        let agreed = Agreed::of(&offered.ok_or(Reason::NoCommonCodec)?, &answer.audio)?;
        let direction = offer.audio.direction;
        let half = self.half_mut(offerer);
        let reply = half.ours.answer(&offer, &answer.audio, &agreed, ours);
        let flipped = agreed.flipped(&offer.audio);
        half.offer(offer, agreed.offerer());
        self.half_mut(side)
            .answer(direction, answer, agreed.answerer());
        for half in [&mut self.caller, &mut self.callee] {
            half.spoken = Some(agreed.spoken());
            half.is_renewed = true;
        }
        // Before the answer the caller is the one who has offered.
        let agreed = match offerer {
            Side::Caller => agreed,
            Side::Callee => flipped,
        };
        if let Some(rung) = &mut self.rung {
            rung.body = self.caller.ours.said().to_vec();
            rung.agreed = agreed.clone();
        }
        self.agreed = Some(agreed);
        Ok(reply)
    }

    /// The other side's media as it is, for a side that asks for it or must hear that it has changed.
    pub fn offer_what_is(&mut self, side: Side) -> Option<Vec<u8>> {
        let (audio, ours) = (self.what_is(side)?, self.address(side)?);
        Some(self.half_mut(side).ours.offer(&audio, ours))
    }

    /// The one codec that was agreed on, since the other side is not asked and nothing is transcoded; keys and
    /// comfort noise only where both know them.
    fn what_is(&self, side: Side) -> Option<Audio> {
        let (half, other) = (self.half(side), self.half(side.other()));
        let (theirs, said) = (&half.theirs.as_ref()?.audio, &other.theirs.as_ref()?.audio);
        let both_know_keys = [half, other].iter().all(|half| {
            half.payloads
                .is_some_and(|payloads| payloads.events.is_some())
        });
        // A side that only reacts to a hold would not hold by itself: whoever held may resume
        // (RFC 6337 section 5.3). Where both hold, what a side does at the end of its own hold is open.
        let direction = match (other.holds, half.holds) {
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
    ) -> Result<bool, Reason> {
        let answer = self.half(side).read(body, named)?;
        let offer = self.what_is(side).ok_or(Reason::Failed)?;
        let agreed = Agreed::of(&offer, &answer.audio)?;
        let half = self.half_mut(side);
        half.spoken = Some(agreed.spoken());
        half.is_renewed = true;
        Ok(half.answer(offer.direction, answer, agreed.answerer()))
    }

    fn address(&self, side: Side) -> Option<SocketAddr> {
        let lease = self.lease?;
        Some(match side {
            Side::Caller => lease.caller,
            Side::Callee => lease.callee,
        })
    }

    fn half(&self, side: Side) -> &Half {
        match side {
            Side::Caller => &self.caller,
            Side::Callee => &self.callee,
        }
    }

    fn half_mut(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Caller => &mut self.caller,
            Side::Callee => &mut self.callee,
        }
    }
}

/// What we would say if we were the callee: the first codec that we understand, and no more than is wanted
/// of us.
fn alone(theirs: &Audio, ours: SocketAddr) -> Audio {
    Audio {
        address: ours,
        codecs: theirs.codecs.iter().take(1).copied().collect(),
        foreign: Vec::new(),
        noise: false,
        direction: theirs.direction.reversed(),
        ..theirs.clone()
    }
}
