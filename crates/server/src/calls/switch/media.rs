//! What each side has said of its media, what both agreed on, and the descriptions that each is given. What
//! crosses from one side to the other is an [`Audio`], never a description.

mod ringing;

use super::codecs::Codecs;
use super::{Lease, MediaEnd, MediaPath};
use maskline_domain::call::{Reason, Side};
use maskline_sip::g711::Law;
use maskline_sip::sdp::{self, Agreement, Audio, Description, OurSide, Passing, Payloads};
use ringing::Rung;
use std::net::{IpAddr, SocketAddr};

/// See the module.
pub(super) struct Media {
    /// Whether the caller's INVITE had no description: then it gets our offer in the answer.
    is_delayed: bool,
    lease: Option<Lease>,
    /// What the callee's side is told where its trunk wants no other address.
    usual: Option<IpAddr>,
    caller: Half,
    callee: Half,
    /// What the callee's last answer was agreed on with.
    agreed: Option<Agreed>,
    /// Whether the caller is to hear a ring tone of ours.
    is_toned: bool,
    /// The answer that it had for that.
    rung: Option<Rung>,
}

/// One side.
struct Half {
    /// What we say to it.
    ours: OurSide,
    /// What it said last.
    theirs: Option<Description>,
    /// What the numbers in its packets mean.
    payloads: Option<Payloads>,
    /// An offer of its that waits for the other side's answer.
    offered: Option<Description>,
    codecs: Codecs,
    nat: bool,
    /// Counts its descriptions.
    version: u32,
}

impl Half {
    fn new(session: u64, codecs: Codecs, nat: bool) -> Self {
        Self {
            codecs,
            ours: OurSide::new(session),
            theirs: None,
            payloads: None,
            offered: None,
            nat,
            version: 0,
        }
    }

    /// Reads what this side says of its media, as far as its trunk lets it.
    fn read(&self, body: &[u8]) -> Result<Description, Reason> {
        let read = sdp::parse_passing(body, &self.codecs.passing);
        let mut read = read.map_err(|_| Reason::NoCommonCodec)?;
        let audio = self.codecs.only(read.audio);
        read.audio = audio.ok_or(Reason::NoCommonCodec)?;
        Ok(read)
    }

    fn say(&mut self, description: Description, payloads: Payloads) {
        self.theirs = Some(description);
        self.payloads = Some(payloads);
        self.version += 1;
    }

