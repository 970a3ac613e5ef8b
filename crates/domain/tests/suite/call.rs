//! The call of two legs, told as what happens and what is done.

mod chance;
mod changing;
mod matrix;
mod stories;
mod tones;

use crate::common::number;
use maskline_domain::binding::Extras;
use maskline_domain::call::{
    Action, Call, Closing, DialOptions, Ending, Input, Moment, Notice, Terms,
};
use maskline_domain::product::Role;
use maskline_domain::routing::{Connection, Route};
use maskline_domain::trunk::PromptPolicy;
use maskline_domain::{Binding, PoolKey, Product, Restriction, SubsId, Timestamp};

const TERMS: Terms = Terms {
    duration_max_s: 3_600,
    prompts: PromptPolicy::None,
    notice: Notice::None,
};

const EARLY: Terms = Terms {
    prompts: PromptPolicy::Early,
    ..TERMS
};

const ONE_TRUNK: DialOptions = DialOptions {
    trunks: 1,
    further: 0,
    over_limit: None,
    tone: None,
};

fn binding() -> Binding {
    Binding {
        subs_id: SubsId(1),
        product: Product::Axn,
        x: number("17000000001"),
        a: number("13900000000"),
        b: None,
        created_at: Timestamp(0),
        expires_at: Timestamp(i64::MAX),
        restriction: Restriction::None,
        record: false,
        speech_recognition: false,
        ring_timeout_s: None,
        extras: Extras::default(),
        owner: None,
    }
}

fn connection() -> Route {
    Route::Connect(Box::new(Connection {
        callee: binding().a,
        binding: binding(),
        pool: PoolKey::new("FC1"),
        caller_role: Role::Other,
        ring_timeout_s: 60,
    }))
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
        Action::OpenRow(_) => "open row".into(),
        Action::DialCallee(callee, trunk) => format!("dial {} by {trunk}", callee.reveal()),
        Action::TellCaller {
            status,
            early_media: false,
        } => format!("tell {status}"),
        Action::TellCaller {
            status,
            early_media: true,
        } => format!("tell {status} with media"),
        Action::Ring(tone) => format!("ring {tone}"),
        Action::StopRinging => "stop ringing".into(),
        Action::AnswerCaller => "answer".into(),
        Action::RefuseCaller(refusal) => format!("refuse {} {}", refusal.status, refusal.q850),
        Action::HangUp(side, cause) => format!("hang up {} {cause}", side.name()),
        Action::Announce { sound, answer } => {
            let how = if *answer { "answer and play" } else { "play" };
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

/// Plays a story, one second between what happens, and checks what is done each time.
fn play(terms: Terms, story: Vec<(Input, &[&str])>) {
    let mut tick_ms = 0;
    let mut call = Call::new(terms, moment(0));
    for (input, expected) in story {
        tick_ms = match input {
            Input::Timeout => call.deadline().unwrap_or(tick_ms),
            _ => tick_ms + 1_000,
        };
        let shown = format!("{input:?}");
        let actions = call.handle(input, moment(tick_ms));
        let done: Vec<String> = actions.iter().map(name).collect();
        assert_eq!(done, expected, "after {shown}");
    }
    assert_eq!(
        call.deadline(),
        None,
        "a call that is over waits for nothing"
    );
    let late = Input::CalleeAnswered;
    assert!(
        call.handle(late, moment(tick_ms)).is_empty(),
        "and does nothing"
    );
}
