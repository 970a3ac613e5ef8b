//! QuerySubscriptionDetail: one binding in detail, in force (Status 1) or ended (Status 0).
//!
//! ```text
//! POST /?Action=QuerySubscriptionDetail&PoolKey=FC12345&SubsId={SubsId}&PhoneNoX={SecretNo}
//!
//! {"RequestId":"066E6E47-04CB-4774-A976-4F73CB76D4A3","Code":"OK","Message":"OK","SecretBindDetailDTO":{"SubsId":"1000085060515673","Status":1,"PhoneNoA":"15000000000","PhoneNoX":"17000000000","PhoneNoB":"15800000000","GmtCreate":"2030-03-05 12:00:00","ExpireDate":"2030-09-05 12:00:00","NeedRecord":true,"ASRStatus":false}}
//! ```
//!
//! `CallRestrict`, `ASRModelId` and `PhoneNoB` are left out when there is none. An ended binding is
//! answered from the history for as long as that is kept and A's data were not erased (B's are left out), and
//! to the pool in which it was made alone: X may be another's by now.

use maskline_domain::{Binding, Restriction};
use maskline_store::records::history::Facts;

use super::{ActionContext, Answer, fields};
use crate::api::errors::BusinessCode;
use crate::api::render::Object;
use crate::ledger::Touch;

pub(super) async fn run(context: &ActionContext<'_>) -> Answer {
    context.pool()?;
    let x = fields::known_number(context.parameters, "PhoneNoX", BusinessCode::SubsNotExist)?;
    let subs_id = fields::subs_id(context.parameters)?;
    let present = context.read(Touch::Number(x), |state, now| {
        let binding = state.binding(subs_id).filter(|binding| binding.x == x)?;
        context
            .owns(state, x)
            .then(|| detail(&binding, binding.is_in_force(now)))
    });
    let dto = match present.await? {
        Some(dto) => dto,
        None => match context.past(subs_id, x).await?.map(|past| past.facts) {
            // A detail without A would be none.
            Some(Facts::Known(binding)) if binding.a.is_erased() => {
                return Err(BusinessCode::SubsNotExist.into());
            }
            Some(Facts::Known(binding)) => detail(&binding, false),
            // It is there, and what it says is lost by a fault of ours.
            Some(Facts::Unreadable) => return Err(BusinessCode::SystemError.into()),
            Some(Facts::Erased) | None => return Err(BusinessCode::SubsNotExist.into()),
        },
    };
    Ok(Object::new().with("SecretBindDetailDTO", dto))
}

fn detail(binding: &Binding, in_force: bool) -> Object {
    let restriction = match binding.restriction {
        Restriction::None => None,
        Restriction::AMayNotDial => Some("CONTROL_AX_DISABLE"),
        Restriction::OthersMayNotDial => Some("CONTROL_BX_DISABLE"),
    };
    let b = binding.b.filter(|b| !b.is_erased());
    let model = binding.extras.speech_model.as_deref().map(str::to_owned);
    Object::new()
        .with("SubsId", binding.subs_id.to_string())
        .with("Status", i64::from(in_force))
        .with("PhoneNoA", binding.a.reveal())
        .with("PhoneNoX", binding.x.reveal())
        .with_some("PhoneNoB", b.map(|b| b.reveal()))
        .with("GmtCreate", binding.created_at.format_china())
        .with("ExpireDate", binding.expires_at.format_china())
        .with("NeedRecord", binding.record)
        .with("ASRStatus", binding.speech_recognition)
        .with_some("CallRestrict", restriction)
        .with_some("ASRModelId", model)
}
