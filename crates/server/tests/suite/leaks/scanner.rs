//! Finds a secret in bytes, however it is disguised.
//!
//! The bytes are looked at in four [`View`]s, in which most disguises fall away; what is left of them is a
//! list of needles for each secret. `tests/leaks/disguises.json` holds an example of every disguise, made
//! by other means, and what must not be taken for one; the scanner of the tests from outside reads it too.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

/// Something that one side must not learn of the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// A telephone number in its national form.
    Number(String),
    /// What somebody is called.
    Name(String),
    /// Where somebody is.
    Address(IpAddr),
    /// A word that names a call, a leg, a user or a machine: Call-ID, tag, CNAME, a parameter of a URI.
    Token(String),
    /// The name of a stream.
    Ssrc(u32),
}

/// How the bytes are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum View {
    /// As they are.
    Raw,
    /// Without spaces and line breaks.
    Unwrapped,
    /// In lower case, with what is escaped made plain: `%41`, `\u0041`, `&#65;`, full-width digits, and
    /// the zeros of UTF-16 and UTF-32 left out.
    Plain,
    /// The same without what people put between digits and words.
    Tight,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Needle {
    view: View,
    bytes: Vec<u8>,
    /// Whether a digit before or behind makes it something else.
    whole: bool,
    how: String,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub secret: Secret,
    pub how: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({})", self.secret, self.how)
    }
}

/// Looks for a set of secrets.
pub struct Scanner {
    needles: Vec<(Secret, BTreeSet<Needle>)>,
}

impl Scanner {
    pub fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let with_needles = |secret: Secret| (secret.clone(), needles(&secret));
        Self {
            needles: secrets.into_iter().map(with_needles).collect(),
        }
    }

    /// The secrets that are in these bytes, each once.
    pub fn scan(&self, bytes: &[u8]) -> Vec<Finding> {
        let plain = plain(bytes);
        let views = [
            (View::Unwrapped, unwrapped(bytes)),
            (View::Tight, tight(&plain)),
            (View::Plain, plain),
            (View::Raw, bytes.to_vec()),
        ];
        let seen = |needle: &Needle| {
            let view = views.iter().find(|(view, _)| *view == needle.view);
            view.is_some_and(|(_, bytes)| holds(bytes, &needle.bytes, needle.whole))
        };
        let find = |(secret, needles): &(Secret, BTreeSet<Needle>)| {
            let needle = needles.iter().find(|needle| seen(needle))?;
            Some(Finding {
                secret: secret.clone(),
                how: needle.how.clone(),
            })
        };
        self.needles.iter().filter_map(find).collect()
    }
}

fn holds(bytes: &[u8], needle: &[u8], whole: bool) -> bool {
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    bytes
        .windows(needle.len())
        .enumerate()
        .filter(|(_, window)| *window == needle)
        .any(|(at, _)| {
            let before = at.checked_sub(1).and_then(|before| bytes.get(before));
            !whole || !(is_digit(before) || is_digit(bytes.get(at + needle.len())))
        })
}

// The views.

fn unwrapped(bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect()
}

fn plain(bytes: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
    // What is escaped may have been escaped before.
    for _ in 0..2 {
        bytes = unescaped(&bytes);
    }
    bytes.make_ascii_lowercase();
    bytes
}

fn unescaped(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        let (byte, length) = escape(rest).unwrap_or((*first, 1));
        out.push(byte);
        rest = after.get(length - 1..).unwrap_or_default();
    }
    out
}

/// The byte that an escape at the beginning stands for, and how long the escape is.
fn escape(bytes: &[u8]) -> Option<(u8, usize)> {
    let read = |digits: &[u8], radix| {
        let text = std::str::from_utf8(digits).ok()?;
        u8::from_str_radix(text, radix).ok()
    };
    match bytes {
        [b'%', high, low, ..] => Some((read(&[*high, *low], 16)?, 3)),
        [b'\\', b'u', b'0', b'0', high, low, ..] => Some((read(&[*high, *low], 16)?, 6)),
        [b'&', b'#', digits @ ..] => {
            let length = digits.iter().take(3).take_while(|d| d.is_ascii_digit());
            let length = length.count();
            let ends = digits.get(length) == Some(&b';');
            Some((ends.then(|| read(&digits[..length], 10))??, length + 3))
        }
        [0xef, 0xbc, digit @ 0x90..=0x99, ..] => Some((digit - 0x90 + b'0', 3)),
        [0xc2, 0xa0, ..] => Some((b' ', 2)),
        _ => None,
    }
}

