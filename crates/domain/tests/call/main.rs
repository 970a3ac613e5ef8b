//! The call of two legs, told as what happens and what is done.

#[path = "../common/mod.rs"]
mod common;

mod chance;
mod changing;
mod matrix;
mod stories;
mod tones;

use common::number;
use maskline_domain::binding::Extras;
use maskline_domain::call::{
    Call, Closing, Deed, Ending, Happening, Moment, Notice, Prospects, Terms,
};
use maskline_domain::kinds::Role;
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

const ONE_TRUNK: Prospects = Prospects {
    trunks: 1,
    further: 0,
    crowd: None,
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
fn name(deed: &Deed) -> String {
    let ending =
        |ending: &Ending| format!("{} {} {}", ending.reason.name(), ending.status, ending.q850);
    let closing = |closing: &Closing| {
        format!(
            "{} by {}",
            ending(&closing.ending),
            closing.released_by.name()
        )
    };
    match deed {
        Deed::OpenRow(_) => "open row".into(),
        Deed::DialCallee(callee, trunk) => format!("dial {} by {trunk}", callee.reveal()),
        Deed::TellCaller {
            status,
            early_media: false,
        } => format!("tell {status}"),
        Deed::TellCaller {
            status,
            early_media: true,
        } => format!("tell {status} with media"),
        Deed::Ring(tone) => format!("ring {tone}"),
        Deed::StopRinging => "stop ringing".into(),
        Deed::AnswerCaller => "answer".into(),
        Deed::RefuseCaller(refusal) => format!("refuse {} {}", refusal.status, refusal.q850),
        Deed::HangUp(side, cause) => format!("hang up {} {cause}", side.name()),
        Deed::Announce { sound, answer } => {
            let how = if *answer { "answer and play" } else { "play" };
            format!("{how} {sound}")
        }
        Deed::Play(side, prompt) => format!("play {} to {}", prompt.name(), side.name()),
        Deed::Record => "record".into(),
        Deed::Offer(side) => format!("offer to {}", side.name()),
        Deed::OfferWhatIs(side) => format!("offer what is to {}", side.name()),
        Deed::TellChange(side) => format!("tell {} of the change", side.name()),
        Deed::AcceptOffer(side) => format!("accept offer of {}", side.name()),
        Deed::RefuseOffer(side, status) => format!("refuse offer of {} {status}", side.name()),
        Deed::WriteRow(_, end) => format!("write row: {}", closing(end)),
        Deed::CloseRow(end) => format!("close row: {}", closing(end)),
        Deed::Forget => "forget".into(),
    }
}

/// Plays a story, one second between what happens, and checks what is done each time.
fn play(terms: Terms, story: Vec<(Happening, &[&str])>) {
    let mut tick_ms = 0;
    let mut call = Call::new(terms, moment(0));
    for (happening, expected) in story {
        tick_ms = match happening {
            Happening::Timeout => call.deadline().unwrap_or(tick_ms),
            _ => tick_ms + 1_000,
        };
        let shown = format!("{happening:?}");
        let deeds = call.handle(happening, moment(tick_ms));
        let done: Vec<String> = deeds.iter().map(name).collect();
        assert_eq!(done, expected, "after {shown}");
    }
    assert_eq!(
        call.deadline(),
        None,
        "a call that is over waits for nothing"
    );
    let late = Happening::CalleeAnswered;
    assert!(
        call.handle(late, moment(tick_ms)).is_empty(),
        "and does nothing"
    );
}
