//! Opening the ports. A port that cannot be opened is told with the setting that named it.

use tokio::net::TcpListener;

use crate::config::{ConfigError, ListenAddress, Loaded};
use crate::tcp;

/// Connections that the kernel may hold for us until they are accepted.
const BACKLOG: u32 = 4096;

/// Opens a port for HTTP or HTTPS.
///
/// # Errors
/// Why not, at the setting `key`.
pub async fn http(
    loaded: &Loaded,
    key: &str,
    address: &ListenAddress,
) -> Result<TcpListener, ConfigError> {
    let refuse =
        |error: std::io::Error| loaded.missing(key, format!("cannot listen on {address}: {error}"));
    let mut resolved = tokio::net::lookup_host((address.host(), address.port()))
        .await
        .map_err(refuse)?;
    let to = resolved
        .next()
        .ok_or_else(|| loaded.missing(key, format!("{address} is no address")))?;
    tcp::listen(to, BACKLOG).map_err(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Inputs, load};

    #[tokio::test]
    async fn a_taken_port_is_told_at_its_setting() {
        let plain = load(&Inputs::default()).unwrap();
        let free: ListenAddress = "127.0.0.1:0".parse().unwrap();
        let first = http(&plain, "api.listen", &free).await.unwrap();
        let taken = first.local_addr().unwrap().to_string();
        let loaded = load(&Inputs {
            flags: vec![("--api", "api.listen", taken.clone())],
            ..Inputs::default()
        })
        .unwrap();
        let error = http(
            &loaded,
            "api.listen",
            loaded.settings.api.listen.get().unwrap(),
        )
        .await
        .unwrap_err();
        let told = error.to_string();
        assert!(
            told.starts_with(&format!("--api: api.listen: cannot listen on {taken}: ")),
            "{told}"
        );
    }
}
