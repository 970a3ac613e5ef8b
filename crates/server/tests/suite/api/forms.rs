//! The forms in which dates, times and booleans are taken: the tables behind
//! `docs/accepted-forms.md`.

use crate::api::world::{A, AXN, EXPIRATION, World, wall, wire_time};

const BIND: [(&str, &str); 3] = [
    ("PoolKey", AXN),
    ("PhoneNoA", A),
    ("Expiration", EXPIRATION),
];

/// The code of a bind with this `Expiration`, and the `ExpireDate` that the binding then has.
async fn bound_until(world: &World, expiration: &str) -> (String, Option<String>) {
    let pairs = [
        ("PoolKey", AXN),
        ("PhoneNoA", A),
        ("Expiration", expiration),
    ];
    let answer = world.ask("BindAxn", &pairs).await;
    if answer.code() != "OK" {
        return (answer.code(), None);
    }
    let made = answer.json()["SecretBindDTO"].clone();
    let member = |name: &str| made[name].as_str().expect("a string").to_owned();
    let (x, subs_id) = (member("SecretNo"), member("SubsId"));
    let named = [("PoolKey", AXN), ("PhoneNoX", &*x), ("SubsId", &*subs_id)];
    let detail = world.ask("QuerySubscriptionDetail", &named).await.json();
    let until = detail["SecretBindDetailDTO"]["ExpireDate"].clone();
    let ended = [("PoolKey", AXN), ("SecretNo", &*x), ("SubsId", &*subs_id)];
    assert_eq!(
        world.ask("UnbindSubscription", &ended).await.code(),
        "OK",
        "{expiration}"
    );
    (answer.code(), until.as_str().map(str::to_owned))
}

#[tokio::test]
async fn expirations_are_taken_as_date_readers_take_them() {
    let world = World::start().await;
    let taken = [
        ("2099-01-31 23:59:59", "2099-01-31 23:59:59"),
        ("2099-1-31 23:59:59", "2099-01-31 23:59:59"),
        ("2099-01-5 23:59:59", "2099-01-05 23:59:59"),
        ("2099-9-5 3:4:5", "2099-09-05 03:04:05"),
        ("2099-12-31 0:00:00", "2099-12-31 00:00:00"),
        (" 2099-01-31 23:59:59", "2099-01-31 23:59:59"),
        ("2099-01-31 23:59:59 ", "2099-01-31 23:59:59"),
        ("2099-01-31  23:59:59", "2099-01-31 23:59:59"),
        ("2099-01-31 23:59:59.0", "2099-01-31 23:59:59"),
        ("2099-01-31 23:59:59.999", "2099-01-31 23:59:59"),
        ("2099-01-31 24:00:00", "2099-02-01 00:00:00"),
        ("2096-2-29 12:00:00", "2096-02-29 12:00:00"),
    ];
    for (text, until) in taken {
        let (code, held) = bound_until(&world, text).await;
        assert_eq!(
            (code.as_str(), held.as_deref()),
            ("OK", Some(until)),
            "{text}"
        );
    }
    let refused = [
        "2099-02-29 12:00:00",
        "2099-13-01 12:00:00",
        "2099-00-10 12:00:00",
        "2099-01-31 24:00:01",
        "2099-01-31 23:60:00",
        "2099-01-31 23:59:60",
        "2099-01-31T23:59:59",
        "2099-01-31T23:59:59Z",
        "2099-01-31 23:59:59Z",
        "2099-01-31 23:59:59+08:00",
        "2099/01/31 23:59:59",
        "2099-01-31",
        "2099-01-31 23:59",
        "99-01-31 23:59:59",
        "12099-01-31 23:59:59",
        "+099-01-31 23:59:59",
        "2099-001-31 23:59:59",
        "2099-01-31 23:59:059",
        "2099-01--1 23:59:59",
        "2099-01-31 23:59:59.",
        "20990131235959",
        "4073558399",
        "２０９９-01-31 23:59:59",
        "tomorrow",
    ];
    for text in refused {
        let (code, _) = bound_until(&world, text).await;
        assert_eq!(code, "isv.EXPIRE_DATE_ILLEGAL", "{text}");
    }
    world.stop().await;
}

/// A form of the present time: what is put behind its seconds, or what it is turned into.
type Written = fn(&str) -> String;

#[tokio::test]
async fn times_of_requests_may_have_fractions_of_a_second() {
    let world = World::start().await;
    let taken: [(&str, Written); 8] = [
        ("whole seconds", |now| now.to_owned()),
        ("toISOString()", |now| now.replace('Z', ".123Z")),
        ("one digit", |now| now.replace('Z', ".1Z")),
        ("two digits", |now| now.replace('Z', ".12Z")),
        ("microseconds", |now| now.replace('Z', ".123456Z")),
        ("nanoseconds", |now| now.replace('Z', ".123456789Z")),
        ("zeros", |now| now.replace('Z', ".000Z")),
        ("nines", |now| now.replace('Z', ".999999999Z")),
    ];
    for (what, written) in taken {
        let (rpc, acs3) = ask_at(&world, &written(&world.now())).await;
        assert_eq!((rpc.as_str(), acs3.as_str()), ("OK", "OK"), "{what}");
    }
    let refused: [(&str, Written); 15] = [
        ("no zone", |now| now.replace('Z', "")),
        ("a small z", |now| now.replace('Z', "z")),
        ("a point alone", |now| now.replace('Z', ".Z")),
        ("a comma", |now| now.replace('Z', ",123Z")),
        ("ten digits", |now| now.replace('Z', ".1234567890Z")),
        ("a letter", |now| now.replace('Z', ".12aZ")),
        ("an offset", |now| now.replace('Z', "+00:00")),
        ("a fraction and an offset", |now| {
            now.replace('Z', ".123+00:00")
        }),
        ("a space", |now| now.replace('T', " ")),
        ("no seconds", |now| now[..16].to_owned() + "Z"),
        ("without padding", |_| "2026-11-23T7:01:36Z".into()),
        ("text behind", |now| now.to_owned() + "x"),
        ("hour 24", |_| "2026-11-23T24:00:00Z".into()),
        ("no such day", |_| "2026-11-31T17:01:36Z".into()),
        ("seconds since 1970", |_| "1795453296".into()),
    ];
    for (what, written) in refused {
        let text = written(&world.now());
        let (rpc, acs3) = ask_at(&world, &text).await;
        assert_eq!(
            (rpc.as_str(), acs3.as_str()),
            ("InvalidTimeStamp.Format", "InvalidTimeStamp.Format"),
            "{what}: {text}"
        );
    }
    world.stop().await;
}

