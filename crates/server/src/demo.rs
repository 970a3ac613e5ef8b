//! Something to try: an account with a key, and a pool for each product with numbers in five cities.
//! Made once, and told in `demo.json`.
//!
//! And phones to call with and to be called: the trunk `sandbox` leads to phones that answer by themselves,
//! the trunk `softphones` takes calls from any phone on this machine, and a few numbers are bound, one for
//! each thing that a called phone may do.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use serde::Serialize;

use maskline_domain::PoolRef;
use maskline_domain::{Actor, BindRequest, Envelope, Party, PhoneNumber, PoolKey, Product, Role};
use maskline_journal::pipeline::Touch;

use crate::admin::credentials::{new_key_id, new_secret, write_private};
use crate::admin::document::{
    Document, WantedAccount, WantedKey, WantedNumbers, WantedPool, WantedTrunk,
};
use crate::admin::{Admin, Mode, Operator, apply};
use crate::clocks;

/// The file within the data directory.
const FILE: &str = "demo.json";
const ACCOUNT: &str = "demo";
/// PoolKeys count up from here, in the order of the products; the first is AXN.
const POOL_KEY_FIRST: u32 = 12_345;
/// City and province of the numbers.
const CITIES: [(&str, &str); 5] = [
    ("北京", "北京"),
    ("杭州", "浙江"),
    ("上海", "上海"),
    ("成都", "四川"),
    ("武汉", "湖北"),
];
const NUMBERS_PER_CITY: u64 = 200;
/// Calls go there.
const SANDBOX: &str = "sandbox";
/// Calls come from there, from any port.
const SOFTPHONES: &str = "softphones";
/// Softphones call from any port of this machine; none of them is called.
const SOFTPHONES_PEER: &str = "127.0.0.1:5070";

/// The pool of the numbers that are bound from the start, apart from those to try binding with.
const BOUND_POOL: &str = "FC10000";
/// X ends in the same digits as its A, which say what A's phone does; see the sandbox.
const BOUND_X_FIRST: u64 = 17_080_000_000;
const BOUND_A_FIRST: u64 = 15_080_000_000;
const BOUND: u64 = 7;
/// Ten years.
const BOUND_FOR_S: i64 = 10 * 365 * 86_400;
/// The data directory that commands look into by themselves.
const DATA_USUAL: &str = "./maskline-data";

/// What `demo.json` says.
#[derive(Serialize)]
struct DemoFile {
    access_key_id: String,
    access_key_secret: String,
    pool_key: String,
    /// Product to PoolKey.
    pools: BTreeMap<String, String>,
    admin_token: String,
}

/// Makes the demo's things unless `demo.json` is there already.
///
/// # Errors
/// Why they cannot be made.
pub async fn prepare(admin: &Admin, data: &Path) -> Result<(), String> {
    let file = data.join(FILE);
    if file.exists() {
        return Ok(());
    }
    let random = |error: getrandom::Error| error.to_string();
    let key = WantedKey {
        id: new_key_id().map_err(random)?,
        account: Some(ACCOUNT.to_owned()),
        user: None,
        secret: Some(new_secret().map_err(random)?),
        active: None,
    };
    let pools: BTreeMap<String, String> = Product::ALL
        .into_iter()
        .map(|product| (product.name().to_ascii_uppercase(), pool_key(product)))
        .collect();
    let demo = DemoFile {
        access_key_id: key.id.clone(),
        access_key_secret: key.secret.clone().unwrap_or_default(),
        pool_key: pool_key(Product::Axn),
        pools,
        admin_token: admin.token.expose().to_owned(),
    };
    apply(
        admin,
        &Operator::acting("demo", Role::Administrator),
        document(key),
        Mode::default(),
    )
    .await
    .map_err(|error| error.to_string())?;
    let text = serde_json::to_string_pretty(&demo).map_err(|error| error.to_string())?;
    write_private(&file, format!("{text}\n").as_bytes())
        .map_err(|error| format!("{}: {error}", file.display()))?;
    tracing::info!(file = %file.display(), "made a demo account; its key is in the file");
    Ok(())
}

