//! What a phone saw, printed step by step: a line for people, or an object of JSON for programs.

use std::io::Write;

use serde_json::{Value, json};

use super::Failure;
use maskline_domain::PhoneNumber;
use maskline_softphone::event::{Packets, cause_name};
use maskline_softphone::{EndedBy, Event, EventKind, MessageSummary, Report, Way};

/// Prints events.
#[derive(Debug)]
pub struct StepPrinter {
    /// JSON instead of text.
    pub json: bool,
    /// Whole numbers.
    pub reveal: bool,
    /// A number that is no secret here: the X that was dialled.
    pub open: Option<PhoneNumber>,
}

impl StepPrinter {
    /// Prints one event.
    pub fn tell(&self, event: &Event) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        if self.json {
            writeln!(out, "{}", self.object(event))?;
        } else {
            let seconds = event.at_ms as f64 / 1_000.0;
            for line in self.lines(&event.kind) {
                writeln!(out, "{seconds:>8.3}  {line}")?;
            }
        }
        out.flush()?;
        Ok(())
    }

    /// A number as it may be shown.
    pub fn number(&self, number: Option<PhoneNumber>) -> String {
        match number {
            None => "no number".to_owned(),
            Some(number) if self.reveal || self.open == Some(number) => number.reveal(),
            Some(number) => number.to_string(),
        }
    }

    fn lines(&self, kind: &EventKind) -> Vec<String> {
        let line = match kind {
            EventKind::Message(seen) => self.message(seen),
            EventKind::Incoming { shown, dialled } => {
                let (shown, dialled) = (self.number(*shown), self.number(*dialled));
                format!("{shown} calls {dialled}")
            }
            EventKind::Progress {
                status: 180,
                early_media: false,
            } => "it rings".to_owned(),
            EventKind::Progress {
                early_media: true, ..
            } => "it can be heard before any answer (early media)".to_owned(),
            EventKind::Progress { status, .. } => format!("progress {status}"),
            EventKind::Answered { shown } => {
                format!("answered; number shown: {}", self.number(*shown))
            }
            EventKind::Held => "put on hold by the other side".to_owned(),
            EventKind::Resumed => "taken from hold".to_owned(),
            EventKind::OfferAccepted => "the change was accepted".to_owned(),
            EventKind::OfferRefused(status) => format!("the change was refused: {status}"),
            EventKind::Key(key) => format!("key {key} was pressed"),
            EventKind::NoKeys => "the other side takes no keys; none are sent".to_owned(),
            EventKind::Heard(heard) => format!("heard: {heard}"),
            EventKind::Packet { .. } => return Vec::new(),
            EventKind::Over(report) => return self.report(report),
        };
        vec![line]
    }

    fn message(&self, seen: &MessageSummary) -> String {
        let way = match seen.way {
            Way::In => "<-",
            Way::Out => "->",
        };
        let what = match &seen.status {
            None => seen.method.clone(),
            Some((status, phrase)) => format!("{status} {phrase} ({})", seen.method),
        };
        let mut line = format!(
            "{way} {what:<36} From {}  To {}",
            self.number(seen.from),
            self.number(seen.to)
        );
        if let Some(asserted) = seen.asserted {
            line += &format!("  asserted {}", self.number(Some(asserted)));
        }
        if let Some(cause) = seen.cause {
            line += &format!("  cause {cause}");
        }
        if seen.has_sdp {
            line += "  SDP";
        }
        line
    }

    fn report(&self, report: &Report) -> Vec<String> {
        let mut lines = vec![ending(report)];
        if report.is_answered() || report.early_media {
            let Packets {
                sent,
                received,
                lost,
                foreign,
                control: _,
            } = report.packets;
            lines.push(format!(
                "packets: {sent} sent, {received} received, {lost} lost, {foreign} from elsewhere"
            ));
            lines.push(format!("heard: {}", heard(report)));
        }
        if !report.keys.is_empty() {
            lines.push(format!("keys: {}", report.keys));
        }
        lines
    }

    fn object(&self, event: &Event) -> Value {
        let number = |number: &Option<PhoneNumber>| number.map(|number| self.number(Some(number)));
        let mut object = match &event.kind {
            EventKind::Message(seen) => json!({
                "event": "message",
                "way": match seen.way { Way::In => "in", Way::Out => "out" },
                "method": seen.method,
                "status": seen.status.as_ref().map(|(status, _)| status),
                "phrase": seen.status.as_ref().map(|(_, phrase)| phrase),
                "from": number(&seen.from),
                "to": number(&seen.to),
                "asserted": number(&seen.asserted),
                "cause": seen.cause,
                "sdp": seen.has_sdp,
            }),
            EventKind::Incoming { shown, dialled } => {
                json!({"event": "incoming", "shown": number(shown), "dialled": number(dialled)})
            }
            EventKind::Progress {
                status,
                early_media,
            } => json!({"event": "progress", "status": status, "early_media": early_media}),
            EventKind::Answered { shown } => json!({"event": "answered", "shown": number(shown)}),
            EventKind::Held => json!({"event": "held"}),
            EventKind::Resumed => json!({"event": "resumed"}),
            EventKind::OfferAccepted => json!({"event": "offer_accepted"}),
            EventKind::OfferRefused(status) => json!({"event": "offer_refused", "status": status}),
            EventKind::Key(key) => json!({"event": "key", "key": key.to_string()}),
            EventKind::NoKeys => json!({"event": "no_keys"}),
            EventKind::Heard(heard) => json!({"event": "heard", "heard": heard.to_string()}),
            EventKind::Packet { control, bytes, .. } => {
                json!({"event": "packet", "control": control, "length": bytes.len()})
            }
            EventKind::Over(report) => json!({
                "event": "over",
                "outgoing": report.outgoing,
                "answered": report.is_answered(),
                "shown": number(&report.shown),
                "dialled": number(&report.dialled),
                "by": by(report.by),
                "status": report.status,
                "cause": report.cause,
                "early_media": report.early_media,
                "talked_ms": report.talked_ms(),
                "codec": report.codec.map(|codec| codec.name()),
                "packets": {
                    "sent": report.packets.sent,
                    "received": report.packets.received,
                    "lost": report.packets.lost,
                    "foreign": report.packets.foreign,
                    "control": report.packets.control,
                },
                "keys": report.keys,
                "heard": {
                    "silence_ms": report.heard.silence_ms,
                    "speech_ms": report.heard.speech_ms,
                    "tones_ms": report.heard.tones,
                },
            }),
        };
        object["at_ms"] = event.at_ms.into();
        object["call"] = event.call.map(|call| call.as_u64()).into();
        object
    }
}

