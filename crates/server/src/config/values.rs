//! The kinds of value a setting can have, each parsed once, with a reason when it is wrong.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// A host and a port to listen on, `HOST:PORT`; an IPv6 address stands in brackets. Port 0 asks the
/// system for a free one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ListenAddress {
    host: String,
    port: u16,
}

impl ListenAddress {
    /// The host as written, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port as written; 0 means a free one.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("`{text}` is not HOST:PORT: {why}");
        let (host, port) = text
            .rsplit_once(':')
            .ok_or_else(|| wrong("the colon is missing"))?;
        let host = match host.strip_prefix('[') {
            Some(rest) => {
                let inner = rest
                    .strip_suffix(']')
                    .ok_or_else(|| wrong("the bracket is not closed"))?;
                if inner.parse::<std::net::Ipv6Addr>().is_err() {
                    return Err(wrong("only an IPv6 address stands in brackets"));
                }
                inner
            }
            None if host.contains(':') => {
                return Err(wrong("an IPv6 address needs brackets, as in [::1]:8080"));
            }
            None => host,
        };
        if host.is_empty() {
            return Err(wrong("the host is missing; 0.0.0.0 means every address"));
        }
        if host.chars().any(|c| c.is_whitespace() || c == '/') {
            return Err(wrong("the host has a space or a slash in it"));
        }
        let port = port
            .parse::<u16>()
            .map_err(|_| wrong("the port is not a number from 0 to 65535"))?;
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A range of UDP ports for media, `FIRST-LAST`, both included. RTP takes the even ports and RTCP
/// the odd one above it (RFC 3550 section 11), so the range starts even and ends odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// The first port, even.
    pub fn first(self) -> u16 {
        self.first
    }

    /// The last port, odd.
    pub fn last(self) -> u16 {
        self.last
    }

    /// How many pairs of RTP and RTCP ports there are.
    pub fn pairs(self) -> u16 {
        (self.last - self.first).div_ceil(2)
    }
}

impl FromStr for PortRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("`{text}` is not FIRST-LAST: {why}");
        let (first, last) = text
            .split_once('-')
            .ok_or_else(|| wrong("the dash is missing"))?;
        let port = |part: &str| {
            part.trim()
                .parse::<u16>()
                .map_err(|_| wrong("a port is a number from 0 to 65535"))
        };
        let (first, last) = (port(first)?, port(last)?);
        if first < 1024 {
            return Err(wrong("ports below 1024 belong to the system"));
        }
        if first >= last {
            return Err(wrong("the last port must be above the first"));
        }
        if first % 2 != 0 || last % 2 != 1 {
            return Err(wrong(
                "the range starts with an even port and ends with an odd one",
            ));
        }
        Ok(Self { first, last })
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// The language of messages to customers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// As the vendor's own.
    Chinese,
    /// For everybody else.
    English,
}

/// Who is told that a call is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordingNotice {
    /// Nobody; then the operator tells people otherwise.
    None,
    /// The caller, once the callee has answered.
    Caller,
    /// Both, at the same moment.
    Both,
}

/// What is logged: a level (`error`, `warn`, `info`, `debug`, `trace`, `off`), or levels by module,
/// as in `info,maskline_server::jobs=debug`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LogFilter(String);

impl LogFilter {
    /// The filter as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LogFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The library takes any single word for a module's name, so `inof` would silence the log.
        let plain = !text.contains(['=', ',', '[']);
        let level = text.parse::<tracing_subscriber::filter::LevelFilter>();
        if text.is_empty() || (plain && (level.is_err() || text.parse::<u8>().is_ok())) {
            return Err(format!(
                "`{text}` is not a log level: off, error, warn, info, debug or trace, \
                 or levels by module as in `info,maskline_server::jobs=debug`"
            ));
        }
        tracing_subscriber::EnvFilter::builder()
            .parse(text)
            .map_err(|error| format!("`{text}` is not a log filter: {error}"))?;
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A network, as `192.0.2.0/24` or `2001:db8::/32`; an address alone is a network of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network(IpNet);

impl Network {
    /// The network.
    pub fn get(self) -> IpNet {
        self.0
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let alone = text.parse().ok().map(|address: IpAddr| address.into());
        alone
            .or_else(|| text.parse().ok())
            .map(|network: IpNet| Self(network.trunc()))
            .ok_or_else(|| {
                format!("`{text}` is neither an address nor a network such as 192.0.2.0/24")
            })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A setting that can be off. Off is written as the empty text or as the word `off`, so that every layer
/// can say it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[serde(bound(
    serialize = "T: Clone + fmt::Display",
    deserialize = "T: FromStr, T::Err: fmt::Display"
))]
pub struct OffOr<T>(Option<T>);

