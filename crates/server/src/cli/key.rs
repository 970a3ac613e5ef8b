//! `maskline key`.

use clap::Subcommand;
use serde_json::json;

use super::client::part;
use super::{Client, Failure, show};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List keys
    Ls {
        /// Only those of this account
        #[arg(long)]
        account: Option<String>,
    },
    /// Make a key; its secret is shown once and never again
    Create {
        /// The account it acts for
        #[arg(long)]
        account: String,
        /// The user it belongs to; without one it may do everything the account may
        #[arg(long)]
        user: Option<String>,
        /// Its AccessKeyId; without one it is made at random
        #[arg(long)]
        id: Option<String>,
    },
    /// Switch a key on
    Enable {
        /// The AccessKeyId
        id: String,
    },
    /// Switch a key off; requests signed with it are refused from now on
    Disable {
        /// The AccessKeyId
        id: String,
    },
    /// Seal all secrets anew under the newest master key, after it was put in front of the old one
    Reseal,
    /// Delete a key for good
    Delete {
        /// The AccessKeyId
        id: String,
    },
}

pub fn run(client: &Client, command: &Command) -> Result<(), Failure> {
    match command {
        Command::Ls { account } => {
            let filters = [("account", account.as_deref())];
            show::rows(
                client,
                &client.all("/v1/keys", &filters)?,
                &[
                    ("ACCESS KEY ID", "id"),
                    ("ACCOUNT", "account"),
                    ("USER", "user"),
                    ("ACTIVE", "active"),
                    ("CREATED", "created_at"),
                ],
            )
        }
        Command::Create { account, user, id } => {
            let body = json!({ "account": account, "user": user, "id": id });
            let made = client.post("/v1/keys", &body)?;
            if client.json {
                return show::json(&made);
            }
            let text = |field: &str| made[field].as_str().unwrap_or_default().to_owned();
            show::line(&format!("AccessKeyId:     {}", text("access_key_id")))?;
            show::line(&format!("AccessKeySecret: {}", text("access_key_secret")))?;
            eprintln!("The secret is shown this once; it is kept sealed.");
            Ok(())
        }
        Command::Enable { id } => set_active(client, id, true),
        Command::Disable { id } => set_active(client, id, false),
        Command::Reseal => {
            let done = client.post("/v1/reseal", &json!({}))?;
            show::line(&format!(
                "{} secret(s) and {} data key(s) sealed anew",
                done["resealed"], done["data_keys"]
            ))
        }
        Command::Delete { id } => {
            client.delete(&format!("/v1/keys/{}", part(id)))?;
            show::line(&format!("key {id} deleted"))
        }
    }
}

fn set_active(client: &Client, id: &str, active: bool) -> Result<(), Failure> {
    client.patch(
        &format!("/v1/keys/{}", part(id)),
        &json!({ "active": active }),
    )?;
    show::line(&format!(
        "key {id} is {}",
        if active { "active" } else { "inactive" }
    ))
}
