//! Who rings and what a refused caller meets, by bindings of a real state: each cell of the table of
//! products, as far as AXN and AXB go. And what is forecast is what the machine then does.

use super::{ANSWERED, EARLY, ONE_TRUNK, TERMS, moment, progress};
use maskline_domain::call::{
    Action, AnnounceBy, Call, CallTerms, DialOptions, Input, Notice, ProgressMedia, Prompt,
    Question, Side, Sound, forecast, predict,
};
use maskline_domain::ops::Unbind;
use maskline_domain::routing::{Route, RouteQuery, route};
use maskline_domain::trunk::PromptPolicy;
use maskline_domain::{
    BindRequest, Party, PoolKey, PoolRef, Product, Restriction, SubsId, ToneCode,
};
use maskline_fixtures::domain::{HOUR_MS, World, axb, axn, number};

const A: &str = "15000000000";
const B: &str = "15800000000";
const N: &str = "13900000000";
const X: &str = "17000000000";

/// What a caller met: who rang, what it heard from us, the status and the cause.
type Met = (Option<String>, Option<Sound>, u16, u8);

fn rings(who: &str) -> Met {
    (Some(who.to_owned()), None, 200, 16)
}

fn vacant() -> Met {
    (None, Some(Prompt::VacantNumber.into()), 404, 1)
}

fn not_in_use() -> Met {
    (None, Some(Prompt::NotInUse.into()), 404, 1)
}

fn cannot_connect() -> Met {
    (None, Some(Prompt::CannotConnect.into()), 403, 21)
}

/// As [`meet_toned`] where no ring tone is there.
fn meet(world: &World, caller: Option<&str>, terms: CallTerms) -> Met {
    let (met, rung) = meet_toned(world, caller, terms, None);
    assert_eq!(rung, None);
    met
}

/// Plays the call to its end: a callee rings and answers, and the caller hangs up. What it met, and the ring
/// tone of ours that it heard meanwhile.
fn meet_toned(
    world: &World,
    caller: Option<&str>,
    terms: CallTerms,
    tone: Option<ToneCode>,
) -> (Met, Option<ToneCode>) {
    let query = RouteQuery {
        caller: caller.map(number),
        x: number(X),
    };
    let routed = route(&world.state, &query, world.now);
    let options = DialOptions { tone, ..ONE_TRUNK };
    let expected = forecast(&routed, options, &terms);
    let mut call = Call::new(terms, moment(0));
    let mut met: Met = (None, None, 0, 0);
    let mut rung = None;
    let ringing = || progress(180, false);
    let mut next = vec![Input::Routed(routed, options)];
    while let Some(input) = next.pop() {
        for action in call.handle(input, moment(0)) {
            match action {
                Action::OpenRow(_) => next.push(Input::RowOpened(true)),
                Action::DialCallee { callee, .. } => {
                    met.0 = Some(callee.reveal());
                    next.extend([ANSWERED, ringing()]);
                }
                Action::TellCaller {
                    media: ProgressMedia::Tone(tone),
                    ..
                } => rung = Some(tone),
                Action::AnswerCaller => {
                    met.2 = 200;
                    next.push(Input::Gone(Side::Caller, Some(16)));
                }
                Action::Announce { sound, by } => {
                    met.1 = Some(sound);
                    met.2 = if by == AnnounceBy::Answer { 200 } else { 0 };
                    next.push(Input::Played(Side::Caller));
                }
                Action::RefuseCaller(ending) => (met.2, met.3) = (ending.status, ending.q850),
                Action::HangUp(_, cause) => met.3 = cause,
                _ => {}
            }
        }
    }
    let predicted = (
        expected.rings.map(|callee| callee.reveal()),
        expected.sound,
        expected.ending.status,
        expected.ending.q850,
    );
    assert_eq!(met, predicted, "what was forecast came true");
    assert_eq!(rung, expected.ring_tone, "and so did the ring tone");
    (met, rung)
}

fn world(pool: &str) -> World {
    let mut world = World::new();
    world.stock(pool, "北京", &[X]);
    world
}