fn tight(plain: &[u8]) -> Vec<u8> {
    plain
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace() && !b"-.()/:_+".contains(byte))
        .collect()
}

// The needles.

fn needles(secret: &Secret) -> BTreeSet<Needle> {
    let mut needles = Needles::default();
    match secret {
        Secret::Number(number) => needles.number(number),
        Secret::Name(name) => needles.name(name),
        Secret::Address(address) => needles.address(*address),
        Secret::Token(token) => {
            needles.add(View::Plain, token.to_ascii_lowercase(), "as it is");
            needles.encoded(token);
            needles.hashed(token);
        }
        Secret::Ssrc(ssrc) => {
            needles.add(View::Raw, ssrc.to_be_bytes(), "raw");
            needles.add(View::Raw, ssrc.to_le_bytes(), "raw, little end first");
            needles.add(View::Tight, format!("{ssrc:08x}"), "hex");
            needles.add_whole(ssrc.to_string(), "as a number");
        }
    }
    needles.0
}

#[derive(Default)]
struct Needles(BTreeSet<Needle>);

impl Needles {
    fn add(&mut self, view: View, bytes: impl AsRef<[u8]>, how: impl Into<String>) {
        self.0.insert(Needle {
            view,
            bytes: bytes.as_ref().to_vec(),
            whole: false,
            how: how.into(),
        });
    }

    fn add_whole(&mut self, text: impl AsRef<[u8]>, how: &str) {
        self.0.insert(Needle {
            view: View::Plain,
            bytes: text.as_ref().to_vec(),
            whole: true,
            how: how.to_owned(),
        });
    }

    fn number(&mut self, number: &str) {
        // Prefixes come and go, with them the 0 of an area code.
        let core = number.strip_prefix('0').unwrap_or(number);
        self.add(View::Tight, core, "digits");
        let backwards: String = core.chars().rev().collect();
        self.add(View::Tight, backwards, "backwards");
        if let Some(tail) = core.len().checked_sub(8).filter(|at| *at > 0) {
            self.add_whole(&core[tail..], "its last eight digits");
        }
        self.packed(core);
        let hyphened = |by: &str| {
            let (head, middle, tail) = (
                &core[..3],
                &core[3..core.len() - 4],
                &core[core.len() - 4..],
            );
            [head, middle, tail].join(by)
        };
        for form in [core.to_owned(), hyphened("-"), hyphened(" ")] {
            self.encoded(&form);
        }
        for prefix in ["", "0", "86", "+86", "0086"] {
            self.hashed(&format!("{prefix}{core}"));
        }
        self.hashed(number);
    }

    /// Two digits in a byte: in their order, or as telephone signalling does, the second one first (3GPP
    /// TS 24.008 section 10.5.4.7). What stands before the number shifts it by a digit or not.
    fn packed(&mut self, core: &str) {
        for shift in 0..2 {
            let digits: Vec<u8> = core.bytes().skip(shift).map(|digit| digit - b'0').collect();
            let pairs = |swapped: bool| -> Vec<u8> {
                let pair = |pair: &[u8]| match swapped {
                    true => pair[1] << 4 | pair[0],
                    false => pair[0] << 4 | pair[1],
                };
                digits.chunks_exact(2).map(pair).collect()
            };
            self.add(View::Raw, pairs(true), "telephone digits");
            self.add(
                View::Tight,
                hex::encode(pairs(true)),
                "telephone digits, hex",
            );
            self.add(View::Raw, pairs(false), "packed digits");
        }
    }

    fn name(&mut self, name: &str) {
        let tight = tight(&plain(name.as_bytes()));
        self.add(View::Tight, tight, "as it is");
        if !name.is_ascii() {
            let units: Vec<u16> = name.encode_utf16().collect();
            let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
            let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
            self.add(View::Raw, big, "UTF-16");
            self.add(View::Raw, little, "UTF-16");
        }
        if let Some((_, gbk)) = GBK.iter().find(|(known, _)| *known == name) {
            self.add(View::Raw, gbk, "GBK");
        }
        self.encoded(name);
        self.hashed(name);
    }

