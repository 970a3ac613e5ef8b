//! What a bind would come to, rule by rule: the very functions that bind, and nothing is bound.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use maskline_domain::bind_forecast::{BindForecast, BindQuestion, CarrierForecast, forecast};
use maskline_domain::clock::Timestamp;
use maskline_domain::pool::{CityMatch, Pick};
use maskline_domain::{CarrierKind, City, Party, PhoneNumber, Pool, PoolKey};
use maskline_journal::pipeline::Touch;
use serde::Deserialize;
use serde_json::{Value, json};

use super::pools::stock_of;
use super::{Answer, phone_number};
use crate::admin::auth::Operator;
use crate::admin::extract::Query;
use crate::admin::trace::{self, Asked as Trace};
use crate::admin::view::{InCity, Visibility};
use crate::admin::{Admin, AdminError, FaultForecast, view};
use crate::carriers::Health;

/// For how long a binding is asked for where nothing is said, in seconds: a day.
const EXPIRES_IN_S: i64 = 86_400;
/// The longest name of a city, in bytes.
const CITY_BYTES_MAX: usize = 64;
/// The most cities that an answer lists, those with the most free numbers first.
const CITIES_MAX: usize = 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    pool: String,
    a: String,
    #[serde(default)]
    b: Option<String>,
    #[serde(default)]
    x: Option<String>,
    #[serde(default)]
    city: Option<String>,
    #[serde(default)]
    expiration: Option<String>,
    #[serde(default)]
    reveal: bool,
}

pub async fn explain(
    State(admin): State<Arc<Admin>>,
    operator: Operator,
    Query(asked): Query<Asked>,
) -> Answer {
    let visibility = Visibility {
        reveal: asked.reveal,
    };
    let a = phone_number(&asked.a)?;
    let b = asked.b.as_deref().map(phone_number).transpose()?;
    let x = asked.x.as_deref().map(phone_number).transpose()?;
    let city = asked.city.as_deref().map(named_city).transpose()?;
    let expires_at = asked.expiration.as_deref().map(moment).transpose()?;
    let seed = getrandom::u64().map_err(|error| AdminError::Internal(error.to_string()))?;
    let pool = PoolKey::new(&asked.pool);
    let wanted = city.clone();
    let carriers_down = admin.carriers.down();
    let look = move |state: &_, now: Timestamp| {
        let question = BindQuestion {
            pool,
            a: Party::of(a),
            b: b.map(Party::of),
            x,
            city: wanted,
            expires_at: expires_at.unwrap_or(now.plus_secs(EXPIRES_IN_S)),
            carriers_down,
        };
        let foretold = forecast(state, &question, now, seed);
        (foretold, question.expires_at)
    };
    let (foretold, expires_at) = admin.ledger.read(Touch::Lists, look).await?;
    let stock = match &foretold.pool {
        Some(pool) if x.is_none() => {
            let keys = [pool.key.clone()];
            stock_of(&admin.ledger, &keys).await?.concat()
        }
        _ => Vec::new(),
    };
    let trace = Trace::for_("explanation of a bind")
        .by("a", Some(a))
        .by("b", b)
        .on(&admin.ledger, x)
        .await?
        .with("pool", foretold.pool.as_ref().map(|pool| pool.key.as_str()))
        .with("city", city.as_ref().map(City::as_str));
    trace::leave(&admin.ledger, &operator, trace, visibility.reveal, 1).await?;

    let to = b.map_or_else(String::new, |b| format!(" with {}", visibility.party(b)));
    let question = format!(
        "{} is to be bound{to} in pool {} until {}.",
        visibility.party(a),
        asked.pool,
        expires_at.format_china()
    );
    let carrier = foretold.carrier.as_ref();
    let health = match carrier {
        Some(carrier) if carrier.kind != CarrierKind::None => health_of(&admin, carrier).await,
        _ => None,
    };
    let mut steps = steps(&foretold, x, city.as_ref(), &stock);
    steps.extend(carrier.map(|carrier| asked_of(carrier, health)));
    let code = foretold.outcome.as_ref().err();
    let code = code.map_or("OK", |refusal| (admin.code_of)(refusal.clone()));
    let mut told = json!({
        "question": question,
        "steps": steps,
        "result": result(&foretold, x, code),
        "bind": fields(&foretold, code, stock, health),
    });
    // Raised before anything is decided, but in a pool that may be used.
    if foretold.pool.is_some()
        && let Some(fault) = (admin.fault_of)(a)
    {
        raise(&mut told, fault);
    }
    Ok(Json(told))
}

/// Adds that A is a fault number, which has its way before the rules.
fn raise(told: &mut Value, fault: FaultForecast) {
    let FaultForecast { code, binds, words } = fault;
    told["bind"]["fault"] = json!(words);
    let told_so = format!("A is a fault number: {words}.");
    if let Some(steps) = told["steps"].as_array_mut() {
        steps.push(json!(told_so));
    }
    if code.is_none() || !binds {
        told["bind"]["code"] = json!(code.unwrap_or("unanswered"));
    }
    if !binds {
        told["bind"]["bound"] = json!(false);
        told["bind"]["x"] = Value::Null;
        told["bind"]["reason"] = json!("A is a fault number");
        let answer = code.unwrap_or("no answer");
        let refused = format!("Refused: A is a fault number. The customer gets {answer}.");
        told["result"] = json!(refused);
    }
}

/// How a carrier is asked. One that was declared a moment ago is asked when it is needed, and so it is here.
async fn health_of(admin: &Admin, carrier: &CarrierForecast) -> Option<Health> {
    if let Some(health) = admin.carriers.health(&carrier.name) {
        return Some(health);
    }
    admin.carriers.refresh().await;
    admin.carriers.health(&carrier.name)
}

