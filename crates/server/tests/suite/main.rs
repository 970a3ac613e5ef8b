//! The program through its public face, over real sockets and real data directories.

mod api;
mod calls;
mod carrier_client;
mod leaks;
mod ledger;
mod named_files;
mod operation;
mod softphone;
mod support;
mod tidy;
