//! Host names of trunks, looked up beside the loop of calls: SRV records for the transport where no port is
//! said, else A and AAAA (RFC 3263 section 4). What was found holds for as long as the records say, within
//! bounds; when a later look-up fails it is kept, and the reason told.

use super::resolver::{Found as Answer, Resolver, Server, in_order};
use maskline_domain::trunk::{PeerAddress, Transport};
use maskline_domain::{Trunk, TrunkName};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// The most places of one trunk. What a name has beyond them is not used.
pub const PLACES_MAX: usize = 8;
/// How long what was found holds at least and at most, whatever its records say: a trunk's name is asked again
/// all the time, so a record of no duration must not make that one question after the other, and one that its
/// owner forgot to shorten must not keep calls from a carrier that moved for longer than an hour. Names in
/// descriptions of media have bounds of their own (`switch::media_names`), since they are asked for as calls
/// need them.
const HOLDS_MIN: Duration = Duration::from_secs(5);
const HOLDS_MAX: Duration = Duration::from_secs(3_600);
/// After a look-up that failed: the first wait, which doubles, and the longest.
const AGAIN_MIN: Duration = Duration::from_secs(2);
const AGAIN_MAX: Duration = Duration::from_secs(60);
/// How long a server of names may take, and how often the question is repeated.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
const REPEATS: usize = 2;
/// The longest that one look-up may take as a whole.
const LOOKUP_MAX: Duration = Duration::from_secs(20);
/// The longest that the servers of one name may be looked up; what was found by then is used. The SRV records
/// before it take a few seconds more, within [`LOOKUP_MAX`].
const HOSTS_LOOKUP_MAX: Duration = Duration::from_secs(12);
/// Look-ups that are under way at once.
const AT_ONCE_MAX: usize = 16;

/// Which addresses can be sent to, by where we listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Families {
    /// IPv4.
    pub v4: bool,
    /// IPv6.
    pub v6: bool,
}

impl Families {
    /// Those of a socket that is bound here. One on `::` speaks both.
    pub fn of(listen: IpAddr) -> Self {
        Self {
            v4: listen.is_ipv4() || listen.is_unspecified(),
            v6: listen.is_ipv6(),
        }
    }

    fn include(self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(_) => self.v4,
            IpAddr::V6(_) => self.v6,
        }
    }
}

/// What is looked up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Question {
    host: Box<str>,
    port: Option<u16>,
    transport: &'static str,
}

impl Question {
    fn of(trunk: &Trunk) -> Option<Self> {
        match trunk.address()? {
            PeerAddress::Socket(_) => None,
            PeerAddress::Name { host, port } => Some(Self {
                host,
                port,
                transport: service(trunk.transport),
            }),
        }
    }
}

/// The labels of SRV records (RFC 3263 section 4.1).
fn service(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp => "_sip._tcp",
        Transport::Tls => "_sips._tcp",
    }
}

/// The port where nothing is said.
fn usual_port(service: &str) -> u16 {
    if service == "_sips._tcp" { 5061 } else { 5060 }
}

/// What is known of a name.
struct NameState {
    /// Where it was last found; none before.
    places: Vec<SocketAddr>,
    /// Why the last look-up failed.
    trouble: Option<String>,
    failures: u32,
    /// When it is looked up again.
    due: Instant,
    is_asked: bool,
}

/// Where a name was found, and for how long that holds.
#[derive(Debug)]
struct Found {
    places: Vec<SocketAddr>,
    holds: Duration,
}

/// See the module.
pub struct TrunkNames {
    resolver: Resolver,
    families: Families,
    /// [`HOSTS_LOOKUP_MAX`], but in tests.
    hosts_lookup_max: Duration,
    /// Where look-ups run: apart from the loop of calls.
    runtime: Handle,
    known: Mutex<BTreeMap<Question, NameState>>,
    /// The trunks that are followed, and what is looked up for them.
    trunks: Mutex<Vec<(TrunkName, Question)>>,
}

