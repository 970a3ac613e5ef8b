//! Who asks: schemes, keys, time, signatures, nonces.

use maskline_domain::AccessKeyId;
use maskline_domain::ops::{DeleteKey, SetKeyActive};
use maskline_server::api::gateway::Settings;

use crate::api::client::Signer;
use crate::api::world::{A, AXN, EXPIRATION, World, settings, wall, wire_time};

const BIND: [(&str, &str); 3] = [
    ("PoolKey", AXN),
    ("PhoneNoA", A),
    ("Expiration", EXPIRATION),
];

const QUERY: [(&str, &str); 2] = [("PoolKey", AXN), ("PhoneNoX", "17000000000")];

#[tokio::test]
async fn both_schemes_both_methods_and_both_places_are_served() {
    let world = World::start().await;
    for method in ["GET", "POST"] {
        for in_body in [false, true] {
            for algorithm in ["HMAC-SHA1", "HMAC-SHA256"] {
                let mut request = world.rpc("BindAxn", &BIND);
                (request.method, request.in_body) = (method, in_body);
                request.set("SignatureMethod", algorithm);
                let answer = world.send(request).await;
                assert_eq!(
                    answer.code(),
                    "OK",
                    "{method} {in_body} {algorithm}: {answer:?}"
                );
            }
        }
        let mut request = world.acs3("BindAxn", &BIND);
        request.method = method;
        request.sign(&world.signer.secret);
        let answer = world.connection().exchange(&request.bytes()).await.unwrap();
        assert_eq!(answer.code(), "OK", "{method}: {answer:?}");
    }
}

/// Clients generated before December 2021 put common parameters here and business ones there.
#[tokio::test]
async fn common_parameters_in_the_query_and_business_ones_in_the_body_are_one_list() {
    let world = World::start().await;
    let mut request = world.rpc("BindAxn", &BIND);
    request.sign(&world.signer.secret);
    request.in_body = true;
    let (body, query): (Vec<_>, Vec<_>) = request
        .pairs
        .iter()
        .cloned()
        .partition(|(name, _)| BIND.iter().any(|(business, _)| business == name));
    let bytes = request.bytes_of(
        &crate::api::client::form(&query),
        &crate::api::client::form(&body),
    );
    let answer = world.connection().exchange(&bytes).await.unwrap();
    assert_eq!(answer.code(), "OK", "{answer:?}");
}

