use super::{Expected, Mutant, code, read, run, sign};
use crate::api::client::form;

#[tokio::test]
async fn lengths() {
    run("length", |world, dice| {
        let secret = &world.signer.secret;
        let mut request = read(world);
        request.in_body = dice.below(2) == 0;
        let too_large = || code(413, "InvalidParameter.TooLarge");
        match dice.below(10) {
            0 => {
                let more = 256 - request.pairs.len() + dice.below(200);
                request
                    .pairs
                    .extend((0..more).map(|n| (format!("E{n}"), String::new())));
                request.sign(secret);
                Mutant::new("too many parameters", request.bytes(), too_large())
            }
            1 => {
                let more = 256 - request.pairs.len() - 1;
                request
                    .pairs
                    .extend((0..more).map(|n| (format!("E{n}"), String::new())));
                request.sign(secret);
                Mutant::new(
                    "as many parameters as may be",
                    request.bytes(),
                    code(200, "OK"),
                )
            }
            2 => {
                request.set(&"N".repeat(129 + dice.below(500)), "1");
                request.sign(secret);
                Mutant::new("a long name", request.bytes(), too_large())
            }
            3 => {
                request.set("OutId", &"v".repeat(32 * 1024 + 1 + dice.below(8_000)));
                request.sign(secret);
                Mutant::new("a long value", request.bytes(), too_large())
            }
            4 => {
                request.set(&"N".repeat(128), &"v".repeat(32 * 1024));
                request.sign(secret);
                Mutant::new(
                    "name and value as long as may be",
                    request.bytes(),
                    code(200, "OK"),
                )
            }
            5 => {
                request.in_body = true;
                request.sign(secret);
                let body = format!(
                    "{}&E={}",
                    form(&request.pairs),
                    "&".repeat(64 * 1024 + dice.below(9_000))
                );
                Mutant::new("a long body", request.bytes_of("", &body), too_large())
            }
            6 => {
                request.in_body = false;
                request.sign(secret);
                let query = format!(
                    "{}&E={}",
                    form(&request.pairs),
                    "&".repeat(66_000 + dice.below(20_000))
                );
                Mutant::new(
                    "a long query",
                    request.bytes_of(&query, ""),
                    Expected::Status(414),
                )
            }
            7 => {
                let text = String::from_utf8(sign(request, secret)).unwrap();
                let header = format!("X: {}\r\nHost:", "x".repeat(97 * 1024 + dice.below(9_000)));
                Mutant::new(
                    "a long header",
                    text.replacen("Host:", &header, 1).into_bytes(),
                    Expected::Status(431),
                )
            }
            8 => {
                let text = String::from_utf8(sign(request, secret)).unwrap();
                let headers = format!("{}Host:", "X: x\r\n".repeat(101 + dice.below(100)));
                Mutant::new(
                    "many headers",
                    text.replacen("Host:", &headers, 1).into_bytes(),
                    Expected::Status(431),
                )
            }
            _ => {
                request.set("SignatureNonce", &"n".repeat(257 + dice.below(1_000)));
                request.sign(secret);
                Mutant::new(
                    "a long nonce",
                    request.bytes(),
                    code(400, "InvalidSignatureNonce"),
                )
            }
        }
    })
    .await;
}
