use super::{Dice, alive};
use crate::api::world::{A, AXN, EXPIRATION, World};

/// Binds with numbers, cities and texts of any sort answer in the published codes, never otherwise.
#[tokio::test]
async fn values() {
    const ALLOWED: [&str; 6] = [
        "OK",
        "isv.MOBILE_NUMBER_ILLEGAL",
        "isv.ILLEGAL_ARGUMENT",
        "isv.INVALID_PARAMETERS",
        "isv.EXPIRE_DATE_ILLEGAL",
        "isv.NO_NOT_EXIST",
    ];
    let world = World::start().await;
    let mut connection = world.connection();
    for seed in 0..500 {
        let mut dice = Dice(seed);
        let mut request = world.rpc(
            "BindAxn",
            &[
                ("PoolKey", AXN),
                ("PhoneNoA", A),
                ("Expiration", EXPIRATION),
            ],
        );
        let names = [
            "PhoneNoA",
            "PhoneNoB",
            "PhoneNoX",
            "Expiration",
            "ExpectCity",
            "CallTimeout",
            "RingConfig",
            "CallRestrict",
            "IsRecordingEnabled",
            "ASRStatus",
            "CallDisplayType",
            "OutOrderId",
        ];
        let values = [
            "0",
            "-1",
            "1e9",
            "99999999999999999999",
            "NaN",
            "null",
            "true",
            "[]",
            "{}",
            "'; --",
            "\u{0}",
            "１５０",
            "𝟙",
            "\u{202e}",
            "%00",
            "../..",
            "<a/>",
            "\"",
            "\\",
            "9999-12-31 23:59:59",
            "0000-00-00 00:00:00",
        ];
        let (name, value) = (*dice.pick(&names), *dice.pick(&values));
        request.set(name, &value.repeat(1 + dice.below(40)));
        // Nothing is bound, however good the rest is: the pool stays as it is.
        request.set(
            "PhoneNoX",
            if name == "PhoneNoX" {
                value
            } else {
                "17099999999"
            },
        );
        request.sign(&world.signer.secret);
        let answer = connection
            .exchange(&request.bytes())
            .await
            .expect("an answer");
        let what = format!("{name} {value:?} seed {seed}: {answer:?}");
        assert_eq!(answer.status, 200, "{what}");
        assert!(ALLOWED.contains(&answer.code().as_str()), "{what}");
    }
    alive(&world, connection).await;
}
