//! `serve --check`: what a start would find wrong, without making, opening or binding anything.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;

use maskline_store::directory;
use tokio::net::lookup_host;

use super::{certificates, master};
use crate::config::{ConfigError, ConfigErrors, Inputs, ListenAddress, Loaded, load};
use crate::failure::Failure;
use crate::seal;

/// What was found that is no mistake.
#[derive(Debug, Default)]
pub struct Checked {
    /// What is probably not meant, or would keep a start on this machine waiting now.
    pub warnings: Vec<String>,
}

/// Reads settings, certificates and the master key, as a start would. Ports are not opened: a service that
/// runs would have them.
///
/// # Errors
/// All that is wrong.
pub fn check(inputs: &Inputs) -> Result<Checked, Failure> {
    let loaded = load(inputs)?;
    let data = Path::new(&loaded.settings.data);
    let mut wrong = Vec::new();
    // The demo makes its own certificate, which is not looked at.
    wrong.extend(certificates::https_named(&loaded).err());
    wrong.extend(certificates::sip(&loaded).err());
    ConfigErrors::none_of(wrong)?;
    let variable = std::env::var("MASKLINE_MASTER_KEY").ok();
    let place = master::place(&loaded);
    let key = seal::find(&place, variable.as_deref(), data).map_err(master::not_found)?;

    let mut checked = Checked::default();
    let found = loaded.warnings().into_iter().chain(warnings(&loaded));
    checked
        .warnings
        .extend(found.map(|warning| warning.to_string()));
    checked.warnings.extend(elsewhere(&loaded)?);
    if key.is_none() && !data.join(directory::FILE).exists() {
        let text = "there is no data yet; the first start makes it, and a master key";
        checked.warnings.push(text.to_owned());
    }
    Ok(checked)
}

/// What is probably not meant, by a look at the files that are named.
pub fn warnings(loaded: &Loaded) -> Vec<ConfigError> {
    let directory = loaded.settings.prompts.directory.get();
    let missing = directory.filter(|directory| !Path::new(directory).is_dir());
    missing
        .map(|directory| {
            let reason =
                format!("{directory} is no directory; callers hear the prompts of the program");
            loaded.missing("prompts.directory", reason)
        })
        .into_iter()
        .collect()
}

/// Addresses that are not this machine's now.
fn elsewhere(loaded: &Loaded) -> Result<Vec<String>, Failure> {
    let settings = &loaded.settings;
    let listeners = [
        ("api.listen", settings.api.listen.get()),
        ("api.https", settings.https()),
        ("admin.listen", Some(&settings.admin.listen)),
        ("sip.listen", Some(&settings.sip.listen)),
        ("sip.tls", settings.sip.tls.get()),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut found = Vec::new();
    for (key, address) in listeners {
        let Some(address) = address else { continue };
        if let Err(error) = runtime.block_on(is_here(address)) {
            let reason = format!("{address} is not an address of this machine now: {error}");
            found.push(loaded.missing(key, reason).to_string());
        }
    }
    Ok(found)
}

/// Whether one could listen on this host, by a socket on a port of the system's choice that is gone at once.
async fn is_here(address: &ListenAddress) -> std::io::Result<()> {
    let mut found = lookup_host((address.host(), address.port())).await?;
    let first = found
        .next()
        .ok_or_else(|| std::io::Error::other("the name has no address"))?;
    UdpSocket::bind(SocketAddr::new(first.ip(), 0)).map(drop)
}
