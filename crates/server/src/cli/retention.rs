//! `maskline retention`.

use std::io::IsTerminal;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{Client, Failure, show};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tell how long what is kept, what may go now, what is held, and when the next goes
    Show,
    /// Have what is too old deleted from now on, in a data directory of an older program; tells first what goes
    Start(Start),
}

#[derive(Debug, clap::Args)]
pub struct Start {
    /// Do it without asking
    #[arg(long)]
    yes: bool,
}

pub fn run(client: &Client, command: &Command) -> Result<(), Failure> {
    let told = client.get("/v1/retention")?;
    match command {
        Command::Show => shown(client, &told),
        Command::Start(args) => start(client, &told, args),
    }
}

fn shown(client: &Client, told: &Value) -> Result<(), Failure> {
    if client.json {
        return show::json(told);
    }
    lines(client, told)?;
    show::line(&match told["since"].as_str() {
        Some(since) => format!("on since {since}; {} hold(s)", told["holds"]),
        None => format!(
            "off: nothing goes until `maskline retention start`; {} hold(s)",
            told["holds"]
        ),
    })?;
    show::line(&format!(
        "the journal tells of bindings for {} day(s) (journal.retention_days)",
        told["journal_days"]
    ))
}

fn lines(client: &Client, told: &Value) -> Result<(), Failure> {
    let mut told = told.clone();
    for line in told["items"].as_array_mut().into_iter().flatten() {
        if line["at_least"] == true {
            line["due"] = json!(format!("{} or more", line["due"]));
        }
    }
    show::rows(
        client,
        &told,
        &[
            ("KIND", "kind"),
            ("POOL", "pool"),
            ("KEPT", "keep"),
            ("GOES", "due"),
            ("OLDEST", "oldest"),
            ("NEWEST", "newest"),
            ("HELD", "held"),
            ("WAITING", "waiting"),
            ("NEXT", "next_at"),
        ],
    )
}

fn start(client: &Client, told: &Value, args: &Start) -> Result<(), Failure> {
    if told["since"].is_string() {
        if client.json {
            return show::json(&json!({ "started": false, "rows": 0 }));
        }
        return show::line("it was on before");
    }
    if !client.json {
        lines(client, told)?;
    }
    if !args.yes && !confirmed()? {
        return Err(Failure::Failed("nothing was started".to_owned()));
    }
    let started = client.post("/v1/retention/start", &json!({}))?;
    if client.json {
        return show::json(&started);
    }
    show::line(&format!(
        "on from now: {} row(s) go, and later ones when they are too old",
        started["rows"]
    ))
}

fn confirmed() -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage(
            "say --yes to start without being asked".to_owned(),
        ));
    }
    eprint!("What is listed goes for good, and later what gets too old. Type yes: ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}
