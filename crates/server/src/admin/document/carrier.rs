//! A carrier in a document, and how it becomes one of the state.

use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use maskline_domain::{Carrier, CarrierKind, CarrierName};

use super::{take, take_text};
use crate::seal::{Sealer, Secret};
use crate::tls::check_authorities;

/// What a secret begins with, as the Standard Webhooks specification writes symmetric ones.
const SECRET_PREFIX: &str = "whsec_";
/// How long the key in a secret is, in bytes; the same specification.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A carrier that should be there.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedCarrier {
    /// Its name.
    pub name: String,
    /// How it is told of bindings; a new one is told nothing. One that becomes such loses what only others have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<CarrierKind>,
    /// Where it is told; an empty text takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What signs that it is told by us: `whsec_` and 24 to 64 bytes in base64. Kept sealed, never shown; an empty
    /// text takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Who signs its certificate, as PEM text; an empty text takes it away, so that the system's authorities do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// How long a connection may take to come about, in milliseconds; 1000 in a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_timeout_ms: Option<u32>,
    /// How long a request may take, in milliseconds; 2000 in a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_timeout_ms: Option<u32>,
    /// How long a customer waits for it, in milliseconds; 2500 in a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u32>,
    /// How many requests it may have at once; 32 in a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u16>,
    /// After how many failures in a row it is let alone for a while; 5 in a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker_failures: Option<u16>,
    /// For how long, in milliseconds; 10000 in a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker_open_ms: Option<u32>,
    /// How often what it holds is compared with what is bound, in seconds; 0 means never.
    pub reconcile_every_s: Option<u32>,
}

impl std::fmt::Debug for WantedCarrier {
    /// Without its secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WantedCarrier")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl WantedCarrier {
    /// A carrier of which nothing but the name is said.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// The carrier as it should be, given how it is. A new secret is sealed; one that is as it should be stays sealed
    /// as it is.
    ///
    /// # Errors
    /// A text that is not what it should be. What belongs together is judged by the rules.
    pub fn over(&self, before: Option<&Carrier>, sealer: &Sealer) -> Result<Carrier, String> {
        let new = || Carrier::new(CarrierName::new(&self.name));
        let mut carrier = before.cloned().unwrap_or_else(new);
        take(&mut carrier.kind, self.kind);
        if !carrier.provisions() {
            (carrier.url, carrier.ca, carrier.sealed_secret) = (None, None, None);
        }
        if let Some(url) = self.url.as_deref().filter(|url| !url.is_empty()) {
            check_url(url)?;
        }
        take_text(&mut carrier.url, self.url.as_deref());
        if let Some(ca) = self.ca.as_deref().filter(|ca| !ca.is_empty()) {
            check_authorities(ca.as_bytes()).map_err(|error| format!("ca: {error}"))?;
        }
        take_text(&mut carrier.ca, self.ca.as_deref());
        self.take_secret(&mut carrier, sealer)?;
        take(&mut carrier.connect_timeout_ms, self.connect_timeout_ms);
        take(&mut carrier.request_timeout_ms, self.request_timeout_ms);
        take(&mut carrier.deadline_ms, self.deadline_ms);
        take(&mut carrier.concurrency, self.concurrency);
        take(&mut carrier.breaker_failures, self.breaker_failures);
        take(&mut carrier.breaker_open_ms, self.breaker_open_ms);
        take(&mut carrier.reconcile_every_s, self.reconcile_every_s);
        Ok(carrier)
    }

    fn take_secret(&self, carrier: &mut Carrier, sealer: &Sealer) -> Result<(), String> {
        let Some(text) = self.secret.as_deref() else {
            return Ok(());
        };
        if text.is_empty() {
            carrier.sealed_secret = None;
            return Ok(());
        }
        let secret = read_secret(text)?;
        let name = &carrier.name;
        let is_kept = |sealed: &[u8]| sealer.open_for_carrier(name, sealed) == Ok(secret.clone());
        if !carrier.sealed_secret.as_deref().is_some_and(is_kept) {
            let sealed = sealer
                .seal_for_carrier(name, &secret)
                .map_err(|error| error.to_string())?;
            carrier.sealed_secret = Some(sealed.into());
        }
        Ok(())
    }
}

/// The key in a secret.
fn read_secret(text: &str) -> Result<Secret, String> {
    let wrong = || {
        format!(
            "secret is `{SECRET_PREFIX}` and {} to {} bytes in base64",
            SECRET_BYTES.start(),
            SECRET_BYTES.end()
        )
    };
    let encoded = text.strip_prefix(SECRET_PREFIX).ok_or_else(wrong)?;
    let key = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| wrong())?);
    if !SECRET_BYTES.contains(&key.len()) {
        return Err(wrong());
    }
    Ok(Secret::new(key.to_vec()))
}

/// Whether two addresses are one: scheme and host in any case, the port that is meant where none is said, the path and
/// what follows it.
pub fn is_same_url(one: &str, other: &str) -> bool {
    let place = |url: &str| {
        let url: Uri = url.parse().ok()?;
        let scheme = url.scheme_str()?.to_ascii_lowercase();
        let usual = if scheme == "https" { 443 } else { 80 };
        let host = url.host()?.trim_end_matches('.').to_ascii_lowercase();
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        let path = if path.is_empty() { "/" } else { path };
        let port = url.port_u16().unwrap_or(usual);
        Some((scheme, host, port, path.to_owned()))
    };
    place(one).is_some_and(|one| place(other) == Some(one))
}

