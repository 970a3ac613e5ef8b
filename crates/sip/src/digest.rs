//! Digest authentication, both sides (RFC 7616, RFC 8760, RFC 3261 section 22).
//!
//! Here is only what follows from the headers and the secret. Which nonce is remembered, and what is sent
//! again, is the endpoint's matter.

use crate::text;
use md5::Md5;
use sha2::{Digest as _, Sha256, Sha512_256};
use std::fmt;

/// The longest value that we read, quoted strings without their quotes, in bytes.
const VALUE_BYTES_MAX: usize = 1_024;

/// A name and a secret. Its `Debug` shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

/// Which hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// `MD5`: weak, and what most carriers have.
    Md5,
    /// `SHA-256`
    Sha256,
    /// `SHA-512-256`
    Sha512Part256,
}

/// Which hash, and whether the secret is mixed with the nonce first (`-sess`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Algorithm {
    hash: Hash,
    session: bool,
}

impl Algorithm {
    /// The algorithm of this name, in any case; none for one that we do not know. `SHA256` without the
    /// hyphen is in no RFC, but some write it.
    pub fn parse(name: &[u8]) -> Option<Self> {
        let session = name.len() > 5 && name[name.len() - 5..].eq_ignore_ascii_case(b"-sess");
        let base = if session {
            &name[..name.len() - 5]
        } else {
            name
        };
        let known: [(&[u8], Hash); 4] = [
            (b"MD5", Hash::Md5),
            (b"SHA-256", Hash::Sha256),
            (b"SHA256", Hash::Sha256),
            (b"SHA-512-256", Hash::Sha512Part256),
        ];
        let (_, hash) = known
            .iter()
            .find(|(text, _)| text.eq_ignore_ascii_case(base))?;
        Some(Self {
            hash: *hash,
            session,
        })
    }

    /// What is meant where nothing is said.
    const MD5: Self = Self {
        hash: Hash::Md5,
        session: false,
    };

    /// Lower-case hexadecimal digits of the hash of `parts` with colons between them.
    fn hash(self, parts: &[&[u8]]) -> String {
        let text = parts.join(b":".as_slice());
        match self.hash {
            Hash::Md5 => hex::encode(Md5::digest(text)),
            Hash::Sha256 => hex::encode(Sha256::digest(text)),
            Hash::Sha512Part256 => hex::encode(Sha512_256::digest(text)),
        }
    }
}

/// What a response covers besides the nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quality {
    /// As in RFC 2069: no counter.
    Plain,
    /// `auth`
    Auth,
    /// `auth-int`: the body too.
    AuthInt,
}

/// One challenge of a 401 or 407 that we can answer.
#[derive(Clone)]
pub struct Challenge {
    realm: Vec<u8>,
    nonce: Vec<u8>,
    opaque: Option<Vec<u8>>,
    /// As it was written; none where nothing was said.
    algorithm_name: Option<Vec<u8>>,
    algorithm: Algorithm,
    quality: Quality,
    /// Whether only the nonce was too old, and not the secret wrong.
    pub stale: bool,
}

