//! Carriers that must be told of bindings: the real machine that tells each, on time of its own, a network that delays
//! and loses, and what each carrier holds.
//!
//! What is told comes from what is durable alone; what came of it is given to the pipeline as a command, and customers
//! hear of it when that is durable. The network and the carriers outlive our process.

mod book;
mod comparing;
mod quiescence;
mod wire;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use maskline_domain::binding::Phase;
use maskline_domain::command::Updated;
use maskline_domain::ops::{
    AbandonAsked, BeginEpoch, ForgetCarrier, NoteReconciled, ReleaseOrphan, RenewProvision,
    SetCarrier, SettleProvision, Settlement,
};
use maskline_domain::provisioning::{Answer as Said, HeldThere, NotDone, Provisioner, Request};
use maskline_domain::provisioning::{Settings, Settled, Settling, Terms, Wait, Written};
use maskline_domain::{
    Actor, Binding, Carrier, CarrierKind, CarrierName, Command, Envelope, Outcome, Pool, Refusal,
    SubsId, Timestamp,
};
use maskline_journal::pipeline::SubmitError;

use self::book::Book;
use self::comparing::Comparing;
use self::wire::Message;
use crate::chance::Chance;
use crate::faults::Fault;
use crate::laws::answer_log::AnswerLog;
use crate::laws::{Held, Law, broken, hold};
use crate::model::Model;
use crate::model::phases::is_let_go;
use crate::model::verify::Answer;
use crate::world::{Caller, World};

/// The carriers.
pub const CARRIERS: [&str; 2] = ["north-mobile", "south-mobile"];
/// Which of the pools name which.
const NAMED_BY: [(usize, usize); 3] = [(0, 0), (1, 0), (4, 1)];
/// How long a customer waits, in milliseconds.
const DEADLINE_MS: i64 = 2_500;
/// The most commands of ours that are given at once.
const GIVEN_AT_ONCE: usize = 8;

/// The carriers of a world.
pub(super) struct Carriers {
    chance: Chance,
    /// Time that no clock shows and that only goes forward, in milliseconds.
    pub ms: i64,
    sides: Vec<Side>,
    /// Commands of ours that are being decided.
    given: BTreeMap<Caller, Given>,
    /// Those that are to be given, for the first time or again.
    due: VecDeque<Given>,
    settling: Settling<Waiter>,
    /// When those came who may have to wait.
    arrived: BTreeMap<Caller, i64>,
    /// Fences of requests of which a customer heard an error.
    failed: BTreeSet<u64>,
    /// What a start does before it serves.
    starting: VecDeque<Given>,
    /// What was restored is not in an epoch of its own yet.
    needs_epoch: bool,
    comparisons: u64,
    backup: Option<Backup>,
}

/// Our side of one carrier, and the carrier.
struct Side {
    name: CarrierName,
    provisioner: Provisioner,
    /// The newest try of each request that is under way.
    tries: BTreeMap<u64, u64>,
    /// How often each was sent.
    sent: BTreeMap<u64, u32>,
    next_try: u64,
    messages: Vec<Message>,
    book: Book,
    /// Fences of all requests that it has ever carried out.
    done: BTreeSet<u64>,
    /// As it was at times.
    kept: Vec<Book>,
    down_until: i64,
    slow_until: i64,
    /// Since when it or we may know less than the other.
    lost_at: Option<i64>,
    comparing: Option<Comparing>,
}

/// Who asked for something that a carrier must do.
struct Waiter {
    envelope: Envelope,
    outcome: Outcome,
    decided_at: Timestamp,
    terms: Option<Terms>,
    subs_id: SubsId,
    side: usize,
}

/// A command of ours.
#[derive(Debug, Clone)]
enum Given {
    Epoch,
    Abandon(usize),
    Settle(Settled),
    Renew(usize, u64, RenewProvision),
    Orphan(usize, u64, HeldThere),
    Reconciled(usize, u32),
    /// A carrier, and the bindings that are detached from it.
    Forget(usize, BTreeSet<SubsId>),
}

/// A world that can be restored.
struct Backup {
    seq: u64,
    model: Model,
    answer_log: AnswerLog,
}

/// A carrier as an operator describes it.
fn described(name: &str) -> Carrier {
    Carrier {
        kind: CarrierKind::Http,
        url: Some("http://carrier.example/".into()),
        sealed_secret: Some([7; 4].into()),
        concurrency: 3,
        breaker_failures: 4,
        breaker_open_ms: 1_500,
        ..Carrier::new(CarrierName::new(name))
    }
}

