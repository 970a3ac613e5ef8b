//! What can be asked: the table of all actions, and what a handler gets and gives.
//!
//! An action is a file in `actions/` and a line in [`ACTIONS`]. Dispatch, the names of permissions
//! (`dypls:` and the action's name), metrics and documentation follow from the table.

mod bind;
mod bind_axb;
mod bind_axn;
mod fields;
mod lock_secret_no;
mod query_secret_no_detail;
mod query_secret_no_remain;
mod query_subs_id;
mod query_subscription_detail;
mod unbind_subscription;
mod unlock_secret_no;
mod unsupported;
mod update_subscription;

use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use maskline_domain::{
    AccessKeyId, AccountId, Actor, Binding, CarrierName, CommandId, CommandKey, Envelope,
    PhoneNumber, PoolKey, PoolRef, State, SubsId, Timestamp, TypedCommand,
};
use maskline_store::records::history::Past;

use super::errors::{BusinessCode, BusinessError, Failure};
use super::params::Parameters;
use super::refusals::failure_of;
use super::render::Object;
use crate::carriers::{Carriers, Failed};
use crate::ledger::{Ledger, ReadError, SubmitError, Touch};

/// Every action of the vendor's list, the removed ones too.
///
/// Columns: name, kind, required parameters, where the pool stands, published requests a second of
/// one account, handler. Which parameters are required is the vendor's marking; others may be needed
/// in combination, which the handler tells as a business error.
#[rustfmt::skip]
pub const ACTIONS: &[Action] = &[
    action("BindAxn", Kind::Change, &["PhoneNoA", "Expiration"], PoolBy::KeyOr("NoType"), Some(5_000), |context| Box::pin(bind_axn::run(context))),
    action("BindAxb", Kind::Change, &["PhoneNoA", "Expiration"], PoolBy::KeyOr("NoType"), Some(5_000), |context| Box::pin(bind_axb::run(context))),
    action("UnbindSubscription", Kind::Change, &["SubsId", "SecretNo"], PoolBy::KeyOr("ProductType"), None, |context| Box::pin(unbind_subscription::run(context))),
    action("UpdateSubscription", Kind::Change, &["OperateType", "PhoneNoX", "SubsId"], PoolBy::KeyOr("ProductType"), Some(10_000), |context| Box::pin(update_subscription::run(context))),
    action("QuerySubscriptionDetail", Kind::Read, &["PhoneNoX", "SubsId"], PoolBy::KeyOr("ProductType"), Some(5_000), |context| Box::pin(query_subscription_detail::run(context))),
    action("QuerySubsId", Kind::Read, &["PhoneNoX"], PoolBy::KeyOrX("PhoneNoX"), None, |context| Box::pin(query_subs_id::run(context))),
    action("QuerySecretNoDetail", Kind::Read, &["PoolKey", "SecretNo"], PoolBy::Key, Some(1_000), |context| Box::pin(query_secret_no_detail::run(context))),
    action("QuerySecretNoRemain", Kind::Read, &["City", "SpecId"], PoolBy::Nothing, None, |context| Box::pin(query_secret_no_remain::run(context))),
    action("LockSecretNo", Kind::Change, &["PoolKey", "SecretNo"], PoolBy::Key, Some(500), |context| Box::pin(lock_secret_no::run(context))),
    action("UnlockSecretNo", Kind::Change, &["PoolKey", "SecretNo"], PoolBy::Key, Some(500), |context| Box::pin(unlock_secret_no::run(context))),

    unsupported("BindAxnExtension", Family::Common, Some(5_000)),
    unsupported("BindAxg", Family::Common, Some(5_000)),
    unsupported("BindBatchAxg", Family::Common, None),
    unsupported("BuySecretNo", Family::Common, None),
    unsupported("ReleaseSecretNo", Family::Common, None),
    unsupported("OperateBlackNo", Family::Common, Some(1_000)),
    unsupported("AddSecretBlacklist", Family::Common, Some(100)),
    unsupported("DeleteSecretBlacklist", Family::Common, Some(100)),
    unsupported("CreateAxgGroup", Family::Common, None),
    unsupported("OperateAxgGroup", Family::Common, Some(5_000)),
    unsupported("DeleteAxgGroup", Family::Common, None),
    unsupported("QueryRecordFileDownloadUrl", Family::Common, None),
    unsupported("GetTotalPublicUrl", Family::Common, Some(1_000)),
    unsupported("GetSecretAsrDetail", Family::Common, Some(100)),
    unsupported("AddAxnTrackNo", Family::Common, Some(5_000)),
    unsupported("QueryPhoneNoAByTrackNo", Family::Common, Some(5_000)),
    unsupported("CreatePickUpWaybillPreQuery", Family::WaybillQuery, Some(100)),
    unsupported("CreatePickUpWaybill", Family::Waybill, Some(100)),
    unsupported("CancelPickUpWaybill", Family::WaybillCancel, Some(100)),

    unsupported("GetDyplsOSSInfoForUploadFile", Family::WithSuccess, None),
    unsupported("CreatePhoneNoAReport", Family::WithSuccess, None),
    unsupported("CreateFixedNoAReport", Family::WithSuccess, None),
    unsupported("QuerySecretAPhoneNoToCust", Family::WithSuccess, None),
    unsupported("DeleteSecretAPhoneNoToCust", Family::WithSuccess, None),

    unsupported("BindXB", Family::WorkNumber, None),
    unsupported("UnBindXB", Family::WorkNumberOutcome, None),
    unsupported("BindAXBCall", Family::WorkNumber, None),
    unsupported("UnBindAXB", Family::WorkNumberOutcome, None),
    unsupported("ConfigX", Family::WorkNumberOutcome, None),
    unsupported("GetXConfig", Family::WorkNumber, None),
    unsupported("GetXDefaultConfig", Family::WorkNumber, None),
    unsupported("ListXTelephones", Family::WorkNumber, None),
    unsupported("CreateSmsSign", Family::WorkNumber, None),
    unsupported("QuerySoundRecord", Family::WorkNumber, None),

    unsupported("BindAxb700", Family::WithSuccess, None),
    unsupported("BindGxb700", Family::WithSuccess, None),
    unsupported("UpdateSubs700", Family::WithSuccess, None),
    unsupported("UnbindSubs700", Family::WithSuccess, None),

    unsupported("BindAxbFixedLine", Family::Landline, None),
    unsupported("UpdateAxbBindFixedLine", Family::LandlineOutcome, None),
    unsupported("DeleteAxbBindFixedLine", Family::LandlineOutcome, None),
    unsupported("QueryAxbBindFixedLine", Family::Landline, None),
    unsupported("BindAxnFixedLine", Family::Landline, None),
    unsupported("UpdateAxnBindFixedLine", Family::LandlineOutcome, None),
    unsupported("DeleteAxnBindFixedLine", Family::LandlineOutcome, None),
    unsupported("QueryAxnBindFixedLine", Family::Landline, None),
    unsupported("BindAxnExtensionFixedLine", Family::LandlineExtension, None),
    unsupported("UpdateAxnExtensionBindFixedLine", Family::LandlineOutcome, None),
    unsupported("DeleteAxnExtensionBindFixedLine", Family::LandlineOutcome, None),
    unsupported("QueryAxnExtensionBindFixedLine", Family::Landline, None),

    unsupported("QueryCallStatus", Family::Common, None),
    unsupported("ConfirmSendSms", Family::Common, None),
    unsupported("CreateSubscription", Family::Common, None),
    unsupported("GetSubscriptionDetail", Family::Common, None),
    unsupported("UpdatePhoneNumber", Family::Common, None),
    unsupported("UpdateDefaultB", Family::Common, None),
    unsupported("UpdatePhoneSwitch", Family::Common, None),
    unsupported("InitFaceVerify", Family::Common, None),
    unsupported("GetFaceVerify", Family::Common, None),
];