impl<T> OffOr<T> {
    /// Not set.
    pub const OFF: Self = Self(None);

    /// Set.
    pub fn on(value: T) -> Self {
        Self(Some(value))
    }

    /// The value, when there is one.
    pub fn get(&self) -> Option<&T> {
        self.0.as_ref()
    }

    /// Whether there is a value.
    pub fn is_set(&self) -> bool {
        self.0.is_some()
    }
}

impl<T> TryFrom<String> for OffOr<T>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() || text == "off" {
            return Ok(Self(None));
        }
        text.parse()
            .map(|value| Self(Some(value)))
            .map_err(|error: T::Err| error.to_string())
    }
}

impl<T: fmt::Display> From<OffOr<T>> for String {
    fn from(value: OffOr<T>) -> Self {
        value.0.map_or_else(String::new, |value| value.to_string())
    }
}

/// The two conversions serde's `try_from` and `into` want, by way of [`FromStr`] and `Display`.
macro_rules! as_text {
    ($($kind:ty),*) => {$(
        impl TryFrom<String> for $kind {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$kind> for String {
            fn from(value: $kind) -> Self {
                value.to_string()
            }
        }
    )*};
}

as_text!(ListenAddress, PortRange, LogFilter, Network);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_addresses_are_read_and_written_back() {
        for text in ["127.0.0.1:8080", "[::1]:0", "localhost:65535", "0.0.0.0:1"] {
            let address: ListenAddress = text.parse().expect("valid");
            assert_eq!(address.to_string(), text);
        }
        assert_eq!("[::1]:5".parse::<ListenAddress>().unwrap().host(), "::1");
    }

    #[test]
    fn wrong_listen_addresses_say_why() {
        for (text, why) in [
            ("8080", "colon is missing"),
            (":8080", "host is missing"),
            ("::1:8080", "needs brackets"),
            ("[::1:8080", "bracket is not closed"),
            ("[localhost]:1", "only an IPv6"),
            ("host:70000", "0 to 65535"),
            ("http://host:80", "brackets"),
            ("a b:1", "space"),
        ] {
            let error = text.parse::<ListenAddress>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn port_ranges_hold_whole_pairs() {
        let range: PortRange = "20000-29999".parse().unwrap();
        assert_eq!(
            (range.first(), range.last(), range.pairs()),
            (20000, 29999, 5000)
        );
        for text in [
            "20000",
            "20001-20004",
            "20000-20000",
            "20000-20002",
            "80-99",
            "1-x",
        ] {
            assert!(text.parse::<PortRange>().is_err(), "{text}");
        }
    }

    #[test]
    fn networks_are_read_with_or_without_a_length() {
        for (text, shown) in [
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("192.0.2.77/24", "192.0.2.0/24"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::1", "::1/128"),
        ] {
            assert_eq!(text.parse::<Network>().expect("valid").to_string(), shown);
        }
        for text in [
            "",
            "192.0.2",
            "192.0.2.0/33",
            "proxy.example",
            "192.0.2.1:80",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_misspelt_log_level_is_refused() {
        for text in [
            "info",
            "WARN",
            "off",
            "info,maskline_server=debug",
            "a::b=trace",
        ] {
            assert!(text.parse::<LogFilter>().is_ok(), "{text}");
        }
        for text in ["", "inof", "3", "info,a=loud"] {
            assert!(text.parse::<LogFilter>().is_err(), "{text}");
        }
    }
}
