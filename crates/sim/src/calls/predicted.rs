//! What `maskline explain` predicts, held against what phones see.
//!
//! From a seed comes a state: pools that let A call back or not, bindings of both products with and without a
//! default B, restricted, recorded, expired or undone, ring tones of pools and bindings of which some cannot
//! be played, and trunks with settings of their own. Then phones call through the switch, and what each call
//! came to is read from the phones alone: who rang, the number shown, the ring tone, the prompt, the status,
//! the cause. The function behind `maskline explain` is asked the same, and so is a list of the bindings that
//! anyone can read. All three must say the same.

use std::net::{Ipv4Addr, SocketAddr};

use maskline_domain::call::{Notice, Prompt, Question, Sound, predict, ring_tone};
use maskline_domain::routing::{Route, RouteQuery};
use maskline_domain::trunk::{IdentityIn, IdentityOut, NumberForm, Privacy, PromptPolicy};
use maskline_domain::{PhoneNumber, Pool, Timestamp, ToneCode, Trunk, TrunkName};

use super::bindings::{BindingWorld, Expected};
use super::single_call::{self, ObservedCall};
use super::spread::spread;
use crate::chance::Chance;

/// Calls that are made in one state.
const CALLS_A_STATE: u64 = 8;
/// What the clock says at the beginning.
const BEGIN: Timestamp = Timestamp::from_secs(1_772_424_000);
/// The trunks of a state, as many as it has.
const TRUNKS: [&str; 4] = ["east", "north", "south", "west"];

/// A wrong question, asked on purpose, to see that a wrong answer is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slip {
    /// As if the call came by another trunk.
    OtherTrunk,
    /// As of a later moment.
    Later,
    /// As if the caller withheld its number.
    Withheld,
    /// As if nobody were told of recordings.
    NoNotice,
    /// As if every ring tone could be played.
    AllTones,
}

impl Slip {
    /// Each of them.
    pub const ALL: [Self; 5] = [
        Self::OtherTrunk,
        Self::Later,
        Self::Withheld,
        Self::NoNotice,
        Self::AllTones,
    ];
}

/// One state to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Where all its chance comes from.
    pub seed: u64,
    /// What is asked wrongly.
    pub slip: Option<Slip>,
}

/// A state in which something else was predicted than came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The state.
    pub plan: Plan,
    /// The call, and what each says of it.
    pub what: String,
}

impl Found {
    /// The command that plays it again.
    pub fn command(&self) -> String {
        format!("maskline-sim explain --seed {} --states 1", self.plan.seed)
    }
}

/// What the calls came to, to see that they were not all alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// States.
    pub states: u64,
    /// Calls.
    pub calls: u64,
    /// Calls for which somebody rang.
    pub rang: u64,
    /// Calls that had somebody to reach, and no trunk that could be sent them, though there was one for others.
    pub without_trunk: u64,
    /// Rung calls whose caller heard that they are recorded.
    pub noticed: u64,
    /// Rung calls whose caller heard a ring tone of ours meanwhile.
    pub toned: u64,
    /// Callers who heard a ring tone although nobody was to ring.
    pub toned_alone: u64,
    /// Calls by each prompt, in the order of [`Prompt::ALL`].
    pub prompts: [u64; 9],
    /// Callers who were answered only to hear why not.
    pub answered_in_vain: u64,
    /// Callers who were refused without a prompt.
    pub unsaid: u64,
    /// Callers who withheld their numbers.
    pub withheld: u64,
    /// X that dialled itself.
    pub loops: u64,
    /// Numbers that are none of ours.
    pub unknown: u64,
}

