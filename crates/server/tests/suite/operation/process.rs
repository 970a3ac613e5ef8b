//! The real program as a child: how it starts, listens to signals and ends, and its commands.

use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt;

use serde_json::Value;

use crate::operation::home::{ANY, Home};
use maskline_fixtures::certificates::SelfSigned;

#[test]
fn a_demo_starts_tells_where_it_is_and_stops_in_order() {
    let home = Home::new();
    let mut first = home.serve(&["--demo"]);
    let demo = home.read_json("data/demo.json");
    assert_eq!(demo["pool_key"], "FC12345");
    assert_eq!(demo["pools"]["AXN"], "FC12345");
    for name in [
        "data/demo.json",
        "data/admin.token",
        "data/addresses.json",
        "data.key",
    ] {
        let mode = std::fs::metadata(home.path(name)).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
    }
    assert_eq!(home.read_json("data/addresses.json"), first.ready);
    assert_eq!(
        home.read("data/admin.token").trim(),
        demo["admin_token"].as_str().unwrap()
    );
    assert_eq!(first.end("TERM"), Some(0));
    assert!(!home.path("data/addresses.json").exists());

    let mut second = home.serve(&["--demo"]);
    assert_eq!(home.read_json("data/demo.json"), demo, "made once");
    assert_eq!(second.end("INT"), Some(0));
}

