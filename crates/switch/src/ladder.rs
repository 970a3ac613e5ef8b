//! What was said in a call, step by step, for those who look into it later. No whole number stands here,
//! nor anything else that a peer wrote.

use maskline_domain::call::Side;
use serde::Serialize;

/// The most steps that are kept of a call: beyond it the middle is left out, since the end tells most.
const STEPS_MAX: usize = 48;
/// How many of them are of the end.
const LAST_STEPS: usize = 16;

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Way {
    /// A party said it to us.
    In,
    /// We said it to a party.
    Out,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Step {
    /// Milliseconds since the INVITE came.
    at_ms: u64,
    /// On which leg: `caller` or `callee`.
    leg: &'static str,
    dir: Way,
    /// A method, or a status.
    what: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    note: String,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Ladder {
    steps: Vec<Step>,
    /// How many were left out.
    omitted: usize,
}

impl Ladder {
    pub fn note(
        &mut self,
        ms: u64,
        side: Side,
        way: Way,
        what: impl ToString,
        note: impl ToString,
    ) {
        if self.steps.len() == STEPS_MAX {
            self.steps.remove(STEPS_MAX - LAST_STEPS);
            self.omitted += 1;
        }
        self.steps.push(Step {
            at_ms: ms,
            leg: side.name(),
            dir: way,
            what: what.to_string(),
            note: note.to_string(),
        });
    }

    /// As it stands in the record: a list of steps, the omitted ones told by the first that follows them.
    pub fn to_json(&self) -> Option<String> {
        let mut steps = self.steps.clone();
        if let Some(step) = steps.get_mut(STEPS_MAX - LAST_STEPS)
            && self.omitted > 0
        {
            step.note = format!("{} steps before this one were left out", self.omitted);
        }
        serde_json::to_string(&steps).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_ladder_keeps_its_beginning_and_its_end() {
        let mut ladder = Ladder::default();
        for ms in 0..1_000 {
            ladder.note(ms, Side::Caller, Way::In, "INFO", "");
        }
        let steps: Vec<serde_json::Value> =
            serde_json::from_str(&ladder.to_json().expect("plain values")).expect("a list");
        assert_eq!(steps.len(), STEPS_MAX);
        assert_eq!(
            (&steps[0]["at_ms"], &steps[47]["at_ms"]),
            (&0.into(), &999.into())
        );
        assert_eq!(steps[32]["note"], "952 steps before this one were left out");
        assert_eq!(steps[32]["at_ms"], 984);
    }
}
