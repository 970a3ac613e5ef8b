//! How the database finds what may go.

use super::*;
use crate::db::sqlite;
use crate::directory::DataDir;

#[tokio::test]
async fn what_may_go_is_found_by_an_index_in_its_order() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let owned = DataDir::own(dir.path()).expect("nobody else has it");
    let mut conn = owned.writer().await.expect("a new database opens");
    let some = || Some("FC1".to_owned());
    let two = || Cursor(vec![5_i64.into(), "c5".into()]);
    let by_end = "INDEX binding_history_by_end (pool=? AND ";
    let by_pool = "INDEX call_record_by_pool (pool=? AND ";
    let unpooled = "INDEX call_record_unpooled (";
    let recorded = "INDEX call_record_recorded (<expr>=? AND ";
    let owed = "INDEX owed_by_time (";
    let five = || {
        let texts = ["c5", "ended", "receipt", "k"].map(Value::from);
        Cursor([5_i64.into()].into_iter().chain(texts).collect())
    };
    let audit = "INDEX sqlite_autoindex_audit_1";
    for (kind, pool, cursor, expected) in [
        (
            Kind::Bindings,
            some(),
            Cursor(vec![5_i64.into(), 7_i64.into()]),
            by_end,
        ),
        (
            Kind::Bindings,
            None,
            Cursor(vec![5_i64.into(), 7_i64.into()]),
            by_end,
        ),
        (Kind::Calls, some(), two(), by_pool),
        (Kind::Calls, None, two(), unpooled),
        (Kind::Recordings, some(), two(), recorded),
        (Kind::Recordings, None, two(), recorded),
        (Kind::Receipts, None, five(), owed),
        (
            Kind::Audit,
            None,
            Cursor(vec![5_i64.into(), 7_i64.into()]),
            audit,
        ),
    ] {
        let scope = Scope { kind, pool };
        for statement in [
            select(&scope, Timestamp(9), None, 32),
            select(&scope, Timestamp(9), Some(&cursor), 32),
            select_oldest(&scope, Some(Timestamp(5))),
        ] {
            let shown = format!("{statement:?}");
            let plan = sqlite::plan(&mut conn, statement).await;
            let plan = plan.expect("SQL").join("; ");
            assert!(plan.contains(expected), "{shown}: {plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{shown}: {plan}");
        }
    }
    for (table, index) in [
        ("binding_history", "binding_history_by_"),
        ("call_record", "call_record_by_pool"),
    ] {
        let select = match table {
            "binding_history" => sql("SELECT pool FROM binding_history WHERE pool > ?"),
            _ => sql("SELECT pool FROM call_record WHERE pool > ?"),
        };
        let select = select.bind("FC1").push(" ORDER BY pool LIMIT 1");
        let plan = sqlite::plan(&mut conn, select)
            .await
            .expect("SQL")
            .join("; ");
        assert!(plan.contains(index) && plan.contains("(pool>?)"), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    }
}
