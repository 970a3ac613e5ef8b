//! Readers of single parameters: text in, a value of the domain or the error that tells what is
//! wrong with it out. Absent and empty are the same.

use std::ops::RangeInclusive;

use maskline_domain::{City, Party, PhoneNumber, Restriction, RingConfig, SubsId, Timestamp};
use serde_json::{Map, Value};

use crate::api::errors::{BusinessCode, BusinessError};
use crate::api::params::Parameters;
use crate::api::values;

/// Longest free text (OutId, OutOrderId, Extend, ASRModelId), in bytes. The vendor states no bound.
const TEXT_BYTES_MAX: usize = 1024;
/// Longest DtmfConfig, in bytes.
const DTMF_CONFIG_BYTES_MAX: usize = 4096;
/// Longest city name, in bytes.
const CITY_BYTES_MAX: usize = 64;

type Field<T> = Result<T, BusinessError>;

/// A, B, or another number that may take part in a call: digits only, of a form that can be called.
pub(super) fn party(parameters: &Parameters, name: &str) -> Field<Option<Party>> {
    parameters
        .filled(name)
        .map(|text| Party::parse(text).ok_or_else(|| BusinessCode::MobileNumberIllegal.into()))
        .transpose()
}

/// An X number in a bind: digits only.
pub(super) fn number(parameters: &Parameters, name: &str) -> Field<Option<PhoneNumber>> {
    parameters
        .filled(name)
        .map(|text| PhoneNumber::parse(text).map_err(|_| BusinessCode::MobileNumberIllegal.into()))
        .transpose()
}

/// A number that should exist; other text names no number, so it is answered with `otherwise`.
pub(super) fn known_number(
    parameters: &Parameters,
    name: &str,
    otherwise: BusinessCode,
) -> Field<PhoneNumber> {
    parameters
        .filled(name)
        .and_then(|text| PhoneNumber::parse(text).ok())
        .ok_or_else(|| otherwise.into())
}

/// The id of a binding; other text names no binding.
pub(super) fn subs_id(parameters: &Parameters) -> Field<SubsId> {
    parameters
        .filled("SubsId")
        .and_then(SubsId::parse)
        .ok_or_else(|| BusinessCode::SubsNotExist.into())
}

/// `Expiration`, in one of the forms of [`values::expiration`]. Whether it is far enough ahead, the
/// domain says.
pub(super) fn expiration(parameters: &Parameters) -> Field<Option<Timestamp>> {
    parameters
        .filled("Expiration")
        .map(|text| values::expiration(text).ok_or_else(|| BusinessCode::ExpireDateIllegal.into()))
        .transpose()
}

/// A boolean, in one of the forms of [`values::flag`].
pub(super) fn flag(parameters: &Parameters, name: &'static str) -> Field<Option<bool>> {
    parameters
        .filled(name)
        .map(|text| values::flag(text).ok_or_else(|| illegal(name, "is neither true nor false")))
        .transpose()
}

/// A whole number within a range.
pub(super) fn integer(
    parameters: &Parameters,
    name: &'static str,
    range: RangeInclusive<i64>,
) -> Field<Option<i64>> {
    let Some(text) = parameters.filled(name) else {
        return Ok(None);
    };
    match text.parse::<i64>() {
        Ok(number) if range.contains(&number) => Ok(Some(number)),
        Ok(_) => Err(illegal(name, "is out of range")),
        Err(_) => Err(illegal(name, "is not a whole number")),
    }
}

/// `CallRestrict`. `CONTROL_CLEAR_DISABLE` is documented for updates only; customers' programs send
/// it when binding too, where it means none.
pub(super) fn restriction(parameters: &Parameters) -> Field<Option<Restriction>> {
    match parameters.filled("CallRestrict") {
        None => Ok(None),
        Some("CONTROL_AX_DISABLE") => Ok(Some(Restriction::AMayNotDial)),
        Some("CONTROL_BX_DISABLE") => Ok(Some(Restriction::OthersMayNotDial)),
        Some("CONTROL_CLEAR_DISABLE") => Ok(Some(Restriction::None)),
        Some(_) => Err(illegal("CallRestrict", "is none of the known values")),
    }
}

/// `CallDisplayType`: any whole number is accepted, and only 1, each side sees X, has an effect;
/// showing real numbers is switched off by the carriers.
pub(super) fn display_type(parameters: &Parameters) -> Field<Option<i64>> {
    integer(parameters, "CallDisplayType", i64::MIN..=i64::MAX)
}

/// Free text, bounded.
pub(super) fn text(parameters: &Parameters, name: &'static str) -> Field<Option<Box<str>>> {
    match parameters.filled(name) {
        Some(text) if text.len() > TEXT_BYTES_MAX => Err(illegal(name, "is too long")),
        text => Ok(text.map(Into::into)),
    }
}

/// `ExpectCity`, with or without the ending 市.
pub(super) fn city(parameters: &Parameters, name: &'static str) -> Field<Option<City>> {
    match parameters.filled(name) {
        Some(text) if text.len() > CITY_BYTES_MAX => Err(illegal(name, "is too long")),
        text => Ok(text.map(City::from_wire)),
    }
}

/// `RingConfig`: a JSON object of tone codes as strings by scene.
pub(super) fn ring_config(parameters: &Parameters) -> Field<Option<RingConfig>> {
    let text = parameters.filled("RingConfig");
    text.map(RingConfig::parse)
        .transpose()
        .map_err(|_| BusinessError::new(BusinessCode::InvalidParameters, "ringConfig invalid"))
}

