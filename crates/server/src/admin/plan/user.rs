//! What has to change about a user, and what their policy says that cannot be.

use maskline_domain::account::{Effect, Statement};
use maskline_domain::ops::SetUser;
use maskline_domain::{AccountId, PoolKey, State, UserName};

use super::{PlanError, Planner, difference, refused};
use crate::admin::document::WantedUser;
use crate::permissions::Permissions;
use crate::suggest;

impl Planner {
    pub(super) fn user(
        &mut self,
        wanted: &WantedUser,
        permissions: &Permissions,
    ) -> Result<(), PlanError> {
        let what = format!("user {}/{}", wanted.account, wanted.name);
        for statement in wanted.statements.iter().flatten() {
            check(statement, permissions).map_err(|reason| refused(&what)(&reason))?;
        }
        let (account, name) = (AccountId::new(&wanted.account), UserName::new(&wanted.name));
        let before = self.state.user(&account, &name).cloned();
        let after = wanted.over(before.as_ref());
        let change = difference(what, before.as_ref(), &after);
        self.step(change, SetUser(after))
    }
}

/// Refuses what can never match: a deny that never denies is worse than none.
fn check(statement: &Statement, permissions: &Permissions) -> Result<(), String> {
    let effect = effect(statement);
    if statement.actions.is_empty() || statement.pools.is_empty() {
        return Err(format!(
            "a statement ({effect}) without actions or without pools says nothing; `*` stands for all"
        ));
    }
    if let Some(mistake) = statement
        .actions
        .iter()
        .find_map(|pattern| permissions.mistake(pattern))
    {
        return Err(format!("{effect}: {mistake}"));
    }
    match statement.pools.iter().find(|pattern| !can_be_pool(pattern)) {
        Some(pattern) => Err(format!(
            "{effect}: `{pattern}` can be no PoolKey; those are FC and 1 to 30 hexadecimal digits, with `*` for any \
             ending"
        )),
        None => Ok(()),
    }
}

/// Whether some PoolKey could match.
fn can_be_pool(pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some("" | "F" | "FC") => true,
        Some(start) => PoolKey::new(start).is_well_formed(),
        None => PoolKey::new(pattern).is_well_formed(),
    }
}

/// What a policy says that matches nothing as things are: it may be meant for later, so it is told
/// and not refused.
pub(super) fn warnings(
    state: &State,
    wanted: &WantedUser,
    permissions: &Permissions,
) -> Vec<String> {
    let account = AccountId::new(&wanted.account);
    let what = format!("user {}/{}", wanted.account, wanted.name);
    let mut told = Vec::new();
    for statement in wanted.statements.iter().flatten() {
        let effect = effect(statement);
        let found = statement
            .pools
            .iter()
            .filter_map(|pattern| nothing_there(state, &account, pattern));
        told.extend(found.map(|reason| format!("{what}: {effect}: {reason}")));
        let all = statement.pools.iter().any(|pattern| pattern == "*");
        let poolless = statement
            .actions
            .iter()
            .filter(|pattern| !all && permissions.has_no_pool(pattern));
        told.extend(poolless.map(|pattern| {
            format!("{what}: {effect}: {pattern} has no pool, so only the pool `*` covers it")
        }));
    }
    told.dedup();
    told
}

/// Why a pattern matches no pool of the account.
fn nothing_there(state: &State, account: &AccountId, pattern: &str) -> Option<String> {
    let mut own = state.pools().filter(|pool| pool.account == *account);
    match pattern.strip_suffix('*') {
        Some("") => None,
        Some(start) => {
            let fits = own.any(|pool| pool.key.as_str().starts_with(start));
            (!fits).then(|| format!("no pool of account {account} begins with {start}"))
        }
        None => match state.pool(&PoolKey::new(pattern)) {
            Some(pool) if pool.account == *account => None,
            Some(_) => Some(format!("pool {pattern} is not of account {account}")),
            None => {
                let hint = suggest::hint(pattern, own.map(|pool| pool.key.as_str()));
                Some(format!("pool {pattern} does not exist{hint}"))
            }
        },
    }
}

