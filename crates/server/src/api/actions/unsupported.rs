//! Actions of the vendor's list that are not served yet.
//!
//! They answer a business error, since the request itself is right: HTTP 200 and, of the published
//! codes, `isv.FORBIDDEN_ACTION`, the only one whose page says that its message tells more. An
//! unknown action answers the gateway's `InvalidAction.NotFound` instead, so that a customer can
//! tell a misspelt name from a feature to come.

use super::Answer;
use crate::api::errors::{BusinessCode, BusinessError};

pub(super) async fn run() -> Answer {
    let text = "This action is not supported yet";
    Err(BusinessError::new(BusinessCode::ForbiddenAction, text).into())
}
