//! `maskline trunk`.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::client::part;
use super::{Client, Failure, secret_file, show};
use crate::admin::document::{Document, Unwanted, WantedTrunk};
use crate::suggest;

/// The largest file with a password that is read, in bytes.
const SECRET_FILE_BYTES_MAX: u64 = 4 << 10;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List trunks
    Ls,
    /// Show everything about one trunk but its passwords
    Show {
        /// The trunk's name
        name: String,
    },
    /// Make a trunk
    Add(Box<Set>),
    /// Change a trunk, or make one; what is not said stays as it is
    Set(Box<Set>),
    /// Ask a trunk by OPTIONS, from the running service, and tell what came back
    Test {
        /// The trunk's name
        name: String,
    },
    /// Let calls use a trunk
    Enable {
        /// The trunk's name
        name: String,
    },
    /// Let no more calls use a trunk; those that stand go on
    Disable {
        /// The trunk's name
        name: String,
    },
    /// List addresses that spoke SIP to us and were refused, since they are no trunk's
    Strangers,
    /// Take a trunk away
    #[command(visible_alias = "delete")]
    Rm {
        /// The trunk's name
        name: String,
    },
}

/// Everything that can be said of a trunk. Each flag but those for files is a member of a document's
/// `[[trunk]]`.
#[derive(Debug, clap::Args)]
pub struct Set {
    /// The trunk's name
    name: String,
    /// The peer's IP address and port, or its host name, with or without a port; a new trunk needs one
    #[arg(long, value_name = "IP:PORT|HOST[:PORT]")]
    peer: Option<String>,
    /// Whether calls may use it
    #[arg(long, value_name = "BOOL")]
    enabled: Option<bool>,
    /// How its messages travel: udp, tcp or tls
    #[arg(long, value_name = "WORD")]
    transport: Option<String>,
    /// Further addresses from which its requests come
    #[arg(long, value_name = "IP,…")]
    sources: Option<String>,
    /// The name that its certificate must bear
    #[arg(long, value_name = "NAME")]
    tls_name: Option<String>,
    /// Whether calls are sent to it; false for one that only brings them
    #[arg(long, value_name = "BOOL")]
    outgoing: Option<bool>,
    /// Calls try trunks of a lower number first
    #[arg(long, value_name = "NUMBER")]
    priority: Option<u16>,
    /// Its share of the calls among those of the same priority; those with 0 come last, by name
    #[arg(long, value_name = "NUMBER")]
    weight: Option<u16>,
    /// Calls at once, 0 for no limit
    #[arg(long, value_name = "COUNT")]
    calls_max: Option<u32>,
    /// New calls a second towards it, 0 for no limit
    #[arg(long, value_name = "COUNT")]
    calls_per_s_max: Option<u32>,
    /// How often it is asked whether it is there, 0 for never
    #[arg(long, value_name = "SECONDS")]
    options_every_s: Option<u16>,
    /// How numbers are written towards it: bare, +86, 86, 0086, or zero (0 before mobiles of elsewhere)
    #[arg(long, value_name = "FORM", allow_hyphen_values = true)]
    number_out: Option<String>,
    /// The area code of its home, such as 0571
    #[arg(long, value_name = "CODE")]
    home_area: Option<String>,
    /// With which digits mobiles at home begin
    #[arg(long, value_name = "DIGITS,…")]
    home_prefixes: Option<String>,
    /// Which header says who calls: pai, rpid or from
    #[arg(long, value_name = "WORD")]
    identity_in: Option<String>,
    /// Whether what it asserts is believed
    #[arg(long, value_name = "BOOL")]
    trusted: Option<bool>,
    /// Which header says towards it that X calls: from, pai, ppi or rpid
    #[arg(long, value_name = "WORD")]
    identity_out: Option<String>,
    /// The line's own number, in From instead of X
    #[arg(long, value_name = "NUMBER")]
    pilot: Option<String>,
    /// Whether Diversion names the pilot number
    #[arg(long, value_name = "BOOL")]
    diverted_by_pilot: Option<bool>,
    /// What Privacy says towards it: omit, none or id
    #[arg(long, value_name = "WORD")]
    privacy: Option<String>,
    /// What becomes of calls that were forwarded to X: ignore or refuse
    #[arg(long, value_name = "WORD")]
    diversion: Option<String>,
    /// The codecs that may be used, such as pcma,pcmu
    #[arg(long, value_name = "NAME,…")]
    codecs: Option<String>,
    /// What becomes of calls without G.711: relay or refuse
    #[arg(long, value_name = "WORD")]
    without_g711: Option<String>,
    /// How its callers hear prompts: early, answer or none
    #[arg(long, value_name = "WORD")]
    prompts: Option<String>,
    /// Whether the peer is behind NAT
    #[arg(long, value_name = "BOOL")]
    nat: Option<bool>,
    /// The address and port that it is told for signalling
    #[arg(long, value_name = "IP:PORT")]
    sip_advertised: Option<String>,
    /// The address that it is told for media
    #[arg(long, value_name = "IP")]
    rtp_advertised: Option<String>,
    /// With which name we answer its challenge
    #[arg(long, value_name = "NAME")]
    auth_username: Option<String>,
    /// A file with the password that goes with it, `-` for standard input
    #[arg(long, value_name = "FILE")]
    auth_secret_file: Option<PathBuf>,
    /// With which name it must answer our challenge
    #[arg(long, value_name = "NAME")]
    challenge_username: Option<String>,
    /// A file with the password that goes with it, `-` for standard input
    #[arg(long, value_name = "FILE")]
    challenge_secret_file: Option<PathBuf>,
    /// The domain that we register with
    #[arg(long, value_name = "HOST")]
    registrar: Option<String>,
    /// How long a registration lasts
    #[arg(long, value_name = "SECONDS")]
    register_expires_s: Option<u32>,
    /// The SIP domain that it goes by, where it is not where its next hop is
    #[arg(long, value_name = "HOST")]
    domain: Option<String>,
    /// Networks in which its media is, such as 198.51.100.0/24; empty for any
    #[arg(long, value_name = "NETWORK,…")]
    media_networks: Option<String>,
    /// Whose X it may show: names of carriers and keys of pools; empty for any
    #[arg(long, value_name = "NAME,…")]
    presents: Option<String>,
    /// Which callees it takes: with which digits their numbers begin, such as 1 or 0571; empty for any
    #[arg(long, value_name = "DIGITS,…")]
    routes: Option<String>,
}

