//! What must hold of each call, looked at when it is over.

use maskline_domain::PhoneNumber;
use maskline_domain::call::{Milestone, Prompt, Reached};
use maskline_domain::call_record::CallRecord;
use maskline_domain::trunk::PromptPolicy;
use maskline_switch::{MediaEnd, MediaPath, Repeat, Side};

use super::addresses::{PhoneId, media_of};
use super::bindings::Expected;

/// What is known of a call from outside.
#[derive(Debug, Clone)]
pub(super) struct Track {
    pub caller: Option<PhoneNumber>,
    pub x: PhoneNumber,
    pub caller_phone: PhoneId,
    /// What the bindings said when the route was asked for.
    pub expected: Option<Expected>,
    pub callee_phones: Vec<PhoneId>,
    /// The id under which a row was opened.
    pub opened: Option<String>,
    /// Milestones, with the writes of its row in their order.
    pub milestones: Vec<Reached>,
    pub played: Option<Prompt>,
    /// How the trunk of the caller lets prompts be heard.
    pub prompts: PromptPolicy,
    /// The cause with which the caller was hung up on, if it was and heard.
    pub ended: Option<Option<u8>>,
    /// Keys that the caller and that the callee pressed, and that the other side has not got yet.
    pub pressed: [Vec<char>; 2],
    pub has_ports: bool,
    /// Whether its caller hears a ring tone.
    pub hears_tone: bool,
    /// How the switch refused the caller, if it did and the caller heard.
    pub refused: Option<(u16, Option<u8>)>,
    /// How often the switch said that it was over, once it had asked for a route.
    pub finished: u32,
    pub is_asked: bool,
    /// Whether its caller made no offer.
    pub is_delayed: bool,
    /// Where its media goes.
    pub path: Option<MediaPath>,
    /// Whether a host name of a phone was not found, so that nobody knows where it listens.
    pub is_unfound: bool,
    /// As its record has it.
    pub situation: Option<String>,
}

impl Track {
    pub fn new(
        caller: Option<PhoneNumber>,
        x: PhoneNumber,
        caller_phone: PhoneId,
        prompts: PromptPolicy,
    ) -> Self {
        Self {
            caller,
            x,
            caller_phone,
            expected: None,
            callee_phones: Vec::new(),
            opened: None,
            milestones: Vec::new(),
            played: None,
            prompts,
            ended: None,
            pressed: [Vec::new(), Vec::new()],
            has_ports: false,
            hears_tone: false,
            refused: None,
            finished: 0,
            is_asked: false,
            is_delayed: false,
            path: None,
            is_unfound: false,
            situation: None,
        }
    }

    /// The law of the right party.
    ///
    /// # Errors
    /// How it was broken.
    pub fn may_ring(
        &self,
        callee: Option<PhoneNumber>,
        shown: Option<PhoneNumber>,
    ) -> Result<(), String> {
        if shown != Some(self.x) {
            return Err("somebody saw another number than X".to_owned());
        }
        match (self.expected, callee) {
            (Some(Expected::Rings(expected)), Some(callee)) if callee == expected => Ok(()),
            (expected, callee) => Err(format!("{callee:?} rang where {expected:?} was due")),
        }
    }

    /// The law of milestones: each that the record knows of was told once, in order, at the same time, and no other.
    /// That there is a recording is known to who writes the file alone, and so is never told here.
    fn has_told_milestones(&self, record: Option<&CallRecord>) -> Result<(), String> {
        let known = record.map_or_else(Vec::new, |record| {
            let known = [
                (Milestone::Ringing, record.ringing_at),
                (Milestone::Answered, record.answered_at),
                (Milestone::Ended, record.released_at),
            ];
            let reached =
                |(milestone, at): (Milestone, Option<_>)| at.map(|at| Reached { milestone, at });
            known.into_iter().filter_map(reached).collect()
        });
        let (started, told) = match self.milestones.split_first() {
            Some((first, rest)) if first.milestone == Milestone::Started => (true, rest),
            _ => (false, &self.milestones[..]),
        };
        if started != record.is_some() || told != known {
            let told = &self.milestones;
            return Err(format!("it told the milestones {told:?}: {record:?}"));
        }
        Ok(())
    }