impl TrunkNames {
    /// Nothing is known yet. This server of names is asked, those of the system where none is said; look-ups
    /// run in the runtime around this call.
    pub fn new(server: Option<SocketAddr>, families: Families) -> Self {
        Self {
            resolver: Resolver::new(server, ANSWER_WAIT, REPEATS),
            families,
            hosts_lookup_max: HOSTS_LOOKUP_MAX,
            runtime: Handle::current(),
            known: Mutex::default(),
            trunks: Mutex::default(),
        }
    }

    /// Where a trunk is, the place to try first at first; nowhere as long as its name was not found.
    pub fn places(&self, trunk: &Trunk) -> Vec<SocketAddr> {
        match trunk.address() {
            None => Vec::new(),
            Some(PeerAddress::Socket(address)) => vec![address],
            Some(PeerAddress::Name { .. }) => {
                let question = Question::of(trunk);
                let known = self.known.lock();
                let found = question.and_then(|question| known.get(&question));
                found.map(|found| found.places.clone()).unwrap_or_default()
            }
        }
    }

    /// The trunks whose names were not found when they were last looked up: why, in words for a person, and
    /// whether they can be used where they were found before.
    pub fn troubles(&self) -> Vec<(TrunkName, String, bool)> {
        let (trunks, known) = (self.trunks.lock(), self.known.lock());
        let troubled = trunks.iter().filter_map(|(trunk, question)| {
            let found = known.get(question)?;
            let why = found.trouble.clone()?;
            let is_usable = !found.places.is_empty();
            Some(match is_usable {
                true => (
                    trunk.clone(),
                    format!("{why}; where it was found before is used on"),
                    true,
                ),
                false => (trunk.clone(), why, false),
            })
        });
        troubled.collect()
    }

