//! Where the switch, phones and their media are.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// One phone, for as long as the world lasts.
pub(super) type PhoneId = u64;

/// Where the switch is.
pub(super) const SWITCH: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 5060);
/// Of the ports of a call, that for the callee lies so far above that for the caller; pairs begin at multiples
/// of twice as much.
pub(super) const PORTS_APART: u16 = 2;

/// Where a phone hears its media.
pub(super) fn media_of(id: PhoneId) -> Ipv4Addr {
    let [.., a, b, c] = id.to_be_bytes();
    Ipv4Addr::new(10, a, b, c)
}

/// A host name that a phone has.
pub(super) fn name_of(id: PhoneId) -> String {
    format!("m{id}.phones.example")
}

/// The phone that has this host name.
pub(super) fn phone_named(name: &str) -> Option<PhoneId> {
    let id = name.strip_prefix('m')?.strip_suffix(".phones.example")?;
    id.parse().ok()
}

/// What a host name stands for, if a phone has it.
pub(super) fn address_named(name: &str) -> Option<IpAddr> {
    phone_named(name).map(|id| media_of(id).into())
}
