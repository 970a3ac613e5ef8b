//! Operators and the first token.

use crate::account::is_name;
use crate::event::Event;
use crate::operator::{FIRST, OPERATORS_MAX, Operator, OperatorName, Role, TokenHash};
use crate::ops::{Circumstances, Decided};
use crate::refusal::AdminRefusal;
use crate::state::State;

/// Add an operator. The name must be new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddOperator {
    /// The name.
    pub name: OperatorName,
    /// What they may do.
    pub role: Role,
    /// The hash of their token.
    pub token_hash: TokenHash,
}

/// Give an operator another token; the one before is worth nothing from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotateOperator {
    /// Who.
    pub name: OperatorName,
    /// The hash of the new token.
    pub token_hash: TokenHash,
}

/// Switch an operator on or off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetOperatorEnabled {
    /// Who.
    pub name: OperatorName,
    /// On or off.
    pub enabled: bool,
}

/// Take an operator away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoveOperator {
    /// Who.
    pub name: OperatorName,
}

/// Retire the first token. An enabled administrator must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetireFirstToken;

/// Let the first token be used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoreFirstToken;

pub(super) fn add(on: &Circumstances<'_>, asked: &AddOperator) -> Decided<()> {
    let AddOperator {
        name,
        role,
        token_hash,
    } = asked;
    if !is_name(name.as_str()) {
        return Err(AdminRefusal::Malformed {
            what: "operator name",
            why: "1 to 64 letters, digits, '-', '_', '.' or '@'",
        }
        .into());
    }
    if name.as_str() == FIRST {
        return Err(AdminRefusal::Malformed {
            what: "operator name",
            why: "`admin` is who acts with the first token",
        }
        .into());
    }
    if on.state.operator(name).is_some() {
        return Err(AdminRefusal::Exists { what: "operator" }.into());
    }
    if on.state.operators_len() >= OPERATORS_MAX {
        return Err(AdminRefusal::TooMany {
            what: "operators",
            limit: OPERATORS_MAX,
        }
        .into());
    }
    set(Operator {
        name: name.clone(),
        role: *role,
        token_hash: *token_hash,
        enabled: true,
        created_at: on.now,
        token_at: on.now,
    })
}

pub(super) fn rotate(on: &Circumstances<'_>, asked: &RotateOperator) -> Decided<()> {
    let before = existing(on.state, &asked.name)?;
    set(Operator {
        token_hash: asked.token_hash,
        token_at: on.now,
        ..before.clone()
    })
}

pub(super) fn set_enabled(on: &Circumstances<'_>, asked: &SetOperatorEnabled) -> Decided<()> {
    let SetOperatorEnabled { name, enabled } = asked;
    let before = existing(on.state, name)?;
    if before.enabled == *enabled {
        return Ok((Vec::new(), ()));
    }
    if !enabled {
        spare_the_last(on.state, before)?;
    }
    set(Operator {
        enabled: *enabled,
        ..before.clone()
    })
}

pub(super) fn remove(on: &Circumstances<'_>, asked: &RemoveOperator) -> Decided<()> {
    let before = existing(on.state, &asked.name)?;
    spare_the_last(on.state, before)?;
    let name = before.name.clone();
    Ok((vec![Event::OperatorRemoved { name }], ()))
}

pub(super) fn retire_first(on: &Circumstances<'_>, _: &RetireFirstToken) -> Decided<()> {
    if on.state.is_first_token_retired() {
        return Ok((Vec::new(), ()));
    }
    if !on.state.operators().any(is_administrator) {
        return Err(AdminRefusal::Fixed {
            what: "the first token",
            why: "no administrator is enabled who could do what it can",
        }
        .into());
    }
    Ok((vec![Event::FirstTokenRetired], ()))
}

pub(super) fn restore_first(on: &Circumstances<'_>, _: &RestoreFirstToken) -> Decided<()> {
    let is_retired = on.state.is_first_token_retired();
    let events = is_retired.then_some(Event::FirstTokenRestored);
    Ok((events.into_iter().collect(), ()))
}

fn is_administrator(operator: &Operator) -> bool {
    operator.enabled && operator.role == Role::Administrator
}

/// Without the first token somebody must be left who can make operators.
fn spare_the_last(state: &State, leaving: &Operator) -> Result<(), AdminRefusal> {
    let stay = |other: &&Operator| other.name != leaving.name && is_administrator(other);
    let is_last = is_administrator(leaving) && state.operators().find(stay).is_none();
    if is_last && state.is_first_token_retired() {
        return Err(AdminRefusal::Fixed {
            what: "the last administrator",
            why: "the first token is retired, so nobody could add operators any more",
        });
    }
    Ok(())
}

fn existing<'a>(state: &'a State, name: &OperatorName) -> Result<&'a Operator, AdminRefusal> {
    state
        .operator(name)
        .ok_or(AdminRefusal::NotFound { what: "operator" })
}

fn set(operator: Operator) -> Decided<()> {
    Ok((vec![Event::OperatorSet(Box::new(operator))], ()))
}