fn effect(statement: &Statement) -> &'static str {
    match statement.effect {
        Effect::Allow => "allow",
        Effect::Deny => "deny",
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::apply;
    use maskline_domain::State;

    const FIRST: &str = "[[account]]\nid = \"acme\"\n[[account]]\nid = \"rival\"\n\
        [[pool]]\nkey = \"FC11\"\naccount = \"acme\"\nproduct = \"axn\"\n\
        [[pool]]\nkey = \"FC22\"\naccount = \"rival\"\nproduct = \"axn\"\n";

    fn document(actions: &str, pools: &str) -> String {
        format!(
            "{FIRST}[[user]]\naccount = \"acme\"\nname = \"user1\"\n[[user.statement]]\n\
             effect = \"deny\"\nactions = {actions}\npools = {pools}\n"
        )
    }

    #[test]
    fn statements_that_can_match_nothing_are_refused() {
        for (actions, pools, reason) in [
            (
                r#"["dypls:UnbindSubscripton"]"#,
                r#"["*"]"#,
                "deny: no action is called dypls:UnbindSubscripton; did you mean \
                 dypls:UnbindSubscription?",
            ),
            (r#"["BindAxn"]"#, r#"["*"]"#, "did you mean dypls:BindAxn?"),
            (
                r#"["dypls:*", "dypls:bindaxn"]"#,
                r#"["*"]"#,
                "did you mean dypls:BindAxn?",
            ),
            (
                r#"["dypls:Qeury*"]"#,
                r#"["*"]"#,
                "did you mean dypls:Query*?",
            ),
            (
                r#"["dypls:*Axn"]"#,
                r#"["*"]"#,
                "no action is called dypls:*Axn",
            ),
            ("[]", r#"["*"]"#, "says nothing"),
            (r#"["*"]"#, "[]", "says nothing"),
            (r#"["*"]"#, r#"["FC"]"#, "`FC` can be no PoolKey"),
            (r#"["*"]"#, r#"["fc11"]"#, "`fc11` can be no PoolKey"),
            (r#"["*"]"#, r#"["*", "11"]"#, "`11` can be no PoolKey"),
            (r#"["*"]"#, r#"["FC1-*"]"#, "`FC1-*` can be no PoolKey"),
            (r#"["*"]"#, r#"["FC*1"]"#, "`FC*1` can be no PoolKey"),
            (r#"["*"]"#, r#"[""]"#, "`` can be no PoolKey"),
        ] {
            let mut state = State::default();
            let error = apply(&mut state, &document(actions, pools)).expect_err(actions);
            let error = error.first();
            assert_eq!(error.what, "user acme/user1");
            assert!(error.reason.contains(reason), "{error}");
        }
    }

    #[test]
    fn statements_about_what_is_not_there_are_warned_of() {
        for (actions, pools, warning) in [
            (
                r#"["*"]"#,
                r#"["FC33"]"#,
                Some("deny: pool FC33 does not exist"),
            ),
            (r#"["*"]"#, r#"["FC12"]"#, Some("did you mean FC11?")),
            (
                r#"["*"]"#,
                r#"["FC22"]"#,
                Some("pool FC22 is not of account acme"),
            ),
            (
                r#"["*"]"#,
                r#"["FC2*"]"#,
                Some("no pool of account acme begins with FC2"),
            ),
            (
                r#"["dypls:QuerySecretNoRemain"]"#,
                r#"["FC11"]"#,
                Some("dypls:QuerySecretNoRemain has no pool"),
            ),
            (r#"["dypls:QuerySecretNoRemain"]"#, r#"["*"]"#, None),
            (r#"["*"]"#, r#"["FC11", "FC1*", "FC*", "*"]"#, None),
        ] {
            let mut state = State::default();
            let warnings = apply(&mut state, &document(actions, pools))
                .unwrap()
                .warnings;
            let told = warnings.join("\n");
            match warning {
                Some(warning) => assert!(told.contains(warning), "{pools}: {told}"),
                None => assert_eq!(told, "", "{pools}"),
            }
        }
    }
}