    /// Looks up the names of these trunks that are due, each in a task of its own, and forgets the others.
    pub fn follow<'a>(self: &Arc<Self>, trunks: impl Iterator<Item = &'a Trunk>) {
        let enabled = trunks.filter(|trunk| trunk.enabled);
        let asked: Vec<_> = enabled
            .filter_map(|trunk| Some((trunk.name.clone(), Question::of(trunk)?)))
            .collect();
        let wanted: BTreeSet<Question> =
            asked.iter().map(|(_, question)| question.clone()).collect();
        *self.trunks.lock() = asked;
        let now = Instant::now();
        let mut known = self.known.lock();
        known.retain(|question, _| wanted.contains(question));
        for question in wanted {
            known.entry(question).or_insert_with(|| NameState {
                places: Vec::new(),
                trouble: None,
                failures: 0,
                due: now,
                is_asked: false,
            });
        }
        let under_way = known.values().filter(|known| known.is_asked).count();
        let due = known
            .iter_mut()
            .filter(|(_, k)| !k.is_asked && k.due <= now);
        for (question, known) in due.take(AT_ONCE_MAX.saturating_sub(under_way)) {
            known.is_asked = true;
            let (names, question) = (Arc::clone(self), question.clone());
            let is_known = !known.places.is_empty();
            self.runtime.spawn(async move {
                let asking = names.look_up(&question, is_known);
                let answer = match tokio::time::timeout(LOOKUP_MAX, asking).await {
                    Ok(answer) => answer,
                    Err(_) => Err("the servers of names take too long".to_owned()),
                };
                names.take(&question, answer);
            });
        }
    }

    /// The end of a look-up.
    fn take(&self, question: &Question, answer: Result<Found, String>) {
        let mut known = self.known.lock();
        // It may be nobody's any more.
        let Some(known) = known.get_mut(question) else {
            return;
        };
        known.is_asked = false;
        let wait = match answer {
            Ok(found) => {
                known.failures = 0;
                known.trouble = None;
                // The same places in another order are the same: chance draws the order anew each time, and
                // a registration should stay where it is.
                if !is_same(&known.places, &found.places) {
                    let (host, places) = (&question.host, &found.places);
                    tracing::info!(%host, ?places, "the name of a trunk was found");
                    known.places = found.places;
                }
                found.holds.clamp(HOLDS_MIN, HOLDS_MAX)
            }
            Err(why) => {
                let wait = AGAIN_MIN * (1 << known.failures.min(5));
                known.failures = known.failures.saturating_add(1);
                known.trouble = Some(format!("{}: {why}", question.host));
                wait.min(AGAIN_MAX)
            }
        };
        known.due = Instant::now() + wait;
    }

    async fn look_up(&self, question: &Question, is_known: bool) -> Result<Found, String> {
        if let Some(port) = question.port {
            return self.host(&question.host, port).await;
        }
        match self
            .resolver
            .servers(question.transport, &question.host)
            .await
        {
            Ok(answer) => {
                if let Some(found) = self.servers(question, answer).await? {
                    return Ok(found);
                }
            }
            // No such records: the name itself is where it is.
            Err(error) if error.is_an_answer() => {}
            // A server of names that cannot tell of SRV must not move a trunk that was found by it.
            Err(error) if is_known => return Err(error.to_string()),
            Err(_) => {}
        }
        self.host(&question.host, usual_port(question.transport))
            .await
    }

    /// The places that SRV records name; none if there are no records.
    async fn servers(
        &self,
        question: &Question,
        answer: Answer<Server>,
    ) -> Result<Option<Found>, String> {
        let (records, mut holds) = (answer.found, answer.holds);
        if records.is_empty() {
            return Ok(None);
        }
        // RFC 2782: the service is decidedly not there.
        if records.iter().all(|record| record.target == ".") {
            return Err(format!(
                "SRV records say that there is no {}",
                question.transport
            ));
        }
        let mut chance = [0; 8];
        // Without chance the order is that of the weights.
        let _ = getrandom::fill(&mut chance);
        let (mut places, mut trouble) = (Vec::new(), String::new());
        let deadline = tokio::time::Instant::now() + self.hosts_lookup_max;
        let ordered = in_order(records, u64::from_ne_bytes(chance)).into_iter();
        // Ordered first: an answer may name them in any order.
        for record in ordered.take(PLACES_MAX) {
            let asking = self.host(&record.target, record.port);
            match tokio::time::timeout_at(deadline, asking).await {
                Ok(Ok(found)) => {
                    holds = holds.min(found.holds);
                    places.extend(found.places);
                }
                Ok(Err(why)) => trouble = format!("{}: {why}", record.target),
                // What was found is used, and the rest asked for again soon.
                Err(_) => {
                    trouble = format!("{}: the servers of names take too long", record.target);
                    holds = Duration::ZERO;
                    break;
                }
            }
        }
        match places.is_empty() {
            true => Err(trouble),
            false => Ok(Some(Found {
                places: distinct(places),
                holds,
            })),
        }
    }

    /// The addresses of a name, those of IPv4 first.
    async fn host(&self, host: &str, port: u16) -> Result<Found, String> {
        let answer = self.resolver.addresses(host).await;
        let Answer {
            found: mut addresses,
            holds,
        } = answer.map_err(|error| error.to_string())?;
        addresses.sort_unstable();
        let places: Vec<SocketAddr> = addresses
            .iter()
            .filter(|address| self.families.include(**address) && !address.is_unspecified())
            .map(|address| SocketAddr::new(*address, port))
            .collect();
        if places.is_empty() && !addresses.is_empty() {
            let (there, here) = match self.families.v4 {
                true => ("IPv6", "IPv4"),
                false => ("IPv4", "IPv6"),
            };
            return Err(format!(
                "it has only {there} addresses, and sip.listen is one of {here}"
            ));
        }
        Ok(Found {
            places: distinct(places),
            holds,
        })
    }
}

fn distinct(places: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut seen = BTreeSet::new();
    let mut places = places;
    places.retain(|place| seen.insert(*place));
    places.truncate(PLACES_MAX);
    places
}

fn is_same(before: &[SocketAddr], after: &[SocketAddr]) -> bool {
    let before: BTreeSet<_> = before.iter().collect();
    let after: BTreeSet<_> = after.iter().collect();
    before == after
}

#[cfg(test)]
mod tests;
