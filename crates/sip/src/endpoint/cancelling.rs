//! The end of a call of ours that nobody has answered: CANCEL, and ringing that lasts too long (RFC 3261
//! section 9.1).

use super::dialog;
use super::leg_state::Cancel;
use super::table::Client;
use super::{ClientKey, Endpoint, Event, LegId, State, reason};
use crate::message::{Message, Method, Name};
use crate::time::Time;
use crate::transaction::InviteClient;

impl Endpoint {
    pub(super) fn cancel(&mut self, id: LegId, cause: Option<u8>, now: Time) {
        let Some(State::Calling(calling)) = self.legs.get_mut(&id).map(|leg| &mut leg.state) else {
            return;
        };
        if calling.cancel != Cancel::No {
            return;
        }
        calling.cancel = Cancel::Wanted(cause);
        let key = calling.invite;
        self.close_exchange(id, now);
        if self
            .clients
            .get(&key)
            .and_then(Client::invite)
            .is_some_and(InviteClient::is_proceeding)
        {
            self.send_cancel(id, key, cause, now);
        }
    }

    pub(super) fn send_cancel(&mut self, id: LegId, key: ClientKey, cause: Option<u8>, now: Time) {
        let give_up = now + self.config.timing.timeout_64_t1();
        if let Some(State::Calling(calling)) = self.legs.get_mut(&id).map(|leg| &mut leg.state) {
            calling.cancel = Cancel::Sent;
            calling.give_up = give_up;
        }
        self.reschedule(id);
        let Some(client) = self.clients.get(&key) else {
            return;
        };
        let to = client.to;
        let Ok(invite) = Message::parse(&client.request) else {
            return;
        };
        let Some(mut writer) = dialog::beside_invite(&invite, Method::Cancel, None) else {
            return;
        };
        if let Some(cause) = cause {
            writer.line(Name::Reason, &[reason(cause).as_bytes()]);
        }
        let cancel = ClientKey {
            is_cancel: true,
            ..key
        };
        self.start_plain_client(cancel, writer.finish(), to, None, now);
    }

    /// It rang too long, or did not end although cancelled.
    pub(super) fn on_calling_timeout(&mut self, id: LegId, now: Time) {
        let Some(State::Calling(calling)) = self.legs.get(&id).map(|leg| &leg.state) else {
            return;
        };
        if now < calling.give_up {
            return;
        }
        let key = calling.invite;
        match calling.cancel {
            Cancel::No => {
                self.cancel(id, Some(19), now);
                // If there never was a response, timer B ends it.
                if let Some(State::Calling(calling)) =
                    self.legs.get_mut(&id).map(|leg| &mut leg.state)
                {
                    calling.give_up = now + self.config.timing.timeout_64_t1();
                }
                self.event(Event::Refused {
                    leg: id,
                    status: 408,
                    cause: None,
                    silent: true,
                });
            }
            Cancel::Wanted(_) | Cancel::Sent => {
                self.remove_leg(id, now);
                self.forget_client(key);
            }
        }
    }
}
