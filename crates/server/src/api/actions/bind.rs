//! What making a binding has in common, whatever the product.

use std::ops::RangeInclusive;

use maskline_domain::binding::{Extras, Phase};
use maskline_domain::{BindRequest, Binding, Product};
use tokio::time::sleep;

use super::fields::{self, illegal};
use super::{ActionContext, Answer};
use crate::api::errors::{BusinessCode, Failure};
use crate::api::fault_numbers::{self, Fault, fault_of};
use crate::api::render::Object;

/// What differs between products.
pub(super) struct BindRules {
    /// The product.
    pub product: Product,
    /// What `CallTimeout` may be, in seconds.
    pub ring_timeout_s: RangeInclusive<i64>,
}

/// Reads the parameters in the order in which their errors take precedence (numbers, other forms,
/// expiration), raises the fault of a fault number, binds, and answers with a `SecretBindDTO`.
pub(super) async fn bind(context: &ActionContext<'_>, rules: BindRules) -> Answer {
    let request = BindRequest {
        carriers_down: context.carriers_down(),
        ..request(context, &rules)?
    };
    let fault = match context.fault_numbers {
        true => fault_of(request.a.number()),
        false => None,
    };
    match fault {
        Some(Fault::Code(code)) => return Err(code.into()),
        Some(Fault::LostBefore) => return Err(Failure::Unanswered),
        Some(Fault::Slow | Fault::LostBehind) | None => {}
    }
    let binding = context
        .submit_asking(Box::new(request), |bound| reserved(bound))
        .await?;
    match fault {
        Some(Fault::LostBehind) => return Err(Failure::Unanswered),
        Some(Fault::Slow) => sleep(fault_numbers::SLOW).await,
        Some(Fault::Code(_) | Fault::LostBefore) | None => {}
    }
    let dto = Object::new()
        .with("SecretNo", binding.x.reveal())
        .with("SubsId", binding.subs_id.to_string())
        .with("Extension", "");
    Ok(Object::new().with("SecretBindDTO", dto))
}

/// The binding where its carrier is asked whether it takes it.
fn reserved(binding: &Binding) -> Option<&Binding> {
    let phase = binding.provision.as_ref().map(|provision| provision.phase);
    (phase == Some(Phase::Reserved)).then_some(binding)
}

fn request(context: &ActionContext<'_>, rules: &BindRules) -> Result<BindRequest, Failure> {
    let parameters = context.parameters;
    let pool = context.pool()?.clone();
    let a = fields::party(parameters, "PhoneNoA")?;
    let b = fields::party(parameters, "PhoneNoB")?;
    let x = fields::number(parameters, "PhoneNoX")?;

    let ring_timeout_s = fields::integer(parameters, "CallTimeout", rules.ring_timeout_s.clone())?;
    fields::display_type(parameters)?;
    let restriction = fields::restriction(parameters)?.unwrap_or_default();
    let record = fields::flag(parameters, "IsRecordingEnabled")?.unwrap_or(false);
    let speech_recognition = fields::flag(parameters, "ASRStatus")?.unwrap_or(false);
    let city = fields::city(parameters, "ExpectCity")?;
    let extras = Extras {
        out_id: fields::text(parameters, "OutId")?,
        out_order_id: fields::text(parameters, "OutOrderId")?,
        ring_config: fields::ring_config(parameters)?,
        dtmf_config: match rules.product.takes_dtmf_config() {
            true => fields::dtmf_config(parameters)?,
            false => None,
        },
        speech_model: fields::text(parameters, "ASRModelId")?,
        extend: fields::text(parameters, "Extend")?,
    };
    let expires_at = fields::expiration(parameters)?.ok_or(BusinessCode::ExpireDateIllegal)?;

    let a = a.ok_or_else(|| illegal("PhoneNoA", "is needed"))?;
    Ok(BindRequest {
        b,
        x,
        city,
        restriction,
        record,
        speech_recognition,
        // Zero is in the range that the vendor's schema gives for AXB, and means none given.
        ring_timeout_s: ring_timeout_s
            .and_then(|seconds| u8::try_from(seconds).ok())
            .filter(|seconds| *seconds > 0),
        extras,
        ..BindRequest::new(pool, rules.product, a, expires_at)
    })
}
