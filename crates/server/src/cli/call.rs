//! `maskline call`.

use clap::Subcommand;

use super::client::{part, query};
use super::{Client, Failure, show};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List call records, the newest first
    Ls {
        /// Only those on this X number
        #[arg(long)]
        x: Option<String>,
        /// No more than so many
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Show one call
    Show {
        /// Its id
        call_id: String,
    },
}

pub fn run(client: &Client, command: &Command) -> Result<(), Failure> {
    match command {
        Command::Ls { x, limit } => {
            let limit = limit.to_string();
            let query = query(&[("x", x.as_deref()), ("limit", Some(&limit))]);
            show::rows(
                client,
                &client.get(&format!("/v1/calls{query}"))?,
                &[
                    ("CALL", "call_id"),
                    ("ARRIVED", "arrived_at"),
                    ("CALLER", "caller"),
                    ("X", "x"),
                    ("CALLEE", "callee"),
                    ("STATE", "state"),
                    ("SITUATION", "situation"),
                    ("STATUS", "sip_status"),
                    ("TALKED S", "talked_s"),
                ],
            )
        }
        Command::Show { call_id } => show::fields(
            client,
            &client.get(&format!("/v1/calls/{}", part(call_id)))?,
        ),
    }
}
