use super::{code, detail};
use crate::api::world::{A, AXB, AXN, B, World};

#[tokio::test]
async fn details_follow_a_binding_beyond_its_end() {
    let world = World::start().await;
    let (x, subs_id) = world.bind(&[("PhoneNoB", B)]).await;
    let live = detail(&world, AXN, &x, &subs_id).await;
    assert_eq!(
        (&live["Status"], &live["PhoneNoA"], &live["PhoneNoX"]),
        (&1.into(), &A.into(), &x.as_str().into())
    );
    let unbind = [("PoolKey", AXN), ("SecretNo", &*x), ("SubsId", &*subs_id)];
    assert_eq!(code(&world, "UnbindSubscription", &unbind).await, "OK");
    let ended = detail(&world, AXN, &x, &subs_id).await;
    assert_eq!(ended["Status"], 0);
    for member in [
        "SubsId",
        "PhoneNoA",
        "PhoneNoX",
        "PhoneNoB",
        "GmtCreate",
        "ExpireDate",
        "NeedRecord",
    ] {
        assert_eq!(ended[member], live[member], "{member}");
    }
    let ask = async |pairs: &[(&str, &str)]| code(&world, "QuerySubscriptionDetail", pairs).await;
    let subs_id = &*subs_id;
    assert_eq!(
        ask(&[("PoolKey", AXN), ("PhoneNoX", &x), ("SubsId", "1")]).await,
        "isv.SUBS_NOT_EXIST"
    );
    assert_eq!(
        ask(&[
            ("PoolKey", AXN),
            ("PhoneNoX", "17000000199"),
            ("SubsId", subs_id)
        ])
        .await,
        "isv.SUBS_NOT_EXIST"
    );
    assert_eq!(
        ask(&[("PoolKey", AXB), ("PhoneNoX", &x), ("SubsId", subs_id)]).await,
        "isv.SUBS_NOT_EXIST"
    );
    assert_eq!(
        ask(&[("PhoneNoX", &x), ("SubsId", subs_id)]).await,
        "isv.ILLEGAL_ARGUMENT"
    );
    assert_eq!(
        ask(&[
            ("ProductType", "AXN_170"),
            ("PhoneNoX", &x),
            ("SubsId", subs_id)
        ])
        .await,
        "OK"
    );
}
