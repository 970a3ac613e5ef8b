//! RPC signature, version 1.0: a `Signature` parameter over all other parameters.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::Sha256;

use super::encode;
use crate::api::params::{Parameter, Parameters};

/// The keyed hash named by `SignatureMethod`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// `HMAC-SHA1`, what every official client of this scheme sends.
    HmacSha1,
    /// `HMAC-SHA256`, allowed by the vendor's page on the RPC style and sent by no official client.
    HmacSha256,
}

impl Algorithm {
    /// Reads a `SignatureMethod`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "HMAC-SHA1" => Some(Self::HmacSha1),
            "HMAC-SHA256" => Some(Self::HmacSha256),
            _ => None,
        }
    }

    /// Length of a signature in Base64 characters.
    #[must_use]
    pub fn signature_length(self) -> usize {
        match self {
            Self::HmacSha1 => 28,
            Self::HmacSha256 => 44,
        }
    }
}

/// The text that is signed: method, encoded `/`, and all pairs but the `Signature` itself, sorted
/// by name and encoded twice.
///
/// `method` is the method of the HTTP request. Equal names are ordered by value, so the text does
/// not depend on where a client put them.
#[must_use]
pub fn string_to_sign(method: &str, parameters: &Parameters) -> String {
    let signature = parameters.find("Signature").map(|pair| pair.name.as_str());
    let mut pairs: Vec<&Parameter> = parameters
        .iter()
        .filter(|pair| Some(pair.name.as_str()) != signature)
        .collect();
    pairs.sort_unstable_by(|a, b| (&a.name, &a.value).cmp(&(&b.name, &b.value)));

    let mut once = String::with_capacity(1024);
    for pair in pairs {
        if !once.is_empty() {
            once.push('&');
        }
        once.extend(encode(&pair.name));
        once.push('=');
        once.extend(encode(&pair.value));
    }
    let mut text = String::with_capacity(once.len() * 3 / 2);
    text.push_str(method);
    text.push_str("&%2F&");
    text.extend(encode(&once));
    text
}

/// The signature of `text` in Base64. The key is the secret followed by `&`.
#[must_use]
pub fn sign(algorithm: Algorithm, secret: &[u8], text: &str) -> String {
    match algorithm {
        Algorithm::HmacSha1 => STANDARD.encode(keyed::<Hmac<Sha1>>(secret, text)),
        Algorithm::HmacSha256 => STANDARD.encode(keyed::<Hmac<Sha256>>(secret, text)),
    }
}

