//! What customers know from the answers they got, and nothing else.
//!
//! After every crash all of it must still be so. What a caller asked without
//! ever being answered is in doubt: it may have happened or not.

use std::collections::BTreeMap;

use maskline_domain::ops::{Unbind, UpdateBinding};
use maskline_domain::{
    Answered, Binding, Command, CommandId, CommandKey, Envelope, Outcome, Refusal, State, SubsId,
    Timestamp, Update,
};
use maskline_journal::pipeline::SubmitError;

use crate::laws::{Broken, Held, Law, broken, hold};
use crate::model::phases::is_let_go;
use crate::model::verify::Answer;

/// How many ended bindings are kept in mind.
const ENDED_MAX: usize = 200;

/// A binding as its customer knows it.
#[derive(Debug, Clone)]
struct CustomerBinding {
    binding: Binding,
    /// The customer was told that it has ended.
    ended: bool,
}

/// A command that was answered by the rules.
#[derive(Debug, Clone, Copy)]
struct Accepted {
    given: CommandKey,
    answered: Option<Answered>,
    decided_at: Timestamp,
}

/// What customers know.
#[derive(Debug, Clone, Default)]
pub struct AnswerLog {
    known: BTreeMap<SubsId, CustomerBinding>,
    /// Commands about a binding that have not been answered.
    asked: BTreeMap<SubsId, u32>,
    /// Commands that were answered by the rules.
    accepted: BTreeMap<CommandId, Accepted>,
    /// The highest id of a new binding so far.
    highest: Option<SubsId>,
}

impl AnswerLog {
    /// A command is on its way.
    pub fn asked(&mut self, envelope: &Envelope) {
        if let Some(id) = about(&envelope.command) {
            *self.asked.entry(id).or_default() += 1;
        }
    }

    /// A command was answered; it was decided at `decided_at`.
    ///
    /// # Errors
    /// The law that the answer breaks by itself.
    pub fn told(&mut self, envelope: &Envelope, answer: &Answer, decided_at: Timestamp) -> Held {
        self.hear(envelope, answer, decided_at, false)
    }

    /// The same of an answer that waited for a carrier, so that later ones may have come before it.
    ///
    /// # Errors
    /// The law that the answer breaks by itself.
    pub fn told_late(
        &mut self,
        envelope: &Envelope,
        answer: &Answer,
        decided_at: Timestamp,
    ) -> Held {
        self.hear(envelope, answer, decided_at, true)
    }

