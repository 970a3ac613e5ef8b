//! From a document to commands: what has to change, and nothing else.
//!
//! A plan is made on a small copy of the state that holds only what the document is about. Each
//! command is decided there by the same rules that the writer uses, so a document that breaks a rule
//! is refused as a whole before anything has changed, and `--dry-run` shows what would happen.

mod change;
mod key;
mod trunk;
mod user;

use std::collections::BTreeSet;

use maskline_domain::clock::Timestamp;
use maskline_domain::{
    AccessKeyId, AccountId, Actor, Command, Envelope, PhoneNumber, PoolKey, Row, State, TrunkName,
    UserName, decide,
};

use super::document::{Document, Unwanted, WantedNumbers};
use super::view;
use crate::seal::Sealer;
use change::difference;
pub use change::{Change, Verb};
pub use key::NewKey;

/// How many numbers one command adds or releases: well within the 4,096 events and 1 MiB that one
/// command may be.
const NUMBERS_PER_COMMAND: usize = 1_000;

/// What has to be done, in order.
#[derive(Debug, Default)]
pub struct Plan {
    /// The steps; each is one command.
    pub steps: Vec<Step>,
    /// Keys that the plan makes with a secret of its own, to be shown once.
    pub new_keys: Vec<NewKey>,
    /// What can be done and may not be what was meant.
    pub warnings: Vec<String>,
}

/// One command, and what to tell about it.
#[derive(Debug)]
pub struct Step {
    /// The change, for a person.
    pub change: Change,
    /// The command that makes it.
    pub command: Command,
}

/// Why a document cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {reason}")]
pub struct PlanError {
    /// The entry of the document.
    pub what: String,
    /// The reason.
    pub reason: String,
}

/// Copies the things out of the state that are few and come whole: accounts, users, keys, pools,
/// trunks, the list of emergency numbers.
pub fn lists(state: &State) -> State {
    let mut copy = State::default();
    copy.advance(state.now());
    let rows = [Row::Emergency(state.emergency_numbers().to_vec())]
        .into_iter()
        .chain(state.accounts().cloned().map(Row::from))
        .chain(state.users().cloned().map(Row::User))
        .chain(state.keys().cloned().map(Row::Key))
        .chain(state.pools().cloned().map(Row::from))
        .chain(state.trunks().cloned().map(Row::from));
    for row in rows {
        copy.restore(row);
    }
    copy
}

/// What the state knows of some numbers: the numbers, then the bindings on them. To be added to
/// [`lists`].
pub fn number_rows(state: &State, numbers: &[PhoneNumber]) -> Vec<Row> {
    let known = numbers.iter().filter_map(|&x| state.number(x));
    let bindings = numbers.iter().flat_map(|&x| state.bindings_on(x));
    known
        .map(Row::Number)
        .chain(bindings.map(Row::from))
        .collect()
}

/// The numbers that a document names, each once.
///
/// # Errors
/// An entry that is not well formed.
pub fn numbers_of(document: &Document) -> Result<Vec<PhoneNumber>, PlanError> {
    let mut numbers: BTreeSet<PhoneNumber> = document.remove.numbers.iter().copied().collect();
    for entry in &document.numbers {
        numbers.extend(all_of(entry)?);
    }
    Ok(numbers.into_iter().collect())
}

/// Works out what has to change, given what there is: [`lists`], and the [`number_rows`] of
/// [`numbers_of`] the document.
///
/// # Errors
/// The first entry that breaks a rule.
pub fn plan(
    facts: State,
    document: &Document,
    sealer: &Sealer,
    now: Timestamp,
) -> Result<Plan, PlanError> {
    let mut planner = Planner {
        state: facts,
        now,
        plan: Plan::default(),
    };
    for wanted in &document.accounts {
        let before = planner.state.account(&AccountId::new(&wanted.id)).cloned();
        let after = wanted.over(before.as_ref());
        let change = difference(format!("account {}", wanted.id), before.as_ref(), &after);
        planner.step(change, Command::SetAccount(after))?;
    }
    for wanted in &document.users {
        planner.user(wanted)?;
    }
    for wanted in &document.keys {
        planner.key(wanted, sealer)?;
    }
    for wanted in &document.pools {
        let what = format!("pool {}", wanted.key);
        let before = planner.state.pool(&PoolKey::new(&wanted.key)).cloned();
        let after = wanted.over(before.as_ref()).map_err(refused(&what))?;
        let shown = before.as_ref().map(view::settings);
        let change = difference(what, shown.as_ref(), &view::settings(&after));
        planner.step(change, Command::SetPool(after))?;
    }
    for wanted in &document.numbers {
        planner.numbers(wanted)?;
    }
    for wanted in &document.trunks {
        planner.trunk(wanted, sealer)?;
    }
    if let Some(numbers) = &document.emergency_numbers {
        let before = planner.state.emergency_numbers().len();
        let change = Change {
            verb: Verb::Change,
            what: "emergency numbers".to_owned(),
            fields: vec![(
                "count".into(),
                before.to_string(),
                numbers.len().to_string(),
            )],
        };
        planner.step(change, Command::SetEmergencyNumbers(numbers.clone()))?;
    }
    planner.remove(&document.remove)?;
    let warnings = document
        .users
        .iter()
        .flat_map(|wanted| user::warnings(&planner.state, wanted));
    planner.plan.warnings = warnings.collect();
    Ok(planner.plan)
}

