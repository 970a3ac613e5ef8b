//! SIP through its public face: messages as bytes, endpoints in virtual time.

mod bounds;
mod broken;
mod challenge;
mod corpus;
mod digest;
mod early;
mod flaws;
mod fuzz;
mod in_dialog;
mod named;
mod nat;
mod offers;
mod origin;
mod pair;
mod refresh;
mod registration;
mod stateless;

mod torture;
mod unproven;
mod updates;
mod wire;
