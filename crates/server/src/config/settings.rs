//! Every setting.
//!
//! A field here is a key in the file (`[api] listen`), a variable (`MASKLINE_API_LISTEN`) and a line
//! in `docs/maskline.example.toml`, which is where its default stands; see `defaults`. Names end in their
//! unit. Which of them change while the process runs stands in `reload`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use maskline_domain::retention::Keep;
use serde::{Deserialize, Serialize};

use super::values::{
    Language, ListenAddress, LogFilter, LogFormat, Network, OffOr, PortRange, RecordingNotice,
};

/// What a process starts with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The directory that holds the journal, the records and the recordings.
    pub data: String,
    /// Create, once, an account, a key, pools and numbers to try things with.
    pub demo: bool,
    /// The customers' interface.
    pub api: ApiSettings,
    /// The operator's interface.
    pub admin: AdminSettings,
    /// Signalling.
    pub sip: SipSettings,
    /// Media.
    pub rtp: RtpSettings,
    /// Calls.
    pub calls: CallSettings,
    /// Recordings.
    pub recording: RecordingSettings,
    /// What callers hear from us.
    pub prompts: PromptSettings,
    /// What is logged, and how.
    pub log: LogSettings,
    /// Bounds on what one customer may ask of us.
    pub limits: LimitSettings,
    /// Where the key that seals secrets comes from.
    pub master_key: MasterKeySettings,
    /// The one writer.
    pub writer: WriterSettings,
    /// The journal and its snapshots.
    pub journal: JournalSettings,
    /// How long records are kept.
    pub retention: RetentionSettings,
    /// Background work.
    pub jobs: JobSettings,
    /// Start and stop.
    pub process: ProcessSettings,
}

/// The customers' interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiSettings {
    /// Plain HTTP; off leaves HTTPS alone.
    pub listen: OffOr<ListenAddress>,
    /// HTTPS; used when there is a certificate, or with `demo`.
    pub https: ListenAddress,
    /// PEM file with the certificate chain, the server's own first.
    pub certificate: OffOr<String>,
    /// PEM file with its private key.
    pub private_key: OffOr<String>,
    /// The language of messages to customers.
    pub language: Language,
    /// The page that the `Recommend` of an error leads to, a URL without a fragment; off means that it
    /// stays empty.
    pub errors_page: OffOr<String>,
    /// Whether reserved numbers of A make a bind fail on purpose, for tests of customers; with `demo` they do.
    pub fault_numbers: bool,
    /// Open connections at most, both listeners together.
    pub connections_max: u32,
    /// Open connections of one address at most (of one /64 network, where it is IPv6). At either bound the
    /// one that has been idle longest is closed to make room.
    pub connections_per_address_max: u32,
    /// Networks and addresses of proxies that name the clients for whom they ask. Their connections are
    /// counted by client.
    pub trusted_proxies: Vec<Network>,
    /// Whether trusted proxies open each connection with the PROXY protocol, version 1 or 2. Else
    /// `X-Forwarded-For` names their clients.
    pub proxy_protocol: bool,
    /// How long a request's head may take to arrive, and how long a connection may be idle, in
    /// seconds.
    pub idle_timeout_s: u32,
    /// How long a request's body may take to arrive, in seconds.
    pub body_timeout_s: u32,
    /// The largest request body, in bytes.
    pub body_max_bytes: u32,
}

/// The operator's interface: admin API, `/metrics`, `/healthz`, `/readyz`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminSettings {
    /// Where it listens. Plain HTTP: keep it on a private address.
    pub listen: ListenAddress,
    /// The largest request body, in bytes; `apply` sends its file in one piece.
    pub body_max_bytes: u32,
    /// How long a request's body may take to arrive, in seconds.
    pub body_timeout_s: u32,
}

/// Signalling.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SipSettings {
    /// Where peers send their requests.
    pub listen: ListenAddress,
    /// The IP address and port that peers are told, when they differ from `listen`.
    pub advertised: OffOr<SocketAddr>,
    /// The host names by which peers ask for us. What a peer proves by digest must be for one of them or for
    /// an address of ours; with none, for the host of its request or an address of ours.
    pub domains: Vec<String>,
    /// Whether TCP is taken too, at the address and port of `listen`.
    pub tcp: bool,
    /// Over TCP and TLS, how long a message may take from its first byte to its last, in seconds. A connection
    /// on which one takes longer is closed.
    pub message_timeout_s: u32,
    /// Where TLS is taken; off means nowhere. Needs `certificate`.
    pub tls: OffOr<ListenAddress>,
    /// PEM file with the certificate chain for TLS, our own first. Shown to peers either way.
    pub certificate: OffOr<String>,
    /// PEM file with its private key.
    pub private_key: OffOr<String>,
    /// PEM file with the authorities of peers that connect by TLS. When it is set they must show a
    /// certificate (mutual TLS).
    pub client_authorities: OffOr<String>,
    /// PEM file with the authorities of peers that are connected to by TLS. Off means that there are none.
    pub server_authorities: OffOr<String>,
    /// The server of names that is asked for the hosts of trunks and of media; off means those of the system.
    pub resolver: OffOr<SocketAddr>,
}

