//! Up to the open row: nobody is dialled before it.

use super::{connect, gone, played, refuse};
use crate::call::{EARLY, ONE_TRUNK, TERMS, connection, play};
use maskline_domain::call::{CallLimit, DialOptions, Input, Side};
use maskline_domain::routing::Situation;

#[test]
fn nobody_is_dialled_without_a_durable_row() {
    let refused: &[&str] = &[
        "refuse 503 41",
        "close row: not_durable 503 41 by platform",
        "forget",
    ];
    for not_durable in [Input::RowOpened(false), Input::Timeout] {
        play(
            TERMS,
            vec![(connect(), &["open row"]), (not_durable, refused)],
        );
    }
}

#[test]
fn a_route_that_cannot_be_read_refuses_the_call() {
    for unknown in [Input::RouteUnknown, Input::Timeout] {
        play(TERMS, vec![(unknown, &["refuse 503 41", "forget"])]);
    }
    play(
        TERMS,
        vec![
            (gone(Side::Caller), &[]),
            (Input::RouteUnknown, &["forget"]),
        ],
    );
}

#[test]
fn each_situation_is_told_in_its_own_way_and_recorded() {
    let rows: [(Situation, &[&str], &[&str]); 6] = [
        (
            Situation::NoBinding,
            &["play not_in_use"],
            &[
                "refuse 404 1",
                "write row: no_binding 404 1 by platform",
                "forget",
            ],
        ),
        (
            Situation::VacantNumber,
            &["play vacant_number"],
            &[
                "refuse 404 1",
                "write row: vacant_number 404 1 by platform",
                "forget",
            ],
        ),
        (
            Situation::CallBackOff,
            &["play cannot_connect"],
            &[
                "refuse 403 21",
                "write row: call_back_off 403 21 by platform",
                "forget",
            ],
        ),
        (
            Situation::Restricted,
            &["play cannot_connect"],
            &[
                "refuse 403 21",
                "write row: restricted 403 21 by platform",
                "forget",
            ],
        ),
        (
            Situation::Loop,
            &[],
            &[
                "refuse 482 25",
                "write row: loop 482 25 by platform",
                "forget",
            ],
        ),
        (Situation::XUnknown, &[], &["refuse 404 1", "forget"]),
    ];
    for (situation, prompt, end) in rows {
        play(TERMS, vec![(refuse(situation), end)]);
        match prompt {
            [] => play(EARLY, vec![(refuse(situation), end)]),
            _ => play(EARLY, vec![(refuse(situation), prompt), (played(), end)]),
        }
    }
}

#[test]
fn too_many_calls_on_x_or_by_a_caller_are_refused_and_recorded() {
    let rows: [(CallLimit, &[&str]); 2] = [
        (
            CallLimit::X,
            &[
                "refuse 486 17",
                "write row: x_full 486 17 by platform",
                "forget",
            ],
        ),
        (
            CallLimit::Caller,
            &[
                "refuse 486 17",
                "write row: caller_full 486 17 by platform",
                "forget",
            ],
        ),
    ];
    for (over_limit, expected) in rows {
        let options = DialOptions {
            over_limit: Some(over_limit),
            ..ONE_TRUNK
        };
        // Without a word, whatever its callers can hear: that would take ports.
        for terms in [TERMS, EARLY] {
            play(
                terms,
                vec![(Input::Routed(connection(), options), expected)],
            );
        }
    }
}

#[test]
fn a_process_that_stops_dials_nobody_any_more() {
    play(
        EARLY,
        vec![
            (Input::Stopping, &[]),
            (
                connect(),
                &[
                    "refuse 503 42",
                    "write row: overload 503 42 by platform",
                    "forget",
                ],
            ),
        ],
    );
    play(
        EARLY,
        vec![
            (connect(), &["open row"]),
            (Input::Stopping, &[]),
            (
                Input::RowOpened(true),
                &[
                    "refuse 503 42",
                    "close row: overload 503 42 by platform",
                    "forget",
                ],
            ),
        ],
    );
}