/// What makes the carriers of a world.
pub(super) fn founding() -> impl Iterator<Item = Command> {
    CARRIERS
        .into_iter()
        .map(|name| Command::SetCarrier(SetCarrier(Box::new(described(name)))))
}

/// Lets the `n`th pool name its carrier.
pub(super) fn with_carrier(n: usize, pool: Pool) -> Pool {
    let named = NAMED_BY.into_iter().find(|&(its, _)| its == n);
    Pool {
        carrier: named.map(|(_, carrier)| CarrierName::new(CARRIERS[carrier])),
        ..pool
    }
}

impl Side {
    fn new(name: &str) -> Self {
        Self {
            name: CarrierName::new(name),
            provisioner: Provisioner::new(Settings::of(&described(name))),
            tries: BTreeMap::new(),
            sent: BTreeMap::new(),
            next_try: 0,
            messages: Vec::new(),
            book: Book::default(),
            done: BTreeSet::new(),
            kept: Vec::new(),
            down_until: 0,
            slow_until: 0,
            lost_at: None,
            comparing: None,
        }
    }

    /// Our process has ended; what is on its way is on its way.
    fn forget_ours(&mut self) {
        self.provisioner = Provisioner::new(Settings::of(&described(self.name.as_str())));
        self.tries.clear();
        self.sent.clear();
        self.comparing = None;
    }
}

impl Carriers {
    pub fn new(seed: u64) -> Self {
        Self {
            chance: Chance::new(seed.rotate_left(32) ^ 0x0ca2_2ae2),
            ms: 0,
            sides: CARRIERS.map(Side::new).into(),
            given: BTreeMap::new(),
            due: VecDeque::new(),
            settling: Settling::default(),
            arrived: BTreeMap::new(),
            failed: BTreeSet::new(),
            starting: VecDeque::new(),
            needs_epoch: false,
            comparisons: 0,
            backup: None,
        }
    }

    /// Those that cannot be asked now.
    fn down(&self) -> Vec<CarrierName> {
        let now = Timestamp(self.ms);
        let down = self.sides.iter().filter(|s| s.provisioner.is_down(now));
        down.map(|side| side.name.clone()).collect()
    }

    /// Our process has ended.
    pub fn crashed(&mut self) {
        self.sides.iter_mut().for_each(Side::forget_ours);
        self.given.clear();
        self.due.clear();
        self.settling = Settling::default();
        self.arrived.clear();
        self.starting.clear();
    }

    /// It begins: whoever waited for an answer does so no more.
    pub fn started(&mut self, fault: Option<Fault>) {
        let abandons = (0..self.sides.len()).map(Given::Abandon);
        self.starting
            .extend(self.needs_epoch.then_some(Given::Epoch));
        if fault != Some(Fault::StartForgetsAsked) {
            self.starting.extend(abandons);
        }
    }

    /// Whether customers are not served yet.
    pub fn is_starting(&self) -> bool {
        !self.starting.is_empty()
    }

    /// Tells a customer's command which carriers cannot be asked, and notes when it came.
    pub fn came(&mut self, caller: Caller, envelope: &mut Envelope) {
        let down = self.down();
        match &mut envelope.command {
            Command::Bind(request) => request.carriers_down = down,
            Command::Update(asked) => asked.carriers_down = down,
            _ => return,
        }
        self.arrived.insert(caller, self.ms);
    }

    /// A carrier that a request is for.
    fn side_of(&self, name: &CarrierName) -> Option<usize> {
        self.sides.iter().position(|side| side.name == *name)
    }

    /// There is no backup to go back to any more.
    pub fn forget_backup(&mut self) {
        self.backup = None;
    }

    fn is_known(&self, fence: u64) -> bool {
        self.settling.is_settling(fence)
    }

    /// What came of a request is to be written down.
    fn settle(&mut self, settled: Settled) {
        if self.settling.settle(settled) {
            self.due.push_back(Given::Settle(settled));
        }
    }

    /// Has settlements written that could not be.
    fn write_again(&mut self, fault: Option<Fault>) {
        for mut settled in self.settling.due(Timestamp(self.ms)) {
            if fault == Some(Fault::FailedIsConfirmed) && settled.answer == Said::Done {
                settled.settlement = Settlement::Done;
            }
            self.due.push_back(Given::Settle(settled));
        }
    }

