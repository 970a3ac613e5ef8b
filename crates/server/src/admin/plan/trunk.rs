//! What has to change about a trunk.

use maskline_domain::ops::SetTrunk;
use maskline_domain::trunk::Credentials;
use maskline_domain::{Trunk, TrunkName};

use super::change::difference;
use super::codec_warnings::check_codecs;
use super::{Change, PlanError, Planner, refused};
use crate::admin::document::WantedTrunk;
use crate::admin::view;
use crate::seal::Sealer;

impl Planner {
    pub(super) fn trunk(&mut self, wanted: &WantedTrunk, sealer: &Sealer) -> Result<(), PlanError> {
        check_codecs(wanted)?;
        let what = format!("trunk {}", wanted.name);
        let before = self.state.trunk(&TrunkName::new(&wanted.name)).cloned();
        let after = wanted
            .over(before.as_ref(), sealer)
            .map_err(|reason| refused(&what)(&reason))?;
        let change = trunk_change(what, before.as_ref(), &after);
        self.step(change, SetTrunk(Box::new(after)))
    }
}

/// The fields as they are shown, so without passwords; a new one is told by a word. Of a new trunk only
/// what is not as in every other one.
fn trunk_change(what: String, before: Option<&Trunk>, after: &Trunk) -> Change {
    let shown = view::trunk(after);
    let mut change = difference(what, before.map(view::trunk).as_ref(), &shown);
    if before.is_none() {
        let usual = view::trunk(&Trunk::new(after.name.clone(), ""));
        change.leave_out_usual(&usual);
    }
    let secret = |credentials: &Option<Credentials>| {
        credentials
            .as_ref()
            .map(|known| known.sealed_secret.clone())
    };
    let old = before.map(|before| (secret(&before.auth), secret(&before.challenge)));
    let (auth, challenge) = old.unwrap_or_default();
    for (name, old, new) in [
        ("auth_secret", auth, secret(&after.auth)),
        ("challenge_secret", challenge, secret(&after.challenge)),
    ] {
        if old.is_some() && new.is_some() && old != new {
            change
                .fields
                .push((name.to_owned(), "sealed".to_owned(), "another".to_owned()));
        }
    }
    change
}

#[cfg(test)]
mod tests {
    use super::*;
    use maskline_domain::trunk::IdentityOut;

    fn trunk(secret: u8) -> Trunk {
        Trunk {
            calls_max: Some(30),
            identity_out: IdentityOut::Pai,
            auth: Some(Credentials {
                username: "line".into(),
                sealed_secret: [secret].into(),
            }),
            ..Trunk::new(TrunkName::new("carrier"), "192.0.2.1:5060")
        }
    }

    fn fields(change: &Change) -> Vec<(&str, &str, &str)> {
        change
            .fields
            .iter()
            .map(|(name, old, new)| (name.as_str(), old.as_str(), new.as_str()))
            .collect()
    }

    #[test]
    fn a_new_trunk_tells_what_is_special_about_it() {
        let change = trunk_change("trunk carrier".into(), None, &trunk(1));
        assert_eq!(
            fields(&change),
            [
                ("auth_secret", "", "sealed"),
                ("auth_username", "", "line"),
                ("calls_max", "", "30"),
                ("identity_out", "", "pai"),
                ("name", "", "carrier"),
                ("peer", "", "192.0.2.1:5060"),
            ]
        );
    }

    #[test]
    fn another_password_is_told_without_it() {
        let (before, mut after) = (trunk(1), trunk(2));
        after.calls_max = None;
        let change = trunk_change("trunk carrier".into(), Some(&before), &after);
        assert_eq!(
            fields(&change),
            [
                ("calls_max", "30", "none"),
                ("auth_secret", "sealed", "another"),
            ]
        );
    }
}
