//! The program as a child process, and requests to it, for benchmarks that measure it from outside.

use std::error::Error;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use time::OffsetDateTime;
use time::macros::format_description;

pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

pub fn setting(name: &str, default: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// A command without the variables of this benchmark, which the program would
/// take for settings of its own.
pub fn bare(program: PathBuf) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MASKLINE_") {
            command.env_remove(name);
        }
    }
    command
}

/// The release binary; `MASKLINE_BIN` names another one.
pub fn binary() -> PathBuf {
    std::env::var_os("MASKLINE_BIN").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/release/maskline"),
        PathBuf::from,
    )
}

/// The program, ready, on ports that it chose.
pub struct Program {
    pub child: Child,
    /// What it said when it was ready: the addresses that it serves.
    pub ready: serde_json::Value,
}

impl Program {
    /// Starts it on a data directory, with demo data if there are none.
    pub fn start(config: &Path, data: &Path) -> Outcome<Self> {
        let mut child = bare(binary())
            .args(["serve", "--demo", "--ready-json", "--config"])
            .arg(config)
            .arg("--data")
            .arg(data)
            .args(["--api", "127.0.0.1:0", "--https", "127.0.0.1:0"])
            .args(["--admin", "127.0.0.1:0", "--sip", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().ok_or("no standard output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let ready = serde_json::from_str(&line)?;
        Ok(Self { child, ready })
    }

    /// An address that it serves, such as `api`.
    pub fn address(&self, of: &str) -> String {
        text(&self.ready[of])
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The benchmark is over either way; there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn text(value: &serde_json::Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// An RPC 1.0 request of an action. Values are encoded by the caller as they stand in a query.
pub fn signed(
    host: &str,
    (key_id, key_secret): (&str, &str),
    action: &str,
    parameters: &[(&str, &str)],
    nonce: &str,
) -> Outcome<String> {
    let format = format_description!("[year]-[month]-[day]T[hour]%3A[minute]%3A[second]Z");
    let timestamp = OffsetDateTime::now_utc().format(&format)?;
    let mut pairs = vec![
        ("AccessKeyId", key_id),
        ("Action", action),
        ("Format", "JSON"),
        ("SignatureMethod", "HMAC-SHA1"),
        ("SignatureNonce", nonce),
        ("SignatureVersion", "1.0"),
        ("Timestamp", &timestamp),
        ("Version", "2017-05-25"),
    ];
    pairs.extend_from_slice(parameters);
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let query = pairs.join("&");
    let encoded = query
        .replace('%', "%25")
        .replace('&', "%26")
        .replace('=', "%3D");
    let mut mac = Hmac::<Sha1>::new_from_slice(format!("{key_secret}&").as_bytes())?;
    mac.update(format!("POST&%2F&{encoded}").as_bytes());
    let signature = base64::engine::general_purpose::STANDARD
        .encode(mac.finalize().into_bytes())
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D");
    Ok(format!(
        "POST /?{query}&Signature={signature} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"
    ))
}

/// The body of the next answer. `buffer` must hold the whole answer, and is made larger where it does not.
pub fn read_answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Outcome<String> {
    let mut filled = 0;
    let mut wanted = None;
    loop {
        if filled == buffer.len() {
            buffer.resize(2 * filled, 0);
        }
        let count = stream.read(&mut buffer[filled..])?;
        if count == 0 {
            return Err("the server closed the connection".into());
        }
        filled += count;
        if wanted.is_none() {
            wanted = whole(&buffer[..filled])?;
        }
        if let Some((head, all)) = wanted
            && filled >= all
        {
            return Ok(String::from_utf8_lossy(&buffer[head..all]).into_owned());
        }
    }
}

/// How long the head of an answer is, and how long all of it; `None` while the head is not there yet.
fn whole(answer: &[u8]) -> Outcome<Option<(usize, usize)>> {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let length = String::from_utf8_lossy(&answer[..head])
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())
        .ok_or("an answer without its length")?;
    Ok(Some((head + 4, head + 4 + length)))
}
