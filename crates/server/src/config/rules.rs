//! What settings must be beyond the kind of each value: those that go together, and ranges.

use std::net::IpAddr;

use maskline_domain::retention::Keep;

use super::settings::Settings;
use crate::suggest;

/// A key and what is wrong with its value.
type Wrong = (String, String);

/// A media port pair is needed for each of the two sides of a call.
const PAIRS_PER_CALL: u32 = 2;

impl Settings {
    /// The rules that a single value cannot show: key and reason of each one broken. `given` says whether
    /// somebody set a key; `actions` are the names that a limit of single actions can be for.
    pub(super) fn check(&self, given: impl Fn(&str) -> bool, actions: &[&str]) -> Vec<Wrong> {
        let mut broken: Vec<Wrong> = Vec::new();
        let mut wrong = |key: &str, reason: &str| broken.push((key.to_owned(), reason.to_owned()));
        if self.data.is_empty() {
            wrong("data", "the data directory has no name");
        }
        match (self.api.certificate.is_set(), self.api.private_key.is_set()) {
            (true, false) => wrong("api.certificate", "api.private_key is missing beside it"),
            (false, true) => wrong("api.private_key", "api.certificate is missing beside it"),
            (false, false) if given("api.https") && !self.demo => wrong(
                "api.https",
                "HTTPS needs api.certificate and api.private_key (or --demo, which makes its own)",
            ),
            _ => {}
        }
        if !self.api.listen.is_set() && self.https().is_none() {
            wrong(
                "api.listen",
                "plain HTTP is off and there is no HTTPS, which needs api.certificate and api.private_key",
            );
        }
        if self
            .api
            .errors_page
            .get()
            .is_some_and(|page| !is_page(page))
        {
            wrong(
                "api.errors_page",
                "it must be a URL that begins with http:// or https://, without a fragment, of at most 512 characters",
            );
        }
        match (self.sip.certificate.is_set(), self.sip.private_key.is_set()) {
            (true, false) => wrong("sip.certificate", "sip.private_key is missing beside it"),
            (false, true) => wrong("sip.private_key", "sip.certificate is missing beside it"),
            (false, false) if self.sip.tls.is_set() => {
                wrong("sip.tls", "TLS needs sip.certificate and sip.private_key");
            }
            _ => {}
        }
        if nowhere(self.sip.listen.host()) && !self.sip.advertised.is_set() {
            wrong(
                "sip.listen",
                "peers must be told a real address; set sip.advertised beside it",
            );
        }
        let is_host = |domain: &String| maskline_host::is_host(domain);
        if let Some(domain) = self.sip.domains.iter().find(|domain| !is_host(domain)) {
            let reason = format!(
                "`{domain}` is neither a host name nor an IP address; such as sip.example.com, without a port"
            );
            wrong("sip.domains", &reason);
        }
        let bind = self.rtp.bind.get().is_some_and(IpAddr::is_unspecified);
        let inherited = !self.rtp.bind.is_set() && nowhere(self.sip.listen.host());
        if (bind || inherited) && !self.rtp.advertised.is_set() {
            wrong(
                "rtp.bind",
                "peers must be told a real address; set rtp.advertised beside it",
            );
        }
        let languages = &self.prompts.languages;
        let is_repeated = |(place, language)| languages[..place].contains(language);
        if languages.is_empty() || languages.iter().enumerate().any(is_repeated) {
            wrong(
                "prompts.languages",
                "at least one of chinese and english, each once",
            );
        }
        if !maskline_domain::account::is_name(&self.process.node) {
            wrong(
                "process.node",
                "1 to 64 letters, digits, '-', '_', '.' or '@'",
            );
        }
        if self.api.proxy_protocol && self.api.trusted_proxies.is_empty() {
            wrong(
                "api.proxy_protocol",
                "api.trusted_proxies is empty; the protocol is read from the proxies in it alone",
            );
        }
        if !self.master_key.command.is_empty() && self.master_key.file.is_set() {
            wrong(
                "master_key.command",
                "master_key.file is set too; one of them must go",
            );
        }
        for (key, value, least, most) in self.bounds() {
            if value < least || value > most {
                broken.push((
                    key.to_owned(),
                    format!("{value} is not between {least} and {most}"),
                ));
            }
        }
        broken.extend(self.actions_unknown(actions));
        broken.extend(self.addresses_taken_twice());
        broken.extend(self.media_over_signalling());
        broken
    }

