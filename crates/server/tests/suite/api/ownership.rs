//! Who may read what when an X number has changed hands: every way by X, SubsId or name that could
//! outlive an owner.

use maskline_domain::account::{Effect, Statement};
use maskline_domain::ops::{AddNumbers, DeleteKey, DeleteUser, ReleaseNumbers, SetPool, SetUser};
use maskline_domain::{
    AccessKeyId, AccountId, PhoneNumber, Pool, PoolKey, Product, User, UserName,
};

use crate::api::client::{Answer, Signer};
use crate::api::world::{A, AXN, B, EXPIRATION, FOREIGN, STRICT, World, number};

const GONE: &str = "isv.SUBS_NOT_EXIST";
const NOWHERE: &str = "isv.NO_NOT_EXIST";
const DENIED: &str = "isp.RAM_PERMISSION_DENY";

/// A way to ask: action, parameters, and the code that is answered.
type Way<'a> = (&'a str, Vec<(&'a str, &'a str)>, &'a str);

/// Statements, and the code that is answered for each of four X numbers.
type Policy<'a> = (&'a [(Effect, &'a str, &'a str)], [(&'a str, &'a str); 4]);

/// How X comes to another pool.
#[derive(Clone, Copy, Debug)]
enum Handover {
    Moved,
    RemovedAndAdded,
}

async fn as_who(world: &World, who: &Signer, action: &str, pairs: &[(&str, &str)]) -> Answer {
    let mut request = world.rpc(action, pairs);
    request.set("AccessKeyId", &who.id);
    request.sign(&who.secret);
    world
        .connection()
        .exchange(&request.bytes())
        .await
        .expect("an answer")
}

fn signer(id: &str) -> Signer {
    Signer {
        id: id.into(),
        secret: format!("secret-of-{id}"),
    }
}

async fn hand_over(world: &World, x: &str, pool: &str, how: Handover) {
    if let Handover::RemovedAndAdded = how {
        let x = PhoneNumber::parse(x).unwrap();
        world.order(ReleaseNumbers(vec![x])).await;
    }
    let number = number(x, Some(pool), "北京");
    world.order(AddNumbers(vec![number])).await;
}

/// A binding of acme's in `AXN` with A and B that has been ended.
async fn ended(world: &World) -> (String, String) {
    let (x, id) = world.bind(&[("PhoneNoB", B)]).await;
    let pairs = [("PoolKey", AXN), ("SubsId", &id), ("SecretNo", &x)];
    let answer = world.ask("UnbindSubscription", &pairs).await;
    assert_eq!(answer.code(), "OK");
    (x, id)
}

fn tells_a_party(answer: &Answer) -> bool {
    answer.body.contains(A) || answer.body.contains(B)
}

