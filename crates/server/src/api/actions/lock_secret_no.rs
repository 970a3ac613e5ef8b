//! LockSecretNo: takes an X out of selection; bindings on it go on.
//!
//! ```text
//! POST /?Action=LockSecretNo&PoolKey=FC12345&SecretNo=17000000000
//!
//! {"RequestId":"986BCB6D-C9BF-42F9-91CE-3A9901233D36","Code":"OK","Message":"OK"}
//! ```

use maskline_domain::ops::Lock;

use super::{ActionContext, Answer, fields};
use crate::api::errors::BusinessCode;
use crate::api::render::Object;

pub(super) async fn run(context: &ActionContext<'_>) -> Answer {
    let pool = context.pool()?.clone();
    let x = fields::known_number(context.parameters, "SecretNo", BusinessCode::NoNotExist)?;
    context.submit(Lock { pool, x }).await?;
    Ok(Object::new())
}
