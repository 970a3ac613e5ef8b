//! What a caller meets, known before anybody is dialled. Calls and `maskline explain` both ask here.

use super::{CallLimit, CallTerms, DialOptions, Ending, Notice, Prompt, Reason, Sound};
use crate::carrier::CarrierName;
use crate::clock::Timestamp;
use crate::number::PhoneNumber;
use crate::pool::Pool;
use crate::routing::{self, Explanation, Route, RouteQuery};
use crate::state::State;
use crate::tone::ToneCode;
use crate::trunk::{Misfit, PromptPolicy, Trunk, TrunkName, fits};

/// What an operator asks: what would become of this call?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The call.
    pub query: RouteQuery,
    /// The trunk by which it comes; the first enabled one by name, if none is given.
    pub trunk: Option<TrunkName>,
    /// Who is told that a call is recorded, which is a setting of the process.
    pub notice: Notice,
}

/// What is known of a call before it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prediction {
    /// The route with its reasons.
    pub explained: Explanation,
    /// What the caller would meet.
    pub forecast: Forecast,
    /// The carrier whose X it is: that of the binding, else the one that the pool names.
    pub carrier: Option<CarrierName>,
    /// Of a call that has somebody to reach: what each trunk says to it, as [`fits`] has it.
    pub trunks: Vec<(TrunkName, Result<usize, Misfit>)>,
}

/// The route with its reasons, and what the caller would meet if nothing else stood in the way: the trunks
/// are there and free, and so is the callee. None if no enabled trunk has the name that the question gives.
/// Where there is no trunk at all the caller is heard out as from one with the usual settings.
///
/// `tone` chooses the ring tone of ours for a route and the pool of X: the texts of bindings are the shell's
/// to read, and so are the files of tones.
pub fn predict(
    state: &State,
    question: &Question,
    tone: impl Fn(&Route, Option<&Pool>) -> Option<ToneCode>,
    at: Timestamp,
) -> Option<Prediction> {
    let is_asked_for = |trunk: &Trunk| question.trunk.as_ref().is_none_or(|it| *it == trunk.name);
    let by = state
        .trunks()
        .find(|trunk| trunk.enabled && is_asked_for(trunk));
    if by.is_none() && question.trunk.is_some() {
        return None;
    }
    let terms = CallTerms {
        duration_max_s: u32::MAX,
        prompts: by.map(|trunk| trunk.prompts).unwrap_or_default(),
        notice: question.notice,
    };
    let explained = routing::explain(state, &question.query, at);
    let number = state.number(question.query.x);
    let key = number.and_then(|number| number.class.pool);
    let pool = key.as_ref().and_then(|key| state.pool(key));
    let of_pool = pool.and_then(|pool| pool.carrier.as_ref());
    let (carrier, trunks) = match &explained.route {
        Route::Connect(connection) => (
            connection.carrier(of_pool).cloned(),
            fits(state.trunks(), &connection.outbound(of_pool)),
        ),
        Route::Refuse { .. } => (of_pool.cloned(), Vec::new()),
    };
    let options = DialOptions {
        // In whatever order they are tried.
        trunks: trunks.iter().filter(|(_, fit)| fit.is_ok()).count(),
        further: 0,
        over_limit: None,
        tone: tone(&explained.route, pool),
    };
    let forecast = forecast(&explained.route, options, &terms);
    Some(Prediction {
        explained,
        forecast,
        carrier,
        trunks,
    })
}

/// What is to be expected of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// Who rings; nobody if the call is refused.
    pub rings: Option<PhoneNumber>,
    /// How the call ends: as it is refused, or, if somebody rings, after an answer and normal clearing.
    pub ending: Ending,
    /// The ring tone of ours that the caller hears while the callee rings: if its network plays nothing, and
    /// the caller's telephone can hear us before the answer.
    pub ring_tone: Option<ToneCode>,
    /// What else the caller hears from us: why the call is refused, or that it is recorded.
    pub sound: Option<Sound>,
}

/// What is to be expected of a call with this route.
pub fn forecast(route: &Route, options: DialOptions, terms: &CallTerms) -> Forecast {
    let refused = |reason| {
        let (ending, prompt) = told(Ending::of(reason), terms.prompts, false);
        Forecast {
            rings: None,
            ring_tone: None,
            ending,
            sound: prompt.map(|prompt| worded(prompt, options.tone)),
        }
    };
    match (route, options) {
        (Route::Refuse { situation, .. }, _) => refused(Reason::from(*situation)),
        (
            _,
            DialOptions {
                over_limit: Some(CallLimit::X),
                ..
            },
        ) => refused(Reason::XFull),
        (
            _,
            DialOptions {
                over_limit: Some(CallLimit::Caller),
                ..
            },
        ) => refused(Reason::CallerFull),
        (_, DialOptions { trunks: 0, .. }) => refused(Reason::Unreachable),
        (Route::Connect(connection), _) => Forecast {
            rings: Some(connection.callee),
            ring_tone: rung(options.tone, terms.prompts),
            ending: Ending::of(Reason::HungUp),
            sound: (connection.binding.record && terms.notice != Notice::None)
                .then_some(Prompt::RecordingNotice.into()),
        },
    }
}

/// The ring tone of a call whose callee rings: it is early media.
pub(super) fn rung(tone: Option<ToneCode>, prompts: PromptPolicy) -> Option<ToneCode> {
    tone.filter(|_| prompts == PromptPolicy::Early)
}

/// How a caller for whom nobody was dialled hears this prompt. A without a number to call back has a ring
/// tone although nothing rings: it is taken to stand in the place of our words.
pub(super) fn worded(prompt: Prompt, tone: Option<ToneCode>) -> Sound {
    match tone {
        Some(tone) if prompt == Prompt::VacantNumber => Sound::Tone(tone),
        _ => prompt.into(),
    }
}

/// What a caller sees and hears of an ending. An answer for the sake of a prompt makes the status 200;
/// `heard` says that the callee's network has spoken already.
pub(super) fn told(ending: Ending, prompts: PromptPolicy, heard: bool) -> (Ending, Option<Prompt>) {
    let prompt = Prompt::of(ending.reason)
        .filter(|_| prompts != PromptPolicy::None)
        .filter(|_| !(heard && Prompt::is_theirs(ending.reason)));
    let status = match (prompts, prompt) {
        (PromptPolicy::Answer, Some(_)) => 200,
        _ => ending.status,
    };
    (Ending { status, ..ending }, prompt)
}
