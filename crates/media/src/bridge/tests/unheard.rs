//! What a side is sent before anything has come from where it says that it is.

use super::nat::{TOLD, there};
use super::*;
use maskline_sip::relay::Unheard;

/// A world whose caller may be sent so much before it is heard, by a call whose signalling proves something.
fn bounded(bytes: u32, ms: u32) -> World {
    bounded_beside(&budget(), bytes, ms)
}

/// The same with other calls beside it.
fn bounded_beside(budget: &Arc<UnheardBudget>, bytes: u32, ms: u32) -> World {
    let mut world = World::beside(budget);
    world.change(|path| {
        path.caller = Some(MediaEnd {
            address: there(TOLD),
            unheard: Some(Unheard {
                bytes,
                ms,
                is_source_verified: true,
            }),
            ..end(CALLER, 101)
        });
    });
    world
}

impl World {
    /// Plays to the caller for so many packets; how many bytes were sent, with all headers.
    fn played(&mut self, packets: usize) -> usize {
        let prompt = Player::new(vec![3; 160].into(), Law::A, Repeat::Forever);
        assert!(self.bridge.play(Side::Caller, prompt));
        let ticks = (0..packets).filter_map(|_| self.tick(Side::Caller).0);
        ticks.map(|(_, packet)| packet.payload.len() + 40).sum()
    }
}

#[test]
fn who_has_not_been_heard_is_sent_little() {
    // What it may be sent, and what it is sent of a prompt of twenty seconds.
    for (bytes, ms, at_least, at_most) in [
        (16_384, 10_000, 16_000, 16_384),
        (786_432, 60_000, 200_000, 200_000),
        (786_432, 2_000, 19_800, 20_200),
        (0, 0, 0, 0),
        (199, 10_000, 0, 0),
        (200, 10_000, 200, 200),
    ] {
        let mut world = bounded(bytes, ms);
        let sent = world.played(1_000);
        assert!((at_least..=at_most).contains(&sent), "{bytes}: {sent}");
        let withheld = world.bridge.received(Side::Caller).withheld;
        assert_eq!(withheld as usize, 1_000 - sent / 200);
        assert!(world.report_to().is_none() || bytes == 786_432 && ms == 60_000);
    }
}

#[test]
fn relayed_sound_and_reports_count_too() {
    let mut world = bounded(2_000, 100_000);
    let mut sent = 0;
    for sequence in 0..500 {
        let got = world.say(Side::Callee, CALLEE, sound(sequence, &[1; 160]));
        sent += got.map_or(0, |(_, packet)| packet.payload.len() + 40);
        if world.report_to().is_some() {
            sent += 96 + 28;
        }
    }
    assert!((1_700..=2_000).contains(&sent), "{sent}");
}

#[test]
fn who_has_been_heard_is_sent_everything() {
    let by_sound = |world: &mut World| assert!(world.speaks(TOLD, 1, 1));
    let by_report = |world: &mut World| world.report_from("10.0.0.5:4001");
    for hear in [by_sound as fn(&mut World), by_report] {
        let mut world = bounded(1_000, 10_000);
        assert_eq!(world.played(100), 1_000);
        hear(&mut world);
        let (first, _) = world.tick(Side::Caller);
        let (_, first) = first.expect("it goes on");
        assert!(first.marker, "after a break");
        assert_eq!(world.played(1_000), 200_000);
    }
    // Odd packets and strangers' do not count.
    let mut world = bounded(1_000, 10_000);
    assert!(!world.speaks("10.0.0.6:4000", 1, 1));
    world.report_from("10.0.0.6:4001");
    assert_eq!(world.played(1_000), 1_000);
}

#[test]
fn who_names_one_address_after_the_other_is_sent_no_more() {
    let mut world = bounded(10_000, 60_000);
    let mut sent = 0;
    for host in 1..50 {
        world.change(|path| {
            path.caller = path.caller.take().map(|end| MediaEnd {
                address: SocketAddr::from(([10, 9, 0, host], 4_000)),
                version: host.into(),
                ..end
            });
        });
        sent += world.played(20);
    }
    assert!(sent <= 10_000, "{sent}");
    // Of one that has been heard nothing is owed.
    let mut world = bounded(10_000, 60_000);
    assert!(world.speaks(TOLD, 1, 1));
    world.change(|path| {
        path.caller = path.caller.take().map(|end| MediaEnd {
            address: there("10.9.0.1:4000"),
            version: 9,
            ..end
        });
    });
    assert_eq!(world.played(1_000), 10_000);
}

#[test]
fn who_names_its_own_address_and_a_victims_in_turn_has_no_more_for_the_victim() {
    let mut world = bounded(10_000, 60_000);
    let name = |world: &mut World, at: &str, version| {
        world.change(|path| {
            path.caller = path.caller.take().map(|end| MediaEnd {
                address: there(at),
                version,
                ..end
            });
        });
    };
    let mut sent = 0;
    for turn in 1..20 {
        name(&mut world, TOLD, 2 * turn);
        assert!(world.speaks(TOLD, 1, turn as u16), "it is there");
        assert_eq!(world.played(100), 20_000, "and hears all");
        name(&mut world, "192.0.2.66:4000", 2 * turn + 1);
        sent += world.played(100);
    }
    assert_eq!(sent, 10_000);
    // Another victim in each turn is no better.
    for host in 1..20 {
        name(
            &mut world,
            &format!("192.0.2.{host}:4000"),
            100 + u32::from(host as u8),
        );
        sent += world.played(100);
    }
    assert_eq!(sent, 10_000);
    // Another port of a machine that was heard is heard.
    name(&mut world, "10.0.0.5:5000", 200);
    assert_eq!(world.played(100), 20_000);
}

#[test]
fn many_calls_that_name_one_victim_share_its_sum_and_who_is_heard_has_no_part_in_it() {
    let limits = Limits {
        unverified_bytes: 65_536,
        verified_bytes: 131_072,
    };
    let budget = Arc::new(UnheardBudget::new(limits));
    let mut worlds: Vec<World> = (0..300)
        .map(|_| bounded_beside(&budget, 4_096, 60_000))
        .collect();
    let sent: usize = worlds.iter_mut().map(|world| world.played(100)).sum();
    assert!((60_000..=65_536 + 4_000).contains(&sent), "{sent}");
    // A hundred calls to one address, each heard after ten packets, miss nothing after that.
    let mut calls: Vec<World> = (0..100)
        .map(|_| bounded_beside(&budget, 4_096, 60_000))
        .collect();
    for world in &mut calls {
        world.played(10);
        assert!(world.speaks(TOLD, 1, 1));
        assert_eq!(world.played(100), 20_000);
    }
}

#[test]
fn who_is_verified_later_may_be_sent_more_from_then_on() {
    let verified = Unheard {
        bytes: 20_000,
        ms: 60_000,
        is_source_verified: true,
    };
    let mut world = bounded(4_096, 10_000);
    assert_eq!(world.played(100), 4_000);
    world.bridge.allow(Side::Caller, verified);
    assert_eq!(world.played(1_000), 16_000, "what was sent before counts");
    // Nothing changes where there is no bound.
    world.change(|path| {
        path.caller = path.caller.take().map(|end| MediaEnd {
            unheard: None,
            ..end
        });
    });
    world.bridge.allow(Side::Caller, verified);
    assert_eq!(world.played(1_000), 200_000);
}
