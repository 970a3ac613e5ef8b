//! SIP through its public face: messages as bytes, endpoints in virtual time.

mod address_validation;
mod bounds;
mod broken_connections;
mod challenge;
mod corpus;
mod digest;
mod fuzz;
mod in_dialog;
mod nat;
mod offers;
mod origin;
mod pair;
mod provisional_responses;
mod registration;
mod sdp_flaws;
mod session_timer;
mod stateless;
mod torture;
mod unauthenticated_bye;
mod updates;
mod wire;
