//! The actions themselves, over HTTP, a file each; and the examples in their documentation.

mod bind_axb;
mod bind_axn;
mod examples;
mod lock_secret_no;
mod query_secret_no_remain;
mod query_subs_id;
mod query_subscription_detail;
mod unbind_subscription;
mod update_subscription;

use serde_json::Value;

use crate::api::world::{A, AXN, EXPIRATION, World};

/// Parameters of an action.
type Pairs<'a> = &'a [(&'a str, &'a str)];

async fn code(world: &World, action: &str, pairs: &[(&str, &str)]) -> String {
    world.ask(action, pairs).await.code()
}

/// A bind with these pairs in place of the usual ones.
async fn bind(world: &World, action: &str, pairs: &[(&str, &str)]) -> crate::api::client::Answer {
    let usual = [
        ("PoolKey", AXN),
        ("PhoneNoA", A),
        ("Expiration", EXPIRATION),
    ];
    let all: Vec<_> = usual
        .into_iter()
        .filter(|(name, _)| !pairs.iter().any(|(own, _)| own == name))
        .chain(pairs.iter().copied())
        .collect();
    world.ask(action, &all).await
}

async fn detail(world: &World, pool: &str, x: &str, subs_id: &str) -> Value {
    let answer = world
        .ask(
            "QuerySubscriptionDetail",
            &[("PoolKey", pool), ("PhoneNoX", x), ("SubsId", subs_id)],
        )
        .await;
    assert_eq!(answer.code(), "OK", "{answer:?}");
    answer.json()["SecretBindDetailDTO"].clone()
}