    /// Lets the machines be told what is owed by what is durable.
    fn tell_owed(&mut self, durable: &Model) {
        let now = Timestamp(self.ms);
        for at in 0..self.sides.len() {
            let name = self.sides[at].name.clone();
            let owed = durable.bindings_of(&name).filter(|binding| {
                let provision = binding.provision.as_ref();
                provision.is_some_and(|its| its.phase.is_owed() && !self.is_known(its.fence))
            });
            let requests: Vec<Request> = owed.filter_map(Request::of).collect();
            for request in requests {
                // There is room for all that this world can owe.
                let _ = self.sides[at].provisioner.tell(request, now);
            }
        }
    }
}

fn terms(request: &Request) -> Option<Terms> {
    use maskline_domain::provisioning::Operation;
    match &request.operation {
        Operation::Bind(terms) | Operation::Update(terms) => Some(terms.clone()),
        Operation::Unbind => None,
    }
}

/// The binding of an answer that must wait for its carrier.
fn waits(answer: &Answer) -> Option<&Binding> {
    let (binding, phase) = match answer {
        Ok(Outcome::Bound(binding)) => (binding, Phase::Reserved),
        Ok(Outcome::Updated(Updated::Asked(binding))) => (binding, Phase::Changing),
        _ => return None,
    };
    let provision = binding.provision.as_deref();
    provision
        .is_some_and(|provision| provision.phase == phase)
        .then_some(binding)
}

impl World {
    /// Does all that is to be done about carriers until now.
    pub(super) fn work_with_carriers(&mut self) -> Held {
        let Some(mut carriers) = self.carriers.take() else {
            return Ok(());
        };
        let late = carriers.let_time_pass(self.fault);
        if self.machine.is_some() {
            carriers.write_again(self.fault);
            carriers.tell_owed(self.durable());
            for subs_id in late {
                self.confirm_late(&mut carriers, subs_id);
            }
            if self.plants(Fault::AskedBeforeDurable) {
                self.ask_early(&mut carriers);
            }
            let (durable, fault) = (self.durable(), self.fault);
            (0..carriers.sides.len()).for_each(|side| carriers.compare_on(side, durable, fault));
        }
        let mut due = Vec::new();
        if self.machine.is_some() {
            let starts = carriers.starting.front().cloned();
            let has_begun = carriers
                .given
                .values()
                .any(|given| matches!(given, Given::Epoch | Given::Abandon(_)));
            due.extend(starts.filter(|_| !has_begun));
            let at_once = carriers.due.len().min(GIVEN_AT_ONCE);
            due.extend(carriers.due.drain(..at_once));
        }
        self.carriers = Some(carriers);
        for given in due {
            self.give(given)?;
        }
        self.drain()
    }

    fn give(&mut self, given: Given) -> Held {
        let Some(carriers) = &mut self.carriers else {
            return Ok(());
        };
        let name = |side: usize| carriers.sides[side].name.clone();
        let command = match &given {
            Given::Epoch => Command::BeginEpoch(BeginEpoch),
            Given::Abandon(side) => Command::AbandonAsked(AbandonAsked {
                carrier: name(*side),
                at_most: 2,
            }),
            Given::Settle(settled) => Command::SettleProvision(SettleProvision {
                subs_id: settled.subs_id,
                fence: settled.fence,
                settlement: settled.settlement,
            }),
            Given::Renew(_, _, renew) => Command::RenewProvision(*renew),
            Given::Orphan(side, _, held) => Command::ReleaseOrphan(ReleaseOrphan {
                carrier: name(*side),
                // The fault takes a fence without asking whose the binding is.
                subs_id: match self.fault {
                    Some(Fault::OrphanReleasedAfterOneLook) => SubsId(1),
                    _ => held.subs_id,
                },
                x: held.x,
            }),
            Given::Reconciled(side, epoch) => Command::NoteReconciled(NoteReconciled {
                carrier: name(*side),
                epoch: *epoch,
            }),
            Given::Forget(side, bindings) => Command::ForgetCarrier(ForgetCarrier {
                carrier: name(*side),
                bindings: bindings.clone(),
            }),
        };
        let caller = self.next_caller;
        carriers.given.insert(caller, given);
        let by = Actor::Job {
            name: format!("carriers-{caller}").into(),
        };
        let envelope = Envelope {
            by,
            id: None,
            command,
        };
        self.submit(envelope, None)
    }

