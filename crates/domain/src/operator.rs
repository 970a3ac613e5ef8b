//! Operators: who may use the admin interface, and what each may do there.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::account::name_type;
use crate::clock::Timestamp;
use crate::named_enum::named_enum;

name_type!(
    /// The name of an operator.
    OperatorName
);

/// The name of who acts with the first token, which is kept in a file. No operator can be called so.
pub const FIRST: &str = "admin";

/// The most operators that there can be.
pub const OPERATORS_MAX: usize = 1_000;

named_enum! {
    /// What an operator may do. Each may all that those before it may.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Role {
        /// Look, at masked numbers.
        Viewer = "viewer",
        /// Change what carries calls, and look at whole numbers.
        Operator = "operator",
        /// Change who may do what, too, and what secrets are sealed under.
        Administrator = "administrator",
    }
}

/// The SHA-256 of a token. The token itself is kept nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenHash(pub [u8; 32]);

impl fmt::Debug for TokenHash {
    /// Without the hash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(***)")
    }
}

/// Somebody who may use the admin interface.
///
/// A journal keeps operators for ever: a field that is added has a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// The name, unique.
    pub name: OperatorName,
    /// What they may do.
    pub role: Role,
    /// By what their token is known.
    pub token_hash: TokenHash,
    /// Whether they may do it now.
    pub enabled: bool,
    /// When they were added.
    pub created_at: Timestamp,
    /// When their token was made.
    pub token_at: Timestamp,
}
