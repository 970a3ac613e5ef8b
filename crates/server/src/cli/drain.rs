//! `maskline drain`.

use std::time::Duration;

use serde_json::json;

use super::{Client, Failure, show};

/// How often the service is asked how many calls are left.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Return only when the last call has ended
    #[arg(long)]
    wait: bool,
}

pub fn run(client: &Client, args: &Args) -> Result<(), Failure> {
    let mut left = client.post("/v1/drain", &json!({}))?["calls"].as_u64();
    show::line(&format!(
        "no new calls are taken; {} last still",
        left.unwrap_or(0)
    ))?;
    while args.wait && left != Some(0) {
        std::thread::sleep(LOOK_EVERY);
        left = client.get("/v1/status")?["calls"].as_u64();
    }
    if args.wait {
        show::line("no call is left")?;
    }
    Ok(())
}
