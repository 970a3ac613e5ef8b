//! What official clients trip over, at byte level.

use crate::api::world::{A, AXN, EXPIRATION, World};

const BIND: [(&str, &str); 3] = [
    ("PoolKey", AXN),
    ("PhoneNoA", A),
    ("Expiration", EXPIRATION),
];

#[tokio::test]
async fn content_types_are_exact_and_always_there() {
    let world = World::start().await;
    for (format, content_type) in [
        ("JSON", "application/json;charset=utf-8"),
        ("json", "application/json;charset=utf-8"),
        ("None", "application/json;charset=utf-8"),
        ("XML", "text/xml;charset=utf-8"),
        ("xml", "text/xml;charset=utf-8"),
        ("", "application/json;charset=utf-8"),
    ] {
        let mut good = world.rpc("BindAxn", &BIND);
        good.set("Format", format);
        let answer = world.send(good).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (200, "OK"),
            "{answer:?}"
        );
        assert_eq!(answer.header("content-type"), Some(content_type));

        let mut bad = world.rpc("NoSuchAction", &[]);
        bad.set("Format", format);
        let answer = world.send(bad).await;
        assert_eq!(answer.status, 404);
        assert_eq!(answer.header("content-type"), Some(content_type));
    }
    let mut absent = world.rpc("BindAxn", &BIND);
    absent.remove("Format");
    let answer = world.send(absent).await;
    assert_eq!(
        answer.header("content-type"),
        Some("application/json;charset=utf-8")
    );

    let mut acs3 = world.acs3("BindAxn", &BIND);
    acs3.sign(&world.signer.secret);
    let answer = world.connection().exchange(&acs3.bytes()).await.unwrap();
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (200, "OK"),
        "{answer:?}"
    );
    assert_eq!(
        answer.header("content-type"),
        Some("application/json;charset=utf-8")
    );
}

/// Java v1 yields the text `u8fc7` for `\u8fc7`, and throws at `null` in an array.
#[tokio::test]
async fn text_is_raw_utf8_and_nothing_is_null() {
    let world = World::start().await;
    let refused = world
        .ask(
            "BindAxn",
            &[
                ("PoolKey", AXN),
                ("PhoneNoA", A),
                ("Expiration", "2017-09-05 12:00:00"),
            ],
        )
        .await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (200, "isv.EXPIRE_DATE_ILLEGAL")
    );
    assert!(
        refused.body.contains(r#""Message":"过期时间非法""#),
        "{refused:?}"
    );

    let (x, subs_id) = world.bind(&[]).await;
    let asked = [
        world
            .ask(
                "QuerySubscriptionDetail",
                &[("PoolKey", AXN), ("PhoneNoX", &x), ("SubsId", &subs_id)],
            )
            .await,
        world
            .ask("QuerySecretNoDetail", &[("PoolKey", AXN), ("SecretNo", &x)])
            .await,
        world
            .ask(
                "QuerySecretNoRemain",
                &[("City", "全国列表"), ("SpecId", "1")],
            )
            .await,
        world
            .ask(
                "QuerySubsId",
                &[("PoolKey", AXN), ("PhoneNoX", "17000000000")],
            )
            .await,
        world.ask("BindAxg", &[]).await,
        refused,
    ];
    for answer in asked {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(!answer.body.contains("\\u"), "{answer:?}");
        assert!(!answer.body.contains("null"), "{answer:?}");
    }
}