#[tokio::test]
async fn the_next_owner_of_an_x_reads_nothing_of_the_last_one() {
    for how in [Handover::Moved, Handover::RemovedAndAdded] {
        let world = World::start().await;
        let rival = signer("rivalid");
        world.add_key("rival", &rival.id, &rival.secret).await;
        let (x, id) = ended(&world).await;
        hand_over(&world, &x, FOREIGN, how).await;
        let named = [
            ("PoolKey", FOREIGN),
            ("SubsId", &*id),
            ("SecretNo", &*x),
            ("PhoneNoX", &*x),
        ];
        let with = |more: &[(&'static str, &'static str)]| {
            named
                .iter()
                .copied()
                .chain(more.iter().copied())
                .collect::<Vec<_>>()
        };
        let update = |what| with(&[("OperateType", what), ("PhoneNoB", "15811112222")]);
        let paths: Vec<Way<'_>> = vec![
            ("QuerySubscriptionDetail", with(&[]), GONE),
            ("UnbindSubscription", with(&[]), GONE),
            ("UpdateSubscription", update("updateNoB"), GONE),
            (
                "UpdateSubscription",
                update("updateCallDisplayType"),
                "isv.ILLEGAL_ARGUMENT",
            ),
            ("QuerySubsId", with(&[]), "OK"),
            ("QuerySubsId", named[1..].to_vec(), "OK"),
            ("QuerySecretNoDetail", with(&[]), "OK"),
            ("LockSecretNo", with(&[]), "OK"),
            ("UnlockSecretNo", with(&[]), "OK"),
            (
                "BindAxn",
                with(&[("PhoneNoA", "15900000001"), ("Expiration", EXPIRATION)]),
                "OK",
            ),
            // Now that X carries a binding of the new owner's.
            ("QuerySubscriptionDetail", with(&[]), GONE),
            ("UpdateSubscription", update("updateNoB"), GONE),
        ];
        for (action, pairs, code) in paths {
            let answer = as_who(&world, &rival, action, &pairs).await;
            assert_eq!(answer.code(), code, "{how:?} {action}: {answer:?}");
            assert!(!tells_a_party(&answer), "{how:?} {action}: {answer:?}");
            if action == "QuerySubsId" {
                assert!(!answer.body.contains(&*id), "{answer:?}");
            }
        }
        // Whose it was reads it still, and nothing of the new owner's.
        let own = [("PoolKey", AXN), ("SubsId", &*id), ("PhoneNoX", &*x)];
        let answer = world.ask("QuerySubscriptionDetail", &own).await;
        assert_eq!(
            answer.json()["SecretBindDetailDTO"]["PhoneNoA"],
            A,
            "{answer:?}"
        );
        assert_eq!(answer.json()["SecretBindDetailDTO"]["Status"], 0);
        let answer = world.ask("QuerySubsId", &[("PhoneNoX", &x)]).await;
        assert_eq!(answer.code(), NOWHERE);
        world.stop().await;
    }
}

#[tokio::test]
async fn what_ended_by_time_is_not_told_to_the_next_owner_either() {
    let world = World::start().await;
    let rival = signer("rivalid");
    world.add_key("rival", &rival.id, &rival.secret).await;
    let (x, id) = world
        .bend_history("UPDATE binding_history SET end_cause = 'expired'")
        .await;
    let pairs = |pool| {
        [
            ("PoolKey", pool),
            ("SubsId", &*id),
            ("PhoneNoX", &*x),
            ("OperateType", "updateNoB"),
            ("PhoneNoB", B),
        ]
    };
    let own = world.ask("UpdateSubscription", &pairs(AXN)).await.code();
    assert_ne!(own, GONE, "who owned it is told that it expired");
    hand_over(&world, &x, FOREIGN, Handover::Moved).await;
    let answer = as_who(&world, &rival, "UpdateSubscription", &pairs(FOREIGN)).await;
    assert_eq!(answer.code(), GONE, "{answer:?}");
    let again = world.ask("UpdateSubscription", &pairs(AXN)).await.code();
    assert_eq!(again, own, "the former owner is told the same as before");
    world.stop().await;
}

#[tokio::test]
async fn a_row_that_does_not_say_whose_it_was_is_for_operators_alone() {
    let world = World::start().await;
    let (x, id) = world
        .bend_history("UPDATE binding_history SET pool = NULL, account = NULL")
        .await;
    let pairs = [("PoolKey", AXN), ("SubsId", &*id), ("PhoneNoX", &*x)];
    let answer = world.ask("QuerySubscriptionDetail", &pairs).await;
    assert_eq!(answer.code(), GONE);
    world.stop().await;
}