    /// An answer that is no customer's, or that its customer cannot be told yet. Gives it back if it can be told.
    pub(super) fn carriers_answered(
        &mut self,
        caller: Caller,
        envelope: &Envelope,
        answer: Answer,
        decided_at: Timestamp,
    ) -> Result<Option<Answer>, crate::laws::Broken> {
        let Some(carriers) = &mut self.carriers else {
            return Ok(Some(answer));
        };
        let arrived = carriers.arrived.remove(&caller);
        if let Some(given) = carriers.given.remove(&caller) {
            self.given_answered(given, answer)?;
            return Ok(None);
        }
        let Some(binding) = waits(&answer).cloned() else {
            return Ok(Some(answer));
        };
        let (Some(provision), Some(request)) = (&binding.provision, Request::of(&binding)) else {
            return Ok(Some(answer));
        };
        let (fence, now) = (provision.fence, Timestamp(carriers.ms));
        let side = carriers.side_of(&provision.carrier);
        let (Some(side), Ok(outcome)) = (side, answer) else {
            return broken(Law::CarrierAnswer, "a carrier that nobody knows is asked");
        };
        let waiter = Waiter {
            envelope: envelope.clone(),
            outcome,
            decided_at,
            terms: terms(&request),
            subs_id: binding.subs_id,
            side,
        };
        match carriers.settling.wait(fence, waiter) {
            Wait::Ask if self.fault == Some(Fault::AskedBeforeDurable) => return Ok(None),
            Wait::Ask => {}
            Wait::Joined => return Ok(None),
            Wait::Failed(waiter) => {
                let refused = Err(NotDone::Refused(Refusal::CarrierUnavailable));
                self.is_told(waiter, fence, &refused)?;
                return Ok(None);
            }
        }
        let deadline = Timestamp(arrived.unwrap_or(carriers.ms) + DEADLINE_MS);
        let machine = &mut carriers.sides[side].provisioner;
        if machine.ask(request, deadline, now).is_err() {
            let settled = Settled {
                subs_id: binding.subs_id,
                fence,
                settlement: Settlement::NotDone,
                answer: Said::Unavailable,
            };
            carriers.settle(settled);
        }
        Ok(None)
    }

    fn given_answered(&mut self, given: Given, answer: Answer) -> Held {
        let Some(carriers) = &mut self.carriers else {
            return Ok(());
        };
        if let Given::Settle(settled) = given {
            return self.settlement_answered(settled, answer);
        }
        let told = match answer {
            Ok(outcome) => Ok(outcome),
            Err(SubmitError::Refused(refusal)) => Err(refusal),
            // It is given again, also when the process is not ready for it yet.
            Err(_) => {
                if !matches!(given, Given::Epoch | Given::Abandon(_)) {
                    carriers.due.push_back(given);
                }
                return Ok(());
            }
        };
        match (given, told) {
            (Given::Epoch, _) => {
                carriers.starting.pop_front();
                carriers.needs_epoch = false;
            }
            (Given::Abandon(_), Ok(Outcome::Worked(work))) if work.more => {}
            (Given::Abandon(_), _) => {
                carriers.starting.pop_front();
            }
            (Given::Settle(_), _) => {}
            (Given::Orphan(side, number, held), Ok(Outcome::Drawn(fence))) => {
                carriers.let_orphan_go(side, number, held, fence.0);
            }
            (Given::Orphan(side, number, _) | Given::Renew(side, number, _), _) => {
                carriers.mended(side, number);
            }
            (Given::Reconciled(side, _), _) => self.compared(side)?,
            (Given::Forget(side, _), Ok(Outcome::Worked(work))) => {
                self.tally.detached += u64::from(work.count);
                let now = carriers.ms;
                let told = &mut carriers.sides[side];
                // What it holds is none of ours from now on.
                told.lost_at = Some(now);
                told.provisioner.withdraw();
                let is_worth_more = work.more && work.count > 0;
                if is_worth_more {
                    self.forget_some(side);
                }
            }
            // A pool names it again, or it has been taken away.
            (Given::Forget(..), _) => {}
        }
        Ok(())
    }

    /// What came of a request is written down, or cannot be: whoever waits is told.
    fn settlement_answered(&mut self, settled: Settled, answer: Answer) -> Held {
        let fence = settled.fence;
        let written = match answer {
            Ok(_) => Written::Done,
            Err(SubmitError::Refused(_)) => {
                let binding = self.durable().bindings.get(&settled.subs_id);
                let provision = binding.and_then(|binding| binding.provision.as_deref());
                let is_held = provision
                    .is_some_and(|its| its.phase == Phase::Confirmed && its.held == Some(fence));
                Written::Superseded { is_held }
            }
            Err(error) => Written::Not { error, again: true },
        };
        let Some(carriers) = &mut self.carriers else {
            return Ok(());
        };
        let now = Timestamp(carriers.ms);
        let Some(told) = carriers.settling.written(fence, written, now) else {
            return broken(
                Law::CarrierAnswer,
                "what was never settled was written down",
            );
        };
        for waiter in told.waiting {
            self.is_told(waiter, fence, &told.answer)?;
        }
        Ok(())
    }

