//! The RFC's diagrams as tables of what happens when, and pairs of machines over a network that loses.

use super::*;

const UDP: Reliability = Reliability::Unreliable;
const TCP: Reliability = Reliability::Reliable;

fn at(millis: u64) -> Time {
    Time::from_millis(millis)
}

/// Runs a machine by its deadlines alone and notes when it sent again and when it ended.
fn run_alone(
    mut deadline: impl FnMut() -> Option<Time>,
    mut on_timeout: impl FnMut(Time) -> Step,
) -> (Vec<u64>, Option<(u64, End)>) {
    let mut sent = Vec::new();
    for _ in 0..1_000 {
        let Some(now) = deadline() else {
            return (sent, None);
        };
        let step = on_timeout(now);
        if step.send {
            sent.push(now.as_millis());
        }
        if let Some(end) = step.end {
            return (sent, Some((now.as_millis(), end)));
        }
    }
    panic!("the machine never ends");
}

macro_rules! alone {
    ($machine:ident) => {{
        let machine = std::cell::RefCell::new($machine);
        run_alone(
            || machine.borrow().deadline(),
            |now| machine.borrow_mut().on_timeout(now),
        )
    }};
}

#[test]
fn an_unanswered_invite_is_repeated_at_doubling_intervals_for_32_s() {
    let client = InviteClient::new(Timing::default(), UDP, at(0));
    let (sent, end) = alone!(client);
    assert_eq!(sent, [500, 1_500, 3_500, 7_500, 15_500, 31_500]);
    assert_eq!(end, Some((32_000, End::TimedOut)));
}

#[test]
fn over_tcp_nothing_is_repeated_but_the_time_out_ends_all_the_same() {
    let client = InviteClient::new(Timing::default(), TCP, at(0));
    assert_eq!(alone!(client), (vec![], Some((32_000, End::TimedOut))));
    let client = PlainClient::new(Timing::default(), TCP, at(0));
    assert_eq!(alone!(client), (vec![], Some((32_000, End::TimedOut))));
}

#[test]
fn an_unanswered_bye_is_repeated_at_most_every_4_s() {
    let client = PlainClient::new(Timing::default(), UDP, at(0));
    let (sent, end) = alone!(client);
    assert_eq!(
        sent,
        [
            500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500
        ]
    );
    assert_eq!(end, Some((32_000, End::TimedOut)));
}

#[test]
fn a_provisional_response_stops_the_invite_but_only_slows_the_bye() {
    let mut invite = InviteClient::new(Timing::default(), UDP, at(0));
    assert!(invite.on_response(180, at(100)).deliver && invite.is_proceeding());
    assert_eq!(invite.deadline(), None);
    let mut bye = PlainClient::new(Timing::default(), UDP, at(0));
    assert!(bye.on_response(100, at(100)).deliver);
    let (sent, end) = alone!(bye);
    assert_eq!(sent, [4_100, 8_100, 12_100, 16_100, 20_100, 24_100, 28_100]);
    assert_eq!(end, Some((32_000, End::TimedOut)));
}

#[test]
fn every_copy_of_a_failure_is_acknowledged_but_told_once() {
    let mut client = InviteClient::new(Timing::default(), UDP, at(0));
    let first = client.on_response(486, at(10));
    assert_eq!((first.ack, first.deliver, first.end), (true, true, None));
    let again = client.on_response(486, at(510));
    assert_eq!((again.ack, again.deliver), (true, false));
    assert_eq!(
        client.on_response(200, at(520)),
        Step::NOTHING,
        "a success after a failure is not heard"
    );
    assert_eq!(alone!(client), (vec![], Some((32_010, End::Done))));
    let mut client = InviteClient::new(Timing::default(), TCP, at(0));
    assert_eq!(
        client.on_response(486, at(10)).end,
        Some(End::Done),
        "timer D is zero over TCP"
    );
}

#[test]
fn every_success_reaches_the_dialog_for_32_s() {
    let mut client = InviteClient::new(Timing::default(), UDP, at(0));
    assert!(client.on_response(200, at(10)).deliver);
    assert!(
        client.on_response(200, at(510)).deliver,
        "a copy, or another fork"
    );
    assert_eq!(client.on_response(180, at(520)), Step::NOTHING);
    assert_eq!(client.on_response(486, at(530)), Step::NOTHING);
    assert_eq!(alone!(client), (vec![], Some((32_010, End::Done))));
}