/// Makes the trunks of the demo and binds its numbers, as far as they are not there.
///
/// Trunks are told apart by the address that a call comes from. The phones of the sandbox have a loopback
/// address of their own, so whatever comes from 127.0.0.1 is a softphone. Calls go out to the sandbox alone.
///
/// # Errors
/// Why it cannot be done.
pub async fn set_up_phones(admin: &Admin, sandbox: SocketAddr) -> Result<(), String> {
    let trunk = |name: &str, peer: String, outgoing: bool| WantedTrunk {
        peer: Some(peer),
        outgoing: Some(outgoing),
        // A softphone says nothing before it is answered, and is to hear the whole of a prompt.
        media_networks: Some(["127.0.0.0/8", "::1/128"].map(str::to_owned).to_vec()),
        ..WantedTrunk::named(name)
    };
    let document = Document {
        pools: vec![WantedPool {
            account: Some(ACCOUNT.to_owned()),
            product: Some(Product::Axn),
            ..WantedPool::keyed(BOUND_POOL)
        }],
        numbers: vec![WantedNumbers {
            pool: Some(BOUND_POOL.to_owned()),
            city: CITIES[0].0.to_owned(),
            province: Some(CITIES[0].1.to_owned()),
            kind: None,
            carrier: None,
            certified: None,
            list: Vec::new(),
            first: Some(digits(BOUND_X_FIRST)),
            count: Some(BOUND),
        }],
        trunks: vec![
            trunk(SANDBOX, sandbox.to_string(), true),
            trunk(SOFTPHONES, SOFTPHONES_PEER.to_owned(), false),
        ],
        ..Document::default()
    };
    apply(
        admin,
        &Operator::acting("demo", Role::Administrator),
        document,
        Mode::default(),
    )
    .await
    .map_err(|error| error.to_string())?;
    for place in 0..BOUND {
        bind(
            admin,
            digits(BOUND_X_FIRST + place),
            digits(BOUND_A_FIRST + place),
        )
        .await?;
    }
    Ok(())
}

async fn bind(admin: &Admin, x: PhoneNumber, a: PhoneNumber) -> Result<(), String> {
    let bound = admin
        .ledger
        .read(Touch::Number(x), move |state, _| {
            !state.bindings_on(x).is_empty()
        })
        .await
        .map_err(|error| error.to_string())?;
    if bound {
        return Ok(());
    }
    let pool = PoolRef::Key(PoolKey::new(BOUND_POOL));
    let a = Party::of(a).ok_or("a number of the demo that can be no party")?;
    let expires_at = clocks::read().wall.plus_secs(BOUND_FOR_S);
    let request = BindRequest {
        x: Some(x),
        record: true,
        ..BindRequest::new(pool, Product::Axn, a, expires_at)
    };
    let envelope = Envelope {
        by: Actor::Operator {
            name: "demo".into(),
            remark: None,
        },
        id: None,
        command: Box::new(request),
    };
    let answer = admin.ledger.submit(envelope).await;
    answer.map(|_| ()).map_err(|error| error.to_string())
}

/// Says what to try.
pub fn tell(data: &Path) {
    let data = match data == Path::new(DATA_USUAL) {
        true => String::new(),
        false => format!(" --data {}", data.display()),
    };
    tracing::info!("to make a masked call: maskline{data} call 13900000000 {BOUND_X_FIRST}");
    tracing::info!("then to see its record: maskline{data} call ls");
}

fn document(key: WantedKey) -> Document {
    let mut numbers = Vec::new();
    for (place, product) in Product::ALL.into_iter().enumerate() {
        for (city_place, (city, province)) in CITIES.into_iter().enumerate() {
            numbers.push(WantedNumbers {
                pool: Some(pool_key(product)),
                city: city.to_owned(),
                province: Some(province.to_owned()),
                kind: None,
                carrier: None,
                certified: None,
                list: Vec::new(),
                first: Some(first_number(place, city_place)),
                count: Some(NUMBERS_PER_CITY),
            });
        }
    }
    Document {
        accounts: vec![WantedAccount {
            real_name_verified: Some(true),
            ..WantedAccount::named(ACCOUNT)
        }],
        keys: vec![key],
        pools: Product::ALL
            .into_iter()
            .map(|product| WantedPool {
                account: Some(ACCOUNT.to_owned()),
                product: Some(product),
                ..WantedPool::keyed(&pool_key(product))
            })
            .collect(),
        numbers,
        ..Document::default()
    }
}

fn pool_key(product: Product) -> String {
    let place = Product::ALL
        .iter()
        .position(|&other| other == product)
        .unwrap_or(0);
    format!("FC{}", POOL_KEY_FIRST as usize + place)
}

fn digits(number: u64) -> PhoneNumber {
    PhoneNumber::parse(&number.to_string()).expect("eleven digits")
}

/// 170, two digits for the product, one for the city, five that count.
fn first_number(product: usize, city: usize) -> PhoneNumber {
    PhoneNumber::parse(&format!("170{product:02}{city}00000"))
        .expect("eleven digits for up to 100 products and 10 cities")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_product_has_a_pool_with_numbers_in_every_city() {
        let document = document(WantedKey {
            id: "K".into(),
            account: None,
            user: None,
            secret: None,
            active: None,
        });
        assert_eq!(document.pools[0].key, "FC12345");
        assert_eq!(document.pools[0].product, Some(Product::Axn));
        assert_eq!(document.numbers.len(), Product::ALL.len() * CITIES.len());
        let mut all: Vec<_> = document
            .numbers
            .iter()
            .flat_map(|n| n.all().unwrap())
            .collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count, "no number is in two pools");
        assert_eq!(all[0].reveal(), "17000000000");
        assert!(all.iter().all(|x| x.reveal().len() == 11));
    }
}