/// Refuses what a client could not ask, and a password in an address, which would be shown.
fn check_url(url: &str) -> Result<(), String> {
    let wrong = "url is http:// or https:// and a host, without a name, a password or a fragment";
    let parsed: Uri = url.parse().map_err(|_| wrong.to_owned())?;
    let is_scheme = matches!(parsed.scheme_str(), Some("http" | "https"));
    let is_host = parsed.host().is_some_and(|host| !host.is_empty());
    let has_more = url.contains('#')
        || parsed
            .authority()
            .is_some_and(|at| at.as_str().contains('@'));
    let has_port = match parsed.authority().map(|at| at.as_str().rsplit_once(':')) {
        // A colon within the brackets of an IPv6 address begins no port.
        Some(Some((_, port))) if !port.contains(']') => {
            parsed.port_u16().is_some_and(|port| port > 0)
        }
        _ => true,
    };
    if is_scheme && is_host && has_port && !has_more {
        Ok(())
    } else {
        Err(wrong.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::MasterKeys;

    const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";

    fn sealer() -> Sealer {
        Sealer::new(&MasterKeys::parse(&hex::encode([9; 32])).expect("a key"))
    }

    fn wanted(text: &str) -> WantedCarrier {
        toml::from_str(&format!("name = \"unicom\"\n{text}")).expect("a carrier")
    }

    fn carrier(sealer: &Sealer) -> Carrier {
        wanted(&format!(
            "kind = \"http\"\nurl = \"https://carrier.example:8443/maskline\"\nsecret = \"{SECRET}\"\n\
             deadline_ms = 2000\nconcurrency = 8"
        ))
        .over(None, sealer)
        .expect("a carrier")
    }

    #[test]
    fn what_is_not_said_stays_and_what_is_empty_goes() {
        let sealer = sealer();
        let known = carrier(&sealer);
        assert_eq!((known.deadline_ms, known.concurrency), (2_000, 8));
        assert_eq!(known.breaker_failures, 5, "as in every new one");
        let same = wanted("").over(Some(&known), &sealer);
        assert_eq!(same.as_ref(), Ok(&known));
        let open = wanted("url = \"\"\nsecret = \"\"").over(Some(&known), &sealer);
        let open = open.expect("texts alone are judged");
        assert_eq!((open.url, open.sealed_secret), (None, None));
        let told_nothing = wanted("kind = \"none\"").over(Some(&known), &sealer);
        let told_nothing = told_nothing.expect("a carrier");
        assert_eq!(told_nothing.url, None);
        assert_eq!(told_nothing.sealed_secret, None);
        assert_eq!(told_nothing.deadline_ms, 2_000);
    }

    #[test]
    fn a_secret_is_sealed_once_and_again_only_when_it_is_another() {
        let sealer = sealer();
        let known = carrier(&sealer);
        let open = |carrier: &Carrier| {
            let sealed = carrier.sealed_secret.as_deref().expect("sealed");
            sealer
                .open_for_carrier(&carrier.name, sealed)
                .expect("ours")
        };
        assert_eq!(open(&known).expose(), b"012345678901234567890123");
        let given = wanted(&format!("secret = \"{SECRET}\""));
        assert!(!format!("{given:?}{known:?}").contains("MDEy"));
        assert_eq!(given.over(Some(&known), &sealer).as_ref(), Ok(&known));
        let other = wanted("secret = \"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"");
        let other = other.over(Some(&known), &sealer).expect("a carrier");
        assert_eq!(open(&other).expose(), [0; 24]);
        let renamed = CarrierName::new("other");
        let sealed = known.sealed_secret.as_deref().expect("sealed");
        assert!(sealer.open_for_carrier(&renamed, sealed).is_err());
    }

    #[test]
    fn an_address_is_the_same_however_it_is_written() {
        let url = "https://carrier.example/maskline";
        for (other, is_same) in [
            (url, true),
            ("HTTPS://Carrier.Example:443/maskline", true),
            ("https://carrier.example./maskline", true),
            ("http://carrier.example/maskline", false),
            ("https://carrier.example:8443/maskline", false),
            ("https://carrier.example/Maskline", false),
            ("https://carrier.example/maskline?of=a", false),
            ("https://other.example/maskline", false),
        ] {
            assert_eq!(is_same_url(url, other), is_same, "{other}");
            assert_eq!(is_same_url(other, url), is_same, "{other}");
        }
        assert!(is_same_url("http://h", "http://h:80/"));
    }

    #[test]
    fn what_is_no_secret_no_address_and_no_certificate_is_refused() {
        let sealer = sealer();
        let long = format!("secret = \"whsec_{}\"", STANDARD.encode([7; 65]));
        for (text, why) in [
            (
                "secret = \"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz\"",
                "secret is `whsec_`",
            ),
            (
                "secret = \"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI\"",
                "secret is",
            ),
            ("secret = \"whsec_MDEyMw==\"", "24 to 64 bytes"),
            (&long, "24 to 64 bytes"),
            ("secret = \"whsec_!\"", "secret is"),
            ("url = \"carrier.example\"", "url is http://"),
            ("url = \"ftp://carrier.example/\"", "url is http://"),
            ("url = \"https:///path\"", "url is http://"),
            (
                "url = \"https://user:word@carrier.example/\"",
                "without a name",
            ),
            ("url = \"https://carrier.example/#part\"", "fragment"),
            ("url = \"https://carrier.example:99999/\"", "url is http://"),
            ("url = \"https://carrier example/\"", "url is http://"),
            ("ca = \"no certificate\"", "ca: there is no certificate"),
        ] {
            let error = wanted(text).over(None, &sealer).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
            assert!(!error.contains("MDEy"), "{error}");
        }
        for url in [
            "http://[2001:db8::1]:8080/a?b=c",
            "http://[::1]",
            "https://h",
        ] {
            let text = format!("url = \"{url}\"");
            let carrier = wanted(&text).over(None, &sealer).expect(url);
            assert_eq!(carrier.url.as_deref(), Some(url));
        }
    }
}
