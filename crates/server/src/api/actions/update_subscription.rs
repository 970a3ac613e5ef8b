//! UpdateSubscription: changes the property of a binding that `OperateType` names.
//!
//! ```text
//! POST /?Action=UpdateSubscription&PoolKey=FC12345&SubsId={SubsId}&PhoneNoX={SecretNo}&OperateType=updateNoB&PhoneNoB=15900000000
//!
//! {"RequestId":"986BCB6D-C9BF-42F9-91CE-3A9901233D36","Code":"OK","Message":"OK"}
//! ```
//!
//! Other properties that the request carries are ignored, except `RingConfig`, `ASRStatus` and
//! `ASRModelId`: no `OperateType` names them, so they are applied whenever they are there.

use maskline_domain::command::Updated;
use maskline_domain::ops::UpdateBinding;
use maskline_domain::{Binding, PhoneNumber, Refusal, SubsId, Update};

use super::fields::{self, illegal};
use super::{ActionContext, Answer};
use crate::api::errors::{BusinessCode, BusinessError, Failure};
use crate::api::params::Parameters;
use crate::api::refusals::failure_of;
use crate::api::render::Object;

pub(super) async fn run(context: &ActionContext<'_>) -> Answer {
    let pool = context.pool()?.clone();
    let mut updates = Vec::new();
    updates.extend(named_update(context.parameters)?);
    updates.extend(other_updates(context.parameters)?);
    let x = fields::known_number(context.parameters, "PhoneNoX", BusinessCode::SubsNotExist)?;
    let subs_id = fields::subs_id(context.parameters)?;
    let update = UpdateBinding {
        carriers_down: context.carriers_down(),
        pool,
        subs_id,
        x,
        updates,
    };
    match context.submit_asking(update, asked).await {
        Ok(_) => Ok(Object::new()),
        Err(failure) if failure == BusinessCode::SubsNotExist.into() => {
            Err(expired(context, subs_id, x).await?.unwrap_or(failure))
        }
        Err(failure) => Err(failure),
    }
}

/// The binding where its carrier is asked for the change.
fn asked(updated: &Updated) -> Option<&Binding> {
    match updated {
        Updated::AtOnce => None,
        Updated::Asked(binding) => Some(binding),
    }
}

/// A binding that ended by time is told from one that never was, whether it is swept already or not.
async fn expired(
    context: &ActionContext<'_>,
    subs_id: SubsId,
    x: PhoneNumber,
) -> Result<Option<Failure>, Failure> {
    let ended = context.past(subs_id, x).await?.and_then(|past| past.ended);
    Ok(ended
        .filter(|ended| ended.cause == "expired")
        .map(|_| failure_of(Refusal::BindingOver)))
}

/// What `OperateType` names; nothing for what is accepted without effect.
fn named_update(parameters: &Parameters) -> Result<Option<Update>, Failure> {
    let update = match parameters.filled("OperateType").unwrap_or_default() {
        "updateNoA" => {
            let a = fields::party(parameters, "PhoneNoA")?;
            Update::A(a.ok_or_else(|| needed("PhoneNoA"))?)
        }
        "updateNoB" => {
            let b = fields::party(parameters, "PhoneNoB")?;
            Update::B(b.ok_or_else(|| needed("PhoneNoB"))?)
        }
        "updateExpire" => {
            let expires_at = fields::expiration(parameters)?;
            Update::ExpiresAt(expires_at.ok_or_else(|| needed("Expiration"))?)
        }
        "updateCallRestrict" => {
            let restriction = fields::restriction(parameters)?;
            Update::Restriction(restriction.ok_or_else(|| needed("CallRestrict"))?)
        }
        "updateCallDisplayType" => {
            fields::display_type(parameters)?.ok_or_else(|| needed("CallDisplayType"))?;
            return Ok(None);
        }
        "updateOutId" => {
            // An empty OutId is a value here: it takes the old one away.
            parameters.get("OutId").ok_or_else(|| needed("OutId"))?;
            Update::OutId(fields::text(parameters, "OutId")?)
        }
        "updateIsRecordingEnabled" => {
            let record = fields::flag(parameters, "IsRecordingEnabled")?;
            Update::Record(record.ok_or_else(|| needed("IsRecordingEnabled"))?)
        }
        "updateAxgGroup" => {
            // No pool sells AXG yet, so this is an action of another product.
            let text = "updateAxgGroup needs a binding of an AXG pool";
            return Err(BusinessError::new(BusinessCode::ForbiddenAction, text).into());
        }
        _ => return Err(illegal("OperateType", "is none of the known values").into()),
    };
    Ok(Some(update))
}

fn other_updates(parameters: &Parameters) -> Result<Vec<Update>, Failure> {
    let mut updates = Vec::new();
    if let Some(config) = fields::ring_config(parameters)? {
        updates.push(Update::RingConfig(Some(config)));
    }
    if let Some(on) = fields::flag(parameters, "ASRStatus")? {
        updates.push(Update::SpeechRecognition(on));
    }
    if let Some(model) = fields::text(parameters, "ASRModelId")? {
        updates.push(Update::SpeechModel(Some(model)));
    }
    Ok(updates)
}

fn needed(name: &'static str) -> BusinessError {
    illegal(name, "is needed by this OperateType")
}
