//! `maskline trunk`.

use clap::Subcommand;

use super::{Client, Failure, show};
use crate::admin::document::{Document, Unwanted, WantedTrunk};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List trunks
    Ls,
    /// Make a trunk, or change one
    Set {
        /// The trunk's name
        name: String,
        /// The peer's IP address and port
        #[arg(long, value_name = "IP:PORT")]
        peer: Option<String>,
        /// Whether calls may use it
        #[arg(long, value_name = "BOOL")]
        enabled: Option<bool>,
    },
    /// Take a trunk away
    Delete {
        /// The trunk's name
        name: String,
    },
}

pub fn run(client: &Client, command: &Command) -> Result<(), Failure> {
    let document = match command {
        Command::Ls => {
            return show::rows(
                client,
                &client.get("/v1/trunks")?,
                &[("TRUNK", "name"), ("PEER", "peer"), ("ENABLED", "enabled")],
            );
        }
        Command::Set {
            name,
            peer,
            enabled,
        } => Document {
            trunks: vec![WantedTrunk {
                name: name.clone(),
                peer: peer.clone(),
                enabled: *enabled,
            }],
            ..Document::default()
        },
        Command::Delete { name } => Document {
            remove: Unwanted {
                trunks: vec![name.clone()],
                ..Unwanted::default()
            },
            ..Document::default()
        },
    };
    show::changes(client, &client.apply(&document, false)?, false)
}