fn keyed<M: Mac + hmac::digest::KeyInit>(secret: &[u8], text: &str) -> impl AsRef<[u8]> + use<M> {
    let key = [secret, b"&"].concat();
    let mut mac = <M as Mac>::new_from_slice(&key).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::params::Bounds;

    const PYTHON_V1: &str = "PoolKey=FC12345&PhoneNoA=15000000000&Expiration=2030-09-05%2012%3A00%3A00&IsRecordingEnabled=False&ExpectCity=%E5%8C%97%E4%BA%AC&OutId=a%20b%2A~%2B%2F%3D%26%27%28%29%21&Version=2017-05-25&Action=BindAxn&Format=JSON&RegionId=cn-hangzhou&Timestamp=2026-11-23T17%3A01%3A36Z&SignatureMethod=HMAC-SHA1&SignatureType=&SignatureVersion=1.0&SignatureNonce=4399b50d18775743c39167173dc111d3&AccessKeyId=testid&Signature=m%2FLU78S6RVvNOuSJiffGV7a3F0c%3D";
    const PYTHON_V1_STRING: &str = "POST&%2F&AccessKeyId%3Dtestid%26Action%3DBindAxn%26ExpectCity%3D%25E5%258C%2597%25E4%25BA%25AC%26Expiration%3D2030-09-05%252012%253A00%253A00%26Format%3DJSON%26IsRecordingEnabled%3DFalse%26OutId%3Da%2520b%252A~%252B%252F%253D%2526%2527%2528%2529%2521%26PhoneNoA%3D15000000000%26PoolKey%3DFC12345%26RegionId%3Dcn-hangzhou%26SignatureMethod%3DHMAC-SHA1%26SignatureNonce%3D4399b50d18775743c39167173dc111d3%26SignatureType%3D%26SignatureVersion%3D1.0%26Timestamp%3D2026-11-23T17%253A01%253A36Z%26Version%3D2017-05-25";
    const PYTHON_V2_OLD: &str = "Action=BindAxn&Format=json&Version=2017-05-25&Timestamp=2026-11-23T17%3A01%3A38Z&SignatureNonce=091871251e8c9ccdff84b33d4f69baee&CallTimeout=10&ExpectCity=%E5%8C%97%E4%BA%AC&Expiration=2030-09-05+12%3A00%3A00&IsRecordingEnabled=False&OutId=a+b%2A~%2B%2F%3D%26%27%28%29%21&PhoneNoA=15000000000&PoolKey=FC12345&SignatureMethod=HMAC-SHA1&SignatureVersion=1.0&AccessKeyId=testid&Signature=W3rLREGe%2FX0qOfUPs63AXGUe50w%3D";
    const POP_CORE_BODY: &str = "AccessKeyId=testid&Action=BindAxn&ExpectCity=%E5%8C%97%E4%BA%AC&Expiration=2030-09-05%2012%3A00%3A00&Format=JSON&IsRecordingEnabled=false&OutId=a%20b%2A~%2B%2F%3D%26%27%28%29%21&PhoneNoA=15000000000&PoolKey=FC12345&RegionId=cn-hangzhou&SignatureMethod=HMAC-SHA1&SignatureNonce=c5333b0e90cfd8034a5b7c79a12d48da&SignatureVersion=1.0&Timestamp=2026-11-23T17%3A02%3A36Z&Version=2017-05-25&Signature=DBO%2BEIGjd3y%2By%2FtHE%2Bxzl8PRWtg%3D";

    fn parse(query: &str, body: &str) -> Parameters {
        Parameters::parse(query.as_bytes(), body.as_bytes(), &Bounds::new(64 * 1024)).unwrap()
    }

    fn signature(parameters: &Parameters) -> String {
        sign(
            Algorithm::HmacSha1,
            b"testsecret",
            &string_to_sign("POST", parameters),
        )
    }

    #[test]
    fn published_string_and_signature_of_python_v1() {
        let parameters = parse(PYTHON_V1, "");
        assert_eq!(string_to_sign("POST", &parameters), PYTHON_V1_STRING);
        assert_eq!(signature(&parameters), "m/LU78S6RVvNOuSJiffGV7a3F0c=");
    }

    #[test]
    fn published_signature_of_python_v2_with_the_old_scheme() {
        let parameters = parse(PYTHON_V2_OLD, "");
        assert_eq!(
            Some(signature(&parameters).as_str()),
            parameters.get("Signature")
        );
    }

    #[test]
    fn published_signature_of_pop_core_in_the_body() {
        let parameters = parse("", POP_CORE_BODY);
        assert_eq!(
            Some(signature(&parameters).as_str()),
            parameters.get("Signature")
        );
    }

    #[test]
    fn order_and_place_of_pairs_do_not_matter() {
        let (query, body) = PYTHON_V1.split_at(PYTHON_V1.find("&Version").unwrap());
        let reversed: Vec<&str> = body.trim_start_matches('&').rsplit('&').collect();
        let parameters = parse(&reversed.join("&"), query);
        assert_eq!(string_to_sign("POST", &parameters), PYTHON_V1_STRING);
    }

    #[test]
    fn every_repeated_pair_is_signed() {
        let one = string_to_sign("GET", &parse("a=2&a=1&b=", ""));
        assert_eq!(one, "GET&%2F&a%3D1%26a%3D2%26b%3D");
        assert_eq!(string_to_sign("GET", &parse("b=&a=1", "a=2")), one);
    }

    /// RFC 4231 test case 2 shifted by our `&` would be a vector of our own, so the hash itself is
    /// checked against a value computed with OpenSSL.
    #[test]
    fn sha256_uses_the_same_text_and_key() {
        assert_eq!(
            sign(Algorithm::HmacSha256, b"testsecret", "GET&%2F&a%3D1"),
            SHA256_BY_OPENSSL
        );
        assert_eq!(
            SHA256_BY_OPENSSL.len(),
            Algorithm::HmacSha256.signature_length()
        );
    }

    const SHA256_BY_OPENSSL: &str = "Glvm7eChwgdyJ6NmuZalryKvUWgdW7CJe8aAQywYsDQ=";
}
