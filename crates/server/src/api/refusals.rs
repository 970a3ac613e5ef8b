//! Which code a refusal of the domain has for the customer: the one table, without a wildcard, so
//! that a new refusal cannot be forgotten.

use maskline_domain::Refusal;

use super::errors::{BusinessCode, BusinessError, Failure, GatewayError};

/// The code of a refusal. The vendor publishes a list of codes but not when each is given; where the
/// meaning left a choice, the reason stands here.
#[must_use]
pub fn failure_of(refusal: Refusal) -> Failure {
    use BusinessCode as Code;
    let forbidden = |text: &'static str| BusinessError::new(Code::ForbiddenAction, text).into();
    let illegal = |text: &'static str| BusinessError::new(Code::IllegalArgument, text).into();
    match refusal {
        // The key was switched off or deleted between the check of the signature and the decision.
        Refusal::KeyInactive => GatewayError::AccessKeyInactive.into(),
        Refusal::PermissionDenied => Code::RamPermissionDeny.into(),
        Refusal::AccountUnknown => Code::AccountNotExists.into(),
        Refusal::AccountAbnormal => Code::AccountAbnormal.into(),
        Refusal::AccountInArrears => Code::OutOfService.into(),
        Refusal::CommunicationsNotOpened => Code::ProductUnSubscript.into(),
        Refusal::ProductNotOpened => Code::ProductUnsubscribe.into(),
        Refusal::PoolUnknown => Code::PoolKeyNotExists.into(),
        Refusal::PoolNotNamed => illegal("No pool is named, or the number type has none"),
        // Of the two codes for pools this one is about its owner.
        Refusal::PoolForeign => Code::PartnerNotExist.into(),
        Refusal::PoolClosed => Code::PartnerIsClosed.into(),
        // The published example of this code is createAxgGroup on a pool that is not AXG.
        Refusal::ProductMismatch => forbidden("The pool is of another product"),
        Refusal::NumberIllegal => Code::MobileNumberIllegal.into(),
        Refusal::BMissing => illegal("PhoneNoB is needed for this product"),
        Refusal::NumbersEqual => illegal("PhoneNoA, PhoneNoB and PhoneNoX must differ"),
        Refusal::ExpirationIllegal => Code::ExpireDateIllegal.into(),
        Refusal::NumberUnknown => Code::NoNotExist.into(),
        // Published: createSubs with an X that is not of this pool.
        Refusal::NumberElsewhere => forbidden("The X number is not in this pool"),
        Refusal::NumberLocked => forbidden("The X number is locked"),
        Refusal::NumberFrozen => forbidden("The X number is frozen"),
        Refusal::BindConflict => Code::BindConflict.into(),
        Refusal::NumberTaken => Code::NoUsedByOthers.into(),
        // No published code is about quotas; this one leaves it to the message.
        Refusal::BindingsFull => forbidden("The account has as many bindings as it may"),
        Refusal::NoNumberLeft => Code::NoAvailableNumber.into(),
        Refusal::BindingUnknown => Code::SubsNotExist.into(),
        Refusal::BindingOver => forbidden("The binding has expired"),
        Refusal::UpdateConflict => Code::UpdateConflict.into(),
        Refusal::CommandRepeated => GatewayError::NonceUsed.into(),
        Refusal::CommandsTooMany => GatewayError::ThrottledKey.into(),
        Refusal::CarrierRefused => Code::VendorBindFailed.into(),
        Refusal::CarrierUnclear => Code::UnknownErrCode.into(),
        Refusal::CarrierUnavailable => Code::VendorUnavailable.into(),
        // Only operators' commands are refused so; a customer's action never gives one.
        Refusal::Admin(_) => Code::SystemError.into(),
    }
}