    fn hear(
        &mut self,
        envelope: &Envelope,
        answer: &Answer,
        decided_at: Timestamp,
        is_late: bool,
    ) -> Held {
        if let Some(id) = about(&envelope.command)
            && let Some(asked) = self.asked.get_mut(&id)
        {
            *asked -= 1;
            if *asked == 0 {
                self.asked.remove(&id);
            }
        }
        if self.is_told_again(envelope, answer, decided_at)? {
            return Ok(());
        }
        let Ok(outcome) = answer else {
            return Ok(());
        };
        match (&envelope.command, outcome) {
            (Command::Bind(_), Outcome::Bound(binding)) => {
                let is_late = is_late || binding.provision.is_some();
                self.bound(&as_known(binding), is_late)
            }
            (Command::Unbind(Unbind { subs_id, .. }), _) => {
                if let Some(known) = self.known.get_mut(subs_id) {
                    known.ended = true;
                }
                Ok(())
            }
            (
                Command::Update(UpdateBinding {
                    subs_id, updates, ..
                }),
                _,
            ) => {
                if let Some(known) = self.known.get_mut(subs_id) {
                    for update in updates {
                        change(&mut known.binding, update);
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn bound(&mut self, binding: &Binding, is_late: bool) -> Held {
        let known = self.known.get(&binding.subs_id);
        if let Some(known) = known {
            let in_doubt = self.asked.contains_key(&binding.subs_id);
            let same = in_doubt || (!known.ended && known.binding == *binding);
            return hold(same, Law::IdsAscend, || {
                format!("id {} was given twice", binding.subs_id)
            });
        }
        // An order that is asked again may be answered with a binding whose
        // first answer was lost; only its content is news.
        let is_news = !is_late && binding.extras.out_order_id.is_none();
        if self.highest >= Some(binding.subs_id) && is_news {
            return broken(
                Law::IdsAscend,
                format!("id {} was told after {:?}", binding.subs_id, self.highest),
            );
        }
        self.highest = self.highest.max(Some(binding.subs_id));
        self.known.insert(
            binding.subs_id,
            CustomerBinding {
                binding: binding.clone(),
                ended: false,
            },
        );
        Ok(())
    }

    /// Whether a command with this id was answered before, so that the same try of it is told the same.
    pub fn was_answered(&self, id: CommandId) -> bool {
        self.accepted.contains_key(&id)
    }

    /// Whether the answer is no news, since the same try had it before.
    fn is_told_again(
        &mut self,
        envelope: &Envelope,
        answer: &Answer,
        decided_at: Timestamp,
    ) -> Result<bool, Broken> {
        let Some(given) = envelope.id else {
            return Ok(false);
        };
        let answered = match answer {
            // How far a carrier knows of it is no news.
            Ok(Outcome::Bound(binding)) => Answered::of(&Ok(as_known(binding).into())),
            Ok(outcome) => Answered::of(&Ok(outcome.clone())),
            // Of what a carrier did not do, whoever asks again may hear no more than that it is not to be had.
            Err(SubmitError::Refused(
                Refusal::CommandRepeated
                | Refusal::CommandsTooMany
                | Refusal::CarrierRefused
                | Refusal::CarrierUnclear
                | Refusal::CarrierUnavailable,
            )) => return Ok(false),

            Err(SubmitError::Refused(refusal)) => Answered::of(&Err(refusal.clone())),
            Err(_) => return Ok(false),
        };
        let accepted = Accepted {
            given,
            answered,
            decided_at,
        };
        let before = self.accepted.insert(given.id, accepted);
        // Who waited for a carrier may be told after one whose command was decided later.
        let is_within = |before: &Accepted| match before.decided_at <= decided_at {
            true => before.given.until > decided_at,
            false => given.until > before.decided_at,
        };
        let Some(before) = before.filter(is_within) else {
            return Ok(false);
        };
        let is_same = before.given.attempt == given.attempt && before.answered == answered;
        hold(is_same, Law::OnceOnly, || {
            format!("command {} was accepted twice", given.id)
        })?;
        Ok(true)
    }

    /// Looks for all that was acknowledged in the state after a start, whose
    /// journal has come to `now`.
    ///
    /// # Errors
    /// [`Law::NothingLost`].
    pub fn look_for_all(&mut self, state: &State, now: Timestamp) -> Held {
        let asked = std::mem::take(&mut self.asked);
        for (id, known) in &mut self.known {
            let found = state.binding(*id).filter(|binding| !is_let_go(binding));
            let found = found.map(|binding| *as_known(&binding));
            if asked.contains_key(id) {
                match found {
                    Some(binding) => known.binding = binding,
                    None => known.ended = true,
                }
                continue;
            }
            match found {
                Some(_) if known.ended => {
                    return broken(Law::NothingLost, format!("{id} was ended and is back"));
                }
                Some(binding) => hold(binding == known.binding, Law::NothingLost, || {
                    format!("{id} is {binding:?}, but was {:?}", known.binding)
                })?,
                None => {
                    let gone = known.ended || known.binding.expires_at <= now;
                    hold(gone, Law::NothingLost, || {
                        format!("{id} was bound and is gone")
                    })?;
                    known.ended = true;
                }
            }
        }
        self.tidy(now);
        Ok(())
    }

    /// Lets go of what can hardly matter any more.
    pub fn tidy(&mut self, now: Timestamp) {
        let ended: Vec<SubsId> = self
            .known
            .iter()
            .filter(|(id, known)| {
                let long_over = known.binding.expires_at.0 + 900_000 < now.0;
                !self.asked.contains_key(id) && (known.ended || long_over)
            })
            .map(|(id, _)| *id)
            .collect();
        let superfluous = ended.len().saturating_sub(ENDED_MAX);
        for id in ended.into_iter().take(superfluous) {
            self.known.remove(&id);
        }
        self.accepted
            .retain(|_, accepted| accepted.given.until.0 + 900_000 > now.0);
    }

    /// The bindings that customers take to be in force at `now`.
    pub fn in_force(&self, now: Timestamp) -> Vec<&Binding> {
        self.known
            .values()
            .filter(|known| !known.ended && known.binding.expires_at > now)
            .map(|known| &known.binding)
            .collect()
    }

    /// The bindings that customers know to have ended.
    pub fn ended(&self, now: Timestamp) -> Vec<&Binding> {
        self.known
            .values()
            .filter(|known| known.ended || known.binding.expires_at <= now)
            .map(|known| &known.binding)
            .collect()
    }
}

/// A binding as its customer knows it: how far a carrier does is not the customer's business.
fn as_known(binding: &Binding) -> Box<Binding> {
    Box::new(Binding {
        provision: None,
        ..binding.clone()
    })
}

/// The binding that a command would change.
fn about(command: &Command) -> Option<SubsId> {
    match command {
        Command::Unbind(Unbind { subs_id, .. })
        | Command::Update(UpdateBinding { subs_id, .. }) => Some(*subs_id),
        _ => None,
    }
}

fn change(binding: &mut Binding, update: &Update) {
    match update {
        Update::A(a) => binding.a = a.number(),
        Update::B(b) => binding.b = Some(b.number()),
        Update::ExpiresAt(expires_at) => binding.expires_at = *expires_at,
        Update::Restriction(restriction) => binding.restriction = *restriction,
        Update::Record(on) => binding.record = *on,
        Update::OutId(text) => binding.extras.out_id.clone_from(text),
        Update::RingConfig(text) => binding.extras.ring_config.clone_from(text),
        Update::SpeechRecognition(on) => binding.speech_recognition = *on,
        Update::SpeechModel(text) => binding.extras.speech_model.clone_from(text),
    }
}
