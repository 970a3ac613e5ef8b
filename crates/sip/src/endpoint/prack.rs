//! Provisional responses that are acknowledged: 100rel and PRACK (RFC 3262), on both sides.

use super::leg_state::{Unacknowledged, Wanted};
use super::negotiation::{Exchange, PendingOffer, Theirs, kept};
use super::remote_offer::THINKING;
use super::stateless::Hint;
use super::{Endpoint, Event, LegId, Output, State, body_of, sdp_of};
use crate::hop::Hop;
use crate::message::{self, Message, Method, Name};
use crate::text;
use crate::time::Time;
use crate::transaction::{Reliability, Repeat};
use std::sync::Arc;
use std::time::Duration;

/// The most provisional responses that wait for the acknowledgement of an earlier one; the oldest go.
const WAITING_MAX: usize = 4;

impl Endpoint {
    /// Tells the caller about progress, at once or when an earlier word has been acknowledged.
    pub(super) fn progress(&mut self, id: LegId, status: u16, sdp: Option<Vec<u8>>, now: Time) {
        let status = if (101..200).contains(&status) {
            status
        } else {
            183
        };
        let Some(State::Ringing(ringing)) = self.legs.get_mut(&id).map(|leg| &mut leg.state) else {
            return;
        };
        let reliable = &mut ringing.reliable;
        if reliable.answer.is_some() {
            return;
        }
        let must_wait = reliable.unacknowledged.is_some()
            && (reliable.wanted == Wanted::Always || sdp.is_some());
        if !must_wait {
            return self.send_progress(id, status, sdp, now);
        }
        if reliable.waiting.len() == WAITING_MAX {
            reliable.waiting.pop_front();
        }
        reliable.waiting.push_back((status, sdp));
    }

