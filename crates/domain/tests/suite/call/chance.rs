//! Whatever happens, in whatever order: a call ends, and leaves its record and nothing else.

use super::{TERMS, binding, connection, moment, name};
use maskline_domain::ToneCode;
use maskline_domain::call::{
    Action, AnnounceBy, Call, CallLimit, CallTerms, CallerMedia, DialOptions, Input, MediaAccess,
    MediaFault, Milestone, Notice, ProgressMedia, Side,
};
use maskline_domain::routing::{Route, Situation};
use maskline_domain::trunk::PromptPolicy;
use proptest::prelude::*;

/// What may happen. Each wave of chance becomes a [`Input`], since those cannot be repeated.
#[derive(Clone, Debug)]
enum Wave {
    Connect {
        trunks: usize,
        over_limit: bool,
        recorded: bool,
        toned: bool,
    },
    Refuse(Situation),
    RouteUnknown,
    RowOpened(bool),
    MediaRefused,
    Trying,
    Progress(u16, bool, CallerMedia),
    CalleeHeard,
    Answered(MediaAccess),
    CallerAnswered,
    Refused(u16, Option<u8>, bool, bool),
    TrunkFull,
    Gone(Side, Option<u8>),
    Played(Side),
    Offered(Side),
    OfferFits(Side),
    OfferWithdrawn(Side),
    OfferWanted(Side),
    MediaChanged(Side),
    OfferAccepted(Side),
    OfferRefused(Side, u16, bool),
    AnswerUnfit(Side),
    CodecsDiffer,
    MediaLost,
    Stopping,
    Timeout,
    /// Nothing, for so many milliseconds.
    Pause(u64),
}

impl Wave {
    fn input(&self) -> Option<Input> {
        Some(match *self {
            Self::Connect {
                trunks,
                over_limit,
                recorded,
                toned,
            } => {
                let Route::Connect(mut connection) = connection() else {
                    return None;
                };
                connection.binding.record = recorded;
                let over_limit = over_limit.then_some(CallLimit::X);
                let options = DialOptions {
                    trunks,
                    // Of some calls every second one is a further place.
                    further: if trunks > 2 { 0b1010 } else { 0 },
                    over_limit,
                    tone: toned.then_some(ToneCode::NETWORK),
                };
                Input::Routed(Route::Connect(connection), options)
            }
            Self::Refuse(situation) => {
                let binding = Some(Box::new(binding()));
                Input::Routed(Route::Refuse { situation, binding }, DialOptions::default())
            }
            Self::RouteUnknown => Input::RouteUnknown,
            Self::RowOpened(durable) => Input::RowOpened(durable),
            Self::MediaRefused => Input::MediaRefused(MediaFault::Unfit),
            Self::Trying => Input::TrunkTrying,
            Self::Progress(status, early_media, caller) => Input::CalleeProgress {
                status,
                early_media,
                caller,
            },
            Self::CalleeHeard => Input::CalleeHeard,
            Self::Answered(access) => Input::CalleeAnswered(access),
            Self::CallerAnswered => Input::CallerAnswered,
            Self::Refused(status, cause, silent, narrowed) => Input::CalleeRefused {
                status,
                cause,
                silent,
                narrowed,
            },
            Self::TrunkFull => Input::TrunkFull,
            Self::CodecsDiffer => Input::CodecsDiffer,
            Self::Gone(side, cause) => Input::Gone(side, cause),
            Self::Played(side) => Input::Played(side),
            Self::Offered(side) => Input::Offered(side),
            Self::OfferFits(side) => Input::OfferFits(side),
            Self::OfferWithdrawn(side) => Input::OfferWithdrawn(side),
            Self::OfferWanted(side) => Input::OfferWanted(side),
            Self::MediaChanged(side) => Input::MediaChanged(side),
            Self::OfferAccepted(side) => Input::OfferAccepted(side),
            Self::OfferRefused(side, status, speaks_another) => Input::OfferRefused {
                side,
                status,
                speaks_another,
            },
            Self::AnswerUnfit(side) => Input::AnswerUnfit(side),
            Self::MediaLost => Input::MediaLost,
            Self::Stopping => Input::Stopping,
            Self::Timeout => Input::Timeout,
            Self::Pause(_) => return None,
        })
    }
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Caller), Just(Side::Callee)]
}

