//! The certificates of the process, and whom it believes: files that the settings name, read at the start
//! and at every reload, since a renewed file mostly keeps its name. The demo makes one of its own for HTTPS.

use std::path::Path;

use crate::admin::credentials::write_private;
use crate::config::{ConfigError, Loaded, OffOr, Part};
use crate::http_server;
use crate::tls::{Pem, Tls, TlsError};

/// The names of the demo's own certificate and key in the data directory.
const OWN_CHAIN: &str = "demo-cert.pem";
const OWN_KEY: &str = "demo-key.pem";

/// TLS of the HTTPS port, by the certificate that the settings name, or the demo's own; `None` when there
/// is to be no HTTPS.
///
/// # Errors
/// When it cannot be read, used or made; told at the setting that named it.
pub fn https(loaded: &Loaded, data: &Path) -> Result<Option<Tls>, ConfigError> {
    if let Some(named) = https_named(loaded)? {
        return Ok(Some(named));
    }
    if !loaded.settings.demo {
        return Ok(None);
    }
    let own = own(data).map_err(|error| {
        loaded.missing(
            "api.certificate",
            format!("the demo's own certificate: {error}"),
        )
    })?;
    https_of(loaded, own).map(Some)
}

/// TLS of the HTTPS port by the files that the settings name; none where they name none.
///
/// # Errors
/// When one cannot be read or used; told at the setting that named it.
pub fn https_named(loaded: &Loaded) -> Result<Option<Tls>, ConfigError> {
    let api = &loaded.settings.api;
    let chain = read(loaded, "api.certificate", &api.certificate)?;
    let key = read(loaded, "api.private_key", &api.private_key)?;
    chain.zip(key).map(|own| https_of(loaded, own)).transpose()
}

fn https_of(loaded: &Loaded, own: (Vec<u8>, Vec<u8>)) -> Result<Tls, ConfigError> {
    let pem = Pem {
        own: Some(own),
        protocols: http_server::PROTOCOLS,
        ..Pem::default()
    };
    Tls::new(&pem).map_err(|error| {
        // There are two files, so each is named.
        let reason = match error {
            TlsError::Certificates(error) => format!("the certificate file is not PEM: {error}"),
            TlsError::Empty => "the certificate file holds no certificate".to_owned(),
            TlsError::Key(error) => format!("the private key file holds no PEM key: {error}"),
            TlsError::Mismatch(error) => {
                format!("certificate and private key do not fit: {error}")
            }
            TlsError::Authority(_) => error.to_string(),
        };
        loaded.missing("api.certificate", reason)
    })
}

/// TLS for SIP; none where the settings name no files.
///
/// # Errors
/// When one cannot be read or used; told at the setting that named it.
pub fn sip(loaded: &Loaded) -> Result<Option<Tls>, ConfigError> {
    let sip = &loaded.settings.sip;
    let chain = read(loaded, "sip.certificate", &sip.certificate)?;
    let pem = Pem {
        own: chain.zip(read(loaded, "sip.private_key", &sip.private_key)?),
        clients: read(loaded, "sip.client_authorities", &sip.client_authorities)?,
        servers: read(loaded, "sip.server_authorities", &sip.server_authorities)?,
        ..Pem::default()
    };
    if pem.own.is_none() && pem.servers.is_none() {
        return Ok(None);
    }
    // Each part is tried alone, so that the setting that is wrong is named.
    let own = Pem {
        own: pem.own.clone(),
        ..Pem::default()
    };
    let servers = Pem {
        servers: pem.servers.clone(),
        ..Pem::default()
    };
    for (key, part) in [
        ("sip.certificate", own),
        ("sip.server_authorities", servers),
    ] {
        Tls::new(&part).map_err(|error| loaded.missing(key, error.to_string()))?;
    }
    Tls::new(&pem)
        .map(Some)
        .map_err(|error| loaded.missing("sip.client_authorities", error.to_string()))
}

/// The part that follows the files of HTTPS. `tls` is what the port shows; the demo's own stays.
pub fn https_follower(tls: Option<Tls>) -> Part {
    follower(tls, https_named, |_| {
        ("api.certificate", "HTTPS begins with a restart")
    })
}

/// The part that follows the files of SIP. `tls` is what connections are made with.
pub fn sip_follower(tls: Option<Tls>) -> Part {
    follower(tls, sip, |loaded| {
        let key = match loaded.settings.sip.certificate.is_set() {
            true => "sip.certificate",
            false => "sip.server_authorities",
        };
        (key, "SIP over TLS begins with a restart")
    })
}

