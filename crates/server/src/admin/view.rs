//! How things of the state look to an operator. X numbers are the operator's own stock and show
//! whole; the numbers of A and B show masked unless revealed. Times are China time, as in the API.

use serde_json::{Value, json};

use maskline_domain::call::{Prediction, Sound};
use maskline_domain::clock::Timestamp;
use maskline_domain::routing::{Route, Step};
use maskline_domain::trunk::Misfit;
use maskline_domain::{
    AccessKey, Binding, Carrier, CarrierName, City, Number, NumberStatus, Operator, PhoneNumber,
    Pool, PoolKey, RingConfig, State, Trunk, TrunkName, User,
};
use maskline_store::records::history::{Facts, Past};

/// Of so many trunks it is told what they say to a call.
const TRUNKS_TOLD_MAX: usize = 50;

/// Whether whole numbers of parties may be seen.
#[derive(Clone, Copy, Debug)]
pub struct Visibility {
    /// They may; the journal says who looked.
    pub reveal: bool,
}

impl Visibility {
    /// A party's number.
    pub fn party(self, number: PhoneNumber) -> String {
        if self.reveal {
            number.reveal()
        } else {
            number.to_string()
        }
    }

    /// A free text of the customer's, which may name a person.
    pub fn text(self, text: Option<&str>) -> Option<&str> {
        if self.reveal {
            text
        } else {
            text.map(|_| HIDDEN)
        }
    }
}

/// What stands for a text that is there and not shown.
const HIDDEN: &str = "***";

/// A key, without its secret.
pub fn key(key: &AccessKey) -> Value {
    json!({
        "id": key.id,
        "account": key.account,
        "user": key.user,
        "active": key.active,
        "created_at": key.created_at.format_china(),
    })
}

/// An operator.
pub fn operator(operator: &Operator) -> Value {
    json!({
        "name": operator.name,
        "role": operator.role,
        "enabled": operator.enabled,
        "created_at": operator.created_at.format_china(),
        "token_at": operator.token_at.format_china(),
    })
}

/// A user, with the policy also as one text.
pub fn user(user: &User) -> Value {
    let policy: Vec<String> = user
        .statements
        .iter()
        .map(|statement| {
            let effect = json!(statement.effect);
            let effect = effect.as_str().unwrap_or_default();
            format!(
                "{effect} {}@{}",
                statement.actions.join(","),
                statement.pools.join(",")
            )
        })
        .collect();
    json!({
        "account": user.account,
        "name": user.name,
        "statements": user.statements,
        "policy": policy.join("; "),
    })
}

/// How many numbers of a pool there are in a city, and how many of them can be given out.
pub type InCity = (City, u32, u32);

/// Adds to the settings of a pool how many numbers it has.
pub fn add_stock(shown: &mut Value, cities: &[InCity]) {
    let sum = |count: fn(&InCity) -> u32| cities.iter().map(|city| u64::from(count(city))).sum();
    let (numbers, free): (u64, u64) = (sum(|city| city.1), sum(|city| city.2));
    shown["numbers"] = json!(numbers);
    shown["free"] = json!(free);
}

/// What is set of a pool, in the words of a document.
pub fn settings(pool: &Pool) -> Value {
    let mut shown = json!(pool);
    let Some(fields) = shown.as_object_mut() else {
        return shown;
    };
    fields.remove("ring_tones");
    let tones = &pool.ring_tones;
    let tones = [
        ("ring_tone_a", tones.a),
        ("ring_tone_a_alone", tones.a_alone),
        ("ring_tone_other", tones.other),
    ];
    for (name, tone) in tones {
        fields.extend(tone.map(|tone| (name.to_owned(), json!(tone))));
    }
    shown
}

/// The cities of a pool.
pub fn cities(cities: &[InCity]) -> Value {
    cities
        .iter()
        .map(|(city, numbers, free)| json!({ "city": city, "numbers": numbers, "free": free }))
        .collect()
}

/// A trunk, in the words of a document. Its passwords are never shown, only that there are some.
pub fn trunk(trunk: &Trunk) -> Value {
    let mut shown = json!(trunk);
    let Some(fields) = shown.as_object_mut() else {
        return shown;
    };
    for (part, credentials) in [("auth", &trunk.auth), ("challenge", &trunk.challenge)] {
        fields.remove(part);
        let known = credentials.as_ref();
        let username = json!(known.map(|known| &known.username));
        fields.insert(format!("{part}_username"), username);
        fields.insert(format!("{part}_secret"), json!(known.map(|_| "sealed")));
    }
    fields.remove("register");
    let register = trunk.register.as_ref();
    fields.insert(
        "registrar".to_owned(),
        json!(register.map(|r| &r.registrar)),
    );
    let expires_s = json!(register.map(|r| r.expires_s));
    fields.insert("register_expires_s".to_owned(), expires_s);
    shown
}