/// What stands before the name of an action in the name of its permission.
pub(super) const PERMISSION_PREFIX: &str = "dypls:";

/// Whether an action changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It looks at the state.
    Read,
    /// It gives a command to the ledger.
    Change,
}

/// Where a request names its pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolBy {
    /// It has no pool.
    Nothing,
    /// `PoolKey`, which is required.
    Key,
    /// `PoolKey`, or else the pool of the account that the X under this name is in.
    KeyOrX(&'static str),
    /// `PoolKey`, or else the number type of an old account under this name.
    KeyOr(&'static str),
}

/// What the answers of an action look like: how a success is told, and where it stands. The payload
/// of a handler stands where [`Answer`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `RequestId`, `Code` (`OK`), `Message`, payload.
    Common,
    /// The same and a boolean `Success`: registrations of A numbers, 700 numbers.
    WithSuccess,
    /// Work numbers: a boolean `Success`, and `Code` is `0000`.
    WorkNumber,
    /// The same where nothing is given back: `Data` tells `Code`, `Message` and `Success` again.
    WorkNumberOutcome,
    /// Landlines: a boolean `Success`, and `Code` is `0`.
    Landline,
    /// The same where nothing is given back: `Data` tells `Code`, `Message` and `Success` again.
    LandlineOutcome,
    /// A bind of a landline with extension: `Success` is text.
    LandlineExtension,
    /// No `Code`: `HttpStatusCode`, `Message`, and a textual `Success` in `Data`.
    Waybill,
    /// No `Code`: `HttpStatusCode`, `Message`, and a boolean `Success` in `Data`.
    WaybillQuery,
    /// `Code` (`OK`), `Message`, and `Message` and a boolean `Success` in `Data` too.
    WaybillCancel,
}

