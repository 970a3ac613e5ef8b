//! A server of names on loopback, and what is found by it.

use super::*;
use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData, Record};
use tokio::net::UdpSocket;

/// What a server of names knows: names from the root and what is said of them. A name that is not there
/// does not exist; one with nothing behind it exists without records.
type Zone = Arc<Mutex<BTreeMap<&'static str, Vec<(u32, RData)>>>>;

/// A server that answers by a zone; `None` as zone makes it silent.
async fn server(zone: Option<Zone>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let address = socket.local_addr().expect("bound");
    tokio::spawn(async move {
        let mut bytes = [0; 4_096];
        loop {
            let (length, from) = socket.recv_from(&mut bytes).await.expect("a datagram");
            let Some(zone) = &zone else { continue };
            let mut answer = Message::from_vec(&bytes[..length]).expect("a question");
            let question = answer.queries[0].clone();
            answer.metadata.message_type = MessageType::Response;
            let name = question.name().to_ascii().to_ascii_lowercase();
            if name.starts_with("silent.") {
                continue;
            }
            match zone.lock().get(name.as_str()) {
                None => answer.metadata.response_code = ResponseCode::NXDomain,
                Some(known) => {
                    for (ttl, data) in known {
                        if data.record_type() == question.query_type() {
                            let name = question.name().clone();
                            answer.add_answer(Record::from_rdata(name, *ttl, data.clone()));
                        }
                    }
                }
            }
            let answer = answer.to_vec().expect("an answer");
            socket.send_to(&answer, from).await.expect("a way back");
        }
    });
    address
}

fn a(address: &str) -> RData {
    RData::from(address.parse::<IpAddr>().expect("an address"))
}

fn srv(priority: u16, weight: u16, port: u16, target: &str) -> RData {
    let target = Name::from_ascii(target).expect("a name");
    RData::SRV(SRV::new(priority, weight, port, target))
}

fn zone(known: Vec<(&'static str, Vec<RData>)>) -> Zone {
    let known = known.into_iter().map(|(name, records)| {
        let records = records.into_iter().map(|data| (60, data));
        (name, records.collect())
    });
    Arc::new(Mutex::new(known.collect()))
}

fn question(host: &str, port: Option<u16>, transport: Transport) -> Question {
    Question {
        host: host.into(),
        port,
        transport: service(transport),
    }
}

/// What is looked up, and what is found: places, or a part of the reason.
type Row = (
    Families,
    &'static str,
    Option<u16>,
    Transport,
    Result<&'static [&'static str], &'static str>,
);

const BOTH: Families = Families { v4: true, v6: true };
const V4: Families = Families {
    v4: true,
    v6: false,
};

fn texts(found: Result<Found, String>) -> Result<Vec<String>, String> {
    found.map(|found| found.places.iter().map(SocketAddr::to_string).collect())
}

