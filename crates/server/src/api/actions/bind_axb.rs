//! BindAxb: binds A and B, and nobody else, through X. One X may carry many pairs whose numbers do
//! not repeat. Published page: "AXB绑定接口".
//!
//! ```text
//! POST /?Action=BindAxb&PoolKey=FC12346&PhoneNoA=15000000000&PhoneNoB=15800000000&PhoneNoX=17000000100&Expiration=2030-09-05%2012%3A00%3A00&IsRecordingEnabled=true&OutId=abcdef
//!
//! {"RequestId":"F655A8D5-B967-440B-8683-DAD6FF8DE990","Code":"OK","Message":"OK","SecretBindDTO":{"SecretNo":"17000000100","SubsId":"1000085060515674","Extension":""}}
//! ```

use maskline_domain::Product;

use super::bind::{BindRules, bind};
use super::{ActionContext, Answer};

/// `CallTimeout`: the text says 5 to 20 seconds, the schema 0 to 180; the wider one is accepted.
pub(super) async fn run(context: &ActionContext<'_>) -> Answer {
    bind(
        context,
        BindRules {
            product: Product::Axb,
            ring_timeout_s: 0..=180,
        },
    )
    .await
}