pub fn run(client: &Client, command: &Command) -> Result<(), Failure> {
    let document = match command {
        Command::Ls => {
            return show::rows(
                client,
                &client.all("/v1/trunks", &[])?,
                &[
                    ("TRUNK", "name"),
                    ("PEER", "peer"),
                    ("TRANSPORT", "transport"),
                    ("ENABLED", "enabled"),
                    ("REACHABLE", "reachable"),
                    ("REGISTRATION", "registration"),
                    ("UNTIL", "registration_expires_at"),
                    ("LAST ERROR", "registration_error"),
                    ("PRIORITY", "priority"),
                    ("WEIGHT", "weight"),
                    ("CALLS MAX", "calls_max"),
                    ("NUMBERS", "number_out"),
                    ("PRESENTS", "presents"),
                    ("ROUTES", "routes"),
                    ("TROUBLE", "trouble"),
                ],
            );
        }
        Command::Strangers => {
            return show::rows(
                client,
                &client.get("/v1/strangers")?,
                &[
                    ("ADDRESS", "address"),
                    ("BY", "transport"),
                    ("ASKED LAST", "asked"),
                    ("TIMES", "count"),
                    ("FIRST", "first_at"),
                    ("LAST", "last_at"),
                ],
            );
        }
        Command::Show { name } => {
            return show::fields(client, &client.get(&format!("/v1/trunks/{}", part(name)))?);
        }
        Command::Test { name } => return test(client, name),
        Command::Add(set) => {
            if exists(client, &set.name)? {
                let reason = format!("trunk {} exists already; `trunk set` changes it", set.name);
                return Err(Failure::Failed(reason));
            }
            one(set.wanted()?)
        }
        Command::Set(set) => one(set.wanted()?),
        // Refused for a trunk that is not there: a new one would need a peer.
        Command::Enable { name } | Command::Disable { name } => one(WantedTrunk {
            enabled: Some(matches!(command, Command::Enable { .. })),
            ..WantedTrunk::named(name)
        }),
        Command::Rm { name } => Document {
            remove: Unwanted {
                trunks: vec![name.clone()],
                ..Unwanted::default()
            },
            ..Document::default()
        },
    };
    show::changes(client, &client.apply(&document, false)?, false)
}

/// Fails where the trunk did not answer, so that a script can tell.
fn test(client: &Client, name: &str) -> Result<(), Failure> {
    let told = client.post(&format!("/v1/trunks/{}/test", part(name)), &json!({}))?;
    if client.json {
        show::json(&told)?;
    }
    let text = |field: &str| told[field].as_str().unwrap_or_default();
    let (address, took_ms) = (text("address"), &told["took_ms"]);
    match told["status"].as_u64() {
        Some(_) if client.json => Ok(()),
        Some(status) => show::line(&format!(
            "trunk {name} answered from {address}: {status} {} after {took_ms} ms",
            text("phrase")
        )),
        None => {
            let why = match text("trouble") {
                "" => "no answer",
                trouble => trouble,
            };
            let reason = format!("trunk {name} at {address}: {why} ({took_ms} ms)");
            Err(Failure::Failed(reason))
        }
    }
}

fn one(wanted: WantedTrunk) -> Document {
    Document {
        trunks: vec![wanted],
        ..Document::default()
    }
}

fn exists(client: &Client, name: &str) -> Result<bool, Failure> {
    let trunks = client.all("/v1/trunks", &[])?;
    let trunks = trunks.as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(trunks.iter().any(|trunk| trunk["name"] == name))
}

