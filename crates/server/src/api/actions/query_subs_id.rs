//! QuerySubsId: the ids of the bindings in force on an X.
//!
//! ```text
//! POST /?Action=QuerySubsId&PoolKey=FC12345&PhoneNoX={SecretNo}
//!
//! {"RequestId":"E7F99446-8191-43C0-99B5-F58A6AEAD779","Code":"OK","Message":"OK","SubsId":"1000085060515673"}
//! ```
//!
//! An X with several bindings gives several ids in one string; the separator is published nowhere,
//! and is a comma here. An X without any gives no `SubsId` member.

use super::{ActionContext, Answer, fields};
use crate::api::errors::BusinessCode;
use crate::api::render::Object;
use crate::ledger::Touch;

pub(super) async fn run(context: &ActionContext<'_>) -> Answer {
    let x = fields::known_number(context.parameters, "PhoneNoX", BusinessCode::NoNotExist)?;
    let ids = context.read(Touch::Number(x), |state, now| {
        context.owns(state, x).then(|| {
            let live = state
                .bindings_on(x)
                .into_iter()
                .filter(|binding| binding.is_in_force(now));
            live.map(|binding| binding.subs_id.to_string())
                .collect::<Vec<_>>()
        })
    });
    let ids = ids.await?.ok_or(BusinessCode::NoNotExist)?;
    let ids = (!ids.is_empty()).then(|| ids.join(","));
    Ok(Object::new().with_some("SubsId", ids))
}
