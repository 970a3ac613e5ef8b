//! `maskline binding`.

use clap::Subcommand;

use super::client::part;
use super::{Client, Failure, show};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the bindings in force, or with --ended those that have ended; the newest first
    Ls {
        /// Only those of this account
        #[arg(long)]
        account: Option<String>,
        /// Only those in this pool; ended ones by the pool that they were made in
        #[arg(long)]
        pool: Option<String>,
        /// Only those on this X number
        #[arg(long)]
        x: Option<String>,
        /// Only those of this party, A or B
        #[arg(long, value_name = "NUMBER")]
        party: Option<String>,
        /// Those that have ended
        #[arg(long)]
        ended: bool,
        /// Only those behind this place: the `next` of a list before
        #[arg(long, value_name = "KEY", alias = "before")]
        after: Option<String>,
        /// No more than so many
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Show one binding with everything the customer gave; its texts, OutId included, with --reveal
    Show {
        /// The SubsId
        subs_id: String,
    },
    /// End a binding
    Unbind {
        /// The SubsId
        subs_id: String,
    },
}

pub fn run(client: &Client, command: &Command) -> Result<(), Failure> {
    match command {
        Command::Ls {
            account,
            pool,
            x,
            party,
            ended,
            after,
            limit,
        } => {
            let state = if *ended {
                "ended"
            } else {
                "live,reserved,releasing,over"
            };
            let filters = [
                ("account", account.as_deref()),
                ("state", Some(state)),
                ("pool", pool.as_deref()),
                ("x", x.as_deref()),
                ("party", party.as_deref()),
            ];
            let mut columns = vec![
                ("SUBS ID", "subs_id"),
                ("POOL", "pool"),
                ("PRODUCT", "product"),
                ("X", "x"),
                ("A", "a"),
                ("B", "b"),
                ("STATE", "state"),
                ("EXPIRES", "expires_at"),
            ];
            if *ended {
                columns.push(("ENDED HOW", "ended_how"));
            }
            let found = client.list("/v1/bindings", &filters, after.as_deref(), Some(*limit))?;
            show::rows(client, &found, &columns)
        }
        Command::Show { subs_id } => show::fields(
            client,
            &client.get(&format!("/v1/bindings/{}", part(subs_id)))?,
        ),
        Command::Unbind { subs_id } => {
            client.delete(&format!("/v1/bindings/{}", part(subs_id)))?;
            show::line(&format!("binding {subs_id} ended"))
        }
    }
}
