//! How many requests a second are let through: of one account in total, and for each action.

use std::collections::{BTreeMap, HashMap};

use maskline_domain::throttle::Bucket;
use maskline_domain::{AccountId, Timestamp};
use parking_lot::Mutex;

/// Rates in requests a second. Zero means no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rates {
    /// Of one account over all keys and actions, unless the account has a rate of its own.
    pub account_per_s: u32,
    /// Of one account for one action.
    pub action_per_s: u32,
    /// The same for single actions by name, winning over `action_per_s`.
    pub actions: BTreeMap<String, u32>,
}

impl Rates {
    fn of_action(&self, action: &str) -> u32 {
        self.actions
            .get(action)
            .copied()
            .unwrap_or(self.action_per_s)
    }
}

/// Which limit a request passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Throttled {
    /// The account's total.
    Total,
    /// The account's share of one action.
    Action,
}

/// Who asks for what.
#[derive(Debug, Clone, Copy)]
pub struct RateKey<'a> {
    /// The account. It exists, which bounds how many buckets there are.
    pub account: &'a AccountId,
    /// The account's own total rate, if it has one.
    pub account_per_s: Option<u32>,
    /// The action's name.
    pub action: &'static str,
}

/// Token buckets by account; each holds one second's worth.
#[derive(Debug, Default)]
pub struct Throttle {
    accounts: Mutex<HashMap<AccountId, Buckets>>,
}

#[derive(Debug, Default)]
struct Buckets {
    total: Option<Bucket>,
    actions: Vec<(&'static str, Bucket)>,
}

impl Throttle {
    /// Takes one request out of both budgets.
    ///
    /// # Errors
    ///
    /// [`Throttled`] when one of them is used up; the total is asked first.
    pub fn admit(
        &self,
        rate_key: RateKey<'_>,
        rates: &Rates,
        now: Timestamp,
    ) -> Result<(), Throttled> {
        let total_per_s = rate_key.account_per_s.unwrap_or(rates.account_per_s);
        let action_per_s = rates.of_action(rate_key.action);
        if total_per_s == 0 && action_per_s == 0 {
            return Ok(());
        }
        let mut accounts = self.accounts.lock();
        let buckets = accounts.entry(rate_key.account.clone()).or_default();
        if total_per_s > 0 {
            let bucket = buckets
                .total
                .get_or_insert_with(|| Bucket::full(total_per_s, now));
            if !bucket.take(total_per_s, now) {
                return Err(Throttled::Total);
            }
        }
        if action_per_s > 0 && !buckets.action(rate_key.action, action_per_s, now) {
            return Err(Throttled::Action);
        }
        Ok(())
    }
}

impl Buckets {
    fn action(&mut self, action: &'static str, per_s: u32, now: Timestamp) -> bool {
        match self.actions.iter_mut().find(|(name, _)| *name == action) {
            Some((_, bucket)) => bucket.take(per_s, now),
            None => {
                let mut bucket = Bucket::full(per_s, now);
                let taken = bucket.take(per_s, now);
                self.actions.push((action, bucket));
                taken
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(
        throttle: &Throttle,
        rates: &Rates,
        account: &str,
        action: &'static str,
        ms: i64,
    ) -> Result<(), Throttled> {
        let account = AccountId::new(account);
        let rate_key = RateKey {
            account: &account,
            account_per_s: None,
            action,
        };
        throttle.admit(rate_key, rates, Timestamp(ms))
    }

    #[test]
    fn each_action_and_the_total_have_their_own_budget() {
        let actions = BTreeMap::from([("BindAxn".to_owned(), 2)]);
        let rates = Rates {
            account_per_s: 4,
            action_per_s: 3,
            actions,
        };
        let throttle = Throttle::default();
        let mut taken = Vec::new();
        for action in [
            "BindAxn",
            "BindAxn",
            "BindAxn",
            "QuerySubsId",
            "QuerySubsId",
        ] {
            taken.push(ask(&throttle, &rates, "one", action, 0));
        }
        // The refused bind has taken from the total, too: it had to be read to be refused.
        assert_eq!(
            taken,
            [
                Ok(()),
                Ok(()),
                Err(Throttled::Action),
                Ok(()),
                Err(Throttled::Total)
            ]
        );
        assert_eq!(ask(&throttle, &rates, "two", "BindAxn", 0), Ok(()));
        assert_eq!(ask(&throttle, &rates, "one", "BindAxn", 500), Ok(()));
    }

    #[test]
    fn zero_is_no_limit_and_an_account_may_have_a_rate_of_its_own() {
        let rates = Rates {
            account_per_s: 0,
            action_per_s: 0,
            actions: BTreeMap::new(),
        };
        let throttle = Throttle::default();
        assert!((0..100_000).all(|_| ask(&throttle, &rates, "one", "BindAxn", 0).is_ok()));
        let account = AccountId::new("small");
        let rate_key = RateKey {
            account: &account,
            account_per_s: Some(1),
            action: "BindAxn",
        };
        assert_eq!(throttle.admit(rate_key, &rates, Timestamp(0)), Ok(()));
        assert_eq!(
            throttle.admit(rate_key, &rates, Timestamp(0)),
            Err(Throttled::Total)
        );
    }
}
