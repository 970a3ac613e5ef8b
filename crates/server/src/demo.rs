//! Something to try: an account with a key, and a pool for each product with numbers in five cities.
//! Made once, and told in `demo.json`. A sandbox trunk leads to a phone that answers by itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use serde::Serialize;

use maskline_domain::{PhoneNumber, Product};

use crate::admin::credentials::{new_key_id, new_secret, write_private};
use crate::admin::document::{
    Document, WantedAccount, WantedKey, WantedNumbers, WantedPool, WantedTrunk,
};
use crate::admin::{Admin, Operator, apply};

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
const SANDBOX: &str = "sandbox";

/// What `demo.json` says.
#[derive(Serialize)]
struct Told {
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
    let told = Told {
        access_key_id: key.id.clone(),
        access_key_secret: key.secret.clone().unwrap_or_default(),
        pool_key: pool_key(Product::Axn),
        pools,
        admin_token: admin.token.expose().to_owned(),
    };
    apply(admin, &Operator::named("demo"), document(key), false)
        .await
        .map_err(|error| error.to_string())?;
    let text = serde_json::to_string_pretty(&told).map_err(|error| error.to_string())?;
    write_private(&file, format!("{text}\n").as_bytes())
        .map_err(|error| format!("{}: {error}", file.display()))?;
    tracing::info!(file = %file.display(), "made a demo account; its key is in the file");
    Ok(())
}

/// Points the sandbox trunk at the phone that answers by itself.
///
/// # Errors
/// Why it cannot be done.
pub async fn point_sandbox(admin: &Admin, phone: SocketAddr) -> Result<(), String> {
    let document = Document {
        trunks: vec![WantedTrunk {
            peer: Some(phone.to_string()),
            ..WantedTrunk::named(SANDBOX)
        }],
        ..Document::default()
    };
    apply(admin, &Operator::named("demo"), document, false)
        .await
        .map(|_| ())
        .map_err(|error| error.to_string())
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
