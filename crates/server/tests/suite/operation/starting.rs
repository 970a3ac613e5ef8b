//! How a start goes that must not, what it tells and with which code it ends; and what a supervisor hears.

use std::os::unix::net::UnixDatagram;
use std::path::Path;

use crate::operation::home::{ANY, Home, SURROUNDINGS, WATCHDOG};

#[test]
fn two_processes_never_share_a_data_directory() {
    let home = Home::new();
    let _first = home.serve(&[]);
    let second = home.run(&["serve", "--api", ANY, "--admin", ANY, "--sip", ANY]);
    assert_eq!(second.status.code(), Some(SURROUNDINGS));
    let told = String::from_utf8_lossy(&second.stderr);
    assert!(told.contains("is in use by another process"), "{told}");
}

#[test]
fn wrong_settings_end_with_two_and_tell_where() {
    let home = Home::new();
    std::fs::write(home.path("m.toml"), "\n[api]\nlisten = \"8080\"\n").unwrap();
    let file = home.path("m.toml");
    let refused = home.run(&["serve", "--config", file.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2));
    let told = String::from_utf8_lossy(&refused.stderr);
    let expected = format!("maskline: {}:3: api.listen: ", file.display());
    assert!(told.starts_with(&expected), "{told}");

    let taken = std::net::TcpListener::bind(ANY)
        .unwrap()
        .local_addr()
        .unwrap();
    let holder = std::net::TcpListener::bind(taken).unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let refused = home.run(&["serve", "--api", &taken, "--admin", ANY, "--sip", ANY]);
    assert_eq!(refused.status.code(), Some(SURROUNDINGS));
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(
        told.contains("--api: api.listen: cannot listen on"),
        "{told}"
    );
}

#[test]
fn another_master_key_is_refused() {
    let home = Home::new();
    assert_eq!(home.serve(&[]).end("TERM"), Some(0));
    std::fs::write(home.path("data.key"), "11".repeat(32)).unwrap();
    let refused = home.run(&["serve", "--admin", ANY]);
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(told.contains("is not that of the data"), "{told}");
    std::fs::remove_file(home.path("data.key")).unwrap();
    let refused = home.run(&["serve", "--admin", ANY]);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(
        told.contains("master key file") && told.contains("is missing"),
        "{told}"
    );
}

#[test]
fn what_the_surroundings_refuse_ends_with_another_code_than_a_mistake() {
    let home = Home::new();
    let tcp = std::net::TcpListener::bind(ANY).unwrap();
    let tcp = tcp.local_addr().map(|a| (tcp, a.to_string())).unwrap();
    let udp = std::net::UdpSocket::bind(ANY).unwrap();
    let udp = udp.local_addr().map(|a| (udp, a.to_string())).unwrap();
    let (_, taken) = &tcp;
    let (_, taken_udp) = &udp;
    // 192.0.2.0/24 is for documentation (RFC 5737), and nobody's.
    let elsewhere = "192.0.2.77:0";
    let no_name = "no-such-name.invalid:0";
    let file = home.path("file");
    std::fs::write(&file, "not a directory").unwrap();
    let below = file.join("data").display().to_string();
    let toml = home.path("m.toml");
    let certificate = home.path("none.pem").display().to_string();
    std::fs::write(
        &toml,
        format!("[api]\ncertificate = {certificate:?}\nprivate_key = {certificate:?}\n"),
    )
    .unwrap();
    let authorities = home.path("a.toml");
    std::fs::write(
        &authorities,
        format!("[sip]\nserver_authorities = {certificate:?}\n"),
    )
    .unwrap();
    let broken = home.path("b.toml");
    std::fs::write(&broken, "[api]\nlisten = \"8080\"\n").unwrap();
    let [toml, authorities, broken, none] =
        [toml, authorities, broken, home.path("none.toml")].map(|path| path.display().to_string());
    let key_below = file.join("key").display().to_string();
    for (arguments, code, told) in [
        (
            vec!["--api", taken],
            SURROUNDINGS,
            "api.listen: cannot listen on",
        ),
        (
            vec!["--admin", taken],
            SURROUNDINGS,
            "admin.listen: cannot listen on",
        ),
        (vec!["--sip", taken], SURROUNDINGS, "cannot serve calls on"),
        (
            vec!["--sip", taken_udp],
            SURROUNDINGS,
            "cannot serve calls on",
        ),
        (
            vec!["--api", elsewhere],
            SURROUNDINGS,
            "api.listen: cannot listen on",
        ),
        (
            vec!["--sip", elsewhere],
            SURROUNDINGS,
            "sip.listen: cannot serve calls on",
        ),
        (
            vec!["--api", no_name],
            SURROUNDINGS,
            "api.listen: cannot listen on",
        ),
        (vec!["--sip", no_name], SURROUNDINGS, "sip.listen: "),
        (vec!["--config", &toml], SURROUNDINGS, "api.certificate: "),
        (
            vec!["--config", &authorities],
            SURROUNDINGS,
            "sip.server_authorities: ",
        ),
        (vec!["--config", &none], SURROUNDINGS, "cannot be read"),
        (vec!["--data", &below], SURROUNDINGS, "Not a directory"),
        (
            vec!["MASKLINE_MASTER_KEY_FILE", &key_below],
            SURROUNDINGS,
            "master key file",
        ),
        (
            vec!["MASKLINE_MASTER_KEY_COMMAND", "false"],
            SURROUNDINGS,
            "master key command",
        ),
        (
            vec!["--config", &broken],
            2,
            "api.listen: `8080` is not HOST:PORT",
        ),
        (vec!["--api", "8080"], 2, "the colon is missing"),
        (vec!["--colour"], 2, "unexpected argument"),
        (
            vec!["MASKLINE_API_LISTEM", "x"],
            2,
            "did you mean MASKLINE_API_LISTEN?",
        ),
    ] {
        let mut command = home.command(&["serve"]);
        for listener in ["--api", "--admin", "--sip"] {
            if !arguments.contains(&listener) {
                command.args([listener, ANY]);
            }
        }
        match arguments.as_slice() {
            [name, value] if !name.starts_with("--") => {
                command.env(name, value);
            }
            ["--data", below] => {
                command = home.command_of(&["serve", "--admin", ANY], Path::new(below));
            }
            flags => {
                command.args(flags);
            }
        }
        let done = command.output().expect("the program starts");
        let errors = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(code), "{arguments:?}: {errors}");
        assert!(errors.contains(told), "{arguments:?}: {errors}");
    }
}

