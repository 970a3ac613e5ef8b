//! Calls: SIP and RTP on real sockets around machines that have none.
//!
//! [`maskline_switch`] is the heart: it turns datagrams and answers into what is to be sent, asked, recorded
//! and relayed. The `driver` carries that out on a thread of its own, `thread`. [`sip_connections`] are the
//! streams beside the datagrams; [`maskline_media`] carries the sound, plays and records; [`call_store`] asks
//! the ledger and writes the records, with what is [`owed`] for milestones; `lost_calls` closes those of a
//! process that was killed; `interfaces` are the addresses of the machine. [`calls_handle`] shows what goes on, `metrics` counts it,
//! `rejected_messages` are those that became no call and [`unknown_sources`] where SIP comes from that
//! belongs to no trunk; `trunk_freshness` tells whether changed trunks are in use, `trunk_tests` are those
//! that somebody waits for; `passwords` opens those of trunks; `resolver` asks for host names, of trunks
//! ([`trunk_names`]) and in descriptions of media (`lookups`); [`demo_phones`] answer by themselves.

pub mod call_store;
pub mod calls_handle;
pub mod demo_phones;
mod driver;
mod interfaces;
mod lookups;
mod lost_calls;
mod metrics;
pub mod owed;
mod passwords;
mod rejected_messages;
mod resolver;
pub mod sip_connections;
mod thread;
mod trunk_freshness;
pub mod trunk_names;
mod trunk_tests;
pub mod unknown_sources;

use crate::ledger::{CallRecords, Ledger};
use crate::seal::Sealer;
use crate::tls::Tls;
use lookups::Lookups;
use maskline_domain::call::Notice;
use maskline_media::{self as media, MediaPlane};
use maskline_switch::{Setup, Switch};
use sip_connections::SipConnections;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use trunk_names::{Families, TrunkNames};

pub use calls_handle::{CallsHandle, TrunkAnswer};

/// Answers of the ledger and the relays that may wait.
const NEWS_MAX: usize = 4_096;

/// How calls are carried.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where SIP listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What peers are told instead, for signalling. Port 0 means that of `listen`.
    pub advertised: Option<SocketAddr>,
    /// The host names by which peers ask for us; see [`maskline_sip::endpoint::Config::domains`].
    pub domains: Vec<String>,
    /// Whether streams are taken too, at the same address.
    pub tcp: bool,
    /// Where streams within TLS are taken; port 0 takes a free one.
    pub tls_listen: Option<SocketAddr>,
    /// Certificates, for TLS either way.
    pub tls: Option<Tls>,
    /// How many streams there may be, and how slow.
    pub streams: sip_connections::Bounds,
    /// How media is carried.
    pub media: media::Config,
    /// What a party may be sent before anything has come from where it says that it is, in bytes; see
    /// [`maskline_switch::Setup`].
    pub unheard_bytes_max: u32,
    /// The most calls at once.
    pub calls_max: usize,
    /// The most calls at once on one X.
    pub per_x_max: usize,
    /// The most calls at once by one caller.
    pub per_caller_max: usize,
    /// The longest call, in seconds.
    pub duration_max_s: u32,
    /// Who is told that a call is recorded.
    pub notice: Notice,
    /// After the wish to stop, how long calls may still last.
    pub drain_timeout: Duration,
    /// The name of this node, for the records.
    pub node: String,
    /// The name of this run of the process, for the records.
    pub boot: String,
    /// The server of names that is asked for the hosts of trunks and of media; those of the system where none is
    /// said.
    pub resolver: Option<SocketAddr>,
    /// Opens the passwords of trunks; without it those that need one cannot be used.
    pub sealer: Option<Arc<Sealer>>,
    /// What others see of the calls while they last.
    pub calls_handle: CallsHandle,
}

/// Calls that are being served.
#[derive(Debug)]
pub struct Serving {
    /// Where SIP really listens.
    pub address: SocketAddr,
    /// The same within TLS.
    pub tls_address: Option<SocketAddr>,
    /// Ends when the last call has ended after the wish to stop.
    pub task: JoinHandle<()>,
}

/// Serves calls until `stop` is cancelled, and then until the last call has ended
/// or `drain_timeout` has passed. Calls that an earlier run of this node left open are closed first.
///
/// # Errors
/// When the address cannot be bound, or the system has no randomness to give.
pub async fn serve(
    mut config: Config,
    ledger: Ledger,
    records: CallRecords,
    stop: CancellationToken,
) -> io::Result<Serving> {
    let (socket, tcp) = sip_connections::open(config.listen, config.tcp)?;
    let address = socket.local_addr()?;
    let tls = config
        .tls_listen
        .map(sip_connections::bind_streams)
        .transpose()?;
    let tls_address = tls.as_ref().map(|tls| tls.local_addr()).transpose()?;
    let unknown = config.calls_handle.unknown_sources().clone();
    let connections = SipConnections::new(tcp, tls, config.tls.clone(), config.streams, unknown);
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| io::Error::other(error.to_string()))?;
    lost_calls::close(&config, &records).await;
    let told = config.advertised.unwrap_or(address);
    let advertised = SocketAddr::new(
        told.ip(),
        if told.port() == 0 {
            address.port()
        } else {
            told.port()
        },
    );
    config.media.others.push(advertised.ip());
    config.media.others.retain(|ip| !ip.is_unspecified());
    let (news, heard) = mpsc::channel(NEWS_MAX);
    let (media_tells, media_events) = mpsc::channel(NEWS_MAX);
    let local_media = Arc::new(config.media.local_media());
    let media = MediaPlane::start(config.media.clone(), media_tells)?;
    let switch = Switch::new(Setup {
        advertised,
        advertised_tls: tls_address.map(|tls| SocketAddr::new(advertised.ip(), tls.port())),
        domains: config.domains.clone(),
        node: config.node.clone(),
        boot: config.boot.clone(),
        calls_max: config.calls_max,
        per_x_max: config.per_x_max,
        per_caller_max: config.per_caller_max,
        duration_max_s: config.duration_max_s,
        notice: config.notice,
        local_media,
        unheard_bytes_max: config.unheard_bytes_max,
        tells_milestones: owed::OWES.is_some(),
        seed,
    });
    let asked = config
        .calls_handle
        .take_asks()
        .ok_or_else(|| io::Error::other("calls are served on this handle already"))?;
    config.calls_handle.set_tones(media.tones());
    let families = Families::of(config.listen.ip());
    let names = Arc::new(TrunkNames::new(config.resolver, families));
    let lookups = Lookups::new(config.resolver, news.clone());
    let task = thread::start(thread::Parts {
        names,
        lookups,
        socket,
        connections,
        switch,
        media,
        media_events,
        ledger,
        records,
        news,
        heard,
        asked,
        stop,
        config,
    })
    .await?;
    Ok(Serving {
        address,
        tls_address,
        task,
    })
}