#[tokio::test]
async fn names_are_found_by_srv_else_by_their_addresses() {
    let zone = zone(vec![
        ("plain.example.", vec![a("192.0.2.2"), a("192.0.2.1")]),
        ("both.example.", vec![a("192.0.2.3"), a("2001:db8::3")]),
        ("six.example.", vec![a("2001:db8::6")]),
        ("empty.example.", vec![]),
        ("srv.example.", vec![a("192.0.2.99")]),
        (
            "_sip._udp.srv.example.",
            vec![
                srv(20, 0, 5080, "plain.example."),
                srv(10, 0, 5070, "both.example."),
            ],
        ),
        (
            "_sip._tcp.srv.example.",
            vec![
                srv(0, 0, 5090, "gone.example."),
                srv(1, 0, 5091, "six.example."),
            ],
        ),
        ("_sips._tcp.srv.example.", vec![srv(0, 0, 0, ".")]),
        (
            "_sip._udp.lost.example.",
            vec![srv(0, 0, 5060, "gone.example.")],
        ),
    ]);
    let server = server(Some(zone)).await;
    let ask = async |families, host: &str, port, transport| {
        let names = TrunkNames::new(Some(server), families);
        texts(names.look_up(&question(host, port, transport), false).await)
    };
    let rows: [Row; 14] = [
        // A and AAAA, with the port that is said, or the usual one.
        (
            BOTH,
            "plain.example",
            Some(5070),
            Transport::Udp,
            Ok(&["192.0.2.1:5070", "192.0.2.2:5070"]),
        ),
        (
            BOTH,
            "plain.example",
            None,
            Transport::Udp,
            Ok(&["192.0.2.1:5060", "192.0.2.2:5060"]),
        ),
        (
            BOTH,
            "plain.example",
            None,
            Transport::Tls,
            Ok(&["192.0.2.1:5061", "192.0.2.2:5061"]),
        ),
        (
            BOTH,
            "PLAIN.Example",
            None,
            Transport::Tcp,
            Ok(&["192.0.2.1:5060", "192.0.2.2:5060"]),
        ),
        (
            BOTH,
            "both.example",
            None,
            Transport::Udp,
            Ok(&["192.0.2.3:5060", "[2001:db8::3]:5060"]),
        ),
        (
            V4,
            "both.example",
            None,
            Transport::Udp,
            Ok(&["192.0.2.3:5060"]),
        ),
        // SRV of the transport, by priority; with a port it does not count.
        (
            BOTH,
            "srv.example",
            None,
            Transport::Udp,
            Ok(&[
                "192.0.2.3:5070",
                "[2001:db8::3]:5070",
                "192.0.2.1:5080",
                "192.0.2.2:5080",
            ]),
        ),
        (
            BOTH,
            "srv.example",
            Some(5060),
            Transport::Udp,
            Ok(&["192.0.2.99:5060"]),
        ),
        // A target that is gone costs the others nothing.
        (
            BOTH,
            "srv.example",
            None,
            Transport::Tcp,
            Ok(&["[2001:db8::6]:5091"]),
        ),
        (
            BOTH,
            "srv.example",
            None,
            Transport::Tls,
            Err("there is no _sips._tcp"),
        ),
        (
            BOTH,
            "lost.example",
            None,
            Transport::Udp,
            Err("no such name"),
        ),
        (
            V4,
            "six.example",
            None,
            Transport::Udp,
            Err("only IPv6 addresses, and sip.listen"),
        ),
        (
            BOTH,
            "empty.example",
            None,
            Transport::Udp,
            Err("no address"),
        ),
        (
            BOTH,
            "gone.example",
            None,
            Transport::Udp,
            Err("no such name"),
        ),
    ];
    for (families, host, port, transport, expected) in rows {
        let found = ask(families, host, port, transport).await;
        match (&found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{host} {transport:?}"),
            (Err(why), Err(expected)) => assert!(why.contains(expected), "{host}: {why}"),
            _ => panic!("{host} {transport:?}: {found:?}"),
        }
    }
}

fn trunk(peer: &str) -> Trunk {
    Trunk::new(TrunkName::new("carrier"), peer)
}