#[tokio::test]
async fn the_newer_scheme_takes_a_form_body_that_its_hash_covers() {
    let world = World::start().await;
    let mut request = world.acs3("BindAxn", &BIND[..1]);
    request.set_header("content-type", "application/x-www-form-urlencoded");
    request.body = format!("PhoneNoA={A}&Expiration=2039-09-05+12%3A00%3A00");
    request.sign(&world.signer.secret);
    let answer = world.connection().exchange(&request.bytes()).await.unwrap();
    assert_eq!(answer.code(), "OK", "{answer:?}");

    request.set_header("x-acs-signature-nonce", "another");
    request.sign(&world.signer.secret);
    request.body = request.body.replace(A, "15000000001");
    let answer = world.connection().exchange(&request.bytes()).await.unwrap();
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "SignatureDoesNotMatch"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn keys_come_and_go_from_the_next_request_on() {
    let world = World::start().await;
    let other = Signer {
        id: "second".into(),
        secret: "othersecret".into(),
    };
    let ask = async |signer: &Signer| {
        let mut request = world.rpc("BindAxn", &BIND);
        request.set("AccessKeyId", &signer.id);
        request.sign(&signer.secret);
        let answer = world.connection().exchange(&request.bytes()).await.unwrap();
        (answer.status, answer.code())
    };
    assert_eq!(
        ask(&other).await,
        (404, "InvalidAccessKeyId.NotFound".into())
    );
    world.add_key("acme", &other.id, &other.secret).await;
    assert_eq!(ask(&other).await, (200, "OK".into()));
    let id = AccessKeyId::new(&other.id);
    world
        .order(SetKeyActive {
            id: id.clone(),
            active: false,
        })
        .await;
    assert_eq!(
        ask(&other).await,
        (400, "InvalidAccessKeyId.Inactive".into())
    );
    world
        .order(SetKeyActive {
            id: id.clone(),
            active: true,
        })
        .await;
    assert_eq!(ask(&other).await, (200, "OK".into()));
    world.order(DeleteKey { id }).await;
    assert_eq!(
        ask(&other).await,
        (404, "InvalidAccessKeyId.NotFound".into())
    );
    let wrong = Signer {
        secret: "wrong".into(),
        ..world.signer.clone()
    };
    assert_eq!(ask(&wrong).await, (400, "SignatureDoesNotMatch".into()));
    assert_eq!(ask(&world.signer).await, (200, "OK".into()));
}

#[tokio::test]
async fn a_nonce_is_used_once_by_an_authenticated_request() {
    let world = World::start().await;
    for action in ["BindAxn", "QuerySubsId"] {
        let mut request = world.rpc(
            action,
            &[
                ("PoolKey", AXN),
                ("PhoneNoA", A),
                ("Expiration", EXPIRATION),
                ("PhoneNoX", "17000000000"),
            ],
        );
        request.sign("wrong");
        let forged = world.connection().exchange(&request.bytes()).await.unwrap();
        assert_eq!(forged.code(), "SignatureDoesNotMatch");
        request.sign(&world.signer.secret);
        let first = world.connection().exchange(&request.bytes()).await.unwrap();
        assert_eq!(first.code(), "OK", "{first:?}");
        let second = world.connection().exchange(&request.bytes()).await.unwrap();
        assert_eq!(
            (second.status, second.code().as_str()),
            (400, "SignatureNonceUsed")
        );
        assert_eq!(
            second.json()["Message"],
            "Specified signature nonce was used already."
        );
    }
}

/// The table in memory is gone after a restart; the command's id in the journal is not.
#[tokio::test]
async fn a_repeated_change_is_refused_by_the_ledger_alone() {
    let world = World::start().await;
    let mut request = world.rpc("BindAxn", &BIND);
    request.sign(&world.signer.secret);
    let first = world.connection().exchange(&request.bytes()).await.unwrap();
    assert_eq!(first.code(), "OK", "{first:?}");
    let restarted = world.second_gateway().await;
    let second = crate::api::client::Connection::new(restarted)
        .exchange(&request.bytes())
        .await
        .unwrap();
    assert_eq!(
        (second.status, second.code().as_str()),
        (400, "SignatureNonceUsed")
    );
}

/// What protects reads is the table in memory alone, so it lasts for as long as the time of a request does,
/// whatever the setting allows.
#[tokio::test]
async fn an_overheard_read_is_refused_for_as_long_as_its_time_is_right() {
    const MINUTE_MS: i64 = 60_000;
    let world = World::start().await;
    let mut passed = 0;
    // The setting, how far the caller's clock is from ours, when the request comes again, and the answer then;
    // all in minutes.
    for (skew, ahead, after, code) in [
        (15, 0, 1, "SignatureNonceUsed"),
        (15, 0, 14, "SignatureNonceUsed"),
        (15, 14, 28, "SignatureNonceUsed"),
        (15, 0, 16, "InvalidTimeStamp.Expired"),
        (1, 0, 2, "InvalidTimeStamp.Expired"),
        (20, 19, 38, "SignatureNonceUsed"),
        (60, 0, 50, "SignatureNonceUsed"),
        (60, 59, 118, "SignatureNonceUsed"),
        (60, -50, 9, "SignatureNonceUsed"),
        (60, 0, 61, "InvalidTimeStamp.Expired"),
        (24 * 60, 0, 23 * 60, "SignatureNonceUsed"),
        (24 * 60, 23 * 60, 46 * 60, "SignatureNonceUsed"),
        (24 * 60, 0, 24 * 60 + 1, "InvalidTimeStamp.Expired"),
    ] {
        let row = format!("{skew} {ahead} {after}");
        world.gateway.configure(Settings {
            clock_skew_ms: skew * MINUTE_MS,
            ..settings()
        });
        let mut request = world.rpc("QuerySubsId", &QUERY);
        let made_at = wall().plus_millis((passed + ahead) * MINUTE_MS);
        request.set("Timestamp", &wire_time(made_at));
        request.sign(&world.signer.secret);
        let first = world.connection().exchange(&request.bytes()).await.unwrap();
        assert_eq!(first.code(), "OK", "{row}: {first:?}");
        passed += after;
        world.skew_clock(passed * MINUTE_MS);
        let again = world.connection().exchange(&request.bytes()).await.unwrap();
        assert_eq!(again.code(), code, "{row}: {again:?}");
    }
    world.stop().await;
}

/// What is still remembered when the setting is raised stays for as long as it now must.
#[tokio::test]
async fn a_setting_that_is_raised_holds_for_reads_of_before() {
    let world = World::start().await;
    let mut request = world.rpc("QuerySubsId", &QUERY);
    request.sign(&world.signer.secret);
    let first = world.connection().exchange(&request.bytes()).await.unwrap();
    assert_eq!(first.code(), "OK", "{first:?}");
    world.gateway.configure(Settings {
        clock_skew_ms: 24 * 3_600_000,
        ..settings()
    });
    for minutes in [1, 30, 40, 120, 23 * 60] {
        world.skew_clock(minutes * 60_000);
        let again = world.connection().exchange(&request.bytes()).await.unwrap();
        assert_eq!(again.code(), "SignatureNonceUsed", "{minutes}: {again:?}");
    }
    world.stop().await;
}

#[tokio::test]
async fn time_may_be_fifteen_minutes_off_either_way() {
    let world = World::start().await;
    let ask = async |secs: i64| {
        let mut request = world.rpc("BindAxn", &BIND);
        request.set("Timestamp", &wire_time(wall().plus_secs(secs)));
        world.send(request).await.code()
    };
    for secs in [-14 * 60, 0, 14 * 60] {
        assert_eq!(ask(secs).await, "OK", "{secs}");
    }
    for secs in [-16 * 60, 16 * 60] {
        assert_eq!(ask(secs).await, "InvalidTimeStamp.Expired", "{secs}");
    }
    world.skew_clock(20 * 60 * 1000);
    assert_eq!(ask(0).await, "InvalidTimeStamp.Expired");
    assert_eq!(ask(20 * 60).await, "OK");
    let mut request = world.rpc("BindAxn", &BIND);
    request.set("Timestamp", "2026-11-23 17:01:36");
    assert_eq!(world.send(request).await.code(), "InvalidTimeStamp.Format");
}

#[tokio::test]
async fn foreign_credentials_get_a_clear_answer() {
    let world = World::start().await;
    let answer = world.ask("BindAxn", &[("SecurityToken", "CAIS...")]).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "InvalidSecurityToken.Malformed")
    );
    assert!(
        answer.json()["Recommend"]
            .as_str()
            .unwrap()
            .ends_with("#invalidsecuritytokenmalformed"),
        "{answer:?}"
    );

    let mut bearer = world.rpc("BindAxn", &BIND);
    for name in ["AccessKeyId", "Signature"] {
        bearer.remove(name);
    }
    bearer.set("SignatureType", "BEARERTOKEN");
    bearer.set("BearerToken", "eyJ...");
    let answer = world.connection().exchange(&bearer.bytes()).await.unwrap();
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "InvalidBearerToken")
    );

    let mut bearer = world.acs3("BindAxn", &[("SignatureType", "BEARERTOKEN")]);
    bearer.set_header("x-acs-bearer-token", "eyJ...");
    let answer = world.connection().exchange(&bearer.bytes()).await.unwrap();
    assert_eq!(answer.code(), "InvalidBearerToken", "{answer:?}");

    let mut sts = world.acs3("BindAxn", &BIND);
    sts.set_header("x-acs-security-token", "CAIS...");
    sts.sign(&world.signer.secret);
    let answer = world.connection().exchange(&sts.bytes()).await.unwrap();
    assert_eq!(
        answer.code(),
        "InvalidSecurityToken.Malformed",
        "{answer:?}"
    );
}

