//! Changes of the media while a call stands: one at a time, and none that only one side believes in.

use super::scenarios::{CALLER_HANGS_UP, dialled, talking};
use super::{ANSWERED, ONE_TRUNK, TERMS, callee_refused, connection, moment, names, offer_refused};
use maskline_domain::call::{Call, Input, Side};

#[test]
fn hold_and_resume_go_to_the_other_side_and_back() {
    talking(vec![
        (Input::Offered(Side::Caller), &["offer to callee"]),
        (
            Input::OfferAccepted(Side::Callee),
            &["accept offer of caller"],
        ),
        (Input::Offered(Side::Callee), &["offer to caller"]),
        (
            offer_refused(Side::Caller, 606),
            &["refuse offer of callee 488"],
        ),
        (Input::Offered(Side::Caller), &["offer to callee"]),
        CALLER_HANGS_UP,
    ]);
}

#[test]
fn of_two_offers_at_once_the_later_is_put_off() {
    talking(vec![
        (Input::Offered(Side::Caller), &["offer to callee"]),
        (
            Input::Offered(Side::Callee),
            &["refuse offer of callee 491"],
        ),
        // An answer of the side that was not asked means nothing.
        (Input::OfferAccepted(Side::Caller), &[]),
        (
            offer_refused(Side::Callee, 491),
            &["refuse offer of caller 491"],
        ),
        CALLER_HANGS_UP,
    ]);
    dialled(
        TERMS,
        vec![
            (Input::Offered(Side::Caller), &["offer to callee"]),
            (
                Input::Offered(Side::Callee),
                &["refuse offer of callee 491"],
            ),
            (ANSWERED, &["answer"]),
            (
                Input::OfferAccepted(Side::Callee),
                &["accept offer of caller"],
            ),
            CALLER_HANGS_UP,
        ],
    );
}

#[test]
fn an_offer_before_the_answer_is_carried_across_unless_it_fits() {
    dialled(
        TERMS,
        vec![
            (Input::OfferFits(Side::Callee), &["accept offer of callee"]),
            (Input::Offered(Side::Callee), &["offer to caller"]),
            // What fits does not wait for what does not.
            (Input::OfferFits(Side::Callee), &["accept offer of callee"]),
            (
                offer_refused(Side::Caller, 488),
                &["refuse offer of callee 488"],
            ),
            (Input::Offered(Side::Caller), &["offer to callee"]),
            (
                callee_refused(486, None, false),
                &[
                    "refuse offer of caller 500",
                    "refuse 486 17",
                    "close row: busy 486 17 by callee",
                    "forget",
                ],
            ),
        ],
    );
}

#[test]
fn what_changes_while_something_else_is_under_way_is_told_afterwards() {
    talking(vec![
        (Input::Offered(Side::Caller), &["offer to callee"]),
        (Input::MediaChanged(Side::Callee), &[]),
        (Input::MediaChanged(Side::Caller), &[]),
        (
            Input::OfferAccepted(Side::Callee),
            &["accept offer of caller", "tell caller of the change"],
        ),
        // Said twice it is told once.
        (Input::MediaChanged(Side::Callee), &[]),
        (Input::MediaChanged(Side::Callee), &[]),
        (
            offer_refused(Side::Caller, 488),
            &["tell caller of the change"],
        ),
        (
            Input::OfferAccepted(Side::Caller),
            &["tell callee of the change"],
        ),
        (Input::OfferAccepted(Side::Callee), &[]),
        CALLER_HANGS_UP,
    ]);
}

#[test]
fn an_offer_that_is_withdrawn_is_undone_on_the_side_that_took_it() {
    talking(vec![
        (Input::Offered(Side::Caller), &["offer to callee"]),
        (Input::OfferWithdrawn(Side::Caller), &[]),
        // Until the callee has spoken, its word belongs to that offer.
        (
            Input::Offered(Side::Caller),
            &["refuse offer of caller 491"],
        ),
        (
            Input::OfferAccepted(Side::Callee),
            &["tell callee of the change"],
        ),
        (Input::OfferAccepted(Side::Callee), &[]),
        (Input::Offered(Side::Caller), &["offer to callee"]),
        CALLER_HANGS_UP,
    ]);
    talking(vec![
        (Input::Offered(Side::Caller), &["offer to callee"]),
        (Input::OfferWithdrawn(Side::Caller), &[]),
        (offer_refused(Side::Callee, 488), &[]),
        (Input::Offered(Side::Callee), &["offer to caller"]),
        // That of the other side waits as before.
        (Input::OfferWithdrawn(Side::Caller), &[]),
        (
            Input::OfferAccepted(Side::Caller),
            &["accept offer of callee"],
        ),
        CALLER_HANGS_UP,
    ]);
}

