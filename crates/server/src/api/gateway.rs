//! From a request to an answer: who asks, is that authentic, may it be, and then the action.
//!
//! The order of the checks: common parameters, action, version, AccessKey and its state, time,
//! signature, whether the nonce was used, the rates, the action's required parameters; then, decided by
//! the domain, policies, account and pool; then the action itself. A nonce is used up once the signature
//! is authenticated and the rates let the request through, whatever comes after: nobody can use up another's
//! nonces, a request that was refused cannot be repeated by who overheard it, and what the rates turn
//! away costs no memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::request;
use maskline_domain::{AccessKeyId, AccountId, CommandId, PhoneNumber, Timestamp, admit};

use super::Reply;
use super::actions::{self, Action, ActionContext, Answer, read_failure};
use super::errors::{BusinessCode, Failure, GatewayError, Language};
use super::fault_numbers::{Fault, fault_of};
use super::limits::{RateKey, Rates, Throttle, Throttled};
use super::metrics::ApiMetrics;
use super::nonces::{NonceBounds, NonceCheck, NonceSpan, Nonces, nonce_hash};
use super::params;
use super::refusals::failure_of;
use super::render::Format;
use super::replies;
use super::request::{Claim, Incoming, VERSION, parameters};
use super::values;
use crate::carriers::Carriers;
use crate::ledger::{Ledger, Touch};
use crate::seal::Sealer;

/// The clock by which requests are judged, in UTC. Tests steer it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What of the gateway may change while it runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Bounds of parameters.
    pub parameters: params::Bounds,
    /// Bounds of remembered nonces.
    pub nonces: NonceBounds,
    /// Requests a second.
    pub rates: Rates,
    /// How far a request's time may be from ours, in milliseconds, either way.
    pub clock_skew_ms: i64,
    /// The language of business messages.
    pub language: Language,
    /// The page that `Recommend` leads to, without a fragment; empty for none.
    pub errors_page: Arc<str>,
    /// Whether fault numbers make a bind fail; see [`super::fault_numbers`].
    pub fault_numbers: bool,
}

/// The gateway of one process.
pub struct Gateway {
    ledger: Ledger,
    carriers: Option<Carriers>,
    sealer: Arc<Sealer>,
    clock: Clock,
    settings: ArcSwap<Settings>,
    nonces: Nonces,
    throttle: Throttle,
    metrics: ApiMetrics,
}

/// An authenticated request: whose it is, and what makes it unique.
struct Authenticated {
    key: AccessKeyId,
    account: AccountId,
    nonce_hash: CommandId,
    /// Until when a change must not come again.
    until: Timestamp,
}

impl Gateway {
    /// A gateway over a ledger. `sealer` opens the secrets of AccessKeys.
    #[must_use]
    pub fn new(
        ledger: Ledger,
        sealer: Arc<Sealer>,
        clock: Clock,
        settings: Settings,
        metrics: ApiMetrics,
    ) -> Self {
        Self {
            ledger,
            carriers: None,
            sealer,
            clock,
            settings: ArcSwap::from_pointee(settings),
            nonces: Nonces::default(),
            throttle: Throttle::default(),
            metrics,
        }
    }

    /// The same, with carriers that are told of bindings.
    #[must_use]
    pub fn with_carriers(self, carriers: Carriers) -> Self {
        Self {
            carriers: Some(carriers),
            ..self
        }
    }

    /// What a bind of this A meets on purpose, where fault numbers are on.
    pub fn fault_of(&self, a: PhoneNumber) -> Option<Fault> {
        let is_on = self.settings.load().fault_numbers;
        fault_of(a).filter(|_| is_on)
    }

    /// Takes other settings, from the next request on.
    pub fn configure(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
    }

    /// Answers one request. `body` is its body, or why there is none.
    pub async fn answer(&self, head: request::Parts, body: Result<Bytes, GatewayError>) -> Reply {
        let began = Instant::now();
        let id = replies::request_id();
        let settings = self.settings.load_full();
        let read = body.and_then(|body| {
            let parameters = parameters(&head, &body, &settings.parameters)?;
            Ok(Incoming::new(head, body, parameters))
        });
        let (action, failure, reply) = match read {
            Err(error) => {
                let page = &settings.errors_page;
                let reply = replies::gateway_error(id.clone(), Format::Json, None, &error, page);
                (None, Some(Failure::Gateway(error)), reply)
            }
            Ok(incoming) => {
                let (action, answer) = self.carry_out(&incoming, &settings, began).await;
                let (language, page) = (settings.language, &settings.errors_page);
                let reply = replies::reply(id.clone(), &incoming, action, &answer, language, page);
                (action.map(|action| action.name), answer.err(), reply)
            }
        };
        let (code, took) = (
            failure.as_ref().map_or("OK", Failure::label),
            began.elapsed(),
        );
        self.metrics.count(action, code, took);
        tell(&id, action, code, took);
        reply
    }

    async fn carry_out(
        &self,
        incoming: &Incoming,
        settings: &Settings,
        began: Instant,
    ) -> (Option<&'static Action>, Answer) {
        let claim = match incoming.claim() {
            Ok(claim) => claim,
            Err(error) => return (None, Err(error.into())),
        };
        let Some(action) = actions::find(claim.action) else {
            return (None, Err(GatewayError::ActionNotFound.into()));
        };
        (
            Some(action),
            self.run(incoming, &claim, action, settings, began).await,
        )
    }

