//! From a document to commands: what has to change, and nothing else.
//!
//! A plan is made on a small copy of the state that holds only what the document is about. Each
//! command is decided there by the same rules that the writer uses, so a document that breaks a rule
//! is refused as a whole before anything has changed, and `--dry-run` shows what would happen.

mod carrier;
mod change;
mod codec_warnings;
mod key;
mod mistake;
mod numbers;
mod trunk;
mod user;
mod ways_out;

use maskline_domain::clock::Timestamp;
use maskline_domain::ops::{
    DeleteCarrier, DeleteKey, DeleteTrunk, DeleteUser, ENDS_MAX, ReleaseNumbers, SetAccount,
    SetEmergencyNumbers, SetPool,
};
use maskline_domain::{
    AccessKeyId, AccountId, Actor, CarrierName, Command, Envelope, PhoneNumber, PoolKey, Row,
    State, TrunkName, UserName, decide,
};

use super::document::{Document, Unwanted, WantedAccount, WantedPool};
use super::view;
use crate::permissions::Permissions;
use crate::seal::Sealer;
use crate::suggest;
pub(in crate::admin) use carrier::carrier_users;
use change::difference;
pub use change::{Change, Verb};
pub use key::NewKey;
pub use mistake::{Entry, Mistakes, PlanError};
pub use numbers::{KnownNumbers, not_dialled, numbers_of};

/// How many numbers one command adds or releases: well within the 4,096 events and 1 MiB that one
/// command may be.
const NUMBERS_PER_COMMAND: usize = 1_000;

/// How many names are looked at for the one that was meant.
const NAMES_MAX: usize = 500;

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

/// What the state knows of a number: itself, and of the bindings on it as many as rules about numbers tell apart. To be
/// added to a copy of what is few and comes whole.
pub fn number_rows(state: &State, x: PhoneNumber) -> Vec<Row> {
    let known = state.number(x).map(Row::Number);
    let bindings = state.some_bindings_on(x, ENDS_MAX + 1);
    let bindings = bindings.into_iter().map(Row::from);
    known.into_iter().chain(bindings).collect()
}

/// Works out what has to change, given what there is: all accounts, users, keys, carriers, pools and trunks, the list of
/// emergency numbers, and the [`number_rows`] of each of [`numbers_of`] the document.
///
/// # Errors
/// Every entry that breaks a rule. An entry that rests on one of them is told too.
pub fn plan(
    facts: State,
    document: &Document,
    known: KnownNumbers,
    (sealer, permissions): (&Sealer, &Permissions),
    now: Timestamp,
) -> Result<Plan, Mistakes> {
    let mut planner = Planner {
        state: facts,
        now,
        known,
        plan: Plan::default(),
    };
    let mut mistakes = mistake::told_twice(document);
    let mut note = |kind, index, done: Result<(), PlanError>| {
        mistakes.extend(done.err().map(|error| error.at(Entry { kind, index })));
    };
    for (index, wanted) in document.accounts.iter().enumerate() {
        note("account", index, planner.account(wanted));
    }
    for (index, wanted) in document.users.iter().enumerate() {
        note("user", index, planner.user(wanted, permissions));
    }
    for (index, wanted) in document.keys.iter().enumerate() {
        note("key", index, planner.key(wanted, sealer));
    }
    for (index, wanted) in document.carriers.iter().enumerate() {
        note("carrier", index, planner.carrier(wanted, sealer));
    }
    for (index, wanted) in document.pools.iter().enumerate() {
        note("pool", index, planner.pool(wanted));
    }
    for (index, wanted) in document.numbers.iter().enumerate() {
        note("numbers", index, planner.numbers(wanted));
    }
    for (index, wanted) in document.trunks.iter().enumerate() {
        planner.warn_of_trunk(wanted);
        note("trunk", index, planner.trunk(wanted, sealer));
    }
    if let Some(numbers) = &document.emergency_numbers {
        note("emergency_numbers", 0, planner.emergency_numbers(numbers));
    }
    note("remove", 0, planner.remove(&document.remove));
    planner.warn_of_ways_out(document);
    let users = document.users.iter();
    let told = users.flat_map(|wanted| user::warnings(&planner.state, wanted, permissions));
    let told: Vec<String> = told.collect();
    planner.plan.warnings.extend(told);
    Mistakes::none_of(mistakes)?;
    Ok(planner.plan)
}

