//! `maskline audit`.

use super::{Client, Failure, show};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// No more than so many
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Only what was done before this place: the `next` of a list before
    #[arg(long, value_name = "KEY")]
    after: Option<String>,
}

pub fn run(client: &Client, args: &Args) -> Result<(), Failure> {
    show::rows(
        client,
        &client.list("/v1/audit", &[], args.after.as_deref(), Some(args.limit))?,
        &[
            ("BATCH", "batch"),
            ("AT", "at"),
            ("WHO", "actor"),
            ("REMARK", "remark"),
            ("WHAT", "deed"),
            ("FACTS", "facts"),
        ],
    )
}
