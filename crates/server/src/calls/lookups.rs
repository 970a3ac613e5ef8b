//! Host names in descriptions are looked up here, outside the turn of calls. How many at once, and for whom, is
//! the switch's to say.

use super::resolver::{LookupError, Resolver};
use maskline_switch::{Input, LOOKUP_MS, Resolution};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// The longest that one look-up may take: the switch waits no longer.
const LOOKUP_MAX: Duration = Duration::from_millis(LOOKUP_MS);
/// How long an answer is waited for, and how often a question is repeated within that.
const ANSWER_WAIT: Duration = Duration::from_millis(900);
const REPEATS: usize = 1;

/// See the module.
pub(super) struct Lookups {
    resolver: Resolver,
    /// Where look-ups run: apart from the loop of calls.
    runtime: Handle,
    news: mpsc::Sender<Input<'static>>,
}

impl Lookups {
    /// Asks this server of names, those of the system where none is said. Answers come as `news`; look-ups run
    /// in the runtime around this call.
    pub fn new(server: Option<SocketAddr>, news: mpsc::Sender<Input<'static>>) -> Self {
        Self {
            resolver: Resolver::new(server, ANSWER_WAIT, REPEATS),
            runtime: Handle::current(),
            news,
        }
    }

    /// Begins to look a name up. There is an answer in any case.
    pub fn begin(&self, name: Box<str>) {
        let (resolver, news) = (self.resolver.clone(), self.news.clone());
        self.runtime.spawn(async move {
            let found = look_up(&resolver, &name).await;
            // An error means that the receiver was dropped: nobody waits for the answer.
            let _ = news.send(Input::Resolved(name, found)).await;
        });
    }
}

async fn look_up(resolver: &Resolver, name: &str) -> Resolution {
    let found = timeout(LOOKUP_MAX, resolver.addresses(name)).await;
    match found.unwrap_or(Err(LookupError::Silent)) {
        Ok(found) if found.found.is_empty() => Resolution::NoAddress,
        Ok(found) => Resolution::Found {
            addresses: found.found,
            holds_ms: u64::try_from(found.holds.as_millis()).unwrap_or(u64::MAX),
        },
        Err(error) if error.is_an_answer() => Resolution::NoAddress,
        Err(error) => {
            tracing::debug!(%error, "a host name in a description was not looked up");
            Resolution::Unanswered
        }
    }
}
