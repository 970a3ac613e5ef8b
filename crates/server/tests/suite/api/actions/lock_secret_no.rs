use super::{bind, code};
use crate::api::world::{STRICT, World};

#[tokio::test]
async fn locks_show_in_the_detail_and_keep_x_from_selection() {
    let world = World::start().await;
    let status = async || {
        let answer = world
            .ask(
                "QuerySecretNoDetail",
                &[("PoolKey", STRICT), ("SecretNo", "17000000200")],
            )
            .await;
        answer.json()["SecretNoInfoDTO"]["SecretStatus"].clone()
    };
    let number = [("PoolKey", STRICT), ("SecretNo", "17000000200")];
    assert_eq!(status().await, 0);
    assert_eq!(code(&world, "LockSecretNo", &number).await, "OK");
    assert_eq!(code(&world, "LockSecretNo", &number).await, "OK");
    assert_eq!(status().await, 2);
    assert_eq!(
        bind(&world, "BindAxn", &[("PoolKey", STRICT)]).await.code(),
        "isv.NO_AVAILABLE_NUMBER"
    );
    assert_eq!(code(&world, "UnlockSecretNo", &number).await, "OK");
    assert_eq!(status().await, 0);
    assert_eq!(
        bind(&world, "BindAxn", &[("PoolKey", STRICT)]).await.code(),
        "OK"
    );
    assert_eq!(status().await, 1);
    for action in ["LockSecretNo", "UnlockSecretNo", "QuerySecretNoDetail"] {
        for other in ["17000000000", "17099999999", "x"] {
            assert_eq!(
                code(&world, action, &[("PoolKey", STRICT), ("SecretNo", other)]).await,
                "isv.NO_NOT_EXIST"
            );
        }
    }
}
