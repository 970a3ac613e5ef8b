//! The names under which policies allow or deny actions, as statements spell them: `dypls:BindAxn`,
//! `dypls:Query*`, `*`.

use super::actions::{ACTIONS, Action, PoolBy, find};
use crate::suggest;

/// What stands before the name of an action.
const PREFIX: &str = "dypls:";

/// What is wrong with a pattern that no action can ever match; nothing if one can. Such a statement
/// would be silent: a deny that never denies.
#[must_use]
pub fn mistake(pattern: &str) -> Option<String> {
    let names: Vec<String> = ACTIONS.iter().map(Action::permission).collect();
    let (start, is_open) = match pattern.strip_suffix('*') {
        Some(start) => (start, true),
        None => (pattern, false),
    };
    let fits = |name: &String| match is_open {
        true => name.starts_with(start),
        false => name == start,
    };
    if names.iter().any(fits) {
        return None;
    }
    let wanted = match start.split_once(':') {
        Some((_, action)) => format!("{PREFIX}{action}"),
        None => format!("{PREFIX}{start}"),
    };
    // Of an open pattern only the beginning is compared, with as many letters as it has.
    let length = wanted.chars().count();
    let candidates = names.iter().map(|name| match is_open {
        true => name.chars().take(length).collect(),
        false => name.clone(),
    });
    let candidates: Vec<String> = candidates.collect();
    let near = suggest::nearest(&wanted, candidates.iter().map(String::as_str));
    let hint = near.map_or_else(String::new, |near| {
        format!("; did you mean {near}{}?", if is_open { "*" } else { "" })
    });
    Some(format!("no action is called {pattern}{hint}"))
}

/// Whether this names one action that has no pool, so that only pools = `*` covers it.
#[must_use]
pub fn has_no_pool(pattern: &str) -> bool {
    pattern
        .strip_prefix(PREFIX)
        .and_then(find)
        .is_some_and(|action| action.supported && action.pool == PoolBy::Nothing)
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
            assert_eq!(mistake(pattern), None, "{pattern}");
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
            let told = mistake(pattern).expect(pattern);
            assert!(told.ends_with(&format!("did you mean {meant}?")), "{told}");
        }
        for pattern in ["", "dypls:", "dypls:*Axn", "**", "ecs:Run*", "nonsense"] {
            assert!(mistake(pattern).is_some(), "{pattern}");
        }
    }

    #[test]
    fn only_one_action_that_is_served_has_no_pool() {
        assert!(has_no_pool("dypls:QuerySecretNoRemain"));
        for pattern in [
            "dypls:BindAxn",
            "dypls:QuerySubsId",
            "dypls:Query*",
            "*",
            "dypls:BindAxg",
        ] {
            assert!(!has_no_pool(pattern), "{pattern}");
        }
    }
}
