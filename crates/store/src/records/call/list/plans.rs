//! How the database finds the rows of each list of calls.

use super::*;
use crate::db::{Connection, sqlite};
use crate::directory::DataDir;

/// The plans of a query that reads down to a key and of one that reads all, and of the query for that
/// key, the lines of each joined.
async fn plans(conn: &mut Connection, filter: &Filter, lead: &Lead) -> [String; 3] {
    let floor = (Timestamp(3), "c3".to_owned());
    let queries = [
        select(filter, lead, Some(&floor)),
        select(filter, lead, None),
        lowest(filter, lead),
    ];
    let mut plans = [const { String::new() }; 3];
    for (plan, query) in plans.iter_mut().zip(queries) {
        *plan = sqlite::plan(conn, query).await.expect("SQL").join("; ");
    }
    plans
}

/// What may lead where no person does.
fn any(filter: &Filter) -> Vec<Lead> {
    match others(filter) {
        none if none.is_empty() => vec![Lead::ALL],
        others => others,
    }
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
            for lead in persons {
                let column = lead.column.expect("somebody");
                let index = column.trim_end_matches("_key");
                let leads = format!("INDEX call_record_by_{index} ({column}=? AND ");
                for plan in plans(&mut conn, &wanted, &lead).await {
                    assert!(plan.starts_with("SEARCH "), "{wanted:?}: {plan}");
                    assert!(plan.contains(&leads), "{wanted:?}: {plan}");
                    assert!(!plan.contains("TEMP B-TREE"), "{wanted:?}: {plan}");
                }
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
        (Filter { after: after(), x, ..all() }, "call_record_by_x (x=? AND (arrived_at,call_id)<(?,?))"),
    ];
    for (filter, expected) in rows {
        let leads = any(&filter);
        assert_eq!(leads.len(), 1, "{filter:?}");
        let [_, plan, key] = plans(&mut conn, &filter, &leads[0]).await;
        let found = ["SEARCH call_record USING INDEX ", expected].concat();
        assert!(plan.starts_with(&found), "{filter:?}: {plan}");
        let found = ["SEARCH call_record USING COVERING INDEX ", expected].concat();
        assert!(key.starts_with(&found), "{filter:?}: {key}");
    }
    // Of several terms each may lead, and the one that does is the only one with an index.
    #[rustfmt::skip]
    let several = [
        (Filter { account: account.clone(), pool: pool.clone(), ..all() }, "pool account"),
        (Filter { account: account.clone(), situation: situation.clone(), ..all() }, "situation account"),
        (Filter { pool: pool.clone(), situation: situation.clone(), ..all() }, "situation pool"),
        (Filter { subs_id: Some(SubsId(7)), x, after: after(), ..all() }, "subs_id x"),
        (Filter { account, pool, situation, x, since, before, ..all() }, "x situation pool account"),
    ];
    for (filter, columns) in several {
        let leads = others(&filter);
        let found: Vec<_> = leads.iter().filter_map(|lead| lead.column).collect();
        assert_eq!(found.join(" "), columns, "{filter:?}");
        for lead in leads {
            let column = lead.column.expect("a term");
            let index = if column == "subs_id" {
                "binding"
            } else {
                column
            };
            let found = format!("INDEX call_record_by_{index} ({column}=? AND ");
            for plan in plans(&mut conn, &filter, &lead).await {
                assert!(plan.starts_with("SEARCH "), "{filter:?}: {plan}");
                assert!(plan.contains(&found), "{filter:?}: {plan}");
                assert!(!plan.contains("TEMP B-TREE"), "{filter:?}: {plan}");
            }
        }
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
        let [_, plan, _] = plans(&mut conn, &filter, &Lead::ALL).await;
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
        for lead in any(&filter) {
            for plan in plans(&mut conn, &filter, &lead).await {
                assert!(!plan.contains("TEMP B-TREE"), "{filter:?}: {plan}");
            }
        }
    }
}