/// Takes over in `current` what the files hold, which are tried before anything changes. TLS that was off
/// is refused with a setting and a reason, and TLS whose files are not named any more stays.
fn follower(
    current: Option<Tls>,
    named: fn(&Loaded) -> Result<Option<Tls>, ConfigError>,
    was_off: fn(&Loaded) -> (&'static str, &'static str),
) -> Part {
    Box::new(move |loaded| {
        let Some(fresh) = named(loaded)? else {
            return Ok(Box::new(|| ()));
        };
        let Some(current) = current.clone() else {
            let (key, reason) = was_off(loaded);
            return Err(loaded.refuse(key, reason));
        };
        Ok(Box::new(move || current.replace(&fresh)))
    })
}

/// What the file of a setting holds.
fn read(loaded: &Loaded, key: &str, file: &OffOr<String>) -> Result<Option<Vec<u8>>, ConfigError> {
    let read = |file: &String| {
        std::fs::read(file).map_err(|error| loaded.missing(key, format!("{file}: {error}")))
    };
    file.get().map(read).transpose()
}

/// The demo's own pair, made at the first demo start and kept.
fn own(data: &Path) -> Result<(Vec<u8>, Vec<u8>), String> {
    let (chain_file, key_file) = (data.join(OWN_CHAIN), data.join(OWN_KEY));
    if let (Ok(chain), Ok(key)) = (std::fs::read(&chain_file), std::fs::read(&key_file)) {
        return Ok((chain, key));
    }
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names).map_err(|error| error.to_string())?;
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    write_private(&chain_file, chain.as_bytes()).map_err(|error| error.to_string())?;
    write_private(&key_file, key.as_bytes()).map_err(|error| error.to_string())?;
    Ok((chain.into_bytes(), key.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Inputs, Reloader, load};
    use maskline_fixtures::certificates::SelfSigned;

    #[test]
    fn the_demo_makes_its_certificate_once() {
        let dir = tempfile::tempdir().unwrap();
        let demo = Inputs {
            flags: vec![("--demo", "demo", "true".into())],
            ..Inputs::default()
        };
        let loaded = load(&demo).unwrap();
        assert!(https(&loaded, dir.path()).unwrap().is_some());
        let first = std::fs::read(dir.path().join(OWN_CHAIN)).unwrap();
        assert!(https(&loaded, dir.path()).unwrap().is_some());
        assert_eq!(std::fs::read(dir.path().join(OWN_CHAIN)).unwrap(), first);
        let plain = load(&Inputs::default()).unwrap();
        assert!(https(&plain, dir.path()).unwrap().is_none());
    }

    #[test]
    fn a_reload_with_a_bad_certificate_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (chain, key) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
        SelfSigned::new("localhost").write(&chain, &key);
        let file = dir.path().join("maskline.toml");
        let text = |limit| {
            format!(
                "[api]\ncertificate = {:?}\nprivate_key = {:?}\n[limits]\naccount_per_s = {limit}\n",
                chain.display().to_string(),
                key.display().to_string()
            )
        };
        std::fs::write(&file, text(1)).unwrap();
        let inputs = Inputs {
            file: Some(file.clone()),
            ..Inputs::default()
        };
        let loaded = load(&inputs).unwrap();
        let certificate = https(&loaded, dir.path()).unwrap();
        let mut reloader = Reloader::new(inputs, &loaded);
        reloader.follow(https_follower(certificate));

        std::fs::write(&file, text(2)).unwrap();
        std::fs::write(&chain, "nonsense").unwrap();
        let error = reloader.reload().unwrap_err().to_string();
        assert!(error.contains(":2: api.certificate: "), "{error}");
        assert_eq!(reloader.in_force().limits.account_per_s, 1);

        SelfSigned::new("localhost").write(&chain, &key);
        reloader.reload().unwrap();
        assert_eq!(reloader.in_force().limits.account_per_s, 2);
    }

    #[test]
    fn tls_that_was_off_begins_with_a_restart_and_nothing_else_changes() {
        let dir = tempfile::tempdir().unwrap();
        let (chain, key) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
        SelfSigned::new("localhost").write(&chain, &key);
        let file = dir.path().join("maskline.toml");
        std::fs::write(&file, "[limits]\naccount_per_s = 1\n").unwrap();
        let inputs = Inputs {
            file: Some(file.clone()),
            ..Inputs::default()
        };
        let loaded = load(&inputs).unwrap();
        assert!(sip(&loaded).unwrap().is_none());
        let mut reloader = Reloader::new(inputs, &loaded);
        reloader.follow(sip_follower(None));
        let text = format!(
            "[sip]\ncertificate = {:?}\nprivate_key = {:?}\n[limits]\naccount_per_s = 2\n",
            chain.display().to_string(),
            key.display().to_string()
        );
        std::fs::write(&file, text).unwrap();
        let error = reloader.reload().unwrap_err().to_string();
        assert!(error.contains(":2: sip.certificate: "), "{error}");
        assert_eq!(reloader.in_force().limits.account_per_s, 1);
    }
}