/// One action.
#[derive(Debug, Clone, Copy)]
pub struct Action {
    /// Its name, as in `Action`.
    pub name: &'static str,
    /// Whether it changes anything.
    pub kind: Kind,
    /// Parameters without which the gateway answers `Missing{Parameter}`.
    pub required: &'static [&'static str],
    /// Where the pool stands.
    pub pool: PoolBy,
    /// What the vendor publishes as the most requests a second of one account. For information:
    /// our limits are settings.
    pub published_per_s: Option<u32>,
    /// What its answers look like.
    pub family: Family,
    /// Whether it is carried out, rather than answered with "not supported yet".
    pub supported: bool,
    run: Handler,
}

type Handler =
    for<'a> fn(&'a ActionContext<'a>) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// The payload members of a success, or why there is none. Of a family that has `Data` of its own
/// (waybills, and what gives nothing back) they stand in it; any other gives a `Data` whole.
pub type Answer = Result<Object, Failure>;

/// The names of all actions, those that are not supported among them.
pub fn names() -> impl Iterator<Item = &'static str> {
    ACTIONS.iter().map(|action| action.name)
}

/// Finds an action by its exact name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Action> {
    ACTIONS.iter().find(|action| action.name == name)
}

const fn action(
    name: &'static str,
    kind: Kind,
    required: &'static [&'static str],
    pool: PoolBy,
    published_per_s: Option<u32>,
    run: Handler,
) -> Action {
    let (family, supported) = (Family::Common, true);
    Action {
        name,
        kind,
        required,
        pool,
        published_per_s,
        family,
        supported,
        run,
    }
}

const fn unsupported(name: &'static str, family: Family, published_per_s: Option<u32>) -> Action {
    Action {
        name,
        kind: Kind::Read,
        required: &[],
        pool: PoolBy::Nothing,
        published_per_s,
        family,
        supported: false,
        run: |_| Box::pin(unsupported::run()),
    }
}

impl Action {
    /// The name under which policies allow or deny it.
    #[must_use]
    pub fn permission(&self) -> String {
        format!("{PERMISSION_PREFIX}{}", self.name)
    }