    /// The law of the one record. `record` is what the switch hands over at the end.
    ///
    /// # Errors
    /// How it was broken.
    pub fn may_end_with(&self, record: Option<&CallRecord>) -> Result<(), String> {
        if self.finished != 1 {
            return Err(format!("it ended {} times", self.finished));
        }
        let is_owed = !matches!(self.expected, None | Some(Expected::Unknown));
        let Some(record) = record else {
            return match is_owed {
                true => Err("it left no record".to_owned()),
                false => self.has_told_milestones(None),
            };
        };
        if !is_owed {
            return Err("it left a record that nobody asked for".to_owned());
        }
        self.has_told_milestones(Some(record))?;
        let wrong = |what: &str| Err(format!("its record has another {what}: {record:?}"));
        let at = |moment: Option<maskline_domain::Timestamp>| moment.map(|at| at.millis());
        let released = at(record.released_at);
        let row = self.opened.as_ref().is_none_or(|id| *id == record.call_id);
        if !row {
            return wrong("id than the row that was opened");
        }
        if (record.x, record.caller) != (Some(self.x), self.caller) {
            return wrong("caller or X");
        }
        if let Some(Expected::Rings(callee)) = self.expected
            && record.callee.is_some_and(|named| named != callee)
        {
            return wrong("callee");
        }
        if record.answered_at.is_some() && record.dialled_at.is_none() {
            return wrong("order of milestones");
        }
        if released < Some(record.arrived_at.millis()) || released < at(record.answered_at) {
            return wrong("end");
        }
        if record.answered_at.is_some() && self.hears_tone {
            return Err("its ring tone went on after the answer".to_owned());
        }
        if record.situation.is_none() || record.q850_cause.is_none() {
            return wrong("ending");
        }
        Ok(())
    }

    /// What a caller was refused with, and heard, by the list of bindings. Whoever is one too many, or came
    /// while the ledger was full, meets something else.
    ///
    /// # Errors
    /// How it was broken.
    pub fn was_told_rightly(&self) -> Result<(), String> {
        let is_by_route = !matches!(
            self.situation.as_deref(),
            Some("x_full" | "caller_full" | "not_durable" | "overload" | "caller_gave_up")
        );
        let (prompt, status, cause) = match self.expected {
            Some(Expected::Refused(prompt, status, cause)) if is_by_route => {
                (prompt, status, cause)
            }
            Some(Expected::Unknown) => (None, 404, 1),
            _ => return Ok(()),
        };
        let prompt = prompt.filter(|_| self.prompts != PromptPolicy::None);
        if self.played.is_some_and(|played| Some(played) != prompt) {
            return Err(format!("it heard {:?} instead of {prompt:?}", self.played));
        }
        if self.prompts == PromptPolicy::Answer && self.played.is_some() {
            // It was answered to hear it, and then hung up on.
            return match (self.refused, self.ended) {
                // Its carrier was switched on only when the INVITE was repeated.
                (None | Some((403, None)), None) => Ok(()),
                (None, Some(ended)) if ended == Some(cause) => Ok(()),
                other => Err(format!(
                    "it heard why and then got {other:?} instead of {cause}"
                )),
            };
        }
        match self.refused {
            // Its carrier was switched off at that moment: whom we do not know we tell no more.
            Some((403, None)) => Ok(()),
            Some(refused) if refused != (status, Some(cause)) => Err(format!(
                "it was refused with {refused:?} instead of {status} and {cause}"
            )),
            _ => Ok(()),
        }
    }

    /// The law of the right keys: a side gets what the other one pressed, once.
    ///
    /// # Errors
    /// How it was broken.
    pub fn may_hear_key(&mut self, by_caller: bool, key: char) -> Result<(), String> {
        let pressed = &mut self.pressed[usize::from(!by_caller)];
        match pressed.iter().position(|other| *other == key) {
            Some(at) => {
                pressed.swap_remove(at);
                Ok(())
            }
            None => Err(format!("the key {key} came, which nobody pressed")),
        }
    }

    /// The law of ring tones: callers hear them while it rings, if their trunk takes early media; and one
    /// who has nobody to reach hears its own once.
    ///
    /// # Errors
    /// How it was broken.
    pub fn may_hear_tone(&mut self, side: Side, repeat: Repeat) -> Result<(), String> {
        let is_right = match (self.expected, repeat) {
            (Some(Expected::Rings(_)), Repeat::Forever) => self.prompts == PromptPolicy::Early,
            (Some(Expected::Refused(prompt, ..)), Repeat::Once) => {
                prompt == Some(Prompt::VacantNumber) && self.prompts != PromptPolicy::None
            }
            _ => false,
        };
        self.hears_tone = repeat == Repeat::Forever;
        match is_right && side == Side::Caller {
            true => Ok(()),
            false => Err(format!("the {} hears a ring tone: {repeat:?}", side.name())),
        }
    }

    /// The law of the right media: it goes to the phones of this call and to no other.
    ///
    /// # Errors
    /// How it was broken.
    pub fn may_relay(&self, path: &MediaPath) -> Result<(), String> {
        let is_at = |id: PhoneId, end: &MediaEnd| end.address.ip() == media_of(id);
        let is_right = path
            .caller
            .as_ref()
            .is_none_or(|end| is_at(self.caller_phone, end))
            && path
                .callee
                .as_ref()
                .is_none_or(|end| self.callee_phones.iter().any(|id| is_at(*id, end)));
        if !is_right {
            return Err(format!("media goes to somebody else: {path:?}"));
        }
        // Nothing is transcoded.
        match (&path.caller, &path.callee) {
            (Some(caller), Some(callee)) if caller.law != callee.law => {
                Err(format!("the sides have two codecs: {path:?}"))
            }
            _ => Ok(()),
        }
    }
}