    async fn run(
        &self,
        incoming: &Incoming,
        claim: &Claim<'_>,
        action: &'static Action,
        settings: &Settings,
        began: Instant,
    ) -> Answer {
        if claim.version != VERSION {
            return Err(GatewayError::Invalid("Version").into());
        }
        let authenticated = self.authenticate(incoming, claim, action, settings).await?;
        if let Some(parameter) = action.missing(incoming.parameters()) {
            return Err(GatewayError::Missing(parameter).into());
        }

        let permission = action.permission();
        let pool = action.pool_in(incoming.parameters());
        let x = match pool {
            None => action.x_in(incoming.parameters()),
            Some(_) => None,
        };
        let touch = x.map_or(Touch::Lists, Touch::Number);
        // What only reads is judged here alone. A change is judged again by the rules, by the same
        // function, on the state on which they decide; this look comes first because the vendor tells
        // of policies, account and pool before it tells what is wrong with other parameters, and so
        // that what may not be takes no place in the queue and no row in the journal.
        let admission = self.ledger.read(touch, |state, _| {
            let admission = admit(state, &authenticated.key, &permission, pool.as_ref(), x)?;
            Ok(admission.pool.map(|pool| pool.key.clone()))
        });
        let pool_key = admission.await.map_err(read_failure)?.map_err(failure_of)?;

        let context = ActionContext {
            parameters: incoming.parameters(),
            action,
            ledger: &self.ledger,
            carriers: self.carriers.as_ref(),
            began,
            key: authenticated.key,
            account: authenticated.account,
            permission: &permission,
            pool,
            pool_key,
            id: (authenticated.nonce_hash, authenticated.until),
            fault_numbers: settings.fault_numbers,
        };
        action.run(&context).await
    }

    /// Key, time, signature, rates, nonce.
    async fn authenticate(
        &self,
        incoming: &Incoming,
        claim: &Claim<'_>,
        action: &'static Action,
        settings: &Settings,
    ) -> Result<Authenticated, Failure> {
        let key = AccessKeyId::new(claim.key);
        let found = self.ledger.read(Touch::Lists, |state, now| {
            let found = state.key(&key)?;
            let account_per_s = state
                .account(&found.account)
                .and_then(|account| account.requests_per_s_max);
            Some((
                found.account.clone(),
                account_per_s,
                found.active,
                found.sealed_secret.clone(),
                now,
            ))
        });
        let (account, account_per_s, active, sealed, journal_now) = found
            .await
            .map_err(read_failure)?
            .ok_or(GatewayError::AccessKeyNotFound)?;
        if !active {
            return Err(GatewayError::AccessKeyInactive.into());
        }

        let now = (self.clock)();
        let made_at = values::request_time(claim.timestamp).ok_or(GatewayError::TimestampFormat)?;
        if now.millis().abs_diff(made_at.millis()) > settings.clock_skew_ms.unsigned_abs() {
            return Err(GatewayError::TimestampExpired.into());
        }

        let secret = self.sealer.open(&key, &sealed).map_err(|error| {
            tracing::error!(key = %key, %error, "the secret of an AccessKey does not open");
            GatewayError::Internal
        })?;
        incoming.verify(&claim.auth, secret.expose())?;

        let nonce_hash = nonce_hash(claim.key, claim.nonce);
        // A repeat takes nothing of the customer's rate.
        let span = NonceSpan::for_clock_skew(settings.clock_skew_ms);
        if self.nonces.contains(nonce_hash.head(), now, span) {
            return Err(GatewayError::NonceUsed.into());
        }
        let rate_key = RateKey {
            account: &account,
            account_per_s,
            action: action.name,
        };
        self.throttle
            .admit(rate_key, &settings.rates, now)
            .map_err(|passed| match passed {
                Throttled::Total => Failure::from(GatewayError::ThrottledKey),
                Throttled::Action => BusinessCode::FlowLimit.into(),
            })?;
        let hash = nonce_hash.head();
        let seen = self
            .nonces
            .remember(&account, &key, hash, now, span, settings.nonces);
        match seen {
            NonceCheck::New => {}
            NonceCheck::Before => return Err(GatewayError::NonceUsed.into()),
            NonceCheck::KeyFull | NonceCheck::AccountFull => {
                return Err(GatewayError::ThrottledKey.into());
            }
            NonceCheck::Full => return Err(GatewayError::Unavailable.into()),
        }

        // After this moment the time stamp alone refuses a repeat. The journal's clock may be ahead
        // of ours, then it stands still until ours has caught up; hence the later of the two.
        let until = made_at
            .max(journal_now)
            .plus_millis(settings.clock_skew_ms)
            .plus_secs(1);
        Ok(Authenticated {
            key,
            account,
            nonce_hash,
            until,
        })
    }
}

/// One line for each request, by which a customer's RequestId is found again. It holds no parameter.
/// Faults of ours are told louder.
fn tell(request_id: &str, action: Option<&'static str>, code: &'static str, took: Duration) {
    let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let is_fault = code == GatewayError::Internal.label()
        || code == BusinessCode::SystemError.code()
        || code == BusinessCode::DaoException.code();
    if is_fault {
        tracing::warn!(
            request_id,
            action,
            code,
            took_us,
            "a request failed by our fault"
        );
    } else {
        tracing::debug!(request_id, action, code, took_us, "answered");
    }
}
