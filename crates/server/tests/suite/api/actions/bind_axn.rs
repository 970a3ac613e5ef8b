use maskline_domain::ops::{Lock, SetPool};
use maskline_domain::{AccountId, Pool, PoolKey, Product};

use super::{Pairs, bind, detail};
use crate::api::world::{A, AXN, STRICT, World};
use maskline_fixtures::domain::number;

#[tokio::test]
async fn bind_axn_takes_every_parameter() {
    let world = World::start().await;
    let answer = bind(
        &world,
        "BindAxn",
        &[
            ("PhoneNoB", "057112345678"),
            ("PhoneNoX", "17000000004"),
            ("ExpectCity", "北京市"),
            ("IsRecordingEnabled", "true"),
            ("OutId", "a b*~+/=&'()!客"),
            ("OutOrderId", "order-1"),
            ("CallTimeout", "10"),
            ("CallDisplayType", "1"),
            ("CallRestrict", "CONTROL_AX_DISABLE"),
            ("RingConfig", r#"{"AXNRing_N":"100000001"}"#),
            ("ASRStatus", "True"),
            ("ASRModelId", "980abddb908f48e8b987cb2cd303"),
            ("Extend", "x"),
            ("OwnerId", "1"),
            ("NoSuchParameter", "1"),
        ],
    )
    .await;
    assert_eq!(answer.code(), "OK", "{answer:?}");
    let dto = &answer.json()["SecretBindDTO"];
    assert_eq!(
        (&dto["SecretNo"], &dto["Extension"]),
        (&"17000000004".into(), &"".into())
    );
    let subs_id = dto["SubsId"].as_str().unwrap();
    let detail = detail(&world, AXN, "17000000004", subs_id).await;
    assert_eq!(detail["PhoneNoB"], "057112345678");
    assert_eq!(
        (&detail["NeedRecord"], &detail["ASRStatus"]),
        (&true.into(), &true.into())
    );
    assert_eq!(detail["CallRestrict"], "CONTROL_AX_DISABLE");
    assert_eq!(detail["ASRModelId"], "980abddb908f48e8b987cb2cd303");
}

#[tokio::test]
async fn bind_axn_refuses_by_the_published_codes() {
    let world = World::start().await;
    world.bind(&[("PhoneNoX", "17000000000")]).await;
    world
        .order(Lock {
            pool: maskline_domain::PoolRef::Key(PoolKey::new(AXN)),
            x: number("17000000002"),
        })
        .await;
    let rows: &[(Pairs, &str)] = &[
        (&[("PhoneNoA", "1500000000")], "isv.MOBILE_NUMBER_ILLEGAL"),
        (
            &[("PhoneNoA", "+8615000000000")],
            "isv.MOBILE_NUMBER_ILLEGAL",
        ),
        (
            &[("PhoneNoA", "0571-12345678")],
            "isv.MOBILE_NUMBER_ILLEGAL",
        ),
        (&[("PhoneNoA", "110")], "isv.MOBILE_NUMBER_ILLEGAL"),
        (&[("PhoneNoB", "abc")], "isv.MOBILE_NUMBER_ILLEGAL"),
        (
            &[("PhoneNoX", "170-0000-0000")],
            "isv.MOBILE_NUMBER_ILLEGAL",
        ),
        (&[("PhoneNoB", A)], "isv.ILLEGAL_ARGUMENT"),
        (&[("PhoneNoX", A)], "isv.ILLEGAL_ARGUMENT"),
        (&[("CallRestrict", "CONTROL_ALL")], "isv.ILLEGAL_ARGUMENT"),
        (&[("IsRecordingEnabled", "maybe")], "isv.ILLEGAL_ARGUMENT"),
        (&[("CallTimeout", "4")], "isv.ILLEGAL_ARGUMENT"),
        (&[("CallTimeout", "21")], "isv.ILLEGAL_ARGUMENT"),
        (&[("CallDisplayType", "one")], "isv.ILLEGAL_ARGUMENT"),
        (&[("RingConfig", "{")], "isv.INVALID_PARAMETERS"),
        (
            &[("Expiration", "2017-09-05 12:00:00")],
            "isv.EXPIRE_DATE_ILLEGAL",
        ),
        (
            &[("Expiration", "2039-09-05T12:00:00Z")],
            "isv.EXPIRE_DATE_ILLEGAL",
        ),
        (&[("Expiration", "tomorrow")], "isv.EXPIRE_DATE_ILLEGAL"),
        (&[("PhoneNoX", "17099999999")], "isv.NO_NOT_EXIST"),
        (&[("PhoneNoX", "17000000200")], "isv.FORBIDDEN_ACTION"),
        (&[("PhoneNoX", "17000000002")], "isv.FORBIDDEN_ACTION"),
        (&[("PhoneNoX", "17000000000")], "isv.BIND_CONFLICT"),
        (
            &[("PhoneNoX", "17000000000"), ("PhoneNoA", "15000000001")],
            "isv.NO_USED_BY_OTHERS",
        ),
        // Precedence: numbers, then forms, then expiration, then X.
        (
            &[
                ("PhoneNoA", "1"),
                ("CallRestrict", "x"),
                ("Expiration", "x"),
            ],
            "isv.MOBILE_NUMBER_ILLEGAL",
        ),
        (
            &[("CallRestrict", "x"), ("Expiration", "x")],
            "isv.ILLEGAL_ARGUMENT",
        ),
        (
            &[("Expiration", "x"), ("PhoneNoX", "17099999999")],
            "isv.EXPIRE_DATE_ILLEGAL",
        ),
    ];
    for (pairs, expected) in rows {
        let answer = bind(&world, "BindAxn", pairs).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (200, *expected),
            "{pairs:?} {answer:?}"
        );
        assert!(answer.json().get("SecretBindDTO").is_none());
    }
}

#[tokio::test]
async fn cities_are_loose_or_strict_and_pools_run_dry() {
    let world = World::start().await;
    let answer = bind(&world, "BindAxn", &[("ExpectCity", "上海")]).await;
    assert_eq!(answer.code(), "OK", "{answer:?}");
    let strict = [("PoolKey", STRICT), ("ExpectCity", "上海")];
    assert_eq!(
        bind(&world, "BindAxn", &strict).await.code(),
        "isv.NO_AVAILABLE_NUMBER"
    );
    let strict = [("PoolKey", STRICT), ("ExpectCity", "北京")];
    assert_eq!(bind(&world, "BindAxn", &strict).await.code(), "OK");
    assert_eq!(
        bind(&world, "BindAxn", &strict).await.code(),
        "isv.NO_AVAILABLE_NUMBER"
    );
}

#[tokio::test]
async fn an_order_repeated_returns_its_binding_where_the_pool_wants_it() {
    let world = World::start().await;
    let order = [("OutOrderId", "order-1")];
    let (one, _) = world.bind(&order).await;
    let (two, _) = world.bind(&order).await;
    assert_ne!(one, two);
    let mut pool = Pool::new(PoolKey::new(AXN), AccountId::new("acme"), Product::Axn);
    pool.same_out_order_returns = true;
    world.order(SetPool(pool)).await;
    let order = [("OutOrderId", "order-2")];
    assert_eq!(world.bind(&order).await, world.bind(&order).await);
}
