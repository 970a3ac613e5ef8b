//! What a caller hears of a call that fails.

use super::{callee_refused, dialled, gone, played, progress, refuse, refused, silent};
use crate::call::{EARLY, TERMS, play};
use maskline_domain::call::{CallTerms, Input, Side};
use maskline_domain::routing::Situation;
use maskline_domain::trunk::PromptPolicy;

#[test]
fn what_the_callee_refuses_with_is_told() {
    let rows: [(Input, &[&str], &[&str]); 5] = [
        (
            refused(486),
            &["play busy"],
            &[
                "refuse 486 17",
                "close row: busy 486 17 by callee",
                "forget",
            ],
        ),
        (
            callee_refused(603, Some(88), false),
            &["play refused"],
            &[
                "refuse 603 88",
                "close row: declined 603 88 by callee",
                "forget",
            ],
        ),
        (
            refused(404),
            &["play vacant_number"],
            &[
                "refuse 404 1",
                "close row: no_such_number 404 1 by callee",
                "forget",
            ],
        ),
        (
            silent(),
            &["play unreachable"],
            &[
                "refuse 502 38",
                "close row: unreachable 502 38 by platform",
                "forget",
            ],
        ),
        (
            gone(Side::Callee),
            &["play unreachable"],
            &[
                "refuse 480 31",
                "close row: failed 480 31 by callee",
                "forget",
            ],
        ),
    ];
    for (refused, prompt, end) in rows {
        dialled(EARLY, vec![(refused, prompt), (played(), end)]);
    }
}

#[test]
fn what_the_callees_network_has_said_is_not_said_again() {
    dialled(
        EARLY,
        vec![
            (progress(183, true), &["tell 183 with media"]),
            (
                refused(486),
                &[
                    "refuse 486 17",
                    "close row: busy 486 17 by callee",
                    "forget",
                ],
            ),
        ],
    );
    // A 180 without media is only ringing.
    dialled(
        EARLY,
        vec![
            (progress(180, false), &["tell 180"]),
            (refused(486), &["play busy"]),
            (
                played(),
                &[
                    "refuse 486 17",
                    "close row: busy 486 17 by callee",
                    "forget",
                ],
            ),
        ],
    );
}

#[test]
fn a_trunk_without_early_media_is_answered_for_the_prompt() {
    let terms = CallTerms {
        prompts: PromptPolicy::Answer,
        ..TERMS
    };
    play(
        terms,
        vec![
            (
                refuse(Situation::NoBinding),
                &["answer and play not_in_use"],
            ),
            (
                played(),
                &[
                    "hang up caller 1",
                    "write row: no_binding 200 1 by platform",
                    "forget",
                ],
            ),
        ],
    );
    play(
        terms,
        vec![(
            refuse(Situation::Loop),
            &[
                "refuse 482 25",
                "write row: loop 482 25 by platform",
                "forget",
            ],
        )],
    );
}

#[test]
fn a_caller_may_leave_during_a_prompt() {
    play(
        EARLY,
        vec![
            (refuse(Situation::VacantNumber), &["play vacant_number"]),
            (
                gone(Side::Caller),
                &["write row: vacant_number 487 1 by caller", "forget"],
            ),
        ],
    );
}

#[test]
fn a_prompt_that_does_not_end_is_ended() {
    for stuck in [Input::Timeout, Input::Stopping, Input::MediaLost] {
        play(
            EARLY,
            vec![
                (refuse(Situation::VacantNumber), &["play vacant_number"]),
                (
                    stuck,
                    &[
                        "refuse 404 1",
                        "write row: vacant_number 404 1 by platform",
                        "forget",
                    ],
                ),
            ],
        );
    }
}