fn bound(request: BindRequest) -> (World, SubsId) {
    let mut world = world(match request.product {
        Product::Axn => "FC1",
        Product::Axb => "FC2",
    });
    let binding = world.bind(request).expect("X is free");
    (world, binding.subs_id)
}

fn axn_with_b() -> BindRequest {
    BindRequest {
        b: Party::parse(B),
        ..axn(A)
    }
}

#[test]
fn each_caller_of_an_axn_number_meets_what_the_table_says() {
    let rows: [(BindRequest, Option<&str>, Met); 12] = [
        (axn_with_b(), Some(A), rings(B)),
        (axn(A), Some(A), vacant()),
        (axn_with_b(), Some(B), rings(A)),
        (axn_with_b(), Some(N), rings(A)),
        (axn(A), None, rings(A)),
        (axn(A), Some(X), (None, None, 482, 25)),
        (
            restricted(axn_with_b(), Restriction::AMayNotDial),
            Some(A),
            cannot_connect(),
        ),
        (
            restricted(axn_with_b(), Restriction::AMayNotDial),
            Some(N),
            rings(A),
        ),
        (
            restricted(axn_with_b(), Restriction::OthersMayNotDial),
            Some(N),
            cannot_connect(),
        ),
        (
            restricted(axn_with_b(), Restriction::OthersMayNotDial),
            Some(B),
            cannot_connect(),
        ),
        (
            restricted(axn_with_b(), Restriction::OthersMayNotDial),
            None,
            cannot_connect(),
        ),
        (
            restricted(axn_with_b(), Restriction::OthersMayNotDial),
            Some(A),
            rings(B),
        ),
    ];
    for (request, caller, expected) in rows {
        let (world, _) = bound(request.clone());
        assert_eq!(
            meet(&world, caller, EARLY),
            expected,
            "{caller:?} {request:?}"
        );
    }
}

fn restricted(request: BindRequest, restriction: Restriction) -> BindRequest {
    BindRequest {
        restriction,
        ..request
    }
}

#[test]
fn each_caller_of_an_axb_number_meets_what_the_table_says() {
    let rows: [(BindRequest, Option<&str>, Met); 8] = [
        (axb(A, B), Some(A), rings(B)),
        (axb(A, B), Some(B), rings(A)),
        (axb(A, B), Some(N), not_in_use()),
        (axb(A, B), None, not_in_use()),
        (
            restricted(axb(A, B), Restriction::AMayNotDial),
            Some(A),
            cannot_connect(),
        ),
        (
            restricted(axb(A, B), Restriction::AMayNotDial),
            Some(B),
            rings(A),
        ),
        (
            restricted(axb(A, B), Restriction::OthersMayNotDial),
            Some(B),
            cannot_connect(),
        ),
        (
            restricted(axb(A, B), Restriction::OthersMayNotDial),
            Some(A),
            rings(B),
        ),
    ];
    for (request, caller, expected) in rows {
        let (world, _) = bound(request.clone());
        assert_eq!(
            meet(&world, caller, EARLY),
            expected,
            "{caller:?} {request:?}"
        );
    }
}

#[test]
fn a_number_without_a_live_binding_is_not_in_use() {
    for pool in ["FC1", "FC2"] {
        for caller in [Some(A), Some(N), None] {
            assert_eq!(meet(&world(pool), caller, EARLY), not_in_use());
        }
    }
    let (mut world, _) = bound(axn_with_b());
    world.pass_ms(HOUR_MS);
    assert_eq!(meet(&world, Some(N), EARLY), not_in_use(), "it is over");
}

#[test]
fn a_pool_without_call_back_does_not_connect_a() {
    let (mut world, _) = bound(axn_with_b());
    world.set_pool("FC1", Product::Axn, |pool| {
        pool.a_call_back = false;
    });
    assert_eq!(meet(&world, Some(A), EARLY), cannot_connect());
    assert_eq!(meet(&world, Some(N), EARLY), rings(A));
}

