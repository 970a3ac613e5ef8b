//! Ring tones of ours, from the first ringing to the answer.

use super::{
    ANSWERED, EARLY, ONE_TRUNK, TERMS, binding, callee_refused, connection, play, progress,
};
use maskline_domain::call::{CallTerms, DialOptions, Input, Side};
use maskline_domain::routing::{Route, Situation};
use maskline_domain::tone::Scene;
use maskline_domain::trunk::PromptPolicy;
use maskline_domain::{RingTones, ToneCode};

type Part = (Input, &'static [&'static str]);

const HUNG_UP: Part = (
    Input::Gone(Side::Callee, None),
    &[
        "hang up caller 16",
        "close row: hung_up 200 16 by callee",
        "forget",
    ],
);

fn with_tone() -> DialOptions {
    DialOptions {
        tone: ToneCode::parse("100000001"),
        ..ONE_TRUNK
    }
}

/// The second leg of a call with a ring tone is dialled; then `rest`.
fn dialled(terms: CallTerms, rest: Vec<Part>) {
    let dialled: &[&str] = match terms.prompts {
        PromptPolicy::Early => &["dial 13900000000 by 0 with a tone"],
        _ => &["dial 13900000000 by 0"],
    };
    let mut story: Vec<Part> = vec![
        (Input::Routed(connection(), with_tone()), &["open row"]),
        (Input::RowOpened(true), dialled),
    ];
    story.extend(rest);
    play(terms, story);
}

#[test]
fn the_tone_lasts_from_the_ringing_to_the_answer() {
    dialled(
        EARLY,
        vec![
            (progress(183, false), &["tell 183"]),
            (progress(180, false), &["tell 183 with tone 100000001"]),
            (progress(182, false), &["tell 182"]),
            (progress(181, false), &["tell 183, the tone goes on"]),
            (ANSWERED, &["stop ringing", "answer"]),
            HUNG_UP,
        ],
    );
}

#[test]
fn what_the_callees_network_plays_comes_before_ours() {
    dialled(
        EARLY,
        vec![
            (progress(180, false), &["tell 183 with tone 100000001"]),
            (progress(183, true), &["stop ringing", "tell 183"]),
            (progress(180, false), &["tell 183"]),
            (ANSWERED, &["answer"]),
            HUNG_UP,
        ],
    );
    dialled(
        EARLY,
        vec![
            (progress(180, true), &["tell 180 with media"]),
            (progress(180, false), &["tell 180"]),
            (ANSWERED, &["answer"]),
            HUNG_UP,
        ],
    );
}

#[test]
fn a_trunk_without_early_media_rings_as_ever() {
    let by_answer = CallTerms {
        prompts: PromptPolicy::Answer,
        ..TERMS
    };
    for terms in [TERMS, by_answer] {
        dialled(
            terms,
            vec![
                (progress(180, false), &["tell 180"]),
                (ANSWERED, &["answer"]),
                (Input::Gone(Side::Callee, None), HUNG_UP.1),
            ],
        );
    }
}

#[test]
fn a_callee_that_rang_in_vain_is_still_explained() {
    dialled(
        EARLY,
        vec![
            (progress(180, false), &["tell 183 with tone 100000001"]),
            (
                Input::Timeout,
                &["cancel callee 19", "go on to play no_answer"],
            ),
            (
                Input::Played(Side::Caller),
                &[
                    "refuse 480 19",
                    "close row: no_answer 480 19 by platform",
                    "forget",
                ],
            ),
        ],
    );
    // A vacant number of the callee's is not A's missing number.
    dialled(
        EARLY,
        vec![
            (callee_refused(404, None, false), &["play vacant_number"]),
            (
                Input::Played(Side::Caller),
                &[
                    "refuse 404 1",
                    "close row: no_such_number 404 1 by callee",
                    "forget",
                ],
            ),
        ],
    );
}

#[test]
fn an_a_with_nobody_to_reach_hears_its_tone_in_place_of_our_words() {
    let refused = |situation| {
        let binding = Some(Box::new(binding()));
        Input::Routed(Route::Refuse { situation, binding }, with_tone())
    };
    play(
        EARLY,
        vec![
            (
                refused(Situation::VacantNumber),
                &["play ring tone 100000001"],
            ),
            (
                Input::Played(Side::Caller),
                &[
                    "refuse 404 1",
                    "write row: vacant_number 404 1 by platform",
                    "forget",
                ],
            ),
        ],
    );
    play(
        EARLY,
        vec![
            (refused(Situation::CallBackOff), &["play cannot_connect"]),
            (
                Input::Gone(Side::Caller, None),
                &["write row: call_back_off 487 21 by caller", "forget"],
            ),
        ],
    );
}

#[test]
fn each_caller_has_a_tone_of_its_own() {
    let code = |text| ToneCode::parse(text);
    let tones = RingTones {
        a: code("1"),
        a_alone: code("2"),
        other: code("3"),
    };
    let (binding, scene) = (Some(Box::new(binding())), connection());
    assert_eq!(scene.scene().map(|(_, scene)| scene), Some(Scene::Other));
    let alone = Route::Refuse {
        situation: Situation::VacantNumber,
        binding: binding.clone(),
    };
    assert_eq!(alone.scene().map(|(_, scene)| scene), Some(Scene::AAlone));
    let restricted = Route::Refuse {
        situation: Situation::Restricted,
        binding,
    };
    assert!(restricted.scene().is_none());
    let of = [Scene::A, Scene::AAlone, Scene::Other].map(|scene| tones.of(scene));
    assert_eq!(of, [code("1"), code("2"), code("3")]);
}
