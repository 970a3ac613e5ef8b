//! The passwords of trunks, opened for the SIP endpoint.

use crate::seal::{OpenError, Sealer, TrunkSecret};
use maskline_domain::trunk::{self, Trunk};
use maskline_sip::digest::Credentials;
use maskline_switch::peers::Passwords;

/// Those that a trunk has.
///
/// # Errors
/// When one cannot be opened. Without it the peer would be asked, or believed, wrongly.
pub fn open(trunk: &Trunk, sealer: &Sealer) -> Result<Passwords, OpenError> {
    let open = |credentials: &Option<trunk::Credentials>, purpose| {
        let open = |sealed: &trunk::Credentials| {
            let secret = sealer.open_for_trunk(&trunk.name, purpose, &sealed.sealed_secret)?;
            Ok(Credentials {
                username: sealed.username.to_string(),
                // The admin interface takes only text.
                password: String::from_utf8_lossy(secret.expose()).into_owned(),
            })
        };
        credentials.as_ref().map(open).transpose()
    };
    Ok(Passwords {
        auth: open(&trunk.auth, TrunkSecret::Auth)?,
        challenge: open(&trunk.challenge, TrunkSecret::Challenge)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::{MasterKeys, Secret};
    use maskline_domain::TrunkName;

    #[test]
    fn a_password_opens_for_what_it_was_sealed_for_alone() {
        let sealer = Sealer::new(&MasterKeys::parse(&"07".repeat(32)).expect("a key"));
        let trunk = Trunk::new(TrunkName::new("carrier"), "192.0.2.1:5061");
        let sealed = |purpose, password: &str| {
            let secret = Secret::new(password.as_bytes().to_vec());
            let sealed = sealer.seal_for_trunk(&trunk.name, purpose, &secret);
            Some(trunk::Credentials {
                username: "us".into(),
                sealed_secret: sealed.expect("there is randomness").into(),
            })
        };
        let described = Trunk {
            auth: sealed(TrunkSecret::Auth, "ours"),
            challenge: sealed(TrunkSecret::Challenge, "theirs"),
            ..trunk.clone()
        };
        let opened = open(&described, &sealer).expect("they open");
        let password = |credentials: Option<Credentials>| credentials.map(|found| found.password);
        assert_eq!(password(opened.auth).as_deref(), Some("ours"));
        assert_eq!(password(opened.challenge).as_deref(), Some("theirs"));
        let swapped = Trunk {
            auth: described.challenge.clone(),
            ..described
        };
        assert!(open(&swapped, &sealer).is_err());
    }
}