/// What is looked at, in the order of the rules.
fn steps(
    foretold: &BindForecast,
    x: Option<PhoneNumber>,
    city: Option<&City>,
    stock: &[InCity],
) -> Vec<String> {
    let Some(pool) = &foretold.pool else {
        return Vec::new();
    };
    let mut steps = vec![format!(
        "The pool sells {} to account {}.",
        pool.product.name().to_uppercase(),
        pool.account
    )];
    if let Some((bindings, max)) = foretold.quota {
        steps.push(format!(
            "The account has {bindings} bindings, and may have {max}."
        ));
    }
    match x {
        Some(x) => steps.push(format!("X {} is wanted.", x.reveal())),
        None => steps.extend(choice(pool, city, stock)),
    }
    steps
}

/// What the carrier of the pool has to do with it.
fn asked_of(carrier: &CarrierForecast, health: Option<Health>) -> String {
    let name = &carrier.name;
    let why = match (carrier.kind, carrier.is_reconciled) {
        (CarrierKind::None, _) => {
            return format!("The numbers are those of carrier {name}, which is told nothing.");
        }
        (CarrierKind::Http, false) => {
            "and cannot be asked: what it holds was not yet compared with what is bound since the data were restored"
        }
        (CarrierKind::Http, true) => match health {
            Some(health) if health.breaker == "open" => {
                "and cannot be asked now: it has failed too often (its breaker is open)"
            }
            Some(health) if health.breaker == "half_open" => {
                "and has failed; it is being tried again (its breaker is half open)"
            }
            Some(_) => "and can be asked",
            None => "and cannot be asked yet",
        },
    };
    format!("Carrier {name} must agree, {why}.")
}

/// How an X is chosen, and among how many.
fn choice(pool: &Pool, city: Option<&City>, stock: &[InCity]) -> Vec<String> {
    let pick = match pool.pick {
        Pick::Random => "any",
        Pick::LongestIdle => "the one that has been idle longest",
    };
    let among = match (city, pool.city_match) {
        (None, _) => "the free numbers of all cities".to_owned(),
        (Some(city), CityMatch::Strict) => format!("the free numbers of {city} alone"),
        (Some(city), CityMatch::Loose) => {
            format!("the free numbers of {city}, or else of any other city")
        }
    };
    let sum = |cities: &mut dyn Iterator<Item = &InCity>| {
        cities.fold((0_u64, 0_u64), |(numbers, free), city| {
            (numbers + u64::from(city.1), free + u64::from(city.2))
        })
    };
    let (numbers, free) = sum(&mut stock.iter());
    let all = format!("{free} of {numbers} numbers can be given out");
    let counted = match city {
        None => format!("In {} cities {all}.", stock.len()),
        Some(city) => {
            let here = stock.iter().filter(|(name, ..)| name == city);
            let (numbers_here, free_here) = sum(&mut here.into_iter());
            format!(
                "In {city} {free_here} of {numbers_here} numbers can be given out; in all cities {free} of {numbers}."
            )
        }
    };
    vec![format!("Taken is {pick} of {among}."), counted]
}

fn result(foretold: &BindForecast, x: Option<PhoneNumber>, code: &str) -> String {
    let binding = match &foretold.outcome {
        Ok(binding) => binding,
        Err(refusal) => return format!("Refused: {refusal}. The customer gets {code}."),
    };
    let city = foretold
        .city
        .as_ref()
        .map_or_else(String::new, |city| format!(" of {city}"));
    let is_random = foretold
        .pool
        .as_ref()
        .is_some_and(|pool| pool.pick == Pick::Random);
    let drawn = match x.is_none() && is_random {
        true => ", by one draw; another may give another one",
        false => "",
    };
    let agreed = match foretold.carrier.as_ref() {
        Some(carrier) if carrier.kind != CarrierKind::None => {
            format!(", if carrier {} agrees", carrier.name)
        }
        _ => String::new(),
    };
    format!("Bound to X {}{city}{drawn}{agreed}.", binding.x.reveal())
}

fn fields(
    foretold: &BindForecast,
    code: &str,
    mut stock: Vec<InCity>,
    health: Option<Health>,
) -> Value {
    let free = |city: &InCity| u64::from(city.2);
    let free_in_all: u64 = stock.iter().map(free).sum();
    // Where equally many are free, by name.
    stock.sort_by_key(|city| std::cmp::Reverse(free(city)));
    stock.truncate(CITIES_MAX);
    let bound = foretold.outcome.as_ref().ok();
    let refusal = foretold.outcome.as_ref().err();
    json!({
        "bound": bound.is_some(),
        "x": bound.map(|binding| binding.x.reveal()),
        "city": foretold.city,
        "code": code,
        "refusal": refusal.map(|refusal| format!("{refusal:?}")),
        "reason": refusal.map(ToString::to_string),
        "fault": null,
        "carrier": foretold.carrier.as_ref().map(|carrier| json!({
            "name": carrier.name,
            "kind": carrier.kind,
            "reconciled": carrier.is_reconciled,
            "breaker": health.map(|health| health.breaker),
        })),
        "free": free_in_all,
        "cities": view::cities(&stock),
    })
}

fn named_city(text: &str) -> Result<City, AdminError> {
    let city = text.trim();
    match (1..=CITY_BYTES_MAX).contains(&city.len()) {
        true => Ok(City::from_wire(city)),
        false => Err(AdminError::Malformed(format!(
            "the name of a city has 1 to {CITY_BYTES_MAX} bytes"
        ))),
    }
}

fn moment(text: &str) -> Result<Timestamp, AdminError> {
    Timestamp::parse_china(text).ok_or_else(|| {
        let reason = "a time is written as yyyy-MM-dd HH:mm:ss, China time";
        AdminError::Malformed(reason.to_owned())
    })
}