struct Planner {
    state: State,
    now: Timestamp,
    known: KnownNumbers,
    plan: Plan,
}

impl Planner {
    fn account(&mut self, wanted: &WantedAccount) -> Result<(), PlanError> {
        let before = self.state.account(&AccountId::new(&wanted.id)).cloned();
        let after = wanted.over(before.as_ref());
        let change = difference(format!("account {}", wanted.id), before.as_ref(), &after);
        self.step(change, SetAccount(after))
    }

    fn pool(&mut self, wanted: &WantedPool) -> Result<(), PlanError> {
        let what = format!("pool {}", wanted.key);
        let before = self.state.pool(&PoolKey::new(&wanted.key)).cloned();
        let after = wanted.over(before.as_ref()).map_err(refused(&what))?;
        if let Some(carrier) = &after.carrier
            && self.state.carrier(carrier).is_none()
        {
            let known = self.state.carriers().map(|known| known.name.as_str());
            let hint = suggest::hint(carrier.as_str(), known.take(NAMES_MAX));
            let reason = format!("there is no carrier `{carrier}`{hint}");
            return Err(PlanError::new(&what, reason));
        }
        let shown = before.as_ref().map(view::settings);
        let change = difference(what, shown.as_ref(), &view::settings(&after));
        self.step(change, SetPool(after))
    }

    fn emergency_numbers(&mut self, numbers: &[PhoneNumber]) -> Result<(), PlanError> {
        let before = self.state.emergency_numbers().len();
        let change = Change {
            verb: Verb::Change,
            what: "emergency numbers".to_owned(),
            fields: vec![(
                "count".into(),
                before.to_string(),
                numbers.len().to_string(),
            )],
        };
        self.step(change, SetEmergencyNumbers(numbers.to_vec()))
    }

