//! `maskline user`.

use clap::Subcommand;
use maskline_domain::account::{Effect, Statement};

use super::{Client, Failure, show};
use crate::admin::document::{Document, Unwanted, WantedUser};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List users with their policies
    Ls {
        /// Only those of this account
        #[arg(long)]
        account: Option<String>,
    },
    /// Make a user, or replace their policy
    Set {
        /// The user, as ACCOUNT/NAME
        user: String,
        /// What they may do: permission names, joined by commas, and optionally @ and PoolKeys; `*`
        /// stands for any ending, as in 'dypls:Query*@FC1,FC2'
        #[arg(long, value_name = "ACTIONS[@POOLS]")]
        allow: Vec<String>,
        /// What they may not do, whatever else is allowed
        #[arg(long, value_name = "ACTIONS[@POOLS]")]
        deny: Vec<String>,
    },
    /// Delete a user, and their keys with them
    Delete {
        /// The user, as ACCOUNT/NAME
        user: String,
    },
}

pub fn run(client: &Client, command: &Command) -> Result<(), Failure> {
    match command {
        Command::Ls { account } => {
            let filters = [("account", account.as_deref())];
            show::rows(
                client,
                &client.all("/v1/users", &filters)?,
                &[
                    ("ACCOUNT", "account"),
                    ("USER", "name"),
                    ("POLICY", "policy"),
                ],
            )
        }
        Command::Set { user, allow, deny } => {
            let (account, name) = parted(user)?;
            let allowed = allow.iter().map(|text| statement(Effect::Allow, text));
            let denied = deny.iter().map(|text| statement(Effect::Deny, text));
            let document = Document {
                users: vec![WantedUser {
                    account: account.to_owned(),
                    name: name.to_owned(),
                    statements: Some(allowed.chain(denied).collect()),
                }],
                ..Document::default()
            };
            show::changes(client, &client.apply(&document, false)?, false)
        }
        Command::Delete { user } => {
            parted(user)?;
            let document = Document {
                remove: Unwanted {
                    users: vec![user.clone()],
                    ..Unwanted::default()
                },
                ..Document::default()
            };
            show::changes(client, &client.apply(&document, false)?, false)
        }
    }
}

fn parted(user: &str) -> Result<(&str, &str), Failure> {
    user.split_once('/')
        .ok_or_else(|| Failure::Usage(format!("`{user}` is not ACCOUNT/NAME")))
}

fn statement(effect: Effect, text: &str) -> Statement {
    let (actions, pools) = text.split_once('@').unwrap_or((text, "*"));
    let list = |text: &str| text.split(',').map(|part| part.trim().to_owned()).collect();
    Statement {
        effect,
        actions: list(actions),
        pools: list(pools),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_name_actions_and_pools() {
        let made = statement(Effect::Allow, "dypls:Query*,dypls:BindAxn@FC1, FC2");
        assert_eq!(made.actions, ["dypls:Query*", "dypls:BindAxn"]);
        assert_eq!(made.pools, ["FC1", "FC2"]);
        assert_eq!(statement(Effect::Deny, "*").pools, ["*"]);
    }
}
