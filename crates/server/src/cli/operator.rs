//! `maskline operator`.

use std::path::Path;

use clap::Subcommand;
use maskline_domain::Role;
use maskline_store::directory::DataDir;
use serde_json::{Value, json};

use super::client::part;
use super::{Client, Common, Failure, show};
use crate::admin::first_token;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List operators
    Ls,
    /// Add an operator; the token is shown once and never again
    Add {
        /// The name: letters, digits, '-', '_', '.', '@'
        name: String,
        /// What they may do
        #[arg(long, value_enum)]
        role: RoleArg,
    },
    /// Give an operator another token, shown once; the one before is refused from now on
    Rotate {
        /// The name
        name: String,
    },
    /// Switch an operator on
    Enable {
        /// The name
        name: String,
    },
    /// Switch an operator off; their token is refused from now on
    Disable {
        /// The name
        name: String,
    },
    /// Take an operator away; their token is refused from now on
    Rm {
        /// The name
        name: String,
    },
    /// Have the first token (DIR/admin.token) refused from now on; an administrator must be there
    RetireFirst,
    /// Have the next start bring the first token back, with another text; the service must be stopped
    RestoreFirst,
}

/// A role, as the command line spells it.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum RoleArg {
    /// Looks, at masked numbers
    Viewer,
    /// Changes what carries calls, and looks at whole numbers
    Operator,
    /// Changes who may do what, too
    Administrator,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Viewer => Self::Viewer,
            RoleArg::Operator => Self::Operator,
            RoleArg::Administrator => Self::Administrator,
        }
    }
}

pub fn run(common: &Common, command: &Command) -> Result<(), Failure> {
    if matches!(command, Command::RestoreFirst) {
        return restore_first(common);
    }
    let client = Client::find(common)?;
    match command {
        Command::Ls => list(&client),
        Command::Add { name, role } => {
            let body = json!({ "name": name, "role": Role::from(*role) });
            tell_token(&client, &client.post("/v1/operators", &body)?)
        }
        Command::Rotate { name } => {
            let path = format!("/v1/operators/{}/rotate", part(name));
            tell_token(&client, &client.post(&path, &json!({}))?)
        }
        Command::Enable { name } => set_enabled(&client, name, true),
        Command::Disable { name } => set_enabled(&client, name, false),
        Command::Rm { name } => {
            client.delete(&format!("/v1/operators/{}", part(name)))?;
            show::line(&format!("operator {name} removed"))
        }
        Command::RetireFirst => {
            client.post("/v1/first-token/retire", &json!({}))?;
            show::line("the first token is retired")
        }
        Command::RestoreFirst => Ok(()),
    }
}

fn list(client: &Client) -> Result<(), Failure> {
    let listed = client.list("/v1/operators", &[], None, None)?;
    show::rows(
        client,
        &listed,
        &[
            ("OPERATOR", "name"),
            ("ROLE", "role"),
            ("ENABLED", "enabled"),
            ("CREATED", "created_at"),
            ("TOKEN OF", "token_at"),
        ],
    )?;
    if !client.json {
        let word = listed["first_token"].as_str().unwrap_or_default();
        eprintln!("the first token is {word}");
    }
    Ok(())
}

fn tell_token(client: &Client, made: &Value) -> Result<(), Failure> {
    if client.json {
        return show::json(made);
    }
    show::line(made["token"].as_str().unwrap_or_default())?;
    eprintln!("The token is shown this once; only its hash is kept.");
    Ok(())
}

fn set_enabled(client: &Client, name: &str, enabled: bool) -> Result<(), Failure> {
    client.patch(
        &format!("/v1/operators/{}", part(name)),
        &json!({ "enabled": enabled }),
    )?;
    let word = if enabled { "enabled" } else { "disabled" };
    show::line(&format!("operator {name} is {word}"))
}

fn restore_first(common: &Common) -> Result<(), Failure> {
    let settings = common.load()?.settings;
    let data = Path::new(&settings.data);
    if !data.is_dir() {
        return Err(Failure::Usage(format!(
            "{} is no data directory",
            data.display()
        )));
    }
    // While a service runs it holds this.
    let _owned = DataDir::own(data).map_err(|error| Failure::Failed(error.to_string()))?;
    first_token::ask(data).map_err(|error| Failure::Failed(error.to_string()))?;
    show::line(&format!(
        "the next start brings the first token back and writes it into {}",
        first_token::FILE
    ))
}
