use serde_json::Value;

use super::{Pairs, bind, code, detail};
use crate::api::world::{A, AXB, AXN, B, World};

#[tokio::test]
async fn update_changes_what_the_operate_type_names() {
    let world = World::start().await;
    let (x, subs_id) = world.bind(&[("OutId", "one")]).await;
    let update = async |pairs: &[(&str, &str)]| {
        let all = [
            &[("PoolKey", AXN), ("PhoneNoX", &x), ("SubsId", &subs_id)],
            pairs,
        ]
        .concat();
        code(&world, "UpdateSubscription", &all).await
    };
    let rows: &[(Pairs, &str, Value)] = &[
        (
            &[("OperateType", "updateNoA"), ("PhoneNoA", "15000000009")],
            "PhoneNoA",
            "15000000009".into(),
        ),
        (
            &[("OperateType", "updateNoB"), ("PhoneNoB", B)],
            "PhoneNoB",
            B.into(),
        ),
        (
            &[
                ("OperateType", "updateExpire"),
                ("Expiration", "2038-01-01 00:00:00"),
            ],
            "ExpireDate",
            "2038-01-01 00:00:00".into(),
        ),
        (
            &[
                ("OperateType", "updateCallRestrict"),
                ("CallRestrict", "CONTROL_AX_DISABLE"),
            ],
            "CallRestrict",
            "CONTROL_AX_DISABLE".into(),
        ),
        (
            &[
                ("OperateType", "updateCallRestrict"),
                ("CallRestrict", "CONTROL_CLEAR_DISABLE"),
            ],
            "CallRestrict",
            Value::Null,
        ),
        (
            &[
                ("OperateType", "updateIsRecordingEnabled"),
                ("IsRecordingEnabled", "true"),
            ],
            "NeedRecord",
            true.into(),
        ),
        (
            &[
                ("OperateType", "updateOutId"),
                ("OutId", "two"),
                ("ASRStatus", "true"),
            ],
            "ASRStatus",
            true.into(),
        ),
        (
            &[("OperateType", "updateOutId"), ("OutId", "")],
            "ASRStatus",
            true.into(),
        ),
        (
            &[
                ("OperateType", "updateCallDisplayType"),
                ("CallDisplayType", "1"),
                ("ASRModelId", "m"),
            ],
            "ASRModelId",
            "m".into(),
        ),
        // Only what is named changes.
        (
            &[
                ("OperateType", "updateOutId"),
                ("OutId", "x"),
                ("PhoneNoB", "15800000009"),
            ],
            "PhoneNoB",
            B.into(),
        ),
    ];
    for (pairs, member, value) in rows {
        assert_eq!(update(pairs).await, "OK", "{pairs:?}");
        assert_eq!(
            &detail(&world, AXN, &x, &subs_id).await[*member],
            value,
            "{pairs:?}"
        );
    }
    let before = detail(&world, AXN, &x, &subs_id).await;
    let refused: &[(Pairs, &str)] = &[
        (
            &[("OperateType", "updateEverything")],
            "isv.ILLEGAL_ARGUMENT",
        ),
        (&[("OperateType", "updateNoA")], "isv.ILLEGAL_ARGUMENT"),
        (&[("OperateType", "updateNoB")], "isv.ILLEGAL_ARGUMENT"),
        (&[("OperateType", "updateExpire")], "isv.ILLEGAL_ARGUMENT"),
        (
            &[("OperateType", "updateCallRestrict")],
            "isv.ILLEGAL_ARGUMENT",
        ),
        (
            &[("OperateType", "updateCallDisplayType")],
            "isv.ILLEGAL_ARGUMENT",
        ),
        (&[("OperateType", "updateOutId")], "isv.ILLEGAL_ARGUMENT"),
        (
            &[("OperateType", "updateIsRecordingEnabled")],
            "isv.ILLEGAL_ARGUMENT",
        ),
        (
            &[("OperateType", "updateNoA"), ("PhoneNoA", "1")],
            "isv.MOBILE_NUMBER_ILLEGAL",
        ),
        (
            &[("OperateType", "updateNoB"), ("PhoneNoB", "15000000009")],
            "isv.ILLEGAL_ARGUMENT",
        ),
        (
            &[
                ("OperateType", "updateExpire"),
                ("Expiration", "2017-01-01 00:00:00"),
            ],
            "isv.EXPIRE_DATE_ILLEGAL",
        ),
        (
            &[("OperateType", "updateAxgGroup"), ("GroupId", "1")],
            "isv.FORBIDDEN_ACTION",
        ),
        (
            &[
                ("OperateType", "updateOutId"),
                ("OutId", "x"),
                ("RingConfig", "[]"),
            ],
            "isv.INVALID_PARAMETERS",
        ),
    ];
    for (pairs, expected) in refused {
        assert_eq!(update(pairs).await, *expected, "{pairs:?}");
    }
    assert_eq!(detail(&world, AXN, &x, &subs_id).await, before);
    let unknown = [
        ("PoolKey", AXN),
        ("PhoneNoX", &x),
        ("SubsId", "1"),
        ("OperateType", "updateOutId"),
        ("OutId", "x"),
    ];
    assert_eq!(
        code(&world, "UpdateSubscription", &unknown).await,
        "isv.SUBS_NOT_EXIST"
    );
}

#[tokio::test]
async fn an_update_into_another_binding_is_an_update_conflict() {
    let world = World::start().await;
    let x = "17000000100";
    let mut ids = Vec::new();
    for (a, b) in [(A, B), ("15000000001", "15800000001")] {
        let answer = bind(
            &world,
            "BindAxb",
            &[
                ("PoolKey", AXB),
                ("PhoneNoX", x),
                ("PhoneNoA", a),
                ("PhoneNoB", b),
            ],
        )
        .await;
        ids.push(
            answer.json()["SecretBindDTO"]["SubsId"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    let pairs = [
        ("PoolKey", AXB),
        ("PhoneNoX", x),
        ("SubsId", &ids[1]),
        ("OperateType", "updateNoB"),
        ("PhoneNoB", B),
    ];
    assert_eq!(
        code(&world, "UpdateSubscription", &pairs).await,
        "isv.UPDATE_CONFLICT"
    );
}
