//! What has to change about an access key. Its secret never does.

use serde::Serialize;

use maskline_domain::ops::{CreateKey, SetKeyActive};
use maskline_domain::{AccessKey, AccessKeyId, AccountId, UserName};

use super::{Change, PlanError, Planner, Verb, refused};
use crate::admin::credentials::{is_acceptable_secret, new_secret};
use crate::admin::document::WantedKey;
use crate::seal::{Sealer, Secret};

/// A key that was made here.
#[derive(Clone, Serialize)]
pub struct NewKey {
    /// The public half.
    pub access_key_id: String,
    /// The secret half. Shown once, then only kept sealed.
    pub access_key_secret: String,
}

impl std::fmt::Debug for NewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("NewKey").field(&self.access_key_id).finish()
    }
}

impl Planner {
    pub(super) fn key(&mut self, wanted: &WantedKey, sealer: &Sealer) -> Result<(), PlanError> {
        let what = format!("key {}", wanted.id);
        let refuse = refused(&what);
        let id = AccessKeyId::new(&wanted.id);
        let Some(before) = self.state.key(&id).cloned() else {
            return self.new_key(what, id, wanted, sealer);
        };
        let same_account = wanted
            .account
            .as_deref()
            .is_none_or(|a| a == before.account.as_str());
        let user = before.user.as_ref().map(UserName::as_str);
        let same_user = wanted.user.is_none() || wanted.user.as_deref() == user;
        if !same_account || !same_user {
            return Err(refuse("its account and user are fixed"));
        }
        if let Some(secret) = &wanted.secret {
            let kept = sealer
                .open(&id, &before.sealed_secret)
                .map_err(|error| refuse(&error.to_string()))?;
            if kept != Secret::new(secret.clone().into_bytes()) {
                return Err(refuse(
                    "its secret never changes; make another key and delete this one",
                ));
            }
        }
        let active = wanted.active.unwrap_or(before.active);
        let change = Change {
            verb: Verb::Change,
            what,
            fields: vec![(
                "active".into(),
                before.active.to_string(),
                active.to_string(),
            )],
        };
        self.step(change, SetKeyActive { id, active })
    }

    fn new_key(
        &mut self,
        what: String,
        id: AccessKeyId,
        wanted: &WantedKey,
        sealer: &Sealer,
    ) -> Result<(), PlanError> {
        let refuse = refused(&what);
        let account = wanted
            .account
            .as_deref()
            .ok_or_else(|| refuse("it is not there, and a new key needs an account"))?;
        let secret = match &wanted.secret {
            Some(secret) if !is_acceptable_secret(secret) => {
                return Err(refuse(
                    "a secret has 16 to 128 printable characters without blanks",
                ));
            }
            Some(secret) => secret.clone(),
            None => {
                let secret = new_secret().map_err(|error| refuse(&error.to_string()))?;
                self.plan.new_keys.push(NewKey {
                    access_key_id: wanted.id.clone(),
                    access_key_secret: secret.clone(),
                });
                secret
            }
        };
        let sealed = sealer
            .seal(&id, &Secret::new(secret.into_bytes()))
            .map_err(|error| refuse(&error.to_string()))?;
        let mut fields = vec![(String::from("account"), String::new(), account.to_owned())];
        if let Some(user) = &wanted.user {
            fields.push(("user".into(), String::new(), user.clone()));
        }
        let change = Change {
            verb: Verb::Create,
            what,
            fields,
        };
        let key = AccessKey {
            id: id.clone(),
            account: AccountId::new(account),
            user: wanted.user.as_deref().map(UserName::new),
            sealed_secret: sealed.into(),
            active: true,
            created_at: self.now,
        };
        let switched_off = Change {
            verb: Verb::Change,
            what: change.what.clone(),
            fields: vec![("active".into(), "true".into(), "false".into())],
        };
        self.step(change, CreateKey(key))?;
        if wanted.active == Some(false) {
            self.step(switched_off, SetKeyActive { id, active: false })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::apply;
    use maskline_domain::State;

    #[test]
    fn a_keys_secret_never_changes() {
        let mut state = State::default();
        let key = |secret: &str| {
            format!(
                "[[account]]\nid = \"a\"\n[[key]]\nid = \"K\"\naccount = \"a\"\nsecret = \"{secret}\"\n"
            )
        };
        apply(&mut state, &key("0123456789abcdef")).unwrap();
        assert!(
            apply(&mut state, &key("0123456789abcdef"))
                .unwrap()
                .steps
                .is_empty()
        );
        let errors = apply(&mut state, &key("fedcba9876543210")).unwrap_err();
        let error = errors.first();
        assert!(error.reason.contains("never changes") && !error.reason.contains("fedcba"));
    }
}
