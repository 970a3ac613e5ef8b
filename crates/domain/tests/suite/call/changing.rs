//! Changes of the media while a call stands: one at a time, and none that only one side believes in.

use super::stories::{CALLER_HANGS_UP, dialled, talking};
use super::{ANSWERED, TERMS, callee_refused};
use maskline_domain::call::{Input, Side};

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
            Input::OfferRefused(Side::Caller, 606),
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
            Input::OfferRefused(Side::Callee, 491),
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
                Input::OfferRefused(Side::Caller, 488),
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
            Input::OfferRefused(Side::Caller, 488),
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
        (Input::OfferRefused(Side::Callee, 488), &[]),
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
        (Input::OfferRefused(Side::Callee, 488), &[]),
        (
            Input::OfferWanted(Side::Callee),
            &["offer what is to callee"],
        ),
        (Input::OfferRefused(Side::Callee, 488), &[]),
        (Input::Offered(Side::Caller), &["offer to callee"]),
        CALLER_HANGS_UP,
    ]);
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
