//! The certificate of the HTTPS port, which may be exchanged while the server runs.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The chain is not PEM.
    #[error("the certificate file is not PEM: {0}")]
    Chain(#[source] rustls_pki_types::pem::Error),
    /// The chain holds no certificate.
    #[error("the certificate file holds no certificate")]
    Empty,
    /// The private key is not PEM, or there is none.
    #[error("the private key file holds no PEM key: {0}")]
    Key(#[source] rustls_pki_types::pem::Error),
    /// The key is of an unknown kind or does not belong to the certificate.
    #[error("certificate and private key do not fit: {0}")]
    Mismatch(#[source] rustls::Error),
}

/// A certificate chain with its key. Clones share it: what [`Certificate::replace`] sets is used by
/// every handshake that begins later; connections that are up stay up.
#[derive(Debug, Clone)]
pub struct Certificate(Arc<Current>);

#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

impl Certificate {
    /// Reads a chain, the server's own certificate first, and its private key, both PEM.
    ///
    /// # Errors
    ///
    /// [`CertificateError`] when either cannot be read or they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let certified = certified_key(chain, key)?;
        Ok(Self(Arc::new(Current(ArcSwap::from_pointee(certified)))))
    }

    /// Takes another chain and key from the next handshake on.
    ///
    /// # Errors
    ///
    /// As [`Certificate::from_pem`]; the old one then stays.
    pub fn replace(&self, chain: &[u8], key: &[u8]) -> Result<(), CertificateError> {
        self.0.0.store(Arc::new(certified_key(chain, key)?));
        Ok(())
    }

    /// What a TLS acceptor needs: TLS 1.2 and 1.3, HTTP/1.1 only, no client certificates.
    #[must_use]
    pub fn server_config(&self) -> ServerConfig {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("ring has cipher suites for TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&self.0) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

fn certified_key(chain: &[u8], key: &[u8]) -> Result<CertifiedKey, CertificateError> {
    let chain = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(CertificateError::Chain)?;
    if chain.is_empty() {
        return Err(CertificateError::Empty);
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(CertificateError::Key)?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(CertificateError::Mismatch)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_bad_replacement_leaves_the_old_certificate() {
        let (chain, key) = pair("one.example");
        let certificate = Certificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        let own = certificate.0.0.load_full();

        let (other_chain, other_key) = pair("two.example");
        let bad = [
            ("", key.as_str()),
            ("-----BEGIN CERTIFICATE-----\n", key.as_str()),
            (chain.as_str(), ""),
            (other_chain.as_str(), key.as_str()),
        ];
        for (chain, key) in bad {
            assert!(
                certificate
                    .replace(chain.as_bytes(), key.as_bytes())
                    .is_err()
            );
        }
        assert!(Arc::ptr_eq(&own, &certificate.0.0.load_full()));

        certificate
            .replace(other_chain.as_bytes(), other_key.as_bytes())
            .unwrap();
        assert_ne!(own.cert, certificate.0.0.load_full().cert);
    }
}
