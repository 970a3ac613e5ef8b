//! `maskline journal`: read straight from the data directory, whether a service runs or not.

use std::io::Write;
use std::ops::Range;
use std::path::Path;

use clap::Subcommand;
use maskline_domain::Timestamp;
use maskline_journal::show;
use maskline_store::{directory, journal};
use serde_json::json;

use super::{Client, Common, Failure, data_keys};
use crate::config::Loaded;

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
    let loaded = common.load()?;
    let settings = &loaded.settings;
    let at = match at {
        None => None,
        Some(text) => Some(Timestamp::parse_china(text).ok_or_else(|| {
            Failure::Usage(format!(
                "`{text}` is not a time such as '2026-09-05 12:00:00'"
            ))
        })?),
    };
    let begin = match (from, at) {
        (Some(from), _) => Begin::Batch(*from),
        (None, Some(at)) => Begin::Moment(at),
        (None, None) => Begin::Newest,
    };
    let data = Path::new(&settings.data);
    let batches = super::block_on(find(data, begin, *limit))?;
    if common.reveal {
        // Who looks at whole numbers, and at how many batches, is written down before any is
        // printed, which only a running service can do.
        let mut what = format!("the journal limit={limit}");
        if let Some(from) = from {
            what.push_str(&format!(" from={from}"));
        }
        if let Some(at) = at {
            what.push_str(&format!(" at={:?}", at.format_china()));
        }
        let rows = batches.end - batches.start;
        let note = json!({ "what": what, "rows": rows });
        Client::find(common)?.post("/v1/reveals", &note)?;
    }
    super::block_on(print(&loaded, batches, common.reveal))
}

enum Begin {
    Batch(u64),
    Moment(Timestamp),
    Newest,
}

/// The batches that are there to be printed, at most `limit`.
async fn find(data: &Path, begin: Begin, limit: u64) -> Result<Range<u64>, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(error.to_string());
    let readers = directory::readers(data, 1)
        .await
        .map_err(|error| failed(&error))?;
    let mut conn = readers.acquire().await.map_err(|error| failed(&error))?;
    let tip = journal::tip(&mut conn)
        .await
        .map_err(|error| failed(&error))?;
    let begin = match begin {
        Begin::Batch(from) => from,
        Begin::Moment(at) => match journal::first_at(&mut conn, at.0).await {
            Ok(found) => found.ok_or_else(|| failed(&"the journal ends before that moment"))?,
            Err(error) => return Err(failed(&error)),
        },
        Begin::Newest => tip.seq.saturating_sub(limit).saturating_add(1),
    };
    // Older ones may have been taken away.
    let first = journal::first(&mut conn)
        .await
        .map_err(|error| failed(&error))?;
    let begin = begin.max(first.unwrap_or(1));
    let end = begin.saturating_add(limit).min(tip.seq.saturating_add(1));
    Ok(begin..end.max(begin))
}

async fn print(loaded: &Loaded, range: Range<u64>, reveal: bool) -> Result<(), Failure> {
    let data = Path::new(&loaded.settings.data);
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(error.to_string());
    let readers = directory::readers(data, 1)
        .await
        .map_err(|error| failed(&error))?;
    let mut conn = readers.acquire().await.map_err(|error| failed(&error))?;
    let codec = data_keys::find(loaded, data, &mut conn).await?.codec()?;
    let mut out = std::io::stdout().lock();
    let mut next = range.start;
    while next < range.end {
        let wanted = (range.end - next).min(BATCHES.into()) as u32;
        let batches = journal::read(&mut conn, next, wanted)
            .await
            .map_err(|error| failed(&error))?;
        for batch in batches.iter().take_while(|batch| batch.seq < range.end) {
            let text = show::batch(batch, &codec, reveal).map_err(|error| failed(&error))?;
            write!(out, "{text}")?;
        }
        // None where they have been taken away since they were counted.
        let Some(last) = batches.last() else { break };
        next = last.seq + 1;
    }
    Ok(())
}
