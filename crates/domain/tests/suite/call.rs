//! The call of two legs, told as what happens and what is done.

mod admission;
mod chance;
mod matrix;
mod media_changes;
mod milestones;
mod provisional_responses;
mod recording;
mod scenarios;
mod tones;

use maskline_domain::call::{
    Action, AnnounceBy, Call, CallTerms, CallerMedia, Closing, DialOptions, Ending, Input,
    MediaAccess, Moment, Notice, ProgressMedia, Side,
};
use maskline_domain::routing::Route;
use maskline_domain::trunk::PromptPolicy;
use maskline_domain::{Binding, Timestamp};
use maskline_fixtures::domain::{self as fixtures, number};

const TERMS: CallTerms = CallTerms {
    duration_max_s: 3_600,
    prompts: PromptPolicy::None,
    notice: Notice::None,
};

const EARLY: CallTerms = CallTerms {
    prompts: PromptPolicy::Early,
    ..TERMS
};

const ONE_TRUNK: DialOptions = DialOptions {
    trunks: 1,
    further: 0,
    over_limit: None,
    tone: None,
};

const ANSWERED: Input = Input::CalleeAnswered(MediaAccess::Ready);

/// A caller who has offered a codec that we speak, and listens.
const LISTENING: CallerMedia = CallerMedia {
    takes_tone: true,
    awaits_answer: false,
};

/// Progress on the leg of the callee, whose caller listens.
fn progress(status: u16, early_media: bool) -> Input {
    Input::CalleeProgress {
        status,
        early_media,
        caller: LISTENING,
    }
}

/// The callee's leg fails, and it was offered all that there was.
fn callee_refused(status: u16, cause: Option<u8>, silent: bool) -> Input {
    Input::CalleeRefused {
        status,
        cause,
        silent,
        narrowed: false,
    }
}

/// A party refuses what it was offered, and both believe in one codec.
fn offer_refused(side: Side, status: u16) -> Input {
    Input::OfferRefused {
        side,
        status,
        speaks_another: false,
    }
}

fn binding() -> Binding {
    fixtures::binding(number("17000000001"), number("13900000000"))
}

fn connection() -> Route {
    fixtures::connection(binding(), 60)
}

fn moment(tick_ms: u64) -> Moment {
    Moment {
        wall: Timestamp(1_000_000 + tick_ms as i64),
        tick_ms,
    }
}

/// What is done, in short.
fn name(action: &Action) -> String {
    let ending =
        |ending: &Ending| format!("{} {} {}", ending.reason.name(), ending.status, ending.q850);
    let closing = |closing: &Closing| {
        format!(
            "{} by {}",
            ending(&closing.ending),
            closing.released_by.name()
        )
    };
    match action {
        Action::Reached(reached) => format!("reached {}", reached.milestone.name()),
        Action::OpenRow(_) => "open row".into(),
        Action::PlaceSilent(place) => format!("silent place {place}"),
        Action::DialCallee {
            callee,
            trunk,
            toned,
        } => {
            let toned = if *toned { " with a tone" } else { "" };
            format!("dial {} by {trunk}{toned}", callee.reveal())
        }
        Action::TellCaller { status, media } => match media {
            ProgressMedia::Nothing => format!("tell {status}"),
            ProgressMedia::Callees => format!("tell {status} with media"),
            ProgressMedia::Tone(tone) => format!("tell {status} with tone {tone}"),
            ProgressMedia::ToneGoesOn => format!("tell {status}, the tone goes on"),
        },
        Action::StopRinging => "stop ringing".into(),
        Action::AnswerCaller => "answer".into(),
        Action::RefuseCaller(refusal) => format!("refuse {} {}", refusal.status, refusal.q850),
        Action::CancelCallee(cause) => format!("cancel callee {cause}"),
        Action::HangUp(side, cause) => format!("hang up {} {cause}", side.name()),
        Action::Announce { sound, by } => {
            let how = match by {
                AnnounceBy::EarlyMedia => "play",
                AnnounceBy::Answer => "answer and play",
                AnnounceBy::Opened => "go on to play",
            };
            format!("{how} {sound}")
        }
        Action::Play(side, prompt) => format!("play {} to {}", prompt.name(), side.name()),
        Action::Record => "record".into(),
        Action::Offer(side) => format!("offer to {}", side.name()),
        Action::OfferWhatIs(side) => format!("offer what is to {}", side.name()),
        Action::TellChange(side) => format!("tell {} of the change", side.name()),
        Action::AcceptOffer(side) => format!("accept offer of {}", side.name()),
        Action::RefuseOffer(side, status) => format!("refuse offer of {} {status}", side.name()),
        Action::WriteRow(_, end) => format!("write row: {}", closing(end)),
        Action::CloseRow(end) => format!("close row: {}", closing(end)),
        Action::Forget => "forget".into(),
    }
}

/// The same of several, without milestones: those have a table of their own.
fn names(actions: impl IntoIterator<Item = Action>) -> Vec<String> {
    let is_done = |action: &Action| !matches!(action, Action::Reached(_));
    let done = actions.into_iter().filter(is_done);
    done.map(|action| name(&action)).collect()
}

/// Plays a story, one second between what happens, and checks what is done each time.
fn play(terms: CallTerms, story: Vec<(Input, &[&str])>) {
    let mut tick_ms = 0;
    let mut call = Call::new(terms, moment(0));
    for (input, expected) in story {
        tick_ms = match input {
            Input::Timeout => call.deadline().unwrap_or(tick_ms),
            _ => tick_ms + 1_000,
        };
        let shown = format!("{input:?}");
        let actions = call.handle(input, moment(tick_ms));
        let done = names(actions);
        assert_eq!(done, expected, "after {shown}");
    }
    assert_eq!(
        call.deadline(),
        None,
        "a call that is over waits for nothing"
    );
    let late = ANSWERED;
    assert!(
        call.handle(late, moment(tick_ms)).is_empty(),
        "and does nothing"
    );
}
