//! The permissions that the actions are given, as statements of policies spell them: `dypls:BindAxn`,
//! `dypls:Query*`, `*`.

use super::actions::{ACTIONS, Action, PERMISSION_PREFIX, PoolBy};
use crate::permissions::{Permission, Permissions};

/// One permission for each action, those that are not supported among them.
#[must_use]
pub fn permissions() -> Permissions {
    let of = |action: &Action| Permission {
        name: action.permission(),
        has_no_pool: action.supported && action.pool == PoolBy::Nothing,
    };
    Permissions::new(PERMISSION_PREFIX, ACTIONS.iter().map(of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_actions_and_their_beginnings_are_right() {
        for pattern in [
            "*",
            "dypls:*",
            "dypls:Bind*",
            "dypls:BindAxn",
            "dypls:BindAxn*",
            "dypls:QuerySecretNoDetail",
            "dypls:CreateAxgGroup",
            "d*",
        ] {
            assert_eq!(permissions().mistake(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn what_no_action_is_called_is_told_with_the_nearest_name() {
        for (pattern, meant) in [
            ("dypls:UnbindSubscripton", "dypls:UnbindSubscription"),
            ("dypls:unbindsubscription", "dypls:UnbindSubscription"),
            ("UnbindSubscription", "dypls:UnbindSubscription"),
            ("Dypls:BindAxn", "dypls:BindAxn"),
            ("dyvms:BindAxn", "dypls:BindAxn"),
            ("dypls:BindAXN", "dypls:BindAxn"),
            ("dypls:BindAxm", "dypls:BindAxn"),
            ("dypls: BindAxn", "dypls:BindAxn"),
            ("dypls:Qeury*", "dypls:Query*"),
            ("dypls:query*", "dypls:Query*"),
            ("Query*", "dypls:Query*"),
            ("dypls:QuerySubId", "dypls:QuerySubsId"),
        ] {
            let told = permissions().mistake(pattern).expect(pattern);
            assert!(told.ends_with(&format!("did you mean {meant}?")), "{told}");
        }
        for pattern in ["", "dypls:", "dypls:*Axn", "**", "ecs:Run*", "nonsense"] {
            assert!(permissions().mistake(pattern).is_some(), "{pattern}");
        }
    }

    #[test]
    fn only_one_action_that_is_served_has_no_pool() {
        assert!(permissions().has_no_pool("dypls:QuerySecretNoRemain"));
        for pattern in [
            "dypls:BindAxn",
            "dypls:QuerySubsId",
            "dypls:Query*",
            "*",
            "dypls:BindAxg",
        ] {
            assert!(!permissions().has_no_pool(pattern), "{pattern}");
        }
    }
}