#[test]
fn a_trunk_may_want_prompts_otherwise() {
    let (world, _) = bound(axn(A));
    let by = |prompts| CallTerms { prompts, ..TERMS };
    assert_eq!(
        meet(&world, Some(A), by(PromptPolicy::None)),
        (None, None, 404, 1)
    );
    let answered = (None, Some(Prompt::VacantNumber.into()), 200, 1);
    assert_eq!(meet(&world, Some(A), by(PromptPolicy::Answer)), answered);
}

#[test]
fn a_ring_tone_is_foreseen_where_the_caller_hears_it() {
    let tone = ToneCode::parse("100000001").expect("a code");
    let in_place = |status| (None, Some(Sound::Tone(tone)), status, 1);
    let unsaid = (None, None, 404, 1);
    let lone = || restricted(axn(A), Restriction::OthersMayNotDial);
    use PromptPolicy::{Answer, Early, None as Silent};
    // The binding, who calls, how its trunk takes prompts; what it meets, and whether our tone rings.
    let rows: [(BindRequest, &str, PromptPolicy, Met, bool); 10] = [
        (axn_with_b(), A, Early, rings(B), true),
        (axn_with_b(), N, Early, rings(A), true),
        (axb(A, B), B, Early, rings(A), true),
        // A tone while it rings is early media.
        (axn_with_b(), A, Answer, rings(B), false),
        (axn_with_b(), A, Silent, rings(B), false),
        // In place of our words, in whatever way they would be heard.
        (axn(A), A, Early, in_place(404), false),
        (axn(A), A, Answer, in_place(200), false),
        (axn(A), A, Silent, unsaid, false),
        // Other words stay.
        (lone(), N, Early, cannot_connect(), false),
        (axb(A, B), N, Early, not_in_use(), false),
    ];
    for (request, caller, prompts, expected, is_rung) in rows {
        let (world, _) = bound(request.clone());
        let terms = CallTerms { prompts, ..TERMS };
        assert_eq!(
            meet_toned(&world, Some(caller), terms, Some(tone)),
            (expected, is_rung.then_some(tone)),
            "{caller} by {prompts:?}: {request:?}"
        );
    }
}

#[test]
fn a_foretold_tone_is_chosen_by_route_and_pool() {
    let tone = ToneCode::parse("7").expect("a code");
    let (mut world, _) = bound(axn(A));
    world.set_pool("FC1", Product::Axn, |pool| {
        pool.ring_tones.a_alone = Some(tone);
    });
    let predicted = |caller| {
        let question = Question {
            query: RouteQuery {
                caller: Some(number(caller)),
                x: number(X),
            },
            trunk: None,
            notice: Notice::None,
        };
        let told = predict(
            &world.state,
            &question,
            |route, pool| {
                let (_, scene) = route.scene()?;
                pool?.ring_tones.of(scene)
            },
            world.now,
        );
        told.expect("no trunk is asked for").forecast.sound
    };
    assert_eq!(predicted(A), Some(Sound::Tone(tone)));
    let unreachable = Sound::from(Prompt::Unreachable);
    assert_eq!(predicted(N), Some(unreachable), "no trunk is there");
}

#[test]
fn unbinding_and_expiry_during_a_call_leave_it_alone_and_stop_the_next() {
    for is_unbound in [true, false] {
        let (mut world, subs_id) = bound(axn_with_b());
        let query = RouteQuery {
            caller: Some(number(N)),
            x: number(X),
        };
        let routed = route(&world.state, &query, world.now);
        let mut call = Call::new(TERMS, moment(0));
        call.handle(Input::Routed(routed, ONE_TRUNK), moment(0));
        call.handle(Input::RowOpened(true), moment(0));
        call.handle(ANSWERED, moment(0));
        match is_unbound {
            true => {
                let unbind = Unbind {
                    pool: PoolRef::Key(PoolKey::new("FC1")),
                    subs_id,
                    x: number(X),
                };
                world.ask(unbind).expect("it is bound");
            }
            false => world.pass_ms(HOUR_MS),
        }
        assert!(call.is_talking());
        assert!(matches!(
            route(&world.state, &query, world.now),
            Route::Refuse { .. }
        ));
        let actions = call.handle(Input::Gone(Side::Callee, None), moment(1));
        assert!(matches!(actions.last(), Some(Action::Forget)));
    }
}
