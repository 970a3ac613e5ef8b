use super::{bind, code};
use crate::api::world::{AXB, AXN, FOREIGN, World};

#[tokio::test]
async fn unbind_needs_pool_x_and_id_to_belong_together_and_frees_x() {
    let world = World::start().await;
    let (x, subs_id) = world.bind(&[]).await;
    let ask = async |pool: &str, x: &str, id: &str| {
        code(
            &world,
            "UnbindSubscription",
            &[("PoolKey", pool), ("SecretNo", x), ("SubsId", id)],
        )
        .await
    };
    assert_eq!(ask(AXB, &x, &subs_id).await, "isv.SUBS_NOT_EXIST");
    assert_eq!(
        ask(AXN, "17000000199", &subs_id).await,
        "isv.SUBS_NOT_EXIST"
    );
    assert_eq!(ask(AXN, "x", &subs_id).await, "isv.SUBS_NOT_EXIST");
    assert_eq!(ask(AXN, &x, "1").await, "isv.SUBS_NOT_EXIST");
    assert_eq!(ask(AXN, &x, "one").await, "isv.SUBS_NOT_EXIST");
    assert_eq!(ask(FOREIGN, &x, &subs_id).await, "isv.PARTNER_NOT_EXIST");
    let answer = world
        .ask(
            "UnbindSubscription",
            &[("PoolKey", AXN), ("SecretNo", &x), ("SubsId", &subs_id)],
        )
        .await;
    assert_eq!(answer.code(), "OK");
    assert_eq!(answer.json().as_object().unwrap().len(), 3, "{answer:?}");
    assert_eq!(ask(AXN, &x, &subs_id).await, "isv.SUBS_NOT_EXIST");
    assert_eq!(
        bind(&world, "BindAxn", &[("PhoneNoX", &x)]).await.code(),
        "OK"
    );
}
