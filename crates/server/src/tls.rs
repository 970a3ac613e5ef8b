//! TLS, for HTTPS and for SIP: our certificate and whom we believe, read from PEM and exchanged while the
//! process runs.

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, ServerConfig, WantsVerifier};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file of certificates is not PEM.
    #[error("not a PEM file of certificates: {0}")]
    Certificates(#[source] rustls_pki_types::pem::Error),
    /// A file of certificates holds none.
    #[error("there is no certificate in it")]
    Empty,
    /// The private key is not PEM, or there is none.
    #[error("no PEM key: {0}")]
    Key(#[source] rustls_pki_types::pem::Error),
    /// The key does not belong to the certificate, or is of an unknown kind.
    #[error("certificate and key do not fit: {0}")]
    Mismatch(#[source] rustls::Error),
    /// An authority's certificate cannot be used.
    #[error("not the certificate of an authority: {0}")]
    Authority(String),
}

/// TLS for peers that connect to us, and for those that we connect to. Clones share it: what
/// [`Tls::replace`] sets is used by every connection that is made later; those that stand stay.
#[derive(Clone)]
pub struct Tls(Arc<ArcSwap<Both>>);

struct Both {
    acceptor: Option<TlsAcceptor>,
    connector: Option<TlsConnector>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let both = self.0.load();
        let (takes, makes) = (both.acceptor.is_some(), both.connector.is_some());
        write!(f, "Tls(takes {takes}, makes {makes})")
    }
}

/// What TLS is made of: PEM files' contents.
#[derive(Default)]
pub struct Pem {
    /// Our certificate chain, our own first, and its key. Shown to whoever connects, and to those that we
    /// connect to and that ask for it. Without it nobody can connect to us.
    pub own: Option<(Vec<u8>, Vec<u8>)>,
    /// Who signs the certificates of peers that connect to us. With it a peer must show one (mutual TLS).
    pub clients: Option<Vec<u8>>,
    /// Who signs the certificates of peers that we connect to. Without it we connect to nobody, since there
    /// is no one to believe.
    pub servers: Option<Vec<u8>>,
    /// What peers that connect to us may choose to speak (ALPN, RFC 7301); empty offers no choice.
    pub protocols: &'static [&'static [u8]],
}

impl Tls {
    /// TLS 1.2 and 1.3 with these.
    ///
    /// # Errors
    /// [`TlsError`] when a file cannot be used.
    pub fn new(pem: &Pem) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let acceptor = match &pem.own {
            Some((chain, key)) => {
                let mut config = server_config(&provider, chain, key, pem.clients.as_deref())?;
                config.alpn_protocols = pem.protocols.iter().map(|&name| name.into()).collect();
                Some(TlsAcceptor::from(Arc::new(config)))
            }
            None => None,
        };
        let connector = match &pem.servers {
            Some(authorities) => {
                let config = client_config(&provider, authorities, pem.own.as_ref())?;
                Some(TlsConnector::from(Arc::new(config)))
            }
            None => None,
        };
        Ok(Self(Arc::new(ArcSwap::from_pointee(Both {
            acceptor,
            connector,
        }))))
    }

    /// Takes what `other` has from the next connection on. What it lacks, listeners may still rest on:
    /// that stays as it is.
    pub fn replace(&self, other: &Self) {
        let (before, other) = (self.0.load(), other.0.load());
        self.0.store(Arc::new(Both {
            acceptor: other.acceptor.clone().or_else(|| before.acceptor.clone()),
            connector: (other.connector.clone()).or_else(|| before.connector.clone()),
        }));
    }

    /// For a connection that a peer makes now, if we have a certificate.
    pub fn acceptor(&self) -> Option<TlsAcceptor> {
        self.0.load().acceptor.clone()
    }

    /// For a connection that we make now, if there is somebody to believe.
    pub fn connector(&self) -> Option<TlsConnector> {
        self.0.load().connector.clone()
    }
}

