use super::bind;
use crate::api::world::{AXB, B, World};

#[tokio::test]
async fn bind_axb_needs_b_and_shares_x_between_pairs() {
    let world = World::start().await;
    let ask = async |pairs: &[(&str, &str)]| {
        let all = [&[("PoolKey", AXB), ("PhoneNoX", "17000000100")], pairs].concat();
        bind(&world, "BindAxb", &all).await.code()
    };
    assert_eq!(ask(&[]).await, "isv.ILLEGAL_ARGUMENT");
    assert_eq!(
        ask(&[("PhoneNoB", B), ("CallTimeout", "181")]).await,
        "isv.ILLEGAL_ARGUMENT"
    );
    assert_eq!(
        ask(&[("PhoneNoB", B), ("DtmfConfig", r#"{"maxLoop":9}"#)]).await,
        "isv.INVALID_PARAMETERS"
    );
    let whole = [
        ("PhoneNoB", B),
        ("CallTimeout", "0"),
        ("CallRestrict", "CONTROL_CLEAR_DISABLE"),
        ("DtmfConfig", r#"{"endCallIvrPhoneNo":"A","maxLoop":2}"#),
        ("RingConfig", r#"{"AXBRing_A":"100000001"}"#),
    ];
    assert_eq!(ask(&whole).await, "OK");
    assert_eq!(
        ask(&[("PhoneNoB", "15800000001")]).await,
        "isv.BIND_CONFLICT"
    );
    assert_eq!(
        ask(&[("PhoneNoA", "15000000001"), ("PhoneNoB", B)]).await,
        "isv.BIND_CONFLICT"
    );
    assert_eq!(
        ask(&[("PhoneNoA", "15000000001"), ("PhoneNoB", "15800000001")]).await,
        "OK"
    );
    let ids = world
        .ask(
            "QuerySubsId",
            &[("PoolKey", AXB), ("PhoneNoX", "17000000100")],
        )
        .await
        .json();
    assert_eq!(
        ids["SubsId"].as_str().unwrap().split(',').count(),
        2,
        "{ids}"
    );
}
