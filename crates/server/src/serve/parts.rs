//! Settings, turned into what each part of the service takes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use maskline_domain::call::Notice;
use maskline_domain::retention::Terms;
use maskline_journal::pipeline::Limits;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tower::ServiceExt;

use super::certificates;
use crate::admin::AdminError;
use crate::api::errors::Language as ApiLanguage;
use crate::api::gateway::{self, Gateway};
use crate::api::limits::Rates;
use crate::api::nonces::NonceBounds;
use crate::api::{self, params};
use crate::calls::{self, CallsHandle, sip_connections};
use crate::config::{
    ConfigError, ConfigErrors, Language, Loaded, Part, RecordingNotice, Reload, Settings,
};
use crate::http_server::{self, TrustedProxies, connections};
use crate::ledger::{self, Options};
use crate::telemetry::Metrics;
use maskline_media as media;
use maskline_media::recorder;
use maskline_store::UNSEALED;

/// How the settings want the ledger in this data directory to be run; it seals nothing.
pub fn ledger_options(settings: &Settings, dir: &Path) -> Options {
    let (queue_max, batch_max) = (settings.writer.queue_max, settings.writer.batch_max);
    Options {
        dir: dir.to_owned(),
        codec: UNSEALED.clone(),
        keyring: None,
        limits: Limits::new(queue_max as usize, batch_max as usize),
        submit_wait_max: Duration::from_millis(settings.writer.deadline_ms.into()),
        retention: Duration::from_secs(u64::from(settings.journal.retention_days) * 86_400),
        terms: terms(settings),
        snapshot_every_batches: settings.journal.snapshot_every_batches,
        snapshot_every_bytes: settings.journal.snapshot_every_bytes,
        read_wait_max: ledger::READ_WAIT_MAX,
        background: true,
        on_unknown: ledger::exit,
    }
}

/// How long records are kept.
fn terms(settings: &Settings) -> Terms {
    let retention = &settings.retention;
    Terms {
        bindings: retention.bindings,
        calls: retention.calls,
        recordings: retention.recordings,
        receipts_dead: retention.receipts_dead,
        audit: retention.audit,
    }
}

/// Bounds of what customers ask.
pub fn api_bounds(settings: &Settings) -> api::Bounds {
    api::Bounds {
        requests: http_server::Bounds {
            head_bytes_max: api::HEAD_BYTES_MAX,
            head_timeout: seconds(settings.api.idle_timeout_s),
            drain_timeout: seconds(settings.process.drain_timeout_s),
        },
        body_bytes_max: settings.api.body_max_bytes as usize,
        body_timeout: seconds(settings.api.body_timeout_s),
    }
}

/// How many connections customers may have.
pub fn api_connections(settings: &Settings) -> connections::Bounds {
    connections::Bounds {
        total_max: settings.api.connections_max as usize,
        per_source_max: settings.api.connections_per_address_max as usize,
    }
}

/// The proxies that name their clients.
pub fn trusted_proxies(settings: &Settings) -> TrustedProxies {
    TrustedProxies {
        networks: settings
            .api
            .trusted_proxies
            .iter()
            .map(|network| network.get())
            .collect(),
        proxy_protocol: settings.api.proxy_protocol,
    }
}

/// How customers' requests are judged and answered.
pub fn gateway_settings(settings: &Settings) -> gateway::Settings {
    let limits = &settings.limits;
    gateway::Settings {
        parameters: params::Bounds::new(settings.api.body_max_bytes as usize),
        nonces: NonceBounds {
            per_key_max: limits.nonces_per_key_max,
            per_account_max: limits.nonces_per_account_max,
            total_max: limits.nonces_total_max,
        },
        rates: Rates {
            account_per_s: limits.account_per_s,
            action_per_s: limits.action_per_s,
            actions: limits.actions.clone(),
        },
        clock_skew_ms: i64::from(limits.clock_skew_s) * 1000,
        language: match settings.api.language {
            Language::Chinese => ApiLanguage::Chinese,
            Language::English => ApiLanguage::English,
        },
        errors_page: settings
            .api
            .errors_page
            .get()
            .map_or("", |page| page)
            .into(),
        fault_numbers: settings.api.fault_numbers || settings.demo,
    }
}

/// The part that follows limits, language and the page about errors.
pub fn gateway_follower(gateway: Arc<Gateway>) -> Part {
    Box::new(move |loaded| {
        let gateway = gateway.clone();
        let settings = gateway_settings(&loaded.settings);
        Ok(Box::new(move || gateway.configure(settings)))
    })
}