#[test]
fn a_failure_is_repeated_until_acknowledged() {
    let mut server = InviteServer::new(Timing::default(), UDP);
    assert!(server.respond(180, at(0)) && server.respond(486, at(1_000)));
    assert!(!server.respond(200, at(1_001)), "a final answer stands");
    let copy = server;
    let (sent, end) = alone!(copy);
    assert_eq!(
        sent,
        [
            1_500, 2_500, 4_500, 8_500, 12_500, 16_500, 20_500, 24_500, 28_500, 32_500
        ]
    );
    assert_eq!(end, Some((33_000, End::TimedOut)));
    assert_eq!(server.on_ack(at(1_200)), Step::NOTHING);
    assert_eq!(
        server.on_request(),
        Step::NOTHING,
        "a late copy of the INVITE is absorbed"
    );
    assert_eq!(alone!(server), (vec![], Some((6_200, End::Done))));
}

#[test]
fn after_a_success_copies_of_the_invite_are_absorbed_and_acks_delivered() {
    let mut server = InviteServer::new(Timing::default(), UDP);
    assert_eq!(
        server.on_request(),
        Step::SEND,
        "the last provisional response again"
    );
    assert!(server.respond(200, at(0)));
    assert_eq!(server.on_request(), Step::NOTHING);
    assert!(server.on_ack(at(10)).deliver);
    assert_eq!(alone!(server), (vec![], Some((32_000, End::Done))));
}

#[test]
fn a_copy_of_an_answered_request_gets_the_same_answer() {
    let mut server = PlainServer::new(Timing::default(), UDP);
    assert_eq!(server.on_request(), Step::NOTHING, "nothing to repeat yet");
    assert!(server.respond(200, at(0)) && !server.respond(500, at(1)));
    assert_eq!(server.on_request(), Step::SEND);
    assert_eq!(alone!(server), (vec![], Some((32_000, End::Done))));
}

#[test]
fn two_machines_agree_whichever_six_packets_are_lost() {
    // Bit n says whether the n-th packet is lost. Seven INVITEs are sent, so six losses are survived.
    for pattern in (0..4_096u64).filter(|pattern| pattern.count_ones() <= 6) {
        let outcome = invite_and_refuse_over(pattern);
        assert!(outcome.refused, "the refusal is heard, pattern {pattern:b}");
        assert!(outcome.both_ended, "both machines end, pattern {pattern:b}");
    }
}

struct Outcome {
    refused: bool,
    both_ended: bool,
}

/// An INVITE refused with 486 at once, in virtual time; each packet takes 50 ms or is lost.
fn invite_and_refuse_over(pattern: u64) -> Outcome {
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    enum Packet {
        Invite,
        Busy,
        Ack,
    }
    let mut packets = 0;
    let mut flying: Vec<(Time, Packet)> = Vec::new();
    let mut send = |flying: &mut Vec<(Time, Packet)>, packet, now: Time| {
        let lost = packets < 12 && pattern >> packets & 1 == 1;
        packets += 1;
        if !lost {
            flying.push((now + Duration::from_millis(50), packet));
        }
    };
    let mut client = Some(InviteClient::new(Timing::default(), UDP, at(0)));
    let mut server: Option<InviteServer> = None;
    let mut server_was_there = false;
    let mut refused = false;
    send(&mut flying, Packet::Invite, at(0));
    loop {
        flying.sort();
        let arrives = flying.first().map(|(time, _)| *time);
        let client_due = client.as_ref().and_then(InviteClient::deadline);
        let server_due = server.as_ref().and_then(InviteServer::deadline);
        let Some(now) = [arrives, client_due, server_due]
            .into_iter()
            .flatten()
            .min()
        else {
            break;
        };
        if arrives == Some(now) {
            let (_, packet) = flying.remove(0);
            match packet {
                Packet::Invite if !server_was_there => {
                    let mut fresh = InviteServer::new(Timing::default(), UDP);
                    fresh.respond(486, now);
                    server = Some(fresh);
                    server_was_there = true;
                    send(&mut flying, Packet::Busy, now);
                }
                Packet::Invite => {
                    if server
                        .as_mut()
                        .is_some_and(|server| server.on_request().send)
                    {
                        send(&mut flying, Packet::Busy, now);
                    }
                }
                Packet::Busy => {
                    let step = client
                        .as_mut()
                        .map(|client| client.on_response(486, now))
                        .unwrap_or_default();
                    refused |= step.deliver;
                    if step.ack {
                        send(&mut flying, Packet::Ack, now);
                    }
                }
                Packet::Ack => {
                    server.as_mut().map(|server| server.on_ack(now));
                }
            }
        } else if client_due == Some(now) {
            let step = client
                .as_mut()
                .map(|client| client.on_timeout(now))
                .unwrap_or_default();
            if step.send {
                send(&mut flying, Packet::Invite, now);
            }
            if step.end.is_some() {
                client = None;
            }
        } else {
            let step = server
                .as_mut()
                .map(|server| server.on_timeout(now))
                .unwrap_or_default();
            if step.send {
                send(&mut flying, Packet::Busy, now);
            }
            if step.end.is_some() {
                server = None;
            }
        }
    }
    Outcome {
        refused,
        both_ended: client.is_none() && server.is_none(),
    }
}
