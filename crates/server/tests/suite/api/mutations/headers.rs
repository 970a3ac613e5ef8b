use super::{Expected, Mutant, code, read, read_acs3, replace_one, run};

#[tokio::test]
async fn headers() {
    const SIGNED: [&str; 5] = [
        "x-acs-action",
        "x-acs-version",
        "x-acs-date",
        "x-acs-signature-nonce",
        "host",
    ];
    run("header", |world, dice| {
        let secret = &world.signer.secret;
        let mut request = read_acs3(world);
        match dice.below(12) {
            0 => {
                // A header that was signed is changed; those that name something are looked up first.
                request.sign(secret);
                let name = *dice.pick(&[
                    "user-agent",
                    "accept",
                    "host",
                    "x-acs-signature-nonce",
                    "x-acs-content-sha256",
                ]);
                request.set_header(name, &format!("changed{}", dice.roll()));
                Mutant::new(
                    format!("{name} changed"),
                    request.bytes(),
                    code(400, "SignatureDoesNotMatch"),
                )
            }
            1 => {
                request.sign(secret);
                let name = *dice.pick(&SIGNED);
                request.headers.retain(|(own, _)| own != name);
                let expected = match name {
                    "x-acs-action" => code(400, "MissingAction"),
                    "x-acs-version" => code(400, "MissingVersion"),
                    "x-acs-date" => code(400, "MissingTimestamp"),
                    "x-acs-signature-nonce" => code(400, "MissingSignatureNonce"),
                    // Not HTTP/1.1 at all (RFC 9112 section 3.2).
                    "host" => Expected::Status(400),
                    _ => code(400, "SignatureDoesNotMatch"),
                };
                Mutant::new(format!("without {name}"), request.bytes(), expected)
            }
            2 => {
                request.sign(secret);
                let header = request.authorization.take().unwrap();
                let name = *dice.pick(&SIGNED);
                let header = header
                    .replace(&format!("{name};"), "")
                    .replace(&format!(";{name}"), "");
                request.authorization = Some(header);
                // The host need not be signed, but it was.
                let expected = match name {
                    "host" => code(400, "SignatureDoesNotMatch"),
                    _ => code(400, "IncompleteSignature"),
                };
                Mutant::new(format!("{name} not signed"), request.bytes(), expected)
            }
            3 => {
                request.sign(secret);
                let header = request.authorization.take().unwrap();
                let piece =
                    *dice.pick(&["Credential=", "SignedHeaders=", "Signature=", ",", "host;"]);
                let other = *dice.pick(&["", "x", " ", "é", "\u{7f}"]);
                request.authorization = Some(header.replacen(piece, other, 1));
                // A byte that is no header text makes `hyper` refuse the head; other bytes make the
                // value unreadable, as if it were not there.
                let expected = match (piece, other) {
                    (_, "\u{7f}") => Expected::Status(400),
                    ("host;", "" | "x") => code(400, "SignatureDoesNotMatch"),
                    _ => code(400, "IncompleteSignature"),
                };
                Mutant::new(format!("{piece} is {other:?}"), request.bytes(), expected)
            }
            4 => {
                request.sign(secret);
                let header = request.authorization.take().unwrap();
                let name = *dice.pick(&[
                    "ACS3-HMAC-SM3",
                    "ACS3-RSA-SHA256",
                    "ACS3-HMAC-SHA1",
                    "ACS3-HMAC-SHA2560",
                ]);
                request.authorization = Some(header.replace("ACS3-HMAC-SHA256", name));
                Mutant::new(name, request.bytes(), code(400, "InvalidSignatureMethod"))
            }
            5 => {
                request.sign(secret);
                request.authorization = None;
                Mutant::new(
                    "no authorization",
                    request.bytes(),
                    code(400, "IncompleteSignature"),
                )
            }
            6 => {
                request.set_header("x-acs-date", &replace_one(&world.now(), "abc,", dice));
                request.sign(secret);
                Mutant::new(
                    "date",
                    request.bytes(),
                    code(400, "InvalidTimeStamp.Format"),
                )
            }
            7 => {
                request.set_header("x-acs-action", &replace_one("QuerySubsId", "xyz9", dice));
                request.sign(secret);
                Mutant::new(
                    "action",
                    request.bytes(),
                    code(404, "InvalidAction.NotFound"),
                )
            }
            8 => {
                let method = *dice.pick(&["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "FOO"]);
                request.method = method;
                request.sign(secret);
                Mutant::new(method, request.bytes(), code(400, "UnsupportedHTTPMethod"))
            }
            9 => {
                // The host may be anything, as long as it is what was signed.
                let hosts = [
                    "http://127.0.0.1:8080",
                    "https://h:1/",
                    "h",
                    "[::1]:80",
                    "a b",
                    "..",
                    "dyplsapi.aliyuncs.com",
                ];
                let host = *dice.pick(&hosts);
                request.set_header("host", host);
                request.sign(secret);
                Mutant::new(format!("host {host}"), request.bytes(), code(200, "OK"))
            }
            10 => {
                let mut request = read(world);
                request.sign(secret);
                let text = String::from_utf8(request.bytes()).unwrap();
                let bad = *dice.pick(&[
                    "Bad Header: x\r\n",
                    ": x\r\n",
                    "X\u{0}: y\r\n",
                    "X: a\u{0}b\r\n",
                    "NoColon\r\n",
                    " folded: x\r\n",
                ]);
                let bytes = text
                    .replacen("Host:", &format!("{bad}Host:"), 1)
                    .into_bytes();
                Mutant::new(format!("{bad:?}"), bytes, Expected::Status(400))
            }
            _ => {
                let mut request = read(world);
                request.in_body = true;
                request.sign(secret);
                let text = String::from_utf8(request.bytes()).unwrap();
                let kind = *dice.pick(&[
                    "application/json",
                    "text/plain",
                    "multipart/form-data; boundary=x",
                    "x",
                ]);
                let bytes = text
                    .replace("application/x-www-form-urlencoded", kind)
                    .into_bytes();
                Mutant::new(
                    format!("a form sent as {kind}"),
                    bytes,
                    code(400, "MissingAction"),
                )
            }
        }
    })
    .await;
}
