//! What must hold of each call, looked at when it is over.

use maskline_domain::PhoneNumber;
use maskline_domain::call::Prompt;
use maskline_store::records::call::CallRecord;

use super::phone::PhoneId;
use super::town::Expected;

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
    pub played: Option<Prompt>,
    pub has_ports: bool,
    /// How the switch refused the caller, if it did and the caller heard.
    pub refused: Option<(u16, Option<u8>)>,
    /// How often the switch said that it was over, once it had asked for a route.
    pub finished: u32,
    pub is_asked: bool,
    /// As its record has it.
    pub situation: Option<String>,
}

impl Track {
    pub fn new(caller: Option<PhoneNumber>, x: PhoneNumber, caller_phone: PhoneId) -> Self {
        Self {
            caller,
            x,
            caller_phone,
            expected: None,
            callee_phones: Vec::new(),
            opened: None,
            played: None,
            has_ports: false,
            refused: None,
            finished: 0,
            is_asked: false,
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
                false => Ok(()),
            };
        };
        if !is_owed {
            return Err("it left a record that nobody asked for".to_owned());
        }
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
        if self.played.is_some_and(|played| Some(played) != prompt) {
            return Err(format!("it heard {:?} instead of {prompt:?}", self.played));
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
}
