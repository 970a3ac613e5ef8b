//! Host names in descriptions are looked up here, outside the turn of calls.

use super::switch::Input;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use tokio::sync::mpsc;

/// The most names that are looked up at once. The system's resolver may take its time over each.
const AT_ONCE: usize = 8;
/// The most addresses of a name that are looked at.
const ADDRESSES_MAX: usize = 8;

/// See the module.
pub(super) struct Lookups {
    news: mpsc::Sender<Input<'static>>,
    /// Lives in each thread that looks a name up.
    running: Arc<()>,
}

impl Lookups {
    /// Answers come as `news`.
    pub fn new(news: mpsc::Sender<Input<'static>>) -> Self {
        Self {
            news,
            running: Arc::new(()),
        }
    }

    /// Begins to look a name up; gives it back where too many are looked up already. Nobody waits for these
    /// threads, so that one which the resolver keeps does not keep the end of the process.
    pub fn begin(&self, name: Box<str>) -> Option<Box<str>> {
        if Arc::strong_count(&self.running) > AT_ONCE {
            return Some(name);
        }
        let (news, running) = (self.news.clone(), Arc::clone(&self.running));
        let asked = name.clone();
        let started = std::thread::Builder::new()
            .name("lookup".to_owned())
            .spawn(move || {
                let found = addresses(&asked);
                drop(running);
                // Whoever has gone does not want to know.
                let _ = news.blocking_send(Input::Resolved(asked, found));
            });
        started.err().map(|_| name)
    }
}

fn addresses(name: &str) -> Vec<IpAddr> {
    let found = (name, 0).to_socket_addrs();
    let found = found.into_iter().flatten().take(ADDRESSES_MAX);
    found.map(|found| found.ip()).collect()
}
