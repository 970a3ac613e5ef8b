//! Ids, secrets and tokens that are made here, from the system's random bytes.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD;
use maskline_domain::TokenHash;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Without characters that are taken for one another.
const ALPHABET: &[u8; 56] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789";

/// Letters after the prefix of an AccessKeyId: 116 bits.
const KEY_ID_LETTERS: usize = 20;
/// Letters of a secret and of a token: 185 bits.
const SECRET_LETTERS: usize = 32;

/// A new AccessKeyId.
///
/// # Errors
/// When the system gives no random bytes.
pub fn new_key_id() -> Result<String, getrandom::Error> {
    Ok(format!("MK{}", letters(KEY_ID_LETTERS)?))
}

/// A new AccessKey secret.
///
/// # Errors
/// When the system gives no random bytes.
pub fn new_secret() -> Result<String, getrandom::Error> {
    letters(SECRET_LETTERS)
}

/// What the token of an operator begins with, so that one that lies about is recognized.
const OPERATOR_TOKEN: &str = "mlop_";

/// A new token of an operator: 256 random bits, in base64 for URLs.
///
/// # Errors
/// When the system gives no random bytes.
pub fn new_operator_token() -> Result<Zeroizing<String>, getrandom::Error> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut_slice())?;
    let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()));
    Ok(Zeroizing::new(format!("{OPERATOR_TOKEN}{}", *text)))
}

/// What is kept of a token.
pub fn hash_of(token: &str) -> TokenHash {
    TokenHash(Sha256::digest(token).into())
}

/// Whether a secret brought from elsewhere will do: 16 to 128 printable ASCII characters.
pub fn is_acceptable_secret(text: &str) -> bool {
    (16..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// The token of the admin API.
pub struct AdminToken(Zeroizing<String>);

impl AdminToken {
    /// Reads the token from its file; makes both when there is none.
    ///
    /// # Errors
    /// When the file can be neither read nor made, or holds no token.
    pub fn read_or_make(file: &Path) -> std::io::Result<Self> {
        match fs::read_to_string(file) {
            Ok(text) if text.trim().is_empty() => {
                Err(std::io::Error::other("the token file is empty"))
            }
            Ok(text) => Ok(Self(Zeroizing::new(text.trim().to_owned()))),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let token = letters(SECRET_LETTERS)
                    .map_err(|error| std::io::Error::other(error.to_string()))?;
                let token = Zeroizing::new(token);
                write_private(file, format!("{}\n", *token).as_bytes())?;
                Ok(Self(token))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a text is the token, compared in a time that does not depend on where it differs.
    pub fn is(&self, text: &str) -> bool {
        self.0.as_bytes().ct_eq(text.as_bytes()).into()
    }

    /// The token itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Writes a file for its owner alone, whole or not at all: a new file takes the place of an old one.
///
/// # Errors
/// Those of the file system.
pub fn write_private(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = file.as_os_str().to_owned();
    name.push(".new");
    let new = Path::new(&name);
    let _ = fs::remove_file(new);
    let mut opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(new)?;
    opened.write_all(bytes)?;
    opened.sync_all()?;
    fs::rename(new, file)?;
    let parent = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    fs::File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// Random letters of [`ALPHABET`], each equally likely.
fn letters(count: usize) -> Result<String, getrandom::Error> {
    // The largest multiple of the alphabet's size that fits a byte; bytes above it are drawn again.
    const LIMIT: u8 = (256 / ALPHABET.len() * ALPHABET.len()) as u8;
    let mut text = String::with_capacity(count);
    let mut bytes = Zeroizing::new([0; 64]);
    while text.len() < count {
        getrandom::fill(bytes.as_mut_slice())?;
        let usable = bytes.iter().filter(|byte| **byte < LIMIT);
        let drawn = usable.map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]));
        text.extend(drawn.take(count - text.len()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn ids_and_secrets_differ_and_fit_their_rules() {
        let made = || new_key_id().expect("the system gives random bytes");
        let (one, other) = (made(), made());
        assert_ne!(one, other);
        assert!(maskline_domain::account::is_name(&one));
        let secret = new_secret().expect("the system gives random bytes");
        assert!(is_acceptable_secret(&secret));
        assert!(
            !is_acceptable_secret("short") && !is_acceptable_secret("sixteen letters with blanks")
        );
    }

    #[test]
    fn the_token_of_an_operator_has_256_bits_and_is_known_by_its_hash() {
        let made = || new_operator_token().expect("the system gives random bytes");
        let (one, other) = (made(), made());
        let bits = one.strip_prefix(OPERATOR_TOKEN).expect("its beginning");
        let bytes = URL_SAFE_NO_PAD.decode(bits).expect("base64");
        assert_eq!(bytes.len(), 32);
        assert!(hash_of(&one) == hash_of(&one) && hash_of(&one) != hash_of(&other));
        assert!(!format!("{:?}", hash_of(&one)).contains(char::is_numeric));
    }

    #[test]
    fn the_token_is_made_once_for_its_owner_alone() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("admin.token");
        let first = AdminToken::read_or_make(&file).expect("made");
        let second = AdminToken::read_or_make(&file).expect("read");
        assert!(second.is(first.expose()));
        assert!(!second.is("") && !second.is(&first.expose()[1..]));
        let mode = fs::metadata(&file).expect("it is there").mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(&file, "\n").expect("written");
        assert!(AdminToken::read_or_make(&file).is_err());
    }
}