fn wave() -> impl Strategy<Value = Wave> {
    let situation = prop_oneof![
        Just(Situation::XUnknown),
        Just(Situation::Loop),
        Just(Situation::NoBinding),
        Just(Situation::Restricted),
    ];
    prop_oneof![
        4 => (0_usize..6, prop::bool::weighted(0.1), any::<[bool; 2]>()).prop_map(
            |(trunks, over_limit, [recorded, toned])| Wave::Connect { trunks, over_limit, recorded, toned }
        ),
        1 => situation.prop_map(Wave::Refuse),
        1 => Just(Wave::RouteUnknown),
        4 => prop::bool::weighted(0.9).prop_map(Wave::RowOpened),
        1 => Just(Wave::MediaRefused),
        2 => Just(Wave::Trying),
        4 => (100_u16..200, any::<bool>(), any::<[bool; 2]>()).prop_map(
            |(status, media, [takes_tone, awaits_answer])| {
                Wave::Progress(status, media, CallerMedia { takes_tone, awaits_answer })
            }
        ),
        1 => Just(Wave::CalleeHeard),
        4 => prop_oneof![
            4 => Just(MediaAccess::Ready),
            1 => Just(MediaAccess::Awaited),
            1 => Just(MediaAccess::PassedThrough),
        ].prop_map(Wave::Answered),
        1 => Just(Wave::CallerAnswered),
        4 => (300_u16..700, any::<Option<u8>>(), any::<bool>(), any::<bool>())
            .prop_map(|(status, cause, silent, narrowed)| {
                Wave::Refused(if narrowed { 488 } else { status }, cause, silent, narrowed)
            }),
        1 => Just(Wave::TrunkFull),
        2 => (side(), any::<Option<u8>>()).prop_map(|(side, cause)| Wave::Gone(side, cause)),
        2 => side().prop_map(Wave::Played),
        2 => side().prop_map(Wave::Offered),
        1 => side().prop_map(Wave::OfferFits),
        1 => side().prop_map(Wave::OfferWithdrawn),
        1 => side().prop_map(Wave::OfferWanted),
        1 => side().prop_map(Wave::MediaChanged),
        2 => side().prop_map(Wave::OfferAccepted),
        1 => (side(), prop_oneof![Just(488), Just(491)], any::<bool>())
            .prop_map(|(side, status, differs)| Wave::OfferRefused(side, status, differs)),
        1 => side().prop_map(Wave::AnswerUnfit),
        1 => Just(Wave::CodecsDiffer),
        1 => Just(Wave::MediaLost),
        1 => Just(Wave::Stopping),
        2 => Just(Wave::Timeout),
        4 => (1_u64..20_000).prop_map(Wave::Pause),
    ]
}

/// What a call has had done so far.
#[derive(Default)]
struct Tally {
    opened_rows: u32,
    written: u32,
    closed: u32,
    forgotten: u32,
    /// Whether the caller hears a ring tone of ours.
    rings: bool,
    /// Whether it was answered for one.
    opened: bool,
    /// Whether the callee was offered the codec of the tone alone.
    toned: bool,
    recordings: u32,
    /// Milestones, in the order in which they came.
    milestones: Vec<Milestone>,
    /// Those of them that wait for the row that is written next.
    unwritten: Vec<Milestone>,
    /// Legs that were dialled and not hung up.
    ringing: i32,
}

impl Tally {
    fn take(&mut self, actions: &[Action]) {
        for action in actions {
            assert_eq!(self.forgotten, 0, "after forget: {}", name(action));
            match action {
                Action::Reached(reached) => self.reach(reached.milestone),
                Action::OpenRow(_) => {
                    self.opened_rows += 1;
                    assert_eq!(std::mem::take(&mut self.unwritten), [Milestone::Started]);
                }
                Action::WriteRow(..) => {
                    self.written += 1;
                    let expected = [Milestone::Started, Milestone::Ended];
                    assert_eq!(std::mem::take(&mut self.unwritten), expected);
                }
                Action::CloseRow(_) => {
                    self.closed += 1;
                    assert_eq!(std::mem::take(&mut self.unwritten), [Milestone::Ended]);
                }
                Action::Forget => self.forgotten += 1,
                Action::TellCaller { status, media } => self.tell(*status, *media),
                Action::StopRinging => {
                    assert!(self.rings, "a tone is stopped once");
                    self.rings = false;
                }
                Action::AnswerCaller => assert!(!self.rings, "the callee is heard, not a tone"),
                Action::Announce { by, .. } => {
                    assert_eq!(*by == AnnounceBy::Opened, self.opened, "it is listening");
                }
                Action::Record => self.recordings += 1,
                Action::DialCallee { toned, .. } => {
                    assert_eq!(self.opened_rows, 1, "nobody is dialled without a row");
                    assert!(!self.opened, "who has rung is not dialled again");
                    self.toned = *toned;
                    self.ringing += 1;
                }
                Action::CancelCallee(_) | Action::HangUp(Side::Callee, _) => self.ringing -= 1,
                _ => {}
            }
        }
        assert!(self.unwritten.is_empty(), "its row is written at once");
    }

