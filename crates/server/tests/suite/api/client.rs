//! A client that signs as the official ones do, and an HTTP connection that sends exactly the bytes
//! it is given.

use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use maskline_server::api::params::{Bounds, Parameters};
use maskline_server::api::signature::{acs3, encode, rpc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Far more than an answer takes, so that only a hang meets it.
const WATCHDOG: Duration = Duration::from_secs(20);

/// An answer as it came.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (own, value) = line.split_once(':')?;
            own.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The `Code` of a JSON or XML body; empty if there is none.
    pub fn code(&self) -> String {
        if self.body.starts_with('<') {
            let (_, rest) = self.body.split_once("<Code>").unwrap_or(("", "</Code>"));
            return rest.split("</Code>").next().unwrap_or("").to_owned();
        }
        serde_json::from_str::<serde_json::Value>(&self.body)
            .ok()
            .and_then(|body| body["Code"].as_str().map(str::to_owned))
            .unwrap_or_default()
    }
}

/// A keep-alive connection, opened again when the server has closed it.
pub struct Connection {
    to: SocketAddr,
    stream: Option<TcpStream>,
}

impl Connection {
    pub fn new(to: SocketAddr) -> Self {
        Self { to, stream: None }
    }

    /// Sends bytes and reads one answer. `None` when the server closes without one.
    pub async fn exchange(&mut self, request: &[u8]) -> Option<Answer> {
        timeout(WATCHDOG, self.try_exchange(request))
            .await
            .expect("the server hangs")
    }

    async fn try_exchange(&mut self, request: &[u8]) -> Option<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => TcpStream::connect(self.to).await.expect("the server is up"),
        };
        // The server may answer and close before all is sent.
        let _ = stream.write_all(request).await;
        let answer = read_answer(&mut stream).await?;
        let closes = answer
            .header("connection")
            .is_some_and(|value| value == "close");
        if !closes {
            self.stream = Some(stream);
        }
        Some(answer)
    }

    /// As [`Connection::exchange`], when no more bytes than these will come.
    pub async fn exchange_and_close(&mut self, request: &[u8]) -> Option<Answer> {
        let mut stream = TcpStream::connect(self.to).await.expect("the server is up");
        let _ = stream.write_all(request).await;
        let _ = stream.shutdown().await;
        timeout(WATCHDOG, read_answer(&mut stream))
            .await
            .expect("the server hangs")
    }
}

async fn read_answer(stream: &mut TcpStream) -> Option<Answer> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if !read_some(stream, &mut bytes).await {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).expect("our heads are ASCII");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|text| text.parse().ok())
        .expect("a status");
    let mut answer = Answer {
        status,
        head,
        body: String::new(),
    };
    let length: usize = answer
        .header("content-length")
        .map_or(0, |length| length.parse().expect("a length"));
    let mut body = bytes.split_off(end);
    while body.len() < length {
        assert!(read_some(stream, &mut body).await, "the answer breaks off");
    }
    answer.body = String::from_utf8(body).expect("our bodies are UTF-8");
    Some(answer)
}

async fn read_some(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> bool {
    let mut some = [0; 8192];
    match stream.read(&mut some).await {
        Ok(0) | Err(_) => false,
        Ok(count) => {
            bytes.extend_from_slice(&some[..count]);
            true
        }
    }
}

/// Pairs in their RFC 3986 form.
pub fn form(pairs: &[(String, String)]) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    pairs.join("&")
}

/// Whose key signs.
#[derive(Debug, Clone)]
pub struct Signer {
    pub id: String,
    pub secret: String,
}

/// A request of the older scheme, open to every change before and after it is signed.
#[derive(Debug, Clone)]
pub struct Rpc {
    pub method: &'static str,
    /// Whether the pairs go into the form body.
    pub in_body: bool,
    pub pairs: Vec<(String, String)>,
}

