//! How the database finds the rows of each list of calls.

use super::*;
use crate::db::sqlite;
use crate::directory::DataDir;

/// The plan for a filter that names no person, its lines joined.
async fn plan(conn: &mut Connection, filter: &Filter) -> String {
    plan_for(conn, filter, None).await
}

async fn plan_for(conn: &mut Connection, filter: &Filter, person: Option<Person>) -> String {
    let lines = sqlite::plan(conn, select(filter, person)).await;
    lines.expect("SQL").join("; ")
}

#[tokio::test]
async fn the_calls_of_a_person_are_found_by_the_keys_of_that_person_alone() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let owned = DataDir::own(dir.path()).expect("nobody else has it");
    let mut conn = owned.writer().await.expect("a new database opens");
    let all = Filter::default;
    let word = || Some("acme".to_owned());
    let person = PhoneNumber::parse("13900000001").ok();
    let after = Some((Timestamp(7), "c7".to_owned()));
    let (since, before) = (Some(Timestamp(5)), Some(Timestamp(9)));
    let x = PhoneNumber::parse("17000000001").ok();
    #[rustfmt::skip]
    let filters = [
        all(),
        Filter { since, ..all() },
        Filter { before, ..all() },
        Filter { after: after.clone(), ..all() },
        Filter { since, before, after: after.clone(), ..all() },
        Filter { account: word(), ..all() },
        Filter { pool: word(), after: after.clone(), ..all() },
        Filter { x, ..all() },
        Filter { situation: word(), since, ..all() },
        Filter { open: Some(false), ..all() },
        Filter { subs_id: Some(SubsId(7)), ..all() },
        Filter { account: word(), pool: word(), x, situation: word(), since, after, ..all() },
    ];
    for filter in filters {
        for (name, wanted) in [
            (
                "party",
                Filter {
                    party: person,
                    ..filter.clone()
                },
            ),
            (
                "caller",
                Filter {
                    caller: person,
                    ..filter.clone()
                },
            ),
            (
                "both",
                Filter {
                    caller: person,
                    party: person,
                    ..filter
                },
            ),
        ] {
            let persons = persons(&wanted);
            assert_eq!(persons.len(), if name == "party" { 4 } else { 1 });
            for person in persons {
                let column = person.expect("somebody").0;
                let plan = plan_for(&mut conn, &wanted, person).await;
                let index = column.trim_end_matches("_key");
                let leads = format!(
                    "SEARCH call_record USING INDEX call_record_by_{index} ({column}=? AND arrived_at"
                );
                assert!(plan.starts_with(&leads), "{wanted:?}: {plan}");
            }
        }
    }
}

