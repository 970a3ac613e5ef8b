//! How the database finds the rows of each list of bindings.

use super::erasing::with;
use super::*;
use crate::db::sqlite;
use crate::directory::DataDir;

#[tokio::test]
async fn every_list_is_led_by_one_index_in_its_order() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let owned = DataDir::own(dir.path()).expect("nobody else has it");
    let mut conn = owned.writer().await.expect("a new database opens");
    let all = Filter::default;
    let party = PhoneNumber::parse("13900000001").ok();
    let x = PhoneNumber::parse("17000000001").ok();
    let pool = || Some(PoolKey::new("FC1"));
    let account = || Some(AccountId::new("acme"));
    let before = Some(SubsId(7));
    let parties: &[&str] = &[
        "binding_history_by_a (a_key=? AND ",
        "binding_history_by_b (b_key=? AND ",
    ];
    let by_x: &[&str] = &["binding_history_by_x (x=? AND "];
    let by_pool: &[&str] = &["binding_history_by_pool (pool=? AND "];
    let by_id: &[&str] = &["sqlite_autoindex_binding_history_1 ("];
    #[rustfmt::skip]
    let rows = [
        (all(), by_id),
        (Filter { before, ..all() }, by_id),
        (Filter { ended: Some(true), ..all() }, by_id),
        (Filter { account: account(), ..all() }, by_id),
        (Filter { pool: pool(), ..all() }, by_pool),
        (Filter { pool: pool(), account: account(), ended: Some(true), before, ..all() }, by_pool),
        (Filter { x, ..all() }, by_x),
        (Filter { x, pool: pool(), ended: Some(true), ..all() }, by_x),
        (Filter { party, ..all() }, parties),
        (Filter { party, before, ..all() }, parties),
        (Filter { party, ended: Some(true), ..all() }, parties),
        (Filter { party, x, pool: pool(), account: account(), ended: Some(true), before, ..all() }, parties),
    ];
    for (filter, expected) in rows {
        let leads = leads(&filter);
        assert_eq!(leads.len(), expected.len(), "{filter:?}");
        for (lead, expected) in leads.iter().zip(expected) {
            for query in [
                lowest(&filter, lead),
                select(&filter, lead, None),
                select(&filter, lead, Some(SubsId(3))),
            ] {
                let plan = sqlite::plan(&mut conn, query).await;
                let plan = plan.expect("SQL").join("; ");
                assert!(plan.contains(expected), "{filter:?}: {plan}");
                for other in ["SCAN", "TEMP B-TREE", ";"] {
                    assert!(!plan.contains(other), "{filter:?}: {plan}");
                }
            }
        }
    }
}

#[tokio::test]
async fn who_is_to_be_erased_is_looked_for_by_key() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let owned = DataDir::own(dir.path()).expect("nobody else has it");
    let mut conn = owned.writer().await.expect("a new database opens");
    let person = PhoneNumber::parse("13900000001").expect("digits");
    let plan = sqlite::plan(&mut conn, with(person)).await;
    let plan = plan.expect("SQL").join("; ");
    assert!(!plan.contains("SCAN"), "{plan}");
    assert!(
        plan.contains("(a_key=?)") && plan.contains("(b_key=?)"),
        "{plan}"
    );
}