/// TLS to peers that are asked and show no certificate of ours: they must show one for their name that these
/// authorities signed, or without any that an authority of the system did. Those are read from the disk.
///
/// # Errors
/// [`TlsError`] when there is nobody to believe.
pub fn connector_to(authorities: Option<&[u8]>) -> Result<TlsConnector, TlsError> {
    let roots = match authorities {
        Some(pem) => roots(pem)?,
        None => {
            let mut roots = RootCertStore::empty();
            // Some of a system's may be unusable; they sign nothing then.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(TlsError::Empty);
            }
            roots
        }
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = client_builder(&provider)
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Whether these certificates can be believed as authorities.
///
/// # Errors
/// [`TlsError`] when they are no PEM, none, or none that sign others.
pub fn check_authorities(pem: &[u8]) -> Result<(), TlsError> {
    roots(pem).map(|_| ())
}

fn server_config(
    provider: &Arc<CryptoProvider>,
    chain: &[u8],
    key: &[u8],
    clients: Option<&[u8]>,
) -> Result<ServerConfig, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites for TLS 1.2 and 1.3");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authorities) => {
            let roots = Arc::new(roots(authorities)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone())
                .build()
                .map_err(|error| TlsError::Authority(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    builder
        .with_single_cert(certificates(chain)?, private_key(key)?)
        .map_err(TlsError::Mismatch)
}

fn client_config(
    provider: &Arc<CryptoProvider>,
    authorities: &[u8],
    own: Option<&(Vec<u8>, Vec<u8>)>,
) -> Result<ClientConfig, TlsError> {
    let builder = client_builder(provider).with_root_certificates(roots(authorities)?);
    match own {
        None => Ok(builder.with_no_client_auth()),
        Some((chain, key)) => builder
            .with_client_auth_cert(certificates(chain)?, private_key(key)?)
            .map_err(TlsError::Mismatch),
    }
}

fn client_builder(provider: &Arc<CryptoProvider>) -> ConfigBuilder<ClientConfig, WantsVerifier> {
    ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites for TLS 1.2 and 1.3")
}

fn roots(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots
            .add(certificate)
            .map_err(|error| TlsError::Authority(error.to_string()))?;
    }
    Ok(roots)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(TlsError::Certificates)?;
    if found.is_empty() {
        return Err(TlsError::Empty);
    }
    Ok(found)
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(TlsError::Key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use maskline_fixtures::certificates::SelfSigned;

    fn pair(name: &str) -> (Vec<u8>, Vec<u8>) {
        let made = SelfSigned::new(name);
        (made.chain, made.key)
    }

    #[test]
    fn files_that_cannot_be_used_are_told_apart() {
        let ((chain, key), (_, other)) = (pair("one.example"), pair("two.example"));
        let broken = b"-----BEGIN CERTIFICATE-----\n".as_slice();
        let no_der = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".as_slice();
        let own = [
            (&chain[..], &key[..], ""),
            (b"", &key, "there is no certificate in it"),
            (&key, &key, "there is no certificate in it"),
            (broken, &key, "not a PEM file of certificates: "),
            (&chain, b"", "no PEM key: "),
            (&chain, &chain, "no PEM key: "),
            (&chain, broken, "no PEM key: "),
            (&chain, &other, "certificate and key do not fit: "),
            (no_der, &key, "certificate and key do not fit: "),
        ];
        for (chain, key, told) in own {
            let made = Tls::new(&Pem {
                own: Some((chain.into(), key.into())),
                ..Pem::default()
            });
            let error = made.map_or_else(|error| error.to_string(), |_| String::new());
            assert!(
                error.starts_with(told) && error.is_empty() == told.is_empty(),
                "{error}"
            );
        }
        let authorities = [
            (&chain[..], ""),
            (b"", "there is no certificate in it"),
            (&key, "there is no certificate in it"),
            (broken, "not a PEM file of certificates: "),
            (no_der, "not the certificate of an authority: "),
        ];
        for (authorities, told) in authorities {
            for (clients, servers) in [(Some(authorities), None), (None, Some(authorities))] {
                let made = Tls::new(&Pem {
                    own: Some((chain.clone(), key.clone())),
                    clients: clients.map(<[u8]>::to_vec),
                    servers: servers.map(<[u8]>::to_vec),
                    ..Pem::default()
                });
                let error = made.map_or_else(|error| error.to_string(), |_| String::new());
                assert!(
                    error.starts_with(told) && error.is_empty() == told.is_empty(),
                    "{error}"
                );
            }
        }
    }

    #[test]
    fn what_a_replacement_lacks_stays() {
        let (chain, key) = pair("one.example");
        let both = Tls::new(&Pem {
            own: Some((chain.clone(), key)),
            servers: Some(chain.clone()),
            ..Pem::default()
        });
        let makes = Tls::new(&Pem {
            servers: Some(chain),
            ..Pem::default()
        });
        let (tls, fresh) = (both.unwrap(), makes.unwrap());
        let before = tls.acceptor().unwrap();
        tls.replace(&fresh);
        assert!(Arc::ptr_eq(
            before.config(),
            tls.acceptor().unwrap().config()
        ));
        let config = |tls: &Tls| tls.connector().unwrap().config().clone();
        assert!(Arc::ptr_eq(&config(&tls), &config(&fresh)));
    }
}
