//! ACS3-HMAC-SHA256, "V3": an `Authorization` header over method, path, query, chosen headers and
//! the hash of the body.

use hmac::{Hmac, Mac};
use http::HeaderMap;
use sha2::{Digest, Sha256};

use super::encode;
use crate::api::params::Parameter;

/// The scheme's name, as it opens the header and the string to sign.
pub const NAME: &str = "ACS3-HMAC-SHA256";

/// Headers that must be among the signed ones, else what they say would not be proven.
///
/// `host` is not one of them: the asynchronous Java core and Java v1 with V3 do not sign it, and
/// nothing of a request is read from it.
pub const SIGNED_ALWAYS: [&str; 5] = [
    "x-acs-action",
    "x-acs-content-sha256",
    "x-acs-date",
    "x-acs-signature-nonce",
    "x-acs-version",
];

/// Most names in `SignedHeaders`.
const SIGNED_MAX: usize = 64;

/// What an `Authorization` header of this scheme says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization<'a> {
    /// The AccessKeyId.
    pub credential: &'a str,
    /// `SignedHeaders` as sent: names in lower case joined by `;`.
    pub signed_headers: &'a str,
    /// The signature, 64 lower-case hexadecimal digits.
    pub signature: &'a str,
}

/// What an `Authorization` header lacks, in words for the caller. Nothing of the header is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Incomplete {
    /// There is none, or its bytes are no text.
    #[error("The header Authorization is missing.")]
    Authorization,
    /// A member is absent or empty.
    #[error("The member {0} of the header Authorization is missing.")]
    Member(&'static str),
    /// A member has no value, comes twice, or is of another name.
    #[error(
        "The header Authorization must hold Credential, SignedHeaders and Signature, each once and nothing else."
    )]
    Members,
    /// `SignedHeaders` are too many, or one of them is no name in lower case.
    #[error(
        "The member SignedHeaders must be names of headers in lower case, joined by semicolons."
    )]
    SignedHeaders,
    /// A header that must be signed is not.
    #[error("The header {0} is not among the SignedHeaders.")]
    NotSigned(&'static str),
    /// The signature has another form.
    #[error("The member Signature must be 64 lower-case hexadecimal digits.")]
    Signature,
}

impl<'a> Authorization<'a> {
    /// Reads `ACS3-HMAC-SHA256 Credential=…,SignedHeaders=…,Signature=…`, its three members in any
    /// order.
    ///
    /// # Errors
    ///
    /// [`Incomplete`] when it is not of this form or does not sign all of [`SIGNED_ALWAYS`].
    pub fn parse(header: &'a str) -> Result<Self, Incomplete> {
        let members = header
            .strip_prefix(NAME)
            .and_then(|rest| rest.strip_prefix(' '))
            .ok_or(Incomplete::Authorization)?;
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for member in members.split(',') {
            let (name, value) = member.trim().split_once('=').ok_or(Incomplete::Members)?;
            let place = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return Err(Incomplete::Members),
            };
            if place.replace(value).is_some() {
                return Err(Incomplete::Members);
            }
        }
        let filled = |member: Option<&'a str>, name| {
            member
                .filter(|value| !value.is_empty())
                .ok_or(Incomplete::Member(name))
        };
        let authorization = Self {
            credential: filled(credential, "Credential")?,
            signed_headers: filled(signed_headers, "SignedHeaders")?,
            signature: filled(signature, "Signature")?,
        };
        authorization.check()?;
        Ok(authorization)
    }

    fn check(&self) -> Result<(), Incomplete> {
        let names: Vec<&str> = self.names().take(SIGNED_MAX + 1).collect();
        if names.len() > SIGNED_MAX || !names.iter().all(|name| is_lower_case_header_name(name)) {
            return Err(Incomplete::SignedHeaders);
        }
        let unsigned = SIGNED_ALWAYS.iter().find(|needed| !names.contains(needed));
        if let Some(name) = unsigned {
            return Err(Incomplete::NotSigned(name));
        }
        let is_hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if self.signature.len() != 64 || !self.signature.bytes().all(is_hex) {
            return Err(Incomplete::Signature);
        }
        Ok(())
    }

    fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.signed_headers.split(';')
    }
}

