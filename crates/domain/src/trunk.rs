//! Trunks: the SIP links to carriers, as the state knows them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::account::name_type;

name_type!(
    /// The name of a trunk.
    TrunkName
);

/// A link over which calls come in and go out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trunk {
    /// Its name, unique.
    pub name: TrunkName,
    /// Where the peer is and whence it sends: an IP address and a port.
    pub peer: String,
    /// Whether calls may use it.
    pub enabled: bool,
}
