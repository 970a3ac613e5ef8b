//! What servers of names (DNS) say of hosts: the addresses of a name, and the servers of a service (SRV
//! records). Both who follows the names of trunks and who looks up the hosts in descriptions ask here; each of
//! them bounds how much it asks at once. It is no client of an own making: see `hickory-resolver`.

mod servers;

use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::{Resolver as Client, TokioResolver};
pub use servers::{Server, in_order};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Why nothing was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// The name does not exist.
    #[error("there is no such name")]
    NoSuchName,
    /// It exists, and has nothing of the kind.
    #[error("the name has no address")]
    NoRecords,
    /// Nobody answers.
    #[error("no server of names answers")]
    Silent,
    /// Whoever answers does not say, or cannot be asked.
    #[error("{0}")]
    Failed(String),
}

impl LookupError {
    /// Whether a server of names has said that there is nothing, which is another thing than saying nothing.
    pub fn is_an_answer(&self) -> bool {
        matches!(self, Self::NoSuchName | Self::NoRecords)
    }
}

impl From<NetError> for LookupError {
    fn from(error: NetError) -> Self {
        match error {
            NetError::Timeout => Self::Silent,
            error if error.is_nx_domain() => Self::NoSuchName,
            error if error.is_no_records_found() => Self::NoRecords,
            error => Self::Failed(error.to_string()),
        }
    }
}

/// What was found, and for how long it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<T> {
    /// What.
    pub found: Vec<T>,
    /// As the records say.
    pub holds: Duration,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Resolver {
    server: Option<SocketAddr>,
    answer_wait: Duration,
    repeats: usize,
}

impl Resolver {
    /// Asks this server of names, those of the system where none is said. An answer is waited for so long, and
    /// the question repeated so often.
    pub fn new(server: Option<SocketAddr>, answer_wait: Duration, repeats: usize) -> Self {
        Self {
            server,
            answer_wait,
            repeats,
        }
    }

    /// The addresses of a host, of both families, in the order of the answers.
    ///
    /// # Errors
    /// When there are none, or none are told.
    pub async fn addresses(&self, host: &str) -> Result<Found<IpAddr>, LookupError> {
        let lookup = self.client()?.lookup_ip(whole(host).as_str()).await?;
        Ok(Found {
            found: lookup.iter().collect(),
            holds: holds(lookup.valid_until()),
        })
    }

    /// The servers of a service such as `_sip._udp` at a host, in the order of the answer; none are found where
    /// there are only other records.
    ///
    /// # Errors
    /// When there are none, or none are told.
    pub async fn servers(&self, service: &str, host: &str) -> Result<Found<Server>, LookupError> {
        let owner = format!("{service}.{}", whole(host));
        let lookup = self.client()?.lookup(owner, RecordType::SRV).await?;
        let records = lookup.answers().iter();
        let servers = records.filter_map(|record| match &record.data {
            RData::SRV(server) => Some(Server {
                priority: server.priority,
                weight: server.weight,
                port: server.port,
                target: server.target.to_ascii(),
            }),
            _ => None,
        });
        Ok(Found {
            found: servers.collect(),
            holds: holds(lookup.valid_until()),
        })
    }

    /// A client that remembers nothing: what holds how long is decided by who asks, and a changed
    /// `/etc/resolv.conf` or `/etc/hosts` counts at once.
    fn client(&self) -> Result<TokioResolver, LookupError> {
        let mut builder = match self.server {
            None => Client::builder_tokio()?,
            Some(server) => {
                let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
                let connections = connections.map(|mut connection| {
                    connection.port = server.port();
                    connection
                });
                let server = NameServerConfig::new(server.ip(), true, connections.into());
                let config = ResolverConfig::from_name_servers(vec![server]);
                Client::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        let options = builder.options_mut();
        options.timeout = self.answer_wait;
        options.attempts = self.repeats;
        options.cache_size = 0;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        Ok(builder.build()?)
    }
}

fn holds(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}

/// A name from the root, so that search domains of the system are not tried; one of a single label is
/// looked up as the system does it.
fn whole(host: &str) -> String {
    match host.contains('.') && !host.ends_with('.') {
        true => format!("{host}."),
        false => host.to_owned(),
    }
}
