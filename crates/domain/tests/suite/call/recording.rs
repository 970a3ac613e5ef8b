//! When a call is recorded and who is told so: it depends on whether, and when, its media can be spoken into.

use super::scenarios::connect_recorded;
use super::{TERMS, moment, names};
use maskline_domain::call::{Call, CallTerms, Input, MediaAccess, Notice, Side};

/// What is done from the callee's answer on, for a call that is recorded or is not.
fn done(is_recorded: bool, notice: Notice, story: Vec<Input>) -> Vec<String> {
    let terms = CallTerms { notice, ..TERMS };
    let mut call = Call::new(terms, moment(0));
    let route = match is_recorded {
        true => connect_recorded(),
        false => super::scenarios::connect(),
    };
    for input in [route, Input::RowOpened(true)] {
        call.handle(input, moment(0));
    }
    let actions = story
        .into_iter()
        .flat_map(|input| call.handle(input, moment(0)));
    names(actions)
}

#[test]
fn recording_and_notice_begin_as_soon_as_the_media_can_be_spoken_into() {
    use MediaAccess::{Awaited, PassedThrough, Ready};
    let answered = |access| Input::CalleeAnswered(access);
    let caller = || Input::CallerAnswered;
    let held = || Input::MediaChanged(Side::Caller);
    let told = "recording_notice";
    let to = |side: &str| format!("play {told} to {side}");
    let (to_caller, to_callee) = (to("caller"), to("callee"));
    let recorded: &[&str] = &["answer", "record"];
    let rows: [(bool, Notice, Vec<Input>, &[&str]); 14] = [
        (false, Notice::Both, vec![answered(Ready)], &["answer"]),
        (
            false,
            Notice::Both,
            vec![answered(Awaited), caller()],
            &["answer"],
        ),
        (true, Notice::None, vec![answered(Ready)], recorded),
        (
            true,
            Notice::Caller,
            vec![answered(Ready)],
            &["answer", "record", &to_caller],
        ),
        (
            true,
            Notice::Both,
            vec![answered(Ready)],
            &["answer", "record", &to_caller, &to_callee],
        ),
        // The codec is known when the caller has answered our offer.
        (true, Notice::None, vec![answered(Awaited)], &["answer"]),
        (
            true,
            Notice::None,
            vec![answered(Awaited), caller()],
            recorded,
        ),
        (
            true,
            Notice::Caller,
            vec![answered(Awaited), caller()],
            &["answer", "record", &to_caller],
        ),
        // Once.
        (
            true,
            Notice::None,
            vec![answered(Awaited), caller(), caller()],
            recorded,
        ),
        (
            true,
            Notice::None,
            vec![answered(Ready), caller()],
            recorded,
        ),
        // It has answered before the callee did.
        (
            true,
            Notice::None,
            vec![caller(), answered(Ready)],
            recorded,
        ),
        // What is passed through is neither recorded nor spoken into.
        (
            true,
            Notice::Both,
            vec![answered(PassedThrough)],
            &["answer"],
        ),
        (
            true,
            Notice::Both,
            vec![answered(PassedThrough), caller()],
            &["answer"],
        ),
        // A caller that holds by its late answer: the callee hears of it.
        (
            true,
            Notice::None,
            vec![answered(Awaited), caller(), held()],
            &["answer", "record", "tell callee of the change"],
        ),
    ];
    for (row, (is_recorded, notice, story, expected)) in rows.into_iter().enumerate() {
        assert_eq!(done(is_recorded, notice, story), expected, "row {row}");
    }
}

#[test]
fn two_codecs_end_a_call_that_stands_and_nothing_else() {
    let answered = || Input::CalleeAnswered(MediaAccess::Ready);
    let differ = || Input::CodecsDiffer;
    let ended: &[&str] = &[
        "answer",
        "hang up caller 65",
        "hang up callee 65",
        "close row: no_common_codec 200 65 by platform",
        "forget",
    ];
    let rows: [(Vec<Input>, &[&str]); 4] = [
        (vec![answered(), differ()], ended),
        (vec![differ()], &[]),
        (vec![differ(), answered()], &["answer"]),
        (vec![answered(), differ(), differ()], ended),
    ];
    for (row, (story, expected)) in rows.into_iter().enumerate() {
        assert_eq!(done(false, Notice::None, story), expected, "row {row}");
    }
}

#[test]
fn who_will_not_take_the_codec_of_the_call_ends_it_unless_offers_cross() {
    let refused = |side, status, speaks_another| Input::OfferRefused {
        side,
        status,
        speaks_another,
    };
    let answered = || Input::CalleeAnswered(MediaAccess::Ready);
    let told = || Input::MediaChanged(Side::Callee);
    let tell = "tell caller of the change";
    let ended = [
        "hang up caller 65",
        "hang up callee 65",
        "close row: no_common_codec 200 65 by platform",
        "forget",
    ];
    let (caller, callee) = (Side::Caller, Side::Callee);
    let rows: [(Vec<Input>, &[&str], bool); 11] = [
        (
            vec![answered(), told(), refused(caller, 488, true)],
            &["answer", tell],
            true,
        ),
        (
            vec![answered(), told(), refused(caller, 606, true)],
            &["answer", tell],
            true,
        ),
        (
            vec![answered(), told(), refused(caller, 408, true)],
            &["answer", tell],
            true,
        ),
        (
            vec![answered(), told(), refused(caller, 491, true)],
            &["answer", tell],
            false,
        ),
        (
            vec![answered(), told(), refused(caller, 488, false)],
            &["answer", tell],
            false,
        ),
        (
            vec![answered(), told(), refused(caller, 491, false)],
            &["answer", tell],
            false,
        ),
        (
            vec![answered(), refused(callee, 488, true)],
            &["answer"],
            true,
        ),
        (
            vec![answered(), refused(callee, 491, true)],
            &["answer"],
            false,
        ),
        // Before the answer nothing is settled.
        (vec![refused(caller, 488, true)], &[], false),
        (
            vec![refused(caller, 488, true), answered()],
            &["answer"],
            false,
        ),
        // Whose offer it was is told before the end.
        (
            vec![
                answered(),
                Input::Offered(caller),
                refused(callee, 488, true),
            ],
            &["answer", "offer to callee", "refuse offer of caller 488"],
            true,
        ),
    ];
    for (row, (story, before, ends)) in rows.into_iter().enumerate() {
        let end: &[&str] = if ends { &ended } else { &[] };
        let expected: Vec<&str> = before.iter().chain(end).copied().collect();
        assert_eq!(done(false, Notice::None, story), expected, "row {row}");
    }
}