    fn reach(&mut self, milestone: Milestone) {
        let before = self.milestones.last();
        assert!(before < Some(&milestone), "each comes once, and in order");
        self.milestones.push(milestone);
        match milestone {
            Milestone::Ringing | Milestone::Answered => assert_eq!(self.opened_rows, 1),
            Milestone::Started | Milestone::Ended => self.unwritten.push(milestone),
            Milestone::Recorded => panic!("a call does not know what became of the file"),
        }
    }
}

impl Tally {
    fn tell(&mut self, status: u16, media: ProgressMedia) {
        assert!(matches!(status, 180 | 182 | 183), "{status}");
        assert!(
            status != 180 || !self.opened,
            "its telephone would ring over the tone"
        );
        match media {
            ProgressMedia::Tone(_) => {
                assert!(
                    !self.opened && self.toned,
                    "it begins once, in the codec that was left"
                );
                (self.rings, self.opened) = (true, true);
            }
            ProgressMedia::ToneGoesOn => assert!(self.rings),
            ProgressMedia::Callees => assert!(!self.opened, "it has its answer"),
            ProgressMedia::Nothing => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_call_ends_once_and_leaves_its_record(
        waves in prop::collection::vec(wave(), 1..60),
        prompts in prop_oneof![Just(PromptPolicy::Early), Just(PromptPolicy::Answer), Just(PromptPolicy::None)],
    ) {
        let mut now_ms = 0;
        let terms = CallTerms { prompts, notice: Notice::Both, ..TERMS };
        let mut call = Call::new(terms, moment(now_ms));
        let mut tally = Tally::default();
        let mut is_known = false;
        for wave in &waves {
            if let Wave::Pause(millis) = wave {
                now_ms += millis;
            }
            // What comes of the callee's leg comes only while there is one.
            match wave {
                Wave::Refused(..) | Wave::TrunkFull | Wave::Gone(Side::Callee, _) if tally.ringing == 0 => continue,
                Wave::Refused(..) | Wave::TrunkFull if call.is_talking() => continue,
                Wave::Refused(..) | Wave::TrunkFull | Wave::Gone(Side::Callee, _) => tally.ringing -= 1,
                _ => {}
            }
            let Some(input) = wave.input() else { continue };
            is_known |= matches!(&input, Input::Routed(route, _) if tally.forgotten == 0
                && !matches!(route, Route::Refuse { situation: Situation::XUnknown, .. }));
            tally.take(&call.handle(input, moment(now_ms)));
        }
        // Left alone, it ends by its deadlines.
        for _ in 0..20 {
            let Some(deadline) = call.deadline() else { break };
            tally.take(&call.handle(Input::Timeout, moment(deadline)));
        }
        prop_assert_eq!(call.deadline(), None);
        prop_assert_eq!(tally.forgotten, 1, "it is forgotten once");
        prop_assert!(tally.opened_rows <= 1);
        prop_assert!(tally.recordings <= 1);
        prop_assert_eq!(tally.opened_rows, tally.closed, "an opened row is closed once");
        prop_assert_eq!(tally.opened_rows + tally.written, u32::from(is_known), "a known call has one row");
        let is_told = tally.milestones.first() == Some(&Milestone::Started)
            && tally.milestones.contains(&Milestone::Ended);
        prop_assert_eq!(is_told, is_known, "a known call tells its beginning and its end");
        prop_assert_eq!(tally.milestones.is_empty(), !is_known);
        prop_assert_eq!(tally.ringing, 0, "no leg is left");
    }
}
