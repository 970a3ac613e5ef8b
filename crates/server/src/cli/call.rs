//! `maskline call`.

use clap::Subcommand;

use super::{Client, Failure, records};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List call records, the newest first
    Ls(Box<records::Ls>),
    /// Show one call
    Show(records::Show),
    /// List the calls that last
    Live,
}

pub fn run(client: &Client, command: &Command) -> Result<(), Failure> {
    match command {
        Command::Ls(args) => records::ls(client, args),
        Command::Show(args) => records::show(client, args),
        Command::Live => records::live(client),
    }
}