    /// Who waited for a request is told what came of it.
    fn is_told(
        &mut self,
        waiter: Waiter,
        fence: u64,
        told: &Result<(), NotDone<SubmitError>>,
    ) -> Held {
        if told.is_ok() {
            self.is_held(&waiter, fence)?;
            self.tally.provisioned += 1;
        } else {
            self.tally.not_provisioned += 1;
            if let Some(carriers) = &mut self.carriers {
                carriers.failed.insert(fence);
            }
        }
        let answer: Answer = match told {
            Ok(()) => Ok(match waiter.outcome {
                Outcome::Updated(_) => Updated::AtOnce.into(),
                outcome => outcome,
            }),
            Err(NotDone::Refused(refusal)) => Err(SubmitError::Refused(refusal.clone())),
            Err(NotDone::NotSettled(error)) => Err(error.clone()),
        };
        self.error_stands()?;
        self.note(|| format!("{} is told {answer:?}", waiter.subs_id));
        self.answer_log
            .told_late(&waiter.envelope, &answer, waiter.decided_at)
    }

    /// A customer that hears OK of a request has what the carrier holds, or held until it was told otherwise.
    fn is_held(&self, waiter: &Waiter, fence: u64) -> Held {
        let Some(carriers) = &self.carriers else {
            return Ok(());
        };
        let side = &carriers.sides[waiter.side];
        hold(side.done.contains(&fence), Law::CarrierAnswer, || {
            format!("OK for {}, which no carrier has done", waiter.subs_id)
        })?;
        let binding = self.durable().bindings.get(&waiter.subs_id);
        let still = binding.filter(|binding| {
            let provision = binding.provision.as_deref();
            provision.is_some_and(|its| its.held == Some(fence) && its.phase == Phase::Confirmed)
        });
        let (Some(binding), None) = (still, side.lost_at) else {
            return Ok(());
        };
        let held = side.book.held.get(&(binding.x, binding.subs_id));
        let is_so = held.is_some_and(|held| Some(&held.terms) == waiter.terms.as_ref());
        hold(is_so, Law::CarrierAnswer, || {
            format!("OK for {}, which is held as {held:?}", waiter.subs_id)
        })
    }

    /// Nothing of which a customer heard an error comes about.
    fn error_stands(&self) -> Held {
        let Some(carriers) = &self.carriers else {
            return Ok(());
        };
        for binding in self.model.bindings.values() {
            let Some(provision) = &binding.provision else {
                continue;
            };
            let is_failed = |fence: u64| carriers.failed.contains(&fence);
            // What is reserved still is given up as soon as that can be written.
            let is_over = provision.phase == Phase::Reserved || is_let_go(binding);
            let stands =
                provision.held.is_some_and(is_failed) || (is_failed(binding.subs_id.0) && !is_over);
            hold(!stands, Law::CarrierAnswer, || {
                format!("{} stands, of which an error was told", binding.subs_id)
            })?;
        }
        Ok(())
    }

    /// The fault: an answer that comes too late is taken for one to whatever is asked now.
    fn confirm_late(&self, carriers: &mut Carriers, subs_id: SubsId) {
        let binding = self.durable().bindings.get(&subs_id);
        let provision = binding.and_then(|binding| binding.provision.as_deref());
        if let Some(provision) = provision {
            let settled = Settled {
                subs_id,
                fence: provision.fence,
                settlement: Settlement::Done,
                answer: Said::Done,
            };
            carriers.settle(settled);
        }
    }

    /// The fault: a carrier is asked for what is not durable yet.
    fn ask_early(&self, carriers: &mut Carriers) {
        let (now, deadline) = (carriers.ms, carriers.ms + DEADLINE_MS);
        for binding in self.model.bindings.values() {
            let Some(provision) = &binding.provision else {
                continue;
            };
            let side = carriers.side_of(&provision.carrier);
            if let (true, Some(side)) = (provision.phase.is_asked(), side)
                && !carriers.is_known(provision.fence)
                && let Some(request) = Request::of(binding)
            {
                let machine = &mut carriers.sides[side].provisioner;
                let _ = machine.ask(request, Timestamp(deadline), Timestamp(now));
            }
        }
    }
}
