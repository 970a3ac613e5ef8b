//! Accounts, keys and users.

use crate::account::{AccessKey, AccessKeyId, Account, AccountId, User, UserName, is_name};
use crate::event::Event;
use crate::ops::{Circumstances, Decided};
use crate::refusal::AdminRefusal;
use crate::state::State;

const NAME_RULE: &str = "1 to 64 letters, digits, '-', '_', '.' or '@'";
/// The most statements in a policy, and the most names in a statement.
const POLICY_MAX: usize = 100;
/// The longest sealed secret, in bytes.
const SEALED_BYTES_MAX: usize = 512;

/// Make or change an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAccount(pub Account);

/// Make a key. Its id must be new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateKey(pub AccessKey);

/// Switch a key on or off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetKeyActive {
    /// The key.
    pub id: AccessKeyId,
    /// On or off.
    pub active: bool,
}

/// Replace a key's sealed secret (rotation of the master key).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResealKey {
    /// The key.
    pub id: AccessKeyId,
    /// The secret, sealed anew.
    pub sealed_secret: Box<[u8]>,
}

/// Delete a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteKey {
    /// The key.
    pub id: AccessKeyId,
}

/// Make or change a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetUser(pub User);

/// Delete a user and their keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteUser {
    /// The account.
    pub account: AccountId,
    /// The user.
    pub name: UserName,
}

pub(super) fn set_account(on: &Circumstances<'_>, asked: &SetAccount) -> Decided<()> {
    let SetAccount(account) = asked;
    named("account name", account.id.as_str())?;
    if on.state.account(&account.id) == Some(account) {
        return Ok((Vec::new(), ()));
    }
    one(Event::AccountSet(account.clone()))
}

pub(super) fn create_key(on: &Circumstances<'_>, CreateKey(key): &CreateKey) -> Decided<()> {
    let state = on.state;
    named("access key id", key.id.as_str())?;
    if key.sealed_secret.is_empty() || key.sealed_secret.len() > SEALED_BYTES_MAX {
        return Err(AdminRefusal::Malformed {
            what: "sealed secret",
            why: "1 to 512 bytes",
        }
        .into());
    }
    if state.key(&key.id).is_some() {
        return Err(AdminRefusal::Exists { what: "access key" }.into());
    }
    if state.account(&key.account).is_none() {
        return Err(AdminRefusal::NotFound { what: "account" }.into());
    }
    let user_exists = key
        .user
        .as_ref()
        .is_none_or(|name| state.user(&key.account, name).is_some());
    if !user_exists {
        return Err(AdminRefusal::NotFound { what: "user" }.into());
    }
    one(Event::KeySet(key.clone()))
}

pub(super) fn set_key_active(on: &Circumstances<'_>, asked: &SetKeyActive) -> Decided<()> {
    let &SetKeyActive { ref id, active } = asked;
    let key = existing_key(on.state, id)?;
    if key.active == active {
        return Ok((Vec::new(), ()));
    }
    one(Event::KeySet(AccessKey {
        active,
        ..key.clone()
    }))
}

pub(super) fn reseal_key(on: &Circumstances<'_>, asked: &ResealKey) -> Decided<()> {
    let key = existing_key(on.state, &asked.id)?;
    one(Event::KeySet(AccessKey {
        sealed_secret: asked.sealed_secret.clone(),
        ..key.clone()
    }))
}

pub(super) fn delete_key(on: &Circumstances<'_>, DeleteKey { id }: &DeleteKey) -> Decided<()> {
    existing_key(on.state, id)?;
    one(Event::KeyDeleted { id: id.clone() })
}

pub(super) fn set_user(on: &Circumstances<'_>, SetUser(user): &SetUser) -> Decided<()> {
    let state = on.state;
    named("user name", user.name.as_str())?;
    if state.account(&user.account).is_none() {
        return Err(AdminRefusal::NotFound { what: "account" }.into());
    }
    let longest = user
        .statements
        .iter()
        .map(|s| s.actions.len().max(s.pools.len()))
        .max()
        .unwrap_or(0);
    if user.statements.len().max(longest) > POLICY_MAX {
        return Err(AdminRefusal::TooMany {
            what: "policy statements",
            limit: POLICY_MAX,
        }
        .into());
    }
    if state.user(&user.account, &user.name) == Some(user) {
        return Ok((Vec::new(), ()));
    }
    one(Event::UserSet(user.clone()))
}

pub(super) fn delete_user(on: &Circumstances<'_>, asked: &DeleteUser) -> Decided<()> {
    let DeleteUser { account, name } = asked;
    if on.state.user(account, name).is_none() {
        return Err(AdminRefusal::NotFound { what: "user" }.into());
    }
    one(Event::UserDeleted {
        account: account.clone(),
        name: name.clone(),
    })
}

fn existing_key<'a>(state: &'a State, id: &AccessKeyId) -> Result<&'a AccessKey, AdminRefusal> {
    state
        .key(id)
        .ok_or(AdminRefusal::NotFound { what: "access key" })
}

fn named(what: &'static str, name: &str) -> Result<(), AdminRefusal> {
    is_name(name).then_some(()).ok_or(AdminRefusal::Malformed {
        what,
        why: NAME_RULE,
    })
}

fn one(event: Event) -> Decided<()> {
    Ok((vec![event], ()))
}