    /// The first required parameter that is absent or empty.
    #[must_use]
    pub fn missing(&self, parameters: &Parameters) -> Option<&'static str> {
        self.required
            .iter()
            .copied()
            .find(|name| parameters.filled(name).is_none())
    }

    /// The pool that a request names, if it names one.
    #[must_use]
    pub fn pool_in(&self, parameters: &Parameters) -> Option<PoolRef> {
        let legacy_type = match self.pool {
            PoolBy::Nothing => return None,
            PoolBy::Key | PoolBy::KeyOrX(_) => None,
            PoolBy::KeyOr(name) => parameters.filled(name),
        };
        let key = parameters
            .filled("PoolKey")
            .map(|key| PoolRef::Key(PoolKey::new(key)));
        key.or_else(|| legacy_type.map(|name| PoolRef::LegacyType(name.into())))
    }

    /// The X by whose pool a request is judged that names no pool.
    #[must_use]
    pub fn x_in(&self, parameters: &Parameters) -> Option<PhoneNumber> {
        let PoolBy::KeyOrX(name) = self.pool else {
            return None;
        };
        PhoneNumber::parse(parameters.filled(name)?).ok()
    }

    /// Carries it out.
    pub async fn run(&self, context: &ActionContext<'_>) -> Answer {
        (self.run)(context).await
    }
}

/// What a handler works with: an admitted request, and the ledger through this request's eyes.
pub struct ActionContext<'a> {
    /// With what parameters it came.
    pub parameters: &'a Parameters,
    /// What is asked.
    pub(super) action: &'static Action,
    /// The state and the way to change it.
    pub(super) ledger: &'a Ledger,
    /// The carriers that are told of bindings.
    pub(super) carriers: Option<&'a Carriers>,
    /// When the request was here.
    pub(super) began: Instant,
    /// Whose AccessKey signed.
    pub(super) key: AccessKeyId,
    /// The account of that key.
    pub(super) account: AccountId,
    /// The permission that the action needs.
    pub(super) permission: &'a str,
    /// The pool as the request named it.
    pub(super) pool: Option<PoolRef>,
    /// The key of the pool by which the request was judged: that one, or the one of its X.
    pub(super) pool_key: Option<PoolKey>,
    /// The id of the command, and until when it must be remembered.
    pub(super) id: (CommandId, Timestamp),
    /// Whether fault numbers are faults.
    pub(super) fault_numbers: bool,
}

