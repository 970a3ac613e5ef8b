//! TLS for SIP: our certificate and whom we believe, from the operator's files.

use crate::calls::sip_connections::{Pem, Tls};
use crate::config::{ConfigError, Loaded, OffOr, Part};

/// TLS from the files that the settings name; none where they name none.
///
/// # Errors
/// When one cannot be read or used; told at the setting that named it.
pub fn obtain(loaded: &Loaded) -> Result<Option<Tls>, ConfigError> {
    let sip = &loaded.settings.sip;
    let read = |key: &'static str, file: &OffOr<String>| {
        let read = |file: &String| {
            std::fs::read(file).map_err(|error| loaded.missing(key, format!("{file}: {error}")))
        };
        file.get().map(read).transpose()
    };
    let chain = read("sip.certificate", &sip.certificate)?;
    let pem = Pem {
        own: chain.zip(read("sip.private_key", &sip.private_key)?),
        clients: read("sip.client_authorities", &sip.client_authorities)?,
        servers: read("sip.server_authorities", &sip.server_authorities)?,
    };
    if pem.own.is_none() && pem.servers.is_none() {
        return Ok(None);
    }
    // Each part is tried alone, so that the setting that is wrong is named.
    let parts = [
        (
            "sip.certificate",
            Pem {
                own: pem.own.clone(),
                ..Pem::default()
            },
        ),
        (
            "sip.server_authorities",
            Pem {
                servers: pem.servers.clone(),
                ..Pem::default()
            },
        ),
    ];
    for (key, part) in parts {
        Tls::new(&part).map_err(|error| loaded.missing(key, error.to_string()))?;
    }
    Tls::new(&pem)
        .map(Some)
        .map_err(|error| loaded.missing("sip.client_authorities", error.to_string()))
}

/// The part that follows the files: they are read again on every reload, since a renewed certificate
/// mostly keeps its name. `tls` is what connections are made with.
pub fn follower(tls: Option<Tls>) -> Part {
    Box::new(move |loaded| {
        let Some(fresh) = obtain(loaded)? else {
            return Ok(Box::new(|| ()));
        };
        let Some(tls) = tls.clone() else {
            let key = match loaded.settings.sip.certificate.is_set() {
                true => "sip.certificate",
                false => "sip.server_authorities",
            };
            return Err(loaded.refuse(key, "SIP over TLS begins with a restart"));
        };
        Ok(Box::new(move || tls.replace(&fresh)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Inputs, Reloader, load};

    #[test]
    fn tls_that_was_off_begins_with_a_restart_and_nothing_else_changes() {
        let dir = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (chain, key) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
        std::fs::write(&chain, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let file = dir.path().join("maskline.toml");
        std::fs::write(&file, "[limits]\naccount_per_s = 1\n").unwrap();
        let inputs = Inputs {
            file: Some(file.clone()),
            ..Inputs::default()
        };
        let loaded = load(&inputs).unwrap();
        assert!(obtain(&loaded).unwrap().is_none());
        let mut reloader = Reloader::new(inputs, &loaded);
        reloader.follow(follower(None));
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