#[tokio::test]
async fn an_unreadable_row_of_history_is_a_fault_and_no_erasure() {
    let world = World::start().await;
    let (x, id) = world
        .bend_history("UPDATE binding_history SET facts = substr(facts, 1, 40)")
        .await;
    let pairs = [("PoolKey", AXN), ("SubsId", &*id), ("PhoneNoX", &*x)];
    let answer = world.ask("QuerySubscriptionDetail", &pairs).await;
    assert_eq!(answer.code(), "isp.SYSTEM_ERROR");
    let mut registry = prometheus_client::registry::Registry::default();
    world.ledger.register_metrics(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    assert!(text.contains("\nrecords_unreadable_total 1\n"), "{text}");
    world.stop().await;
}

#[tokio::test]
async fn a_user_of_one_pool_reads_nothing_that_was_made_in_another() {
    let world = World::start().await;
    let ram_user = signer("user1id");
    allow(&world, "user1", &[(Effect::Allow, "dypls:*", STRICT)]).await;
    world.add_user_key("acme", "user1", &ram_user).await;
    let (x, id) = ended(&world).await;
    hand_over(&world, &x, STRICT, Handover::Moved).await;
    for (pool, code) in [(STRICT, GONE), (AXN, DENIED)] {
        let pairs = [("PoolKey", pool), ("SubsId", &*id), ("PhoneNoX", &*x)];
        let answer = as_who(&world, &ram_user, "QuerySubscriptionDetail", &pairs).await;
        assert_eq!(answer.code(), code, "{pool}: {answer:?}");
    }
    // The account itself may name either, and finds it where it was made.
    for (pool, code) in [(STRICT, GONE), (AXN, "OK")] {
        let pairs = [("PoolKey", pool), ("SubsId", &*id), ("PhoneNoX", &*x)];
        let answer = world.ask("QuerySubscriptionDetail", &pairs).await;
        assert_eq!(answer.code(), code, "{pool}: {answer:?}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_name_that_is_made_again_brings_nothing_back() {
    let world = World::start().await;
    let key = signer("comesagain");
    world.add_key("acme", &key.id, &key.secret).await;
    let (x, id) = world.bind(&[]).await;
    let detail = [("PoolKey", AXN), ("SubsId", &*id), ("PhoneNoX", &*x)];
    let ask = async || {
        as_who(&world, &key, "QuerySubscriptionDetail", &detail)
            .await
            .code()
    };
    assert_eq!(ask().await, "OK");
    let id_of_key = AccessKeyId::new(&key.id);
    world
        .order(DeleteKey {
            id: id_of_key.clone(),
        })
        .await;
    assert_eq!(ask().await, "InvalidAccessKeyId.NotFound");
    // The same id, now of another account.
    world.add_key("rival", &key.id, &key.secret).await;
    assert_eq!(ask().await, "isv.PARTNER_NOT_EXIST");

    // A user's keys go with them; a new user of that name has no part in the old policy.
    let ram_user = signer("user1id");
    allow(&world, "user1", &[(Effect::Allow, "dypls:*", "*")]).await;
    world.add_user_key("acme", "user1", &ram_user).await;
    let ask = async || {
        as_who(&world, &ram_user, "QuerySubscriptionDetail", &detail)
            .await
            .code()
    };
    assert_eq!(ask().await, "OK");
    let (account, name) = (AccountId::new("acme"), UserName::new("user1"));
    world.order(DeleteUser { account, name }).await;
    allow(&world, "user1", &[(Effect::Allow, "dypls:BindAxn", AXN)]).await;
    assert_eq!(ask().await, "InvalidAccessKeyId.NotFound");
    world.add_user_key("acme", "user1", &ram_user).await;
    assert_eq!(ask().await, DENIED);
    world.stop().await;
}

#[tokio::test]
async fn an_order_id_finds_no_binding_of_another_pool() {
    let world = World::start().await;
    let rival = signer("rivalid");
    world.add_key("rival", &rival.id, &rival.secret).await;
    for (key, owner) in [(AXN, "acme"), (STRICT, "acme"), (FOREIGN, "rival")] {
        let mut pool = Pool::new(PoolKey::new(key), AccountId::new(owner), Product::Axn);
        pool.same_out_order_returns = true;
        world.order(SetPool(pool)).await;
    }
    let terms = |pool| {
        [
            ("PoolKey", pool),
            ("PhoneNoA", A),
            ("Expiration", EXPIRATION),
            ("OutOrderId", "order-1"),
        ]
    };
    let bound = |answer: Answer| {
        let dto = answer.json()["SecretBindDTO"].clone();
        (dto["SecretNo"].clone(), dto["SubsId"].clone())
    };
    let first = bound(world.ask("BindAxn", &terms(AXN)).await);
    assert_eq!(
        bound(world.ask("BindAxn", &terms(AXN)).await),
        first,
        "its own pool finds it"
    );
    let other = bound(world.ask("BindAxn", &terms(STRICT)).await);
    let foreign = bound(as_who(&world, &rival, "BindAxn", &terms(FOREIGN)).await);
    assert!(other != first && foreign != first && other != foreign);
    assert!(first.0.is_string() && other.0.is_string() && foreign.0.is_string());
    world.stop().await;
}

#[tokio::test]
async fn a_denied_pool_is_denied_without_its_key_too() {
    let world = World::start().await;
    let ram_user = signer("user1id");
    use Effect::{Allow, Deny};
    world.add_user_and_key("acme", "user1", &ram_user).await;
    let (denied, other, foreign, none) =
        ("17000000019", "17000000200", "17000000300", "17000009999");
    let policies: [Policy<'_>; 7] = [
        (
            &[(Allow, "*", "*"), (Deny, "*", AXN)],
            [
                (denied, DENIED),
                (other, "OK"),
                (foreign, NOWHERE),
                (none, NOWHERE),
            ],
        ),
        (
            &[
                (Allow, "dypls:Query*", "*"),
                (Deny, "dypls:QuerySubsId", AXN),
            ],
            [
                (denied, DENIED),
                (other, "OK"),
                (foreign, NOWHERE),
                (none, NOWHERE),
            ],
        ),
        (
            &[(Allow, "dypls:*", STRICT)],
            [
                (denied, DENIED),
                (other, "OK"),
                (foreign, DENIED),
                (none, DENIED),
            ],
        ),
        (
            &[
                (Allow, "dypls:QuerySubsId", "FC1234*"),
                (Deny, "dypls:*", STRICT),
            ],
            [
                (denied, "OK"),
                (other, DENIED),
                (foreign, DENIED),
                (none, DENIED),
            ],
        ),
        (
            &[(Allow, "dypls:QuerySubsId", FOREIGN)],
            [
                (denied, DENIED),
                (other, DENIED),
                (foreign, DENIED),
                (none, DENIED),
            ],
        ),
        (
            &[(Allow, "dypls:BindAxn", "*")],
            [
                (denied, DENIED),
                (other, DENIED),
                (foreign, DENIED),
                (none, DENIED),
            ],
        ),
        (
            &[(Allow, "dypls:QuerySubsId", "*")],
            [
                (denied, "OK"),
                (other, "OK"),
                (foreign, NOWHERE),
                (none, NOWHERE),
            ],
        ),
    ];
    for (policy, cases) in policies {
        allow(&world, "user1", policy).await;
        for (x, code) in cases {
            let answer = as_who(&world, &ram_user, "QuerySubsId", &[("PhoneNoX", x)]).await;
            assert_eq!(answer.code(), code, "{policy:?} {x}");
            let empty = [("PhoneNoX", x), ("PoolKey", "")];
            let answer = as_who(&world, &ram_user, "QuerySubsId", &empty).await;
            assert_eq!(answer.code(), code, "an empty key is none: {policy:?} {x}");
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn a_closed_pool_is_closed_without_its_key_too() {
    let world = World::start().await;
    let mut pool = Pool::new(PoolKey::new(AXN), AccountId::new("acme"), Product::Axn);
    pool.open = false;
    world.order(SetPool(pool)).await;
    for pairs in [
        &[("PhoneNoX", "17000000019"), ("PoolKey", AXN)][..],
        &[("PhoneNoX", "17000000019")],
    ] {
        let answer = world.ask("QuerySubsId", pairs).await;
        assert_eq!(answer.code(), "isv.PARTNER_IS_CLOSED", "{answer:?}");
    }
    world.stop().await;
}

async fn allow(world: &World, user: &str, policy: &[(Effect, &str, &str)]) {
    let statements = policy.iter().map(|&(effect, action, pool)| Statement {
        effect,
        actions: vec![action.into()],
        pools: vec![pool.into()],
    });
    let user = User {
        account: AccountId::new("acme"),
        name: UserName::new(user),
        statements: statements.collect(),
    };
    world.order(SetUser(user)).await;
}
