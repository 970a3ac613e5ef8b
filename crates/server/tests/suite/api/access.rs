//! Who may ask for what, and how often: accounts, policies, pools, actions, rates.

use std::collections::BTreeMap;

use maskline_domain::account::{Effect, Statement};
use maskline_domain::ops::{SetAccount, SetPool, SetUser};
use maskline_domain::{Account, AccountId, AccountStatus, Pool, PoolKey, Product, User, UserName};
use maskline_server::api::Settings;
use maskline_server::api::limits::Rates;
use maskline_server::api::nonces::NonceBounds;

use crate::api::client::{Rpc, Signer};
use crate::api::world::{A, AXB, AXN, EXPIRATION, FOREIGN, World, account, settings};

const BIND: [(&str, &str); 3] = [
    ("PoolKey", AXN),
    ("PhoneNoA", A),
    ("Expiration", EXPIRATION),
];

const QUERY: [(&str, &str); 2] = [("PoolKey", AXN), ("PhoneNoX", "17000000000")];
const QUERY_ACTION: [(&str, &str); 3] = [
    ("Action", "QuerySubsId"),
    ("PoolKey", AXN),
    ("PhoneNoX", "17000000000"),
];

async fn code_of_bind(world: &World) -> String {
    world.ask("BindAxn", &BIND).await.code()
}

#[tokio::test]
async fn the_state_of_the_account_is_told_by_its_code() {
    let world = World::start().await;
    let good = || account("acme");
    let cases = [
        (
            Account {
                real_name_verified: false,
                ..good()
            },
            "isv.ACCOUNT_ABNORMAL",
        ),
        (
            Account {
                status: AccountStatus::Abnormal,
                ..good()
            },
            "isv.ACCOUNT_ABNORMAL",
        ),
        (
            Account {
                status: AccountStatus::InArrears,
                ..good()
            },
            "isv.OUT_OF_SERVICE",
        ),
        (
            Account {
                status: AccountStatus::Closed,
                ..good()
            },
            "isv.ACCOUNT_NOT_EXISTS",
        ),
        (
            Account {
                communications_opened: false,
                ..good()
            },
            "isv.PRODUCT_UN_SUBSCRIPT",
        ),
        (
            Account {
                product_opened: false,
                ..good()
            },
            "isv.PRODUCT_UNSUBSCRIBE",
        ),
        (good(), "OK"),
    ];
    for (account, code) in cases {
        world.order(SetAccount(account)).await;
        assert_eq!(code_of_bind(&world).await, code);
        let answer = world
            .ask(
                "QuerySubsId",
                &[("PoolKey", AXN), ("PhoneNoX", "17000000000")],
            )
            .await;
        assert_eq!((answer.status, answer.code().as_str()), (200, code));
    }
}

#[tokio::test]
async fn policies_decide_what_a_users_key_may() {
    let world = World::start().await;
    let ram_user = Signer {
        id: "user1id".into(),
        secret: "usersecret".into(),
    };
    let statement = |effect, action: &str, pool: &str| Statement {
        effect,
        actions: vec![action.into()],
        pools: vec![pool.into()],
    };
    world
        .order(SetUser(User {
            account: AccountId::new("acme"),
            name: UserName::new("user1"),
            statements: vec![
                statement(Effect::Allow, "dypls:*", AXN),
                statement(Effect::Deny, "dypls:LockSecretNo", "*"),
            ],
        }))
        .await;
    world.add_user_key("acme", "user1", &ram_user).await;
    let ask = async |action: &str, pool: &str| {
        let pairs = [
            ("PoolKey", pool),
            ("PhoneNoA", A),
            ("PhoneNoB", "15800000000"),
            ("Expiration", EXPIRATION),
            ("SecretNo", "17000000019"),
        ];
        let mut request = world.rpc(action, &pairs);
        request.set("AccessKeyId", &ram_user.id);
        request.sign(&ram_user.secret);
        world
            .connection()
            .exchange(&request.bytes())
            .await
            .unwrap()
            .code()
    };
    assert_eq!(ask("BindAxn", AXN).await, "OK");
    assert_eq!(ask("QuerySecretNoDetail", AXN).await, "OK");
    assert_eq!(ask("LockSecretNo", AXN).await, "isp.RAM_PERMISSION_DENY");
    assert_eq!(ask("BindAxb", AXB).await, "isp.RAM_PERMISSION_DENY");
}

