//! INFO within a dialog: keys that travel beside the media (RFC 6086 section 5, the older use without packages).

use super::stateless::Hint;
use super::{Endpoint, Event, LegId};
use crate::dtmf;
use crate::hop::Hop;
use crate::message::{self, Message, Method, Name};
use crate::time::Time;

/// The most INFO requests of ours on one leg that wait for their answers.
const WAITING_MAX: u8 = 8;

impl Endpoint {
    pub(super) fn on_info(
        &mut self,
        id: LegId,
        request: &Message,
        from: Hop,
        key: Box<[u8]>,
        now: Time,
    ) {
        let kind = request
            .header(Name::ContentType)
            .and_then(|kind| kind.split(|&byte| byte == b';').next())
            .map(|kind| crate::text::trim(kind).to_ascii_lowercase());
        let known = kind.filter(|kind| dtmf::INFO_TYPES.contains(&kind.as_slice()));
        let (status, hint) = match &known {
            // We announce no package (RFC 6086 section 4.2.2).
            _ if request.header(Name::InfoPackage).is_some() => (469, Hint::None),
            None if !request.body().is_empty() => (415, Hint::AcceptInfo),
            _ => (200, Hint::None),
        };
        let bytes = match status {
            200 => message::reply(request, from, 200, None).finish(),
            _ => self.write_answer(request, from, status, hint),
        };
        self.respond_within(request, from, key, id, (status, bytes), now);
        if let Some(content_type) = known.filter(|_| status == 200 && !request.body().is_empty()) {
            self.event(Event::Info {
                leg: id,
                content_type,
                body: request.body().to_vec(),
            });
        }
    }

    pub(super) fn send_info(&mut self, id: LegId, content_type: &[u8], body: &[u8], now: Time) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        if leg.infos >= WAITING_MAX || leg.known_dialog().is_none() {
            return;
        }
        leg.infos += 1;
        if let Some((key, writer, to)) = self.request_within(id, Method::Info) {
            let bytes = writer.finish_with(content_type, body);
            self.start_plain_client(key, bytes, to, Some(id), now);
        }
    }
}
