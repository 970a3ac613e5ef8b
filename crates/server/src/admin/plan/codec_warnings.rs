//! What can be said of a trunk and is probably not meant.

use super::{PlanError, Planner};
use crate::admin::document::WantedTrunk;
use crate::suggest;

/// Names of codecs as they stand in SDP, in small letters: RFC 3551 section 6, and those of telephony
/// since.
const CODECS: &[&str] = &[
    "pcma",
    "pcmu",
    "pcma-wb",
    "pcmu-wb",
    "g711-0",
    "g719",
    "g722",
    "g7221",
    "g723",
    "g726-16",
    "g726-24",
    "g726-32",
    "g726-40",
    "g728",
    "g729",
    "g729d",
    "g729e",
    "g7291",
    "gsm",
    "gsm-efr",
    "gsm-hr-08",
    "ilbc",
    "isac",
    "silk",
    "speex",
    "opus",
    "amr",
    "amr-wb",
    "amr-wb+",
    "vmr-wb",
    "evs",
    "evrc",
    "evrcb",
    "qcelp",
    "lpc",
    "mpa",
    "l8",
    "l16",
    "l20",
    "l24",
    "dvi4",
    "cn",
    "telephone-event",
];

impl Planner {
    /// Notes what is odd about a trunk of the document.
    pub(super) fn warn_of_trunk(&mut self, wanted: &WantedTrunk) {
        let mut warn = |text: String| {
            let text = format!("trunk {}: {text}", wanted.name);
            self.plan.warnings.push(text);
        };
        for codec in wanted.codecs.iter().flatten() {
            if !CODECS.contains(&codec.as_str()) {
                warn(format!("codec `{codec}` is none that is known here"));
            }
        }
        let peer = wanted.peer.as_deref();
        let other = self
            .state
            .trunks()
            .find(|other| other.name.as_str() != wanted.name && peer == Some(other.peer.as_str()));
        if let Some(other) = other {
            warn(format!(
                "its peer {} is that of trunk {} too; calls that come from there are those of one of them",
                other.peer, other.name
            ));
        }
    }
}

/// Whether a codec is only a slip of the hand from a known one.
///
/// # Errors
/// With the codec that was probably meant.
pub(super) fn check_codecs(wanted: &WantedTrunk) -> Result<(), PlanError> {
    for codec in wanted.codecs.iter().flatten() {
        if CODECS.contains(&codec.as_str()) {
            continue;
        }
        if let Some(meant) = suggest::nearest(codec, CODECS.iter().copied()) {
            let what = format!("trunk {}", wanted.name);
            let reason = format!("there is no codec `{codec}`; did you mean {meant}?");
            return Err(PlanError::new(&what, reason));
        }
    }
    Ok(())
}
