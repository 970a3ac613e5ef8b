//! UnlockSecretNo: makes a locked X selectable again.
//!
//! ```text
//! POST /?Action=UnlockSecretNo&PoolKey=FC12345&SecretNo=17000000000
//!
//! {"RequestId":"986BCB6D-C9BF-42F9-91CE-3A9901233D36","Code":"OK","Message":"OK"}
//! ```

use maskline_domain::ops::Unlock;

use super::{ActionContext, Answer, fields};
use crate::api::errors::BusinessCode;
use crate::api::render::Object;

pub(super) async fn run(context: &ActionContext<'_>) -> Answer {
    let pool = context.pool()?.clone();
    let x = fields::known_number(context.parameters, "SecretNo", BusinessCode::NoNotExist)?;
    context.submit(Unlock { pool, x }).await?;
    Ok(Object::new())
}
