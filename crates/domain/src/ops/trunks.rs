//! Trunks.

use std::net::SocketAddr;

use crate::account::is_name;
use crate::command::Outcome;
use crate::event::Event;
use crate::ops::Ruling;
use crate::refusal::AdminRefusal;
use crate::state::State;
use crate::trunk::{Trunk, TrunkName};

pub(super) fn set_trunk(state: &State, trunk: &Trunk) -> Ruling {
    if !is_name(trunk.name.as_str()) {
        return Err(AdminRefusal::Malformed {
            what: "trunk name",
            why: "1 to 64 letters, digits, '-', '_', '.' or '@'",
        }
        .into());
    }
    if trunk.peer.parse::<SocketAddr>().is_err() {
        return Err(AdminRefusal::Malformed {
            what: "trunk peer",
            why: "an IP address and a port, such as 192.0.2.1:5060",
        }
        .into());
    }
    if state.trunk(&trunk.name) == Some(trunk) {
        return Ok((Vec::new(), Outcome::Done));
    }
    Ok((vec![Event::TrunkSet(trunk.clone())], Outcome::Done))
}

pub(super) fn delete_trunk(state: &State, name: &TrunkName) -> Ruling {
    if state.trunk(name).is_none() {
        return Err(AdminRefusal::NotFound { what: "trunk" }.into());
    }
    Ok((
        vec![Event::TrunkDeleted { name: name.clone() }],
        Outcome::Done,
    ))
}
