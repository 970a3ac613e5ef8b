//! AccessKeys. A secret is shown once, when its key is made.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::json;

use maskline_domain::ops::{DeleteKey, ResealKey, SetCarrier, SetKeyActive, SetTrunk};
use maskline_domain::trunk::Credentials;
use maskline_domain::{AccessKeyId, Carrier, Trunk};
use maskline_journal::pipeline::Touch;
use maskline_store::data_key;

use super::page::{self, Gathered};
use super::{Answer, Filter, there};
use crate::admin::auth::Operator;
use crate::admin::credentials::new_key_id;
use crate::admin::document::{Document, WantedKey};
use crate::admin::extract::{Body, Query};
use crate::admin::{self, Admin, AdminError, Mode, view};
use crate::ledger::Ledger;
use crate::seal::{Sealer, TrunkSecret};

pub async fn list(State(ledger): State<Ledger>, Query(filter): Query<Filter>) -> Answer {
    filter.only(&["account"])?;
    there(&ledger, None, filter.account.as_deref()).await?;
    let after = filter.after.as_deref().map(AccessKeyId::new);
    let wanted = filter.account.as_deref();
    let found = page::gather(
        &ledger,
        Touch::Lists,
        Gathered::new(after, filter.limit()),
        |state, _, found| {
            let keys = state.keys_after(found.after().as_ref());
            found.take(keys.map(|key| {
                let is_wanted = wanted.is_none_or(|account| key.account.as_str() == account);
                (key.id.clone(), is_wanted.then(|| view::key(key)))
            }));
        },
    );
    found.await?.into_page(AccessKeyId::to_string).answer()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    account: String,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    id: Option<String>,
}

