//! Two carriers: each is sent calls with its own X alone, to the callees that it takes.

use maskline_domain::call_record::CallRecord;
use maskline_domain::ops::{SetCarrier, SetPool};
use maskline_domain::trunk::PromptPolicy;
use maskline_domain::{
    AccountId, Carrier, CarrierName, Command, Pool, PoolKey, Product, Trunk, TrunkName,
};
use maskline_fixtures::domain::{ACCOUNT, POOL, number, operator};
use maskline_server::calls::demo_phones;
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;
use std::collections::BTreeSet;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{CallsFixture, N, X, local};
use crate::calls::phone::{Phone, Said};

/// Calls once and hangs up; the trunk by which somebody answered, else how the call was refused, and its situation.
async fn call(fixture: &CallsFixture, phone: &mut Phone) -> (Result<String, Said>, String) {
    let newest = |records: &[(CallRecord, bool)]| records.first().map(|(it, _)| it.call_id.clone());
    let before = newest(&fixture.records().await);
    phone.dial(X, N).await;
    let refused = loop {
        match phone.next_event().await {
            Said::Progress(_) => {}
            Said::Answered => break None,
            other => break Some(other),
        }
    };
    phone.hang_up().await;
    let record = loop {
        let records = fixture.records().await;
        let is_over = records.iter().all(|(_, is_open)| !is_open);
        match is_over && newest(&records) != before {
            true => break records[0].0.clone(),
            false => tokio::task::yield_now().await,
        }
    };
    let situation = record.situation.unwrap_or_default();
    match refused {
        None => (Ok(record.trunk_out.unwrap_or_default()), situation),
        Some(said) => {
            assert_eq!(record.trunk_out, None, "nobody was dialled");
            (Err(said), situation)
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_leaves_by_a_trunk_that_may_show_its_x_and_takes_its_callee() {
    let dir = TempDir::new().expect("a directory");
    let fixture = CallsFixture::open(dir.path(), "boot 1", 47_680).await;
    let stop = CancellationToken::new();
    let second = demo_phones::start(local(0), local(0), stop.clone()).await;
    let second = second.expect("the phones start");
    let carrier = Carrier::new(CarrierName::new("unicom"));
    let pool = Pool {
        carrier: Some(carrier.name.clone()),
        ..Pool::new(PoolKey::new(POOL), AccountId::new(ACCOUNT), Product::Axn)
    };
    let carrier = Command::SetCarrier(SetCarrier(Box::new(carrier)));
    for command in [carrier, Command::SetPool(SetPool(pool))] {
        let done = fixture.ledger.submit(operator(command)).await;
        done.expect("as it should be");
    }
    let trunk = |name: &str, priority, presents: &[&str], routes: &[&str]| Trunk {
        priority,
        prompts: PromptPolicy::None,
        presents: presents.iter().map(|name| (*name).into()).collect(),
        routes: routes.iter().map(|digits| number(digits)).collect(),
        ..Trunk::new(
            TrunkName::new(name),
            match name {
                "sandbox" => fixture.demo_phones.address.to_string(),
                _ => second.address.to_string(),
            },
        )
    };
    let mut registry = Registry::default();
    fixture.calls_handle.register(&mut registry);
    let mut phone = Phone::new(fixture.serving.address).await;
    let unreachable = || Err(Said::Refused(502, Some(38)));
    let by = |name: &str| Ok(name.to_owned());
    // What the trunk of the demo says, and what the other one says; by which a call goes to A, a mobile. The demo's
    // comes first by its priority.
    type Terms = (&'static [&'static str], &'static [&'static str]);
    let rows: [(Terms, Terms, Result<String, Said>, &str); 13] = [
        ((&[], &[]), (&[], &[]), by("sandbox"), ""),
        ((&["unicom"], &[]), (&["telecom"], &[]), by("sandbox"), ""),
        ((&["telecom"], &[]), (&["unicom"], &[]), by("second"), ""),
        ((&["telecom"], &[]), (&[POOL], &[]), by("second"), ""),
        ((&["FC9"], &[]), (&["telecom", POOL], &[]), by("second"), ""),
        ((&["telecom"], &[]), (&[], &[]), by("second"), ""),
        ((&["telecom"], &[]), (&["FC9"], &[]), unreachable(), "x"),
        ((&[], &["0571"]), (&[], &[]), by("second"), ""),
        ((&[], &["1"]), (&[], &["139"]), by("second"), ""),
        ((&[], &["139"]), (&[], &["1"]), by("sandbox"), ""),
        ((&[], &["0571"]), (&[], &["95"]), unreachable(), "callee"),
        (
            (&["telecom"], &["139"]),
            (&["unicom"], &["1"]),
            by("second"),
            "",
        ),
        (
            (&["telecom"], &["139"]),
            (&["unicom"], &["15"]),
            unreachable(),
            "callee",
        ),
    ];
    let mut counted = BTreeSet::new();
    for (first, other, expected, why) in rows {
        fixture
            .set_trunk(trunk("sandbox", 0, first.0, first.1))
            .await;
        fixture
            .set_trunk(trunk("second", 1, other.0, other.1))
            .await;
        let situation = match expected {
            Ok(_) => "hung_up",
            Err(_) => "unreachable",
        };
        let came = call(&fixture, &mut phone).await;
        assert_eq!(
            came,
            (expected, situation.to_owned()),
            "{first:?} {other:?}"
        );
        counted.extend(Some(why).filter(|why| !why.is_empty()));
    }
    let closed = Trunk {
        enabled: false,
        ..trunk("second", 1, &[], &[])
    };
    fixture.set_trunk(closed).await;
    fixture
        .set_trunk(trunk("sandbox", 0, &["telecom"], &[]))
        .await;
    let came = call(&fixture, &mut phone).await;
    assert_eq!(came, (unreachable(), "unreachable".to_owned()));
    let mut told = String::new();
    text::encode(&mut told, &registry).expect("text");
    for line in ["{why=\"x\"} 2", "{why=\"callee\"} 2"] {
        let line = format!("calls_without_trunk_total{line}");
        assert!(told.lines().any(|told| told == line), "{line}: {told}");
    }
    assert_eq!(counted, BTreeSet::from(["callee", "x"]));
    fixture.close().await;
    stop.cancel();
    second.task.await.expect("no panic");
}
