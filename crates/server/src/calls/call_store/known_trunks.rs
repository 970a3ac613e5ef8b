//! The trunks of the state as calls know them: with their passwords opened, and where they are.

use super::super::passwords;
use super::super::trunk_names::TrunkNames;
use crate::ledger::{Ledger, ReadError, Touch};
use crate::seal::Sealer;
use maskline_domain::state::Trunks;
use maskline_domain::{Trunk, TrunkName};
use maskline_sip::endpoint::PeerId;
use maskline_switch::peers::Passwords;
use maskline_switch::{TrunkPeer, peers};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Looks at the trunks again and again.
pub(super) struct KnownTrunks {
    ledger: Ledger,
    names: Arc<TrunkNames>,
    sealer: Option<Arc<Sealer>>,
    opened: OpenedTrunks,
}

/// The trunks as they were last seen, with their passwords opened.
#[derive(Default)]
struct OpenedTrunks {
    trunks: Arc<Trunks>,
    /// None where they cannot be opened.
    passwords: BTreeMap<TrunkName, Option<Passwords>>,
}

impl KnownTrunks {
    pub fn new(ledger: Ledger, names: Arc<TrunkNames>, sealer: Option<Arc<Sealer>>) -> Self {
        Self {
            ledger,
            names,
            sealer,
            opened: OpenedTrunks::default(),
        }
    }

    /// The trunks that can be used, and the names of those whose passwords cannot be opened. Hosts are looked up
    /// beside it; as long as a trunk's was not found, it is neither.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn read(&mut self) -> Result<(Vec<TrunkPeer>, Vec<TrunkName>), ReadError> {
        let trunks = self
            .ledger
            .read_unblocking(Touch::Lists, |state, _| state.trunks_now())
            .await?;
        self.names.follow(trunks.values());
        self.opened.see(trunks, self.sealer.as_deref());
        Ok(self.opened.usable(&self.names))
    }
}

impl OpenedTrunks {
    /// Opens the passwords of trunks that are not those that were last seen, and says whether it did.
    fn see(&mut self, trunks: Arc<Trunks>, sealer: Option<&Sealer>) -> bool {
        let are_others = !Arc::ptr_eq(&self.trunks, &trunks);
        if are_others {
            let opened = trunks.values();
            self.passwords = opened
                .map(|trunk| (trunk.name.clone(), opened_for(trunk, sealer)))
                .collect();
            self.trunks = trunks;
        }
        are_others
    }

    fn usable(&self, names: &TrunkNames) -> (Vec<TrunkPeer>, Vec<TrunkName>) {
        let (mut usable, mut sealed) = (Vec::new(), Vec::new());
        for trunk in self.trunks.values() {
            match self.passwords.get(&trunk.name).cloned().flatten() {
                Some(passwords) => usable.extend(peer(trunk, names, passwords)),
                None if names.places(trunk).is_empty() => {}
                None => sealed.push(trunk.name.clone()),
            }
        }
        (usable, sealed)
    }
}

/// A trunk as calls know it. One whose password cannot be opened is none: we would be asked, or believe,
/// wrongly.
pub(super) fn known(
    trunk: &Trunk,
    names: &TrunkNames,
    sealer: Option<&Sealer>,
) -> Option<TrunkPeer> {
    peer(trunk, names, opened_for(trunk, sealer)?)
}

fn peer(trunk: &Trunk, names: &TrunkNames, passwords: Passwords) -> Option<TrunkPeer> {
    let peer = peers::peer(PeerId(0), trunk, &names.places(trunk), passwords)?;
    Some(TrunkPeer {
        definition: trunk.clone(),
        peer,
    })
}

fn opened_for(trunk: &Trunk, sealer: Option<&Sealer>) -> Option<Passwords> {
    match sealer {
        Some(sealer) => passwords::open(trunk, sealer).ok(),
        None if trunk.auth.is_some() || trunk.challenge.is_some() => None,
        None => Some(Passwords::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::trunk_names::Families;
    use super::*;
    use maskline_domain::{Event, State, trunk};

    fn trunks(of: &[&Trunk]) -> State {
        let mut state = State::default();
        for &trunk in of {
            state.apply(&Event::TrunkSet(Box::new(trunk.clone())));
        }
        state
    }

    #[tokio::test]
    async fn a_trunk_whose_password_cannot_be_opened_is_named_and_not_used() {
        let plain = Trunk::new(TrunkName::new("plain"), "192.0.2.1:5060");
        let sealed = Trunk {
            name: TrunkName::new("sealed"),
            auth: Some(trunk::Credentials {
                username: "us".into(),
                sealed_secret: Box::new([1, 2, 3]),
            }),
            ..plain.clone()
        };
        let names = TrunkNames::new(None, Families { v4: true, v6: true });
        let mut opened = OpenedTrunks::default();
        opened.see(trunks(&[&plain, &sealed]).trunks_now(), None);
        let (usable, shut) = opened.usable(&names);
        assert_eq!(usable.len(), 1);
        assert_eq!(usable[0].definition.name.as_str(), "plain");
        assert_eq!(shut, [TrunkName::new("sealed")]);
    }

    #[test]
    fn passwords_are_opened_when_a_trunk_has_changed_and_not_before() {
        let one = Trunk::new(TrunkName::new("one"), "192.0.2.1:5060");
        let mut state = trunks(&[&one]);
        let mut opened = OpenedTrunks::default();
        assert!(
            opened.see(state.trunks_now(), None),
            "nothing was seen before"
        );
        for _ in 0..3 {
            assert!(!opened.see(state.trunks_now(), None), "nothing has changed");
        }
        let changed = Trunk {
            priority: 7,
            ..one.clone()
        };
        let undo = state.apply_undoable(&Event::TrunkSet(Box::new(changed)));
        assert!(
            opened.see(state.trunks_now(), None),
            "it has another priority"
        );
        state.undo(undo);
        assert!(opened.see(state.trunks_now(), None), "it is as it was");
        state.apply(&Event::TrunkDeleted { name: one.name });
        assert!(opened.see(state.trunks_now(), None), "it is gone");
        assert!(opened.passwords.is_empty());
    }
}