impl Tally {
    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        self.states += other.states;
        self.calls += other.calls;
        self.rang += other.rang;
        self.without_trunk += other.without_trunk;
        self.noticed += other.noticed;
        self.toned += other.toned;
        self.toned_alone += other.toned_alone;
        for (sum, count) in self.prompts.iter_mut().zip(other.prompts) {
            *sum += count;
        }
        self.answered_in_vain += other.answered_in_vain;
        self.unsaid += other.unsaid;
        self.withheld += other.withheld;
        self.loops += other.loops;
        self.unknown += other.unknown;
    }

    /// Each count with its name.
    pub fn lines(&self) -> Vec<(&'static str, u64)> {
        let heard = |prompt| {
            let counted = Prompt::ALL.into_iter().zip(self.prompts);
            let mut same = counted.filter(|(other, _)| *other == prompt);
            same.next().map_or(0, |(_, count)| count)
        };
        vec![
            ("states", self.states),
            ("calls", self.calls),
            ("somebody rang", self.rang),
            ("no trunk fits", self.without_trunk),
            ("heard of a recording", self.noticed),
            ("heard a ring tone", self.toned),
            ("heard a ring tone alone", self.toned_alone),
            ("heard vacant_number", heard(Prompt::VacantNumber)),
            ("heard not_in_use", heard(Prompt::NotInUse)),
            ("heard cannot_connect", heard(Prompt::CannotConnect)),
            ("heard unreachable", heard(Prompt::Unreachable)),
            ("answered only for a prompt", self.answered_in_vain),
            ("refused without a prompt", self.unsaid),
            ("callers withheld", self.withheld),
            ("X dialled itself", self.loops),
            ("X unknown", self.unknown),
        ]
    }

    fn count(&mut self, query: &RouteQuery, seen: &ObservedCall) {
        self.calls += 1;
        self.rang += u64::from(seen.rang.is_some());
        let heard = |prompt: Prompt| u64::from(seen.sound == Some(prompt.into()));
        self.noticed += heard(Prompt::RecordingNotice);
        self.toned += u64::from(seen.ring_tone.is_some());
        self.toned_alone += u64::from(matches!(seen.sound, Some(Sound::Tone(_))));
        for (prompt, count) in Prompt::ALL.into_iter().zip(&mut self.prompts) {
            *count += heard(prompt);
        }
        self.answered_in_vain += u64::from(seen.rang.is_none() && seen.status == 200);
        self.unsaid += u64::from(seen.status != 200 && seen.sound.is_none());
        self.withheld += u64::from(query.caller.is_none());
        self.loops += u64::from(seen.status == 482);
    }
}

/// Makes one state and calls in it.
///
/// # Errors
/// The first call of which explanation, phones and list do not say the same.
pub fn state(plan: Plan) -> Result<Tally, Found> {
    let mut chance = Chance::new(plan.seed);
    let (bindings, now) = random_bindings(&mut chance);
    let notice = chance.one_of([Notice::None, Notice::Caller, Notice::Both]);
    let mut tally = Tally {
        states: 1,
        ..Tally::default()
    };
    for _ in 0..CALLS_A_STATE {
        let (caller, x) = bindings.dial(&mut chance);
        let query = RouteQuery { caller, x };
        let enabled: Vec<&Trunk> = bindings.state().trunks().filter(|it| it.enabled).collect();
        let Some(&by) = chance.pick(&enabled) else {
            break;
        };
        // Some bindings end while calls are made.
        let begin = now.plus_millis(chance.between(0, 60_000));
        let outcome = single_call::call(&bindings, &mut chance, &query, by, notice, begin);
        let seen = outcome.seen;
        let at = outcome.routed_at;
        let is_usual = enabled.first().is_some_and(|first| first.name == by.name);
        let question = Question {
            query,
            trunk: (!is_usual || chance.one_in(2)).then(|| by.name.clone()),
            notice,
        };
        // Who answers at once rings with no tone.
        let met = |said: ObservedCall| ObservedCall {
            ring_tone: said.ring_tone.filter(|_| outcome.has_rung),
            ..said
        };
        let predicted = explained(&bindings, &question, at, plan.slip).map(met);
        let listed = met(listed(&bindings, &query, by.prompts, notice, at));
        if predicted != Some(seen) || listed != seen || !outcome.is_over {
            let predicted = predicted.map_or_else(|| "nothing".to_owned(), |it| it.to_string());
            let left = if outcome.is_over {
                ""
            } else {
                "\nit never ended"
            };
            let caller = caller.map_or_else(|| "somebody".to_owned(), |it| it.reveal());
            let what = format!(
                "{caller} dials {} at {at} by {}, which has {:?}; notice: {notice:?}\n\
                 phones:  {seen}\nexplain: {predicted}\nlist:    {listed}{left}",
                x.reveal(),
                by.name,
                by.prompts
            );
            return Err(Found { plan, what });
        }
        tally.count(&query, &seen);
        if let Expected::Rings(callee) = bindings.expected(&query, at) {
            let is_way_out = |trunk: &&Trunk| trunk.enabled && trunk.outgoing;
            let others = bindings.state().trunks().find(is_way_out);
            let is_without = others.is_some() && !bindings.has_way_out(x, callee);
            tally.without_trunk += u64::from(is_without);
        }
        tally.unknown += u64::from(bindings.expected(&query, at) == Expected::Unknown);
    }
    Ok(tally)
}