    fn end(&self, law: Option<Law>) -> Option<MediaEnd> {
        let audio = &self.theirs.as_ref()?.audio;
        Some(MediaEnd {
            address: audio.address,
            payloads: self.payloads?,
            law,
            direction: audio.direction,
            nat: self.nat,
            version: self.version,
        })
    }
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
    /// The caller's INVITE had this body, and came by a trunk that lets these codecs be used. `sessions` are
    /// numbers for `o=` that tell nothing, one for each side.
    pub fn from_offer(body: &[u8], codecs: Codecs, nat: bool, sessions: [u64; 2]) -> Self {
        let mut caller = Half::new(sessions[0], codecs.clone(), nat);
        caller.theirs = caller.read(body).ok();
        Self {
            is_delayed: body.is_empty(),
            lease: None,
            usual: None,
            caller,
            callee: Half::new(sessions[1], codecs, false),
            agreed: None,
            is_toned: false,
            rung: None,
        }
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

    pub fn is_leased(&self) -> bool {
        self.lease.is_some()
    }

    pub fn lease(&mut self, lease: Lease) {
        self.usual = Some(lease.callee.ip());
        self.lease = Some(lease);
    }

    /// Whether this side takes keys as RTP events.
    pub fn takes_events(&self, side: Side) -> bool {
        self.half(side)
            .payloads
            .is_some_and(|payloads| payloads.events.is_some())
    }

    /// The offer for the callee, who is dialled by a trunk that may want another address and other codecs,
    /// and be behind NAT. `session` is a number for `o=`, since this is a new session. None if there is no
    /// codec that both trunks let be used.
    pub fn offer_by(
        &mut self,
        advertised: Option<IpAddr>,
        codecs: Codecs,
        nat: bool,
        session: u64,
    ) -> Option<Vec<u8>> {
        let told = advertised.or(self.usual)?;
        self.lease.as_mut()?.callee.set_ip(told);
        self.agreed = None;
        self.callee = Half::new(session, codecs, nat);
        let (audio, ours) = (self.first_offer()?, self.lease?.callee);
        Some(self.callee.ours.offer(&audio, ours))
    }

    /// What the callee is offered first: what the caller offers, or all that we have.
    fn first_offer(&self) -> Option<Audio> {
        let audio = match &self.caller.theirs {
            Some(theirs) if !self.is_delayed => theirs.audio.clone(),
            _ if self.is_delayed => self.caller.codecs.only(Audio::ours(self.lease?.callee))?,
            _ => return None,
        };
        Some(self.toned(self.callee.codecs.only(audio)?))
    }

    /// Takes the callee's answer. One without SDP repeats what was agreed before it. Says whether it
    /// brought anything new.
    pub fn take_answer(&mut self, body: &[u8]) -> Result<bool, Reason> {
        if body.is_empty() && self.agreed.is_some() {
            return Ok(false);
        }
        let answer = self.callee.read(body)?;
        let offer = self.first_offer().ok_or(Reason::NoCommonCodec)?;
        let agreed = Agreed::of(&offer, &answer.audio)?;
        if !self.is_delayed && self.rung.is_none() {
            self.caller.payloads = Some(agreed.offerer());
        }
        self.callee.say(answer, agreed.answerer());
        self.agreed = Some(agreed);
        Ok(true)
    }

    /// What the caller is answered with, once the callee has: an answer, or our offer if it had none.
    pub fn answer(&mut self) -> Option<Vec<u8>> {
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
        let ours = &mut self.caller.ours;
        Some(ours.answer(offered, answered, agreed, lease.caller))
    }

    /// Whether the caller still owes us an answer to our offer.
    pub fn is_late(&self) -> bool {
        self.is_delayed && self.caller.theirs.is_none()
    }

    /// Takes the caller's answer to our offer in the answer.
    pub fn take_late_answer(&mut self, body: &[u8]) -> Result<(), Reason> {
        let answered = self.callee.theirs.as_ref().ok_or(Reason::Failed)?;
        let answer = self.caller.read(body)?;
        let agreed = Agreed::of(&answered.audio, &answer.audio)?;
        self.caller.say(answer, agreed.answerer());
        Ok(())
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
                Agreed::of(offered, &alone(offered, lease.caller)).ok()?
            }
        };
        let law = Some(agreed.law()?);
        let offered = self.caller.theirs.as_ref()?;
        let answered = match &self.callee.theirs {
            Some(callee) if self.agreed.is_some() => callee.audio.clone(),
            _ => alone(&offered.audio, lease.caller),
        };
        let ours = &mut self.caller.ours;
        let body = ours.answer(offered, &answered, &agreed, lease.caller);
        self.caller.payloads = Some(agreed.offerer());
        let path = MediaPath {
            caller: self.caller.end(law),
            callee: None,
        };
        Some((body, path))
    }

    /// Where media goes, as soon as both sides have said what they want.
    pub fn path(&self) -> Option<MediaPath> {
        let law = self.agreed.as_ref()?.law();
        Some(MediaPath {
            caller: Some(self.caller.end(law)?),
            callee: Some(self.callee.end(law)?),
        })
    }

    /// Takes a new offer of one side, to be offered to the other. A fax alone, say, is refused.
    pub fn take_offer(&mut self, side: Side, body: &[u8]) -> Result<(), Reason> {
        let offer = self.half(side).read(body)?;
        self.half_mut(side).offered = Some(offer);
        Ok(())
    }

    /// An offer of one side was refused.
    pub fn forget_offer(&mut self, side: Side) {
        self.half_mut(side).offered = None;
    }

    /// The offer for one side: what the other one has just offered, or else what it said last.
    pub fn offer_to(&mut self, side: Side) -> Option<Vec<u8>> {
        let ours = self.address(side)?;
        let other = self.half(side.other());
        let audio = &other.offered.as_ref().or(other.theirs.as_ref())?.audio;
        let half = self.half(side);
        let audio = match &half.theirs {
            Some(theirs) => audio.renumbered(&theirs.audio),
            None => audio.clone(),
        };
        let audio = half.codecs.only(audio)?;
        Some(self.half_mut(side).ours.offer(&audio, ours))
    }

    /// Takes one side's answer to what the other one offered, and gives the answer for that one.
    pub fn take_reply(&mut self, side: Side, body: &[u8]) -> Result<Vec<u8>, Reason> {
        let answer = self.half(side).read(body)?;
        let offerer = side.other();
        let ours = self.address(offerer).ok_or(Reason::Failed)?;
        let offer = self.half_mut(offerer).offered.take();
        let offer = offer.ok_or(Reason::Failed)?;
        let offered = self.half(side).codecs.only(offer.audio.clone());
        let agreed = Agreed::of(&offered.ok_or(Reason::NoCommonCodec)?, &answer.audio)?;
        let half = self.half_mut(offerer);
        let reply = half.ours.answer(&offer, &answer.audio, &agreed, ours);
        half.say(offer, agreed.offerer());
        self.half_mut(side).say(answer, agreed.answerer());
        self.agreed = Some(agreed);
        Ok(reply)
    }

    /// Takes one side's answer to an offer that it had asked us for.
    pub fn take_asked_answer(&mut self, side: Side, body: &[u8]) -> Result<(), Reason> {
        let answer = self.half(side).read(body)?;
        let other = self.half(side.other()).theirs.as_ref();
        let agreed = Agreed::of(&other.ok_or(Reason::Failed)?.audio, &answer.audio)?;
        self.half_mut(side).say(answer, agreed.answerer());
        Ok(())
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