impl ActionContext<'_> {
    /// The named pool.
    ///
    /// # Errors
    ///
    /// `isv.ILLEGAL_ARGUMENT` when the request names none.
    pub fn pool(&self) -> Result<&PoolRef, Failure> {
        self.pool.as_ref().ok_or_else(|| match self.action.pool {
            PoolBy::KeyOr(other) => BusinessError::new(
                BusinessCode::IllegalArgument,
                format!("PoolKey or {other} is needed"),
            )
            .into(),
            PoolBy::Nothing | PoolBy::Key | PoolBy::KeyOrX(_) => {
                BusinessCode::IllegalArgument.into()
            }
        })
    }

    /// Whether an X number is in the pool by which the request was judged.
    #[must_use]
    pub fn owns(&self, state: &State, x: PhoneNumber) -> bool {
        self.pool_key.is_some() && state.pool_of(x).map(|pool| &pool.key) == self.pool_key.as_ref()
    }

    /// Gives a command to the ledger, and waits until what came of it is durable.
    ///
    /// # Errors
    ///
    /// The refusal of the domain, or the ledger's failure, as the caller is told of it.
    pub async fn submit<C: TypedCommand>(&self, command: C) -> Result<C::Outcome, Failure> {
        let envelope = self.envelope(command)?;
        self.ledger.submit(envelope).await.map_err(submit_failure)
    }

    /// The same, and waits for the carrier of the binding that `asked` finds in what came of it, if there is one. Whoever
    /// asked may go meanwhile: what was begun is ended all the same.
    ///
    /// # Errors
    ///
    /// Those of [`Self::submit`]; the carrier's refusal, or that there is no answer.
    pub(super) async fn submit_asking<C>(
        &self,
        command: C,
        asked: fn(&C::Outcome) -> Option<&Binding>,
    ) -> Result<C::Outcome, Failure>
    where
        C: TypedCommand + Send + 'static,
        C::Outcome: Send + 'static,
    {
        let Some(carriers) = self.carriers.cloned() else {
            return self.submit(command).await;
        };
        let has_any = carriers.has_any();
        let envelope = self.envelope(command)?;
        let (ledger, began) = (self.ledger.clone(), self.began);
        let work = async move {
            let outcome = ledger.submit(envelope).await.map_err(submit_failure)?;
            if let Some(binding) = asked(&outcome) {
                let settled = carriers.settled(binding, began).await;
                settled.map_err(|failed| match failed {
                    Failed::Refused(refusal) => failure_of(refusal),
                    Failed::NotSettled(error) => submit_failure(error),
                })?;
            }
            Ok(outcome)
        };
        match has_any {
            true => tokio::spawn(work)
                .await
                .unwrap_or_else(|_| Err(BusinessCode::SystemError.into())),
            false => work.await,
        }
    }

    fn envelope<C>(&self, command: C) -> Result<Envelope<C>, Failure> {
        debug_assert_eq!(
            self.action.kind,
            Kind::Change,
            "{} only reads",
            self.action.name
        );
        let (id, until) = self.id;
        let attempt = self.ledger.attempt().map_err(submit_failure)?;
        Ok(Envelope {
            by: Actor::Customer {
                key: self.key.clone(),
                permission: self.permission.into(),
            },
            id: Some(CommandKey { id, attempt, until }),
            command,
        })
    }

    /// Carriers that cannot be asked now.
    pub(super) fn carriers_down(&self) -> Vec<CarrierName> {
        self.carriers.map(Carriers::down).unwrap_or_default()
    }

    /// Has the carrier of a binding told what it is owed now.
    pub(super) async fn wake_carrier_of(&self, binding: SubsId) {
        if let Some(carriers) = self.carriers {
            carriers.wake_of(binding).await;
        }
    }

    /// Looks at the state.
    ///
    /// # Errors
    ///
    /// The ledger's failure, as the caller is told of it.
    pub async fn read<R: Send>(
        &self,
        touch: Touch,
        look: impl FnOnce(&State, Timestamp) -> R + Send,
    ) -> Result<R, Failure> {
        self.ledger.read(touch, look).await.map_err(read_failure)
    }

    /// What the history knows of a binding on `x` that is no longer in the state; nothing if it was
    /// not made in the named pool, wherever X is now.
    ///
    /// # Errors
    ///
    /// The ledger's failure, as the caller is told of it.
    pub async fn past(&self, subs_id: SubsId, x: PhoneNumber) -> Result<Option<Past>, Failure> {
        let Some(pool) = &self.pool_key else {
            return Ok(None);
        };
        let past = self.ledger.past(subs_id).await.map_err(read_failure)?;
        Ok(past.filter(|past| past.x == x && past.was_of(&self.account, pool)))
    }
}

/// What a caller is told when the ledger did not carry out a command.
fn submit_failure(error: SubmitError) -> Failure {
    match error {
        SubmitError::Refused(refusal) => failure_of(refusal),
        SubmitError::NotDurable => BusinessCode::DaoException.into(),
        SubmitError::Busy
        | SubmitError::Deadline
        | SubmitError::ClocksDisagree
        | SubmitError::TooLarge
        | SubmitError::Closed => BusinessCode::SystemError.into(),
    }
}

/// What a caller is told when the ledger could not be read.
pub fn read_failure(error: ReadError) -> Failure {
    match error {
        ReadError::NotDurable => BusinessCode::DaoException.into(),
        ReadError::Deadline | ReadError::Closed => BusinessCode::SystemError.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_table_holds_60_actions_and_9_removed_ones_once_each() {
        let names: BTreeSet<&str> = ACTIONS.iter().map(|action| action.name).collect();
        assert_eq!(names.len(), ACTIONS.len());
        assert_eq!(ACTIONS.len(), 60 + 9);
    }

    #[test]
    fn names_are_exact() {
        assert_eq!(
            find("BindAxn").map(Action::permission).as_deref(),
            Some("dypls:BindAxn")
        );
        assert!(find("bindaxn").is_none());
        assert!(find("").is_none());
    }
}
