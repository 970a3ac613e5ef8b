//! Scenarios of a call, by its stretches: what happens to it in turn, and what is done.

mod announcing;
mod beginning;
mod dialling;
mod talking;

use super::{ANSWERED, ONE_TRUNK, TERMS, binding, callee_refused, connection, play, progress};
use maskline_domain::call::{CallTerms, DialOptions, Input, Notice, Side};
use maskline_domain::routing::{Route, Situation};

type Part = (Input, &'static [&'static str]);

const NOTICE: CallTerms = CallTerms {
    notice: Notice::Both,
    ..TERMS
};

pub(super) fn connect() -> Input {
    Input::Routed(connection(), ONE_TRUNK)
}

fn connect_by(trunks: usize) -> Input {
    let options = DialOptions {
        trunks,
        ..ONE_TRUNK
    };
    Input::Routed(connection(), options)
}

pub(super) fn connect_recorded() -> Input {
    let Route::Connect(mut recorded) = connection() else {
        panic!("it connects")
    };
    recorded.binding.record = true;
    Input::Routed(Route::Connect(recorded), ONE_TRUNK)
}

fn refuse(situation: Situation) -> Input {
    let binding = Some(Box::new(binding()));
    Input::Routed(Route::Refuse { situation, binding }, ONE_TRUNK)
}

fn refused(status: u16) -> Input {
    callee_refused(status, None, false)
}

fn silent() -> Input {
    callee_refused(408, None, true)
}

fn gone(side: Side) -> Input {
    Input::Gone(side, None)
}

fn played() -> Input {
    Input::Played(Side::Caller)
}

/// The second leg is dialled; then `rest`.
pub(super) fn dialled(terms: CallTerms, rest: Vec<Part>) {
    let mut story: Vec<Part> = vec![
        (connect(), &["open row"]),
        (Input::RowOpened(true), &["dial 13900000000 by 0"]),
    ];
    story.extend(rest);
    play(terms, story);
}

/// Both talk; then `rest`.
pub(super) fn talking(rest: Vec<Part>) {
    let mut story: Vec<Part> = vec![(ANSWERED, &["answer"])];
    story.extend(rest);
    dialled(TERMS, story);
}

pub(super) const CALLER_HANGS_UP: Part = (
    Input::Gone(Side::Caller, Some(16)),
    &[
        "hang up callee 16",
        "close row: hung_up 200 16 by caller",
        "forget",
    ],
);
