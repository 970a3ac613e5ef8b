//! QuerySecretNoDetail: the attributes of an X in one of the customer's pools.
//!
//! ```text
//! POST /?Action=QuerySecretNoDetail&PoolKey=FC12345&SecretNo=17000000000
//!
//! {"RequestId":"066E6E47-04CB-4774-A976-4F73CB76D4A3","Code":"OK","Message":"OK","SecretNoInfoDTO":{"Province":"四川","City":"成都","Vendor":1,"SecretStatus":0,"CertifyStatus":0,"PurchaseTime":"2021-12-03 15:19:27"}}
//! ```

use maskline_domain::{Number, NumberCarrier, NumberStatus};

use super::{ActionContext, Answer, fields};
use crate::api::errors::BusinessCode;
use crate::api::render::Object;
use crate::ledger::Touch;

pub(super) async fn run(context: &ActionContext<'_>) -> Answer {
    let x = fields::known_number(context.parameters, "SecretNo", BusinessCode::NoNotExist)?;
    let found = context.read(Touch::Number(x), |state, now| {
        context
            .owns(state, x)
            .then(|| state.number(x).zip(state.number_status(x, now)))
            .flatten()
    });
    let (number, status) = found.await?.ok_or(BusinessCode::NoNotExist)?;
    Ok(Object::new().with("SecretNoInfoDTO", info(&number, status)))
}

fn info(number: &Number, status: NumberStatus) -> Object {
    let class = &number.class;
    let vendor = match class.carrier {
        NumberCarrier::Mobile => 1,
        NumberCarrier::Unicom => 2,
        NumberCarrier::Telecom => 3,
    };
    let status = match status {
        NumberStatus::Free => 0,
        NumberStatus::Bound => 1,
        NumberStatus::Locked => 2,
        NumberStatus::Frozen => 3,
    };
    Object::new()
        .with("Province", class.province.to_string())
        .with("City", class.city.as_str().to_owned())
        .with("Vendor", vendor)
        .with("SecretStatus", status)
        .with("CertifyStatus", i64::from(class.certified))
        .with("PurchaseTime", class.purchased_at.format_china())
}
