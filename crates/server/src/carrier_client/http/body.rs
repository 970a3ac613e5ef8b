//! What a request says, in JSON.

use maskline_domain::Timestamp;
use maskline_domain::provisioning::{Operation, Request};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The latest moment that RFC 3339 can write, in milliseconds.
const LATEST_MS: i64 = 253_402_300_799_000;

#[derive(Serialize)]
struct Asked<'a> {
    op: &'static str,
    subs_id: String,
    revision: u32,
    fence: u64,
    x: String,
    #[serde(flatten)]
    terms: Option<TermsThere<'a>>,
}

#[derive(Serialize)]
struct TermsThere<'a> {
    pool: &'a str,
    product: String,
    a: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    b: Option<String>,
    expires_at: String,
}

#[derive(Serialize)]
struct Query<'a> {
    op: &'static str,
    after: Option<&'a str>,
    limit: u16,
}

/// The body of a request about a binding. The same request has the same body.
pub(super) fn of_request(request: &Request) -> Vec<u8> {
    let terms = match &request.operation {
        Operation::Bind(terms) | Operation::Update(terms) => Some(TermsThere {
            pool: terms.pool.as_str(),
            product: terms.product.name().to_uppercase(),
            a: terms.a.reveal(),
            b: terms.b.map(|b| b.reveal()),
            expires_at: moment(terms.expires_at),
        }),
        Operation::Unbind => None,
    };
    written(&Asked {
        op: request.operation.name(),
        subs_id: request.subs_id.to_string(),
        revision: request.revision,
        fence: request.fence,
        x: request.x.reveal(),
        terms,
    })
}

/// The body of a question for what is held.
pub(super) fn of_query(after: Option<&str>, limit: u16) -> Vec<u8> {
    written(&Query {
        op: "query",
        after,
        limit,
    })
}

fn written(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("texts and numbers can be written")
}

fn moment(at: Timestamp) -> String {
    let ms = at.millis().clamp(0, LATEST_MS);
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .expect("a moment between 1970 and 9999 has a form")
}

#[cfg(test)]
mod tests {
    use super::*;
    use maskline_domain::provisioning::Terms;
    use maskline_domain::{PhoneNumber, PoolKey, Product, SubsId};

    fn digits(text: &str) -> PhoneNumber {
        PhoneNumber::parse(text).expect("digits")
    }

    #[test]
    fn bodies_are_those_of_the_protocol() {
        let terms = |b: Option<&str>, ms| Terms {
            pool: PoolKey::new("FC100"),
            product: Product::Axn,
            a: digits("13800138000"),
            b: b.map(digits),
            expires_at: Timestamp(ms),
        };
        let request = |revision, operation| Request {
            subs_id: SubsId(1_788_000_000_000_000),
            revision,
            fence: 1_788_000_000_000_001,
            x: digits("17000000001"),
            operation,
        };
        let whole_second = 1_796_040_000_000;
        for (request, body) in [
            (
                request(1, Operation::Bind(terms(Some("02188887777"), whole_second))),
                r#"{"op":"bind","subs_id":"1788000000000000","revision":1,"fence":1788000000000001,"x":"17000000001","pool":"FC100","product":"AXN","a":"13800138000","b":"02188887777","expires_at":"2026-11-30T12:00:00Z"}"#,
            ),
            (
                request(2, Operation::Update(terms(None, whole_second + 7))),
                r#"{"op":"update","subs_id":"1788000000000000","revision":2,"fence":1788000000000001,"x":"17000000001","pool":"FC100","product":"AXN","a":"13800138000","expires_at":"2026-11-30T12:00:00.007Z"}"#,
            ),
            (
                request(3, Operation::Unbind),
                r#"{"op":"unbind","subs_id":"1788000000000000","revision":3,"fence":1788000000000001,"x":"17000000001"}"#,
            ),
        ] {
            assert_eq!(String::from_utf8(of_request(&request)).as_deref(), Ok(body));
        }
        let query = |after| String::from_utf8(of_query(after, 500)).expect("text");
        assert_eq!(query(None), r#"{"op":"query","after":null,"limit":500}"#);
        assert_eq!(
            query(Some("a\"b")),
            r#"{"op":"query","after":"a\"b","limit":500}"#
        );
        for (at, text) in [
            (i64::MIN, "1970-01-01T00:00:00Z"),
            (i64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(moment(Timestamp(at)), text);
        }
    }
}