#[tokio::test]
async fn pools_are_told_apart() {
    let world = World::start().await;
    let ask = async |pairs: &[(&str, &str)]| {
        let all = [&[("PhoneNoA", A), ("Expiration", EXPIRATION)], pairs].concat();
        world.ask("BindAxn", &all).await.code()
    };
    assert_eq!(ask(&[("PoolKey", "FC1")]).await, "isv.POOLKEY_NOT_EXISTS");
    assert_eq!(ask(&[("PoolKey", FOREIGN)]).await, "isv.PARTNER_NOT_EXIST");
    assert_eq!(ask(&[("PoolKey", AXB)]).await, "isv.FORBIDDEN_ACTION");
    assert_eq!(ask(&[]).await, "isv.ILLEGAL_ARGUMENT");
    assert_eq!(ask(&[("NoType", "AXB_170")]).await, "isv.ILLEGAL_ARGUMENT");
    assert_eq!(ask(&[("NoType", "AXN_170")]).await, "OK");
    let mut pool = Pool::new(PoolKey::new(AXN), AccountId::new("acme"), Product::Axn);
    pool.open = false;
    world.order(SetPool(pool)).await;
    assert_eq!(ask(&[("PoolKey", AXN)]).await, "isv.PARTNER_IS_CLOSED");
}

#[tokio::test]
async fn required_parameters_are_asked_for_before_any_business() {
    let world = World::start().await;
    world
        .order(SetAccount(Account {
            product_opened: false,
            ..account("acme")
        }))
        .await;
    for (action, given, missing) in [
        (
            "BindAxn",
            &[("PoolKey", AXN), ("Expiration", EXPIRATION)][..],
            "PhoneNoA",
        ),
        (
            "BindAxn",
            &[("PhoneNoA", A), ("Expiration", "")],
            "Expiration",
        ),
        ("UnbindSubscription", &[("SecretNo", "1")], "SubsId"),
        ("QuerySecretNoDetail", &[("SecretNo", "1")], "PoolKey"),
    ] {
        let answer = world.ask(action, given).await;
        assert_eq!(
            (answer.status, answer.code()),
            (400, format!("Missing{missing}"))
        );
        assert_eq!(
            answer.json()["Message"],
            format!("{missing} is mandatory for this action.")
        );
    }
}

#[tokio::test]
async fn unknown_and_unsupported_actions_differ() {
    let world = World::start().await;
    let answer = world.ask("BindAxz", &BIND).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (404, "InvalidAction.NotFound")
    );
    let answer = world.ask("BindAxnExtension", &BIND).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (200, "isv.FORBIDDEN_ACTION")
    );
    assert!(
        answer.json()["Message"]
            .as_str()
            .unwrap()
            .contains("not supported yet")
    );
    assert!(answer.json().get("Success").is_none());
    assert_eq!(world.ask("BindXB", &[]).await.json()["Success"], false);
    let waybill = world.ask("CreatePickUpWaybill", &[]).await.json();
    assert_eq!(
        (&waybill["Data"]["Success"], waybill.get("Code")),
        (&"false".into(), None)
    );
    let mut forged = world.rpc("BindAxnExtension", &BIND);
    forged.sign("wrong");
    let answer = world.connection().exchange(&forged.bytes()).await.unwrap();
    assert_eq!(answer.code(), "SignatureDoesNotMatch");
}

#[tokio::test]
async fn rates_are_per_action_and_in_total() {
    let actions = BTreeMap::from([("QuerySubsId".to_owned(), 2)]);
    let rates = Rates {
        account_per_s: 1_000,
        action_per_s: 0,
        actions,
    };
    let world = World::start_with(Settings {
        rates,
        ..settings()
    })
    .await;
    let own_rate = |requests_per_s_max| Account {
        requests_per_s_max,
        ..account("acme")
    };
    let ask = async || {
        let answer = world
            .ask(
                "QuerySubsId",
                &[("PoolKey", AXN), ("PhoneNoX", "17000000000")],
            )
            .await;
        (answer.status, answer.code())
    };
    // Within one second three cannot pass; a slow machine may need several tries to ask so fast.
    let mut answers = Vec::new();
    for _ in 0..200 {
        answers.push(ask().await);
        if answers.last() == Some(&(200, "isv.FLOW_LIMIT".into())) {
            break;
        }
    }
    assert_eq!(answers.last(), Some(&(200, "isv.FLOW_LIMIT".into())));
    assert!(answers.len() > 2);

    world.order(SetAccount(own_rate(Some(1)))).await;
    let mut answers = Vec::new();
    for _ in 0..200 {
        answers.push(
            world
                .ask(
                    "BindAxn",
                    &[("PhoneNoA", "1"), ("PoolKey", AXN), ("Expiration", "x")],
                )
                .await
                .code(),
        );
        if answers.last().is_some_and(|code| code == "Throttling.User") {
            break;
        }
    }
    assert_eq!(answers.last().map(String::as_str), Some("Throttling.User"));
}

#[tokio::test]
async fn a_key_with_too_many_nonces_is_throttled() {
    let nonces = NonceBounds {
        per_key_max: 3,
        per_account_max: 100,
        total_max: 100,
    };
    let world = World::start_with(Settings {
        nonces,
        ..settings()
    })
    .await;
    for _ in 0..3 {
        assert_eq!(code_of_bind(&world).await, "OK");
    }
    let answer = world.ask("BindAxn", &BIND).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "Throttling.User")
    );
}