/// Looks at `states` states with seeds from `seed` on, on `threads` threads. `progress` is told the sum after
/// each.
///
/// # Errors
/// The failing state with the lowest seed among those found.
pub fn campaign(
    seed: u64,
    states: u64,
    threads: usize,
    progress: impl Fn(Tally) + Sync,
) -> Result<Tally, Found> {
    let look = |at| {
        let seed = seed.wrapping_add(at);
        state(Plan { seed, slip: None })
    };
    spread(states, threads, look, Tally::add, progress)
}

/// What the function behind `maskline explain` says.
fn explained(
    bindings: &BindingWorld,
    question: &Question,
    at: Timestamp,
    slip: Option<Slip>,
) -> Option<ObservedCall> {
    let mut question = question.clone();
    let mut at = at;
    match slip {
        // Tones are asked for below.
        None | Some(Slip::AllTones) => {}
        Some(Slip::OtherTrunk) => {
            let mut enabled = bindings.state().trunks().filter(|trunk| trunk.enabled);
            let first = enabled.next().map(|trunk| trunk.name.clone());
            let asked = question.trunk.take().or(first);
            let others = bindings.state().trunks().filter(|trunk| trunk.enabled);
            let other = others.map(|trunk| &trunk.name);
            question.trunk = other
                .filter(|name| Some(*name) != asked.as_ref())
                .last()
                .cloned();
        }
        Some(Slip::Later) => at = at.plus_secs(100),
        Some(Slip::Withheld) => question.query.caller = None,
        Some(Slip::NoNotice) => question.notice = Notice::None,
    }
    let is_there = |code: ToneCode| slip == Some(Slip::AllTones) || bindings.has_tone(code);
    let tone = |route: &Route, pool: Option<&Pool>| ring_tone::tone(route, pool, is_there);
    let forecast = predict(bindings.state(), &question, tone, at)?.forecast;
    Some(ObservedCall {
        rang: forecast.rings,
        shown: forecast.rings.map(|_| question.query.x),
        ring_tone: forecast.ring_tone,
        sound: forecast.sound,
        status: forecast.ending.status,
        cause: Some(forecast.ending.q850),
    })
}