/// Media.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RtpSettings {
    /// The IP address media is received on; off means that of `sip.listen`.
    pub bind: OffOr<IpAddr>,
    /// The IP address that peers are told, when it differs from `bind`.
    pub advertised: OffOr<IpAddr>,
    /// Ports for media, each call taking two pairs.
    pub ports: PortRange,
    /// What a caller is sent before anything has come from where it says that it is, in KiB; see
    /// docs/media.md.
    pub unheard_kib_max: u32,
}

/// Calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallSettings {
    /// Calls at once, on this process.
    pub calls_max: u32,
    /// Calls at once on one X number. A call that goes in circles through networks that drop
    /// Max-Forwards ends here.
    pub per_x_max: u32,
    /// Calls at once by one caller.
    pub per_caller_max: u32,
    /// The longest call, in seconds.
    pub duration_max_s: u32,
    /// A call of which neither side is heard for so long is ended, in seconds.
    pub silence_max_s: u32,
    /// The same while one side holds the other, in seconds.
    pub hold_silence_max_s: u32,
}

/// Recordings. They lie under the data directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordingSettings {
    /// With less free space than this on its disk nothing is recorded; binds and call records go on.
    /// In MiB.
    pub free_min_mib: u32,
    /// Who is told that the call is recorded, before it is.
    pub notice: RecordingNotice,
}

/// What callers hear from us.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptSettings {
    /// The languages in which each prompt is spoken, one after the other.
    pub languages: Vec<Language>,
    /// The directory with prompts that take the place of ours; off means `prompts` in the data
    /// directory.
    pub directory: OffOr<String>,
}

/// What is logged, and how. Logs go to standard error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// The level, or levels by module.
    pub level: LogFilter,
    /// Text or JSON.
    pub format: LogFormat,
}

/// Bounds on what one customer may ask of us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitSettings {
    /// Requests a second of one account, over all actions. 0: no limit.
    pub account_per_s: u32,
    /// Requests a second of one account for one action. 0: no limit.
    pub action_per_s: u32,
    /// The same for single actions, by name; what stands here wins over `action_per_s`.
    pub actions: BTreeMap<String, u32>,
    /// Nonces of reads remembered for one AccessKey; when full, its requests are throttled.
    pub nonces_per_key_max: u32,
    /// The same for all AccessKeys of one account, its users' too.
    pub nonces_per_account_max: u32,
    /// The same for all AccessKeys together.
    pub nonces_total_max: u32,
    /// How far a request's time may be from ours, in seconds.
    pub clock_skew_s: u32,
}

/// Where the master key comes from. Exactly one of: the variable `MASKLINE_MASTER_KEY`, a command, a
/// file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MasterKeySettings {
    /// The file; off means `<data>.key`, beside the data directory.
    pub file: OffOr<String>,
    /// A program and its arguments, which prints the key; empty means none.
    pub command: Vec<String>,
    /// How long the command may take, in seconds.
    pub command_timeout_s: u32,
}

/// The one writer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WriterSettings {
    /// Commands waiting at most; above it a caller is refused at once.
    pub queue_max: u32,
    /// Commands decided in one durable write at most.
    pub batch_max: u32,
    /// A command that waited this long is answered with an error, in milliseconds.
    pub deadline_ms: u32,
}

/// The journal and its snapshots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalSettings {
    /// Days that batches are kept after a snapshot has taken them in, for "who was X at 14:03:07?".
    pub retention_days: u32,
    /// A snapshot is made after this many batches.
    pub snapshot_every_batches: u64,
    /// A snapshot is made after this many bytes of journal.
    pub snapshot_every_bytes: u64,
}

/// How long records are kept once they are over: `200d`, `3y`, `forever`, or `none`, which is not at all. A pool may say
/// otherwise for bindings, calls and recordings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionSettings {
    /// The history of bindings, once they have ended.
    pub bindings: Keep,
    /// Call records with their ladders, once the calls have ended.
    pub calls: Keep,
    /// Recordings, once their calls have ended; with the call records at the latest.
    pub recordings: Keep,
    /// Messages to customers that were never handed over.
    pub receipts_dead: Keep,
    /// The audit.
    pub audit: Keep,
}

/// Background work. Correctness never depends on it: an expired binding is over, swept or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSettings {
    /// Whether jobs run at all.
    pub enabled: bool,
    /// How often a job looks for work, in milliseconds.
    pub interval_ms: u32,
    /// How much one job gives to the writer at a time, in commands that each do little.
    pub batch_max: u32,
}

/// Start and stop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessSettings {
    /// The name of this node, in call records.
    pub node: String,
    /// After SIGTERM, how long accepted requests and live calls may still take, in seconds.
    pub drain_timeout_s: u32,
}

impl Settings {
    /// The HTTPS listener, when it is wanted: with a certificate, or in the demo.
    pub fn https(&self) -> Option<&ListenAddress> {
        (self.demo || self.api.certificate.is_set()).then_some(&self.api.https)
    }
}