/// A carrier, in the words of a document. Its secret is never shown, only that there is one.
pub fn carrier(carrier: &Carrier) -> Value {
    let mut shown = json!(carrier);
    let Some(fields) = shown.as_object_mut() else {
        return shown;
    };
    fields.remove("sealed_secret");
    // Of no document: how far it was compared.
    fields.remove("reconciled_epoch");
    let secret = carrier.sealed_secret.as_ref().map(|_| "sealed");
    fields.insert("secret".to_owned(), json!(secret));
    shown
}

/// An X number.
pub fn number(state: &State, number: &Number, now: Timestamp) -> Value {
    let status = state
        .number_status(number.x, now)
        .unwrap_or(NumberStatus::Free);
    json!({
        "x": number.x.reveal(),
        "pool": number.class.pool,
        "city": number.class.city,
        "province": number.class.province,
        "kind": number.class.kind,
        "carrier": number.class.carrier,
        "certified": number.class.certified,
        "status": status.name(),
        "locked": number.locked,
        "purchased_at": number.class.purchased_at.format_china(),
        "bindings": state.bindings_count_on(number.x),
    })
}

/// A binding as one line of a list.
pub fn binding_line(binding: &Binding, now: Timestamp, visibility: Visibility) -> Value {
    json!({
        "subs_id": binding.subs_id.to_string(),
        "pool": binding.owner.as_ref().map(|owner| &owner.pool),
        "account": binding.owner.as_ref().map(|owner| &owner.account),
        "product": binding.product,
        "x": binding.x.reveal(),
        "a": visibility.party(binding.a),
        "b": binding.b.map(|b| visibility.party(b)),
        "state": binding_state(binding, now),
        "expires_at": binding.expires_at.format_china(),
    })
}

/// What a binding of the state is at the moment: `live`, `over`, or in a pool with a carrier `reserved` or `releasing`.
pub fn binding_state(binding: &Binding, now: Timestamp) -> &'static str {
    let provision = binding.provision.as_ref();
    let phase = provision.map(|provision| provision.phase);
    match phase.filter(|phase| !phase.routes()) {
        Some(phase) => phase.name(),
        None if binding.is_over(now) => "over",
        None => "live",
    }
}

/// How far a carrier knows of a binding; null where none must.
fn provision(binding: &Binding) -> Value {
    let Some(provision) = binding.provision.as_deref() else {
        return Value::Null;
    };
    json!({
        "carrier": provision.carrier,
        "phase": provision.phase.name(),
        "revision": provision.revision,
        "fence": provision.fence.to_string(),
    })
}

/// A binding with everything the customer gave.
pub fn binding(binding: &Binding, now: Timestamp, visibility: Visibility) -> Value {
    let mut shown = binding_line(binding, now, visibility);
    extend(&mut shown, terms(binding, visibility));
    shown["provision"] = provision(binding);
    shown
}

/// A binding that is no longer in the state, as one line of a list. `state` is `unreadable` where
/// the history does not hold what was written there.
pub fn past_line(past: &Past, visibility: Visibility) -> Value {
    let binding = past.binding();
    let state = match past.facts {
        Facts::Unreadable => "unreadable",
        Facts::Known(_) | Facts::Erased => "ended",
    };
    let ended = past.ended.as_ref();
    json!({
        "subs_id": past.subs_id.to_string(),
        "pool": past.owner.as_ref().map(|owner| &owner.pool),
        "account": past.owner.as_ref().map(|owner| &owner.account),
        "product": binding.map(|binding| binding.product),
        "x": past.x.reveal(),
        "a": binding.map(|binding| visibility.party(binding.a)),
        "b": binding.and_then(|binding| binding.b).map(|b| visibility.party(b)),
        "state": state,
        "expires_at": binding.map(|binding| binding.expires_at.format_china()),
        "ended_at": ended.map(|ended| ended.at.format_china()),
        "ended_how": ended.map(|ended| ended.cause.clone()),
        "erased": past.is_erased(),
    })
}

/// A binding that is no longer in the state, with everything the customer gave.
pub fn past(past: &Past, visibility: Visibility) -> Value {
    let mut shown = past_line(past, visibility);
    let who = json!({
        "bound_by": past.bound_by,
        "changed_by": past.changed_by,
        "ended_by": past.ended.as_ref().map(|ended| ended.by.clone()),
    });
    extend(&mut shown, who);
    if let Some(binding) = past.binding() {
        extend(&mut shown, terms(binding, visibility));
    }
    shown
}

/// What the customer asked for beside the parties.
fn terms(binding: &Binding, visibility: Visibility) -> Value {
    let extras = &binding.extras;
    json!({
        "created_at": binding.created_at.format_china(),
        "restriction": binding.restriction,
        "record": binding.record,
        "speech_recognition": binding.speech_recognition,
        "ring_timeout_s": binding.ring_timeout_s,
        "out_id": visibility.text(extras.out_id.as_deref()),
        "out_order_id": visibility.text(extras.out_order_id.as_deref()),
        "ring_config": visibility.text(extras.ring_config.as_ref().map(RingConfig::as_str)),
        "dtmf_config": visibility.text(extras.dtmf_config.as_deref()),
        "speech_model": visibility.text(extras.speech_model.as_deref()),
        "extend": visibility.text(extras.extend.as_deref()),
    })
}

