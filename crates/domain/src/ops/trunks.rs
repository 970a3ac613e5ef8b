//! Trunks.

use crate::event::Event;
use crate::ops::{Circumstances, Decided};
use crate::refusal::AdminRefusal;
use crate::trunk::{self, Trunk, TrunkName};

/// Make or change a trunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetTrunk(pub Box<Trunk>);

/// Take a trunk away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteTrunk {
    /// The trunk.
    pub name: TrunkName,
}

pub(super) fn set_trunk(on: &Circumstances<'_>, SetTrunk(trunk): &SetTrunk) -> Decided<()> {
    trunk::check(trunk)?;
    if on.state.trunk(&trunk.name) == Some(trunk) {
        return Ok((Vec::new(), ()));
    }
    Ok((vec![Event::TrunkSet(trunk.clone())], ()))
}

pub(super) fn delete_trunk(on: &Circumstances<'_>, asked: &DeleteTrunk) -> Decided<()> {
    let DeleteTrunk { name } = asked;
    if on.state.trunk(name).is_none() {
        return Err(AdminRefusal::NotFound { what: "trunk" }.into());
    }
    Ok((vec![Event::TrunkDeleted { name: name.clone() }], ()))
}