impl Challenge {
    /// The first challenge that we can answer: the asking side puts the one it likes best first (RFC 8760
    /// section 2.4). `values` are the whole header lines.
    pub fn choose<'a>(values: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        values
            .flat_map(challenges)
            .find_map(|fields| Self::read(&fields))
    }

    fn read(fields: &Fields) -> Option<Self> {
        let algorithm_name = fields.get("algorithm");
        let algorithm = algorithm_name
            .as_deref()
            .map_or(Some(Algorithm::MD5), Algorithm::parse)?;
        let quality = match fields.get("qop") {
            None => Quality::Plain,
            Some(list) => {
                let offers = |wanted: &str| {
                    text::list(&list).any(|one| one.eq_ignore_ascii_case(wanted.as_bytes()))
                };
                match (offers("auth"), offers("auth-int")) {
                    (true, _) => Quality::Auth,
                    (false, true) => Quality::AuthInt,
                    (false, false) => return None,
                }
            }
        };
        Some(Self {
            realm: fields.get("realm")?,
            nonce: fields.get("nonce")?,
            opaque: fields.get("opaque"),
            algorithm_name,
            algorithm,
            quality,
            stale: fields
                .get("stale")
                .is_some_and(|stale| stale.eq_ignore_ascii_case(b"true")),
        })
    }

    /// The nonce.
    pub fn nonce(&self) -> &[u8] {
        &self.nonce
    }

    /// The value of an `Authorization` or `Proxy-Authorization` that answers this. `count` is how often
    /// this nonce has been used, this time included; `cnonce` is fresh and made of hexadecimal digits.
    pub fn answer(
        &self,
        credentials: &Credentials,
        request: &Request<'_>,
        count: u32,
        cnonce: &str,
    ) -> String {
        let nc = format!("{count:08x}");
        let input = DigestInput {
            algorithm: self.algorithm,
            quality: self.quality,
            realm: &self.realm,
            nonce: &self.nonce,
            nc: nc.as_bytes(),
            cnonce: cnonce.as_bytes(),
        };
        let response = input.response(credentials, request);
        let mut value = b"Digest username=".to_vec();
        let mut field = |name: &str, text: &[u8], quote: bool| {
            value.extend_from_slice(name.as_bytes());
            if quote {
                put_quoted(&mut value, text);
            } else {
                value.extend_from_slice(text);
            }
        };
        field("", credentials.username.as_bytes(), true);
        field(", realm=", &self.realm, true);
        field(", nonce=", &self.nonce, true);
        field(", uri=", request.uri, true);
        field(", response=", response.as_bytes(), true);
        if let Some(name) = &self.algorithm_name {
            field(", algorithm=", name, false);
        }
        if self.quality != Quality::Plain || self.algorithm.session {
            field(", cnonce=", cnonce.as_bytes(), true);
        }
        if let Some(opaque) = &self.opaque {
            field(", opaque=", opaque, true);
        }
        match self.quality {
            Quality::Plain => {}
            Quality::Auth => field(", qop=", b"auth", false),
            Quality::AuthInt => field(", qop=", b"auth-int", false),
        }
        if self.quality != Quality::Plain {
            field(", nc=", nc.as_bytes(), false);
        }
        // A realm may hold bytes that are not UTF-8; then the hash is right and the echo is not, which
        // nobody has been seen to do.
        String::from_utf8_lossy(&value).into_owned()
    }
}

/// What of a request the digest is of.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a [u8],
    /// The Request-URI, or what the asker says it was.
    pub uri: &'a [u8],
    /// The body, which counts for `auth-int`.
    pub body: &'a [u8],
}

struct DigestInput<'a> {
    algorithm: Algorithm,
    quality: Quality,
    realm: &'a [u8],
    nonce: &'a [u8],
    nc: &'a [u8],
    cnonce: &'a [u8],
}

impl DigestInput<'_> {
    /// RFC 7616 section 3.4.1 to 3.4.3.
    fn response(&self, credentials: &Credentials, request: &Request<'_>) -> String {
        let hash = |parts: &[&[u8]]| self.algorithm.hash(parts);
        let secret = hash(&[
            credentials.username.as_bytes(),
            self.realm,
            credentials.password.as_bytes(),
        ]);
        let secret = if self.algorithm.session {
            hash(&[secret.as_bytes(), self.nonce, self.cnonce])
        } else {
            secret
        };
        let asked = match self.quality {
            Quality::AuthInt => {
                let body = hash(&[request.body]);
                hash(&[request.method, request.uri, body.as_bytes()])
            }
            Quality::Plain | Quality::Auth => hash(&[request.method, request.uri]),
        };
        let quality: &[u8] = match self.quality {
            Quality::Plain => return hash(&[secret.as_bytes(), self.nonce, asked.as_bytes()]),
            Quality::Auth => b"auth",
            Quality::AuthInt => b"auth-int",
        };
        hash(&[
            secret.as_bytes(),
            self.nonce,
            self.nc,
            self.cnonce,
            quality,
            asked.as_bytes(),
        ])
    }
}

/// What somebody answered to a challenge of ours, not yet believed.
pub struct Answer {
    fields: Fields,
}

