//! Who may do what: the checks that come before any rule about numbers.

use crate::account::{AccessKeyId, Account, AccountStatus};
use crate::number::PhoneNumber;
use crate::pool::{Pool, PoolRef};
use crate::refusal::Refusal;
use crate::state::State;

/// What was found out about a request that may go on.
#[derive(Debug, Clone, Copy)]
pub struct Admission<'a> {
    /// The account.
    pub account: &'a Account,
    /// The pool: the one that the request named, else that of its X where it is
    /// the account's.
    pub pool: Option<&'a Pool>,
}

/// Checks, in this order: the key; the user's policy; the account's state; the
/// pool's existence, owner and state (order: `errors`, "Suggested precedence").
///
/// A request that names no pool but an `x` is judged by the pool that X is in.
/// An X that is in no pool of the account says nothing: it is for the action
/// to tell that it is not there.
///
/// # Errors
/// The [`Refusal`] of the first check that fails.
pub fn admit<'a>(
    state: &'a State,
    key: &AccessKeyId,
    permission: &str,
    pool: Option<&PoolRef>,
    x: Option<PhoneNumber>,
) -> Result<Admission<'a>, Refusal> {
    let key = state
        .key(key)
        .filter(|key| key.active)
        .ok_or(Refusal::KeyInactive)?;
    let found = match (pool, x) {
        (Some(pool), _) => Some(find_pool(state, key.account.as_str(), pool)),
        (None, Some(x)) => state
            .pool_of(x)
            .filter(|pool| pool.account == key.account)
            .map(Ok),
        (None, None) => None,
    };
    if let Some(name) = &key.user {
        let pool_key = match (pool, &found) {
            (Some(PoolRef::Key(key)), _) => Some(key.as_str()),
            (_, Some(Ok(pool))) => Some(pool.key.as_str()),
            _ => None,
        };
        let allowed = state
            .user(&key.account, name)
            .is_some_and(|user| user.may(permission, pool_key));
        if !allowed {
            return Err(Refusal::PermissionDenied);
        }
    }
    let account = state.account(&key.account).ok_or(Refusal::AccountUnknown)?;
    good_standing(account)?;
    let pool = match found {
        None => None,
        Some(found) => {
            let pool = found?;
            if pool.account != account.id {
                return Err(Refusal::PoolForeign);
            }
            is_open(pool)?;
            Some(pool)
        }
    };
    Ok(Admission { account, pool })
}

/// Whether requests about a pool may go on that its own account makes, by a key that may do everything.
///
/// # Errors
/// As [`admit`].
pub fn may_serve(state: &State, pool: &Pool) -> Result<(), Refusal> {
    let account = state
        .account(&pool.account)
        .ok_or(Refusal::AccountUnknown)?;
    good_standing(account)?;
    is_open(pool)
}

fn is_open(pool: &Pool) -> Result<(), Refusal> {
    match pool.open {
        true => Ok(()),
        false => Err(Refusal::PoolClosed),
    }
}

fn good_standing(account: &Account) -> Result<(), Refusal> {
    match account.status {
        AccountStatus::Closed => Err(Refusal::AccountUnknown),
        AccountStatus::Abnormal => Err(Refusal::AccountAbnormal),
        AccountStatus::InArrears => Err(Refusal::AccountInArrears),
        AccountStatus::Active if !account.real_name_verified => Err(Refusal::AccountAbnormal),
        AccountStatus::Active if !account.communications_opened => {
            Err(Refusal::CommunicationsNotOpened)
        }
        AccountStatus::Active if !account.product_opened => Err(Refusal::ProductNotOpened),
        AccountStatus::Active => Ok(()),
    }
}

fn find_pool<'a>(state: &'a State, account: &str, pool: &PoolRef) -> Result<&'a Pool, Refusal> {
    match pool {
        PoolRef::Key(key) => state.pool(key).ok_or(Refusal::PoolUnknown),
        PoolRef::LegacyType(kind) => state
            .pools()
            .find(|pool| {
                pool.account.as_str() == account && pool.legacy_type.as_deref() == Some(&**kind)
            })
            .ok_or(Refusal::PoolNotNamed),
    }
}
