use super::{Expected, Mutant, code, read, read_acs3, run};
use crate::api::client::form;

#[tokio::test]
async fn bodies() {
    run("body", |world, dice| {
        let secret = &world.signer.secret;
        let mut request = read(world);
        request.in_body = true;
        request.sign(secret);
        let body = form(&request.pairs);
        match dice.below(8) {
            0 => {
                let changed = body.replacen(
                    "17000000000",
                    &format!("1700000{:04}", 1 + dice.below(9_999)),
                    1,
                );
                Mutant::new(
                    "changed",
                    request.bytes_of("", &changed),
                    code(400, "SignatureDoesNotMatch"),
                )
            }
            1 => {
                // What is cut off may be any part of the pairs, but always the signature at the end.
                let cut = &body[..body.find("&Signature=").unwrap() - dice.below(20)];
                let expected = if cut.ends_with("testid") || cut.contains("AccessKeyId=t") {
                    "MissingSignature"
                } else {
                    "MissingAccessKeyId"
                };
                Mutant::new("cut", request.bytes_of("", cut), code(400, expected))
            }
            2 => {
                let whole = request.bytes_of("", &body);
                let short = whole[..whole.len() - 1 - dice.below(body.len() - 1)].to_vec();
                Mutant::new(
                    "shorter than announced",
                    short,
                    code(400, "InvalidParameter.Format"),
                )
                .closing()
            }
            3 => {
                let text = String::from_utf8(request.bytes_of("", &body)).unwrap();
                let length = *dice.pick(&["x", "-1", "1,2", "99999999999999999999", "+5", ""]);
                let text = text.replacen(
                    &format!("Content-Length: {}", body.len()),
                    &format!("Content-Length: {length}"),
                    1,
                );
                Mutant::new(
                    format!("length {length:?}"),
                    text.into_bytes(),
                    Expected::Status(400),
                )
            }
            4 => {
                let size = 1 + dice.below(body.len());
                let chunks: String = body
                    .as_bytes()
                    .chunks(size)
                    .map(|chunk| {
                        format!(
                            "{:x}\r\n{}\r\n",
                            chunk.len(),
                            std::str::from_utf8(chunk).unwrap()
                        )
                    })
                    .collect();
                let text = String::from_utf8(request.bytes_of("", "")).unwrap();
                let text = text.replace("Content-Length: 0", "Transfer-Encoding: chunked");
                Mutant::new(
                    "chunked",
                    format!("{text}{chunks}0\r\n\r\n").into_bytes(),
                    code(200, "OK"),
                )
            }
            5 => {
                let bad = *dice.pick(&[
                    "zz\r\nab\r\n0\r\n\r\n",
                    "-1\r\n\r\n",
                    "fffffffffffffffffff\r\n\r\n",
                    "2\r\nabc\r\n0\r\n\r\n",
                ]);
                let text = String::from_utf8(request.bytes_of("", "")).unwrap();
                let text = text.replace("Content-Length: 0", "Transfer-Encoding: chunked");
                Mutant::new(
                    format!("badly chunked {bad:?}"),
                    format!("{text}{bad}").into_bytes(),
                    code(400, "InvalidParameter.Format"),
                )
            }
            6 => {
                let mut request = read_acs3(world);
                request.sign(secret);
                request.body = format!("x={}", dice.roll());
                Mutant::new(
                    "ACS3, not the one hashed",
                    request.bytes(),
                    code(400, "SignatureDoesNotMatch"),
                )
            }
            _ => {
                // A body of any bytes, which the newer scheme covers by its hash.
                let mut request = read_acs3(world);
                request.set_header("content-type", "application/octet-stream");
                request.body = format!("%zz{}\u{0}", dice.roll());
                request.sign(secret);
                Mutant::new("ACS3, any bytes", request.bytes(), code(200, "OK"))
            }
        }
    })
    .await;
}
