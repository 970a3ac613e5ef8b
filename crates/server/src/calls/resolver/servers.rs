//! The order in which the servers of a service are tried (RFC 2782).

use maskline_domain::chance::mix;

/// One SRV record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Server {
    /// Lower ones are tried first.
    pub priority: u16,
    /// Its share among those of the same priority.
    pub weight: u16,
    pub port: u16,
    /// A name from the root.
    pub target: String,
}

/// By priority, and within a priority at random by weight. Chance is in `seed` alone.
pub fn in_order(mut servers: Vec<Server>, seed: u64) -> Vec<Server> {
    // Within a priority those without weight first, as the RFC's drawing wants it.
    servers.sort();
    let mut ordered = Vec::with_capacity(servers.len());
    let mut chance = seed;
    while let Some(priority) = servers.first().map(|server| server.priority) {
        let peers = servers
            .iter()
            .take_while(|server| server.priority == priority);
        let total: u64 = peers.clone().map(|server| u64::from(server.weight)).sum();
        chance = mix(chance);
        let drawn = chance % (total + 1);
        let mut sum = 0;
        let place = peers
            .map(|server| {
                sum += u64::from(server.weight);
                sum
            })
            .position(|sum| sum >= drawn);
        ordered.push(servers.remove(place.unwrap_or_default()));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(priority: u16, weight: u16, target: &str) -> Server {
        Server {
            priority,
            weight,
            port: 5060,
            target: target.to_owned(),
        }
    }

    #[test]
    fn priorities_come_in_their_order_and_weights_share_the_first_place() {
        let servers = vec![
            server(20, 1, "last"),
            server(10, 75, "most"),
            server(10, 25, "some"),
            server(10, 0, "rarely"),
        ];
        let mut firsts = std::collections::BTreeMap::new();
        for seed in 0..10_000 {
            let ordered = in_order(servers.clone(), seed);
            assert_eq!(ordered.len(), 4);
            assert_eq!(ordered[3].target, "last");
            *firsts.entry(ordered[0].target.clone()).or_insert(0) += 1;
        }
        assert!((7_000..7_900).contains(&firsts["most"]), "{firsts:?}");
        assert!((2_100..2_900).contains(&firsts["some"]), "{firsts:?}");
        assert!(firsts["rarely"] < 300, "{firsts:?}");
    }

    #[test]
    fn equal_servers_without_weight_and_none_at_all_are_in_order_too() {
        assert!(in_order(Vec::new(), 7).is_empty());
        let same = vec![server(1, 0, "b"), server(1, 0, "a")];
        assert_eq!(in_order(same, 7).len(), 2);
    }
}