struct Planner {
    state: State,
    now: Timestamp,
    plan: Plan,
}

impl Planner {
    /// Adds a command to the plan, unless it would change nothing.
    fn step(&mut self, change: Change, command: Command) -> Result<(), PlanError> {
        let envelope = Envelope {
            by: Actor::Operator {
                name: "plan".into(),
            },
            id: None,
            command,
        };
        let decision = decide(&self.state, &envelope, self.now, 0);
        decision.answer.map_err(|refusal| PlanError {
            what: change.what.clone(),
            reason: refusal.to_string(),
        })?;
        if decision.events.is_empty() {
            return Ok(());
        }
        for event in &decision.events {
            self.state.apply(event);
        }
        self.plan.steps.push(Step {
            change,
            command: envelope.command,
        });
        Ok(())
    }

    fn numbers(&mut self, wanted: &WantedNumbers) -> Result<(), PlanError> {
        let place = wanted.pool.as_deref().map_or("the stock", |pool| pool);
        let all = all_of(wanted)?;
        let mut created = Vec::new();
        let mut changed = Vec::new();
        for x in all {
            let before = self.state.number(x);
            let number = wanted.number(x, before.as_ref(), self.now);
            match before {
                None => created.push(number),
                Some(before) if before.class != number.class => changed.push(number),
                Some(_) => {}
            }
        }
        for (verb, numbers) in [(Verb::Create, created), (Verb::Change, changed)] {
            for chunk in numbers.chunks(NUMBERS_PER_COMMAND) {
                let change = number_change(verb, chunk.len(), place, &wanted.city);
                self.step(change, Command::AddNumbers(chunk.to_vec()))?;
            }
        }
        Ok(())
    }

    fn remove(&mut self, unwanted: &Unwanted) -> Result<(), PlanError> {
        let removal = |what: String| Change {
            verb: Verb::Remove,
            what,
            fields: Vec::new(),
        };
        for key in &unwanted.keys {
            let id = AccessKeyId::new(key);
            if self.state.key(&id).is_some() {
                self.step(removal(format!("key {key}")), Command::DeleteKey { id })?;
            }
        }
        for user in &unwanted.users {
            let what = format!("user {user}");
            let (account, name) = user
                .split_once('/')
                .ok_or_else(|| refused(&what)("a user is named as account/name"))?;
            let (account, name) = (AccountId::new(account), UserName::new(name));
            if self.state.user(&account, &name).is_some() {
                self.step(removal(what), Command::DeleteUser { account, name })?;
            }
        }
        for trunk in &unwanted.trunks {
            let name = TrunkName::new(trunk);
            if self.state.trunk(&name).is_some() {
                self.step(
                    removal(format!("trunk {trunk}")),
                    Command::DeleteTrunk { name },
                )?;
            }
        }
        let there: Vec<PhoneNumber> = unwanted
            .numbers
            .iter()
            .copied()
            .filter(|&x| self.state.number(x).is_some())
            .collect();
        for chunk in there.chunks(NUMBERS_PER_COMMAND) {
            let what = format!("{} number(s)", chunk.len());
            self.step(removal(what), Command::ReleaseNumbers(chunk.to_vec()))?;
        }
        Ok(())
    }
}

fn number_change(verb: Verb, count: usize, place: &str, city: &str) -> Change {
    Change {
        verb,
        what: format!("{count} number(s) of {city} in {place}"),
        fields: Vec::new(),
    }
}

fn all_of(entry: &WantedNumbers) -> Result<Vec<PhoneNumber>, PlanError> {
    entry.all().map_err(|reason| PlanError {
        what: format!("numbers of {}", entry.city),
        reason,
    })
}

