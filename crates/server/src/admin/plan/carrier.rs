//! What has to change about a carrier.

use maskline_domain::ops::SetCarrier;
use maskline_domain::{Carrier, CarrierName, State};

use super::change::difference;
use super::{Change, PlanError, Planner, refused};
use crate::admin::document::{WantedCarrier, is_same_url};
use crate::admin::view;
use crate::seal::Sealer;

/// How many pools are named by which a carrier cannot be taken away.
const POOLS_TOLD_MAX: usize = 5;

impl Planner {
    pub(super) fn carrier(
        &mut self,
        wanted: &WantedCarrier,
        sealer: &Sealer,
    ) -> Result<(), PlanError> {
        let what = format!("carrier {}", wanted.name);
        let before = self.state.carrier(&CarrierName::new(&wanted.name)).cloned();
        let after = wanted
            .over(before.as_ref(), sealer)
            .map_err(|reason| refused(&what)(&reason))?;
        refuse_incomplete(&after).map_err(|reason| refused(&what)(&reason))?;
        self.refuse_url_of_another(before.as_ref(), &after)
            .map_err(|reason| refused(&what)(&reason))?;
        let change = carrier_change(what, before.as_ref(), &after);
        self.step(change, SetCarrier(Box::new(after)))
    }

    /// Two carriers of one address hold the same there: each would have it let go what the other has bound. What was
    /// so already can be changed otherwise.
    fn refuse_url_of_another(
        &self,
        before: Option<&Carrier>,
        after: &Carrier,
    ) -> Result<(), String> {
        let Some(url) = after.url.as_deref() else {
            return Ok(());
        };
        if before.is_some_and(|before| before.url == after.url) {
            return Ok(());
        }
        let has_it = |other: &&Carrier| {
            let its = other.url.as_deref();
            other.name != after.name && its.is_some_and(|its| is_same_url(its, url))
        };
        match self.state.carriers().find(has_it) {
            Some(other) => Err(format!(
                "carrier `{}` has this url already: give each carrier an address of its own, which holds its bindings alone",
                other.name
            )),
            None => Ok(()),
        }
    }
}

/// Why a carrier cannot be taken away: what needs it still.
pub(in crate::admin) fn carrier_users(state: &State, name: &CarrierName) -> Option<String> {
    let named: Vec<&str> = (state.pools_naming(name))
        .map(|pool| pool.key.as_str())
        .take(POOLS_TOLD_MAX + 1)
        .collect();
    let bindings = state.provisioned_len(name);
    let mut why = Vec::new();
    if !named.is_empty() {
        let told = named.iter().take(POOLS_TOLD_MAX).copied();
        let more = if named.len() > POOLS_TOLD_MAX {
            ", …"
        } else {
            ""
        };
        let told = told.collect::<Vec<_>>().join(", ");
        why.push(format!("pool(s) {told}{more} name it"));
    }
    if bindings > 0 {
        why.push(format!(
            "{bindings} binding(s) were made with it and have not ended, or are not let go yet"
        ));
    }
    (!why.is_empty()).then(|| format!("this carrier is in use: {}", why.join("; ")))
}

/// What a carrier of kind `http` cannot do without, and how it is given.
fn refuse_incomplete(carrier: &Carrier) -> Result<(), String> {
    let missing = match (carrier.provisions(), &carrier.url, &carrier.sealed_secret) {
        (true, None, _) => "carrier url is missing: one of kind http needs `url` (--url URL)",
        (true, _, None) => {
            "carrier secret is missing: one of kind http needs `secret` (--secret-file FILE), whsec_ and base64"
        }
        _ => return Ok(()),
    };
    Err(missing.to_owned())
}

/// The fields as they are shown. A secret and certificates are told by a word. Of a new carrier only what is not as
/// in every other one.
fn carrier_change(what: String, before: Option<&Carrier>, after: &Carrier) -> Change {
    let shown = |carrier: &Carrier| {
        let mut shown = view::carrier(carrier);
        if carrier.ca.is_some() {
            shown["ca"] = "given".into();
        }
        shown
    };
    let mut change = difference(what, before.map(shown).as_ref(), &shown(after));
    let Some(before) = before else {
        let usual = shown(&Carrier::new(after.name.clone()));
        change.leave_out_usual(&usual);
        return change;
    };
    let is_another = [
        ("ca", "given", before.ca != after.ca),
        (
            "secret",
            "sealed",
            before.sealed_secret != after.sealed_secret,
        ),
    ];
    for (name, word, is_another) in is_another {
        if is_another && !change.fields.iter().any(|(field, ..)| field == name) {
            change
                .fields
                .push((name.to_owned(), word.to_owned(), "another".to_owned()));
        }
    }
    change
}

#[cfg(test)]
mod tests {
    use super::*;
    use maskline_domain::CarrierKind;

    fn carrier(secret: u8) -> Carrier {
        Carrier {
            kind: CarrierKind::Http,
            url: Some("https://carrier.example/maskline".into()),
            ca: Some("PEM".into()),
            sealed_secret: Some([secret].into()),
            concurrency: 8,
            ..Carrier::new(CarrierName::new("unicom"))
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
    fn a_new_carrier_tells_what_is_special_about_it() {
        let change = carrier_change("carrier unicom".into(), None, &carrier(1));
        assert_eq!(
            fields(&change),
            [
                ("ca", "", "given"),
                ("concurrency", "", "8"),
                ("kind", "", "http"),
                ("name", "", "unicom"),
                ("secret", "", "sealed"),
                ("url", "", "https://carrier.example/maskline"),
            ]
        );
    }

    #[test]
    fn another_secret_and_other_certificates_are_told_without_them() {
        let after = Carrier {
            ca: Some("another PEM".into()),
            concurrency: 9,
            ..carrier(2)
        };
        let change = carrier_change("carrier unicom".into(), Some(&carrier(1)), &after);
        assert_eq!(
            fields(&change),
            [
                ("concurrency", "8", "9"),
                ("ca", "given", "another"),
                ("secret", "sealed", "another"),
            ]
        );
        let without = Carrier {
            ca: None,
            ..carrier(1)
        };
        let change = carrier_change("carrier unicom".into(), Some(&carrier(1)), &without);
        assert_eq!(fields(&change), [("ca", "given", "none")]);
    }
}
