//! `maskline audit`.

use super::client::query;
use super::{Client, Failure, show};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// No more than so many
    #[arg(long, default_value_t = 50)]
    limit: u32,
}

pub fn run(client: &Client, args: &Args) -> Result<(), Failure> {
    let limit = args.limit.to_string();
    let query = query(&[("limit", Some(&limit))]);
    show::rows(
        client,
        &client.get(&format!("/v1/audit{query}"))?,
        &[
            ("BATCH", "batch"),
            ("AT", "at"),
            ("WHO", "actor"),
            ("WHAT", "deed"),
            ("FACTS", "facts"),
        ],
    )
}
