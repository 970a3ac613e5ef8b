//! A caller, the switch and a callee in virtual time, and what each side gets to see.

mod chance;
mod connecting;
mod delayed_offers;
mod early_media;
mod early_offers;
mod masking;
mod media_changes;
mod media_names;
mod media_reach;
mod milestones;
mod preconditions;
mod prompts;
mod refusing;
mod ring_tones;
mod trunk_failures;
mod trunks;
mod unusable_offers;
mod world;

use super::codecs::Codecs;
use super::media::Media;
use super::media_reach::Reach;
use super::*;
use maskline_domain::binding::Extras;
use maskline_domain::call::{Milestone, Notice, Reached};
use maskline_domain::call_record::CallRecord;
use maskline_domain::routing::{Route, RouteQuery, Situation};
use maskline_domain::{AccountId, Binding, PoolKey, SubsId, Timestamp, ToneCode, TrunkName};
use maskline_fixtures::Chance;
use maskline_fixtures::domain::number;
use maskline_fixtures::sip::{address, udp};
use maskline_sip::endpoint::{Config, Dial, Event, Peer, Refusal};
use maskline_sip::g711::Law;
use maskline_sip::hop::Hop;
use maskline_sip::identity::Identity;
use maskline_sip::sdp::{Direction, Payloads};
use std::net::SocketAddr;
use std::sync::Arc;
use world::{
    A, Answers, CALLEE, CALLEE_MEDIA, CALLER, CALLER_MEDIA, DEAD, N, SPARE, SWITCH, World, X,
    holds, reach, sdp_at, setup, trunk, well,
};