/// `DtmfConfig`: a JSON object with the keys and bounds of the BindAxb page. It stays a text: nothing
/// reads it yet.
pub(super) fn dtmf_config(parameters: &Parameters) -> Field<Option<Box<str>>> {
    let Some(text) = parameters.filled("DtmfConfig") else {
        return Ok(None);
    };
    let members = (text.len() <= DTMF_CONFIG_BYTES_MAX)
        .then(|| serde_json::from_str::<Map<String, Value>>(text).ok())
        .flatten();
    let is_valid = members.is_some_and(|members| {
        members.iter().all(|(key, value)| match key.as_str() {
            "endCallIvrPhoneNo" => matches!(value.as_str(), Some("A" | "B")),
            "waitingDtmfTime" => is_at_most(value, 30),
            "maxLoop" => is_at_most(value, 5),
            "waitingEndCall" => is_at_most(value, 10),
            "validKey" | "step1File" | "step2File" => value.is_string(),
            _ => true,
        })
    });
    if is_valid {
        Ok(Some(text.into()))
    } else {
        let invalid = "dtmfConfig invalid";
        Err(BusinessError::new(BusinessCode::InvalidParameters, invalid))
    }
}

/// A number, or text that is one; clients write both.
fn is_at_most(value: &Value, most: u64) -> bool {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    number.is_some_and(|number| number <= most)
}

/// `isv.ILLEGAL_ARGUMENT` with the parameter's name; never with its value.
pub(super) fn illegal(name: &'static str, what: &'static str) -> BusinessError {
    BusinessError::new(BusinessCode::IllegalArgument, format!("{name} {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::params::Bounds;

    fn with(name: &str, value: &str) -> Parameters {
        let query = format!("{name}={}", crate::api::signature::encode(value));
        Parameters::parse(query.as_bytes(), b"", &Bounds::new(64 * 1024)).unwrap()
    }

    fn code<T>(field: Field<T>) -> Option<BusinessCode> {
        field.err().map(|error| error.code)
    }

    #[test]
    fn parties_are_digits_that_can_be_called() {
        let accepted = ["15000000000", "057112345678", "01012345678", "95123"];
        for text in accepted {
            let number = party(&with("PhoneNoA", text), "PhoneNoA").unwrap().unwrap();
            assert_eq!(number.number().reveal(), text);
        }
        let refused = [
            "0571-12345678",
            "+8615000000000",
            "150 0000 0000",
            "1500000000",
            "150000000000",
            "110",
            "１５０００００００００",
            "1500000000a",
        ];
        for text in refused {
            let field = party(&with("PhoneNoA", text), "PhoneNoA");
            assert_eq!(
                code(field),
                Some(BusinessCode::MobileNumberIllegal),
                "{text}"
            );
        }
        assert_eq!(party(&with("PhoneNoA", ""), "PhoneNoA"), Ok(None));
    }

    #[test]
    fn flags_are_read_in_any_case() {
        for (text, value) in [
            ("true", true),
            ("True", true),
            ("FALSE", false),
            ("false", false),
        ] {
            assert_eq!(flag(&with("ASRStatus", text), "ASRStatus"), Ok(Some(value)));
        }
        assert_eq!(flag(&with("ASRStatus", ""), "ASRStatus"), Ok(None));
        let field = flag(&with("ASRStatus", "yes"), "ASRStatus");
        assert_eq!(code(field), Some(BusinessCode::IllegalArgument));
    }

    #[test]
    fn integers_have_bounds() {
        let read = |text| integer(&with("CallTimeout", text), "CallTimeout", 5..=20);
        assert_eq!(read("5"), Ok(Some(5)));
        assert_eq!(read("20"), Ok(Some(20)));
        for text in ["4", "21", "5.0", "five", "99999999999999999999"] {
            assert_eq!(
                code(read(text)),
                Some(BusinessCode::IllegalArgument),
                "{text}"
            );
        }
    }

    #[test]
    fn configurations_are_json_objects_with_known_bounds() {
        let ring = |text| ring_config(&with("RingConfig", text));
        assert!(ring(r#"{"AXNRing_N":"100000001","AXNRing_A":"100000001"}"#).is_ok());
        for text in ["{", "[]", "1", r#"{"AXNRing_N":1}"#] {
            let error = ring(text).unwrap_err();
            assert_eq!(
                error,
                BusinessError::new(BusinessCode::InvalidParameters, "ringConfig invalid")
            );
        }
        let dtmf = |text| dtmf_config(&with("DtmfConfig", text));
        assert!(
            dtmf(
                r#"{"endCallIvrPhoneNo":"A","waitingDtmfTime":30,"maxLoop":"5","validKey":"1,2"}"#
            )
            .is_ok()
        );
        for text in [
            r#"{"waitingDtmfTime":31}"#,
            r#"{"maxLoop":"6"}"#,
            r#"{"endCallIvrPhoneNo":"C"}"#,
        ] {
            assert_eq!(
                code(dtmf(text)),
                Some(BusinessCode::InvalidParameters),
                "{text}"
            );
        }
    }

    #[test]
    fn free_text_is_bounded_by_bytes() {
        assert!(text(&with("OutId", &"客".repeat(341)), "OutId").is_ok());
        let field = text(&with("OutId", &"客".repeat(342)), "OutId");
        assert_eq!(code(field), Some(BusinessCode::IllegalArgument));
    }
}