impl Rpc {
    /// All common parameters and then those of the action.
    pub fn new(signer: &Signer, now: &str, nonce: &str, business: &[(&str, &str)]) -> Self {
        let common = [
            ("Version", "2017-05-25"),
            ("Format", "JSON"),
            ("RegionId", "cn-hangzhou"),
            ("Timestamp", now),
            ("SignatureMethod", "HMAC-SHA1"),
            ("SignatureType", ""),
            ("SignatureVersion", "1.0"),
            ("SignatureNonce", nonce),
            ("AccessKeyId", &signer.id),
        ];
        let pairs = business.iter().chain(&common);
        Self {
            method: "POST",
            in_body: false,
            pairs: pairs
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    pub fn set(&mut self, name: &str, value: &str) {
        match self.pairs.iter_mut().find(|(own, _)| own == name) {
            Some(pair) => pair.1 = value.to_owned(),
            None => self.pairs.push((name.to_owned(), value.to_owned())),
        }
    }

    pub fn remove(&mut self, name: &str) {
        self.pairs.retain(|(own, _)| own != name);
    }

    /// Signs what there is now.
    pub fn sign(&mut self, secret: &str) {
        self.remove("Signature");
        let method = self
            .pairs
            .iter()
            .find(|(name, _)| name == "SignatureMethod");
        let algorithm = match method.map(|(_, value)| value.as_str()) {
            Some("HMAC-SHA256") => rpc::Algorithm::HmacSha256,
            _ => rpc::Algorithm::HmacSha1,
        };
        let bounds = Bounds {
            bytes_max: usize::MAX,
            count_max: usize::MAX,
            name_bytes_max: usize::MAX,
            value_bytes_max: usize::MAX,
        };
        let parameters = Parameters::parse(form(&self.pairs).as_bytes(), b"", &bounds)
            .expect("encoded just now");
        let text = rpc::string_to_sign(self.method, &parameters);
        let signature = rpc::sign(algorithm, secret.as_bytes(), &text);
        self.pairs.push(("Signature".to_owned(), signature));
    }

    pub fn bytes(&self) -> Vec<u8> {
        let form = form(&self.pairs);
        let (query, body) = if self.in_body {
            ("", form.as_str())
        } else {
            (form.as_str(), "")
        };
        self.bytes_of(query, body)
    }

    /// The request with another query and body than its own.
    pub fn bytes_of(&self, query: &str, body: &str) -> Vec<u8> {
        let kind = if self.in_body {
            "Content-Type: application/x-www-form-urlencoded\r\n"
        } else {
            ""
        };
        let mark = if query.is_empty() { "" } else { "?" };
        format!(
            "{} /{mark}{query} HTTP/1.1\r\nHost: 127.0.0.1\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            self.method,
            body.len()
        )
        .into_bytes()
    }
}

/// A request of the newer scheme.
#[derive(Debug, Clone)]
pub struct Acs3 {
    pub method: &'static str,
    pub pairs: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub key: String,
    pub authorization: Option<String>,
}

impl Acs3 {
    pub fn new(
        signer: &Signer,
        now: &str,
        nonce: &str,
        action: &str,
        business: &[(&str, &str)],
    ) -> Self {
        let headers = [
            ("host", "http://127.0.0.1:8080"),
            ("user-agent", "AlibabaCloud (Linux; x86_64) TeaDSL/2"),
            ("x-acs-action", action),
            ("x-acs-version", "2017-05-25"),
            ("x-acs-date", now),
            ("x-acs-signature-nonce", nonce),
            ("accept", "application/json"),
        ];
        let owned = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect()
        };
        Self {
            method: "POST",
            pairs: owned(business),
            headers: owned(&headers),
            body: String::new(),
            key: signer.id.clone(),
            authorization: None,
        }
    }

    pub fn set_header(&mut self, name: &str, value: &str) {
        self.headers.retain(|(own, _)| own != name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// Signs what there is now, with all headers.
    pub fn sign(&mut self, secret: &str) {
        self.sign_but(secret, &[]);
    }

    /// As [`Acs3::sign`], with these headers sent and not signed.
    pub fn sign_but(&mut self, secret: &str, unsigned: &[&str]) {
        let hash = acs3::sha256_hex(self.body.as_bytes());
        self.set_header("x-acs-content-sha256", &hash);
        let mut names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        names.retain(|name| !unsigned.contains(name));
        names.sort_unstable();
        names.dedup();
        let signed = names.join(";");
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
            headers.append(name, HeaderValue::from_str(value).expect("a header value"));
        }
        let query = form(&self.pairs);
        let parameters = Parameters::parse(query.as_bytes(), b"", &Bounds::new(64 * 1024))
            .expect("encoded just now");
        let authorization = acs3::Authorization {
            credential: &self.key,
            signed_headers: &signed,
            signature: "",
        };
        let canonical = acs3::canonical_request(
            self.method,
            "/",
            parameters.of_query(),
            &headers,
            &authorization,
            &hash,
        );
        let signature = acs3::sign(secret.as_bytes(), &acs3::string_to_sign(&canonical));
        self.authorization = Some(format!(
            "ACS3-HMAC-SHA256 Credential={},SignedHeaders={signed},Signature={signature}",
            self.key
        ));
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{} /?{} HTTP/1.1\r\n", self.method, form(&self.pairs));
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(authorization) = &self.authorization {
            text.push_str(&format!("Authorization: {authorization}\r\n"));
        }
        text.push_str(&format!(
            "Content-Length: {}\r\n\r\n{}",
            self.body.len(),
            self.body
        ));
        text.into_bytes()
    }
}
