use super::code;
use crate::api::world::{AXN, World};

#[tokio::test]
async fn query_subs_id_gives_what_is_in_force() {
    let world = World::start().await;
    let (x, subs_id) = world.bind(&[]).await;
    for pairs in [
        &[("PoolKey", AXN), ("PhoneNoX", &*x)][..],
        &[("PhoneNoX", &*x)],
    ] {
        let answer = world.ask("QuerySubsId", pairs).await;
        assert_eq!(answer.json()["SubsId"], subs_id.as_str(), "{answer:?}");
    }
    assert_eq!(
        code(
            &world,
            "UnbindSubscription",
            &[("PoolKey", AXN), ("SecretNo", &x), ("SubsId", &subs_id)]
        )
        .await,
        "OK"
    );
    let answer = world
        .ask("QuerySubsId", &[("PoolKey", AXN), ("PhoneNoX", &x)])
        .await;
    assert_eq!(
        (answer.code().as_str(), answer.json().get("SubsId")),
        ("OK", None)
    );
    for other in ["17000000300", "17099999999", "x", "17000000100"] {
        assert_eq!(
            code(
                &world,
                "QuerySubsId",
                &[("PoolKey", AXN), ("PhoneNoX", other)]
            )
            .await,
            "isv.NO_NOT_EXIST"
        );
    }
    assert_eq!(
        code(&world, "QuerySubsId", &[("PhoneNoX", "17000000300")]).await,
        "isv.NO_NOT_EXIST"
    );
}