impl Answer {
    /// The answers of a request that are for this realm. `values` are the whole header lines.
    pub fn find<'a>(values: impl Iterator<Item = &'a [u8]>, realm: &str) -> Option<Self> {
        values
            .flat_map(challenges)
            .find(|fields| fields.get("realm").as_deref() == Some(realm.as_bytes()))
            .map(|fields| Self { fields })
    }

    /// The nonce that it answers.
    pub fn nonce(&self) -> Vec<u8> {
        self.fields.get("nonce").unwrap_or_default()
    }

    /// The URI that it was made for.
    pub fn uri(&self) -> Vec<u8> {
        self.fields.get("uri").unwrap_or_default()
    }

    /// How often it says the nonce has been used; none where that is missing or not eight digits.
    pub fn count(&self) -> Option<u32> {
        let text = self.fields.get("nc").filter(|nc| nc.len() == 8)?;
        text.iter().try_fold(0u32, |value, byte| {
            let digit = char::from(*byte).to_digit(16)?;
            Some(value << 4 | digit)
        })
    }

    /// Whether it proves that the sender knows the secret. Only what [`challenge`] offers is taken:
    /// MD5 or SHA-256 with `qop=auth`. The URI counts as it stands in the answer, since proxies rewrite the
    /// one that is asked for: whether it fits is for whoever asks ([`Answer::uri`]).
    pub fn is_right(&self, credentials: &Credentials, realm: &str, method: &[u8]) -> bool {
        let algorithm = match self.fields.get("algorithm") {
            None => Some(Algorithm::MD5),
            Some(name) => Algorithm::parse(&name),
        };
        let Some(algorithm) = algorithm
            .filter(|known| !known.session && matches!(known.hash, Hash::Md5 | Hash::Sha256))
        else {
            return false;
        };
        let field = |name| self.fields.get(name).unwrap_or_default();
        let is_auth = field("qop").eq_ignore_ascii_case(b"auth");
        if !is_auth || field("username") != credentials.username.as_bytes() {
            return false;
        }
        let (nonce, nc, cnonce, uri) = (field("nonce"), field("nc"), field("cnonce"), field("uri"));
        let input = DigestInput {
            algorithm,
            quality: Quality::Auth,
            realm: realm.as_bytes(),
            nonce: &nonce,
            nc: &nc,
            cnonce: &cnonce,
        };
        let request = Request {
            method,
            uri: &uri,
            body: &[],
        };
        let right = input.response(credentials, &request);
        let said = field("response").to_ascii_lowercase();
        // Every byte is looked at, so that the time tells nothing.
        right.len() == said.len() && right.bytes().zip(said).fold(0, |all, (a, b)| all | a ^ b) == 0
    }
}

/// The values of our own challenges, the better first (RFC 8760 section 2.4).
pub fn challenge(realm: &str, nonce: &str, stale: bool) -> [String; 2] {
    let stale = if stale { ", stale=true" } else { "" };
    ["SHA-256", "MD5"].map(|algorithm| {
        let mut value = b"Digest realm=".to_vec();
        put_quoted(&mut value, realm.as_bytes());
        let head = String::from_utf8_lossy(&value);
        format!("{head}, nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\"{stale}")
    })
}

/// The fields of one challenge or answer, values without quotes and escapes.
struct Fields(Vec<(Vec<u8>, Vec<u8>)>);

impl Fields {
    fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.0
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value.clone())
    }
}

/// The `Digest` challenges in one header line. RFC 3261 wants one a line; several are read too.
fn challenges(value: &[u8]) -> Vec<Fields> {
    let mut found: Vec<(bool, Fields)> = Vec::new();
    for part in text::list(value) {
        let equals = part.iter().position(|&byte| byte == b'=');
        let head = &part[..equals.unwrap_or(part.len())];
        // `Digest realm` before the equals sign: a scheme begins.
        let field = match text::trim(head)
            .iter()
            .position(|&byte| text::is_space(byte))
        {
            Some(gap) => {
                let is_digest = head[..gap].eq_ignore_ascii_case(b"Digest");
                found.push((is_digest, Fields(Vec::new())));
                text::trim(&part[gap..])
            }
            None => part,
        };
        let (Some((_, fields)), Some(equals)) = (
            found.last_mut(),
            field.iter().position(|&byte| byte == b'='),
        ) else {
            continue;
        };
        let value = unquoted(text::trim(&field[equals + 1..]));
        if value.len() <= VALUE_BYTES_MAX {
            let name = text::trim(&field[..equals]).to_vec();
            fields.0.push((name, value));
        }
    }
    found
        .into_iter()
        .filter(|(is_digest, _)| *is_digest)
        .map(|(_, fields)| fields)
        .collect()
}

/// The value of a token or a quoted string, its escapes undone (RFC 3261 section 25.1).
fn unquoted(value: &[u8]) -> Vec<u8> {
    let [b'"', inner @ .., b'"'] = value else {
        return value.to_vec();
    };
    let mut plain = Vec::with_capacity(inner.len());
    let mut escaped = false;
    for &byte in inner {
        if byte == b'\\' && !escaped {
            escaped = true;
        } else {
            escaped = false;
            plain.push(byte);
        }
    }
    plain
}

fn put_quoted(value: &mut Vec<u8>, text: &[u8]) {
    value.push(b'"');
    for &byte in text {
        if matches!(byte, b'"' | b'\\') {
            value.push(b'\\');
        }
        value.push(byte);
    }
    value.push(b'"');
}

#[cfg(test)]
mod tests;