fn refused(what: &str) -> impl Fn(&str) -> PlanError + use<> {
    let what = what.to_owned();
    move |reason| PlanError {
        what: what.clone(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::MasterKeys;

    const FIRST: &str = r#"
        [[account]]
        id = "acme"
        real_name_verified = true

        [[user]]
        account = "acme"
        name = "clerk"
        [[user.statement]]
        effect = "allow"
        actions = ["dypls:Query*"]
        pools = ["*"]

        [[key]]
        id = "KEY1"
        account = "acme"
        user = "clerk"

        [[pool]]
        key = "FC1"
        account = "acme"
        product = "axn"

        [[numbers]]
        pool = "FC1"
        city = "北京"
        first = "17000000000"
        count = 2500

        [[trunk]]
        name = "carrier"
        peer = "192.0.2.1:5060"
    "#;

    #[test]
    fn a_ring_tone_of_a_pool_is_told_by_the_name_by_which_it_is_set() {
        let mut state = State::default();
        apply(&mut state, FIRST).unwrap();
        for (code, before, after) in [("007", "", "007"), ("", "007", "none")] {
            let document = format!("[[pool]]\nkey = \"FC1\"\nring_tone_other = \"{code}\"");
            let made = apply(&mut state, &document).unwrap();
            let told = ["ring_tone_other", before, after].map(str::to_owned);
            assert_eq!(made.steps[0].change.fields, [told.into()]);
        }
    }

    #[test]
    fn a_document_becomes_commands_and_then_nothing() {
        let mut state = State::default();
        let made = apply(&mut state, FIRST).unwrap();
        let verbs: Vec<_> = made.steps.iter().map(|s| s.change.what.as_str()).collect();
        assert_eq!(
            verbs,
            [
                "account acme",
                "user acme/clerk",
                "key KEY1",
                "pool FC1",
                "1000 number(s) of 北京 in FC1",
                "1000 number(s) of 北京 in FC1",
                "500 number(s) of 北京 in FC1",
                "trunk carrier",
            ]
        );
        assert_eq!(made.new_keys.len(), 1);
        assert_eq!(state.numbers_len(), 2500);
        let again = apply(&mut state, FIRST).unwrap();
        assert!(
            again.steps.is_empty() && again.new_keys.is_empty(),
            "{again:?}"
        );
    }

    #[test]
    fn a_change_names_its_fields() {
        let mut state = State::default();
        apply(&mut state, FIRST).unwrap();
        let plan = apply(&mut state, "[[pool]]\nkey = \"FC1\"\ncooling_s = 60\n").unwrap();
        let change = &plan.steps[0].change;
        assert_eq!(change.verb, Verb::Change);
        assert_eq!(
            change.fields,
            [("cooling_s".into(), "0".into(), "60".into())]
        );
    }

    #[test]
    fn a_mistake_anywhere_refuses_the_whole() {
        let mut state = State::default();
        for (text, what, reason) in [
            (
                "[[account]]\nid = \"a b\"",
                "account a b",
                "not well formed",
            ),
            (
                "[[pool]]\nkey = \"FC1\"\naccount = \"x\"\nproduct = \"axn\"",
                "pool FC1",
                "no such account",
            ),
            ("[[key]]\nid = \"K\"", "key K", "needs an account"),
            (
                "[[account]]\nid = \"a\"\n[[key]]\nid = \"K\"\naccount = \"a\"\nsecret = \"short\"",
                "key K",
                "16 to 128",
            ),
            (
                "[[numbers]]\ncity = \"x\"\nfirst = \"9\"\ncount = 2",
                "numbers of x",
                "does not fit",
            ),
            (
                "[[trunk]]\nname = \"t\"\npeer = \"no where\"",
                "trunk t",
                "peer",
            ),
            ("[remove]\nusers = [\"a\"]", "user a", "account/name"),
        ] {
            let error = apply(&mut state, text).expect_err(text);
            assert_eq!(error.what, what, "{error}");
            assert!(error.reason.contains(reason), "{error}");
        }
        assert_eq!(state.accounts().count(), 0);
    }

    #[test]
    fn removing_what_is_gone_is_no_mistake() {
        let mut state = State::default();
        apply(&mut state, FIRST).unwrap();
        let gone = "[remove]\nkeys = [\"KEY1\"]\nusers = [\"acme/clerk\"]\ntrunks = [\"carrier\"]\nnumbers = [\"17000000001\"]\n";
        assert_eq!(apply(&mut state, gone).unwrap().steps.len(), 4);
        assert_eq!(state.numbers_len(), 2499);
        assert!(apply(&mut state, gone).unwrap().steps.is_empty());
    }

    pub(super) fn apply(state: &mut State, text: &str) -> Result<Plan, PlanError> {
        let document: Document = toml::from_str(text).expect("a document");
        let keys = MasterKeys::parse(&hex::encode([9; 32])).expect("a key");
        let now = Timestamp::from_secs(1_800_000_000);
        let mut copy = lists(state);
        for row in number_rows(state, &numbers_of(&document)?) {
            copy.restore(row);
        }
        let plan = plan(copy, &document, &Sealer::new(&keys), now)?;
        let by = Actor::Operator {
            name: "test".into(),
        };
        for step in &plan.steps {
            let command = step.command.clone();
            let envelope = Envelope {
                by: by.clone(),
                id: None,
                command,
            };
            let decision = decide(state, &envelope, now, 0);
            decision.answer.as_ref().expect("planned, so acceptable");
            decision.events.iter().for_each(|event| state.apply(event));
        }
        Ok(plan)
    }
}
