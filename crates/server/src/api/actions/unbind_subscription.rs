//! UnbindSubscription: ends a binding at once. Pool, id and X must belong together.
//!
//! ```text
//! POST /?Action=UnbindSubscription&PoolKey=FC12345&SubsId={SubsId}&SecretNo={SecretNo}
//!
//! {"RequestId":"986BCB6D-C9BF-42F9-91CE-3A9901233D36","Code":"OK","Message":"OK"}
//! ```
//!
//! The obsolete `ChargeId` of the answer is left out.

use maskline_domain::ops::Unbind;

use super::{ActionContext, Answer, fields};
use crate::api::errors::BusinessCode;
use crate::api::render::Object;

pub(super) async fn run(context: &ActionContext<'_>) -> Answer {
    let pool = context.pool()?.clone();
    // Here X is called SecretNo, not PhoneNoX.
    let x = fields::known_number(context.parameters, "SecretNo", BusinessCode::SubsNotExist)?;
    let subs_id = fields::subs_id(context.parameters)?;
    context.submit(Unbind { pool, subs_id, x }).await?;
    context.wake_carrier_of(subs_id).await;
    Ok(Object::new())
}
