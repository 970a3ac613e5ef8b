//! What a phone must take for agreed, read from its messages as they cross the wire.

use std::collections::BTreeMap;

use maskline_sip::message::{Message, Method, Name};
use maskline_sip::sdp::{self, Codec};

/// A transaction of the call: whether the phone began it, and its number.
type Exchange = (bool, u32);

/// An offer, and how far its exchange has come.
#[derive(Debug)]
struct Offer {
    codecs: Vec<Codec>,
    /// Whether it came in a response, so that the answer comes in a request.
    in_response: bool,
    is_answered: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Agreements {
    offers: BTreeMap<Exchange, Offer>,
    codec: Option<Codec>,
}

impl Agreements {
    /// The codec that it sends and expects; none if there is none that we know.
    pub fn codec(&self) -> Option<Codec> {
        self.codec
    }

    /// A message of the phone (`ours`), or to it. Says whether it has a description.
    pub fn note(&mut self, bytes: &[u8], ours: bool) -> bool {
        let Ok(message) = Message::parse(bytes) else {
            return false;
        };
        let Ok(essentials) = message.essentials() else {
            return false;
        };
        let Some(said) = message.sdp() else {
            return false;
        };
        let Ok(said) = sdp::parse(said) else {
            return true;
        };
        let codecs: Vec<Codec> = said.audio.codecs.iter().map(|(codec, _)| *codec).collect();
        let number = essentials.cseq.number;
        match (message.method(), message.status()) {
            (Some(Method::Invite | Method::Update), _) => {
                self.offer((ours, number), codecs, false);
            }
            (Some(Method::Ack), _) => self.answer((ours, number), &codecs, true),
            (Some(Method::Prack), _) => {
                if let Some(number) = invite_of(&message) {
                    self.answer((ours, number), &codecs, true);
                }
            }
            (None, Some(_)) => {
                self.answer((!ours, number), &codecs, false);
                self.offer((!ours, number), codecs, true);
            }
            _ => {}
        }
        true
    }

    fn offer(&mut self, exchange: Exchange, codecs: Vec<Codec>, in_response: bool) {
        self.offers.entry(exchange).or_insert(Offer {
            codecs,
            in_response,
            is_answered: false,
        });
    }

    /// The first answer counts; later ones are its repetitions.
    fn answer(&mut self, exchange: Exchange, codecs: &[Codec], to_response: bool) {
        let Some(offer) = self.offers.get_mut(&exchange) else {
            return;
        };
        if offer.in_response == to_response && !offer.is_answered {
            offer.is_answered = true;
            let both = |codec: &&Codec| offer.codecs.contains(codec);
            self.codec = codecs.iter().find(both).copied();
        }
    }
}

/// The number of the INVITE whose response a PRACK acknowledges.
fn invite_of(prack: &Message) -> Option<u32> {
    let value = std::str::from_utf8(prack.header(Name::RAck)?).ok()?;
    value.split_whitespace().nth(1)?.parse().ok()
}
