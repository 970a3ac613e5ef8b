//! QuerySecretNoRemain: how many numbers of the operator's stock can be bought.
//!
//! ```text
//! POST /?Action=QuerySecretNoRemain&City=%E5%85%A8%E5%9B%BD%E5%88%97%E8%A1%A8&SpecId=2&SecretNo=170
//!
//! {"RequestId":"9FC30594-3841-43AD-9008-03393BCB5CD2","Code":"OK","Message":"OK","SecretRemainDTO":{"City":"全国","Amount":320,"RemainDTOList":{"remainDTO":[{"City":"武汉","Amount":120},{"City":"杭州","Amount":200}]}}}
//! ```
//!
//! `City` is a city, or one of the words for the total (`National`, `Nationwide`, `全国`) or for the
//! list by city (`National List`, `全国列表`). Cities without stock are not listed.

use std::collections::BTreeMap;

use maskline_domain::{City, NumberKind, PhoneNumber};

use super::fields::{self, illegal};
use super::{ActionContext, Answer};
use crate::api::errors::Failure;
use crate::api::params::Parameters;
use crate::api::render::{Node, Object};
use crate::ledger::Touch;

pub(super) async fn run(context: &ActionContext<'_>) -> Answer {
    let kind = kind(context.parameters)?;
    let prefix = prefix(context.parameters)?;
    let place = place(context.parameters)?;
    let stock = context
        .read(Touch::Scan, |state, _| state.stock_of(kind, prefix))
        .await?;
    Ok(Object::new().with("SecretRemainDTO", remain(&place, &stock)))
}

/// What is asked for.
enum Place {
    Total,
    List,
    City(City),
}

fn place(parameters: &Parameters) -> Result<Place, Failure> {
    let city = fields::city(parameters, "City")?.ok_or_else(|| illegal("City", "is needed"))?;
    let name = city.as_str();
    let is_any = |words: &[&str]| words.iter().any(|word| name.eq_ignore_ascii_case(word));
    Ok(if is_any(&["National", "Nationwide", "全国"]) {
        Place::Total
    } else if is_any(&["National List", "全国列表"]) {
        Place::List
    } else {
        Place::City(city)
    })
}

fn kind(parameters: &Parameters) -> Result<NumberKind, Failure> {
    match fields::integer(parameters, "SpecId", 1..=3)? {
        Some(1) => Ok(NumberKind::VirtualOperator),
        Some(2) => Ok(NumberKind::Carrier),
        Some(3) => Ok(NumberKind::Service95),
        _ => Err(illegal("SpecId", "is needed").into()),
    }
}

fn prefix(parameters: &Parameters) -> Result<Option<PhoneNumber>, Failure> {
    parameters
        .filled("SecretNo")
        .map(|text| {
            PhoneNumber::parse(text)
                .map_err(|_| illegal("SecretNo", "is no prefix of 1 to 18 digits").into())
        })
        .transpose()
}

fn remain(place: &Place, stock: &BTreeMap<City, u64>) -> Object {
    let total = || amount(stock.values().sum());
    match place {
        Place::Total => entry("全国", total()),
        Place::City(city) => entry(city.as_str(), amount(stock.get(city).copied().unwrap_or(0))),
        Place::List => {
            let elements = stock
                .iter()
                .filter(|(_, count)| **count > 0)
                .map(|(city, count)| entry(city.as_str(), amount(*count)).into())
                .collect();
            let list = Node::List {
                item: "remainDTO",
                wrapped: true,
                elements,
            };
            entry("全国", total()).with("RemainDTOList", list)
        }
    }
}

fn entry(city: &str, amount: i64) -> Object {
    Object::new()
        .with("City", city.to_owned())
        .with("Amount", amount)
}

fn amount(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
