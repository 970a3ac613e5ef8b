//! The shell of Maskline: everything that touches the world. Clocks, sockets, files, settings,
//! telemetry and the command line live here; rules live in `maskline_domain`.

pub mod admin;
pub mod api;
pub mod calls;
pub mod carrier_client;
pub mod carriers;
pub mod cli;
pub mod clocks;
pub mod config;
pub mod demo;
pub mod failure;
pub mod http_server;
pub mod jobs;
pub mod ledger;
pub mod mistakes;
pub mod permissions;
pub mod seal;
pub mod serve;
pub mod suggest;
pub mod tcp;
pub mod telemetry;
pub mod tls;
