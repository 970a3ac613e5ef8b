//! The bodies of answers: success, business error, gateway error.

use super::Reply;
use super::actions::{Action, Answer, Family};
use super::errors::{BusinessError, Failure, GatewayError, Language};
use super::render::{Format, Object, render};
use super::request::{Incoming, host_id};

/// The answer to a request that could be read. An action is there unless the failure is one of the
/// gateway; `page` is the page about errors, or empty.
pub(super) fn reply(
    request_id: String,
    incoming: &Incoming,
    action: Option<&'static Action>,
    answer: &Answer,
    language: Language,
    page: &str,
) -> Reply {
    let format = incoming.format();
    let gateway_error =
        |error| gateway_error(request_id.clone(), format, Some(incoming), error, page);
    let (action, members) = match (action, answer) {
        (_, Err(Failure::Gateway(error))) => return gateway_error(error),
        (_, Err(Failure::Unanswered)) => {
            return Reply {
                is_lost: true,
                ..gateway_error(&GatewayError::Internal)
            };
        }
        (None, _) => return gateway_error(&GatewayError::Internal),
        (Some(action), Ok(payload)) => {
            let members = success(request_id.clone(), action.family, payload);
            (action, members)
        }
        (Some(action), Err(Failure::Business(error))) => {
            let id = request_id.clone();
            (action, business_error(id, action.family, error, language))
        }
    };
    Reply {
        request_id,
        status: 200,
        content_type: format.content_type(),
        body: render(format, &format!("{}Response", action.name), &members),
        is_lost: false,
    }
}

/// Official programs compare `Code` with the word of the family; the newest samples have `OK` as
/// `Message` everywhere. Those of waybills test `HttpStatusCode` and the `Success` in `Data`.
fn success(request_id: String, family: Family, payload: &Object) -> Object {
    let payload = payload.clone();
    let members = Object::new().with("RequestId", request_id);
    let done = |members: Object, code: &'static str| members.with("Code", code).with("Message", OK);
    let flagged = |members, code| done(members, code).with("Success", true);
    // What is told once more in `Data`.
    let outcome = |code| flagged(Object::new(), code).and(payload.clone());
    match family {
        Family::Common => done(members, OK).and(payload),
        Family::WithSuccess => flagged(members, OK).and(payload),
        Family::WorkNumber => flagged(members, WORK_NUMBER_OK).and(payload),
        Family::WorkNumberOutcome => {
            flagged(members, WORK_NUMBER_OK).with("Data", outcome(WORK_NUMBER_OK))
        }
        Family::Landline => flagged(members, LANDLINE_OK).and(payload),
        Family::LandlineOutcome => flagged(members, LANDLINE_OK).with("Data", outcome(LANDLINE_OK)),
        Family::LandlineExtension => done(members, LANDLINE_OK)
            .with("Success", "true")
            .and(payload),
        Family::Waybill => members
            .with("HttpStatusCode", WAYBILL_DONE)
            .with("Message", OK)
            .with("Data", payload.with("Success", "true")),
        Family::WaybillQuery => members
            .with("HttpStatusCode", WAYBILL_DONE)
            .with("Message", OK)
            .with(
                "Data",
                done(Object::new(), OK).and(payload).with("Success", true),
            ),
        Family::WaybillCancel => {
            let data = Object::new().with("Message", OK).and(payload);
            done(members, OK).with("Data", data.with("Success", true))
        }
    }
}

/// `Code` of a success, and `Message` of every one.
const OK: &str = "OK";
/// `Code` of a success of the work numbers.
const WORK_NUMBER_OK: &str = "0000";
/// `Code` of a success of the landlines.
const LANDLINE_OK: &str = "0";

/// The `HttpStatusCode` member of a waybill that was taken.
const WAYBILL_DONE: i64 = 200;

fn business_error(
    request_id: String,
    family: Family,
    error: &BusinessError,
    language: Language,
) -> Object {
    let code = error.code.code();
    let message = error.message(language).to_owned();
    let members = Object::new().with("RequestId", request_id);
    let common = |members: Object, message| members.with("Code", code).with("Message", message);
    match family {
        Family::Common => common(members, message),
        Family::WithSuccess
        | Family::WorkNumber
        | Family::WorkNumberOutcome
        | Family::Landline
        | Family::LandlineOutcome => common(members, message).with("Success", false),
        Family::LandlineExtension => common(members, message).with("Success", "false"),
        Family::WaybillCancel => common(members, message.clone())
            .with("Data", waybill_data(code, message).with("Success", false)),
        Family::Waybill => members
            .with("HttpStatusCode", WAYBILL_REFUSED)
            .with("Message", message.clone())
            .with("Data", waybill_data(code, message).with("Success", "false")),
        Family::WaybillQuery => members
            .with("HttpStatusCode", WAYBILL_REFUSED)
            .with("Message", message.clone())
            .with("Data", waybill_data(code, message).with("Success", false)),
    }
}

/// The `HttpStatusCode` member of a refused waybill; programs test it for 200, though the answer
/// itself travels with HTTP 200.
const WAYBILL_REFUSED: i64 = 403;

fn waybill_data(code: &'static str, message: String) -> Object {
    Object::new()
        .with("ErrorCode", code)
        .with("ErrorMsg", message)
}

