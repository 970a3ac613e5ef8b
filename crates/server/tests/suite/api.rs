//! The customers' interface over real sockets: the gateway, its actions, and ten thousand requests
//! that are not quite right.

mod access;
mod actions;
mod answers;
mod auth;
mod client;
mod forms;
mod framing;
mod mutations;
mod ownership;
mod store;
mod traps;
mod visits;
mod world;