pub async fn create(
    State(admin): State<Arc<Admin>>,
    operator: Operator,
    Body(wanted): Body<NewKey>,
) -> Answer {
    let id = match wanted.id {
        Some(id) => id,
        None => new_key_id().map_err(|error| AdminError::Internal(error.to_string()))?,
    };
    let document = Document {
        keys: vec![WantedKey {
            id,
            account: Some(wanted.account),
            user: wanted.user,
            secret: None,
            active: None,
        }],
        ..Document::default()
    };
    let applied = admin::apply(&admin, &operator, document, Mode::default()).await?;
    let made = applied.new_keys.into_iter().next();
    made.map(|key| Json(json!(key)))
        .ok_or_else(|| AdminError::Refused("this access key exists already".to_owned()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    active: bool,
}

pub async fn set_active(
    State(ledger): State<Ledger>,
    operator: Operator,
    Path(id): Path<String>,
    Body(switch): Body<Switch>,
) -> Answer {
    let command = SetKeyActive {
        id: AccessKeyId::new(&id),
        active: switch.active,
    };
    ledger.submit(operator.envelope(command)).await?;
    Ok(Json(json!({})))
}

pub async fn delete(
    State(ledger): State<Ledger>,
    operator: Operator,
    Path(id): Path<String>,
) -> Answer {
    let id = AccessKeyId::new(&id);
    ledger.submit(operator.envelope(DeleteKey { id })).await?;
    Ok(Json(json!({})))
}

/// Seals every secret anew that is not sealed under the current master key: those of AccessKeys and
/// carriers, the passwords of trunks, and the data keys.
pub async fn reseal(State(admin): State<Arc<Admin>>, operator: Operator) -> Answer {
    let keys = reseal_keys(&admin, &operator).await?;
    let passwords = reseal_trunks(&admin, &operator).await?;
    let carriers = reseal_carriers(&admin, &operator).await?;
    let data_keys = reseal_data_keys(&admin).await?;
    Ok(Json(
        json!({ "resealed": keys + passwords + carriers, "data_keys": data_keys }),
    ))
}

async fn reseal_keys(admin: &Admin, operator: &Operator) -> Result<usize, AdminError> {
    let sealer = admin.sealer.clone();
    let all = admin.ledger.read_all(Touch::Lists, |state, last| {
        let keys = state.keys_after(last.map(|(id, _)| id));
        let known = keys.map(|key| {
            let is_old = !sealer.is_current(&key.sealed_secret);
            (key.id.clone(), is_old.then(|| key.sealed_secret.clone()))
        });
        known.take(page::VISITED_AT_ONCE).collect()
    });
    let all: Vec<(AccessKeyId, Option<Box<[u8]>>)> = all.await?;
    let mut count = 0;
    for (id, sealed) in all {
        let Some(sealed) = sealed else { continue };
        count += 1;
        let failed =
            |error: &dyn std::fmt::Display| AdminError::Refused(format!("key {id}: {error}"));
        let secret = admin
            .sealer
            .open(&id, &sealed)
            .map_err(|error| failed(&error))?;
        let sealed = admin
            .sealer
            .seal(&id, &secret)
            .map_err(|error| failed(&error))?;
        let command = ResealKey {
            id: id.clone(),
            sealed_secret: sealed.into(),
        };
        admin.ledger.submit(operator.envelope(command)).await?;
    }
    Ok(count)
}

async fn reseal_trunks(admin: &Admin, operator: &Operator) -> Result<usize, AdminError> {
    let sealer = admin.sealer.clone();
    let is_old = |known: &Credentials| !sealer.is_current(&known.sealed_secret);
    let has_old = |trunk: &Trunk| {
        let known = [&trunk.auth, &trunk.challenge];
        known.into_iter().flatten().any(is_old)
    };
    let all = admin.ledger.read_all(Touch::Lists, |state, last| {
        let trunks = state.trunks_after(last.map(|trunk: &Trunk| &trunk.name));
        trunks.take(page::VISITED_AT_ONCE).cloned().collect()
    });
    let all: Vec<Trunk> = all.await?;
    let mut count = 0;
    for mut trunk in all.into_iter().filter(has_old) {
        count += reseal_trunk(&admin.sealer, &mut trunk)?;
        let command = SetTrunk(Box::new(trunk));
        admin.ledger.submit(operator.envelope(command)).await?;
    }
    Ok(count)
}

/// Seals the passwords of a trunk anew and says how many there were.
fn reseal_trunk(sealer: &Sealer, trunk: &mut Trunk) -> Result<usize, AdminError> {
    let name = trunk.name.clone();
    let failed =
        |error: &dyn std::fmt::Display| AdminError::Refused(format!("trunk {name}: {error}"));
    let mut resealed = 0;
    for (purpose, known) in [
        (TrunkSecret::Auth, &mut trunk.auth),
        (TrunkSecret::Challenge, &mut trunk.challenge),
    ] {
        let Some(known) = known else { continue };
        let secret = sealer
            .open_for_trunk(&name, purpose, &known.sealed_secret)
            .map_err(|error| failed(&error))?;
        let sealed = sealer
            .seal_for_trunk(&name, purpose, &secret)
            .map_err(|error| failed(&error))?;
        known.sealed_secret = sealed.into();
        resealed += 1;
    }
    Ok(resealed)
}

/// The data keys are no part of the state: each is written in its place.
async fn reseal_data_keys(admin: &Admin) -> Result<usize, AdminError> {
    let failed =
        |error: &dyn std::fmt::Display| AdminError::Internal(format!("data keys: {error}"));
    let kept = {
        let conn = admin.ledger.readers().acquire().await;
        let mut conn = conn.map_err(|error| failed(&error))?;
        data_key::list(&mut conn)
            .await
            .map_err(|error| failed(&error))?
    };
    let mut count = 0;
    for key in &kept {
        let resealed = admin
            .sealer
            .reseal_data_key(key)
            .map_err(|error| AdminError::Refused(error.to_string()))?;
        if let Some(resealed) = resealed {
            admin
                .ledger
                .reseal_data_key(resealed)
                .await
                .map_err(|error| failed(&error))?;
            count += 1;
        }
    }
    Ok(count)
}

async fn reseal_carriers(admin: &Admin, operator: &Operator) -> Result<usize, AdminError> {
    let sealer = &admin.sealer;
    let all = admin.ledger.read_all(Touch::Lists, |state, last| {
        let carriers = state.carriers_after(last.map(|carrier: &Carrier| &carrier.name));
        carriers.take(page::VISITED_AT_ONCE).cloned().collect()
    });
    let all: Vec<Carrier> = all.await?;
    let mut count = 0;
    for carrier in all {
        let name = &carrier.name;
        let failed =
            |error: &dyn std::fmt::Display| AdminError::Refused(format!("carrier {name}: {error}"));
        let sealed = match &carrier.sealed_secret {
            Some(sealed) if !sealer.is_current(sealed) => sealed,
            _ => continue,
        };
        let secret = sealer
            .open_for_carrier(name, sealed)
            .map_err(|error| failed(&error))?;
        let sealed = sealer
            .seal_for_carrier(name, &secret)
            .map_err(|error| failed(&error))?;
        let resealed = Carrier {
            sealed_secret: Some(sealed.into()),
            ..carrier.clone()
        };
        let command = SetCarrier(Box::new(resealed));
        admin.ledger.submit(operator.envelope(command)).await?;
        count += 1;
    }
    Ok(count)
}