#[test]
fn health_and_metrics_need_no_token_and_the_rest_does() {
    let home = Home::new();
    let server = home.serve(&[]);
    assert_eq!(server.get("/healthz").0, 200);
    assert_eq!(
        server.get("/readyz"),
        (200, r#"{"blocked_by":{},"ready":true}"#.to_owned())
    );
    let (status, metrics) = server.get("/metrics");
    assert_eq!(status, 200);
    for name in [
        "maskline_journal_seq ",
        "maskline_writer_takes_commands 1",
        "process_cpu_seconds_total ",
    ] {
        assert!(
            metrics.contains(&format!("\n{name}")),
            "{name} in {metrics}"
        );
    }
    assert_eq!(server.get("/v1/accounts").0, 401);
    assert_eq!(server.get("/").0, 401);
}

#[test]
fn a_hang_up_reads_the_settings_again_and_a_bad_file_changes_nothing() {
    let home = Home::new();
    let file = home.path("maskline.toml");
    std::fs::write(&file, "[log]\nlevel = \"info\"\n").unwrap();
    let mut server = home.serve(&["--config", file.to_str().unwrap()]);

    std::fs::write(&file, "[log]\nlevel = \"warn\"\nnonsense = 1\n").unwrap();
    server.signal("HUP");
    let refused = server.log_line("everything stays as it was");
    assert!(
        refused.contains("maskline.toml:3: log.nonsense: unknown field"),
        "{refused}"
    );

    std::fs::write(
        &file,
        "[log]\nlevel = \"debug\"\n[api]\nidle_timeout_s = 5\n",
    )
    .unwrap();
    server.signal("HUP");
    let restart = server.log_line("wait for a restart");
    assert!(restart.contains("api.idle_timeout_s"), "{restart}");
    let (_, metrics) = server.get("/metrics");
    assert!(
        metrics.contains("maskline_reloads_total{result=\"done\"} 1"),
        "{metrics}"
    );
    assert!(
        metrics.contains("maskline_reloads_total{result=\"refused\"} 1"),
        "{metrics}"
    );
    assert_eq!(server.end("TERM"), Some(0));
}

#[test]
fn a_renewed_certificate_is_taken_over_and_a_bad_one_is_not() {
    let home = Home::new();
    let (chain, key) = (home.path("chain.pem"), home.path("key.pem"));
    let renew = || {
        let made = SelfSigned::new("localhost");
        made.write(&chain, &key);
        made.der
    };
    let first = renew();
    let file = home.path("maskline.toml");
    let text = format!("[api]\ncertificate = {chain:?}\nprivate_key = {key:?}\n");
    std::fs::write(&file, text).unwrap();
    let server = home.serve(&["--https", ANY, "--config", file.to_str().unwrap()]);
    assert!(server.shows(&first));

    let second = renew();
    std::fs::write(&key, "nonsense").unwrap();
    server.signal("HUP");
    server.log_line("everything stays as it was");
    assert!(server.shows(&first) && !server.shows(&second));

    let third = renew();
    server.signal("HUP");
    server.log_line("settings read again");
    assert!(server.shows(&third) && !server.shows(&first));
}

#[test]
fn an_import_that_stopped_goes_on_where_it_was() {
    let home = Home::new();
    let mut server = home.serve(&[]);
    let file = home.path("numbers.csv");
    let mut text = String::from("number,city\n");
    for n in 0..5_001 {
        writeln!(text, "{},北京", 17_000_000_000_u64 + n).expect("into memory");
    }
    std::fs::write(&file, &text).unwrap();
    // The last one is there already, in another city.
    home.told(&["number", "add", "17000005000", "--city", "杭州"]);
    let arguments = ["number", "import", file.to_str().unwrap()];
    let [dry, moving] = ["--dry-run", "--move"].map(|flag| {
        let mut all = arguments.to_vec();
        all.push(flag);
        all
    });
    let looked = home.run(&dry);
    assert_eq!(looked.status.code(), Some(1));
    assert_eq!(home.json(&["status"])["numbers"], 1, "a look adds nothing");
    for goes_on in [false, true] {
        let stopped = home.run(&arguments);
        let told = String::from_utf8_lossy(&stopped.stderr);
        assert_eq!(stopped.status.code(), Some(1), "{told}");
        assert!(told.contains("17000005000 (city 杭州 -> 北京"), "{told}");
        assert!(told.contains("--move changes them"), "{told}");
        assert_eq!(told.contains("going on after row 5000"), goes_on, "{told}");
    }
    assert_eq!(home.json(&["status"])["numbers"], 5_001);
    let told = home.told(&moving);
    assert!(told.contains("city: 杭州 -> 北京"), "{told}");
    assert!(
        told.contains("5001 rows, 0 numbers added, 1 changed"),
        "{told}"
    );

    // With a mistake anywhere nothing is added.
    std::fs::write(
        &file,
        format!("{text}17100000000,北京\n1700 000,北京\n17100000000,北京\n"),
    )
    .unwrap();
    let refused = home.run(&arguments);
    assert_eq!(refused.status.code(), Some(2));
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(
        told.contains("numbers.csv:5004: number: a number consists"),
        "{told}"
    );
    assert!(
        told.contains("numbers.csv:5005: number: 17100000000 stands on line 5003"),
        "{told}"
    );
    assert_eq!(home.json(&["status"])["numbers"], 5_001);

    // Another file is another import; what is there already is passed over.
    std::fs::write(&file, format!("{text}17100000000,北京\n")).unwrap();
    let told = home.told(&dry);
    assert!(
        told.contains("5002 rows, 1 numbers would be added, 0 would be changed"),
        "{told}"
    );
    let told = home.told(&arguments);
    assert!(
        told.contains("5002 rows, 1 numbers added, 0 changed"),
        "{told}"
    );
    assert_eq!(server.end("TERM"), Some(0));
}

#[test]
fn commands_work_beside_the_service_and_tell_when_there_is_none() {
    let home = Home::new();
    let alone = home.run(&["account", "ls"]);
    assert_eq!(alone.status.code(), Some(3));

    let mut server = home.serve(&[]);
    let document = home.path("apply.toml");
    let text = "[[account]]\nid = \"acme\"\nreal_name_verified = true\n\
                [[pool]]\nkey = \"FC1\"\naccount = \"acme\"\nproduct = \"axn\"\n";
    std::fs::write(&document, text).unwrap();
    let document = document.to_str().unwrap();
    let dry = home.told(&["apply", document, "--dry-run"]);
    assert!(
        dry.contains("+ account acme") && dry.contains("2 change(s) would be made"),
        "{dry}"
    );
    assert_eq!(home.json(&["account", "ls"]), Value::Array(Vec::new()));
    assert!(home.told(&["apply", document]).contains("2 change(s) made"));
    assert!(
        home.told(&["apply", document])
            .contains("nothing to change")
    );

    let numbers = home.path("numbers.csv");
    std::fs::write(
        &numbers,
        "number,city\n17000000001,北京\n17000000002,杭州\n",
    )
    .unwrap();
    let numbers = numbers.to_str().unwrap();
    let import = home.told(&["number", "import", numbers, "--pool", "FC1"]);
    assert!(
        import.contains("2 rows, 2 numbers added, 0 changed"),
        "{import}"
    );
    let again = home.told(&["number", "import", numbers, "--pool", "FC1"]);
    assert!(
        again.contains("2 rows, 0 numbers added, 0 changed"),
        "{again}"
    );

    let explained = home.told(&["explain", "13900001111", "17000000001"]);
    assert!(
        explained.contains("139******11 dials 17000000001"),
        "{explained}"
    );
    assert!(explained.contains("no binding is in force"), "{explained}");
    let journal = home.told(&["journal", "show", "--limit", "100"]);
    assert!(
        journal.contains("account_set") && journal.contains("operator "),
        "{journal}"
    );

    let added = home.told(&["trunk", "add", "carrier", "--peer", "192.0.2.1:5060"]);
    assert!(added.contains("+ trunk carrier"), "{added}");
    let again = home.run(&["trunk", "add", "carrier", "--peer", "192.0.2.1:5060"]);
    assert_eq!(again.status.code(), Some(1), "it is there");
    let set = home.told(&["trunk", "set", "carrier", "--number-out", "+86"]);
    assert!(set.contains("number_out: bare -> +86"), "{set}");
    home.told(&["trunk", "disable", "carrier"]);
    let shown = home.json(&["trunk", "show", "carrier"]);
    assert_eq!(
        (&shown["enabled"], &shown["number_out"]),
        (&false.into(), &"+86".into())
    );
    home.told(&["trunk", "rm", "carrier"]);
    assert_eq!(home.json(&["trunk", "ls"]), Value::Array(Vec::new()));

    assert_eq!(
        home.json(&["call", "live"])["items"],
        Value::Array(Vec::new())
    );
    let drained = home.told(&["drain", "--wait"]);
    assert!(drained.contains("no call is left"), "{drained}");
    assert_eq!(server.get("/readyz").0, 503);
    assert_eq!(home.json(&["status"])["draining"], true);

    let refused = home.run(&["pool", "close", "FC9"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(server.end("TERM"), Some(0));
    assert!(home.told(&["check"]).contains("batches"));
}

#[test]
fn a_backup_made_while_serving_is_restored_elsewhere() {
    let home = Home::new();
    let mut server = home.serve(&["--demo"]);
    let copy = home.path("copy");
    home.told(&["backup", copy.to_str().unwrap()]);
    assert_eq!(server.end("TERM"), Some(0));

    let elsewhere = Home::new();
    std::fs::copy(home.path("data.key"), elsewhere.path("data.key")).unwrap();
    elsewhere.told(&["restore", copy.to_str().unwrap()]);
    let mut restored = elsewhere.serve(&[]);
    let status = elsewhere.json(&["status"]);
    assert_eq!(
        (&status["epoch"], &status["pools"]),
        (&1.into(), &3.into()),
        "{status}"
    );
    assert_eq!(restored.end("TERM"), Some(0));
    assert!(elsewhere.told(&["check"]).contains("batches"));
}