/// `http` would look up `Host` under `host`; a signer that wrote upper case signed other text.
fn is_lower_case_header_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'))
}

/// The canonical request: six parts joined by a newline, the fourth ending with one of its own.
///
/// `query` holds the pairs of the query string only; the body counts by `body_hash`. Header bytes
/// are taken as they came, so a `Host` with a scheme in it, as one client sends, is no trouble.
#[must_use]
pub fn canonical_request(
    method: &str,
    path: &str,
    query: &[Parameter],
    headers: &HeaderMap,
    authorization: &Authorization<'_>,
    body_hash: &str,
) -> Vec<u8> {
    let mut text = Vec::with_capacity(1024);
    text.extend_from_slice(method.as_bytes());
    text.push(b'\n');
    text.extend_from_slice(path.as_bytes());
    text.push(b'\n');
    push_query(&mut text, query);
    text.push(b'\n');
    for name in authorization.names() {
        text.extend_from_slice(name.as_bytes());
        text.push(b':');
        push_values(&mut text, headers, name);
        text.push(b'\n');
    }
    text.push(b'\n');
    text.extend_from_slice(authorization.signed_headers.as_bytes());
    text.push(b'\n');
    text.extend_from_slice(body_hash.as_bytes());
    text
}

fn push_query(text: &mut Vec<u8>, query: &[Parameter]) {
    let mut pairs: Vec<&Parameter> = query.iter().collect();
    pairs.sort_unstable_by(|a, b| (&a.name, &a.value).cmp(&(&b.name, &b.value)));
    for (index, pair) in pairs.into_iter().enumerate() {
        if index > 0 {
            text.push(b'&');
        }
        encode(&pair.name).for_each(|piece| text.extend_from_slice(piece.as_bytes()));
        text.push(b'=');
        encode(&pair.value).for_each(|piece| text.extend_from_slice(piece.as_bytes()));
    }
}

fn push_values(text: &mut Vec<u8>, headers: &HeaderMap, name: &str) {
    let mut values: Vec<&[u8]> = headers
        .get_all(name)
        .iter()
        .map(|value| value.as_bytes().trim_ascii())
        .collect();
    values.sort_unstable();
    text.extend_from_slice(&values.join(&b','));
}

/// The text that is signed: the scheme's name and the hash of the canonical request.
#[must_use]
pub fn string_to_sign(canonical_request: &[u8]) -> String {
    format!("{NAME}\n{}", sha256_hex(canonical_request))
}