    fn send_progress(&mut self, id: LegId, status: u16, sdp: Option<Vec<u8>>, now: Time) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let State::Ringing(ringing) = &mut leg.state else {
            return;
        };
        let is_first = leg.negotiation.is_first();
        if !is_first
            && let Some(sdp) = &sdp
            && leg.negotiation.local.as_deref() != Some(sdp)
        {
            // What is agreed can only be changed by an offer of its own.
            leg.negotiation.pending_offer = Some(PendingOffer::to_offer(sdp, now));
        }
        let is_delayed = ringing.is_delayed();
        let wanted = ringing.reliable.wanted;
        let sdp = sdp.filter(|_| is_first);
        let is_reliable = wanted == Wanted::Always || (wanted == Wanted::WithSdp && sdp.is_some());
        // An offer must not be lost (RFC 3261 section 13.2.1), and an answer stays as it is.
        let sdp = match is_reliable {
            true => sdp,
            false => sdp
                .filter(|_| !is_delayed)
                .map(|sdp| ringing.reliable.said.get_or_insert(sdp).clone()),
        };
        let rseq = ringing.reliable.last + 1;
        if is_reliable {
            ringing.reliable.last = rseq;
        }
        let Some((mut writer, server)) = self.reply_to_invite(id, status) else {
            return;
        };
        if is_reliable {
            writer
                .line(Name::Require, &[b"100rel"])
                .line(Name::RSeq, &[rseq.to_string().as_bytes()]);
        }
        let bytes = match &sdp {
            Some(sdp) => writer.finish_with_sdp(sdp),
            None => writer.finish(),
        };
        self.respond(server, status, bytes.clone(), now);
        if is_reliable {
            self.await_prack(id, rseq, bytes, sdp, now);
        }
        self.reschedule(id);
    }

    fn await_prack(
        &mut self,
        id: LegId,
        rseq: u32,
        bytes: Arc<[u8]>,
        sdp: Option<Vec<u8>>,
        now: Time,
    ) {
        let timing = self.config.timing;
        let Some(State::Ringing(ringing)) = self.legs.get_mut(&id).map(|leg| &mut leg.state) else {
            return;
        };
        let Some(to) = self.servers.get_mut(ringing.server).map(|server| server.to) else {
            return;
        };
        ringing.reliable.unacknowledged = Some(Unacknowledged {
            rseq,
            bytes,
            to,
            // Over any transport: a proxy on the way may lose it.
            repeat: Repeat::new(
                timing.t1,
                timing.timeout_64_t1(),
                Reliability::Unreliable,
                now,
            ),
            sdp,
        });
    }

    /// Whether an answer must wait for a PRACK; if so it is kept.
    pub(super) fn keep_answer(&mut self, id: LegId, sdp: &[u8]) -> bool {
        let Some(State::Ringing(ringing)) = self.legs.get_mut(&id).map(|leg| &mut leg.state) else {
            return false;
        };
        let reliable = &mut ringing.reliable;
        let must_wait = reliable
            .unacknowledged
            .as_ref()
            .is_some_and(|sent| sent.sdp.is_some());
        if must_wait {
            reliable.answer.get_or_insert_with(|| sdp.to_vec());
        }
        must_wait
    }

    /// PRACK from the caller (section 3). It may bring the answer to our offer, or a new offer (section 5).
    pub(super) fn on_prack(
        &mut self,
        id: LegId,
        request: Message,
        from: Hop,
        key: Box<[u8]>,
        now: Time,
    ) {
        let Some(sent) = self.take_acknowledged(id, &request) else {
            let said = rack(&request).map(|(rseq, _)| rseq);
            let late = self.legs.get_mut(&id).map(|leg| &mut leg.late_rseq);
            let is_late = late
                .and_then(|late| late.take_if(|late| said == Some(*late)))
                .is_some();
            let (status, bytes) = match is_late {
                true => (200, message::reply(&request, from, 200, None).finish()),
                false => (481, self.write_answer(&request, from, 481, Hint::None)),
            };
            return self.respond_within(&request, from, key, id, (status, bytes), now);
        };
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let is_delayed = matches!(&leg.state, State::Ringing(ringing) if ringing.is_delayed());
        let mut answer = None;
        if let Some(sdp) = sent.sdp
            && leg.negotiation.is_first()
        {
            answer = body_of(&request).filter(|_| is_delayed);
            if let Some(answer) = &answer {
                leg.negotiation.remote = kept(answer);
            }
            if answer.is_some() || !is_delayed {
                leg.negotiation.local = Some(sdp.into());
                leg.negotiation.exchange = Exchange::Idle;
            }
        }
        let offers = answer.is_none() && sdp_of(&request).is_some();
        let refusal = match leg.negotiation.exchange {
            _ if !offers => None,
            Exchange::Idle => None,
            // Whose offer still wants its answer (RFC 3311 section 5.2)?
            Exchange::First if is_delayed => Some(491),
            Exchange::First | Exchange::Theirs(_) => Some(500),
            Exchange::Ours(_) | Exchange::Confirming(_) => Some(491),
        };
        if offers && refusal.is_none() {
            if let Some(server) = self.open_server(&request, from, key, id) {
                let request = Arc::new(request);
                let until = now + THINKING;
                self.ask_the_call(
                    id,
                    Theirs {
                        server,
                        request,
                        source: from,
                        until,
                    },
                );
            }
        } else {
            let bytes = match refusal {
                None => message::reply(&request, from, 200, None).finish(),
                Some(500) => {
                    let soon = Hint::RetrySoon(self.soon());
                    self.write_answer(&request, from, 500, soon)
                }
                Some(status) => self.write_answer(&request, from, status, Hint::None),
            };
            let status = refusal.unwrap_or(200);
            self.respond_within(&request, from, key, id, (status, bytes), now);
        }
        if let Some(sdp) = answer {
            self.event(Event::OfferAccepted { leg: id, sdp });
        }
        self.go_on(id, now);
        self.reschedule(id);
    }

    /// The response that a PRACK acknowledges, if it is the one that waits.
    fn take_acknowledged(&mut self, id: LegId, prack: &Message) -> Option<Unacknowledged> {
        let State::Ringing(ringing) = &mut self.legs.get_mut(&id)?.state else {
            return None;
        };
        let invite_cseq = ringing.invite.essentials().ok()?.cseq.number;
        let (rseq, cseq) = rack(prack)?;
        ringing
            .reliable
            .unacknowledged
            .take_if(|sent| cseq == invite_cseq && sent.rseq == rseq)
    }

    /// Says what had to wait.
    fn go_on(&mut self, id: LegId, now: Time) {
        loop {
            let Some(State::Ringing(ringing)) = self.legs.get_mut(&id).map(|leg| &mut leg.state)
            else {
                return;
            };
            let reliable = &mut ringing.reliable;
            if reliable.unacknowledged.is_some() {
                return;
            }
            if let Some(sdp) = reliable.answer.take() {
                return self.answer(id, &sdp, now);
            }
            let Some((status, sdp)) = reliable.waiting.pop_front() else {
                return;
            };
            self.send_progress(id, status, sdp, now);
        }
    }

    /// Sends the unacknowledged response again. False if it never was acknowledged: then the INVITE fails.
    pub(super) fn repeat_progress(&mut self, id: LegId, now: Time) -> bool {
        let Some(State::Ringing(ringing)) = self.legs.get_mut(&id).map(|leg| &mut leg.state) else {
            return true;
        };
        let Some(sent) = &mut ringing.reliable.unacknowledged else {
            return true;
        };
        if now >= sent.repeat.until {
            return false;
        }
        if sent.repeat.take_due(now, Duration::MAX) {
            let (to, bytes) = (sent.to, sent.bytes.clone());
            self.outputs.push_back(Output::Send { to, bytes });
        }
        true
    }

    /// The called side sent a provisional response on the early dialog with this tag. Acknowledges it if it
    /// asks for that. False if it came before, or others before it are missing: then it does not count.
    pub(super) fn acknowledge_progress(
        &mut self,
        id: LegId,
        tag: &[u8],
        response: &Message,
        now: Time,
    ) -> bool {
        let rseq = response.header(Name::RSeq).and_then(text::number::<u32>);
        let Some(rseq) = rseq.filter(|_| response.lists(Name::Require, "100rel")) else {
            return true;
        };
        let Ok(essentials) = response.essentials() else {
            return false;
        };
        let Some(leg) = self.legs.get_mut(&id) else {
            return false;
        };
        let State::Calling(calling) = &mut leg.state else {
            return false;
        };
        let Some(early) = calling.early.find(tag) else {
            return false;
        };
        // Section 4: in order, each once; its repetitions are dropped, since our PRACK repeats itself.
        if early.rseq.is_some_and(|last| rseq != last.wrapping_add(1)) {
            return false;
        }
        early.rseq = Some(rseq);
        if sdp_of(response).is_some() {
            early.is_agreed = true;
            if leg.negotiation.is_first() {
                leg.negotiation.exchange = Exchange::Idle;
            }
        }
        leg.dialog.local_cseq += 1;
        let (dialog, cseq) = (early.dialog.clone(), leg.dialog.local_cseq);
        let way = leg.way(&dialog);
        let (key, via) = self.fresh_via(way);
        let mut writer = dialog.numbered(Method::Prack, cseq, via.as_bytes());
        let rack = format!("{rseq} {} INVITE", essentials.cseq.number);
        writer.line(Name::RAck, &[rack.as_bytes()]);
        self.start_plain_client(key, writer.finish(), way.to, Some(id), now);
        true
    }
}

/// Which response to which INVITE a PRACK acknowledges.
fn rack(prack: &Message) -> Option<(u32, u32)> {
    let mut words = prack
        .header(Name::RAck)?
        .split(|&byte| text::is_space(byte))
        .filter(|word| !word.is_empty());
    let rseq = words.next().and_then(text::number)?;
    let cseq = words.next().and_then(text::number)?;
    (words.next() == Some(b"INVITE")).then_some((rseq, cseq))
}
