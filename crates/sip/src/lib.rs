//! SIP and RTP as pure machines: bytes and the time go in; bytes, events and the next deadline come out.
//!
//! Nothing here opens a socket, looks at a clock or rolls a die. The shell hands [`endpoint::Endpoint`]
//! each datagram and each wish of the call above it together with the time, carries out every
//! [`endpoint::Output`], and comes back no later than [`endpoint::Endpoint::poll_timeout`] says. So a
//! call replays from a seed, and a test runs two endpoints over a bad network in virtual time.
//!
//! From the wire inwards:
//!
//! - [`stream`] cuts messages out of TCP and TLS; [`hop`] says where one comes from or goes.
//! - [`message`] splits a message without copying or judging it and writes new ones; [`uri`] reads
//!   SIP and `tel:` addresses; [`identity`] says who is calling, both ways; [`digest`] proves it.
//! - [`transaction`] holds the four state machines of RFC 3261 section 17, as mended by RFC 6026.
//! - [`endpoint`] puts a stateless front, transactions and dialogs together into *legs*: one party's
//!   side of a call.
//! - [`cause`] says why a call ended.
//! - [`sdp`] reads a media offer or answer and writes one of our own.
//! - [`rtp`] reads and writes media packets, splices sources into one stream and counts what is missing;
//!   [`rtcp`] reports it. [`dtmf`] has the keys that somebody presses during a call.
//! - [`g711`] has the audio formats that every telephone understands, [`wav`] the files for them, and
//!   [`timeline`] lays packets out in time, as a recording needs them.
//!
//! Two rules hold everywhere. A message for one side is **written anew**, never copied from the other.
//! And everything that comes from outside has a bound: see the `*_MAX` constants beside what they bound.

pub mod cause;
pub mod digest;
pub mod dtmf;
pub mod endpoint;
pub mod g711;
pub mod hop;
pub mod identity;
pub mod message;
pub mod relay;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
pub mod stream;
pub mod time;
pub mod timeline;
pub mod transaction;
pub mod uri;
pub mod wav;

mod chance;
mod params;
mod text;
