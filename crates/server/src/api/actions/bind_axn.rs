//! BindAxn: binds A to an X that anyone (N) can dial. A dialling X reaches the default B; without
//! B, A hears that the number is vacant. Published pages: "AXN绑定接口", "BindAxn - AXN隐私号-号码绑定".
//!
//! ```text
//! POST /?Action=BindAxn&PoolKey=FC12345&PhoneNoA=15000000000&PhoneNoB=15800000000&PhoneNoX=17000000000&ExpectCity=%E5%8C%97%E4%BA%AC&Expiration=2030-09-05%2012%3A00%3A00&IsRecordingEnabled=true&OutId=abcdef
//!
//! {"RequestId":"F655A8D5-B967-440B-8683-DAD6FF8DE990","Code":"OK","Message":"OK","SecretBindDTO":{"SecretNo":"17000000000","SubsId":"1000085060515673","Extension":""}}
//! ```

use maskline_domain::Product;

use super::bind::{BindRules, bind};
use super::{ActionContext, Answer};

/// `CallTimeout` of the schema: 5 to 20 seconds.
pub(super) async fn run(context: &ActionContext<'_>) -> Answer {
    bind(
        context,
        BindRules {
            product: Product::Axn,
            ring_timeout_s: 5..=20,
        },
    )
    .await
}
