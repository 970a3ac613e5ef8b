//! Trunks.

use crate::command::Outcome;
use crate::event::Event;
use crate::ops::Decided;
use crate::refusal::AdminRefusal;
use crate::state::State;
use crate::trunk::{self, Trunk, TrunkName};

pub(super) fn set_trunk(state: &State, trunk: &Trunk) -> Decided {
    trunk::check(trunk)?;
    if state.trunk(&trunk.name) == Some(trunk) {
        return Ok((Vec::new(), Outcome::Done));
    }
    Ok((
        vec![Event::TrunkSet(Box::new(trunk.clone()))],
        Outcome::Done,
    ))
}

pub(super) fn delete_trunk(state: &State, name: &TrunkName) -> Decided {
    if state.trunk(name).is_none() {
        return Err(AdminRefusal::NotFound { what: "trunk" }.into());
    }
    Ok((
        vec![Event::TrunkDeleted { name: name.clone() }],
        Outcome::Done,
    ))
}
