//! The certificate of the HTTPS port: from the operator's files, or one of our own for the demo.

use std::path::Path;

use crate::admin::credentials::write_private;
use crate::api::tls::Certificate;
use crate::config::{ConfigError, Loaded, Part};

/// The names of the demo's own certificate and key in the data directory.
const OWN_CHAIN: &str = "demo-cert.pem";
const OWN_KEY: &str = "demo-key.pem";

/// The certificate that the settings name, or the demo's own; `None` when there is to be no HTTPS.
///
/// # Errors
/// When it cannot be read, used or made; told at the setting that named it.
pub fn obtain(loaded: &Loaded, data: &Path) -> Result<Option<Certificate>, ConfigError> {
    let api = &loaded.settings.api;
    let refuse = |reason: String| loaded.missing("api.certificate", reason);
    let (chain, key) = match (api.certificate.get(), api.private_key.get()) {
        (Some(chain), Some(key)) => read_pair(loaded, chain, key)?,
        _ if loaded.settings.demo => {
            own(data).map_err(|error| refuse(format!("the demo's own certificate: {error}")))?
        }
        _ => return Ok(None),
    };
    Certificate::from_pem(&chain, &key)
        .map(Some)
        .map_err(|error| refuse(error.to_string()))
}

/// The part that follows `api.certificate` and `api.private_key`: the files are read again on every
/// reload, since a renewed certificate mostly keeps its name.
pub fn follower(certificate: Option<Certificate>) -> Part {
    Box::new(move |loaded| {
        let api = &loaded.settings.api;
        let refuse = |reason: String| loaded.missing("api.certificate", reason);
        let (Some(chain), Some(key)) = (api.certificate.get(), api.private_key.get()) else {
            return Ok(Box::new(|| ()));
        };
        let (chain, key) = read_pair(loaded, chain, key)?;
        // Tried here, so that taking it over below cannot fail.
        Certificate::from_pem(&chain, &key).map_err(|error| refuse(error.to_string()))?;
        let Some(certificate) = certificate.clone() else {
            return Err(loaded.refuse("api.certificate", "HTTPS begins with a restart"));
        };
        Ok(Box::new(move || {
            if let Err(error) = certificate.replace(&chain, &key) {
                tracing::error!(%error, "the certificate stays as it was");
            }
        }))
    })
}

fn read_pair(loaded: &Loaded, chain: &str, key: &str) -> Result<(Vec<u8>, Vec<u8>), ConfigError> {
    let read = |setting: &str, file: &str| {
        std::fs::read(file).map_err(|error| loaded.missing(setting, format!("{file}: {error}")))
    };
    Ok((
        read("api.certificate", chain)?,
        read("api.private_key", key)?,
    ))
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

    #[test]
    fn the_demo_makes_its_certificate_once() {
        let dir = tempfile::tempdir().unwrap();
        let demo = Inputs {
            flags: vec![("--demo", "demo", "true".into())],
            ..Inputs::default()
        };
        let loaded = load(&demo).unwrap();
        assert!(obtain(&loaded, dir.path()).unwrap().is_some());
        let first = std::fs::read(dir.path().join(OWN_CHAIN)).unwrap();
        assert!(obtain(&loaded, dir.path()).unwrap().is_some());
        assert_eq!(std::fs::read(dir.path().join(OWN_CHAIN)).unwrap(), first);
        let plain = load(&Inputs::default()).unwrap();
        assert!(obtain(&plain, dir.path()).unwrap().is_none());
    }

    #[test]
    fn a_reload_with_a_bad_certificate_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (chain, key) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
        write_pair(&chain, &key);
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
        let certificate = obtain(&loaded, dir.path()).unwrap();
        let mut reloader = Reloader::new(inputs, &loaded);
        reloader.follow(follower(certificate));

        std::fs::write(&file, text(2)).unwrap();
        std::fs::write(&chain, "nonsense").unwrap();
        let error = reloader.reload().unwrap_err().to_string();
        assert!(error.contains(":2: api.certificate: "), "{error}");
        assert_eq!(reloader.in_force().limits.account_per_s, 1);

        write_pair(&chain, &key);
        reloader.reload().unwrap();
        assert_eq!(reloader.in_force().limits.account_per_s, 2);
    }

    fn write_pair(chain: &Path, key: &Path) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(chain, made.cert.pem()).unwrap();
        std::fs::write(key, made.signing_key.serialize_pem()).unwrap();
    }
}
