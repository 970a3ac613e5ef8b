//! Which addresses media of ours has: where we receive it, and what others may call that place.

use std::net::{IpAddr, SocketAddr};

/// See the module. A plain value: the switch keeps the newest, and hands it on when it has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalMedia {
    bound: IpAddr,
    advertised: IpAddr,
    /// Further ones that peers are told, or may be.
    others: Vec<IpAddr>,
    /// Those of the machine's interfaces.
    interfaces: Vec<IpAddr>,
    ports: (u16, u16),
}

impl LocalMedia {
    /// Media is received on `bound`, at the ports from the first to the last, and peers are told `advertised`
    /// where their trunk says nothing else. `others` are further addresses that lead here: those that trunks
    /// are told.
    pub fn new(
        bound: IpAddr,
        advertised: IpAddr,
        others: impl IntoIterator<Item = IpAddr>,
        ports: (u16, u16),
    ) -> Self {
        Self {
            bound,
            advertised,
            others: others.into_iter().map(|ip| ip.to_canonical()).collect(),
            interfaces: Vec::new(),
            ports,
        }
    }

    /// Whether this is an address of ours together with one of the ports for media.
    pub fn is_media(&self, address: SocketAddr) -> bool {
        (self.ports.0..=self.ports.1).contains(&address.port()) && self.is_here(address.ip())
    }

    /// Whether this address leads here, also if a trunk is told this other one.
    fn is_here(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip == self.bound.to_canonical()
            || ip == self.advertised.to_canonical()
            || self.others.contains(&ip)
            || self.interfaces.contains(&ip)
            || (self.is_everywhere() && (ip.is_loopback() || ip.is_unspecified()))
    }

    /// Whether media is received on a socket of IPv6.
    pub fn is_ipv6(&self) -> bool {
        self.bound.is_ipv6()
    }

    /// Notes a further address that leads here.
    pub fn add(&mut self, ip: IpAddr) {
        let ip = ip.to_canonical();
        if !self.others.contains(&ip) {
            self.others.push(ip);
        }
    }

    /// Whether media is received at every address that the machine has, so that they must be known
    /// ([`LocalMedia::set_interfaces`]).
    pub fn is_everywhere(&self) -> bool {
        self.bound.is_unspecified()
    }

    /// The machine's interfaces have these addresses now. Nothing happens where media is received at one
    /// address only.
    pub fn set_interfaces(&mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        if self.is_everywhere() {
            let addresses = addresses.into_iter().map(|ip| ip.to_canonical());
            self.interfaces = addresses.collect();
        }
    }

    /// Whether packets can be exchanged with this address from a place that peers know as `advertised`; none is
    /// the usual. A socket of IPv4 has no other family; one of IPv6 that is bound to all addresses has both, but
    /// a peer can only speak to the one that it is told.
    pub fn can_speak_with(&self, ip: IpAddr, advertised: Option<IpAddr>) -> bool {
        let advertised = advertised.unwrap_or(self.advertised);
        match self.bound {
            IpAddr::V4(_) => ip.to_canonical().is_ipv4(),
            IpAddr::V6(bound) if bound.is_unspecified() => {
                ip.to_canonical().is_ipv4() == advertised.to_canonical().is_ipv4()
            }
            IpAddr::V6(_) => ip.to_canonical().is_ipv6(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("a literal")
    }

    #[test]
    fn an_address_of_ours_counts_with_a_port_for_media() {
        let mut everywhere =
            LocalMedia::new(ip("0.0.0.0"), ip("198.51.100.1"), [], (20_000, 20_099));
        everywhere.set_interfaces([ip("10.0.0.5")]);
        let one = LocalMedia::new(ip("192.0.2.1"), ip("198.51.100.1"), [], (20_000, 20_099));
        let rows = [
            // Address, whether a machine that listens everywhere and one that listens at one address are there.
            ("192.0.2.1:20000", false, true),
            ("198.51.100.1:20000", true, true),
            ("198.51.100.1:20099", true, true),
            ("198.51.100.1:20100", false, false),
            ("198.51.100.1:19999", false, false),
            ("198.51.100.1:5060", false, false),
            ("10.0.0.5:20002", true, false),
            ("127.0.0.1:20002", true, false),
            ("127.9.9.9:20002", true, false),
            ("0.0.0.0:20002", true, false),
            ("[::1]:20002", true, false),
            ("[::ffff:10.0.0.5]:20002", true, false),
            ("[::ffff:198.51.100.1]:20002", true, true),
            ("203.0.113.9:20002", false, false),
        ];
        for (address, is_everywheres, is_ones) in rows {
            let address = address.parse().expect("a literal");
            assert_eq!(everywhere.is_media(address), is_everywheres, "{address}");
            assert_eq!(one.is_media(address), is_ones, "{address}");
        }
    }

    #[test]
    fn an_address_that_is_added_later_or_taken_away_counts_from_then_on() {
        let is_media = |ours: &LocalMedia, at: &str| ours.is_media(SocketAddr::new(ip(at), 20_002));
        for bound in ["0.0.0.0", "::"] {
            let mut ours = LocalMedia::new(ip(bound), ip("198.51.100.1"), [], (20_000, 20_099));
            let rows: [(&[&str], [bool; 3]); 4] = [
                (&[], [false, false, false]),
                (&["10.0.0.5"], [true, false, false]),
                (&["10.0.0.5", "10.0.0.6", "2001:db8::6"], [true, true, true]),
                (&["10.0.0.6", "::ffff:10.0.0.6"], [false, true, false]),
            ];
            for (interfaces, expected) in rows {
                ours.set_interfaces(interfaces.iter().map(|text| ip(text)));
                let found = ["10.0.0.5", "10.0.0.6", "2001:db8::6"].map(|at| is_media(&ours, at));
                assert_eq!(found, expected, "{bound} {interfaces:?}");
            }
            // What a trunk is told stays.
            ours.add(ip("203.0.113.1"));
            ours.set_interfaces([]);
            assert!(is_media(&ours, "203.0.113.1"));
        }
        let mut one = LocalMedia::new(ip("192.0.2.1"), ip("198.51.100.1"), [], (20_000, 20_099));
        one.set_interfaces([ip("10.0.0.5")]);
        assert!(!is_media(&one, "10.0.0.5"), "another listens there");
    }

    #[test]
    fn a_socket_speaks_with_its_own_family_and_as_it_is_told() {
        let ours =
            |bound: &str, told: &str| LocalMedia::new(ip(bound), ip(told), [], (20_000, 20_099));
        let rows = [
            ("192.0.2.1", "192.0.2.1", true, false),
            ("0.0.0.0", "192.0.2.1", true, false),
            ("2001:db8::1", "2001:db8::1", false, true),
            ("::", "2001:db8::1", false, true),
            ("::", "192.0.2.1", true, false),
        ];
        for (bound, told, ipv4, ipv6) in rows {
            let ours = ours(bound, told);
            let speaks = |with: &str| ours.can_speak_with(ip(with), None);
            assert_eq!(speaks("203.0.113.9"), ipv4, "{bound} {told}");
            assert_eq!(speaks("2001:db8::9"), ipv6, "{bound} {told}");
        }
        let both = ours("::", "2001:db8::1");
        assert!(both.can_speak_with(ip("203.0.113.9"), Some(ip("192.0.2.1"))));
    }
}