/// The asynchronous Java core and Java v1 with V3 sign the headers of the scheme and nothing else.
#[tokio::test]
async fn the_newer_scheme_does_not_need_the_host_among_the_signed_headers() {
    let world = World::start().await;
    for in_body in [false, true] {
        let mut request = world.acs3("BindAxn", &BIND);
        if in_body {
            request.body = crate::api::client::form(&std::mem::take(&mut request.pairs));
            let kind = "application/x-www-form-urlencoded; charset=utf-8";
            request.set_header("content-type", kind);
        }
        let unsigned = ["host", "user-agent", "accept", "content-type"];
        request.sign_but(&world.signer.secret, &unsigned);
        let signed = "SignedHeaders=x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,";
        assert!(request.authorization.as_ref().unwrap().contains(signed));
        let answer = world.connection().exchange(&request.bytes()).await.unwrap();
        assert_eq!(answer.code(), "OK", "in the body: {in_body}: {answer:?}");

        // Both places are signed.
        request.set_header("x-acs-signature-nonce", &world.nonce());
        request.sign_but(&world.signer.secret, &unsigned);
        for (_, value) in &mut request.pairs {
            *value = value.replace(A, "15000000001");
        }
        request.body = request.body.replace(A, "15000000001");
        let answer = world.connection().exchange(&request.bytes()).await.unwrap();
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "SignatureDoesNotMatch"),
            "in the body: {in_body}"
        );
    }
    world.stop().await;
}

#[tokio::test]
async fn an_incomplete_signature_says_what_is_missing() {
    let world = World::start().await;
    let message = async |change: &dyn Fn(String) -> Option<String>| {
        let mut request = world.acs3("BindAxn", &BIND);
        request.sign(&world.signer.secret);
        request.authorization = change(request.authorization.take().unwrap());
        let answer = world.connection().exchange(&request.bytes()).await.unwrap();
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "IncompleteSignature"),
            "{answer:?}"
        );
        answer.json()["Message"].as_str().unwrap().to_owned()
    };
    for name in [
        "x-acs-action",
        "x-acs-content-sha256",
        "x-acs-date",
        "x-acs-signature-nonce",
        "x-acs-version",
    ] {
        let told = message(&|header| {
            let header = header.replace(&format!("{name};"), "");
            Some(header.replace(&format!(";{name}"), ""))
        })
        .await;
        assert!(told.contains(&format!(" {name} ")), "{name}: {told}");
    }
    for member in ["Credential", "SignedHeaders", "Signature"] {
        let told = message(&|header| Some(header.replace(&format!("{member}="), "Other="))).await;
        assert!(told.contains(member) || told.contains("Other"), "{told}");
        let told = message(&|header| {
            let (scheme, members) = header.split_once(' ')?;
            let kept: Vec<&str> = members
                .split(',')
                .filter(|own| !own.starts_with(&format!("{member}=")))
                .collect();
            Some(format!("{scheme} {}", kept.join(",")))
        })
        .await;
        assert!(told.contains(member), "{member}: {told}");
    }
    let told = message(&|_| None).await;
    assert!(told.contains("Authorization"), "{told}");
    world.stop().await;
}
