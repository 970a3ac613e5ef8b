use std::io::Write;

use super::*;

#[test]
fn later_layers_win() {
    let file = file(
        "data = \"/a\"\n[api]\nlisten = \"0.0.0.0:1\"\n[admin]\nlisten = \"0.0.0.0:3\"\n[sip]\nlisten = \"127.0.0.1:4\"\n",
    );
    let mut inputs = from_file(&file);
    inputs.variables = vec![
        ("MASKLINE_API_LISTEN".into(), "0.0.0.0:11".into()),
        ("MASKLINE_ADMIN_LISTEN".into(), "0.0.0.0:13".into()),
    ];
    inputs.flags = vec![("--api", "api.listen", "0.0.0.0:21".into())];
    let loaded = load(&inputs).expect("valid");
    let settings = &loaded.settings;
    assert_eq!(settings.data, "/a");
    assert_eq!(settings.api.listen.get().unwrap().port(), 21);
    assert_eq!(settings.admin.listen.port(), 13);
    assert_eq!(settings.sip.listen.port(), 4);
    assert_eq!(settings.rtp, Settings::default().rtp);
    assert_eq!(loaded.source("api.listen"), Source::Flag("--api"));
    assert_eq!(loaded.source("rtp.ports"), Source::Default);
}

#[test]
fn file_mistakes_are_told_with_line_key_and_reason() {
    for (text, line, key, reason) in [
        ("data = 3\n", 1, "data", "expected a string"),
        (
            "\n[api]\nlisten = \"8080\"\n",
            3,
            "api.listen",
            "the colon is missing",
        ),
        (
            "[api]\n\n\nport = 1\n",
            4,
            "api.port",
            "unknown field `port`",
        ),
        ("[sups]\nlisten = 1\n", 1, "sups", "unknown field `sups`"),
        ("[rtp]\nports = \"1-2\"\n", 2, "rtp.ports", "below 1024"),
        (
            "[log]\nlevel = \"inof\"\n",
            2,
            "log.level",
            "not a log level",
        ),
        (
            "[log]\n\nformat = \"xml\"\n",
            3,
            "log.format",
            "unknown variant",
        ),
        ("a = \n", 1, "", "expected"),
        (
            "[jobs]\nbatch_max = 0\n",
            2,
            "jobs.batch_max",
            "not between 1",
        ),
        (
            "[jobs]\nbatch_max = -1\n",
            2,
            "jobs.batch_max",
            "invalid value",
        ),
        (
            "[api]\n# why\ncertificate = \"c.pem\"\n",
            3,
            "api.certificate",
            "private_key is missing",
        ),
        (
            "[api]\nhttps = \"127.0.0.1:1\"\n",
            2,
            "api.https",
            "needs api.certificate",
        ),
        (
            "[api]\nlisten = \"off\"\n",
            2,
            "api.listen",
            "there is no HTTPS",
        ),
        (
            "[api]\nerrors_page = \"errors-api.md\"\n",
            2,
            "api.errors_page",
            "begins with http://",
        ),
        (
            "[api]\nerrors_page = \"https://h/#top\"\n",
            2,
            "api.errors_page",
            "without a fragment",
        ),
        (
            "[sip]\ntls = \"127.0.0.1:5061\"\n",
            2,
            "sip.tls",
            "needs sip.certificate",
        ),
        (
            "[sip]\nprivate_key = \"k.pem\"\n",
            2,
            "sip.private_key",
            "certificate is missing",
        ),
        (
            "[sip]\nlisten = \"0.0.0.0:5060\"\n",
            2,
            "sip.listen",
            "set sip.advertised",
        ),
        (
            "[rtp]\nbind = \"::\"\n",
            2,
            "rtp.bind",
            "set rtp.advertised",
        ),
        (
            "[sip]\nadvertised = \"example.org\"\n",
            2,
            "sip.advertised",
            "invalid socket address",
        ),
        (
            "[calls]\nper_x_max = 0\n",
            2,
            "calls.per_x_max",
            "0 is not between 1 and",
        ),
        (
            "[prompts]\nlanguages = [\"english\", \"english\"]\n",
            2,
            "prompts.languages",
            "each once",
        ),
        (
            "[recording]\nnotice = \"callee\"\n",
            2,
            "recording.notice",
            "unknown variant",
        ),
        ("[process]\nnode = \"a b\"\n", 2, "process.node", "1 to 64"),
        (
            "[limits.actions]\nBindAxm = 5\n",
            2,
            "limits.actions.BindAxm",
            "did you mean BindAxn?",
        ),
        (
            "[limits.actions]\nBindAxn = \"5/s\"\n",
            2,
            "limits.actions.BindAxn",
            "expected u32",
        ),
        (
            "[api]\nlisten = \"127.0.0.1:8081\"\n",
            2,
            "api.listen",
            "is wanted by admin.listen too",
        ),
        (
            "[sip]\nlisten = \"127.0.0.1:20500\"\n[rtp]\nports = \"20000-29999\"\n",
            4,
            "rtp.ports",
            "holds the port 20500 of sip.listen",
        ),
        (
            "[process]\ndrain_timeout_s = \"30s\"\n",
            2,
            "process.drain_timeout_s",
            "a whole number of seconds, without quotes or unit",
        ),
        (
            "[api]\nidle_timeout = 5\n",
            2,
            "api.idle_timeout",
            "did you mean idle_timeout_s?",
        ),
        (
            "rtp = \"20000-29999\"\n",
            1,
            "rtp",
            "a section, written as [rtp]",
        ),
        (
            "[jobs]\nenabled = true\nenabled = false\n",
            3,
            "",
            "duplicate key",
        ),
    ] {
        let file = file(text);
        let errors = load(&from_file(&file)).expect_err(text);
        let error = errors.first();
        assert_eq!(
            error.source,
            Source::File {
                path: file.path().to_owned(),
                line
            },
            "{text:?}: {error}"
        );
        assert_eq!(error.key, key, "{text:?}: {error}");
        assert!(error.reason.contains(reason), "{text:?}: {error}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_their_lines() {
    let file = file(
        "[sups]\nx = 1\n[api]\nlisten = 8080\n[jobs]\nbatch_max = 0\n[log]\nlevel = \"inof\"\n",
    );
    let inputs = Inputs {
        variables: vec![("MASKLINE_JOBS_ENABLED".into(), "maybe".into())],
        flags: vec![("--sip", "sip.listen", "x".into())],
        ..from_file(&file)
    };
    let told = load(&inputs).unwrap_err();
    let keys: Vec<&str> = told.iter().map(|error| error.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "sups",
            "api.listen",
            "log.level",
            "jobs.enabled",
            "sip.listen",
            "jobs.batch_max"
        ],
        "{told}"
    );
    assert_eq!(told.to_string().lines().count(), 6);
    assert_eq!(told.fault(), Fault::Mistake);
}

#[test]
fn every_broken_line_of_a_file_is_told() {
    let file = file("a = \n[api]\nlisten = nowhere\n[[\n");
    let told = load(&from_file(&file)).unwrap_err();
    let lines: Vec<String> = told.iter().map(|error| error.source.to_string()).collect();
    assert!(lines.len() >= 3, "{told}");
    assert!(
        lines[0].ends_with(":1") && lines[1].ends_with(":3"),
        "{told}"
    );
}

#[test]
fn too_few_ports_are_warned_of_and_not_refused() {
    let file = file("[rtp]\nports = \"20000-20007\"\n");
    let loaded = load(&from_file(&file)).unwrap();
    let warnings = loaded.warnings();
    assert_eq!(warnings.len(), 1);
    let told = warnings[0].to_string();
    assert!(
        told.contains(":2: rtp.ports: 20000-20007 holds 4 pairs"),
        "{told}"
    );
    assert!(load(&Inputs::default()).unwrap().warnings().is_empty());
}

#[test]
fn plain_http_can_be_off_where_there_is_https() {
    for text in [
        "demo = true\n[api]\nlisten = \"off\"\n",
        "demo = true\n[api]\nlisten = \"\"\n",
        "[api]\nlisten = \"off\"\ncertificate = \"c.pem\"\nprivate_key = \"k.pem\"\n",
    ] {
        let file = file(text);
        let settings = load(&from_file(&file)).expect(text).settings;
        assert!(!settings.api.listen.is_set(), "{text}");
        assert!(settings.https().is_some(), "{text}");
    }
}

#[test]
fn a_missing_file_is_an_error() {
    let inputs = Inputs {
        file: Some("/nonexistent/maskline.toml".into()),
        ..Inputs::default()
    };
    let error = load(&inputs).unwrap_err();
    assert_eq!(error.fault(), Fault::Surroundings);
    assert!(
        error
            .to_string()
            .starts_with("/nonexistent/maskline.toml: cannot be read")
    );
}

#[test]
fn wrong_variables_and_flags_are_told_by_name() {
    for (name, text, told) in [
        (
            "MASKLINE_API_LISTEM",
            "x",
            "did you mean MASKLINE_API_LISTEN?",
        ),
        ("MASKLINE_API_LISTEN", "x", "the colon is missing"),
        ("MASKLINE_JOBS_ENABLED", "maybe", "neither true nor false"),
        ("MASKLINE_JOBS_BATCH_MAX", "ten", "not a whole number"),
        ("MASKLINE_JOBS_BATCH_MAX", "-4", "invalid value"),
        ("MASKLINE_JOBS_BATCH_MAX", "0", "not between"),
    ] {
        let inputs = Inputs {
            variables: vec![(name.into(), text.into())],
            ..Inputs::default()
        };
        let error = load(&inputs).expect_err(name).to_string();
        assert!(error.starts_with(name) && error.contains(told), "{error}");
    }
    let inputs = Inputs {
        flags: vec![("--sip", "sip.listen", "x".into())],
        ..Inputs::default()
    };
    assert!(
        load(&inputs)
            .unwrap_err()
            .to_string()
            .starts_with("--sip: sip.listen: ")
    );
}

#[test]
fn variables_of_others_are_left_alone() {
    let inputs = Inputs {
        variables: [
            "MASKLINE_SERVICE_HOST",
            "MASKLINE_PORT_8080_TCP",
            "MASKLINE_MASTER_KEY",
            "HOME",
        ]
        .map(|name| (name.to_owned(), "x".to_owned()))
        .to_vec(),
        ..Inputs::default()
    };
    assert_eq!(load(&inputs).unwrap().settings, Settings::default());
}

#[test]
fn lists_and_switches_can_be_variables() {
    let inputs = Inputs {
        variables: vec![
            (
                "MASKLINE_MASTER_KEY_COMMAND".into(),
                "vault read  key".into(),
            ),
            ("MASKLINE_JOBS_ENABLED".into(), "false".into()),
            ("MASKLINE_API_CERTIFICATE".into(), String::new()),
        ],
        ..Inputs::default()
    };
    let settings = load(&inputs).unwrap().settings;
    assert_eq!(settings.master_key.command, ["vault", "read", "key"]);
    assert!(!settings.jobs.enabled);
    assert!(!settings.api.certificate.is_set());
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(text.as_bytes())
        .expect("room for a small file");
    file
}

fn from_file(file: &tempfile::NamedTempFile) -> Inputs {
    Inputs {
        file: Some(file.path().to_owned()),
        actions: vec!["BindAxn", "BindAxb"],
        ..Inputs::default()
    }
}
