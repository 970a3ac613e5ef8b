//! What a request says of itself, in either scheme: who, what, when, and its signature.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, request};

use super::errors::GatewayError;
use super::params::{Bounds, Parameters, ParametersError};
use super::render::Format;
use super::signature::acs3::{self, Incomplete};
use super::signature::{equal, rpc};

/// The one version of the API.
pub const VERSION: &str = "2017-05-25";

/// Longest nonce, in bytes; the longest known client sends 64.
const NONCE_BYTES_MAX: usize = 256;

/// A request as it came.
#[derive(Debug)]
pub struct Incoming {
    head: request::Parts,
    body: Bytes,
    parameters: Parameters,
}

/// Decodes the parameters of query and form body.
///
/// # Errors
///
/// [`GatewayError::ParameterFormat`] and [`GatewayError::TooLarge`].
pub fn parameters(
    head: &request::Parts,
    body: &[u8],
    bounds: &Bounds,
) -> Result<Parameters, GatewayError> {
    let query = head.uri.query().unwrap_or("").as_bytes();
    let form = if is_form(&head.headers) { body } else { &[] };
    Parameters::parse(query, form, bounds).map_err(|error| match error {
        ParametersError::Malformed => GatewayError::ParameterFormat,
        ParametersError::TooLong
        | ParametersError::TooMany
        | ParametersError::NameTooLong
        | ParametersError::ValueTooLong => GatewayError::TooLarge,
    })
}

impl Incoming {
    /// A request with its [`parameters`].
    #[must_use]
    pub fn new(head: request::Parts, body: Bytes, parameters: Parameters) -> Self {
        Self {
            head,
            body,
            parameters,
        }
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The parameters of query and body.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The form that the answer must have. The newer scheme knows JSON only.
    #[must_use]
    pub fn format(&self) -> Format {
        if self.is_acs3() {
            Format::Json
        } else {
            Format::from_parameter(self.parameters.get("Format"))
        }
    }

    fn authorization(&self) -> Option<&str> {
        let text = self.head.headers.get(AUTHORIZATION)?.to_str().ok()?;
        text.starts_with("ACS3-").then_some(text)
    }

    /// Older clients send `x-acs-action` too, beside the parameter that counts for them.
    fn is_acs3(&self) -> bool {
        self.authorization().is_some()
            || (self.parameters.get("Action").is_none() && self.header("x-acs-action").is_some())
    }

    fn header(&self, name: &str) -> Option<&str> {
        let text = self.head.headers.get(name)?.to_str().ok()?.trim();
        (!text.is_empty()).then_some(text)
    }

    /// What the request says of itself.
    ///
    /// # Errors
    ///
    /// The first of: wrong method or path, credentials of a kind that is not served, a common
    /// parameter that is missing.
    pub fn claim(&self) -> Result<Claim<'_>, GatewayError> {
        if !matches!(self.head.method.as_str(), "GET" | "POST") {
            return Err(GatewayError::UnsupportedMethod);
        }
        if self.head.uri.path().bytes().any(|byte| byte != b'/') {
            return Err(GatewayError::ActionNotFound);
        }
        self.refuse_foreign_credentials()?;
        if self.is_acs3() {
            self.claim_acs3()
        } else {
            self.claim_rpc()
        }
    }

    /// Temporary credentials and bearer tokens are told apart early, since their AccessKeyIds would
    /// only be reported as unknown.
    fn refuse_foreign_credentials(&self) -> Result<(), GatewayError> {
        let is_bearer = self.header("x-acs-bearer-token").is_some()
            || self.parameters.filled("BearerToken").is_some()
            || self.parameters.get("SignatureType") == Some("BEARERTOKEN");
        if is_bearer {
            return Err(GatewayError::BearerToken);
        }
        let is_temporary = self.header("x-acs-security-token").is_some()
            || self.parameters.filled("SecurityToken").is_some();
        if is_temporary {
            return Err(GatewayError::SecurityToken);
        }
        Ok(())
    }