/// How calls are carried by a run of this name, with so many SIP streams each way.
///
/// # Errors
/// When an address or a file that the settings name is not there; told at the setting.
pub async fn call_config(
    loaded: &Loaded,
    boot: String,
    sip_streams: usize,
) -> Result<calls::Config, ConfigError> {
    let settings = &loaded.settings;
    let wanted = &settings.sip.listen;
    let refuse = |reason: String| loaded.missing("sip.listen", reason);
    let listen = tokio::net::lookup_host((wanted.host(), wanted.port()))
        .await
        .map_err(|error| refuse(format!("{wanted}: {error}")))?
        .next()
        .ok_or_else(|| refuse(format!("{wanted} is no address")))?;
    let tls_listen = match settings.sip.tls.get() {
        None => None,
        Some(wanted) => {
            let refuse = |reason: String| loaded.missing("sip.tls", reason);
            let mut found = tokio::net::lookup_host((wanted.host(), wanted.port()))
                .await
                .map_err(|error| refuse(format!("{wanted}: {error}")))?;
            let first = found.next();
            Some(first.ok_or_else(|| refuse(format!("{wanted} is no address")))?)
        }
    };
    let bind = settings.rtp.bind.get().copied().unwrap_or(listen.ip());
    Ok(calls::Config {
        listen,
        advertised: settings.sip.advertised.get().copied(),
        resolver: settings.sip.resolver.get().copied(),
        domains: settings.sip.domains.clone(),
        tcp: settings.sip.tcp,
        tls_listen,
        tls: certificates::sip(loaded)?,
        streams: sip_connections::Bounds {
            incoming_max: sip_streams,
            outgoing_max: sip_streams,
            message_max: seconds(settings.sip.message_timeout_s),
        },
        media: media_config(settings, bind),
        unheard_bytes_max: unheard_bytes_max(settings),
        calls_max: settings.calls.calls_max as usize,
        per_x_max: settings.calls.per_x_max as usize,
        per_caller_max: settings.calls.per_caller_max as usize,
        notice: notice(settings),
        duration_max_s: settings.calls.duration_max_s,
        drain_timeout: seconds(settings.process.drain_timeout_s),
        node: settings.process.node.clone(),
        boot,
        sealer: None,
        calls_handle: CallsHandle::default(),
    })
}

fn unheard_bytes_max(settings: &Settings) -> u32 {
    settings.rtp.unheard_kib_max << 10
}

/// Who is told that a call is recorded.
pub fn notice(settings: &Settings) -> Notice {
    match settings.recording.notice {
        RecordingNotice::None => Notice::None,
        RecordingNotice::Caller => Notice::Caller,
        RecordingNotice::Both => Notice::Both,
    }
}

fn media_config(settings: &Settings, bind: IpAddr) -> media::Config {
    let data = Path::new(&settings.data);
    let prompts = settings.prompts.directory.get().map(PathBuf::from);
    media::Config {
        bind,
        others: Vec::new(),
        unheard: media::unheard::Limits::for_calls(unheard_bytes_max(settings)),
        threads: media::usual_threads(),
        advertised: settings.rtp.advertised.get().copied(),
        ports: (settings.rtp.ports.first(), settings.rtp.ports.last()),
        silence_max: seconds(settings.calls.silence_max_s),
        hold_silence_max: seconds(settings.calls.hold_silence_max_s),
        languages: settings.prompts.languages.iter().map(spoken).collect(),
        prompts: Some(prompts.unwrap_or_else(|| data.join("prompts"))),
        recordings: Some(recorder::Config {
            directory: data.join("recordings"),
            free_min_bytes: u64::from(settings.recording.free_min_mib) << 20,
        }),
    }
}

fn spoken(language: &Language) -> media::prompts::Language {
    match language {
        Language::Chinese => media::prompts::Language::Chinese,
        Language::English => media::prompts::Language::English,
    }
}

/// How an address is reached from this machine.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Hands a request on to the admin API, or says that it is not there yet.
pub async fn behind(router: Option<Router>, request: Request) -> Response {
    match router {
        Some(router) => match router.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
        None => AdminError::Unavailable("the service is starting".to_owned()).into_response(),
    }
}

/// Reloads, by result.
pub type Reloads = Family<ReloadLabel, Counter>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReloadLabel {
    result: &'static str,
}

pub fn reload_counter(metrics: &Metrics) -> Reloads {
    let reloads = Reloads::default();
    metrics.register(|registry| {
        registry.register("reloads", "Settings read again, by result", reloads.clone());
    });
    reloads
}

/// Logs and counts what a reload did.
pub fn tell_reload(reloads: &Reloads, done: Result<Reload, ConfigErrors>) {
    let result = match done {
        Ok(report) => {
            tracing::info!(applied = report.applied.join(" "), "settings read again");
            if !report.needs_restart.is_empty() {
                let keys = report.needs_restart.join(" ");
                tracing::warn!(keys, "these settings wait for a restart");
            }
            "done"
        }
        Err(errors) => {
            for error in errors.iter() {
                tracing::error!(%error, "settings refused; everything stays as it was");
            }
            "refused"
        }
    };
    reloads.get_or_create(&ReloadLabel { result }).inc();
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(count.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn media_is_received_where_signalling_is_unless_said_otherwise() {
        let loaded = crate::config::load(&crate::config::Inputs::default()).unwrap();
        let made = call_config(&loaded, "boot".into(), 1).await.unwrap();
        assert_eq!(made.listen.to_string(), "127.0.0.1:5060");
        assert_eq!(made.media.bind, IpAddr::V4(Ipv4Addr::LOCALHOST));
        let recordings = made.media.recordings.unwrap();
        assert_eq!(
            recordings.directory,
            Path::new("./maskline-data/recordings")
        );
    }
}