    /// What can be, but is probably not meant: key and reason.
    pub(super) fn warnings(&self) -> Vec<Wrong> {
        let mut found = Vec::new();
        let (pairs, calls) = (u32::from(self.rtp.ports.pairs()), self.calls.calls_max);
        if pairs < calls.saturating_mul(PAIRS_PER_CALL) {
            let carried = pairs / PAIRS_PER_CALL;
            let reason = format!(
                "{} holds {pairs} pairs of ports, enough for {carried} calls at once, and calls.calls_max is \
                 {calls}; a wider range, or calls.calls_max = {carried}",
                self.rtp.ports
            );
            found.push(("rtp.ports".to_owned(), reason));
        }
        let journal = Keep::Days(self.journal.retention_days);
        let bindings = self.retention.bindings;
        if bindings.min(journal) != journal {
            let reason = format!(
                "bindings are kept for {bindings} once they have ended, but the journal, which tells of them too, for \
                 {journal} (journal.retention_days)"
            );
            found.push(("retention.bindings".to_owned(), reason));
        }
        if self.retention.recordings.min(self.retention.calls) != self.retention.recordings {
            let reason = format!(
                "a recording goes with its call record at the latest, which is kept for {} (retention.calls)",
                self.retention.calls
            );
            found.push(("retention.recordings".to_owned(), reason));
        }
        found
    }

    /// Limits of actions that nobody can ask for.
    fn actions_unknown(&self, known: &[&str]) -> impl Iterator<Item = Wrong> {
        let limits = self.limits.actions.keys();
        let unknown = limits.filter(move |name| !known.contains(&name.as_str()));
        unknown.map(move |name| {
            let hint = suggest::hint(name, known.iter().copied());
            (
                format!("limits.actions.{name}"),
                format!("there is no action `{name}`{hint}"),
            )
        })
    }

    /// TCP ports that two listeners want; only one would get it.
    fn addresses_taken_twice(&self) -> Vec<Wrong> {
        let listeners = [
            ("admin.listen", Some(&self.admin.listen)),
            ("api.listen", self.api.listen.get()),
            ("api.https", self.https()),
            ("sip.listen", self.sip.tcp.then_some(&self.sip.listen)),
            ("sip.tls", self.sip.tls.get()),
        ];
        let mut found = Vec::new();
        for (place, (key, address)) in listeners.iter().enumerate() {
            let Some(address) = address else { continue };
            let taken = listeners[..place].iter().find(|(_, other)| {
                other.is_some_and(|other| {
                    other.port() != 0
                        && other.port() == address.port()
                        && is_shared(other.host(), address.host())
                })
            });
            if let Some((other, _)) = taken {
                let reason = format!("{address} is wanted by {other} too; give it another port");
                found.push(((*key).to_owned(), reason));
            }
        }
        found
    }

    /// A SIP port within the range of media ports, where calls would take it or miss it.
    fn media_over_signalling(&self) -> Option<Wrong> {
        let (sip, ports) = (&self.sip.listen, self.rtp.ports);
        let same = match self.rtp.bind.get() {
            None => true,
            Some(bind) => is_shared(&bind.to_string(), sip.host()),
        };
        let within = (ports.first()..=ports.last()).contains(&sip.port());
        (same && within).then(|| {
            let reason = format!(
                "{ports} holds the port {} of sip.listen; a range without it, such as 20000-29999",
                sip.port()
            );
            ("rtp.ports".to_owned(), reason)
        })
    }

