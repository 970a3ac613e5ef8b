//! The addresses of this machine.

use std::io;
use std::net::IpAddr;

/// The addresses of this machine's interfaces as they are now.
///
/// # Errors
/// Where the system does not tell.
pub fn addresses() -> io::Result<Vec<IpAddr>> {
    let interfaces = if_addrs::get_if_addrs()?;
    Ok(interfaces.iter().map(if_addrs::Interface::ip).collect())
}
