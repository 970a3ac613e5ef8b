//! `maskline clock`.

use clap::Subcommand;
use serde_json::json;

use super::{Client, Failure, show};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Confirm that the wall clock is right although it leapt, so that bindings are ended by it again
    Trust,
}

pub fn run(client: &Client, command: &Command) -> Result<(), Failure> {
    let Command::Trust = command;
    client.post("/v1/clock/trust", &json!({}))?;
    show::line("the wall clock is trusted")
}