/// Python v1 splits the message at its first colon and compares; Java v1 and Go v1 take all that
/// follows `string to sign is:`.
#[tokio::test]
async fn a_wrong_secret_shows_the_string_to_sign_behind_the_only_colon() {
    let world = World::start().await;
    let mut request = world.rpc("BindAxn", &BIND);
    request.sign("wrong");
    let answer = world.connection().exchange(&request.bytes()).await.unwrap();
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "SignatureDoesNotMatch")
    );
    let body = answer.json();
    let message = body["Message"].as_str().unwrap();
    let (text, string) = message.split_once(':').unwrap();
    assert!(text.ends_with("server string to sign is"), "{message}");
    assert!(
        string.starts_with("POST&%2F&AccessKeyId%3Dtestid%26Action%3DBindAxn%26"),
        "{message}"
    );
    assert!(!string.contains(':'), "{message}");
    for member in ["RequestId", "HostId", "Code", "Message", "Recommend"] {
        assert!(
            body[member].is_string(),
            "Go v1 panics when {member} is no string"
        );
    }
    assert_eq!(body["HostId"], "127.0.0.1");
}

#[tokio::test]
async fn gateway_errors_in_xml_have_the_root_error_and_answers_their_action() {
    let world = World::start().await;
    let mut request = world.rpc("BindAxn", &BIND);
    request.set("Format", "XML");
    request.set("Timestamp", "2017-05-25T00:00:00Z");
    let answer = world.send(request).await;
    assert_eq!(answer.status, 400);
    let start = r#"<?xml version="1.0" encoding="UTF-8"?><Error><RequestId>"#;
    assert!(answer.body.starts_with(start), "{answer:?}");
    assert!(
        answer
            .body
            .contains("<Code>InvalidTimeStamp.Expired</Code>"),
        "{answer:?}"
    );
    assert!(answer.body.ends_with("</Error>"), "{answer:?}");

    let mut request = world.rpc(
        "QuerySecretNoRemain",
        &[("City", "National List"), ("SpecId", "1")],
    );
    request.set("Format", "XML");
    let answer = world.send(request).await;
    let inner = "<Code>OK</Code><Message>OK</Message><SecretRemainDTO><City>全国</City><Amount>3</Amount><RemainDTOList><remainDTO><City>杭州</City><Amount>2</Amount></remainDTO><remainDTO><City>武汉</City><Amount>1</Amount></remainDTO></RemainDTOList></SecretRemainDTO></QuerySecretNoRemainResponse>";
    assert!(
        answer
            .body
            .contains("<QuerySecretNoRemainResponse><RequestId>"),
        "{answer:?}"
    );
    assert!(answer.body.ends_with(inner), "{answer:?}");
}

#[tokio::test]
async fn members_have_the_json_types_that_clients_read() {
    let world = World::start().await;
    let (x, subs_id) = world
        .bind(&[
            ("IsRecordingEnabled", "True"),
            ("CallRestrict", "CONTROL_BX_DISABLE"),
        ])
        .await;
    let answer = world
        .ask(
            "QuerySubscriptionDetail",
            &[("PoolKey", AXN), ("PhoneNoX", &x), ("SubsId", &subs_id)],
        )
        .await;
    let dto = &answer.json()["SecretBindDetailDTO"];
    assert_eq!(dto["SubsId"], subs_id.as_str());
    assert_eq!(dto["Status"], 1);
    assert_eq!(dto["NeedRecord"], true);
    assert_eq!(dto["ASRStatus"], false);
    assert_eq!(dto["CallRestrict"], "CONTROL_BX_DISABLE");
    assert_eq!(dto["ExpireDate"], EXPIRATION);
    assert!(dto.get("PhoneNoB").is_none() && dto.get("GroupId").is_none());
    let answer = world
        .ask("QuerySecretNoDetail", &[("PoolKey", AXN), ("SecretNo", &x)])
        .await;
    let dto = &answer.json()["SecretNoInfoDTO"];
    assert_eq!(
        (&dto["Vendor"], &dto["SecretStatus"], &dto["CertifyStatus"]),
        (&2.into(), &1.into(), &1.into())
    );
    assert_eq!(dto["PurchaseTime"], "2021-12-03 15:19:27");
    let id = answer.json()["RequestId"].as_str().unwrap().to_owned();
    assert!(id.len() == 36 && id == id.to_uppercase(), "{id}");
}
