use super::{Mutant, code, read, replace_one, run, sign};

#[tokio::test]
async fn parameters() {
    const COMMON: [&str; 8] = [
        "Action",
        "Version",
        "AccessKeyId",
        "Timestamp",
        "SignatureNonce",
        "SignatureMethod",
        "SignatureVersion",
        "PhoneNoX",
    ];
    run("parameter", |world, dice| {
        let secret = &world.signer.secret;
        let mut request = read(world);
        request.in_body = dice.below(2) == 0;
        match dice.below(10) {
            0 => {
                let name = *dice.pick(&COMMON);
                if dice.below(2) == 0 {
                    request.remove(name)
                } else {
                    request.set(name, "")
                }
                request.sign(secret);
                Mutant::new(
                    format!("without {name}"),
                    request.bytes(),
                    code(400, &format!("Missing{name}")),
                )
            }
            1 => {
                request.sign(secret);
                let names = [
                    "PoolKey",
                    "PhoneNoX",
                    "RegionId",
                    "Format",
                    "SignatureNonce",
                ];
                let name = *dice.pick(&names);
                request.set(name, &format!("JSON{}", dice.roll()));
                Mutant::new(
                    format!("{name} changed after signing"),
                    request.bytes(),
                    code(400, "SignatureDoesNotMatch"),
                )
            }
            2 => {
                request.sign(secret);
                request
                    .pairs
                    .push((format!("Extra{}", dice.roll()), "1".into()));
                Mutant::new(
                    "one more after signing",
                    request.bytes(),
                    code(400, "SignatureDoesNotMatch"),
                )
            }
            3 => {
                request
                    .pairs
                    .push((format!("Extra{}", dice.roll()), dice.roll().to_string()));
                let repeated = request.pairs[dice.below(request.pairs.len())].clone();
                request.pairs.push(repeated);
                request.sign(secret);
                Mutant::new(
                    "unknown and repeated ones",
                    request.bytes(),
                    code(200, "OK"),
                )
            }
            4 => {
                let at = dice.below(request.pairs.len());
                let name = request.pairs[at].0.clone();
                request.pairs[at].0 = if dice.below(2) == 0 {
                    name.to_lowercase()
                } else {
                    name.to_uppercase()
                };
                request.sign(secret);
                Mutant::new(
                    format!("{name} in another case"),
                    request.bytes(),
                    code(200, "OK"),
                )
            }
            5 => {
                let name = replace_one("QuerySubsId", "xyzXYZ019", dice);
                request.set("Action", &name);
                request.sign(secret);
                Mutant::new(
                    format!("action {name}"),
                    request.bytes(),
                    code(404, "InvalidAction.NotFound"),
                )
            }
            6 => {
                request.set("Version", &replace_one("2017-05-25", "abc,", dice));
                request.sign(secret);
                Mutant::new("version", request.bytes(), code(400, "InvalidVersion"))
            }
            7 => {
                request.set("AccessKeyId", &format!("unknown{}", dice.roll()));
                request.sign(secret);
                Mutant::new(
                    "key",
                    request.bytes(),
                    code(404, "InvalidAccessKeyId.NotFound"),
                )
            }
            8 => {
                let now = world.now();
                let bad = replace_one(&now, "abc,:", dice);
                let bad = if dice.below(3) == 0 {
                    now[..dice.below(now.len() - 1) + 1].to_owned()
                } else {
                    bad
                };
                if bad.contains(':') && time_is_whole(&bad) {
                    return Mutant::new("time unchanged", sign(request, secret), code(200, "OK"));
                }
                request.set("Timestamp", &bad);
                request.sign(secret);
                Mutant::new(
                    format!("time {bad}"),
                    request.bytes(),
                    code(400, "InvalidTimeStamp.Format"),
                )
            }
            _ => {
                let years = ["1970", "1999", "2016", "2099", "9999"];
                let bad = format!("{}{}", dice.pick(&years), &world.now()[4..]);
                request.set("Timestamp", &bad.replace("02-29", "02-28"));
                request.sign(secret);
                Mutant::new(
                    format!("time {bad}"),
                    request.bytes(),
                    code(400, "InvalidTimeStamp.Expired"),
                )
            }
        }
    })
    .await;
}

fn time_is_whole(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    text.len() == 20 && digits == 14 && text.as_bytes()[13] == b':' && text.as_bytes()[16] == b':'
}