#[tokio::test]
async fn every_filter_of_a_list_is_bounded_by_an_index() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let owned = DataDir::own(dir.path()).expect("nobody else has it");
    let mut conn = owned.writer().await.expect("a new database opens");
    let all = Filter::default;
    let word = || Some("acme".to_owned());
    let x = PhoneNumber::parse("17000000001").ok();
    let (since, before) = (Some(Timestamp(5)), Some(Timestamp(9)));
    let (account, pool, situation) = (word(), word(), word());
    let by_arrival = "call_record_by_arrival (arrived_at<?)";
    let after = || Some((Timestamp(7), "c7".to_owned()));
    #[rustfmt::skip]
    let rows = [
        // Filters, and what leads to their rows: equal terms first, then the time.
        (all(), by_arrival),
        (Filter { before, ..all() }, by_arrival),
        (Filter { since, before, ..all() }, "call_record_by_arrival (arrived_at>? AND arrived_at<?)"),
        (Filter { open: Some(false), ..all() }, by_arrival),
        (Filter { account: account.clone(), ..all() }, "call_record_by_account (account=? AND arrived_at<?)"),
        (Filter { account: account.clone(), before, ..all() }, "call_record_by_account (account=? AND arrived_at<?)"),
        (Filter { account: account.clone(), since, ..all() }, "call_record_by_account (account=? AND arrived_at>? AND arrived_at<?)"),
        (Filter { account: account.clone(), open: Some(false), ..all() }, "call_record_by_account (account=? AND arrived_at<?)"),
        (Filter { pool: pool.clone(), ..all() }, "call_record_by_pool (pool=? AND arrived_at<?)"),
        (Filter { pool: pool.clone(), since, before, ..all() }, "call_record_by_pool (pool=? AND arrived_at>? AND arrived_at<?)"),
        (Filter { situation: situation.clone(), ..all() }, "call_record_by_situation (situation=? AND arrived_at<?)"),
        (Filter { situation: situation.clone(), since, before, ..all() }, "call_record_by_situation (situation=? AND arrived_at>? AND arrived_at<?)"),
        (Filter { x, ..all() }, "call_record_by_x (x=? AND arrived_at<?)"),
        (Filter { x, since, ..all() }, "call_record_by_x (x=? AND arrived_at>? AND arrived_at<?)"),
        (Filter { subs_id: Some(SubsId(7)), ..all() }, "call_record_by_binding (subs_id=? AND arrived_at<?)"),
        (Filter { subs_id: Some(SubsId(7)), since, ..all() }, "call_record_by_binding (subs_id=? AND arrived_at>? AND arrived_at<?)"),
        // Later pages.
        (Filter { after: after(), ..all() }, "call_record_by_arrival ((arrived_at,call_id)<(?,?))"),
        (Filter { after: after(), before, ..all() }, "call_record_by_arrival ((arrived_at,call_id)<(?,?))"),
        (Filter { after: after(), before: Some(Timestamp(7)), ..all() }, by_arrival),
        (Filter { after: after(), since, ..all() }, "call_record_by_arrival (arrived_at>? AND (arrived_at,call_id)<(?,?))"),
        (Filter { after: after(), account: account.clone(), ..all() }, "call_record_by_account (account=? AND (arrived_at,call_id)<(?,?))"),
        (Filter { after: after(), pool: pool.clone(), ..all() }, "call_record_by_pool (pool=? AND (arrived_at,call_id)<(?,?))"),
        (Filter { after: after(), situation: situation.clone(), ..all() }, "call_record_by_situation (situation=? AND (arrived_at,call_id)<(?,?))"),
        (Filter { after: after(), x, ..all() }, "call_record_by_x (x=? AND arrived_at<?)"),
    ];
    for (filter, expected) in rows {
        let plan = plan(&mut conn, &filter).await;
        let leads = ["SEARCH call_record USING INDEX ", expected].concat();
        assert!(plan.starts_with(&leads), "{filter:?}: {plan}");
    }
    // Of several terms one leads; which one is for the database to say.
    #[rustfmt::skip]
    let several = [
        Filter { account: account.clone(), pool: pool.clone(), ..all() },
        Filter { account: account.clone(), situation: situation.clone(), ..all() },
        Filter { pool: pool.clone(), situation: situation.clone(), ..all() },
        Filter { account, pool, situation, x, since, before, ..all() },
    ];
    for filter in several {
        let plan = plan(&mut conn, &filter).await;
        let leads = plan.starts_with("SEARCH call_record USING INDEX ");
        assert!(
            leads && plan.contains("=? AND arrived_at"),
            "{filter:?}: {plan}"
        );
    }
}

#[tokio::test]
async fn open_calls_are_not_looked_for_among_those_that_are_over() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let owned = DataDir::own(dir.path()).expect("nobody else has it");
    let mut conn = owned.writer().await.expect("a new database opens");
    let word = || Some("acme".to_owned());
    let open = || Filter {
        open: Some(true),
        ..Filter::default()
    };
    #[rustfmt::skip]
    let filters = [
        open(),
        Filter { account: word(), ..open() },
        Filter { pool: word(), since: Some(Timestamp(5)), ..open() },
        Filter { x: PhoneNumber::parse("17000000001").ok(), ..open() },
    ];
    for filter in filters {
        let plan = plan(&mut conn, &filter).await;
        let found = plan.matches("call_record").count();
        assert!(
            plan.contains("SCAN call_record USING INDEX call_record_open") && found == 2,
            "{filter:?}: {plan}"
        );
    }
}

#[tokio::test]
async fn the_order_of_a_list_is_that_of_its_index() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let owned = DataDir::own(dir.path()).expect("nobody else has it");
    let mut conn = owned.writer().await.expect("a new database opens");
    let word = || Some("acme".to_owned());
    let all = Filter::default;
    #[rustfmt::skip]
    let filters = [
        all(),
        Filter { account: word(), ..all() },
        Filter { pool: word(), ..all() },
        Filter { situation: word(), ..all() },
        Filter { after: Some((Timestamp(7), "c7".into())), ..all() },
        Filter { account: word(), after: Some((Timestamp(7), "c7".into())), ..all() },
    ];
    for filter in filters {
        let plan = plan(&mut conn, &filter).await;
        assert!(!plan.contains("TEMP B-TREE"), "{filter:?}: {plan}");
    }
}
