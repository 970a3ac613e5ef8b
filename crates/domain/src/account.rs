//! Who may use the service: accounts, their keys, their users.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// The longest name of an account, user or trunk, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// Whether a text may name an account, a user, a trunk or a key: 1 to 64
/// letters, digits, `-`, `_`, `.` or `@`.
pub fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@'))
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(::std::sync::Arc<str>);

        impl $name {
            /// Takes the text as it is; commands check its form.
            pub fn new(text: &str) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
pub(crate) use name_type;

name_type!(
    /// The name of an account (a customer).
    AccountId
);
name_type!(
    /// The public half of an AccessKey.
    AccessKeyId
);
name_type!(
    /// The name of a user within an account.
    UserName
);

/// Whether an account may do business. Which code each state gives to the
/// customer stands in the API's error table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountStatus {
    /// In good standing.
    #[default]
    Active,
    /// Frozen by the operator.
    Abnormal,
    /// Unpaid.
    InArrears,
    /// Ended, though its keys may still exist.
    Closed,
}

/// A customer of the operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its name, unique.
    pub id: AccountId,
    /// Its standing.
    pub status: AccountStatus,
    /// Whether the person or company behind it has proved its name. The
    /// service is for verified accounts only (vendor page "AXN绑定接口", step 1).
    pub real_name_verified: bool,
    /// Whether it has opened communication products at all.
    pub communications_opened: bool,
    /// Whether it has opened number protection.
    pub product_opened: bool,
    /// Requests a second over all its keys; `None` takes the server's default.
    pub requests_per_s_max: Option<u32>,
    /// Bindings in force at once, in all its pools; `None` is no quota.
    #[serde(default)]
    pub bindings_max: Option<u32>,
}

/// A key pair by which programs sign their requests.
///
/// The secret is sealed under a master key that the state never sees.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKey {
    /// The public half, unique in the whole installation.
    pub id: AccessKeyId,
    /// The account it acts for.
    pub account: AccountId,
    /// The user it belongs to; `None` is the account itself, which may do
    /// everything.
    pub user: Option<UserName>,
    /// The sealed secret.
    pub sealed_secret: Box<[u8]>,
    /// Active, or switched off (Inactive).
    pub active: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey")
            .field("id", &self.id)
            .field("account", &self.account)
            .field("user", &self.user)
            .field("active", &self.active)
            .finish_non_exhaustive()
    }
}

/// Somebody within an account whose keys may do only what statements allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The account.
    pub account: AccountId,
    /// The name, unique within the account.
    pub name: UserName,
    /// What it may do. Any matching deny wins; without a matching allow the
    /// answer is no.
    pub statements: Vec<Statement>,
}

/// One rule of a user's policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Allow or deny.
    pub effect: Effect,
    /// Permission names such as `dypls:BindAxn`; `*` stands for any ending.
    pub actions: Vec<String>,
    /// PoolKeys; `*` stands for any ending. An action without a pool matches
    /// only `*`.
    pub pools: Vec<String>,
}

/// What a statement says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It may.
    Allow,
    /// It may not, whatever else is allowed.
    Deny,
}

impl User {
    /// Whether the user may do `action` (a permission name) on `pool`.
    pub fn may(&self, action: &str, pool: Option<&str>) -> bool {
        let matching = |effect| {
            self.statements
                .iter()
                .any(|s| s.effect == effect && s.covers(action, pool))
        };
        matching(Effect::Allow) && !matching(Effect::Deny)
    }
}

impl Statement {
    fn covers(&self, action: &str, pool: Option<&str>) -> bool {
        self.actions.iter().any(|pattern| matches(pattern, action))
            && self.pools.iter().any(|pattern| match pool {
                Some(pool) => matches(pattern, pool),
                None => pattern == "*",
            })
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => text.starts_with(prefix),
        None => pattern == text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(statements: &[(Effect, &str, &str)]) -> User {
        User {
            account: AccountId::new("acme"),
            name: UserName::new("user1"),
            statements: statements
                .iter()
                .map(|&(effect, action, pool)| Statement {
                    effect,
                    actions: vec![action.into()],
                    pools: vec![pool.into()],
                })
                .collect(),
        }
    }

    #[test]
    fn nothing_is_allowed_by_silence_and_deny_wins() {
        use Effect::{Allow, Deny};
        assert!(!user(&[]).may("dypls:BindAxn", Some("FC1")));
        assert!(user(&[(Allow, "dypls:*", "*")]).may("dypls:BindAxn", Some("FC1")));
        assert!(user(&[(Allow, "dypls:*", "*")]).may("dypls:BindAxn", None));
        assert!(!user(&[(Allow, "dypls:*", "FC1")]).may("dypls:BindAxn", Some("FC2")));
        assert!(!user(&[(Allow, "dypls:*", "FC1")]).may("dypls:BindAxn", None));
        assert!(user(&[(Allow, "dypls:Query*", "FC*")]).may("dypls:QuerySubsId", Some("FC2")));
        assert!(
            !user(&[(Allow, "*", "*"), (Deny, "dypls:BindAxn", "FC1")])
                .may("dypls:BindAxn", Some("FC1"))
        );
    }

    #[test]
    fn names_are_short_and_plain() {
        assert!(is_name("acme-1.test_x@y"));
        assert!(!is_name(""));
        assert!(!is_name("a b"));
        assert!(!is_name(&"a".repeat(65)));
    }
}