    /// Numbers that have a sensible range: key, value, least, most.
    fn bounds(&self) -> Vec<(&'static str, u64, u64, u64)> {
        const DAY_S: u64 = 86_400;
        const GIB: u64 = 1 << 30;
        vec![
            (
                "api.connections_max",
                self.api.connections_max.into(),
                1,
                1_000_000,
            ),
            (
                "api.connections_per_address_max",
                self.api.connections_per_address_max.into(),
                1,
                1_000_000,
            ),
            (
                "api.idle_timeout_s",
                self.api.idle_timeout_s.into(),
                1,
                DAY_S,
            ),
            ("api.body_timeout_s", self.api.body_timeout_s.into(), 1, 600),
            (
                "api.body_max_bytes",
                self.api.body_max_bytes.into(),
                1 << 10,
                GIB,
            ),
            (
                "admin.body_max_bytes",
                self.admin.body_max_bytes.into(),
                1 << 10,
                GIB,
            ),
            (
                "sip.message_timeout_s",
                self.sip.message_timeout_s.into(),
                1,
                600,
            ),
            (
                "admin.body_timeout_s",
                self.admin.body_timeout_s.into(),
                1,
                3_600,
            ),
            ("calls.calls_max", self.calls.calls_max.into(), 1, 1_000_000),
            ("calls.per_x_max", self.calls.per_x_max.into(), 1, 1_000_000),
            (
                "calls.per_caller_max",
                self.calls.per_caller_max.into(),
                1,
                1_000_000,
            ),
            (
                "calls.duration_max_s",
                self.calls.duration_max_s.into(),
                1,
                7 * DAY_S,
            ),
            (
                "rtp.unheard_kib_max",
                self.rtp.unheard_kib_max.into(),
                0,
                1_024,
            ),
            (
                "calls.silence_max_s",
                self.calls.silence_max_s.into(),
                1,
                DAY_S,
            ),
            (
                "calls.hold_silence_max_s",
                self.calls.hold_silence_max_s.into(),
                1,
                DAY_S,
            ),
            (
                "recording.free_min_mib",
                self.recording.free_min_mib.into(),
                0,
                1 << 30,
            ),
            (
                "limits.nonces_per_key_max",
                self.limits.nonces_per_key_max.into(),
                1,
                100_000_000,
            ),
            (
                "limits.nonces_per_account_max",
                self.limits.nonces_per_account_max.into(),
                1,
                1_000_000_000,
            ),
            (
                "limits.nonces_total_max",
                self.limits.nonces_total_max.into(),
                1,
                1_000_000_000,
            ),
            (
                "limits.clock_skew_s",
                self.limits.clock_skew_s.into(),
                1,
                DAY_S,
            ),
            (
                "master_key.command_timeout_s",
                self.master_key.command_timeout_s.into(),
                1,
                600,
            ),
            (
                "writer.queue_max",
                self.writer.queue_max.into(),
                1,
                1_000_000,
            ),
            ("writer.batch_max", self.writer.batch_max.into(), 1, 4_096),
            (
                "writer.deadline_ms",
                self.writer.deadline_ms.into(),
                10,
                60_000,
            ),
            (
                "journal.retention_days",
                self.journal.retention_days.into(),
                0,
                36_500,
            ),
            (
                "journal.snapshot_every_batches",
                self.journal.snapshot_every_batches,
                1,
                u64::MAX,
            ),
            (
                "journal.snapshot_every_bytes",
                self.journal.snapshot_every_bytes,
                1 << 16,
                u64::MAX,
            ),
            (
                "jobs.interval_ms",
                self.jobs.interval_ms.into(),
                10,
                3_600_000,
            ),
            ("jobs.batch_max", self.jobs.batch_max.into(), 1, 4_000),
            (
                "process.drain_timeout_s",
                self.process.drain_timeout_s.into(),
                0,
                DAY_S,
            ),
        ]
    }
}

/// The longest URL of a page, in bytes.
const PAGE_BYTES_MAX: usize = 512;

/// Whether a text is a URL to which a fragment can be added.
fn is_page(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    text.len() <= PAGE_BYTES_MAX
        && rest.is_some_and(|rest| !rest.is_empty())
        && text.bytes().all(|b| b.is_ascii_graphic() && b != b'#')
}

/// Whether a host stands for every address.
fn nowhere(host: &str) -> bool {
    host.parse().is_ok_and(|ip: IpAddr| ip.is_unspecified())
}

/// Whether what listens at two hosts can meet.
fn is_shared(one: &str, other: &str) -> bool {
    one == other || nowhere(one) || nowhere(other)
}