/// Looks the trunk up until that has come to an end, then until it is due again at once.
async fn follow(names: &Arc<TrunkNames>, trunk: &Trunk) {
    for known in names.known.lock().values_mut() {
        known.due = Instant::now();
    }
    names.follow(std::iter::once(trunk));
    while names.known.lock().values().any(|known| known.is_asked) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_name_moves_with_its_records_and_stays_where_it_was_while_they_are_gone() {
    let zone = zone(vec![("sip.example.", vec![a("192.0.2.1")])]);
    let server = server(Some(zone.clone())).await;
    let names = Arc::new(TrunkNames::new(Some(server), BOTH));
    let trunk = trunk("sip.example:5060");
    assert!(names.places(&trunk).is_empty());
    follow(&names, &trunk).await;
    let place = |text: &str| text.parse::<SocketAddr>().expect("an address");
    assert_eq!(names.places(&trunk), [place("192.0.2.1:5060")]);
    assert!(names.troubles().is_empty());

    zone.lock().insert(
        "sip.example.",
        vec![(60, a("192.0.2.2")), (60, a("192.0.2.1"))],
    );
    follow(&names, &trunk).await;
    assert_eq!(
        names.places(&trunk),
        [place("192.0.2.1:5060"), place("192.0.2.2:5060")]
    );

    zone.lock().remove("sip.example.");
    follow(&names, &trunk).await;
    assert_eq!(names.places(&trunk).len(), 2);
    let [(name, why, is_usable)] = &names.troubles()[..] else {
        panic!("one trouble")
    };
    assert_eq!((name.as_str(), *is_usable), ("carrier", true));
    assert!(
        why.contains("no such name") && why.contains("used on"),
        "{why}"
    );

    zone.lock()
        .insert("sip.example.", vec![(60, a("192.0.2.3"))]);
    follow(&names, &trunk).await;
    assert_eq!(names.places(&trunk), [place("192.0.2.3:5060")]);
    assert!(names.troubles().is_empty());

    // Nobody wants to know any more.
    names.follow(std::iter::empty());
    assert!(names.known.lock().is_empty());
}

#[tokio::test]
async fn times_are_kept_within_bounds() {
    let zone = zone(vec![]);
    let server = server(Some(zone.clone())).await;
    let names = Arc::new(TrunkNames::new(Some(server), BOTH));
    let trunk = trunk("sip.example:5060");
    let wait_s = || {
        let known = names.known.lock();
        let due = known.values().next().expect("one name").due;
        due.saturating_duration_since(Instant::now()).as_secs_f64()
    };
    // Failures: 2, 4, 8 … at most 60 s.
    for expected in [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
        follow(&names, &trunk).await;
        let wait = wait_s();
        assert!(
            wait <= expected && wait > expected - 2.0,
            "{wait} for {expected}"
        );
    }
    // What was found holds for 5 s at least and an hour at most.
    for (ttl, expected) in [(0, 5.0), (1, 5.0), (60, 60.0), (86_400, 3_600.0)] {
        zone.lock()
            .insert("sip.example.", vec![(ttl, a("192.0.2.1"))]);
        follow(&names, &trunk).await;
        let wait = wait_s();
        assert!(
            wait <= expected && wait > expected - 5.0,
            "{wait} for {ttl}"
        );
    }
}

#[tokio::test]
async fn a_server_of_names_that_is_silent_is_told() {
    let server = server(None).await;
    let names = Arc::new(TrunkNames::new(Some(server), BOTH));
    follow(&names, &trunk("sip.example:5060")).await;
    let (_, why, is_usable) = names.troubles().remove(0);
    assert!(
        !is_usable && why.contains("sip.example: no server of names answers"),
        "{why}"
    );
}

#[tokio::test]
async fn a_name_has_a_bounded_number_of_places() {
    let many = (1..=40).map(|n| a(&format!("192.0.2.{n}"))).collect();
    let server = server(Some(zone(vec![("many.example.", many)]))).await;
    let names = Arc::new(TrunkNames::new(Some(server), BOTH));
    let trunk = trunk("many.example:5060");
    follow(&names, &trunk).await;
    assert_eq!(names.places(&trunk).len(), PLACES_MAX);
}

/// A zone whose servers are at these priorities, each at a port of the same number.
fn zone_by_priority(priorities: &[u16], target: &str) -> Zone {
    let servers = priorities
        .iter()
        .map(|&priority| srv(priority, 0, priority, target));
    zone(vec![
        ("_sip._udp.far.example.", servers.collect()),
        ("near.example.", vec![a("192.0.2.1")]),
    ])
}

#[tokio::test]
async fn the_best_servers_are_taken_wherever_they_stand_in_the_answer() {
    let rows: [(&[u16], &[u16]); 5] = [
        (&[2, 1], &[1, 2]),
        (&[8, 7, 6, 5, 4, 3, 2, 1], &[1, 2, 3, 4, 5, 6, 7, 8]),
        (&[9, 8, 7, 6, 5, 4, 3, 2, 1], &[1, 2, 3, 4, 5, 6, 7, 8]),
        (&[2, 3, 4, 5, 6, 7, 8, 9, 1], &[1, 2, 3, 4, 5, 6, 7, 8]),
        (
            &[12, 11, 10, 9, 1, 8, 7, 6, 5, 4, 3, 2],
            &[1, 2, 3, 4, 5, 6, 7, 8],
        ),
    ];
    for (said, expected) in rows {
        let server = server(Some(zone_by_priority(said, "near.example."))).await;
        let names = Arc::new(TrunkNames::new(Some(server), BOTH));
        let trunk = trunk("far.example");
        follow(&names, &trunk).await;
        let places = names.places(&trunk);
        let ports: Vec<u16> = places.iter().map(SocketAddr::port).collect();
        assert_eq!(ports, expected, "{said:?}");
    }
}

#[tokio::test]
async fn what_was_found_is_used_where_the_rest_takes_too_long() {
    let servers = vec![
        srv(1, 0, 5071, "near.example."),
        srv(2, 0, 5072, "silent.example."),
    ];
    let zone = zone(vec![
        ("_sip._udp.far.example.", servers),
        ("near.example.", vec![a("192.0.2.1")]),
    ]);
    let server = server(Some(zone)).await;
    let mut names = TrunkNames::new(Some(server), BOTH);
    // Less than one unanswered question takes.
    names.hosts_lookup_max = ANSWER_WAIT / 2;
    let names = Arc::new(names);
    let trunk = trunk("far.example");
    let began = Instant::now();
    follow(&names, &trunk).await;
    let places: Vec<String> = names
        .places(&trunk)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(places, ["192.0.2.1:5071"]);
    let due = names.known.lock().values().map(|known| known.due).min();
    let soon = began + names.hosts_lookup_max + HOLDS_MIN * 2;
    assert!(due.is_some_and(|due| due < soon), "asked again soon");
    assert!(names.troubles().is_empty());
}