/// Keys of one customer together cannot take what all customers share.
#[tokio::test]
async fn an_account_with_too_many_nonces_is_throttled_and_others_are_not() {
    let nonces = NonceBounds {
        per_key_max: 3,
        per_account_max: 4,
        total_max: 100,
    };
    let settings = Settings {
        nonces,
        ..settings()
    };
    let world = World::start_with(settings).await;
    let signers: Vec<Signer> = ["k1", "k2", "k3"]
        .iter()
        .map(|id| Signer {
            id: (*id).to_owned(),
            secret: "secret".to_owned(),
        })
        .collect();
    for signer in &signers {
        world.add_key("acme", &signer.id, &signer.secret).await;
    }
    let code = async |signer: &Signer| {
        let mut request = Rpc::new(signer, &world.now(), &world.nonce(), &QUERY_ACTION);
        request.sign(&signer.secret);
        let bytes = request.bytes();
        let answer = world.connection().exchange(&bytes).await;
        answer.expect("an answer").code()
    };
    for (signer, expected) in [(0, "OK"), (0, "OK"), (0, "OK"), (0, "Throttling.User")] {
        assert_eq!(code(&signers[signer]).await, expected);
    }
    assert_eq!(code(&signers[1]).await, "OK");
    assert_eq!(code(&signers[1]).await, "Throttling.User");
    assert_eq!(code(&signers[2]).await, "Throttling.User");
    let rival = Signer {
        id: "rival-key".to_owned(),
        secret: "secret".to_owned(),
    };
    world.add_key("rival", &rival.id, &rival.secret).await;
    assert_ne!(code(&rival).await, "Throttling.User");
}

/// Two customers that send all they can leave room for a third, and for a fourth.
#[tokio::test]
async fn accounts_that_fill_the_nonces_leave_room_for_others() {
    let bounds = NonceBounds {
        per_key_max: 60,
        per_account_max: 20,
        total_max: 40,
    };
    let settings = Settings {
        nonces: bounds,
        ..settings()
    };
    let world = World::start_with(settings).await;
    let code = async |key: &str| {
        let signer = Signer {
            id: key.to_owned(),
            secret: "secret".to_owned(),
        };
        let mut request = Rpc::new(&signer, &world.now(), &world.nonce(), &QUERY_ACTION);
        request.sign(&signer.secret);
        let answer = world.connection().exchange(&request.bytes()).await;
        answer.expect("an answer").code()
    };
    for (name, other) in [
        ("one", "one-b"),
        ("two", "two-b"),
        ("three", "three-b"),
        ("four", "four-b"),
    ] {
        world.order(SetAccount(account(name))).await;
        for key in [name, other] {
            world.add_key(name, key, "secret").await;
        }
    }
    for (name, other, served_min) in [
        ("one", "one-b", 19),
        ("two", "two-b", 9),
        ("three", "three-b", 4),
        ("four", "four-b", 2),
    ] {
        let mut served = 0;
        for round in 0..80 {
            let key = if round % 2 == 0 { name } else { other };
            match code(key).await.as_str() {
                "Throttling.User" => {}
                // Its first: whatever the answer is, it was not turned away.
                answer => {
                    assert_ne!(answer, "ServiceUnavailable", "{name}");
                    served += 1;
                }
            }
        }
        assert!((served_min..=20).contains(&served), "{name}: {served}");
    }
    world.stop().await;
}

/// What the rates turn away costs no memory, and can be sent again as it was.
#[tokio::test]
async fn a_throttled_request_uses_up_no_nonce() {
    let small = Settings {
        nonces: NonceBounds {
            per_key_max: 2,
            per_account_max: 2,
            total_max: 4,
        },
        rates: Rates {
            account_per_s: 1,
            ..settings().rates
        },
        ..settings()
    };
    let world = World::start_with(small).await;
    assert_eq!(world.ask("QuerySubsId", &QUERY).await.code(), "OK");
    let mut used = 1;
    for _ in 0..20 {
        match world.ask("QuerySubsId", &QUERY).await.code().as_str() {
            "OK" => used += 1,
            code => assert_eq!(code, "Throttling.User"),
        }
    }
    let free = Settings {
        nonces: NonceBounds {
            per_key_max: used + 10,
            per_account_max: used + 10,
            total_max: 2 * (used + 10),
        },
        rates: Rates {
            account_per_s: 0,
            ..settings().rates
        },
        ..settings()
    };
    world.gateway.configure(free);
    for _ in 0..10 {
        assert_eq!(world.ask("QuerySubsId", &QUERY).await.code(), "OK");
    }
}

#[tokio::test]
async fn settings_change_from_the_next_request_on() {
    let world = World::start().await;
    let refused = async || {
        let answer = world
            .ask(
                "BindAxn",
                &[
                    ("PoolKey", "FC1"),
                    ("PhoneNoA", A),
                    ("Expiration", EXPIRATION),
                ],
            )
            .await;
        answer.json()["Message"].as_str().unwrap().to_owned()
    };
    assert_eq!(refused().await, "号池不存在");
    let language = maskline_server::api::errors::Language::English;
    world.gateway.configure(Settings {
        language,
        ..settings()
    });
    assert_eq!(refused().await, "The pool does not exist");
}