/// An error of the gateway; `incoming` is the request, where it could be read, and `page` the page
/// about errors, or empty.
pub(super) fn gateway_error(
    request_id: String,
    format: Format,
    incoming: Option<&Incoming>,
    error: &GatewayError,
    page: &str,
) -> Reply {
    let host = incoming.map_or("maskline".into(), |incoming| host_id(incoming.headers()));
    // Go v1 panics when a member of an error is no string, so there always is one.
    let recommend = if page.is_empty() {
        String::new()
    } else {
        format!("{page}#{}", error.anchor())
    };
    let members = Object::new()
        .with("RequestId", request_id.clone())
        .with("HostId", host)
        .with("Code", error.code())
        .with("Message", error.message())
        .with("Recommend", recommend);
    Reply {
        request_id,
        status: error.status(),
        content_type: format.content_type(),
        body: render(format, "Error", &members),
        is_lost: false,
    }
}

/// A random UUID in upper case.
pub(super) fn request_id() -> String {
    let mut buffer = uuid::Uuid::encode_buffer();
    uuid::Uuid::new_v4()
        .hyphenated()
        .encode_upper(&mut buffer)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::actions;
    use crate::api::errors::BusinessCode;

    fn json(family: Family, language: Language) -> serde_json::Value {
        let error = BusinessCode::ExpireDateIllegal.into();
        let members = business_error(request_id(), family, &error, language);
        serde_json::from_slice(&render(Format::Json, "", &members)).unwrap()
    }

    #[test]
    fn each_family_tells_an_error_in_its_own_shape() {
        let common = json(Family::Common, Language::Chinese);
        assert_eq!(common["Code"], "isv.EXPIRE_DATE_ILLEGAL");
        assert_eq!(common["Message"], "过期时间非法");
        assert!(common.get("Success").is_none());
        assert_eq!(
            json(Family::WithSuccess, Language::English)["Success"],
            false
        );
        assert_eq!(
            json(Family::LandlineExtension, Language::English)["Success"],
            "false"
        );
        let waybill = json(Family::Waybill, Language::English);
        assert!(waybill.get("Code").is_none());
        assert_eq!(waybill["Data"]["ErrorCode"], "isv.EXPIRE_DATE_ILLEGAL");
        assert_eq!(waybill["Data"]["Success"], "false");
        assert_eq!(
            json(Family::WaybillQuery, Language::English)["Data"]["Success"],
            false
        );
    }

    #[test]
    fn each_family_tells_a_success_in_its_own_shape() {
        let payload = Object::new().with("MailNo", "SF1");
        let json = |family| -> serde_json::Value {
            let members = success("ID".to_owned(), family, &payload);
            serde_json::from_slice(&render(Format::Json, "", &members)).unwrap()
        };
        let rows = [
            (
                "BindAxn",
                r#"{"RequestId":"ID","Code":"OK","Message":"OK","MailNo":"SF1"}"#,
            ),
            (
                "CreatePhoneNoAReport",
                r#"{"RequestId":"ID","Code":"OK","Message":"OK","Success":true,"MailNo":"SF1"}"#,
            ),
            (
                "BindAxb700",
                r#"{"RequestId":"ID","Code":"OK","Message":"OK","Success":true,"MailNo":"SF1"}"#,
            ),
            (
                "BindXB",
                r#"{"RequestId":"ID","Code":"0000","Message":"OK","Success":true,"MailNo":"SF1"}"#,
            ),
            (
                "ConfigX",
                r#"{"RequestId":"ID","Code":"0000","Message":"OK","Success":true,"Data":{"Code":"0000","Message":"OK","Success":true,"MailNo":"SF1"}}"#,
            ),
            (
                "QueryAxnBindFixedLine",
                r#"{"RequestId":"ID","Code":"0","Message":"OK","Success":true,"MailNo":"SF1"}"#,
            ),
            (
                "DeleteAxbBindFixedLine",
                r#"{"RequestId":"ID","Code":"0","Message":"OK","Success":true,"Data":{"Code":"0","Message":"OK","Success":true,"MailNo":"SF1"}}"#,
            ),
            (
                "BindAxnExtensionFixedLine",
                r#"{"RequestId":"ID","Code":"0","Message":"OK","Success":"true","MailNo":"SF1"}"#,
            ),
            (
                "CreatePickUpWaybill",
                r#"{"RequestId":"ID","HttpStatusCode":200,"Message":"OK","Data":{"MailNo":"SF1","Success":"true"}}"#,
            ),
            (
                "CreatePickUpWaybillPreQuery",
                r#"{"RequestId":"ID","HttpStatusCode":200,"Message":"OK","Data":{"Code":"OK","Message":"OK","MailNo":"SF1","Success":true}}"#,
            ),
            (
                "CancelPickUpWaybill",
                r#"{"RequestId":"ID","Code":"OK","Message":"OK","Data":{"Message":"OK","MailNo":"SF1","Success":true}}"#,
            ),
        ];
        for (action, expected) in rows {
            let family = actions::find(action).expect("one of the table").family;
            let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
            assert_eq!(json(family), expected, "{action}");
        }
    }

    #[test]
    fn request_ids_are_upper_case_and_differ() {
        let id = request_id();
        assert_eq!(id.len(), 36);
        assert!(
            id.bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F' | b'-')),
            "{id}"
        );
        assert_ne!(id, request_id());
    }
}
