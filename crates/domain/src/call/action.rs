//! What a call wants done. How that is said in SIP is for who carries it out; what is said, and when, is not.

use super::{Closing, Ending, Prompt, Reached, Side, Sound};
use crate::binding::Binding;
use crate::number::PhoneNumber;
use crate::routing::Connection;
use crate::tone::ToneCode;

/// What is to be done.
#[derive(Debug)]
pub enum Action {
    /// The call has come to a milestone. What is owed for it is written with the row that is written next among the
    /// same actions; where none is, by a write of its own, if anything is owed.
    Reached(Reached),
    /// Make the open row durable, then say [`super::Input::RowOpened`].
    OpenRow(Box<Connection>),
    /// Nobody took the call at this place, counted like [`Action::DialCallee::trunk`]: for a while others are
    /// tried before it.
    PlaceSilent(usize),
    /// Dial the second leg.
    DialCallee {
        /// Whom.
        callee: PhoneNumber,
        /// By which trunk, counted from 0 in the order of [`super::DialOptions::trunks`].
        trunk: usize,
        /// Whether the caller is to hear a ring tone of ours: since nothing is transcoded, the callee is offered
        /// only the codec in which that will be.
        toned: bool,
    },
    /// Tell the caller about progress.
    TellCaller {
        /// 180, 182 or 183.
        status: u16,
        /// What of media goes with it.
        media: ProgressMedia,
    },
    /// The ring tone is over.
    StopRinging,
    /// Answer the caller.
    AnswerCaller,
    /// Refuse the caller.
    RefuseCaller(Ending),
    /// Hang up on this side, which has answered or was answered, with a Q.850 cause.
    HangUp(Side, u8),
    /// Stop the callee ringing, with a Q.850 cause. It may have answered meanwhile.
    CancelCallee(u8),
    /// Have the caller hear why the call fails, then say [`super::Input::Played`], or
    /// [`super::Input::MediaRefused`] if it cannot.
    Announce {
        /// What is played, once.
        sound: Sound,
        /// How.
        by: AnnounceBy,
    },
    /// Play this once to this side of a call that stands.
    Play(Side, Prompt),
    /// Record both sides from now on.
    Record,
    /// Offer this side what the other one has just offered.
    Offer(Side),
    /// Offer this side, which wants it, the other one's media as it is.
    OfferWhatIs(Side),
    /// Offer this side, unasked, the other one's media as it is now.
    TellChange(Side),
    /// Accept this side's offer by what the other one has just answered, or by what is agreed.
    AcceptOffer(Side),
    /// Refuse this side's offer.
    RefuseOffer(Side, u16),
    /// Write the record of a call that was never dialled, already closed.
    WriteRow(Option<Box<Binding>>, Closing),
    /// Close the open row.
    CloseRow(Closing),
    /// The call is over: give back everything. Always the last action.
    Forget,
}

/// What of media goes with progress that the caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressMedia {
    /// Nothing.
    Nothing,
    /// The callee's, as the answer to the caller's offer or as our offer; if the callee has said anything of it.
    Callees,
    /// This tone of ours, from now on until [`Action::StopRinging`], and the answer to the caller's offer for it.
    Tone(ToneCode),
    /// Nothing new: the tone goes on.
    ToneGoesOn,
}

/// How a caller hears why its call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnnounceBy {
    /// As early media, by 183.
    EarlyMedia,
    /// By an answer of our own.
    Answer,
    /// As what it hears already: it was played a ring tone.
    Opened,
}