    fn address(&mut self, address: IpAddr) {
        let text = address.to_string();
        self.add_whole(&text, "as it is");
        self.encoded(&text);
        self.hashed(&text);
        if let IpAddr::V4(address) = address {
            let bytes = address.octets();
            self.add_whole(text.replace('.', "-"), "with hyphens");
            self.add_whole(text.replace('.', "_"), "with underscores");
            let [a, b, c, d] = bytes;
            self.add_whole(format!("{d}.{c}.{b}.{a}"), "in reverse");
            self.add_whole(u32::from(address).to_string(), "as one number");
            self.add(View::Tight, hex::encode(bytes), "hex");
            self.add(View::Raw, bytes, "raw");
        }
    }

    /// Base64, whatever stands before it, and hex.
    fn encoded(&mut self, text: &str) {
        for before in 0..3 {
            let padded = [vec![0; before], text.as_bytes().to_vec()].concat();
            let encoded = STANDARD.encode(&padded);
            // Only those characters that hold nothing of what stands before and behind.
            let (begin, end) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
            self.base64(&encoded[begin..end], "Base64");
        }
        self.add(View::Tight, hex::encode(text), "hex");
    }

    /// Its first eight bytes give a hash away, and nothing else has them.
    fn hashed(&mut self, text: &str) {
        let hashes = [
            ("MD5", Md5::digest(text).to_vec()),
            ("SHA-1", Sha1::digest(text).to_vec()),
            ("SHA-256", Sha256::digest(text).to_vec()),
        ];
        for (name, hash) in hashes {
            let first = &hash[..8];
            self.add(View::Raw, first, format!("{name}, raw"));
            self.add(View::Tight, hex::encode(first), format!("{name}, hex"));
            let encoded = STANDARD.encode(first);
            self.base64(&encoded[..10], &format!("{name}, Base64"));
        }
    }

    fn base64(&mut self, encoded: &str, how: &str) {
        self.add(View::Unwrapped, encoded, how);
        let for_urls = encoded.replace('+', "-").replace('/', "_");
        self.add(View::Unwrapped, for_urls, how);
    }
}

/// Names that the tests use, in the encoding of older Chinese exchanges.
const GBK: &[(&str, &[u8])] = &[("王秘密", b"\xcd\xf5\xc3\xd8\xc3\xdc")];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn examples() -> Value {
        let text = include_str!("../../../../../tests/leaks/disguises.json");
        serde_json::from_str(text).expect("the examples are JSON")
    }

    fn rows<'a>(examples: &'a Value, what: &str) -> &'a [Value] {
        examples[what].as_array().expect("a list")
    }

    fn secret(kind: &str, text: &str) -> Secret {
        match kind {
            "number" => Secret::Number(text.into()),
            "name" => Secret::Name(text.into()),
            "address" => Secret::Address(text.parse().expect("an address")),
            "token" => Secret::Token(text.into()),
            "ssrc" => Secret::Ssrc(text.parse().expect("a number")),
            other => panic!("{other} is no kind of secret"),
        }
    }

    fn all_secrets(examples: &Value) -> Vec<Secret> {
        let mut secrets = Vec::new();
        for row in rows(examples, "found") {
            let text = |name: &str| row[name].as_str().expect("a text");
            let secret = secret(text("kind"), text("secret"));
            if !secrets.contains(&secret) {
                secrets.push(secret);
            }
        }
        secrets
    }

    #[test]
    fn every_disguise_is_seen_through() {
        let examples = examples();
        let scanner = Scanner::new(all_secrets(&examples));
        for row in rows(&examples, "found") {
            let text = |name: &str| row[name].as_str();
            let bytes = match text("hex") {
                Some(hex) => hex::decode(hex).expect("hex"),
                None => text("text").expect("a text").into(),
            };
            let wanted = secret(text("kind").expect("a kind"), text("secret").expect("one"));
            let found: Vec<Secret> = scanner
                .scan(&bytes)
                .into_iter()
                .map(|finding| finding.secret)
                .collect();
            assert_eq!(found, [wanted], "{}", row["how"]);
        }
    }

    #[test]
    fn what_is_no_disguise_is_let_pass() {
        let examples = examples();
        let scanner = Scanner::new(all_secrets(&examples));
        for text in rows(&examples, "innocent") {
            let text = text.as_str().expect("a text");
            assert_eq!(scanner.scan(text.as_bytes()), [], "{text}");
        }
    }
}