#[test]
fn a_check_tells_all_mistakes_and_makes_nothing() {
    let home = Home::new();
    let file = home.path("m.toml");
    let config = file.to_str().unwrap();
    std::fs::write(&file, "[rtp]\nports = \"20000-20003\"\n").unwrap();
    let good = home.run(&["serve", "--check", "--config", config]);
    assert_eq!(good.status.code(), Some(0));
    assert_eq!(
        String::from_utf8_lossy(&good.stdout),
        "the settings are in order\n"
    );
    let warned = String::from_utf8_lossy(&good.stderr);
    assert!(warned.contains("m.toml:2: rtp.ports: "), "{warned}");

    std::fs::write(
        &file,
        "[api]\nlisten = \"8080\"\ncolour = 1\n[jobs]\nbatch_max = 0\n",
    )
    .unwrap();
    let bad = home.run(&["serve", "--check", "--config", config]);
    assert_eq!(bad.status.code(), Some(2));
    let told = String::from_utf8_lossy(&bad.stderr);
    for line in [
        "m.toml:2: api.listen: ",
        "m.toml:3: api.colour: ",
        "m.toml:5: jobs.batch_max: ",
    ] {
        assert!(told.contains(line), "{told}");
    }
    let left: Vec<_> = std::fs::read_dir(home.path(""))
        .unwrap()
        .flatten()
        .collect();
    assert_eq!(left.len(), 1, "the settings alone: {left:?}");
}

#[test]
fn a_supervisor_is_told_ready_alive_reloading_and_stopping() {
    let home = Home::new();
    let socket = home.path("notify");
    let heard = UnixDatagram::bind(&socket).unwrap();
    heard.set_read_timeout(Some(WATCHDOG)).unwrap();
    let next = |wanted: &str| {
        let mut buffer = [0; 4_096];
        loop {
            let length = heard.recv(&mut buffer).expect("the supervisor is told");
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.lines().any(|line| line == wanted) {
                return text;
            }
            let is_alive = text.lines().all(|line| line == "WATCHDOG=1");
            assert!(is_alive, "{text} before {wanted}");
        }
    };
    let environment = [
        ("NOTIFY_SOCKET", socket.to_str().unwrap()),
        ("WATCHDOG_USEC", "400000"),
    ];
    let mut server = home.serve_with(&[], &environment);
    next("READY=1");
    next("WATCHDOG=1");
    next("WATCHDOG=1");
    server.signal("HUP");
    assert!(next("RELOADING=1").contains("MONOTONIC_USEC="));
    next("READY=1");
    next("WATCHDOG=1");
    assert_eq!(server.end("TERM"), Some(0));
    next("STOPPING=1");
}
