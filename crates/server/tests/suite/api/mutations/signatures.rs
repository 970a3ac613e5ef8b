use super::{BASE64, HEX, Mutant, code, read, read_acs3, replace_one, run};

#[tokio::test]
async fn signatures() {
    run("signature", |world, dice| {
        let secret = &world.signer.secret;
        let mut request = read(world);
        request.in_body = dice.below(2) == 0;
        if dice.below(2) == 0 {
            request.set("SignatureMethod", "HMAC-SHA256");
        }
        let mismatch = || code(400, "SignatureDoesNotMatch");
        let incomplete = || code(400, "IncompleteSignature");
        let what = dice.below(9);
        match what {
            0 => {
                request.sign(secret);
                let signature = request.pairs.last().unwrap().1.clone();
                let (text, _) = signature.split_once('=').unwrap();
                let changed = replace_one(text, BASE64, dice);
                request.set("Signature", &signature.replace(text, &changed));
                Mutant::new("one character", request.bytes(), mismatch())
            }
            1 => {
                request.sign(&replace_one(secret, "abcdefghij", dice));
                Mutant::new("another secret", request.bytes(), mismatch())
            }
            2 => {
                request.sign(secret);
                let signature = request.pairs.last().unwrap().1.clone();
                request.set(
                    "Signature",
                    &signature[..dice.below(signature.len() - 1) + 1],
                );
                Mutant::new("cut", request.bytes(), incomplete())
            }
            3 => {
                request.sign(secret);
                let signature = request.pairs.last().unwrap().1.clone();
                let at = dice.below(signature.len());
                let bad = *dice.pick(&['!', '-', '_', ' ', '\n']);
                let bad = format!("{}{bad}{}", &signature[..at], &signature[at + 1..]);
                request.set("Signature", &bad);
                Mutant::new("no Base64", request.bytes(), incomplete())
            }
            4 => {
                request.sign(secret);
                if dice.below(2) == 0 {
                    request.remove("Signature")
                } else {
                    request.set("Signature", "")
                }
                Mutant::new("none", request.bytes(), code(400, "MissingSignature"))
            }
            5 => {
                let name = *dice.pick(&["HMAC-MD5", "hmac-sha1", "SHA256withRSA", "HMAC-SHA1 "]);
                request.set("SignatureMethod", name);
                request.sign(secret);
                Mutant::new(
                    "method",
                    request.bytes(),
                    code(400, "InvalidSignatureMethod"),
                )
            }
            6 => {
                request.set(
                    "SignatureVersion",
                    dice.pick::<&str>(&["2.0", "1", "v1", "4"]),
                );
                request.sign(secret);
                Mutant::new(
                    "version",
                    request.bytes(),
                    code(400, "InvalidSignatureVersion"),
                )
            }
            7 => {
                let mut request = read_acs3(world);
                request.sign(secret);
                let header = request.authorization.take().unwrap();
                let (rest, signature) = header.rsplit_once('=').unwrap();
                let changed = replace_one(signature, HEX, dice);
                request.authorization = Some(format!("{rest}={changed}"));
                Mutant::new("ACS3, one character", request.bytes(), mismatch())
            }
            _ => {
                let mut request = read_acs3(world);
                request.sign(secret);
                let header = request.authorization.take().unwrap();
                request.authorization =
                    Some(header[..header.len() - 1 - dice.below(60)].to_owned());
                Mutant::new("ACS3, cut", request.bytes(), incomplete())
            }
        }
    })
    .await;
}