/// What the list of bindings says, and the table of endings in plain words.
fn listed(
    bindings: &BindingWorld,
    query: &RouteQuery,
    prompts: PromptPolicy,
    notice: Notice,
    at: Timestamp,
) -> ObservedCall {
    let tone = bindings.expected_tone(query, at);
    let refused = |prompt: Option<Prompt>, status, cause| {
        let (prompt, status) = match (prompts, prompt) {
            (PromptPolicy::None, _) | (_, None) => (None, status),
            (PromptPolicy::Early, Some(prompt)) => (Some(prompt), status),
            (PromptPolicy::Answer, Some(prompt)) => (Some(prompt), 200),
        };
        ObservedCall {
            rang: None,
            shown: None,
            ring_tone: None,
            sound: match (prompt, tone) {
                (Some(Prompt::VacantNumber), Some(tone)) => Some(Sound::Tone(tone)),
                _ => prompt.map(Sound::Prompt),
            },
            status,
            cause: Some(cause),
        }
    };
    match bindings.expected(query, at) {
        Expected::Unknown => refused(None, 404, 1),
        Expected::Refused(prompt, status, cause) => refused(prompt, status, cause),
        Expected::Rings(callee) if !bindings.has_way_out(query.x, callee) => {
            refused(Some(Prompt::Unreachable), 502, 38)
        }
        Expected::Rings(callee) => {
            let is_told = notice != Notice::None && bindings.is_recorded(query, at);
            ObservedCall {
                rang: Some(callee),
                shown: Some(query.x),
                ring_tone: tone.filter(|_| prompts == PromptPolicy::Early),
                sound: is_told.then_some(Sound::Prompt(Prompt::RecordingNotice)),
                status: 200,
                cause: Some(16),
            }
        }
    }
}

/// Bindings that have come and gone for a while, and trunks.
fn random_bindings(chance: &mut Chance) -> (BindingWorld, Timestamp) {
    let mut bindings = BindingWorld::new(BEGIN);
    bindings.set_tones(chance, BEGIN);
    let mut now = BEGIN;
    for _ in 0..chance.between(3, 80) {
        bindings.change(chance, now);
        now = now.plus_millis(chance.between(0, 4_000));
    }
    let trunks = 1 + chance.below(TRUNKS.len() as u64) as usize;
    let open = chance.below(trunks as u64) as usize;
    for (place, name) in TRUNKS.into_iter().enumerate().take(trunks) {
        let enabled = place == open || !chance.one_in(4);
        let trunk = random_trunk(chance, name, place as u8, enabled);
        debug_assert!(trunk.enabled || place != open);
        bindings.set_trunk(trunk, now);
    }
    (bindings, now)
}

fn random_trunk(chance: &mut Chance, name: &str, place: u8, enabled: bool) -> Trunk {
    let peer = SocketAddr::new(Ipv4Addr::new(198, 51, 100, 1 + place).into(), 5060);
    Trunk {
        enabled,
        outgoing: !chance.one_in(3),
        prompts: chance.one_of([
            PromptPolicy::Early,
            PromptPolicy::Answer,
            PromptPolicy::None,
        ]),
        priority: chance.below(3) as u16,
        weight: chance.below(3) as u16,
        number_out: chance.one_of([
            NumberForm::Bare,
            NumberForm::Plus,
            NumberForm::CountryCode,
            NumberForm::International,
            NumberForm::Zero,
        ]),
        identity_in: chance.one_of([IdentityIn::Pai, IdentityIn::Rpid, IdentityIn::From]),
        identity_out: chance.one_of([IdentityOut::From, IdentityOut::Pai, IdentityOut::Rpid]),
        privacy: chance.one_of([Privacy::Omit, Privacy::None]),
        presents: some_of(
            chance,
            &["unicom", "telecom", "FC1", "FC2", "FC3"],
            |name| name.into(),
        ),
        routes: some_of(
            chance,
            &["1", "139000000", "1390000001", "1390000002", "0571"],
            |digits| PhoneNumber::parse(digits).expect("digits"),
        ),
        ..Trunk::new(TrunkName::new(name), peer.to_string())
    }
}

/// None of these in two of three cases, else some.
fn some_of<T>(chance: &mut Chance, all: &[&str], make: impl Fn(&str) -> T) -> Vec<T> {
    if !chance.one_in(3) {
        return Vec::new();
    }
    let chosen = all.iter().filter(|_| chance.one_in(2));
    chosen.map(|one| make(one)).collect()
}
