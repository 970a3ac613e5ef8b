//! The admin API as the command line sees it.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use ureq::http::{Method, Request};
use zeroize::Zeroizing;

use super::{Common, Failure, secret_file};
use crate::admin::document::Document;
use crate::admin::first_token;
use crate::serve::Addresses;

/// Long enough for a large import; connecting fails much earlier.
const TIMEOUT: Duration = Duration::from_secs(600);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest token, in bytes.
const TOKEN_BYTES_MAX: u64 = 4_096;

/// The largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// A running service, and how answers are wanted.
pub struct Client {
    agent: ureq::Agent,
    base: String,
    token: Zeroizing<String>,
    /// Whether it is that of the data directory.
    is_first: bool,
    operator: String,
    /// JSON instead of text.
    pub json: bool,
    /// Whole numbers, with a note in the journal.
    pub reveal: bool,
}

impl Client {
    /// Finds the service: by `--server`, else by what it wrote into its data directory when it
    /// became ready, else by the settings. The token is in `--token-file`, else `MASKLINE_TOKEN`, else in the data
    /// directory.
    pub fn find(common: &Common) -> Result<Self, Failure> {
        let settings = common.load()?.settings;
        let data = Path::new(&settings.data);
        let base = match &common.server {
            Some(server) if server.contains("://") => server.trim_end_matches('/').to_owned(),
            Some(server) => format!("http://{server}"),
            None => {
                let told = Addresses::read(data).map(|addresses| addresses.admin);
                let address = told.unwrap_or_else(|| settings.admin.listen.to_string());
                format!("http://{}", reachable(&address))
            }
        };
        let said = match &common.token_file {
            Some(file) => secret_file::text(Some(file), TOKEN_BYTES_MAX)?,
            None => std::env::var("MASKLINE_TOKEN").ok(),
        };
        let is_first = said.is_none();
        let token = match said {
            Some(token) => Zeroizing::new(token.trim().to_owned()),
            None => {
                let file = data.join(first_token::FILE);
                let text = std::fs::read_to_string(&file).map_err(|error| {
                    Failure::Unreachable(format!(
                        "the admin token {}: {error}; is --data the directory of the service?",
                        file.display()
                    ))
                })?;
                Zeroizing::new(text.trim().to_owned())
            }
        };
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .http_status_as_error(false)
            .proxy(None)
            .build();
        Ok(Self {
            agent: config.into(),
            base,
            token,
            is_first,
            operator: operator(),
            json: common.json,
            reveal: common.reveal,
        })
    }

    /// Asks for something; `path` with its query.
    pub fn get(&self, path: &str) -> Result<Value, Failure> {
        let path = match (self.reveal, path.contains('?')) {
            (false, _) => path.to_owned(),
            (true, false) => format!("{path}?reveal=true"),
            (true, true) => format!("{path}&reveal=true"),
        };
        self.ask(Method::GET, &path, None)
    }