/// Adds the fields of one object to another.
pub fn extend(shown: &mut Value, more: Value) {
    if let (Value::Object(shown), Value::Object(more)) = (shown, more) {
        shown.extend(more);
    }
}

/// An explanation, as sentences and as fields: `route` is what the bindings say, `expect` what the caller
/// would meet.
pub fn explanation(predicted: &Prediction, x: PhoneNumber, visibility: Visibility) -> Value {
    let Prediction {
        explained,
        forecast,
        ..
    } = predicted;
    let mut steps: Vec<String> = explained
        .steps
        .iter()
        .map(|step| match step {
            Step::Callee(Some(callee)) => {
                format!("The call goes to {}.", visibility.party(*callee))
            }
            other => other.to_string(),
        })
        .collect();
    let rings = forecast.rings.map(|callee| visibility.party(callee));
    let ending = forecast.ending;
    let expect = json!({
        "rings": rings,
        "shown": rings.is_some().then(|| x.reveal()),
        "ring_tone": forecast.ring_tone,
        "prompt": forecast.sound.map(|sound| sound.to_string()),
        "status": ending.status,
        "cause": ending.q850,
        "reason": ending.reason.name(),
    });
    let heard = match forecast.sound {
        Some(Sound::Prompt(prompt)) => format!("hears the prompt {}", prompt.name()),
        Some(tone) => format!("hears {tone}"),
        None => "hears no prompt".to_owned(),
    };
    let told = format!(
        "The caller {heard} and gets status {} with cause {}.",
        ending.status, ending.q850
    );
    let (result, fields) = match &explained.route {
        Route::Connect(connection) => {
            let carrier = predicted.carrier.as_ref();
            let trunks = predicted.trunks.iter().take(TRUNKS_TOLD_MAX);
            steps.extend(trunks.map(|judged| judgement(judged, &connection.pool, carrier)));
            if let left @ 1.. = predicted.trunks.len().saturating_sub(TRUNKS_TOLD_MAX) {
                steps.push(format!("There are {left} trunks more."));
            }
            let callee = visibility.party(connection.callee);
            let x = x.reveal();
            let ring_timeout_s = connection.ring_timeout_s;
            let result = match rings {
                Some(_) => {
                    let rung = forecast.ring_tone.map_or_else(String::new, |tone| {
                        format!(" For the caller it rings with tone {tone}.")
                    });
                    format!(
                        "Connected to {callee}, who sees {x}, and rung for {ring_timeout_s} s.{rung}"
                    )
                }
                None => {
                    steps.push("No trunk takes the call.".to_owned());
                    format!("Not connected: {callee} cannot be reached. {told}")
                }
            };
            (
                result,
                json!({
                    "connect": true,
                    "callee": callee,
                    "shown": x,
                    "pool": connection.pool,
                    "subs_id": connection.binding.subs_id.to_string(),
                    "ring_timeout_s": ring_timeout_s,
                }),
            )
        }
        Route::Refuse { situation, binding } => (
            format!("Refused: {situation}. {told}"),
            json!({
                "connect": false,
                "situation": format!("{situation:?}"),
                "subs_id": binding.as_ref().map(|binding| binding.subs_id.to_string()),
            }),
        ),
    };
    let trunks = predicted.trunks.iter().take(TRUNKS_TOLD_MAX);
    let trunks: Vec<Value> = trunks.map(|(name, fit)| trunk_fit(name, *fit)).collect();
    json!({
        "steps": steps,
        "result": result,
        "route": fields,
        "trunks": trunks,
        "expect": expect,
    })
}

/// What a trunk says to a call, as a sentence. Digits of a route are the callee's, so that only their number is told.
fn judgement(
    (name, fit): &(TrunkName, Result<usize, Misfit>),
    pool: &PoolKey,
    carrier: Option<&CarrierName>,
) -> String {
    let says = match fit {
        Ok(0) => "may show X and takes any callee".to_owned(),
        Ok(1) => "may show X and takes this callee, by the first digit of its number".to_owned(),
        Ok(digits) => {
            format!("may show X and takes this callee, by the first {digits} digits of its number")
        }
        Err(Misfit::Disabled) => "is disabled".to_owned(),
        Err(Misfit::BringsOnly) => "only brings calls".to_owned(),
        Err(Misfit::OtherX) => match carrier {
            Some(carrier) => format!("presents neither pool {pool} nor its carrier {carrier}"),
            None => format!("does not present pool {pool}, which names no carrier"),
        },
        Err(Misfit::OtherCallee) => "has no route that begins the callee's number".to_owned(),
    };
    format!("Trunk {name} {says}.")
}

/// The same as fields.
fn trunk_fit(name: &TrunkName, fit: Result<usize, Misfit>) -> Value {
    let why = fit.err().map(|misfit| match misfit {
        Misfit::Disabled => "disabled",
        Misfit::BringsOnly => "brings_only",
        Misfit::OtherX => "other_x",
        Misfit::OtherCallee => "other_callee",
    });
    json!({ "trunk": name, "fits": fit.is_ok(), "route_digits": fit.ok(), "why": why })
}