    fn claim_rpc(&self) -> Result<Claim<'_>, GatewayError> {
        let common = |name: &'static str| {
            self.parameters
                .filled(name)
                .ok_or(GatewayError::Missing(name))
        };
        Ok(Claim {
            action: common("Action")?,
            version: common("Version")?,
            key: common("AccessKeyId")?,
            timestamp: common("Timestamp")?,
            nonce: nonce(common("SignatureNonce")?)?,
            auth: RequestAuth::Rpc {
                method: common("SignatureMethod")?,
                version: common("SignatureVersion")?,
                signature: common("Signature")?,
            },
        })
    }

    fn claim_acs3(&self) -> Result<Claim<'_>, GatewayError> {
        let incomplete = GatewayError::IncompleteAuthorization;
        let header = self
            .authorization()
            .ok_or(incomplete(Incomplete::Authorization))?;
        if !header
            .strip_prefix(acs3::NAME)
            .is_some_and(|rest| rest.starts_with(' '))
        {
            return Err(GatewayError::InvalidSignatureMethod);
        }
        let authorization = acs3::Authorization::parse(header).map_err(incomplete)?;
        let common = |header, name| self.header(header).ok_or(GatewayError::Missing(name));
        Ok(Claim {
            action: common("x-acs-action", "Action")?,
            version: common("x-acs-version", "Version")?,
            key: authorization.credential,
            timestamp: common("x-acs-date", "Timestamp")?,
            nonce: nonce(common("x-acs-signature-nonce", "SignatureNonce")?)?,
            auth: RequestAuth::Acs3(authorization),
        })
    }

    /// Whether the signature is one that the owner of `secret` made of this very request.
    ///
    /// # Errors
    ///
    /// Errors about the signature; [`GatewayError::SignatureDoesNotMatch`] and
    /// [`GatewayError::IncompleteSignature`] hold our string to sign.
    pub fn verify(&self, auth: &RequestAuth<'_>, secret: &[u8]) -> Result<(), GatewayError> {
        match auth {
            RequestAuth::Rpc {
                method,
                version,
                signature,
            } => self.verify_rpc(method, version, signature, secret),
            RequestAuth::Acs3(authorization) => self.verify_acs3(authorization, secret),
        }
    }

    fn verify_rpc(
        &self,
        method: &str,
        version: &str,
        signature: &str,
        secret: &[u8],
    ) -> Result<(), GatewayError> {
        let algorithm =
            rpc::Algorithm::from_name(method).ok_or(GatewayError::InvalidSignatureMethod)?;
        if version != "1.0" {
            return Err(GatewayError::Invalid("SignatureVersion"));
        }
        if self.parameters.filled("SignatureType").is_some() {
            return Err(GatewayError::Invalid("SignatureType"));
        }
        let string = rpc::string_to_sign(self.head.method.as_str(), &self.parameters);
        if signature.len() != algorithm.signature_length() || !signature.bytes().all(is_base64) {
            return Err(GatewayError::IncompleteSignature(string));
        }
        if equal(signature, &rpc::sign(algorithm, secret, &string)) {
            Ok(())
        } else {
            Err(GatewayError::SignatureDoesNotMatch(string))
        }
    }

    /// The hash is that of the body as it arrived, so a body which is not the one announced gives
    /// another signature.
    fn verify_acs3(
        &self,
        authorization: &acs3::Authorization<'_>,
        secret: &[u8],
    ) -> Result<(), GatewayError> {
        let canonical = acs3::canonical_request(
            self.head.method.as_str(),
            self.head.uri.path(),
            self.parameters.of_query(),
            &self.head.headers,
            authorization,
            &acs3::sha256_hex(&self.body),
        );
        let string = acs3::string_to_sign(&canonical);
        if equal(authorization.signature, &acs3::sign(secret, &string)) {
            Ok(())
        } else {
            // No client reads this text in the newer scheme; a person does.
            let canonical = String::from_utf8_lossy(&canonical);
            Err(GatewayError::SignatureDoesNotMatch(format!(
                "{string} server canonical request is:{canonical}"
            )))
        }
    }
}

/// Who asks for what, not authenticated yet.
#[derive(Debug)]
pub struct Claim<'r> {
    /// The action's name.
    pub action: &'r str,
    /// The version of the API.
    pub version: &'r str,
    /// The AccessKeyId.
    pub key: &'r str,
    /// When the request was made, as text.
    pub timestamp: &'r str,
    /// What makes the request unique.
    pub nonce: &'r str,
    /// The signature.
    pub auth: RequestAuth<'r>,
}

/// A signature and how it was made.
#[derive(Debug)]
pub enum RequestAuth<'r> {
    /// The older scheme.
    Rpc {
        /// `SignatureMethod`.
        method: &'r str,
        /// `SignatureVersion`.
        version: &'r str,
        /// `Signature`.
        signature: &'r str,
    },
    /// The newer scheme.
    Acs3(acs3::Authorization<'r>),
}

fn nonce(nonce: &str) -> Result<&str, GatewayError> {
    if nonce.len() > NONCE_BYTES_MAX {
        return Err(GatewayError::Invalid("SignatureNonce"));
    }
    Ok(nonce)
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

/// Whether the body holds parameters: a form, or a body of no stated kind.
fn is_form(headers: &HeaderMap) -> bool {
    match headers.get(CONTENT_TYPE) {
        None => true,
        Some(kind) => kind.to_str().is_ok_and(|kind| {
            let kind = kind.split(';').next().unwrap_or("").trim();
            kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
        }),
    }
}

/// The `HostId` of an error: the host that the caller asked for, where it looks like one.
#[must_use]
pub fn host_id(headers: &HeaderMap) -> Cow<'static, str> {
    let host = headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or("");
    let host = host.rsplit("//").next().unwrap_or("");
    let is_host = (1..=255).contains(&host.len())
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']'));
    if is_host {
        Cow::Owned(host.to_owned())
    } else {
        Cow::Borrowed("maskline")
    }
}
