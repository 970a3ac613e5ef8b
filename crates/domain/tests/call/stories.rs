//! Each story of a call, by its stretches.

mod beginning;
mod dialling;
mod farewell;
mod talking;

use super::{ONE_TRUNK, TERMS, binding, connection, play};
use maskline_domain::call::{Happening, Notice, Prospects, Side, Terms};
use maskline_domain::routing::{Route, Situation};

type Part = (Happening, &'static [&'static str]);

const NOTICE: Terms = Terms {
    notice: Notice::Both,
    ..TERMS
};

fn connect() -> Happening {
    Happening::Routed(connection(), ONE_TRUNK)
}

fn connect_by(trunks: usize) -> Happening {
    let prospects = Prospects {
        trunks,
        ..ONE_TRUNK
    };
    Happening::Routed(connection(), prospects)
}

fn connect_recorded() -> Happening {
    let Route::Connect(mut recorded) = connection() else {
        panic!("it connects")
    };
    recorded.binding.record = true;
    Happening::Routed(Route::Connect(recorded), ONE_TRUNK)
}

fn refuse(situation: Situation) -> Happening {
    let binding = Some(Box::new(binding()));
    Happening::Routed(Route::Refuse { situation, binding }, ONE_TRUNK)
}

fn progress(status: u16, early_media: bool) -> Happening {
    Happening::CalleeProgress {
        status,
        early_media,
    }
}

fn refused(status: u16) -> Happening {
    Happening::CalleeRefused(status, None, false)
}

fn silent() -> Happening {
    Happening::CalleeRefused(408, None, true)
}

fn gone(side: Side) -> Happening {
    Happening::Gone(side, None)
}

fn played() -> Happening {
    Happening::Played(Side::Caller)
}

/// The second leg is dialled; then `rest`.
pub(super) fn dialled(terms: Terms, rest: Vec<Part>) {
    let mut story: Vec<Part> = vec![
        (connect(), &["open row"]),
        (Happening::RowOpened(true), &["dial 13900000000 by 0"]),
    ];
    story.extend(rest);
    play(terms, story);
}

/// Both talk; then `rest`.
pub(super) fn talking(rest: Vec<Part>) {
    let mut story: Vec<Part> = vec![(Happening::CalleeAnswered, &["answer"])];
    story.extend(rest);
    dialled(TERMS, story);
}

pub(super) const CALLER_HANGS_UP: Part = (
    Happening::Gone(Side::Caller, Some(16)),
    &[
        "hang up callee 16",
        "close row: hung_up 200 16 by caller",
        "forget",
    ],
);
