use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const LIMITS: Limits = Limits {
    unverified_bytes: 64 * 1_024,
    verified_bytes: 2 * 1_024 * 1_024,
};
/// A packet of 20 ms of G.711, with its headers, in bytes.
const PACKET: usize = 200;
const SECOND_US: u64 = 1_000_000;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("a literal")
}

fn budget() -> UnheardBudget {
    UnheardBudget::new(LIMITS)
}

impl UnheardBudget {
    /// How many of so many packets may be sent at once.
    fn burst(&self, to: &str, packets: usize, is_source_verified: bool, now_us: u64) -> usize {
        let may = |_: &usize| self.take(ip(to), PACKET, is_source_verified, now_us);
        (0..packets).filter(may).count()
    }
}

#[test]
fn a_destination_gets_its_sum_whoever_names_it() {
    // The destination, where all calls before it sent as much as they could, whether both are verified, and how much of
    // what it may get it still gets.
    let rows = [
        ("192.0.2.66", "192.0.2.66", (false, false), false),
        ("192.0.2.66", "192.0.2.67", (false, false), true),
        ("192.0.2.66", "::ffff:192.0.2.66", (false, false), false),
        ("::ffff:192.0.2.66", "192.0.2.66", (false, false), false),
        ("2001:db8::1", "2001:db8::2", (false, false), false),
        ("2001:db8::1", "2001:db8::ffff:0:0:1", (false, false), false),
        ("2001:db8::1", "2001:db8:0:1::1", (false, false), true),
        ("192.0.2.66", "192.0.2.66", (false, true), true),
        ("192.0.2.66", "192.0.2.66", (true, false), true),
        ("192.0.2.66", "192.0.2.66", (true, true), false),
    ];
    for (first, then, (first_verified, then_verified), is_free) in rows {
        let budget = budget();
        budget.burst(first, 20_000, first_verified, 0);
        let got = budget.burst(then, 20_000, then_verified, 0);
        let whole = match then_verified {
            true => 1_024 * 1_024 / PACKET,
            false => 32 * 1_024 / PACKET,
        };
        let expected = if is_free { whole } else { 0 };
        assert_eq!(got, expected, "{first} then {then}");
    }
}

#[test]
fn a_destination_is_forgotten_a_minute_after_its_last_use() {
    let budget = budget();
    let whole = budget.burst("192.0.2.66", 1_000, false, 0);
    assert_eq!(whole, 163);
    assert_eq!(budget.burst("192.0.2.66", 1_000, false, SECOND_US), 3);
    let half = budget.burst("192.0.2.66", 1_000, false, 31 * SECOND_US);
    assert!((80..=83).contains(&half), "{half}");
    assert_eq!(
        budget.burst("192.0.2.66", 1_000, false, 92 * SECOND_US),
        163
    );
}

#[test]
fn verified_calls_to_where_media_was_heard_have_no_sum_and_others_still_have_one() {
    let budget = budget();
    budget.burst("192.0.2.66", 20_000, false, 0);
    budget.burst("192.0.2.66", 20_000, true, 0);
    budget.hear(ip("192.0.2.66"), 0);
    assert_eq!(budget.burst("192.0.2.66", 20_000, true, SECOND_US), 20_000);
    assert!(budget.burst("192.0.2.66", 20_000, false, SECOND_US) <= 3);
    assert_eq!(budget.burst("192.0.2.67", 20_000, true, SECOND_US), 5_242);
    let later_us = 601 * SECOND_US;
    assert_eq!(budget.burst("192.0.2.66", 20_000, true, later_us), 5_242);
}

#[test]
fn where_all_places_are_taken_a_further_destination_waits_and_none_begins_anew() {
    let budget = UnheardBudget::with_entries(LIMITS, 8);
    let spent = budget.burst("192.0.2.66", 1_000, false, 0);
    assert_eq!(spent, 163);
    let others: Vec<String> = (0..10_000)
        .map(|n| format!("10.0.{}.{}", n / 250, n % 250))
        .collect();
    let taken = others
        .iter()
        .filter(|other| budget.burst(other, 200, false, SECOND_US) > 0)
        .count();
    assert_eq!((taken, budget.len()), (8 * PARTS - 1, 8 * PARTS));
    assert!(budget.burst("192.0.2.66", 1_000, false, SECOND_US) <= 3);
    // Verified calls have places of their own.
    assert!(budget.burst("10.200.0.1", 1, true, SECOND_US) == 1);
    let again = others
        .iter()
        .filter(|other| budget.burst(other, 1, false, 100 * SECOND_US) > 0)
        .count();
    assert_eq!(again, 8 * PARTS, "those before have drained");
}

proptest! {
    #[test]
    fn within_any_minute_no_destination_gets_more_than_its_sum(
        steps in prop::collection::vec(
            (0_u64..3_000_000, 0_u8..40, 1_usize..4_200, any::<bool>(), 0_u8..20), 1..600,
        ),
        burst in 1_usize..60,
    ) {
        let budget = UnheardBudget::with_entries(LIMITS, 1);
        let (mut now_us, mut sent) = (0, BTreeMap::<_, Vec<(u64, usize)>>::new());
        for (pause_us, host, bytes, is_source_verified, heard) in steps {
            now_us += pause_us;
            if heard == 0 {
                budget.hear(IpAddr::from([192, 0, 2, 200]), now_us);
            }
            let to = IpAddr::from([192, 0, 2, host]);
            for _ in 0..burst {
                if budget.take(to, bytes, is_source_verified, now_us) {
                    sent.entry((host, is_source_verified)).or_default().push((now_us, bytes));
                }
            }
            prop_assert!(budget.len() <= 3 * PARTS);
        }
        for ((_, is_source_verified), sent) in sent {
            let most = if is_source_verified { LIMITS.verified_bytes } else { LIMITS.unverified_bytes };
            let mut first = 0;
            for last in 0..sent.len() {
                while sent[last].0 - sent[first].0 > DRAINS_US {
                    first += 1;
                }
                let sum: usize = sent[first..=last].iter().map(|(_, bytes)| bytes).sum();
                prop_assert!(sum <= most as usize, "{sum} bytes in a minute");
            }
        }
    }
}