/// How a call ended, in one line.
pub fn ending(report: &Report) -> String {
    let mut line = match (report.is_answered(), report.status) {
        (true, _) => format!(
            "over after {:.1} s, ended by {}",
            report.talked_ms() as f64 / 1_000.0,
            by(report.by)
        ),
        (false, Some(status)) => format!("not answered: {status}"),
        (false, None) => "not answered: given up".to_owned(),
    };
    if let Some(cause) = report.cause {
        line += &format!(", cause {cause} ({})", cause_name(cause));
    }
    line
}

fn by(by: EndedBy) -> &'static str {
    match by {
        EndedBy::Us => "this phone",
        EndedBy::Them => "the other side",
        EndedBy::Silence => "nobody",
    }
}

fn heard(report: &Report) -> String {
    let seconds = |ms: u64| format!("{:.1} s", ms as f64 / 1_000.0);
    let tones = report.heard.tones.iter();
    let mut parts: Vec<String> = tones
        .map(|(hz, ms)| format!("{hz} Hz for {}", seconds(*ms)))
        .collect();
    let rest = [
        (report.heard.speech_ms, "speech or music"),
        (report.heard.silence_ms, "silence"),
    ];
    for (ms, what) in rest {
        if ms > 0 {
            parts.push(format!("{what} for {}", seconds(ms)));
        }
    }
    if parts.is_empty() {
        return "nothing".to_owned();
    }
    parts.join(", ")
}