/// The fraction counts: what lies a part of a second beyond the bound is too far away.
#[tokio::test]
async fn an_old_time_with_a_fraction_is_expired_and_not_malformed() {
    let world = World::start().await;
    let old = wire_time(wall().plus_secs(-16 * 60)).replace('Z', ".500Z");
    let (rpc, acs3) = ask_at(&world, &old).await;
    assert_eq!(
        (rpc.as_str(), acs3.as_str()),
        ("InvalidTimeStamp.Expired", "InvalidTimeStamp.Expired")
    );
    world.stop().await;
}

/// The codes of a read in both schemes with this time of the request.
async fn ask_at(world: &World, time: &str) -> (String, String) {
    let read = [("PoolKey", AXN), ("PhoneNoX", "17000000000")];
    let mut rpc = world.rpc("QuerySubsId", &read);
    rpc.set("Timestamp", time);
    let rpc = world.send(rpc).await.code();
    let mut acs3 = world.acs3("QuerySubsId", &read);
    acs3.set_header("x-acs-date", time);
    acs3.sign(&world.signer.secret);
    let acs3 = world.connection().exchange(&acs3.bytes()).await.unwrap();
    (rpc, acs3.code())
}

#[tokio::test]
async fn booleans_are_taken_in_any_case_and_as_digits() {
    let world = World::start().await;
    let taken = [
        ("true", true),
        ("True", true),
        ("TRUE", true),
        ("tRuE", true),
        ("1", true),
        (" true", true),
        ("false", false),
        ("False", false),
        ("FALSE", false),
        ("0", false),
        ("false ", false),
        ("", false),
    ];
    for (text, value) in taken {
        let (x, subs_id) = world.bind(&[("IsRecordingEnabled", text)]).await;
        let named = [("PoolKey", AXN), ("PhoneNoX", &*x), ("SubsId", &*subs_id)];
        let detail = world.ask("QuerySubscriptionDetail", &named).await.json();
        assert_eq!(
            detail["SecretBindDetailDTO"]["NeedRecord"], value,
            "{text:?}"
        );
        let ended = [("PoolKey", AXN), ("SecretNo", &*x), ("SubsId", &*subs_id)];
        assert_eq!(world.ask("UnbindSubscription", &ended).await.code(), "OK");
    }
    let refused = [
        "yes", "no", "on", "off", "Y", "N", "T", "2", "-1", "00", "01", "10", "truee", "null",
        "None", "是", "1.0",
    ];
    for text in refused {
        let mut pairs = BIND.to_vec();
        pairs.push(("IsRecordingEnabled", text));
        let answer = world.ask("BindAxn", &pairs).await;
        assert_eq!(answer.code(), "isv.ILLEGAL_ARGUMENT", "{text:?}");
    }
    world.stop().await;
}

#[tokio::test]
async fn json_is_the_form_of_answers_unless_xml_is_asked_for() {
    let world = World::start().await;
    let forms = [
        (None, "application/json;charset=utf-8"),
        (Some(""), "application/json;charset=utf-8"),
        (Some("JSON"), "application/json;charset=utf-8"),
        (Some("json"), "application/json;charset=utf-8"),
        (Some("None"), "application/json;charset=utf-8"),
        (Some("yaml"), "application/json;charset=utf-8"),
        (Some("XML"), "text/xml;charset=utf-8"),
        (Some("xml"), "text/xml;charset=utf-8"),
    ];
    for (format, content_type) in forms {
        for (action, status) in [("BindAxn", 200), ("BindAxg", 200), ("NoSuchAction", 404)] {
            let mut request = world.rpc(action, &BIND);
            match format {
                Some(format) => request.set("Format", format),
                None => request.remove("Format"),
            }
            let answer = world.send(request).await;
            assert_eq!(answer.status, status, "{format:?}: {answer:?}");
            assert_eq!(
                answer.header("content-type"),
                Some(content_type),
                "{format:?} {action}"
            );
        }
        // An error ahead of the signature has the same form.
        let mut unsigned = world.rpc("BindAxn", &BIND);
        match format {
            Some(format) => unsigned.set("Format", format),
            None => unsigned.remove("Format"),
        }
        unsigned.remove("Timestamp");
        let answer = world
            .connection()
            .exchange(&unsigned.bytes())
            .await
            .expect("an answer");
        assert_eq!(answer.code(), "MissingTimestamp");
        assert_eq!(answer.header("content-type"), Some(content_type));
    }
    world.stop().await;
}
