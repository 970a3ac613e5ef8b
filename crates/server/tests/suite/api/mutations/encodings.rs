use super::{Mutant, code, read, run};
use crate::api::client::{Rpc, form};

#[tokio::test]
async fn encodings() {
    run("encoding", |world, dice| {
        let secret = &world.signer.secret;
        let mut request = read(world);
        request.in_body = dice.below(2) == 0;
        let bytes_of = |request: &Rpc, form: &str| match request.in_body {
            true => request.bytes_of("", form),
            false => request.bytes_of(form, ""),
        };
        match dice.below(8) {
            0 => {
                request.sign(secret);
                let bad = *dice.pick(&["%", "%4", "%zz", "%G0", "%0x", "%%", "a%2", "%u8fc7"]);
                let form = form(&request.pairs);
                let pieces: Vec<&str> = form.split('&').collect();
                let at = dice.below(pieces.len());
                let form = [&pieces[..at], &[&format!("Extra={bad}")], &pieces[at..]]
                    .concat()
                    .join("&");
                Mutant::new(
                    format!("escape {bad}"),
                    bytes_of(&request, &form),
                    code(400, "InvalidParameter.Format"),
                )
            }
            1 => {
                request.sign(secret);
                let bad = *dice.pick(&[
                    "%FF",
                    "%C0%80",
                    "%E5%8C",
                    "%ED%A0%80",
                    "%F8%88%80%80%80",
                    "%80",
                ]);
                let form = format!("{}&Extra={bad}", form(&request.pairs));
                Mutant::new(
                    format!("UTF-8 {bad}"),
                    bytes_of(&request, &form),
                    code(400, "InvalidParameter.Format"),
                )
            }
            2 => {
                request.set("OutId", "a b*~+/=&'()!客");
                request.sign(secret);
                let form = form(&request.pairs)
                    .replace("%20", "+")
                    .replace("%2A", "*")
                    .replace("%28", "(")
                    .replace("%21", "!");
                Mutant::new(
                    "plus, and unescaped marks",
                    bytes_of(&request, &form),
                    code(200, "OK"),
                )
            }
            3 => {
                request.set("OutId", "客户/一 +");
                request.sign(secret);
                let form = form(&request.pairs);
                let form: String = form
                    .split('%')
                    .enumerate()
                    .map(|(n, piece)| {
                        if n == 0 {
                            piece.to_owned()
                        } else {
                            format!("%{}{}", piece[..2].to_lowercase(), &piece[2..])
                        }
                    })
                    .collect();
                Mutant::new(
                    "lower-case escapes",
                    bytes_of(&request, &form),
                    code(200, "OK"),
                )
            }
            4 => {
                request.sign(secret);
                let form = form(&request.pairs);
                let form = form
                    .replace('1', "%31")
                    .replace('Q', "%51")
                    .replace('-', "%2D");
                Mutant::new(
                    "needless escapes",
                    bytes_of(&request, &form),
                    code(200, "OK"),
                )
            }
            5 => {
                let any: String = (0..dice.below(30))
                    .map(|_| char::from_u32(1 + dice.below(0xD7FF) as u32).unwrap_or('x'))
                    .collect();
                request.set("OutId", &any);
                request.sign(secret);
                Mutant::new(
                    format!("any characters {any:?}"),
                    request.bytes(),
                    code(200, "OK"),
                )
            }
            6 => {
                request.in_body = true;
                request.set("OutId", "客户");
                request.sign(secret);
                let form = form(&request.pairs).replace("%E5%AE%A2%E6%88%B7", "客户");
                Mutant::new(
                    "raw UTF-8 in a body",
                    request.bytes_of("", &form),
                    code(200, "OK"),
                )
            }
            _ => {
                request.sign(secret);
                let form = form(&request.pairs);
                let form = form.replace('&', dice.pick::<&str>(&["&&", "&&&"]));
                Mutant::new(
                    "empty pairs",
                    bytes_of(&request, &format!("&{form}&")),
                    code(200, "OK"),
                )
            }
        }
    })
    .await;
}