    /// Adds a command to the plan, unless it would change nothing.
    fn step(&mut self, change: Change, command: impl Into<Command>) -> Result<(), PlanError> {
        let envelope = Envelope {
            by: Actor::Operator {
                name: "plan".into(),
                remark: None,
            },
            id: None,
            command: command.into(),
        };
        let decision = decide(&self.state, &envelope, self.now, 0);
        decision
            .answer
            .map_err(|refusal| PlanError::new(&change.what, refusal.to_string()))?;
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

    fn remove(&mut self, unwanted: &Unwanted) -> Result<(), PlanError> {
        let removal = |what: String| Change {
            verb: Verb::Remove,
            what,
            fields: Vec::new(),
        };
        for key in &unwanted.keys {
            let id = AccessKeyId::new(key);
            if self.state.key(&id).is_some() {
                self.step(removal(format!("key {key}")), DeleteKey { id })?;
            }
        }
        for user in &unwanted.users {
            let what = format!("user {user}");
            let (account, name) = user
                .split_once('/')
                .ok_or_else(|| refused(&what)("a user is named as account/name"))?;
            let (account, name) = (AccountId::new(account), UserName::new(name));
            if self.state.user(&account, &name).is_some() {
                self.step(removal(what), DeleteUser { account, name })?;
            }
        }
        for trunk in &unwanted.trunks {
            let name = TrunkName::new(trunk);
            if self.state.trunk(&name).is_some() {
                self.step(removal(format!("trunk {trunk}")), DeleteTrunk { name })?;
            }
        }
        for carrier in &unwanted.carriers {
            let name = CarrierName::new(carrier);
            if self.state.carrier(&name).is_some() {
                if let Some(why) = carrier_users(&self.state, &name) {
                    return Err(refused(&format!("carrier {carrier}"))(&why));
                }
                self.step(
                    removal(format!("carrier {carrier}")),
                    DeleteCarrier { name },
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
            self.step(removal(what), ReleaseNumbers(chunk.to_vec()))?;
        }
        Ok(())
    }
}

fn refused(what: &str) -> impl Fn(&str) -> PlanError + use<> {
    let what = what.to_owned();
    move |reason| PlanError::new(&what, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::permissions::Permission;
    use crate::seal::MasterKeys;

    const FIRST: &str = r#"
        [[account]]
        id = "acme"
        real_name_verified = true

        [[user]]
        account = "acme"
        name = "user1"
        [[user.statement]]
        effect = "allow"
        actions = ["dypls:Query*"]
        pools = ["*"]

        [[key]]
        id = "KEY1"
        account = "acme"
        user = "user1"

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
                "user acme/user1",
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
    fn carriers_come_before_the_pools_that_name_them_and_go_when_none_does() {
        let mut state = State::default();
        apply(&mut state, FIRST).unwrap();
        let named = "[[pool]]\nkey = \"FC1\"\ncarrier = \"unicom\"\n";
        let told = apply(&mut state, named).unwrap_err().to_string();
        assert!(
            told.contains("pool FC1: there is no carrier `unicom`"),
            "{told}"
        );
        let both = format!("{named}[[carrier]]\nname = \"unicom\"\n");
        let made = apply(&mut state, &both).unwrap();
        let whats: Vec<_> = made.steps.iter().map(|s| s.change.what.as_str()).collect();
        assert_eq!(whats, ["carrier unicom", "pool FC1"]);
        let fields = &made.steps[1].change.fields;
        assert_eq!(
            *fields,
            [("carrier".into(), String::new(), "unicom".into())]
        );
        assert!(apply(&mut state, &both).unwrap().steps.is_empty());
        let told = apply(&mut state, &named.replace("unicom", "unicorn")).unwrap_err();
        assert!(told.to_string().contains("did you mean unicom?"), "{told}");
        let remove = "[remove]\ncarriers = [\"unicom\", \"nobody\"]\n";
        let told = apply(&mut state, remove).unwrap_err().to_string();
        assert!(told.contains("carrier unicom: "), "{told}");
        // The pool lets go of it in the same document.
        let freed = named.replace("unicom", "");
        let gone = apply(&mut state, &format!("{freed}{remove}")).unwrap();
        let whats: Vec<_> = gone.steps.iter().map(|s| s.change.what.as_str()).collect();
        assert_eq!(whats, ["pool FC1", "carrier unicom"]);
        assert_eq!(state.carriers().count(), 0);
    }

    #[test]
    fn a_document_with_more_carriers_than_there_may_be_is_refused() {
        let mut state = State::default();
        let carriers = |count: usize| -> String {
            let one = |n| format!("[[carrier]]\nname = \"carrier-{n}\"\n");
            (0..count).map(one).collect()
        };
        let told = apply(&mut state, &carriers(256)).unwrap_err().to_string();
        let why = "carrier carrier-255: there are 255 carriers already, and no more are possible";
        assert!(told.contains(why), "{told}");
        assert_eq!(state.carriers().count(), 0);
        assert_eq!(apply(&mut state, &carriers(255)).unwrap().steps.len(), 255);
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
            let errors = apply(&mut state, text).expect_err(text);
            let error = errors.first();
            assert_eq!(error.what, what, "{error}");
            assert!(error.reason.contains(reason), "{error}");
        }
        assert_eq!(state.accounts().count(), 0);
    }

    #[test]
    fn removing_what_is_gone_is_no_mistake() {
        let mut state = State::default();
        apply(&mut state, FIRST).unwrap();
        let gone = "[remove]\nkeys = [\"KEY1\"]\nusers = [\"acme/user1\"]\ntrunks = [\"carrier\"]\nnumbers = [\"17000000001\"]\n";
        assert_eq!(apply(&mut state, gone).unwrap().steps.len(), 4);
        assert_eq!(state.numbers_len(), 2499);
        assert!(apply(&mut state, gone).unwrap().steps.is_empty());
    }

    #[test]
    fn every_entry_that_breaks_a_rule_is_told_with_its_place() {
        let text = "[[account]]\nid = \"a b\"\n[[pool]]\nkey = \"FC1\"\naccount = \"x\"\nproduct = \"axn\"\n\
                    [[numbers]]\npool = \"FC9\"\ncity = \"x\"\nlist = [\"17000000001\"]\n\
                    [[trunk]]\nname = \"good\"\npeer = \"192.0.2.1:5060\"\n\
                    [[trunk]]\nname = \"t\"\npeer = \"192.0.2.2:5060\"\ncodecs = [\"pcmaa\"]\n";
        let told = apply(&mut State::default(), text).unwrap_err();
        let places: Vec<_> = told
            .iter()
            .map(|error| error.entry.map(|entry| (entry.kind, entry.index)))
            .collect();
        let expected = [("account", 0), ("pool", 0), ("numbers", 0), ("trunk", 1)];
        assert_eq!(places, expected.map(Some), "{told}");
    }

    #[test]
    fn what_stands_twice_is_refused() {
        for (text, what) in [
            (
                "[[account]]\nid = \"a\"\n[[account]]\nid = \"a\"\nstatus = \"closed\"\n",
                "account a",
            ),
            (
                "[[numbers]]\ncity = \"x\"\nlist = [\"17000000001\", \"17000000001\"]\n",
                "number 17000000001",
            ),
            (
                "[[numbers]]\ncity = \"x\"\nlist = [\"17000000001\"]\n[[numbers]]\ncity = \"y\"\nfirst = \"17000000000\"\ncount = 2\n",
                "number 17000000001",
            ),
            (
                "[[numbers]]\ncity = \"x\"\nlist = [\"17000000001\"]\n[remove]\nnumbers = [\"17000000001\"]\n",
                "number 17000000001",
            ),
        ] {
            let told = apply(&mut State::default(), text).expect_err(text);
            assert_eq!(told.first().what, what, "{told}");
        }
    }

    #[test]
    fn a_number_that_nobody_can_dial_is_refused() {
        for x in [
            "170000",
            "110",
            "1700000000",
            "170000000001",
            "12000000001",
            "057112345",
        ] {
            let text = format!("[[numbers]]\ncity = \"x\"\nlist = [{x:?}]\n");
            let told = apply(&mut State::default(), &text)
                .expect_err(x)
                .to_string();
            assert!(
                told.contains(x) && told.contains("a mobile has 11 digits"),
                "{told}"
            );
        }
        for x in [
            "17000000001",
            "057112345678",
            "01012345678",
            "4001234567",
            "95188",
        ] {
            let text = format!("[[numbers]]\ncity = \"x\"\nlist = [{x:?}]\n");
            assert!(apply(&mut State::default(), &text).is_ok(), "{x}");
        }
    }

    #[test]
    fn codecs_are_judged_by_their_names() {
        for (codec, refused, warned) in [
            ("pcma", None, false),
            ("g722", None, false),
            ("amr-wb", None, false),
            ("pcmaa", Some("did you mean pcma?"), false),
            ("amrwb", Some("did you mean amr-wb?"), false),
            ("opuss", Some("did you mean opus?"), false),
            ("clearmode", None, true),
        ] {
            let text = format!(
                "[[trunk]]\nname = \"t\"\npeer = \"192.0.2.2:5060\"\ncodecs = [\"pcmu\", {codec:?}]\n"
            );
            match (apply(&mut State::default(), &text), refused) {
                (Ok(plan), None) => assert_eq!(!plan.warnings.is_empty(), warned, "{codec}"),
                (Err(told), Some(reason)) => assert!(told.to_string().contains(reason), "{told}"),
                (other, _) => panic!("{codec}: {other:?}"),
            }
        }
    }

    #[test]
    fn two_trunks_at_one_peer_are_warned_of() {
        let mut state = State::default();
        let one = "[[trunk]]\nname = \"one\"\npeer = \"192.0.2.2:5060\"\n";
        assert!(apply(&mut state, one).unwrap().warnings.is_empty());
        assert!(
            apply(&mut state, one).unwrap().warnings.is_empty(),
            "itself"
        );
        let told = apply(&mut state, &one.replace("one", "two"))
            .unwrap()
            .warnings;
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("trunk one"), "{told:?}");
    }

    #[test]
    fn known_numbers_change_only_if_that_is_wanted_and_keep_what_is_not_said() {
        let mut state = State::default();
        let pools = "[[account]]\nid = \"a\"\n[[pool]]\nkey = \"FC1\"\naccount = \"a\"\nproduct = \"axn\"\n\
                     [[pool]]\nkey = \"FC2\"\naccount = \"a\"\nproduct = \"axn\"\n";
        let numbers = |pool: &str, more: &str| {
            format!(
                "[[numbers]]\npool = {pool:?}\ncity = \"北京\"\n{more}\nlist = [\"17000000001\"]\n"
            )
        };
        let first = format!(
            "{pools}{}",
            numbers("FC1", "carrier = \"unicom\"\nprovince = \"河北\"")
        );
        apply(&mut state, &first).unwrap();
        let same = apply_as(&mut state, &numbers("FC1", ""), KnownNumbers::Refused).unwrap();
        assert!(same.steps.is_empty(), "what is not said stays: {same:?}");
        let told = apply_as(
            &mut state,
            &numbers("FC2", "carrier = \"mobile\""),
            KnownNumbers::Refused,
        );
        let told = told.unwrap_err().to_string();
        for part in [
            "17000000001",
            "pool FC1 -> FC2",
            "carrier unicom -> mobile",
            "--move",
        ] {
            assert!(told.contains(part), "{told}");
        }
        let moved = apply(&mut state, &numbers("FC2", "carrier = \"mobile\"")).unwrap();
        let fields = &moved.steps[0].change.fields;
        let expected = [("pool", "FC1", "FC2"), ("carrier", "unicom", "mobile")];
        assert_eq!(
            *fields,
            expected.map(|(a, b, c)| (a.into(), b.into(), c.into()))
        );
    }

    pub(super) fn apply(state: &mut State, text: &str) -> Result<Plan, Mistakes> {
        apply_as(state, text, KnownNumbers::Changed)
    }

    /// Some actions of the vendor's.
    fn permissions() -> Permissions {
        let name = |name: &str| Permission {
            name: format!("dypls:{name}"),
            has_no_pool: name == "QuerySecretNoRemain",
        };
        let names = ["BindAxn", "UnbindSubscription", "QuerySecretNoRemain"];
        Permissions::new("dypls:", names.map(name))
    }

    fn apply_as(state: &mut State, text: &str, known: KnownNumbers) -> Result<Plan, Mistakes> {
        let document: Document = toml::from_str(text).expect("a document");
        let keys = MasterKeys::parse(&hex::encode([9; 32])).expect("a key");
        let now = Timestamp::from_secs(1_800_000_000);
        let mut copy = State::default();
        copy.advance(state.now());
        let lists = [Row::Emergency(state.emergency_numbers().to_vec())]
            .into_iter()
            .chain(state.accounts().cloned().map(Row::from))
            .chain(state.users().cloned().map(Row::User))
            .chain(state.keys().cloned().map(Row::Key))
            .chain(state.carriers().cloned().map(Row::from))
            .chain(state.pools().cloned().map(Row::from))
            .chain(state.trunks().cloned().map(Row::from));
        let numbers = numbers_of(&document)?;
        let numbers = numbers.iter().flat_map(|&x| number_rows(state, x));
        lists.chain(numbers).for_each(|row| copy.restore(row));
        let plan = plan(
            copy,
            &document,
            known,
            (&Sealer::new(&keys), &permissions()),
            now,
        )?;
        let by = Actor::Operator {
            name: "test".into(),
            remark: None,
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