/// The signature of `text`: 64 lower-case hexadecimal digits. The key is the secret alone, without
/// the `&` of the older scheme.
#[must_use]
pub fn sign(secret: &[u8], text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// Lower-case hexadecimal SHA-256, as `x-acs-content-sha256` holds it of the body.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::params::{Bounds, Parameters};
    use http::{HeaderName, HeaderValue};

    const QUERY: &str = "CallTimeout=10&ExpectCity=%E5%8C%97%E4%BA%AC&Expiration=2030-09-05+12%3A00%3A00&IsRecordingEnabled=False&OutId=a+b%2A~%2B%2F%3D%26%27%28%29%21&PhoneNoA=15000000000&PoolKey=FC12345";
    const EMPTY_BODY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const AUTHORIZATION: &str = "ACS3-HMAC-SHA256 Credential=testid,SignedHeaders=accept;host;user-agent;x-acs-action;x-acs-content-sha256;x-acs-credentials-provider;x-acs-date;x-acs-signature-nonce;x-acs-version,Signature=1620b792816ec66592419e4a4b06f0dd2fe12c812076321cf89352b0a840a252";
    const HEADERS: [(&str, &str); 9] = [
        ("host", "127.0.0.1:18080"),
        ("x-acs-version", "2017-05-25"),
        ("x-acs-action", "BindAxn"),
        (
            "user-agent",
            "AlibabaCloud (Linux; x86_64) Python/3.11.7 Core/0.4.3 TeaDSL/2",
        ),
        ("x-acs-date", "2026-11-23T17:01:37Z"),
        ("x-acs-signature-nonce", "f813265148e3faab1a5502009ad190c7"),
        ("accept", "application/json"),
        ("x-acs-content-sha256", EMPTY_BODY),
        ("x-acs-credentials-provider", "static_ak"),
    ];
    const CANONICAL: &str = "POST\n/\nCallTimeout=10&ExpectCity=%E5%8C%97%E4%BA%AC&Expiration=2030-09-05%2012%3A00%3A00&IsRecordingEnabled=False&OutId=a%20b%2A~%2B%2F%3D%26%27%28%29%21&PhoneNoA=15000000000&PoolKey=FC12345\naccept:application/json\nhost:127.0.0.1:18080\nuser-agent:AlibabaCloud (Linux; x86_64) Python/3.11.7 Core/0.4.3 TeaDSL/2\nx-acs-action:BindAxn\nx-acs-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\nx-acs-credentials-provider:static_ak\nx-acs-date:2026-11-23T17:01:37Z\nx-acs-signature-nonce:f813265148e3faab1a5502009ad190c7\nx-acs-version:2017-05-25\n\naccept;host;user-agent;x-acs-action;x-acs-content-sha256;x-acs-credentials-provider;x-acs-date;x-acs-signature-nonce;x-acs-version\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn headers() -> HeaderMap {
        HEADERS
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    fn canonical(headers: &HeaderMap, authorization: &Authorization<'_>) -> String {
        let parameters = Parameters::parse(QUERY.as_bytes(), b"", &Bounds::new(64 * 1024)).unwrap();
        let request = canonical_request(
            "POST",
            "/",
            parameters.of_query(),
            headers,
            authorization,
            EMPTY_BODY,
        );
        String::from_utf8(request).unwrap()
    }

    #[test]
    fn published_canonical_request_and_signature_of_python_v2() {
        let authorization = Authorization::parse(AUTHORIZATION).unwrap();
        let request = canonical(&headers(), &authorization);
        assert_eq!(request, CANONICAL);
        let signature = sign(b"testsecret", &string_to_sign(request.as_bytes()));
        assert_eq!(signature, authorization.signature);
        assert_eq!(authorization.credential, "testid");
        assert_eq!(sha256_hex(b""), EMPTY_BODY);
    }

    #[test]
    fn host_with_a_scheme_is_signed_as_sent() {
        let mut headers = headers();
        headers.insert("host", HeaderValue::from_static("http://127.0.0.1:8080"));
        let authorization = Authorization::parse(AUTHORIZATION).unwrap();
        assert!(canonical(&headers, &authorization).contains("\nhost:http://127.0.0.1:8080\n"));
    }

    #[test]
    fn repeated_headers_are_sorted_trimmed_and_joined() {
        let mut headers = headers();
        headers.insert("accept", HeaderValue::from_static("text/b  "));
        headers.append("accept", HeaderValue::from_static("text/a"));
        let authorization = Authorization::parse(AUTHORIZATION).unwrap();
        assert!(canonical(&headers, &authorization).contains("\naccept:text/a,text/b\n"));
    }

    #[test]
    fn malformed_authorizations_are_refused() {
        let bad = [
            "",
            "Bearer abc",
            "ACS3-HMAC-SM3 Credential=a,SignedHeaders=host,Signature=00",
            &AUTHORIZATION.replace("Credential=testid,", ""),
            &AUTHORIZATION.replace("Credential=testid", "Credential="),
            &AUTHORIZATION.replace("Credential=testid", "Credential=testid,Credential=other"),
            &AUTHORIZATION.replace("x-acs-date;", ""),
            &AUTHORIZATION.replace("accept;host", "accept;Host"),
            &AUTHORIZATION.replace("accept;host", "accept;;host"),
            &AUTHORIZATION.replace("=1620", "=162"),
            &AUTHORIZATION.replace("=1620b", "=1620B"),
            &AUTHORIZATION.replace("accept;", &"accept;".repeat(60)),
            &format!("{AUTHORIZATION},Extra=1"),
        ];
        for header in bad {
            assert!(Authorization::parse(header).is_err(), "{header}");
        }
    }
}