    /// Sends something to be done.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.ask(Method::POST, path, Some(body))
    }

    /// Sends a partial change.
    pub fn patch(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.ask(Method::PATCH, path, Some(body))
    }

    /// Puts something in its place.
    pub fn put(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.ask(Method::PUT, path, Some(body))
    }

    /// Takes something away.
    pub fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.ask(Method::DELETE, path, None)
    }

    /// Has a document applied.
    pub fn apply(&self, document: &Document, dry_run: bool) -> Result<Value, Failure> {
        let mode = Mode {
            dry_run,
            ..Mode::default()
        };
        self.apply_as(document, mode, &|_| String::new())
    }

    /// The same with more to say about it. `place` is what stands before a mistake, whose entry is given as
    /// the service names it, and before a warning, which is given whole.
    pub fn apply_as(
        &self,
        document: &Document,
        mode: Mode,
        place: &dyn Fn(&Value) -> String,
    ) -> Result<Value, Failure> {
        let body =
            serde_json::to_value(document).map_err(|error| Failure::Usage(error.to_string()))?;
        let path = format!(
            "/v1/apply?dry_run={}&new_numbers_only={}",
            mode.dry_run, mode.new_numbers_only
        );
        let mut answer = match self.exchange(Method::POST, &path, Some(&body))? {
            Ok(answer) => answer,
            Err(refusal) => {
                let mistakes = refusal.body["mistakes"].as_array();
                let told: Vec<String> = mistakes
                    .into_iter()
                    .flatten()
                    .map(|mistake| {
                        let text = |field: &str| mistake[field].as_str().unwrap_or_default();
                        let place = place(&mistake["entry"]);
                        format!("{place}{}: {}", text("what"), text("reason"))
                    })
                    .collect();
                return Err(Failure::Failed(match told.is_empty() {
                    true => refusal.reason,
                    false => told.join("\n"),
                }));
            }
        };
        for warning in answer["warnings"].as_array_mut().into_iter().flatten() {
            let placed = place(warning) + warning.as_str().unwrap_or_default();
            *warning = Value::String(placed);
        }
        Ok(answer)
    }

    fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        self.exchange(method, path, body)?
            .map_err(|refusal| Failure::Failed(refusal.reason))
    }

    /// What the service answers, or why it refuses.
    fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Result<Value, Refusal>, Failure> {
        let unreachable = |error: ureq::Error| {
            Failure::Unreachable(format!(
                "no service answers at {} ({error}); is it running?",
                self.base
            ))
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("authorization", format!("Bearer {}", *self.token))
            .header("maskline-operator", &self.operator);
        let wrong = |error: ureq::http::Error| Failure::Usage(error.to_string());
        let response = match body {
            Some(body) => {
                let request = request
                    .header("content-type", "application/json")
                    .body(body.to_string())
                    .map_err(wrong)?;
                self.agent.run(request)
            }
            None => self.agent.run(request.body(()).map_err(wrong)?),
        };
        let mut response = response.map_err(unreachable)?;
        let status = response.status();
        let text = response
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_string()
            .map_err(unreachable)?;
        if status.is_success() {
            return match text.trim() {
                "" => Ok(Ok(Value::Null)),
                text => serde_json::from_str(text).map(Ok).map_err(|error| {
                    Failure::Failed(format!("{} answered what is not JSON: {error}", self.base))
                }),
            };
        }
        if status == 401 {
            let hint = match self.is_first {
                true => {
                    "the service refuses the admin token; is --data its directory? Once the first token is \
                     retired, name yours by --token-file or MASKLINE_TOKEN"
                }
                false => "the service refuses the token: it is wrong, switched off or taken back",
            };
            return Err(Failure::Failed(hint.to_owned()));
        }
        let body = serde_json::from_str::<Value>(&text).unwrap_or_default();
        let reason = body["reason"].as_str().map(str::to_owned);
        let reason = reason.unwrap_or_else(|| format!("the service answered {status}"));
        Ok(Err(Refusal { reason, body }))
    }
}

/// How a document is to be applied.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mode {
    /// Only tell what would change.
    pub dry_run: bool,
    /// Refuse numbers that are there already and would change.
    pub new_numbers_only: bool,
}

/// Why the service does not do it.
struct Refusal {
    reason: String,
    /// The whole answer; null if it is no JSON.
    body: Value,
}

/// A part of a path or query, percent-encoded.
pub fn part(text: &str) -> impl std::fmt::Display + '_ {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
}

/// A query from those values that were given.
pub fn query(pairs: &[(&str, Option<&str>)]) -> String {
    let given = pairs
        .iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", part((*value)?))));
    let joined = given.collect::<Vec<_>>().join("&");
    if joined.is_empty() {
        joined
    } else {
        format!("?{joined}")
    }
}

/// An address that listens on every interface is reached on the loopback one.
fn reachable(address: &str) -> String {
    for (every, loopback) in [("0.0.0.0:", "127.0.0.1:"), ("[::]:", "[::1]:")] {
        if let Some(port) = address.strip_prefix(every) {
            return format!("{loopback}{port}");
        }
    }
    address.to_owned()
}

/// Who is at the keyboard, for the audit.
fn operator() -> String {
    ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|name| maskline_domain::account::is_name(name))
        .unwrap_or_else(|| "admin".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_hold_only_what_was_given() {
        assert_eq!(query(&[("a", None), ("b", None)]), "");
        let made = query(&[("pool", Some("FC1")), ("x", None), ("city", Some("北京"))]);
        assert_eq!(made, "?pool=FC1&city=%E5%8C%97%E4%BA%AC");
    }

    #[test]
    fn wildcard_addresses_are_reached_by_loopback() {
        assert_eq!(reachable("0.0.0.0:8081"), "127.0.0.1:8081");
        assert_eq!(reachable("[::]:8081"), "[::1]:8081");
        assert_eq!(reachable("10.0.0.0:8081"), "10.0.0.0:8081");
    }
}
