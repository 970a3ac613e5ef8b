//! `maskline hold`.

use clap::Subcommand;
use serde_json::json;

use super::client::part;
use super::{Client, Failure, show};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Keep what names a person, was on an X, or is of a binding or a call, until a time
    Add(Add),
    /// List the holds that last
    Ls,
    /// End a hold: what is too old goes at the next round
    End {
        /// Its id
        id: u64,
    },
}

#[derive(Debug, clap::Args)]
pub struct Add {
    #[command(flatten)]
    what: What,
    /// When it ends by itself, as 'yyyy-MM-dd HH:mm:ss' in China time
    #[arg(long, value_name = "TIME")]
    until: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct What {
    /// What names this person: as A or B, as caller or callee
    #[arg(long, value_name = "NUMBER")]
    number: Option<String>,
    /// What was on this X
    #[arg(long, value_name = "NUMBER")]
    x: Option<String>,
    /// This binding and its calls
    #[arg(long, value_name = "SUBS_ID")]
    binding: Option<String>,
    /// This call
    #[arg(long, value_name = "CALL_ID")]
    call: Option<String>,
}

pub fn run(client: &Client, command: &Command) -> Result<(), Failure> {
    match command {
        Command::Add(Add {
            what,
            until,
            reason,
        }) => {
            let given = [
                ("number", &what.number),
                ("x", &what.x),
                ("binding", &what.binding),
                ("call", &what.call),
            ];
            let given = given
                .into_iter()
                .find_map(|(by, value)| Some((by, value.as_ref()?)));
            let Some((by, value)) = given else {
                return Err(Failure::Usage("say what is to be held".to_owned()));
            };
            let wanted = json!({ "by": by, "value": value, "until": until, "reason": reason });
            let added = client.post("/v1/holds", &wanted)?;
            if client.json {
                return show::json(&added);
            }
            show::line(&format!("hold {} lasts until {until}", added["id"]))
        }
        Command::Ls => show::rows(
            client,
            &client.get("/v1/holds")?,
            &[
                ("ID", "id"),
                ("BY", "by"),
                ("WHAT", "value"),
                ("UNTIL", "until"),
                ("ADDED", "added_at"),
                ("WHO", "added_by"),
                ("REASON", "reason"),
            ],
        ),
        Command::End { id } => {
            client.delete(&format!("/v1/holds/{}", part(&id.to_string())))?;
            show::line(&format!("hold {id} ended"))
        }
    }
}