#[test]
fn who_wants_an_offer_is_given_what_is_and_the_other_hears_what_it_changed() {
    talking(vec![
        (
            Input::OfferWanted(Side::Caller),
            &["offer what is to caller"],
        ),
        (
            Input::Offered(Side::Callee),
            &["refuse offer of callee 491"],
        ),
        (
            Input::OfferWanted(Side::Callee),
            &["refuse offer of callee 491"],
        ),
        (Input::OfferAccepted(Side::Caller), &[]),
        (
            Input::MediaChanged(Side::Caller),
            &["tell callee of the change"],
        ),
        (
            Input::Offered(Side::Caller),
            &["refuse offer of caller 491"],
        ),
        (offer_refused(Side::Callee, 488), &[]),
        (
            Input::OfferWanted(Side::Callee),
            &["offer what is to callee"],
        ),
        (offer_refused(Side::Callee, 488), &[]),
        (Input::Offered(Side::Caller), &["offer to callee"]),
        CALLER_HANGS_UP,
    ]);
}

#[test]
fn an_answer_that_fits_nothing_is_a_refusal_and_who_gave_it_hears_what_holds() {
    use Side::{Callee, Caller};
    let offered = Input::Offered;
    let unfit = Input::AnswerUnfit;
    let (to_callee, to_caller) = ("offer to callee", "offer to caller");
    let (tell_callee, tell_caller) = ("tell callee of the change", "tell caller of the change");
    let (no_caller, no_callee) = ("refuse offer of caller 488", "refuse offer of callee 488");
    // Whether it stands, what happens, and what is done then.
    let rows: [(bool, Vec<Input>, &[&str]); 11] = [
        (
            true,
            vec![offered(Caller), unfit(Callee)],
            &[to_callee, no_caller, tell_callee],
        ),
        (
            true,
            vec![offered(Callee), unfit(Caller)],
            &[to_caller, no_callee, tell_caller],
        ),
        (
            true,
            vec![
                offered(Caller),
                unfit(Callee),
                Input::OfferAccepted(Callee),
                offered(Caller),
            ],
            &[to_callee, no_caller, tell_callee, to_callee],
        ),
        (
            true,
            vec![offered(Caller), unfit(Callee), offered(Caller)],
            &[
                to_callee,
                no_caller,
                tell_callee,
                "refuse offer of caller 491",
            ],
        ),
        // Who offered waits no longer.
        (
            true,
            vec![
                offered(Caller),
                Input::OfferWithdrawn(Caller),
                unfit(Callee),
            ],
            &[to_callee, tell_callee],
        ),
        // It was not its word that was awaited: that of the other side still is.
        (true, vec![offered(Caller), unfit(Caller)], &[to_callee]),
        (
            true,
            vec![offered(Caller), unfit(Caller), Input::OfferAccepted(Callee)],
            &[to_callee, "accept offer of caller", tell_caller],
        ),
        (true, vec![unfit(Callee)], &[tell_callee]),
        // Before the answer it is told by the answer, or after it.
        (
            false,
            vec![offered(Caller), unfit(Callee)],
            &[to_callee, no_caller],
        ),
        (
            false,
            vec![offered(Callee), unfit(Caller)],
            &[to_caller, no_callee],
        ),
        (
            false,
            vec![offered(Caller), unfit(Callee), ANSWERED],
            &[to_callee, no_caller, "answer", tell_callee],
        ),
    ];
    for (row, (stands, inputs, expected)) in rows.into_iter().enumerate() {
        let mut call = Call::new(TERMS, moment(0));
        let begins = [
            Input::Routed(connection(), ONE_TRUNK),
            Input::RowOpened(true),
        ];
        for input in begins.into_iter().chain(stands.then_some(ANSWERED)) {
            call.handle(input, moment(0));
        }
        let actions = inputs
            .into_iter()
            .flat_map(|input| call.handle(input, moment(0)));
        let done = names(actions);
        assert_eq!(done, expected, "row {row}");
    }
}

#[test]
fn a_caller_that_holds_before_the_answer_holds_after_it() {
    dialled(
        TERMS,
        vec![
            (Input::MediaChanged(Side::Caller), &[]),
            (
                Input::OfferWanted(Side::Caller),
                &["refuse offer of caller 491"],
            ),
            (ANSWERED, &["answer", "tell callee of the change"]),
            (Input::OfferAccepted(Side::Callee), &[]),
            CALLER_HANGS_UP,
        ],
    );
}
