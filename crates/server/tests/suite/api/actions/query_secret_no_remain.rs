use crate::api::world::World;

#[tokio::test]
async fn the_stock_is_counted_by_kind_prefix_and_city() {
    let world = World::start().await;
    let ask = async |pairs: &[(&str, &str)]| {
        let answer = world.ask("QuerySecretNoRemain", pairs).await;
        (answer.code(), answer.json()["SecretRemainDTO"].clone())
    };
    let amount = async |city: &str, spec: &str, prefix: &str| {
        let (code, dto) = ask(&[("City", city), ("SpecId", spec), ("SecretNo", prefix)]).await;
        assert_eq!(code, "OK");
        dto["Amount"].clone()
    };
    assert_eq!(amount("杭州", "1", "").await, 2);
    assert_eq!(amount("杭州市", "1", "").await, 2);
    assert_eq!(amount("全国", "1", "").await, 3);
    assert_eq!(amount("National", "1", "17100000000").await, 1);
    assert_eq!(amount("National", "2", "").await, 0);
    assert_eq!(amount("Nationwide", "3", "95").await, 0);
    assert_eq!(amount("北京", "1", "").await, 0);
    let (_, list) = ask(&[("City", "National List"), ("SpecId", "1")]).await;
    assert_eq!(
        list["RemainDTOList"]["remainDTO"].as_array().unwrap().len(),
        2
    );
    assert_eq!(
        ask(&[("City", "杭州"), ("SpecId", "4")]).await.0,
        "isv.ILLEGAL_ARGUMENT"
    );
    assert_eq!(
        ask(&[("City", "杭州"), ("SpecId", "1"), ("SecretNo", "17x")])
            .await
            .0,
        "isv.ILLEGAL_ARGUMENT"
    );
}
