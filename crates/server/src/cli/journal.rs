//! `maskline journal`: read straight from the data directory, whether a service runs or not.

use std::io::Write;
use std::path::Path;

use clap::Subcommand;
use maskline_domain::Timestamp;
use maskline_store::{journal, show, sqlite};
use serde_json::json;

use super::{Client, Common, Failure};

/// Batches read at a time.
const BATCHES: u32 = 64;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print batches as text: who did what, and when
    Show {
        /// The first batch to print [default: so that the newest are printed]
        #[arg(long, value_name = "BATCH")]
        from: Option<u64>,
        /// Begin with the first batch at or after this moment, as 'yyyy-MM-dd HH:mm:ss' in China
        /// time
        #[arg(long, value_name = "TIME", conflicts_with = "from")]
        at: Option<String>,
        /// Print at most so many
        #[arg(long, default_value_t = 20)]
        limit: u64,
    },
}

pub fn run(common: &Common, command: &Command) -> Result<(), Failure> {
    let Command::Show { from, at, limit } = command;
    let settings = common.load()?.settings;
    let at = match at {
        None => None,
        Some(text) => Some(Timestamp::parse_china(text).ok_or_else(|| {
            Failure::Usage(format!(
                "`{text}` is not a time such as '2026-09-05 12:00:00'"
            ))
        })?),
    };
    if common.reveal {
        // Who looks at whole numbers is written down first, which only a running service can do.
        let mut what = format!("the journal limit={limit}");
        if let Some(from) = from {
            what.push_str(&format!(" from={from}"));
        }
        if let Some(at) = at {
            what.push_str(&format!(" at={:?}", at.format_china()));
        }
        let what = json!({ "what": what });
        Client::find(common)?.post("/v1/reveals", &what)?;
    }
    let begin = match (from, at) {
        (Some(from), _) => Begin::Batch(*from),
        (None, Some(at)) => Begin::Moment(at),
        (None, None) => Begin::Newest,
    };
    super::block_on(print(
        Path::new(&settings.data),
        begin,
        *limit,
        common.reveal,
    ))
}

enum Begin {
    Batch(u64),
    Moment(Timestamp),
    Newest,
}

async fn print(data: &Path, begin: Begin, limit: u64, reveal: bool) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(error.to_string());
    let readers = sqlite::readers(data, 1)
        .await
        .map_err(|error| failed(&error))?;
    let mut conn = readers.acquire().await.map_err(|error| failed(&error))?;
    let mut next = match begin {
        Begin::Batch(from) => from,
        Begin::Moment(at) => match journal::first_at(&mut conn, at.0).await {
            Ok(found) => found.ok_or_else(|| failed(&"the journal ends before that moment"))?,
            Err(error) => return Err(failed(&error)),
        },
        Begin::Newest => {
            let tip = journal::tip(&mut conn)
                .await
                .map_err(|error| failed(&error))?;
            tip.seq.saturating_sub(limit.saturating_sub(1)).max(1)
        }
    };
    let mut left = limit;
    let mut out = std::io::stdout().lock();
    while left > 0 {
        let wanted = left.min(BATCHES.into()) as u32;
        let batches = journal::read(&mut conn, next, wanted)
            .await
            .map_err(|error| failed(&error))?;
        for batch in &batches {
            let text = show::batch(batch, reveal).map_err(|error| failed(&error))?;
            write!(out, "{text}")?;
            next = batch.seq + 1;
        }
        if batches.len() < wanted as usize {
            break;
        }
        left -= u64::from(wanted);
    }
    Ok(())
}
