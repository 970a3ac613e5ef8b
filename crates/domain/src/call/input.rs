//! What can happen to a call, and the facts that come with it.

use super::{DialOptions, Side};
use crate::routing::Route;

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// The route is known.
    Routed(Route, DialOptions),
    /// The route could not be read in time.
    RouteUnknown,
    /// The open row is durable, or it is not.
    RowOpened(bool),
    /// There is no way to carry the media.
    MediaRefused(MediaFault),
    /// The trunk has the INVITE and looks for the callee.
    TrunkTrying,
    /// The callee is ringing, or has something to say before it answers.
    CalleeProgress {
        /// 101 to 199.
        status: u16,
        /// Whether it came with media that we can carry, and that the callee means to send.
        early_media: bool,
        /// What the caller can hear, and whether it waits.
        caller: CallerMedia,
    },
    /// The callee has not answered, and means to be heard from now on: it says so by an offer, or takes one.
    CalleeHeard,
    /// The callee answered.
    CalleeAnswered(MediaAccess),
    /// The callee did not answer.
    CalleeRefused {
        /// 300 to 699.
        status: u16,
        /// Its Q.850 cause.
        cause: Option<u8>,
        /// Whether nobody said so: the status is only ours.
        silent: bool,
        /// Whether the callee was offered fewer codecs than there are, for the sake of a ring tone.
        narrowed: bool,
    },
    /// The trunk has no room for the call: others have filled it since it was chosen.
    TrunkFull,
    /// The caller has answered the offer that our answer was.
    CallerAnswered,
    /// A party gave up or hung up, perhaps with a Q.850 cause.
    Gone(Side, Option<u8>),
    /// What was to be played to this side has been played, or cannot be.
    Played(Side),
    /// A party wants other media: hold, resume, another address. The other party is to be asked.
    Offered(Side),
    /// The same before the answer, and what is agreed stays as it is: only this party's address or direction
    /// is another, so that the other party need not be asked.
    OfferFits(Side),
    /// A party does not wait for the answer to its offer any longer, or not for the offer that it wanted.
    OfferWithdrawn(Side),
    /// A party wants to be offered the other one's media as it is.
    OfferWanted(Side),
    /// A party's media is not what the other one has heard of it: it said something new in an answer, or
    /// the other one took an offer of it that does not hold.
    MediaChanged(Side),
    /// A party took what it was offered.
    OfferAccepted(Side),
    /// A party refused what it was offered, or could not be offered it.
    OfferRefused {
        /// Which party.
        side: Side,
        /// 300 to 699.
        status: u16,
        /// Whether it believes in another codec than the call has: the two were answered with different ones, and it
        /// has been offered the call's.
        speaks_another: bool,
    },
    /// A party answered what the other one offered with what fits nothing.
    AnswerUnfit(Side),
    /// Each side believes in another codec, and does not take the other one's: nobody hears anything.
    CodecsDiffer,
    /// Nothing was heard for too long.
    MediaLost,
    /// The process stops and cannot wait any longer.
    Stopping,
    /// [`super::Call::deadline`] has come.
    Timeout,
}

/// Why media cannot be carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaFault {
    /// The two sides have no codec in common, one of them offered none that we carry, or nothing can be sent to
    /// where it receives.
    Unfit,
    /// A host name in the place of an address was not looked up in time.
    Unresolved,
    /// We have no port for it.
    NoPort,
}

/// What the caller's side lets be done before the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallerMedia {
    /// Whether a ring tone of ours can be played to it: it has offered a codec that we speak, and hears nobody
    /// yet.
    pub takes_tone: bool,
    /// Whether it does not want to hear anything yet. It may wait for its answer all the same, before it says
    /// that it is ready (RFC 3312 section 5.1).
    pub awaits_answer: bool,
}

/// Whether what the sides of an answered call say can be played into and recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaAccess {
    /// It can.
    Ready,
    /// It can as soon as the caller has answered our offer, since its INVITE had none:
    /// [`Input::CallerAnswered`].
    Awaited,
    /// It cannot: the codec is passed through.
    PassedThrough,
}