impl Set {
    /// The flags as a document says them. A wrong word is told with its flag.
    fn wanted(&self) -> Result<WantedTrunk, Failure> {
        let texts = [
            ("peer", &self.peer),
            ("transport", &self.transport),
            ("tls_name", &self.tls_name),
            ("number_out", &self.number_out),
            ("home_area", &self.home_area),
            ("identity_in", &self.identity_in),
            ("identity_out", &self.identity_out),
            ("pilot", &self.pilot),
            ("privacy", &self.privacy),
            ("diversion", &self.diversion),
            ("without_g711", &self.without_g711),
            ("prompts", &self.prompts),
            ("sip_advertised", &self.sip_advertised),
            ("rtp_advertised", &self.rtp_advertised),
            ("auth_username", &self.auth_username),
            ("challenge_username", &self.challenge_username),
            ("registrar", &self.registrar),
            ("domain", &self.domain),
        ];
        let lists = [
            ("sources", &self.sources),
            ("home_prefixes", &self.home_prefixes),
            ("codecs", &self.codecs),
            ("media_networks", &self.media_networks),
            ("presents", &self.presents),
            ("routes", &self.routes),
        ];
        let others = [
            ("enabled", json!(self.enabled)),
            ("outgoing", json!(self.outgoing)),
            ("priority", json!(self.priority)),
            ("weight", json!(self.weight)),
            ("calls_max", json!(self.calls_max)),
            ("calls_per_s_max", json!(self.calls_per_s_max)),
            ("options_every_s", json!(self.options_every_s)),
            ("trusted", json!(self.trusted)),
            ("diverted_by_pilot", json!(self.diverted_by_pilot)),
            ("nat", json!(self.nat)),
            ("register_expires_s", json!(self.register_expires_s)),
        ];
        let texts = texts.map(|(field, text)| (field, json!(text)));
        let lists = lists.map(|(field, list)| (field, json!(list.as_deref().map(parts))));
        let mut fields = Map::new();
        for (field, value) in texts.into_iter().chain(lists).chain(others) {
            if value.is_null() {
                continue;
            }
            let alone = json!({ "name": self.name, field: value });
            serde_json::from_value::<WantedTrunk>(alone).map_err(|error| {
                let reason = suggest::with_hint(&error.to_string());
                Failure::Usage(format!("--{}: {reason}", field.replace('_', "-")))
            })?;
            fields.insert(field.to_owned(), value);
        }
        fields.insert("name".to_owned(), json!(self.name));
        let mut wanted: WantedTrunk = serde_json::from_value(Value::Object(fields))
            .map_err(|error| Failure::Usage(error.to_string()))?;
        wanted.auth_secret = secret(self.auth_secret_file.as_deref())?;
        wanted.challenge_secret = secret(self.challenge_secret_file.as_deref())?;
        Ok(wanted)
    }
}

/// The parts of a list; an empty text is an empty list.
fn parts(list: &str) -> Vec<&str> {
    list.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect()
}

fn secret(file: Option<&Path>) -> Result<Option<String>, Failure> {
    secret_file::text(file, SECRET_FILE_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use maskline_domain::PhoneNumber;
    use maskline_domain::trunk::{IdentityOut, NumberForm};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        set: Set,
    }

    fn wanted(line: &[&str]) -> Result<WantedTrunk, Failure> {
        let words = ["trunk", "carrier"].into_iter().chain(line.iter().copied());
        Line::try_parse_from(words)
            .expect("well formed")
            .set
            .wanted()
    }

    #[test]
    fn flags_say_what_a_document_says() {
        let wanted = wanted(&[
            "--number-out",
            "+86",
            "--identity-out",
            "rpid",
            "--sources",
            "",
            "--codecs",
            "pcma, pcmu",
            "--calls-max",
            "30",
            "--domain",
            "ims.example",
            "--media-networks",
            "198.51.100.0/24,2001:db8::/32",
            "--presents",
            "unicom, FC12345",
            "--routes",
            "1,0571",
        ])
        .unwrap();
        let expected = WantedTrunk {
            number_out: Some(NumberForm::Plus),
            identity_out: Some(IdentityOut::Rpid),
            codecs: Some(vec!["pcma".into(), "pcmu".into()]),
            sources: Some(Vec::new()),
            calls_max: Some(30),
            domain: Some("ims.example".into()),
            media_networks: Some(vec!["198.51.100.0/24".into(), "2001:db8::/32".into()]),
            presents: Some(vec!["unicom".into(), "FC12345".into()]),
            routes: ["1", "0571"]
                .map(|digits| PhoneNumber::parse(digits).ok())
                .into_iter()
                .collect(),
            ..WantedTrunk::named("carrier")
        };
        assert!(wanted == expected, "{wanted:?}");
    }

    #[test]
    fn a_wrong_word_is_told_with_its_flag() {
        for (line, told) in [
            (["--number-out", "87"], "--number-out: unknown variant `87`"),
            (
                ["--identity-out", "x"],
                "--identity-out: unknown variant `x`",
            ),
            (["--sources", "here"], "--sources: invalid IP address"),
        ] {
            let error = wanted(&line).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
