use super::*;

fn mufasa(password: &str) -> Credentials {
    Credentials {
        username: "Mufasa".into(),
        password: password.into(),
    }
}

fn choose(lines: &[&str]) -> Option<Challenge> {
    Challenge::choose(lines.iter().map(|line| line.as_bytes()))
}

/// The answer of `Mufasa` to a GET, read back.
fn answer(challenge: &Challenge, password: &str, cnonce: &str) -> Fields {
    let request = Request {
        method: b"GET",
        uri: b"/dir/index.html",
        body: b"",
    };
    let value = challenge.answer(&mufasa(password), &request, 1, cnonce);
    challenges(value.as_bytes()).remove(0)
}

fn text_of(fields: &Fields, name: &str) -> String {
    String::from_utf8(fields.get(name).unwrap_or_default()).expect("text")
}

#[test]
fn the_examples_of_the_rfcs_come_out() {
    // RFC 2617 section 3.5.
    let old = choose(&[
        "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
         nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"",
    ])
    .expect("a challenge");
    let fields = answer(&old, "Circle Of Life", "0a4f113b");
    assert_eq!(
        text_of(&fields, "response"),
        "6629fae49393a05397450978507c4ef1"
    );
    assert_eq!(text_of(&fields, "qop"), "auth");
    assert_eq!(text_of(&fields, "nc"), "00000001");
    assert_eq!(
        text_of(&fields, "opaque"),
        "5ccc069c403ebaf9f0171e9517f40e41"
    );
    assert!(fields.get("algorithm").is_none(), "nothing was said of it");

    // RFC 7616 section 3.9.1, both algorithms.
    for (algorithm, response) in [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        (
            "SHA-256",
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
    ] {
        let line = format!(
            "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
             nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
             opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
        );
        let challenge = choose(&[&line]).expect("a challenge");
        let fields = answer(
            &challenge,
            "Circle of Life",
            "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        );
        assert_eq!(text_of(&fields, "response"), response, "{algorithm}");
        assert_eq!(text_of(&fields, "algorithm"), algorithm);
    }
}

#[test]
fn without_qop_there_is_no_counter() {
    // RFC 2069 by way of RFC 2617: worked out by hand from the same secret.
    let challenge =
        choose(&["Digest realm=\"testrealm@host.com\", nonce=\"n\""]).expect("a challenge");
    let fields = answer(&challenge, "Circle Of Life", "c");
    let secret = Algorithm::MD5.hash(&[b"Mufasa", b"testrealm@host.com", b"Circle Of Life"]);
    assert_eq!(secret, "939e7578ed9e3c518a452acee763bce9", "as in RFC 2617");
    let asked = Algorithm::MD5.hash(&[b"GET", b"/dir/index.html"]);
    assert_eq!(asked, "39aff3a2bab6126f332b942af96d3366", "as in RFC 2617");
    let right = Algorithm::MD5.hash(&[secret.as_bytes(), b"n", asked.as_bytes()]);
    assert_eq!(text_of(&fields, "response"), right);
    assert!(fields.get("nc").is_none() && fields.get("cnonce").is_none());
}

#[test]
fn the_first_challenge_that_can_be_answered_is_taken() {
    let md5 = "Digest realm=\"r\", nonce=\"m\", algorithm=MD5, qop=\"auth\"";
    let sha = "Digest realm=\"r\", nonce=\"s\", algorithm=SHA-256, qop=\"auth\"";
    let sha_512 = "digest realm=\"r\",nonce=\"t\",algorithm=sha-512-256,qop=\"auth\"";
    let unknown = "Digest realm=\"r\", nonce=\"u\", algorithm=BLAKE3, qop=\"auth\"";
    let basic = "Basic realm=\"r\"";
    let bad_quality = "Digest realm=\"r\", nonce=\"q\", qop=\"token\"";
    let one_line = format!("{basic}, {unknown}, {sha}");
    let rows: &[(&[&str], Option<&str>)] = &[
        (&[sha, md5], Some("s")),
        (&[md5, sha], Some("m")),
        (&[sha_512, sha], Some("t")),
        (&[unknown, sha, md5], Some("s")),
        (&[basic, bad_quality, md5], Some("m")),
        (&[&one_line], Some("s")),
        (
            &["Digest realm=\"r\", nonce=\"x\", algorithm=SHA256"],
            Some("x"),
        ),
        (
            &["Digest realm=\"r\", nonce=\"x\", algorithm=\"MD5-sess\", qop=auth"],
            Some("x"),
        ),
        (&[basic, unknown], None),
        (&["Digest realm=\"r\""], None),
        (&["Digest", "", ",,,"], None),
    ];
    for (lines, nonce) in rows {
        let found = choose(lines).map(|challenge| challenge.nonce().to_vec());
        assert_eq!(found.as_deref(), nonce.map(str::as_bytes), "{lines:?}");
    }
}

#[test]
fn auth_int_alone_covers_the_body() {
    let challenge = choose(&["Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\""]).expect("one");
    let answer_for = |body| {
        let request = Request {
            method: b"INVITE",
            uri: b"sip:a@h",
            body,
        };
        let value = challenge.answer(&mufasa("p"), &request, 1, "c");
        text_of(&challenges(value.as_bytes())[0], "response")
    };
    assert_ne!(answer_for(b"one"), answer_for(b"two"));
    let body = Algorithm::MD5.hash(&[b"one"]);
    let secret = Algorithm::MD5.hash(&[b"Mufasa", b"r", b"p"]);
    let asked = Algorithm::MD5.hash(&[b"INVITE", b"sip:a@h", body.as_bytes()]);
    let right = Algorithm::MD5.hash(&[
        secret.as_bytes(),
        b"n",
        b"00000001",
        b"c",
        b"auth-int",
        asked.as_bytes(),
    ]);
    assert_eq!(answer_for(b"one"), right);
}

#[test]
fn quotes_and_backslashes_come_through() {
    let challenge = choose(&[r#"Digest realm="a \"b\" \\ c, d=e", nonce="n\"m", stale=TRUE"#])
        .expect("a challenge");
    assert_eq!(challenge.realm, br#"a "b" \ c, d=e"#);
    assert!(challenge.stale);
    let credentials = Credentials {
        username: r#"o"neil\"#.into(),
        password: "p".into(),
    };
    let request = Request {
        method: b"BYE",
        uri: b"sip:h",
        body: b"",
    };
    let value = challenge.answer(&credentials, &request, 1, "c");
    assert!(value.contains(r#"realm="a \"b\" \\ c, d=e""#), "{value}");
    let fields = challenges(value.as_bytes()).remove(0);
    assert_eq!(text_of(&fields, "username"), credentials.username);
    assert_eq!(text_of(&fields, "nonce"), r#"n"m"#);
    let secret = Algorithm::MD5.hash(&[br#"o"neil\"#, br#"a "b" \ c, d=e"#, b"p"]);
    let asked = Algorithm::MD5.hash(&[b"BYE", b"sip:h"]);
    let right = Algorithm::MD5.hash(&[secret.as_bytes(), br#"n"m"#, asked.as_bytes()]);
    assert_eq!(text_of(&fields, "response"), right);
}

#[test]
fn our_challenge_is_answered_and_believed() {
    let credentials = mufasa("secret");
    let lines = challenge("mask \"line\"", "abc", false);
    let by = |line: &str, credentials: &Credentials| {
        let request = Request {
            method: b"INVITE",
            uri: b"sip:170@h",
            body: b"",
        };
        let chosen = choose(&[line]).expect("our own challenge");
        chosen.answer(credentials, &request, 7, "cc")
    };
    for line in &lines {
        let value = by(line, &credentials);
        let found = Answer::find([value.as_bytes()].into_iter(), "mask \"line\"").expect("found");
        assert_eq!((found.nonce(), found.count()), (b"abc".to_vec(), Some(7)));
        let right =
            |method: &[u8], password| found.is_right(&mufasa(password), "mask \"line\"", method);
        assert!(right(b"INVITE", "secret"));
        assert!(!right(b"BYE", "secret"), "another method");
        assert!(!right(b"INVITE", "other"), "another secret");
        assert!(Answer::find([value.as_bytes()].into_iter(), "other").is_none());
        let tampered = value.replace("nc=00000007", "nc=00000008");
        let found = Answer::find([tampered.as_bytes()].into_iter(), "mask \"line\"").expect("one");
        assert!(!found.is_right(&credentials, "mask \"line\"", b"INVITE"));
    }
    assert!(
        lines[0].contains("algorithm=SHA-256"),
        "the better one first"
    );
    assert!(challenge("r", "n", true)[1].ends_with("stale=true"));
}

#[test]
fn credentials_do_not_show_themselves() {
    assert_eq!(format!("{:?}", mufasa("secret")), "Credentials");
}
