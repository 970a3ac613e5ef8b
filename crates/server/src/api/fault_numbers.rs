//! Numbers of A that make a bind fail on purpose, so that a customer's own tests can meet every error.
//!
//! They begin with `179`, as the access codes of IP telephony do (179XX), so that in China's numbering plan no
//! subscriber's mobile can; and they have the form of a mobile, so that programs which check it let them through.
//! Nothing is raised unless `api.fault_numbers` is set, or in the demo. `docs/fault-numbers.md` lists the same.

use std::time::Duration;

use maskline_domain::PhoneNumber;

use super::errors::BusinessCode;
use BusinessCode as Code;

/// How long a slow answer takes: longer than the three seconds after which the vendor's client for Node.js gives up.
pub const SLOW: Duration = Duration::from_secs(4);

/// What a bind of a fault number meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This code, and nothing is done.
    Code(BusinessCode),
    /// It is done, and answered after [`SLOW`].
    Slow,
    /// It is done, and the connection ends without an answer.
    LostBehind,
    /// Nothing is done, and the connection ends without an answer.
    LostBefore,
}

impl Fault {
    /// The code of the answer; none where no answer comes.
    pub fn code(self) -> Option<&'static str> {
        match self {
            Self::Code(code) => Some(code.code()),
            Self::Slow => Some("OK"),
            Self::LostBehind | Self::LostBefore => None,
        }
    }

    /// Whether the bind is done.
    pub fn binds(self) -> bool {
        match self {
            Self::Slow | Self::LostBehind => true,
            Self::Code(_) | Self::LostBefore => false,
        }
    }

    /// What happens, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Code(_) => "nothing is bound",
            Self::Slow => "it is bound, and the answer comes after 4 seconds",
            Self::LostBehind => "it is bound, and the connection ends without an answer",
            Self::LostBefore => "nothing is bound, and the connection ends without an answer",
        }
    }
}

/// Every fault number: the codes of the vendor's first published list in its order, and what is no code.
pub const FAULT_NUMBERS: [(&str, Fault); 25] = [
    ("17900000001", Fault::Code(Code::RamPermissionDeny)),
    ("17900000002", Fault::Code(Code::OutOfService)),
    ("17900000003", Fault::Code(Code::ProductUnSubscript)),
    ("17900000004", Fault::Code(Code::ProductUnsubscribe)),
    ("17900000005", Fault::Code(Code::AccountNotExists)),
    ("17900000006", Fault::Code(Code::AccountAbnormal)),
    ("17900000007", Fault::Code(Code::SystemError)),
    ("17900000008", Fault::Code(Code::UnknownErrCode)),
    ("17900000009", Fault::Code(Code::PartnerNotExist)),
    ("17900000010", Fault::Code(Code::NoNotExist)),
    ("17900000011", Fault::Code(Code::IllegalArgument)),
    ("17900000012", Fault::Code(Code::DaoException)),
    ("17900000013", Fault::Code(Code::NoAvailableNumber)),
    ("17900000014", Fault::Code(Code::VendorUnavailable)),
    ("17900000015", Fault::Code(Code::FlowLimit)),
    ("17900000016", Fault::Code(Code::PartnerIsClosed)),
    ("17900000017", Fault::Code(Code::ForbiddenAction)),
    ("17900000018", Fault::Code(Code::NoUsedByOthers)),
    ("17900000019", Fault::Code(Code::VendorBindFailed)),
    ("17900000020", Fault::Code(Code::ExpireDateIllegal)),
    ("17900000021", Fault::Code(Code::MobileNumberIllegal)),
    ("17900000022", Fault::Code(Code::BindConflict)),
    ("17900000100", Fault::Slow),
    ("17900000101", Fault::LostBehind),
    ("17900000102", Fault::LostBefore),
];

/// What a bind of this A meets, if it is a fault number.
#[must_use]
pub fn fault_of(a: PhoneNumber) -> Option<Fault> {
    let digits = a.reveal();
    let found = FAULT_NUMBERS.iter().find(|(number, _)| *number == digits);
    found.map(|(_, fault)| *fault)
}

#[cfg(test)]
mod tests {
    use super::*;
    use maskline_domain::Party;

    #[test]
    fn every_fault_number_may_be_a_party_and_the_codes_are_those_of_the_first_list() {
        let mut codes = Vec::new();
        for (digits, fault) in FAULT_NUMBERS {
            let party = Party::parse(digits).expect("the form of a party");
            assert_eq!(fault_of(party.number()), Some(fault), "{digits}");
            assert!(digits.starts_with("1790000"), "{digits}");
            if let Fault::Code(code) = fault {
                codes.push(code);
                assert_eq!(digits[7..].parse(), Ok(codes.len()), "{digits}");
            }
        }
        assert_eq!(codes, BusinessCode::ALL[..22]);
        for digits in ["17900000000", "17900000023", "1790000001", "15000000000"] {
            let number = PhoneNumber::parse(digits).expect("digits");
            assert_eq!(fault_of(number), None, "{digits}");
        }
    }
}
