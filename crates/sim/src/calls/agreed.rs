//! What a phone must take for agreed, read from its messages as they cross the wire.

use std::collections::BTreeMap;

use maskline_sip::message::{Message, Method, Name};
use maskline_sip::sdp::{self, Codec};
use std::net::SocketAddr;

use super::addresses::address_named;

/// A transaction of the call: whether the phone began it, and its number.
type Exchange = (bool, u32);

/// An offer, and how far its exchange has come.
#[derive(Debug)]
struct Offer {
    codecs: Vec<Codec>,
    /// Where its maker hears, if that is the phone.
    own: Option<SocketAddr>,
    /// Whether it came in a response, so that the answer comes in a request.
    in_response: bool,
    answered: Answered,
}

/// How an offer was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answered {
    Not,
    /// Early, and nobody acknowledges that: what the final answer says counts.
    Loosely,
    Finally,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Agreements {
    offers: BTreeMap<Exchange, Offer>,
    codec: Option<Codec>,
    /// Where the phone hears by what is agreed.
    address: Option<SocketAddr>,
    /// The last of its own offers that was answered: a phone that offers in a PRACK and by UPDATE at once may
    /// hear the answers in the other order.
    newest: u32,
    /// Whether something was said that is not read here, a codec that is only passed on.
    is_unclear: bool,
}

impl Agreements {
    /// The codec that it sends and expects; none if there is none that we know.
    pub fn codec(&self) -> Option<Codec> {
        self.codec
    }

    /// Where it hears; none if nothing was agreed yet, or if that cannot be known.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address.filter(|_| !self.is_unclear)
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
        let named = sdp::host_name(said).and_then(address_named);
        let Ok(said) = sdp::parse_within(said, &[], named, |_| true) else {
            self.is_unclear = true;
            return true;
        };
        let own = ours.then_some(said.audio.address);
        let codecs: Vec<Codec> = said.audio.codecs.iter().map(|(codec, _)| *codec).collect();
        let number = essentials.cseq.number;
        match (message.method(), message.status()) {
            (Some(Method::Invite | Method::Update), _) => {
                self.offer((ours, number), codecs, own, false);
            }
            (Some(Method::Ack), _) => {
                self.answer((ours, number), &codecs, own, (true, Answered::Finally));
            }
            (Some(Method::Prack), _) => {
                let invite = invite_of(&message).map(|number| (ours, number));
                let asked = invite.and_then(|invite| Some((invite, self.offers.get(&invite)?)));
                match asked.filter(|(_, offer)| offer.in_response) {
                    Some((invite, _)) => {
                        self.answer(invite, &codecs, own, (true, Answered::Finally));
                    }
                    // It brings an offer of its own (RFC 3262 section 5).
                    None => self.offer((ours, number), codecs, own, false),
                }
            }
            (None, Some(status)) => {
                let is_loose = status < 200 && message.header(Name::RSeq).is_none();
                let how = match is_loose {
                    true => Answered::Loosely,
                    false => Answered::Finally,
                };
                self.answer((!ours, number), &codecs, own, (false, how));
                self.offer((!ours, number), codecs, own, true);
            }
            _ => {}
        }
        true
    }

    fn offer(
        &mut self,
        exchange: Exchange,
        codecs: Vec<Codec>,
        own: Option<SocketAddr>,
        in_response: bool,
    ) {
        self.offers.entry(exchange).or_insert(Offer {
            codecs,
            own,
            in_response,
            answered: Answered::Not,
        });
    }

    /// The first answer counts that is not a loose one; later ones are its repetitions.
    fn answer(
        &mut self,
        exchange: Exchange,
        codecs: &[Codec],
        own: Option<SocketAddr>,
        (to_response, how): (bool, Answered),
    ) {
        let Some(offer) = self.offers.get_mut(&exchange) else {
            return;
        };
        let is_settled = match how {
            Answered::Loosely => offer.answered != Answered::Not,
            _ => offer.answered == Answered::Finally,
        };
        if offer.in_response == to_response && !is_settled {
            offer.answered = how;
            let (is_own, number) = exchange;
            if is_own && number < self.newest {
                return;
            }
            self.newest = if is_own { number } else { self.newest };
            let both = |codec: &&Codec| offer.codecs.contains(codec);
            self.codec = codecs.iter().find(both).copied();
            self.address = own.or(offer.own);
        }
    }
}

/// The number of the INVITE whose response a PRACK acknowledges.
fn invite_of(prack: &Message) -> Option<u32> {
    let value = std::str::from_utf8(prack.header(Name::RAck)?).ok()?;
    value.split_whitespace().nth(1)?.parse().ok()
}
